// A check for people: first the verdict, then the layout, what is captured and lost, what is
// broken and why, the way out, and a line to paste.
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kWrap = 100;
constexpr std::size_t kIndent = 17;
constexpr std::size_t kSizesShown = 8;

class Renderer {
 public:
  Renderer(const CheckResult& result, bool colour) : r_(result), colour_(colour) {}

  std::string run() {
    headline();
    for (const std::string& note : r_.notes) row("read", note);
    topology();
    for (const CapturePath& path : r_.plan.captures.paths) captures(path);
    if (r_.lifecycle) lifecycle(*r_.lifecycle);
    refusal();
    for (const std::string& reason : r_.undecided) row("undecided", reason);
    for (const std::string& reason : r_.plan.undecided) row("undecided", reason);
    undecided_laws();
    for (const Finding& finding : r_.findings) broken(finding);
    passed();
    if (r_.lifecycle) not_judged();
    list("assumed", r_.plan.assumed, "; ");
    list("cannot matter", r_.plan.ignored_flags, " ");
    out_ += "\n";
    row("again", r_.repro, false);
    return std::move(out_);
  }

 private:
  std::string painted(std::string_view text, std::string_view code) const {
    if (!colour_) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
  }

  void headline() {
    const auto [word, code] = [&]() -> std::pair<std::string_view, std::string_view> {
      switch (r_.verdict) {
        case Verdict::pass: return {"PASS", "1;32"};
        case Verdict::violation: return {"VIOLATION", "1;31"};
        case Verdict::refused: return {"REFUSED", "1;31"};
        case Verdict::bad_input: return {"BAD INPUT", "1;31"};
        case Verdict::undecided: break;
      }
      return {"UNDECIDED", "1;33"};
    }();
    if (r_.lifecycle) {
      out_ += fmt::format("{}  plan: {}\n\n", painted(word, code), sentence());
      return;
    }
    out_ += fmt::format("{}  {} at rules {}: {}\n\n", painted(word, code), r_.engine, r_.rules,
                        sentence());
  }

  std::string sentence() const {
    switch (r_.verdict) {
      case Verdict::pass:
        return r_.lifecycle ? "every law that can be judged from it holds"
                            : "this layout and its capture sizes fit together";
      case Verdict::refused: return "the engine would refuse this launch";
      case Verdict::undecided: return "what is known does not decide it";
      case Verdict::bad_input: return "nothing was checked";
      case Verdict::violation: break;
    }
    std::vector<std::string_view> laws;
    for (const Finding& finding : r_.findings) {
      if (finding.verdict != LawVerdict::violation) continue;
      if (std::ranges::find(laws, finding.law) == laws.end()) laws.push_back(finding.law);
    }
    return fmt::format("{} {} broken: {}", laws.size(), laws.size() == 1 ? "law is" : "laws are",
                       fmt::join(laws, ", "));
  }

