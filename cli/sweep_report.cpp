// A certificate for people: what was looked at, what was removed, each law under each rules label,
// the smallest failures with a line to paste, and the verdict in the first line and in the last.
#include "cli/sweep_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/progress.hpp"
#include "scenarios/sweep/member_judge.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kSweepIndent = 11;

std::string verdict_line(const Certificate& c, const SweepSummary& summary, bool colour) {
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
  return fmt::format("{}  {}{}: {}\n", painted, c.universe.name, part, what);
}

class Report {
 public:
  Report(const Certificate& certificate, const ReportContext& context)
      : c_(certificate),
        context_(context),
        summary_(summary_of(certificate)),
        rules_(rules_of(c_.universe)) {}

  // The verdict stands first, for who reads from the top, and last, for who sees the end of a
  // terminal.
  std::string run(bool colour) {
    const std::string verdict = verdict_line(c_, summary_, colour);
    out_ = verdict + "\n";
    members();
    graphs();
    costs();
    removed();
    laws();
    failures();
    row("\ndigest", hex_of(c_.state.tally.sums.digest));
    out_ += context_.more;
    return out_ + "\n" + verdict;
  }

 private:
  void row(std::string_view label, std::string_view text) {
    const std::size_t breaks = label.starts_with('\n') ? 1 : 0;
    out_ += fmt::format("{:<{}}{}\n", label, kSweepIndent + breaks, text);
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
      rows.push_back({"", reason_of(each.why), grouped(each.members), std::to_string(each.first)});
    }
    rows.front().back() = "first member";
    out_ += "\n" + table(rows, {false, false, true, true});
  }

  // A refusal is "stage: file::function: message". The function is for whoever reads the engine,
  // and stands in the certificate.
  static std::string reason_of(std::string_view why) {
    const std::size_t function = why.find("::");
    const std::size_t stage = why.find(": ");
    if (function == std::string_view::npos || stage > function) return shortened(why);
    const std::size_t message = why.find(": ", function);
    if (message == std::string_view::npos) return shortened(why);
    return shortened(std::string(why.substr(0, stage)).append(why.substr(message)));
  }

  // One line of a text that may be long or have several.
  static std::string shortened(std::string_view text) {
    constexpr std::size_t kLongest = 90;
    std::string out(text.substr(0, text.find('\n')));
    if (out.size() <= kLongest && out.size() == text.size()) return out;
    if (out.size() > kLongest) out.resize(kLongest);
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U)
      out.pop_back();
    return out + "...";
  }

  void laws() {
    std::vector<std::vector<std::string>> rows = {
        {"", "law", "rules", "passed", "failed", "undecided", "n/a", "fails on"}};
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

  // A law that is broken on a path: under which rules, and the smallest member of the first of
  // them.
  struct Broken {
    std::size_t law = 0;
    std::string path;
    std::string rules;
    std::uint64_t member = 0;
  };

  [[nodiscard]] std::vector<Broken> broken() const {
    std::vector<Broken> out;
    for (const LawCount& each : summary_.laws) {
      for (const PathFailures& on : each.failed_on) {
        const auto known = std::ranges::find_if(out, [&](const Broken& before) {
          return before.law == each.law && before.path == on.path;
        });
        const std::string& label = rules_[each.rules];
        if (known == out.end()) {
          out.push_back({each.law, on.path, label, on.first});
        } else {
          known->rules.append(", ").append(label);
        }
      }
    }
    return out;
  }

  void failures() {
    const std::vector<Broken> all = broken();
    if (all.empty()) return;
    out_ += "\nsmallest failures\n";
    for (const Broken& each : all) {
      out_ += fmt::format("  {} on {}{}{}\n", c_.laws[each.law], each.path,
                          each.rules.empty() ? "" : " under rules ", each.rules);
      out_ += fmt::format("    member  {}: {}\n", each.member, c_.text_of_member(each.member));
      const std::string size = size_of(each);
      if (!size.empty()) out_ += fmt::format("    fails   at {}\n", size);
      out_ += fmt::format("    again   capsize sweep {} --member {}\n",
                          shell_quoted(context_.given), each.member);
    }
  }

  // The smallest count at which the member fails, as a check of it says: "4 tokens: reduce_scatter
  // over attn_tp". Nothing where the universe's words are not at hand.
  [[nodiscard]] std::string size_of(const Broken& broken) const {
    if (context_.universe == nullptr) return "";
    const CheckResult result = check(request_of(*context_.universe, broken.member));
    const auto found = std::ranges::find_if(result.findings, [&](const Finding& each) {
      return each.law == c_.laws[broken.law] && each.path == broken.path &&
             each.verdict == LawVerdict::violation && each.witness;
    });
    if (found == result.findings.end()) return "";
    const Witness& witness = *found->witness;
    const std::int64_t count = witness.requests.value_or(witness.tokens);
    std::string out = fmt::format("{} {}{}", count, witness.requests ? "request" : "token",
                                  count == 1 ? "" : "s");
    if (!witness.op.empty()) out.append(": ").append(witness.op);
    if (!witness.group.empty()) out.append(" over ").append(witness.group);
    return out;
  }

  const Certificate& c_;
  const ReportContext& context_;
  const SweepSummary summary_;
  const std::vector<std::string> rules_;
  std::string out_;
};

}  // namespace

std::string render(const Certificate& certificate, const ReportContext& context, bool colour) {
  return Report(certificate, context).run(colour);
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
