// The one door through which JSON enters capsize: parse_json() turns text into a tree or says
// what is wrong and where; JsonField walks the tree and fails with the path of the field. No
// exception leaves this file, and nothing in a document is ignored in silence.
//
//   auto document = parse_json(text);                      // Result<nlohmann::json>
//   JsonField root(*document);                             // path "$"
//   auto count = root.required("count").and_then([](const JsonField& field) {
//     return field.integer(1, 64);                         // fails as "$.count: ..."
//   });
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/error.hpp"

namespace capsize {

struct ParseLimits {
  std::size_t max_bytes = std::size_t{16} << 20;
  std::size_t max_depth = 64;  // objects and arrays inside one another
};

// Parses one JSON document (RFC 8259). Refused with `where` = "line L, column C": anything that is
// not JSON (comments, NaN, trailing commas), invalid UTF-8, a NUL byte, text after the value, too
// many bytes. Refused with the path in front ("$.a.b[2].c, line 3, column 9"): a duplicate key, a
// number outside of int64 or of a finite double, too many levels. Lines and columns count from 1,
// columns in bytes; they point at the character at which reading stopped.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text,
                                                const ParseLimits& limits = {});

// A value in a parsed document and its path. Refers to the document, which must outlive it.
class JsonField {
 public:
  explicit JsonField(const nlohmann::json& value, std::string path = "$")
      : value_(&value), path_(std::move(path)) {}

  [[nodiscard]] const nlohmann::json& value() const { return *value_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_null() const { return value_->is_null(); }

  // Fields of an object; fail where this is not one. A field that is null counts as absent.
  [[nodiscard]] Result<JsonField> required(std::string_view name) const;
  [[nodiscard]] Result<std::optional<JsonField>> optional(std::string_view name) const;
  // Fails on the first field that is none of `names`.
  [[nodiscard]] Result<void> reject_unknown_fields(std::span<const std::string_view> names) const;
  [[nodiscard]] Result<void> reject_unknown_fields(
      std::initializer_list<std::string_view> names) const {
    return reject_unknown_fields(std::span(names.begin(), names.size()));
  }

  // Values. `integer` takes whole numbers only (4096.0 is not one), in [lowest, highest].
  [[nodiscard]] Result<std::int64_t> integer(std::int64_t lowest, std::int64_t highest) const;
  [[nodiscard]] Result<bool> boolean() const;
  [[nodiscard]] Result<std::string> text() const;
  // The place of a string among `words`.
  [[nodiscard]] Result<std::size_t> one_of(std::span<const std::string_view> words) const;
  [[nodiscard]] Result<std::vector<JsonField>> elements() const;
  [[nodiscard]] Result<std::vector<std::int64_t>> integers(std::int64_t lowest,
                                                           std::int64_t highest) const;
  // Fails where this is not an object.
  [[nodiscard]] Result<void> object() const;

  // An error at this field, for rules of a format's own.
  [[nodiscard]] Error error(std::string text, std::string hint = {}) const {
    return Error{path_, std::move(text), std::move(hint)};
  }

 private:
  [[nodiscard]] Error wrong_type(std::string_view wanted) const;

  const nlohmann::json* value_;
  std::string path_;
};

// The path of a field of an object: "$.a", or "$[\"odd name\"]" where the name is not a plain word.
[[nodiscard]] std::string json_path(std::string_view parent, std::string_view name);
// The path of an element of an array: "$.a[2]".
[[nodiscard]] std::string json_path(std::string_view parent, std::size_t index);

}  // namespace capsize
