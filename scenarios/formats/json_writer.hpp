// Streams JSON into a string: results are written as they are walked, without a tree in between
// (a tree of one result costs more than the whole check). Structure is the caller's; commas,
// quotes and escapes are taken care of here, and what is not UTF-8 is made so.
//
//   JsonWriter out;
//   out.begin_object().key("kept").array(sizes).end_object();
//   std::move(out).text()
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace capsize {

class JsonWriter {
 public:
  JsonWriter() { out_.reserve(8192); }

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }

  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::int64_t number);
  JsonWriter& null();

  // Only a real bool: a pointer must not turn into `true`.
  template <class T>
  requires std::is_same_v<T, bool> JsonWriter& value(T truth) {
    comma();
    out_ += truth ? "true" : "false";
    return *this;
  }

  // A value that may be missing; null then.
  template <class T>
  JsonWriter& value_or_null(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : null();
  }

  template <class T>
  JsonWriter& array(const std::vector<T>& values) {
    begin_array();
    for (const T& each : values) value(each);
    return end_array();
  }

  // A key and its value in one.
  template <class T>
  JsonWriter& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  // JSON text that is already made (a request's id, echoed).
  JsonWriter& raw(std::string_view json);

  // The next key or element starts a line.
  JsonWriter& next_line();

  [[nodiscard]] std::string text() && { return std::move(out_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void comma();
  void quoted(std::string_view text);
  std::size_t escaped(std::string_view rest);

  std::string out_;
  bool first_ = true;  // nothing stands yet in the innermost object or array
  bool after_key_ = false;
};

}  // namespace capsize
