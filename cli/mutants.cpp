// capsize mutants: planted faults of rules and laws, and the law that kills each.
#include <algorithm>
#include <array>
#include <memory>

#include "cli/command.hpp"
#include "properties/law.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/mutants/kill_table.hpp"
#include "scenarios/mutants/rule_mutants.hpp"

namespace capsize::cli {
namespace {

struct MutantOptions {
  std::string law;
  bool json = false;
};

using Cells = std::array<std::string, 5>;

std::string joined(const std::vector<std::string_view>& names) {
  std::string out;
  for (const std::string_view name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

Cells cells_of(const KillRow& row) {
  const PlantedFault& fault = *row.fault;
  const std::string killers = row.killed ? joined(row.killed_by) : "FAIL: " + row.wrong;
  return {std::string(fault.law), std::string(fault.name), fault.where, killers, row.smallest};
}

std::string line_of(const Cells& cells, const std::array<std::size_t, 5>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line.append(i == 0 ? "" : "  ").append(cells[i]);
    if (i + 1 < cells.size()) line.append(widths[i] - cells[i].size(), ' ');
  }
  while (line.ends_with(' ')) line.pop_back();
  return line + "\n";
}

std::string rendered(const std::vector<KillRow>& rows) {
  std::vector<Cells> lines = {{"# law", "mutant", "where", "killed by", "smallest case"}};
  for (const KillRow& row : rows) lines.push_back(cells_of(row));
  std::array<std::size_t, 5> widths{};
  for (const Cells& cells : lines) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  std::string out;
  for (const Cells& cells : lines) out += line_of(cells, widths);
  return out + summary(rows) + "\n";
}

std::string to_json(const std::vector<KillRow>& rows) {
  JsonWriter out;
  const auto killed = std::ranges::count(rows, true, &KillRow::killed);
  out.begin_object().field("schema", std::int64_t{1}).field("summary", summary(rows));
  out.field("faults", static_cast<std::int64_t>(rows.size()));
  out.field("killed", static_cast<std::int64_t>(killed));
  out.key("mutants").begin_array();
  for (const KillRow& row : rows) {
    out.next_line();
    out.begin_object().field("law", row.fault->law).field("mutant", row.fault->name);
    out.field("source", name_of(row.fault->source)).field("where", row.fault->where);
    out.field("killed", row.killed).key("killed_by").array(row.killed_by);
    out.field("smallest", row.smallest).field("blame", row.blame);
    out.field("wrong", row.wrong).end_object();
  }
  out.end_array().end_object();
  return std::move(out).text() + "\n";
}

int run_mutants(const MutantOptions& options) {
  const bool known =
      options.law.empty() || options.law == kConformance || find_law(options.law) != nullptr;
  if (!known) {
    std::string names;
    for (const Law* law : laws()) names.append(law->name).append(", ");
    Error error{"--law", "no law \"" + options.law + "\"",
                "the laws are " + names + "and " + std::string(kConformance) +
                    " for what the engine's own answers kill"};
    return fail(std::move(error), options.json);
  }
  const std::vector<KillRow> rows = kill_table(options.law);
  const std::string text = options.json ? to_json(rows) : rendered(rows);
  if (!print(text)) return kBadInput;
  if (rows.empty()) return exit_status(Verdict::undecided);
  const bool all = std::ranges::all_of(rows, &KillRow::killed);
  return exit_status(all ? Verdict::pass : Verdict::violation);
}

}  // namespace

Run add_mutants(CLI::App& app) {
  auto options = std::make_shared<MutantOptions>();
  app.add_option("--law", options->law, "only the faults that this law must kill");
  app.add_flag("--json", options->json, "one JSON object instead of the table");
  app.footer(
      "exit status: 0 all killed, each by the law that it names; 1 some are not; 2 bad input; 4 no "
      "fault is planted for that law");
  return [options] { return run_mutants(*options); };
}

}  // namespace capsize::cli
