// capsize_flag_table IN.json OUT.cpp
// Turns the option table of SGLang's command line (flags.json) into constant C++ tables
// (flag_table.hpp), once at build time: reading JSON at every start would cost more than a verdict.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sim/engines/sglang/flags/flag_table.hpp"

namespace {

using capsize::sglang::flag_table::hash_of;
using capsize::sglang::flag_table::no_row;
using Json = nlohmann::ordered_json;

// A C++ string literal. Everything in the table is ASCII; other bytes would be escaped.
std::string literal(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      constexpr std::string_view digits = "01234567";
      out += {'\\', digits[byte >> 6U], digits[(byte >> 3U) & 7U], digits[byte & 7U]};
    }
  }
  return out + '"';
}

// Numbers among the choices become their text: the parser compares texts.
std::vector<std::string> texts_of(const Json& list) {
  std::vector<std::string> out;
  for (const Json& item : list) {
    out.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  }
  return out;
}

// Writes each distinct list once and hands out the names of the arrays.
class ListPool {
 public:
  explicit ListPool(std::ostream& out, std::string type, std::string prefix)
      : out_(out), type_(std::move(type)), prefix_(std::move(prefix)) {}

  std::string name_of(const std::vector<std::string>& items) {
    if (items.empty()) return "{}";
    std::string body;
    for (const std::string& item : items) body += item + ", ";
    const auto [at, fresh] = seen_.try_emplace(body, prefix_ + std::to_string(seen_.size()));
    if (fresh) out_ << "constexpr " << type_ << " " << at->second << "[] = {" << body << "};\n";
    return at->second;
  }

 private:
  std::ostream& out_;
  std::string type_;
  std::string prefix_;
  std::map<std::string, std::string> seen_;
};

struct Table {
  std::vector<std::string> releases;
  std::vector<Json> rows;  // those of the file, then -h/--help
};

std::size_t release_at(const Table& table, const std::string& name) {
  for (std::size_t i = 0; i < table.releases.size(); ++i) {
    if (table.releases[i] == name) return i;
  }
  throw std::runtime_error("no such release in the header: " + name);
}

std::string arity_of(const Json& row) {
  const Json arity = row.value("arity", Json(1));
  if (arity == 0) return "Arity::none";
  if (arity == 1) return "Arity::one";
  if (arity == "?") return "Arity::optional";
  if (arity == "*") return "Arity::any";
  if (arity == "+") return "Arity::some";
  throw std::runtime_error("unknown arity: " + arity.dump());
}

std::string type_of(const Json& row) {
  const bool boolean = row.value("arity", Json(1)) == 0;
  const std::string type = row.value("type", boolean ? "bool" : "str");
  if (type == "bool") return "FlagType::boolean";
  if (type == "int") return "FlagType::integer";
  if (type == "float") return "FlagType::real";
  if (type == "str") return "FlagType::text";
  if (type == "choice") return "FlagType::choice";
  if (type == "json") return "FlagType::json";
  throw std::runtime_error("unknown type: " + type);
}

std::string json_reader_of(const Json& row) {
  const std::string parsed = row.value("parsed", "");
  if (parsed == "loads") return "JsonReader::loads";
  return parsed == "json_list" ? "JsonReader::list" : "JsonReader::none";
}

std::string dest_of(const Json& row) {
  if (row.contains("dest")) return row["dest"];
  std::string dest = row["flags"][0].get<std::string>().substr(2);
  for (char& c : dest) c = c == '-' ? '_' : c;
  return dest;
}

// "tp_size" and "incremental_streaming_output=true" name a field (and a constant); anything else
// ("(no effect)", two fields at once) leaves the option in its own field.
std::pair<std::string, std::string> field_of(const Json& row) {
  const std::string alias = row.value("alias_of", "");
  constexpr std::string_view word = "abcdefghijklmnopqrstuvwxyz0123456789_";
  const std::size_t end = std::min(alias.find_first_not_of(word), alias.size());
  if (end == 0) return {dest_of(row), ""};
  if (end == alias.size()) return {alias, ""};
  const bool constant = alias[end] == '=' && end + 1 < alias.size() &&
                        alias.find_first_not_of(word, end + 1) == std::string::npos;
  if (constant) return {alias.substr(0, end), alias.substr(end + 1)};
  return {dest_of(row), ""};
}

