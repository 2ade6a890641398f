// A tree builder on nlohmann's SAX interface. The library's own tree builder keeps the last of two
// equal keys, has no limit on depth and knows no paths; its parser below is used as it is.
#include "scenarios/formats/json_reader.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace capsize {
namespace {

using nlohmann::json;

// Reads characters and tells how far reading has come: the SAX events carry no position.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// "line 3, column 7" of the last character before `end`.
std::string position_of(std::string_view text, std::size_t end) {
  const std::size_t last = end > 0 ? std::min(end, text.size()) : 0;
  const std::string_view before = text.substr(0, last > 0 ? last - 1 : 0);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n');
  const std::size_t column =
      line_start == std::string_view::npos ? before.size() : before.size() - line_start - 1;
  return "line " + std::to_string(lines + 1) + ", column " + std::to_string(column + 1);
}

// A name as it can stand in a message: cut where it is long, control characters shown as '?'.
std::string shown(std::string_view name) {
  constexpr std::size_t longest = 60;
  std::string text(name.substr(0, longest));
  // A cut inside a UTF-8 sequence would leave a broken character behind.
  while (text.size() < name.size() && !text.empty() &&
         (static_cast<unsigned char>(name[text.size()]) & 0xC0U) == 0x80U) {
    text.pop_back();
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text.size() < name.size() ? text + "..." : text;
}

bool is_plain_word(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// What the library says of a broken text, without its own prefix and position, and without the
// bytes that it read last: they may be what is wrong with the text.
std::string plain_reason(std::string_view what) {
  const std::size_t column = what.find("column ");
  const std::size_t start =
      column == std::string_view::npos ? what.find("] ") : what.find(": ", column);
  if (start != std::string_view::npos) what.remove_prefix(start + 2);
  return "not valid JSON: " + std::string(what.substr(0, what.find("; last read")));
}

class TreeBuilder {
 public:
  TreeBuilder(std::string_view text, const ParseLimits& limits) : text_(text), limits_(limits) {}

  [[nodiscard]] const char** furthest() { return &furthest_; }
  [[nodiscard]] Error take_error() { return std::move(error_); }
  [[nodiscard]] json take_root() { return std::move(root_); }

  // The events of nlohmann's SAX interface; false stops the parser.
  bool null() { return put(json(nullptr)) != nullptr; }
  bool boolean(bool value) { return put(json(value)) != nullptr; }
  bool number_integer(json::number_integer_t value) { return put(json(value)) != nullptr; }
  bool number_unsigned(json::number_unsigned_t value) {
    constexpr auto largest = std::numeric_limits<std::int64_t>::max();
    if (value > static_cast<json::number_unsigned_t>(largest)) return number_too_large();
    return put(json(static_cast<std::int64_t>(value))) != nullptr;
  }
  // An integer that fits no 64 bits arrives as a double with its digits beside it.
  bool number_float(json::number_float_t value, const std::string& digits) {
    if (digits.find_first_of(".eE") == std::string::npos) return number_too_large();
    return put(json(value)) != nullptr;
  }
  bool string(std::string& value) { return put(json(std::move(value))) != nullptr; }
  bool binary(json::binary_t& /*value*/) { return stop("binary value", "write it as text"); }
  bool start_object(std::size_t /*elements*/) { return open(json(json::value_t::object)); }
  bool start_array(std::size_t /*elements*/) { return open(json(json::value_t::array)); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Frame& frame = frames_.back();
    frame.key = std::move(name);
    if (!frame.value->contains(frame.key)) return true;
    return stop("duplicate key", "keep one of the two");
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& cause) {
    constexpr int number_overflow = 406;
    if (cause.id == number_overflow) return number_too_large();
    error_ = Error{position(), plain_reason(cause.what()), hint_for_broken_text()};
    return false;
  }

 private:
  struct Frame {
    json* value;
    std::string key;  // of the member being read, in an object
  };

  // Puts a value where the document stands; null where there is no place for it.
  json* put(json value) {
    if (frames_.empty()) return &(root_ = std::move(value));
    Frame& frame = frames_.back();
    if (frame.value->is_object()) return &((*frame.value)[frame.key] = std::move(value));
    frame.value->push_back(std::move(value));
    return &frame.value->back();
  }

  bool open(json container) {
    if (frames_.size() >= limits_.max_depth) {
      return stop("nested deeper than " + std::to_string(limits_.max_depth) + " levels",
                  "flatten the document");
    }
    frames_.push_back(Frame{put(std::move(container)), {}});
    return true;
  }

  bool close() {
    frames_.pop_back();
    return true;
  }

  bool number_too_large() {
    return stop("number out of range", "write a number that fits 64 bits");
  }

  bool stop(std::string text, std::string hint) {
    error_ = Error{path() + ", " + position(), std::move(text), std::move(hint)};
    return false;
  }

  // The path of the value that could not be put: all open containers but the last are in their
  // parents already.
  [[nodiscard]] std::string path() const {
    std::string path = "$";
    for (const Frame& frame : frames_) {
      if (frame.value->is_object()) {
        path = json_path(path, frame.key);
      } else {
        const bool last = &frame == &frames_.back();
        path = json_path(path, last ? frame.value->size() : frame.value->size() - 1);
      }
    }
    return path;
  }

  [[nodiscard]] std::string position() const {
    const std::size_t read =
        furthest_ == nullptr ? 0 : static_cast<std::size_t>(furthest_ - text_.data());
    return position_of(text_, read);
  }

  [[nodiscard]] std::string hint_for_broken_text() const {
    const bool blank = text_.find_first_not_of(" \t\r\n") == std::string_view::npos;
    if (blank) return "the text is empty; give a JSON document";
    const bool ended = furthest_ == text_.data() + text_.size();
    return ended && !frames_.empty() ? "the text ends in the middle of a value; is it cut off?"
                                     : "mend the text at this place";
  }

  std::string_view text_;
  ParseLimits limits_;
  const char* furthest_ = nullptr;
  json root_;
  std::vector<Frame> frames_;
  Error error_;
};

}  // namespace

Result<json> parse_json(std::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return tl::unexpected(Error{"line 1, column 1",
                                "the text has " + std::to_string(text.size()) +
                                    " bytes, more than " + std::to_string(limits.max_bytes),
                                "give a smaller document"});
  }
  // The library takes a NUL byte for the end of the text and would not look behind it.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return tl::unexpected(
        Error{position_of(text, nul + 1), "a NUL byte in the text", "give text, not binary data"});
  }
  TreeBuilder builder(text, limits);
  *builder.furthest() = text.data();
  const CountingIterator first(text.data(), builder.furthest());
  const CountingIterator last(text.data() + text.size(), builder.furthest());
  if (!json::sax_parse(first, last, &builder)) return tl::unexpected(builder.take_error());
  return builder.take_root();
}