  // One labelled row; long text wraps under itself. A line to paste never wraps.
  void row(std::string_view label, std::string_view text, bool wraps = true) {
    out_ += fmt::format("{:<{}}", label, kIndent);
    std::size_t column = kIndent;
    while (!text.empty()) {
      std::size_t end = text.find(' ');
      const std::string_view word = text.substr(0, end);
      if (wraps && column > kIndent && column + 1 + word.size() > kWrap) {
        out_ += "\n" + std::string(kIndent, ' ');
        column = kIndent;
      } else if (column > kIndent) {
        out_ += ' ';
        ++column;
      }
      out_ += word;
      column += word.size();
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    out_ += '\n';
  }

  void list(std::string_view label, const std::vector<std::string>& items,
            std::string_view between) {
    if (!items.empty()) row(label, fmt::format("{}", fmt::join(items, between)));
  }

  void topology() {
    const Deployment& d = r_.plan.deployment;
    if (d.sizes.empty()) return;
    const auto size = [&d](std::string_view name) {
      for (const auto& [key, value] : d.sizes) {
        if (key == name) return value;
      }
      return std::int64_t{0};
    };
    row("topology",
        fmt::format("{} ranks: tp {}, pp {} | attention: tp {}, cp {}, dp {} | experts: tp {}, "
                    "ep {}, dp {}",
                    size("tp") * size("pp"), size("tp"), size("pp"), size("attn_tp"),
                    size("attn_cp"), size("attn_dp"), size("moe_tp"), size("ep"), size("moe_dp")));
  }

  void lifecycle(const Lifecycle& plan) {
    std::string groups;
    for (const PlanGroups& family : plan.families) {
      groups += fmt::format("{}{} {}", groups.empty() ? "" : ", ", family.name,
                            family.groups.empty() ? 0 : family.groups.front().size());
    }
    row("topology", fmt::format("{} {}{}{}", plan.world, plan.world == 1 ? "rank" : "ranks",
                                groups.empty() ? "" : ": ranks a group: ", groups));
    for (const PlanCapture& capture : plan.captures) {
      const bool one = capture.kept.size() == 1;
      const std::string_view tokens = one ? "token count" : "token counts";
      const std::string_view requests = one ? "batch size" : "batch sizes";
      row(capture.path,
          fmt::format("{} {} captured: {}", capture.kept.size(),
                      capture.unit == Unit::tokens ? tokens : requests, sizes(capture.kept)));
    }
    row("events", events_text(plan));
  }

  // "1 create_group, 2 warm_up, 8 capture, 3 replay": in the order in which they first come.
  static std::string events_text(const Lifecycle& plan) {
    std::vector<std::pair<std::string_view, int>> counts;
    for (const PlanEvent& event : plan.events) {
      const auto known =
          std::ranges::find(counts, name_of(event.kind), &std::pair<std::string_view, int>::first);
      if (known == counts.end()) {
        counts.emplace_back(name_of(event.kind), 1);
      } else {
        ++known->second;
      }
    }
    std::string text;
    for (const auto& [name, count] : counts) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
    }
    return text.empty() ? "none" : text;
  }

  // Laws that say nothing of a plan: it lacks what they read, or another law owns the fault.
  void not_judged() {
    std::vector<std::string_view> silent;
    for (const Law* law : laws()) {
      bool judged = law->check_plan == nullptr;
      for (const Finding& f : r_.findings) {
        judged = judged || (f.law == law->name && f.verdict != LawVerdict::not_applicable);
      }
      if (!judged) silent.push_back(law->name);
    }
    if (!silent.empty()) row("not judged", fmt::format("{}", fmt::join(silent, ", ")));
    for (const Finding& f : r_.findings) {
      if (f.verdict != LawVerdict::not_applicable || f.see.empty()) continue;
      row("", fmt::format("{} on {}: see {}", f.law, plain(f.path), fmt::join(f.see, ", ")));
    }
  }

  static std::string sizes(std::vector<std::int64_t> values) {
    if (values.size() <= kSizesShown) return fmt::format("{}", fmt::join(values, ", "));
    const std::int64_t last = values.back();
    values.resize(kSizesShown - 2);
    return fmt::format("{} ... {}", fmt::join(values, ", "), last);
  }

  void captures(const CapturePath& path) {
    if (!path.enabled)
      return row(path.name, "no graphs, every batch runs eager: " + path.disabled_by);
    if (!path.undecided.empty()) return row(path.name, "undecided: " + path.undecided);
    const std::string_view unit = path.unit == Unit::tokens ? "token counts" : "batch sizes";
    row(path.name, path.kept.empty()
                       ? fmt::format("none of {} {} is kept", path.candidates.size(), unit)
                       : fmt::format("{} of {} {} kept: {}", kept_candidates(path),
                                     path.candidates.size(), unit, sizes(path.kept)));
    if (!path.rounded.empty()) {
      row("", fmt::format("{} rounded up to multiples of {}", path.rounded.size(),
                          path.filter.modulus));
    }
    row("", requirement(path));
    losses(path);
  }

