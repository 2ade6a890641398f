// Reads the fields of one JSON object one after the other; keeps the first error and skips the
// rest. What a field becomes is told by a function from JsonField to Result<void>:
//
//   return ObjectReader(field, {"name", "dim"})
//       .required("name", [&](const JsonField& f) { return store(f.text(), out.name); })
//       .optional("dim", [&](const JsonField& f) { return store(f.integer(0, 9), out.dim); })
//       .require(out.dim > 1, "is no plane", "give two dimensions or more")
//       .done();
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "scenarios/formats/json_reader.hpp"

namespace capsize {

// Puts a value where it belongs, or hands its error on.
template <class T, class Out>
[[nodiscard]] Result<void> store(Result<T> value, Out& out) {
  if (!value) return tl::unexpected(std::move(value.error()));
  out = *std::move(value);
  return {};
}

// A function that reads one of these values; their words are those of name_of(). `Out` is the
// enumeration or an optional.
template <class Enum, std::size_t N, class Out>
[[nodiscard]] auto word(const std::array<Enum, N>& values, Out& out) {
  return [&values, &out](const JsonField& field) -> Result<void> {
    std::array<std::string_view, N> words;
    for (std::size_t i = 0; i < N; ++i) words[i] = name_of(values[i]);
    auto index = field.one_of(words);
    if (!index) return tl::unexpected(std::move(index.error()));
    out = values[*index];
    return {};
  };
}

class ObjectReader {
 public:
  // `object` must outlive the reader.
  ObjectReader(const JsonField& object, std::span<const std::string_view> names) : object_(object) {
    keep(object.reject_unknown_fields(names));
  }
  ObjectReader(const JsonField& object, std::initializer_list<std::string_view> names)
      : ObjectReader(object, std::span(names.begin(), names.size())) {}

  template <class Read>
  ObjectReader& required(std::string_view name, const Read& read) {
    if (error_) return *this;
    auto field = object_.required(name);
    keep(field ? Result<void>(read(*field)) : Result<void>(tl::unexpected(field.error())));
    return *this;
  }

  template <class Read>
  ObjectReader& optional(std::string_view name, const Read& read) {
    if (error_) return *this;
    auto field = object_.optional(name);
    if (!field) {
      error_ = std::move(field.error());
    } else if (*field) {
      keep(read(**field));
    }
    return *this;
  }

  // A rule that ties fields together; asked once every field could be read.
  ObjectReader& require(bool holds, std::string_view text, std::string_view hint) {
    if (!error_ && !holds) error_ = object_.error(std::string(text), std::string(hint));
    return *this;
  }

  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] Result<void> done() {
    if (error_) return tl::unexpected(*std::move(error_));
    return {};
  }

 private:
  void keep(Result<void> step) {
    if (!error_ && !step) error_ = std::move(step.error());
  }

  const JsonField& object_;
  std::optional<Error> error_;
};

}  // namespace capsize
