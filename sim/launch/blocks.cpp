// Lists of words as YAML, JSON, Python and Dockerfiles write them. This is no YAML parser: it knows
// the few keys that hold a container's command and reads their values in every style that YAML has
// for them; all other lines only matter by their indentation.
#include "sim/launch/blocks.hpp"

#include <algorithm>

#include "sim/launch/words.hpp"

namespace capsize::launch {
namespace {

bool is_identifier(std::string_view text) {
  return !text.empty() && identifier_length(text) == text.size();
}

// Reads a quoted scalar at `at`; gives the offset behind the closing quote, or npos.
std::size_t read_quoted(std::string_view text, std::size_t at, std::string& value) {
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    const char c = text[at];
    if (c == quote) {
      const bool doubled = quote == '\'' && at + 1 < text.size() && text[at + 1] == '\'';
      if (!doubled) return at + 1;
      ++at;
    } else if (c == '\\' && quote == '"' && at + 1 < text.size()) {
      const char next = text[++at];
      if (next == 'n') {
        value += '\n';
      } else if (next == 't') {
        value += '\t';
      } else if (next == '\n') {
        value += "\\\n";
      } else {
        value += next;
      }
      continue;
    }
    value += c;
  }
  return npos;
}

// Cuts a trailing " # comment" off a plain scalar.
std::string_view without_comment(std::string_view text) {
  for (std::size_t at = text.find('#'); at != npos; at = text.find('#', at + 1)) {
    if (at == 0 || is_blank(text[at - 1])) return trim(text.substr(0, at));
  }
  return trim(text);
}

// Blanks, line breaks and comments between the items of a flow list.
std::size_t skip_filler(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (is_blank(text[at]) || text[at] == '\n') {
      ++at;
    } else if (text[at] == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else {
      break;
    }
  }
  return at;
}

// A plain item of a flow list: up to the comma or bracket that ends it.
std::size_t read_plain_item(std::string_view text, std::size_t at, std::string& value) {
  int round = 0;
  const std::size_t begin = at;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '(') ++round;
    if (c == ')' && --round < 0) return npos;
    if (c == '\n' || c == '[' || c == '{') return npos;
    if (round == 0 && (c == ',' || c == ']')) break;
  }
  value = trim(text.substr(begin, at - begin));
  return value.empty() ? npos : at;
}

struct Line {
  std::string_view text;
  std::size_t offset = 0;
  std::size_t indent = 0;  // blanks in front; npos for an empty line or a comment
};

std::vector<Line> split_lines(std::string_view text) {
  std::vector<Line> lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    Line line{text.substr(begin, end - begin), begin, 0};
    line.indent = line.text.find_first_not_of(" \t");
    if (line.indent != npos && line.text[line.indent] == '#') line.indent = npos;
    lines.push_back(line);
    begin = end + 1;
  }
  return lines;
}

struct Key {
  std::string_view name;
  std::size_t column = 0;  // where the key stands in its line
  std::size_t value = 0;   // offset in the line behind the colon
};

// "- key: value", "key: value", "\"key\": value".
std::optional<Key> key_of(const Line& line) {
  std::size_t at = line.indent;
  if (at == npos) return std::nullopt;
  const std::string_view text = line.text;
  while (at + 1 < text.size() && text[at] == '-' && text[at + 1] == ' ') {
    ++at;
    while (at < text.size() && text[at] == ' ') ++at;
  }
  const std::size_t column = at;
  const bool quoted = at < text.size() && text[at] == '"';
  if (quoted) ++at;
  const std::size_t length = identifier_length(text.substr(std::min(at, text.size())));
  if (length == 0) return std::nullopt;
  const std::string_view name = text.substr(at, length);
  at += length + (quoted ? 1 : 0);
  if (at >= text.size() || text[at] != ':') return std::nullopt;
  ++at;
  if (at < text.size() && !is_blank(text[at]) && text[at] != '[' && !quoted) return std::nullopt;
  return Key{name, column, at};
}

bool is_dash_item(const Line& line) {
  if (line.indent == npos || line.text[line.indent] != '-') return false;
  return line.indent + 1 == line.text.size() || is_blank(line.text[line.indent + 1]);
}

class ContainerReader {
 public:
  ContainerReader(Session& session, std::string_view text)
      : session_(session), text_(text), lines_(split_lines(text)) {}

  std::vector<Container> read() {
    while (index_ < lines_.size()) {
      const Line& line = lines_[index_];
      if (line.indent == npos) {
        ++index_;
        continue;
      }
      if (open_ && line.indent < column_) close();
      if (dockerfile_line() || keyed_line() || bare_list()) continue;
      ++index_;
    }
    close();
    return std::move(containers_);
  }