  static std::size_t kept_candidates(const CapturePath& path) {
    if (path.filter.rounds) return path.kept.size();
    return path.candidates.size() - path.dropped.size();
  }

  static std::string requirement(const CapturePath& path) {
    const UsableSet& usable = path.step->requirement.usable;
    const std::string_view unit = path.unit == Unit::tokens ? "token count" : "batch size";
    std::string text;
    if (usable.empty_tail()) {
      text = fmt::format("the step can split no large {}", unit);
    } else if (usable.modulus() == 1) {
      text = fmt::format("the step can split every {}", unit);
    } else if (usable.modulus()) {
      text = fmt::format("the step can split multiples of {}", *usable.modulus());
    } else {
      text = fmt::format("the step can split {}s of residues {} mod {}", unit,
                         fmt::join(usable.residues(), ", "), usable.period());
    }
    if (const auto extra = usable.usable_exceptions(); !extra.empty()) {
      text += fmt::format(", and {}", sizes(extra));
    }
    if (const auto fewer = usable.unusable_exceptions(); !fewer.empty()) {
      text += fmt::format(", but not {}", sizes(fewer));
    }
    return text + fmt::format(" ({}, window {} + {})", name_of(usable.known()), usable.threshold(),
                              usable.period());
  }

  void losses(const CapturePath& path) {
    const auto loss = std::ranges::find(r_.losses, path.name, &PathLoss::path);
    if (loss == r_.losses.end()) return;
    std::vector<std::int64_t> lost;
    std::vector<std::int64_t> wasted;
    for (const LostSize& one : loss->lost) {
      lost.push_back(one.size);
      if (one.usable) wasted.push_back(one.size);
    }
    if (!lost.empty()) {
      row("", fmt::format("lost {}: {}{}", lost.size(), sizes(lost),
                          wasted.empty()
                              ? "; none of them is waste"
                              : fmt::format("; wasted {}: {}", wasted.size(), sizes(wasted))));
    }
    if (!path.candidates.empty() && !path.kept.empty()) {
      const std::int64_t asked = std::ranges::max(path.candidates);
      const std::int64_t top = std::ranges::max(path.kept);
      if (top < asked) row("", fmt::format("the largest kept is {} of {}", top, asked));
    }
    for (const EagerInterval& interval : loss->eager) {
      row("", fmt::format("{} to {} {} run eager", interval.from, interval.to,
                          path.unit == Unit::tokens ? "tokens" : "requests"));
    }
  }

  void refusal() {
    if (!r_.plan.refusal) return;
    const Refusal& refusal = *r_.plan.refusal;
    out_ += "\n";
    row("refused by", fmt::format("{} ({})", refusal.rule, name_of(refusal.stage)));
    row("its text", refusal.text
                        ? "\"" + *refusal.text + "\""
                        : std::string("none is known: it dies on an assertion without one"));
    if (!refusal.hint.empty()) row("way out", refusal.hint);
  }

  void undecided_laws() {
    std::vector<std::string> told;
    for (const Finding& finding : r_.findings) {
      if (finding.verdict != LawVerdict::undecided) continue;
      std::string line = fmt::format("{}: {}", finding.path, finding.reason);
      if (std::ranges::find(told, line) == told.end()) told.push_back(std::move(line));
    }
    for (const std::string& line : told) row("undecided", line);
  }

  static std::string tokens(std::int64_t count) {
    return fmt::format("{} {}", count, count == 1 ? "token" : "tokens");
  }

  static std::string counted(const Witness& witness) {
    if (!witness.requests) return tokens(witness.tokens);
    return fmt::format("{} requests ({})", *witness.requests, tokens(witness.tokens));
  }