std::vector<std::string> literals(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) out.push_back(literal(text));
  return out;
}

void write_row(std::ostream& out, const Table& table, const Json& row, ListPool& lists) {
  const auto [field, field_value] = field_of(row);
  const auto boolean = [&](const char* key) { return row.value(key, false) ? "true" : "false"; };
  const Json retired = row.value("retired", Json::object());
  std::string retired_value;
  std::string retired_text;
  for (const auto& [value, text] : retired.items()) {
    retired_value = value;
    retired_text = text;
  }
  out << "    FlagRow{.names = " << lists.name_of(literals(texts_of(row["flags"])))
      << ", .dest = " << literal(dest_of(row)) << ", .field = " << literal(field)
      << ", .field_value = " << literal(field_value) << ", .arity = " << arity_of(row)
      << ", .type = " << type_of(row) << ", .json_reader = " << json_reader_of(row)
      << ", .choices = " << lists.name_of(literals(texts_of(row.value("choices", Json::array()))))
      << ", .default_value = " << literal(row.value("default", Json()).dump())
      << ", .alias_of = " << literal(row.value("alias_of", ""))
      << ", .refused_text = " << literal(row.value("refused", ""))
      << ", .retired_value = " << literal(retired_value)
      << ", .retired_text = " << literal(retired_text)
      << ", .int_suffix = " << boolean("int_suffix") << ", .negatable = " << boolean("negatable")
      << ", .required = " << boolean("required")
      << ", .affects_layout = " << boolean("affects_layout")
      << ", .deprecated = " << boolean("deprecated")
      << ", .since = " << release_at(table, row["since"])
      << ", .until = " << release_at(table, row["until"]) << "},\n";
}

void write_rows(std::ostream& out, const Table& table) {
  ListPool lists(out, "std::string_view", "kTexts");
  std::ostringstream body;
  for (const Json& row : table.rows) write_row(body, table, row, lists);
  out << "constexpr FlagRow kRows[] = {\n" << body.str() << "};\n";
}

struct NameRow {
  std::vector<std::uint16_t> rows;
  std::vector<std::uint16_t> positions;
};

// For every option string: which row it belongs to and where it stands, release by release.
std::map<std::string, NameRow> names_of(const Table& table) {
  std::map<std::string, NameRow> names;
  for (std::size_t release = 0; release < table.releases.size(); ++release) {
    std::map<std::size_t, std::size_t> in_order;  // place of the option -> row
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      const std::size_t since = release_at(table, table.rows[i]["since"]);
      if (release < since || release > release_at(table, table.rows[i]["until"])) continue;
      const bool help = i + 1 == table.rows.size();
      const std::size_t place =
          help ? 0 : table.rows[i]["order"].at(release - since).get<std::size_t>() + 1;
      if (!in_order.emplace(place, i).second) throw std::runtime_error("two rows at one place");
    }
    std::uint16_t position = 0;
    for (const auto& [place, row] : in_order) {
      for (const std::string& text : texts_of(table.rows[row]["flags"])) {
        NameRow& name = names[text];
        name.rows.resize(table.releases.size(), no_row);
        name.positions.resize(table.releases.size(), no_row);
        if (name.rows[release] != no_row) throw std::runtime_error("option twice: " + text);
        name.rows[release] = static_cast<std::uint16_t>(row);
        name.positions[release] = position++;
      }
    }
  }
  return names;
}

std::vector<std::string> numbers(const std::vector<std::uint16_t>& values) {
  std::vector<std::string> out;
  out.reserve(values.size());
  for (const std::uint16_t value : values) out.push_back(std::to_string(value));
  return out;
}