 private:
  void close() {
    if (open_) containers_.push_back(std::move(current_));
    current_ = Container{};
    open_ = false;
  }

  void open_at(std::size_t column) {
    if (open_) return;
    open_ = true;
    column_ = column;
    current_.begin = lines_[index_].offset;
  }

  Node* node_named(std::string_view name) {
    if (name == "command" || name == "cmd" || name == "Cmd" || name == "CMD") {
      return &current_.command;
    }
    if (name == "args" || name == "arguments" || name == "Args") return &current_.args;
    if (name == "entrypoint" || name == "Entrypoint" || name == "ENTRYPOINT") {
      return &current_.entrypoint;
    }
    return nullptr;
  }

  bool keyed_line() {
    const auto key = key_of(lines_[index_]);
    if (!key) return false;
    const bool image = key->name == "image";
    const bool environment = key->name == "env" || key->name == "environment";
    if (node_named(key->name) == nullptr && !image && !environment) return false;
    // Deeper keys of the same names belong to probes and hooks.
    if (open_ && key->column > column_) return false;
    open_at(key->column);
    if (image) {
      Node value = read_value(*key);
      if (!value.items.empty()) current_.image = value.items.front().text;
    } else if (environment) {
      read_environment(*key);
    } else {
      Node value = read_value(*key);
      *node_named(key->name) = std::move(value);
    }
    return true;
  }

  // FROM, ENV, CMD and ENTRYPOINT of a Dockerfile.
  bool dockerfile_line() {
    const Line& line = lines_[index_];
    if (line.indent != 0) return false;
    const std::size_t end = std::min(line.text.find(' '), line.text.size());
    const std::string_view name = line.text.substr(0, end);
    if (name != "FROM" && name != "ENV" && name != "CMD" && name != "ENTRYPOINT") return false;
    if (trim(line.text.substr(end)).empty()) return false;
    if (name == "FROM") close();
    open_at(0);
    const Key key{name, 0, end};
    if (name == "FROM") {
      const std::string_view image = trim(line.text.substr(end));
      current_.image = std::string(image.substr(0, image.find(' ')));
      ++index_;
    } else if (name == "ENV") {
      add_pair(trim(line.text.substr(end)), line.text.find('=') == npos ? ' ' : '=');
      ++index_;
    } else {
      const std::size_t begin = line.text.find_first_not_of(" \t", end);
      Node value = line.text[begin] == '[' ? read_value(key) : read_shell_form(begin);
      *node_named(name) = std::move(value);
    }
    return true;
  }

  Node read_shell_form(std::size_t begin) {
    Node node;
    Scalar text{"", lines_[index_].offset + begin, false};
    text.text = lines_[index_].text.substr(begin);
    while (trim(lines_[index_].text).ends_with("\\") && index_ + 1 < lines_.size()) {
      text.text += '\n';
      text.text += lines_[++index_].text;
    }
    ++index_;
    node.items.push_back(std::move(text));
    return node;
  }

  void add_pair(std::string_view text, char separator) {
    const std::size_t at = text.find(separator);
    const std::string_view name = trim(text.substr(0, at));
    if (at == npos || !is_identifier(name)) return;
    std::string_view value = without_comment(text.substr(at + 1));
    if (value.size() > 1 && value.front() == value.back() &&
        (value.front() == '"' || value.front() == '\'')) {
      value = value.substr(1, value.size() - 2);
    }
    current_.environment.emplace_back(name, value);
  }

  // Reads what stands behind a key and moves to the line behind it.
  Node read_value(const Key& key) {
    const Line& line = lines_[index_];
    const std::string_view rest = trim(line.text.substr(key.value));
    Node node;
    if (rest.empty() || rest[0] == '#') {
      ++index_;
      const std::size_t next = next_line(index_);
      if (next < lines_.size() && is_dash_item(lines_[next]) &&
          lines_[next].indent >= line.indent) {
        node = read_list(next);
      } else if (next < lines_.size() && lines_[next].indent > key.column) {
        node.items.push_back(read_folded("", lines_[next].offset, key.column));
      }
      return node;
    }
    const std::size_t begin = line.offset + line.text.find_first_not_of(" \t", key.value);
    if (rest[0] == '[') {
      const std::size_t end = read_flow_list(session_, text_, begin, node.items);
      if (end != npos) {
        node.is_list = true;
        move_behind(end);
        return node;
      }
      node.items.clear();
    }
    node.items.push_back(read_scalar(rest, begin, key.column));
    return node;
  }