std::string json_path(std::string_view parent, std::string_view name) {
  if (is_plain_word(name)) return std::string(parent) + "." + shown(name);
  return std::string(parent) + "[\"" + shown(name) + "\"]";
}

std::string json_path(std::string_view parent, std::size_t index) {
  return std::string(parent) + "[" + std::to_string(index) + "]";
}

Error JsonField::wrong_type(std::string_view wanted) const {
  const auto given = [&]() -> std::string {
    if (value_->is_string()) return "\"" + shown(value_->get_ref<const std::string&>()) + "\"";
    if (value_->is_object()) return "an object";
    if (value_->is_array()) return "an array";
    return value_->dump();
  };
  return error("must be " + std::string(wanted) + ", is " + given(), "give " + std::string(wanted));
}

Result<void> JsonField::object() const {
  if (!value_->is_object()) return tl::unexpected(wrong_type("an object"));
  return {};
}

Result<std::optional<JsonField>> JsonField::optional(std::string_view name) const {
  if (!value_->is_object()) return tl::unexpected(wrong_type("an object"));
  const auto found = value_->find(std::string(name));
  if (found == value_->end() || found->is_null()) return std::optional<JsonField>();
  return std::optional<JsonField>(JsonField(*found, json_path(path_, name)));
}

Result<JsonField> JsonField::required(std::string_view name) const {
  Result<std::optional<JsonField>> found = optional(name);
  if (!found) return tl::unexpected(std::move(found).error());
  if (found->has_value()) return **std::move(found);
  return tl::unexpected(Error{json_path(path_, name), "is missing", "add this field"});
}

Result<void> JsonField::reject_unknown_fields(std::span<const std::string_view> names) const {
  if (!value_->is_object()) return tl::unexpected(wrong_type("an object"));
  for (const auto& item : value_->items()) {
    if (std::find(names.begin(), names.end(), item.key()) != names.end()) continue;
    std::string known = "known here:";
    for (const std::string_view name : names) known += " " + std::string(name);
    return tl::unexpected(Error{json_path(path_, item.key()), "unknown field", std::move(known)});
  }
  return {};
}

Result<std::int64_t> JsonField::integer(std::int64_t lowest, std::int64_t highest) const {
  if (!value_->is_number_integer()) return tl::unexpected(wrong_type("a whole number"));
  const auto number = value_->get<std::int64_t>();
  if (number >= lowest && number <= highest) return number;
  return tl::unexpected(
      error(std::to_string(number) + " is out of range",
            "give a number from " + std::to_string(lowest) + " to " + std::to_string(highest)));
}

Result<bool> JsonField::boolean() const {
  if (!value_->is_boolean()) return tl::unexpected(wrong_type("true or false"));
  return value_->get<bool>();
}

Result<std::string> JsonField::text() const {
  if (!value_->is_string()) return tl::unexpected(wrong_type("a string"));
  return value_->get<std::string>();
}

Result<std::size_t> JsonField::one_of(std::span<const std::string_view> words) const {
  if (!value_->is_string()) return tl::unexpected(wrong_type("a string"));
  const auto& word = value_->get_ref<const std::string&>();
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string known = "give one of:";
  for (const std::string_view each : words) known += " " + std::string(each);
  return tl::unexpected(error("\"" + shown(word) + "\" is not known here", std::move(known)));
}

Result<std::vector<JsonField>> JsonField::elements() const {
  if (!value_->is_array()) return tl::unexpected(wrong_type("an array"));
  std::vector<JsonField> elements;
  elements.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    elements.emplace_back((*value_)[i], json_path(path_, i));
  }
  return elements;
}

Result<std::vector<std::int64_t>> JsonField::integers(std::int64_t lowest,
                                                      std::int64_t highest) const {
  if (!value_->is_array()) return tl::unexpected(wrong_type("an array of whole numbers"));
  std::vector<std::int64_t> numbers;
  numbers.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    const json& element = (*value_)[i];
    if (element.is_number_integer()) {
      const auto number = element.get<std::int64_t>();
      if (number >= lowest && number <= highest) {
        numbers.push_back(number);
        continue;
      }
    }
    // Only a failing element pays for its path.
    auto failed = JsonField(element, json_path(path_, i)).integer(lowest, highest);
    return tl::unexpected(std::move(failed).error());
  }
  return numbers;
}

}  // namespace capsize