void write_names(std::ostream& out, const std::map<std::string, NameRow>& names) {
  ListPool lists(out, "std::uint16_t", "kNumbers");
  std::ostringstream body;
  std::size_t slot_count = 1;
  while (slot_count < 4 * names.size()) slot_count *= 2;
  std::vector<std::uint16_t> slots(slot_count, no_row);
  std::uint16_t index = 0;
  for (const auto& [text, name] : names) {
    body << "    Name{" << literal(text) << ", " << lists.name_of(numbers(name.rows)) << ", "
         << lists.name_of(numbers(name.positions)) << "},\n";
    std::size_t slot = hash_of(text) & (slot_count - 1);
    while (slots[slot] != no_row) slot = (slot + 1) & (slot_count - 1);
    slots[slot] = index++;
  }
  out << "constexpr Name kNames[] = {\n" << body.str() << "};\n";
  out << "constexpr std::uint16_t kSlots[] = {";
  for (const std::uint16_t slot : slots) out << slot << ", ";
  out << "};\n";
}

void write_successors(std::ostream& out, const Json& successors) {
  const auto text = [](const Json& entry, const char* key) {
    return literal(entry.contains(key) && entry[key].is_string() ? entry[key].get<std::string>()
                                                                 : std::string());
  };
  out << "constexpr Successor kSuccessors[] = {\n";
  for (const Json& entry : successors) {
    out << "    Successor{" << text(entry, "old") << ", " << text(entry, "gone") << ", "
        << text(entry, "use") << ", " << text(entry, "note") << "},\n";
  }
  out << "};\n";
}

void write_required(std::ostream& out, const Table& table) {
  out << "constexpr std::uint16_t kRequired[] = {";
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (table.rows[i].value("required", false)) out << i << ", ";
  }
  out << "};\n";
}

void write_table(std::ostream& out, const Json& file) {
  Table table;
  table.releases = texts_of(file.at("releases"));
  for (const Json& row : file.at("flags")) table.rows.push_back(row);
  table.rows.push_back({{"flags", {"-h", "--help"}},
                        {"dest", "help"},
                        {"arity", 0},
                        {"since", table.releases.front()},
                        {"until", table.releases.back()}});
  out << "// Made by capsize_flag_table from flags.json; edit that file instead.\n"
         "#include \"sim/engines/sglang/flags/flag_table.hpp\"\n\n"
         "namespace capsize::sglang::flag_table {\n\nnamespace {\n\n";
  out << "constexpr std::string_view kReleases[] = {";
  for (const std::string& release : literals(table.releases)) out << release << ", ";
  out << "};\n";
  write_rows(out, table);
  write_names(out, names_of(table));
  write_required(out, table);
  write_successors(out, file.at("successors"));
  out << "\n}  // namespace\n\n"
         "constinit const std::span<const std::string_view> release_names{kReleases};\n"
         "constinit const std::span<const FlagRow> rows{kRows};\n"
         "constinit const std::span<const Name> names{kNames};\n"
         "constinit const std::span<const std::uint16_t> slots{kSlots};\n"
         "constinit const std::span<const Successor> successors{kSuccessors};\n"
         "constinit const std::span<const std::uint16_t> required_rows{kRequired};\n"
         "constinit const std::uint16_t help_row = "
      << table.rows.size() - 1 << ";\n\n}  // namespace capsize::sglang::flag_table\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: capsize_flag_table IN.json OUT.cpp\n";
    return 2;
  }
  try {
    std::ifstream in(argv[1]);
    if (!in) throw std::runtime_error("cannot read it");
    const Json file = Json::parse(in);
    std::ofstream out(argv[2]);
    write_table(out, file);
    out.flush();
    if (!out) throw std::runtime_error(std::string("cannot write ") + argv[2]);
  } catch (const std::exception& problem) {
    std::cerr << argv[1] << ": " << problem.what() << "\n";
    return 2;
  }
  return 0;
}
