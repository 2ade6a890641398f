// A certificate for people: first the verdict, then what was looked at, what was removed, each law
// under each rules label, and the smallest failures with a line to paste.
#include "cli/sweep_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "cli/progress.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kIndent = 11;

std::string headline_of(const Certificate& c, const SweepSummary& summary, bool colour) {
  const auto [word, code] = [&]() -> std::pair<std::string_view, std::string_view> {
    if (summary.verdict == Verdict::violation) return {"VIOLATION", "1;31"};
    if (summary.verdict == Verdict::pass) return {"PASS", "1;32"};
    return {"UNDECIDED", "1;33"};
  }();
  std::string what = "no member was judged";
  if (summary.verdict == Verdict::violation) {
    what = fmt::format("{} of {} members that were judged break a law", grouped(summary.violated),
                       grouped(summary.judged));
  } else if (summary.verdict == Verdict::pass) {
    what = fmt::format("none of {} members that were judged breaks a law", grouped(summary.judged));
  } else if (summary.judged > 0) {
    what = fmt::format("no law could be decided for any of {} members", grouped(summary.judged));
  }
  const std::string part = c.complete() ? "" : ", in part";
  const std::string painted =
      colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, word) : std::string(word);
  return fmt::format("{}  {}{}: {}\n\n", painted, c.universe.name, part, what);
}

class Report {
 public:
  Report(const Certificate& certificate, const std::string& given)
      : c_(certificate),
        given_(given),
        summary_(summary_of(certificate)),
        rules_(rules_of(c_.universe)) {}

  std::string run(bool colour) {
    out_ = headline_of(c_, summary_, colour);
    members();
    graphs();
    costs();
    removed();
    laws();
    failures();
    row("\ndigest", hex_of(c_.state.tally.sums.digest));
    return std::move(out_);
  }

 private:
  void row(std::string_view label, std::string_view text) {
    const std::size_t breaks = label.starts_with('\n') ? 1 : 0;
    out_ += fmt::format("{:<{}}{}\n", label, kIndent + breaks, text);
  }

  void members() {
    const std::uint64_t covered = c_.state.done.count();
    std::string text = grouped(covered);
    if (!c_.complete()) {
      text += " of " + grouped(c_.universe.members) + ":";
      constexpr std::size_t kShown = 3;
      const auto ranges = c_.state.done.all();
      for (std::size_t i = 0; i < std::min(kShown, ranges.size()); ++i) {
        text.append(i == 0 ? " " : ", ").append(text_of(ranges[i]));
      }
      if (ranges.size() > kShown) text += " and more";
    }
    row("members", text);
    if (!c_.where.empty()) {
      row("where", fmt::format("{}: leaves {} out", c_.where, grouped(c_.state.tally.left_out)));
    }
    row("judged", fmt::format("{}: {} pass, {} break a law, {} undecided", grouped(summary_.judged),
                              grouped(summary_.passed), grouped(summary_.violated),
                              grouped(summary_.undecided)));
    row("distinct", fmt::format("{} layouts; {} triples of list, filter and usable set",
                                grouped(c_.layouts), grouped(c_.triples)));
  }

  void graphs() {
    std::string text;
    for (std::size_t path = 0; path < c_.state.tally.paths.size(); ++path) {
      std::uint64_t members = 0;
      for (const GraphCount& each : summary_.graphs) {
        if (each.path == c_.state.tally.paths[path]) members += each.members;
      }
      if (members == 0) continue;
      text.append(text.empty() ? "" : ", ").append(c_.state.tally.paths[path]);
      text += fmt::format(" for {} members", grouped(members));
    }
    row("graphs", text.empty() ? "none" : text);
  }

  void costs() {
    const SweepSums& sums = c_.state.tally.sums;
    row("lost", fmt::format("{} sizes that were asked for; {} of them usable; {} padded tokens",
                            grouped(sums.lost), grouped(sums.waste), grouped(sums.padded)));
  }

  void removed() {
    row("removed", grouped(summary_.removed));
    if (summary_.preconditions.empty()) return;
    std::vector<std::vector<std::string>> rows = {{"", "removed by", "members", "first"}};
    for (const RemovedCount& each : summary_.preconditions) {
      rows.push_back({"", shortened(each.why), grouped(each.members),
                      std::to_string(each.first) + ": " + c_.text_of_member(each.first)});
    }
    out_ += "\n" + table(rows, {false, false, true, false});
  }

  // One line of a text that may be long or have several.
  static std::string shortened(std::string_view text) {
    constexpr std::size_t kLongest = 72;
    std::string out(text.substr(0, text.find('\n')));
    if (out.size() <= kLongest && out.size() == text.size()) return out;
    if (out.size() > kLongest) out.resize(kLongest);
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U)
      out.pop_back();
    return out + "...";
  }

  void laws() {
    std::vector<std::vector<std::string>> rows = {
        {"", "law", "rules", "passed", "failed", "undecided", "not asked", "fails on"}};
    for (const LawCount& each : summary_.laws) {
      if (each.passed + each.failed + each.undecided == 0) continue;
      std::string paths;
      for (const PathFailures& on : each.failed_on) {
        paths += fmt::format("{}{} {}", paths.empty() ? "" : ", ", on.path, grouped(on.members));
      }
      rows.push_back({"", c_.laws[each.law], rules_[each.rules].empty() ? "-" : rules_[each.rules],
                      grouped(each.passed), grouped(each.failed), grouped(each.undecided),
                      grouped(each.not_applicable), paths.empty() ? "-" : paths});
    }
    if (rows.size() == 1) return;
    out_ += "\n" + table(rows, {false, false, false, true, true, true, true, false});
  }

  // Members that fail first, with what they break.
  void failures() {
    std::map<std::uint64_t, std::string> broken;
    for (const LawCount& each : summary_.laws) {
      for (const PathFailures& on : each.failed_on) {
        std::string& laws = broken[on.first];
        laws += fmt::format("{}{} on {}", laws.empty() ? "" : ", ", c_.laws[each.law], on.path);
      }
    }
    if (broken.empty()) return;
    out_ += "\nsmallest failures\n";
    for (const auto& [member, laws] : broken) {
      out_ += fmt::format("  member {}: {}\n    {}\n", member, laws, c_.text_of_member(member));
      out_ +=
          fmt::format("    again: capsize sweep {} --member {}\n", shell_quoted(given_), member);
    }
  }

  const Certificate& c_;
  const std::string& given_;
  const SweepSummary summary_;
  const std::vector<std::string> rules_;
  std::string out_;
};

}  // namespace

std::string render(const Certificate& certificate, const std::string& given, bool colour) {
  return Report(certificate, given).run(colour);
}

std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& right) {
  std::vector<std::size_t> widths(right.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - row[i].size(), ' ');
      line.append(i == 0 ? "" : "  ").append(right[i] ? blanks : "").append(row[i]);
      if (!right[i]) line.append(blanks);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace capsize::cli
