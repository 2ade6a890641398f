#include "scenarios/formats/json_writer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "sim/utf8.hpp"

namespace capsize {
namespace {

// Bytes that stand for themselves in a string: printable ASCII without quote and backslash.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

}  // namespace

void JsonWriter::comma() {
  if (!first_ && !after_key_) out_ += ',';
  first_ = false;
  after_key_ = false;
}

JsonWriter& JsonWriter::open(char bracket) {
  comma();
  out_ += bracket;
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  comma();
  quoted(name);
  out_ += ':';
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  comma();
  quoted(text);
  return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  comma();
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out_.append(digits.data(), end);
  return *this;
}

JsonWriter& JsonWriter::null() {
  comma();
  out_ += "null";
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  comma();
  out_ += json;
  return *this;
}

// The comma belongs to the line that ends.
JsonWriter& JsonWriter::next_line() {
  comma();
  out_ += '\n';
  first_ = true;
  return *this;
}

void JsonWriter::quoted(std::string_view text) {
  out_ += '"';
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    while (at < text.size() && kPlain[static_cast<unsigned char>(text[at])]) ++at;
    out_.append(text, begin, at - begin);
    if (at < text.size()) at += escaped(text.substr(at));
  }
  out_ += '"';
}

// Writes the first character of `rest` so that JSON can hold it; its length in bytes. A byte that
// is not UTF-8 (a word of the command line may hold any) becomes the replacement character.
std::size_t JsonWriter::escaped(std::string_view rest) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(rest.front());
  if (byte >= 0x80) {
    const std::size_t length = character_length(rest);
    out_ += length == 0 ? std::string_view("\uFFFD") : rest.substr(0, length);
    return std::max<std::size_t>(length, 1);
  }
  switch (rest.front()) {
    case '"': out_ += "\\\""; break;
    case '\\': out_ += "\\\\"; break;
    case '\n': out_ += "\\n"; break;
    case '\t': out_ += "\\t"; break;
    case '\r': out_ += "\\r"; break;
    default:
      out_ += "\\u00";
      out_ += kHex[byte >> 4U];
      out_ += kHex[byte & 0xFU];
  }
  return 1;
}

}  // namespace capsize