  // The first line from `index` on that is neither empty nor a comment.
  [[nodiscard]] std::size_t next_line(std::size_t index) const {
    while (index < lines_.size() && lines_[index].indent == npos) ++index;
    return index;
  }

  void move_behind(std::size_t offset) {
    while (index_ < lines_.size() && lines_[index_].offset < offset) ++index_;
  }

  // One scalar that begins on the current line with `rest`; lines deeper than `column` go with it.
  Scalar read_scalar(std::string_view rest, std::size_t offset, std::size_t column) {
    if (rest[0] == '|' || rest[0] == '>') {
      const std::string_view style = without_comment(rest);
      if (style.find_first_not_of("|>+-0123456789") == npos) {
        ++index_;
        return read_block(rest[0] == '>', column);
      }
    }
    if (rest[0] == '"' || rest[0] == '\'') {
      Scalar scalar{"", offset, true};
      const std::size_t end = read_quoted(text_, offset, scalar.text);
      session_.charge(scalar.text.size());
      if (end != npos) {
        move_behind(end);
        return scalar;
      }
    }
    ++index_;
    // A plain text that ends in a backslash is shell text behind a label, not YAML.
    return read_folded(without_comment(rest), offset, column);
  }

  Scalar read_folded(std::string_view first, std::size_t offset, std::size_t column) {
    Scalar scalar{std::string(first), offset, false};
    for (; index_ < lines_.size(); ++index_) {
      const Line& line = lines_[index_];
      if (line.indent == npos) {
        if (trim(line.text).empty()) break;
        continue;
      }
      if (line.indent <= column) break;
      // A line that ends in a backslash stays a line of its own to the shell.
      if (!scalar.text.empty()) scalar.text += scalar.text.back() == '\\' ? '\n' : ' ';
      scalar.text += without_comment(line.text);
    }
    return scalar;
  }

  // The lines of a `|` or `>` block: all that are deeper than `column`.
  Scalar read_block(bool folded, std::size_t column) {
    Scalar scalar;
    const std::size_t first = index_;
    for (; index_ < lines_.size(); ++index_) {
      const std::string_view text = lines_[index_].text;
      const std::size_t indent = text.find_first_not_of(" \t");
      if (indent != npos && indent <= column) break;
      if (index_ == first) scalar.offset = lines_[index_].offset + std::min(indent, text.size());
      const bool continued = !scalar.text.empty() && trim(scalar.text).back() == '\\';
      if (index_ != first) scalar.text += folded && !continued && indent != npos ? ' ' : '\n';
      scalar.text += folded ? trim(text) : text;
    }
    return scalar;
  }

  // The items of a list whose first dash stands on line `first`.
  Node read_list(std::size_t first) {
    Node node;
    node.is_list = true;
    const std::size_t column = lines_[first].indent;
    index_ = first;
    while (index_ < lines_.size()) {
      const Line& line = lines_[index_];
      if (line.indent == npos) {
        ++index_;
        continue;
      }
      if (line.indent != column || !is_dash_item(line)) break;
      const std::string_view rest = trim(line.text.substr(column + 1));
      if (rest.empty() || rest[0] == '#') {
        ++index_;
        continue;
      }
      const std::size_t begin = line.offset + line.text.find_first_not_of(" \t", column + 1);
      node.items.push_back(read_scalar(rest, begin, column));
    }
    return node;
  }

  // `env:` of Kubernetes (name and value pairs) and `environment:` of compose (list or map).
  void read_environment(const Key& key) {
    const std::size_t dash_floor = lines_[index_].indent;
    std::string name;
    bool in_list = false;
    for (++index_; index_ < lines_.size(); ++index_) {
      const Line& line = lines_[index_];
      if (line.indent == npos) continue;
      const bool dash = is_dash_item(line);
      if (line.indent < dash_floor || (line.indent <= key.column && !dash)) break;
      if (dash && line.indent < key.column && key.column == dash_floor) break;
      in_list = in_list || dash;
      std::string_view text = trim(line.text);
      if (dash) text = trim(text.substr(1));
      if (text.size() > 1 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
      }
      const std::size_t colon = text.find(':');
      const std::string_view field = text.substr(0, colon);
      if (dash && field == "name" && colon != npos) {
        name = trim(text.substr(colon + 1));
      } else if (!dash && field == "value" && !name.empty()) {
        add_pair(name + "=" + std::string(text.substr(colon + 1)), '=');
      } else if (dash) {
        add_pair(text, '=');
      } else if (!in_list) {
        add_pair(text, ':');
      }
    }
  }

