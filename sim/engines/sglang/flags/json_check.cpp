// Whether a text is JSON, as the engine's parser finds when an option is read by json.loads or by
// its list type. Only the syntax: the values matter to no size and are read by nobody here.
#include <algorithm>

#include "sim/engines/sglang/flags/values.hpp"

namespace capsize::sglang {

namespace {

// Python gives up near 1000 levels (its recursion limit), with no message of its own.
constexpr int kMaxDepth = 900;

class JsonSyntax {
 public:
  JsonSyntax(std::string_view text, JsonReader reader) : rest_(text), reader_(reader) {}

  bool holds() {
    skip_blanks();
    if (!value(0)) return false;
    skip_blanks();
    return rest_.empty();
  }

 private:
  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }

  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  bool digits() {
    const std::size_t n = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(n);
    return n > 0;
  }

  bool number() {
    take("-");
    if (!take("0") && !digits()) return false;
    if (take(".") && !digits()) return false;
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      return digits();
    }
    return true;
  }

  bool escape() {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    const std::string_view hex = rest_.substr(0, 4);
    if (hex.size() < 4 || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos) return false;
    rest_.remove_prefix(4);
    return true;
  }

  bool string() {
    if (!take("\"")) return false;
    while (!rest_.empty()) {
      const auto c = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (c < 0x20 || (c == '\\' && !escape())) return false;
    }
    return false;
  }

  // What stands between a bracket and its end: nothing, or items with commas between them.
  template <class Item>
  bool items(std::string_view end, Item item) {
    skip_blanks();
    if (take(end)) return true;
    while (true) {
      skip_blanks();
      if (!item()) return false;
      skip_blanks();
      if (take(end)) return true;
      if (!take(",")) return false;
    }
  }

  bool member(int depth) {
    if (!string()) return false;
    skip_blanks();
    if (!take(":")) return false;
    skip_blanks();
    return value(depth);
  }

  bool value(int depth) {
    if (depth > kMaxDepth || rest_.empty()) return false;
    if (take("{")) {
      return items("}", [&] { return member(depth + 1); });
    }
    if (take("[")) {
      return items("]", [&] { return value(depth + 1); });
    }
    if (rest_[0] == '"') return string();
    if (take("true") || take("false") || take("null")) return true;
    // Python's own reader takes these three, the other does not.
    if (reader_ == JsonReader::loads && (take("NaN") || take("Infinity") || take("-Infinity"))) {
      return true;
    }
    return number();
  }

  std::string_view rest_;
  JsonReader reader_;
};

}  // namespace

bool is_json(std::string_view text, JsonReader reader) { return JsonSyntax(text, reader).holds(); }

}  // namespace capsize::sglang