  void broken(const Finding& finding) {
    if (finding.verdict != LawVerdict::violation) return;
    out_ += "\n";
    row("broken", fmt::format("{}{}: {}", finding.law,
                              finding.path.empty() ? "" : " on " + plain(finding.path),
                              find_law(finding.law)->statement));
    if (finding.witness) {
      const Witness& w = *finding.witness;
      std::string text = counted(w);
      if (w.layer) text += fmt::format(", layer {}", *w.layer);
      if (!w.op.empty()) text += fmt::format(", {}", w.op);
      if (!w.group.empty()) text += fmt::format(" over {} of {}", w.group, w.group_size);
      if (w.rank) text += fmt::format(", seen on rank {}", *w.rank);
      if (!w.buffer.empty()) text += fmt::format(", buffer {}", w.buffer);
      if (!w.key.empty()) text += fmt::format(", key {}", w.key);
      if (w.event_index) text += fmt::format(" (event {}: {})", *w.event_index, w.event);
      row("  smallest", text);
    }
    if (finding.first_in_time) {
      row("  first in time", fmt::format("{}, {}", tokens(finding.first_in_time->tokens),
                                         event_text(finding.first_in_time->event)));
    }
    row("  shows as", symptom_text(finding.symptom));
    row("  because", finding.blame);
    if (!finding.reason.empty()) row("", finding.reason);
    if (!finding.rule.empty()) row("  rule", finding.rule);
    const std::string_view tried = r_.lifecycle ? "" : " (tried: passes)";
    for (const std::string& repair : finding.repair)
      row("  way out", fmt::format("{}{}", repair, tried));
    if (!finding.see.empty()) row("  see", fmt::format("{}", fmt::join(finding.see, ", ")));
    if (finding.repair.empty() && r_.verdict == Verdict::violation && !r_.lifecycle)
      row("  way out", "none of the changes that were tried passes");
  }

  static std::string event_text(std::string_view event) {
    if (event == "warm_up") return "at warm-up, before any capture";
    if (event == "compile") return "in the compile pass, before any capture";
    if (event == "eager") return "when such a batch arrives";
    if (event == "replay") return "when its graph is replayed";
    if (event == "register") return "when addresses are exchanged";
    if (event == "create_group") return "when the group is made";
    if (event == "allocate" || event == "free") return "when the buffer is allocated or freed";
    return "when it is captured";
  }

  std::string symptom_text(Symptom symptom) const {
    switch (symptom) {
      case Symptom::none: return "no failure is known to follow";
      case Symptom::clean_error: return "a clean error";
      case Symptom::hang:
        return r_.lifecycle ? "a hang" : "a hang (the library does not check counts here)";
      case Symptom::silent_corruption: return "wrong rows, without a word";
      case Symptom::refused: return "a refusal";
      case Symptom::silent_eager: return "slow eager batches, without a word";
    }
    return "";
  }

  // One row a law: the paths on which it holds, grouped by how that is known.
  void passed() {
    out_ += "\n";
    std::string_view label = "laws that hold";
    for (const Law* law : laws()) {
      std::string text;
      for (const Known known : {Known::proved, Known::exhausted, Known::sampled, Known::observed}) {
        std::vector<std::string> paths;
        for (const Finding& f : r_.findings) {
          const bool here = f.law == law->name && f.known == known;
          if (here && f.verdict == LawVerdict::pass) paths.push_back(plain(f.path));
        }
        if (paths.empty()) continue;
        text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", fmt::join(paths, ", "),
                            name_of(known));
      }
      if (text.empty()) continue;
      row(label, fmt::format("{}: {}", law->name, text));
      label = "";
    }
    for (const Finding& f : r_.findings) {
      if (f.verdict != LawVerdict::pass || f.reason.empty()) continue;
      row("", fmt::format("note, {} on {}: {}", f.law, plain(f.path), f.reason));
    }
  }

  // Path names as words: eager_prefill is "eager prefill". What concerns no path has none.
  static std::string plain(std::string_view path) {
    if (path.empty()) return "the whole plan";
    std::string text(path);
    std::ranges::replace(text, '_', ' ');
    return text;
  }

  const CheckResult& r_;
  bool colour_;
  std::string out_;
};

}  // namespace

std::string render(const CheckResult& result, bool colour) {
  return Renderer(result, colour).run();
}

}  // namespace capsize::cli