  // Lines that begin with "- " under no key: a list of words, unless the items are sentences.
  bool bare_list() {
    if (open_ || !is_dash_item(lines_[index_]) || key_of(lines_[index_])) return false;
    Container bare;
    bare.begin = lines_[index_].offset;
    bare.command = read_list(index_);
    const bool words =
        std::all_of(bare.command.items.begin(), bare.command.items.end(), [](const Scalar& item) {
          return item.quoted || item.text.find_first_of(" \n") == std::string::npos;
        });
    if (words && bare.command.items.size() > 1) containers_.push_back(std::move(bare));
    return true;
  }

  Session& session_;
  std::string_view text_;
  std::vector<Line> lines_;
  std::size_t index_ = 0;
  std::size_t column_ = 0;
  bool open_ = false;
  Container current_;
  std::vector<Container> containers_;
};

// The key in front of a flow list: `"args": [`, `command=[`, `CMD [`.
std::string_view key_before(std::string_view text, std::size_t open) {
  constexpr std::size_t kLongest = 24;
  std::string_view head = text.substr(0, open);
  if (head.size() > kLongest) head = head.substr(head.size() - kLongest);
  const auto drop = [&head](std::string_view characters) {
    while (!head.empty() && characters.find(head.back()) != npos) head.remove_suffix(1);
  };
  drop(" \t");
  drop(":=");
  drop(" \t\"'");
  std::size_t begin = head.size();
  while (begin > 0 && is_name(head[begin - 1])) --begin;
  return head.substr(begin);
}

}  // namespace

std::size_t read_flow_list(Session& session, std::string_view text, std::size_t open,
                           std::vector<Scalar>& items) {
  std::size_t at = open + 1;
  const auto finish = [&](std::size_t end) {
    session.charge(std::min(at, text.size()) - open);
    return end;
  };
  while (!session.exhausted()) {
    at = skip_filler(text, at);
    if (at >= text.size()) return finish(npos);
    if (text[at] == ']') return finish(at + 1);
    Scalar item{"", at, false};
    const bool prefixed = (text[at] == 'f' || text[at] == 'r') && at + 1 < text.size() &&
                          (text[at + 1] == '"' || text[at + 1] == '\'');
    if (prefixed) ++at;
    if (text[at] == '"' || text[at] == '\'') {
      item.quoted = true;
      const std::size_t end = read_quoted(text, at, item.text);
      if (end == npos) {
        at = text.size();
        return finish(npos);
      }
      at = end;
    } else {
      const std::size_t end = read_plain_item(text, at, item.text);
      if (end == npos) return finish(npos);
      at = end;
    }
    items.push_back(std::move(item));
    at = skip_filler(text, at);
    if (at >= text.size()) return finish(npos);
    if (text[at] == ',') {
      ++at;
    } else if (text[at] != ']') {
      return finish(npos);
    }
  }
  return npos;
}

std::vector<Container> read_containers(Session& session, std::string_view text) {
  return ContainerReader(session, text).read();
}

std::vector<Container> read_flow_lists(Session& session, std::string_view text) {
  std::vector<Container> bare;
  Container keyed;
  bool any_keyed = false;
  for (std::size_t open = text.find('['); open != npos && !session.exhausted();) {
    Node node;
    node.is_list = true;
    const std::size_t end = read_flow_list(session, text, open, node.items);
    if (end == npos || node.items.size() < 2) {
      open = text.find('[', open + 1);
      continue;
    }
    const std::string_view key = key_before(text, open);
    Node* place = nullptr;
    if (key == "entrypoint" || key == "Entrypoint" || key == "ENTRYPOINT")
      place = &keyed.entrypoint;
    if (key == "command" || key == "cmd" || key == "Cmd" || key == "CMD") place = &keyed.command;
    if (key == "args" || key == "Args") place = &keyed.args;
    if (place != nullptr && place->items.empty()) {
      if (!any_keyed) keyed.begin = open;
      any_keyed = true;
      *place = std::move(node);
    } else {
      Container list;
      list.begin = open;
      list.expressions = true;
      list.command = std::move(node);
      bare.push_back(std::move(list));
    }
    open = text.find('[', end);
  }
  keyed.expressions = true;
  if (any_keyed) bare.insert(bare.begin(), std::move(keyed));
  return bare;
}

}  // namespace capsize::launch
