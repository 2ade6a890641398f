// What a certificate says: counts of members by outcome, law and precondition, and how parts merge.
#include "scenarios/sweep/certificate.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace capsize {
namespace {

bool any_law(const MemberState& state, std::size_t laws, LawVerdict verdict) {
  for (std::size_t law = 0; law < laws; ++law) {
    if (verdict_over_paths(state, law) == verdict) return true;
  }
  return false;
}

void count_member(SweepSummary& out, const MemberState& state, std::size_t laws,
                  std::uint64_t members) {
  out.judged += members;
  if (any_law(state, laws, LawVerdict::violation)) {
    out.violated += members;
  } else if (any_law(state, laws, LawVerdict::undecided) ||
             !any_law(state, laws, LawVerdict::pass)) {
    out.undecided += members;
  } else {
    out.passed += members;
  }
}

void count_law(LawCount& out, const MemberState& state, const StateCount& counted) {
  switch (verdict_over_paths(state, out.law)) {
    case LawVerdict::pass: out.passed += counted.members; return;
    case LawVerdict::undecided: out.undecided += counted.members; return;
    case LawVerdict::not_applicable: out.not_applicable += counted.members; return;
    case LawVerdict::violation: break;
  }
  out.failed += counted.members;
  out.first_failure = std::min(out.first_failure.value_or(counted.first), counted.first);
  for (std::size_t path = 0; path < kSweepPaths; ++path) {
    if (state.paths.at(path).of(out.law) != LawVerdict::violation) continue;
    PathFailures& on = out.failed_on.at(path);
    on.first = on.members == 0 ? counted.first : std::min(on.first, counted.first);
    on.members += counted.members;
  }
}

// A count for each law and each label, with a place for each path.
std::vector<LawCount> no_counts(const Certificate& certificate, std::size_t rules) {
  const std::vector<std::string>& names = certificate.state.tally.paths;
  std::vector<PathFailures> paths(kSweepPaths);
  for (std::size_t path = 0; path < kSweepPaths; ++path) {
    paths[path].path = path < names.size() ? names[path] : "path " + std::to_string(path + 1);
  }
  std::vector<LawCount> out;
  for (std::size_t law = 0; law < certificate.laws.size(); ++law) {
    for (std::size_t label = 0; label < rules; ++label) {
      out.push_back({.law = law, .rules = static_cast<std::uint16_t>(label), .failed_on = paths});
    }
  }
  return out;
}

std::vector<RemovedCount> removed_counts(const Tally& tally) {
  std::vector<RemovedCount> all(tally.preconditions.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i].why = tally.preconditions[i];
  for (const auto& [state, counted] : tally.states) {
    if (state.removed == 0) continue;
    RemovedCount& out = all[state.removed - 1U];
    out.first = out.members == 0 ? counted.first : std::min(out.first, counted.first);
    out.members += counted.members;
  }
  std::erase_if(all, [](const RemovedCount& each) { return each.members == 0; });
  std::ranges::sort(all, {}, [](const RemovedCount& each) {
    return std::pair<std::uint64_t, std::string_view>(each.first, each.why);
  });
  return all;
}

void count_graphs(SweepSummary& out, const Tally& tally, std::size_t rules) {
  for (std::size_t path = 0; path < tally.paths.size(); ++path) {
    for (std::size_t label = 0; label < rules; ++label) {
      GraphCount count{tally.paths[path], static_cast<std::uint16_t>(label), 0};
      for (const auto& [state, counted] : tally.states) {
        const bool on = (state.graphs >> path & 1U) != 0;
        if (state.removed == 0 && state.rules == label && on) count.members += counted.members;
      }
      out.graphs.push_back(std::move(count));
    }
  }
}

// The names of an axis's values are what a certificate is read with; their words are not part of
// it.
Universe names_of(const Universe& universe) {
  Universe out;
  out.name = universe.name;
  out.title = universe.title;
  out.engine = universe.engine;
  out.members = universe.members;
  out.digest = universe.digest;
  for (const Axis& axis : universe.axes) {
    Axis& named = out.axes.emplace_back();
    named.name = axis.name;
    for (const AxisValue& value : axis.values) named.values.push_back({.name = value.name});
  }
  return out;
}

}  // namespace

std::uint64_t SweepRun::members_a_second() const {
  // A file may say any two numbers; what they make fits an integer.
  constexpr double kMost = 1e18;
  if (seconds <= 0) return 0;
  return static_cast<std::uint64_t>(std::min(kMost, static_cast<double>(members) / seconds));
}

MemberRange Certificate::range() const {
  return range_of(shard.value_or(Shard{}), universe.members);
}

bool Certificate::complete() const { return state.done.missing({0, universe.members}).empty(); }

bool Certificate::finished() const { return state.done.missing(range()).empty(); }

void Certificate::count_distinct() {
  layouts = state.tally.layouts.size();
  triples = state.tally.triples.size();
}

std::string Certificate::text_of_member(std::uint64_t number) const {
  std::vector<std::int32_t> choices(universe.axes.size());
  universe.unrank(number, choices);
  return universe.text_of(choices);
}

Certificate empty_certificate(const Universe& universe, const std::optional<Condition>& where,
                              std::string_view program) {
  Certificate out;
  out.universe = names_of(universe);
  if (where) out.where = where->text();
  out.program = program;
  for (const Law* law : sweep_laws()) out.laws.emplace_back(law->name);
  return out;
}

LawVerdict verdict_over_paths(const MemberState& state, std::size_t law) {
  LawVerdict out = LawVerdict::not_applicable;
  for (const PathVerdicts& path : state.paths) {
    const LawVerdict verdict = path.of(law);
    if (verdict == LawVerdict::violation) return verdict;
    if (verdict == LawVerdict::undecided || out == LawVerdict::not_applicable) {
      out = out == LawVerdict::undecided ? out : verdict;
    }
  }
  return out;
}

std::vector<std::string> rules_of(const Universe& universe) {
  const auto axis = universe.axis("rules");
  if (!axis) return {""};
  std::vector<std::string> out;
  for (const AxisValue& value : universe.axes[*axis].values) out.push_back(value.name);
  return out;
}

SweepSummary summary_of(const Certificate& certificate) {
  const Tally& tally = certificate.state.tally;
  const std::size_t laws = certificate.laws.size();
  const std::size_t rules = rules_of(certificate.universe).size();
  SweepSummary out;
  out.laws = no_counts(certificate, rules);
  for (const auto& [state, counted] : tally.states) {
    if (state.removed != 0) {
      out.removed += counted.members;
      continue;
    }
    count_member(out, state, laws, counted.members);
    for (std::size_t law = 0; law < laws; ++law) {
      count_law(out.laws[law * rules + state.rules], state, counted);
    }
  }
  for (LawCount& law : out.laws) {
    std::erase_if(law.failed_on, [](const PathFailures& on) { return on.members == 0; });
  }
  out.preconditions = removed_counts(tally);
  count_graphs(out, tally, rules);
  if (out.violated > 0) {
    out.verdict = Verdict::violation;
  } else if (std::ranges::any_of(out.laws, [](const LawCount& law) { return law.passed > 0; })) {
    out.verdict = Verdict::pass;
  }
  return out;
}

bool same(const Certificate& a, const Certificate& b) {
  if (differs_from(a, b) || a.shard != b.shard || a.state.done != b.state.done ||
      a.layouts != b.layouts || a.triples != b.triples) {
    return false;
  }
  if (!a.complete()) return same(a.state.tally, b.state.tally);
  // One that was read back has no hashes any more.
  const auto without_hashes = [](Tally tally) {
    tally.layouts.clear();
    tally.triples.clear();
    return tally;
  };
  return same(without_hashes(a.state.tally), without_hashes(b.state.tally));
}

std::optional<Error> differs_from(const Certificate& part, const Certificate& whole) {
  const auto differs = [](std::string_view what, const std::string& here,
                          const std::string& there) {
    const auto shown = [](const std::string& text) { return text.empty() ? "none" : text; };
    return Error{"", std::string(what) + " is " + shown(here) + ", not " + shown(there), ""};
  };
  if (part.universe.name != whole.universe.name) {
    return differs("the universe", part.universe.name, whole.universe.name);
  }
  if (part.universe.digest != whole.universe.digest ||
      part.universe.members != whole.universe.members) {
    return differs("the digest of universe " + whole.universe.name, hex_of(part.universe.digest),
                   hex_of(whole.universe.digest));
  }
  if (part.where != whole.where) return differs("--where", part.where, whole.where);
  if (part.program != whole.program) return differs("the program", part.program, whole.program);
  if (part.laws != whole.laws) return Error{"", "it counts other laws", ""};
  return std::nullopt;
}

namespace {

// The members that a part shares with one before it.
std::optional<Error> overlap_of(std::span<const NamedCertificate> parts, std::size_t at) {
  for (std::size_t before = 0; before < at; ++before) {
    for (const MemberRange& range : parts[at].certificate.state.done.all()) {
      const auto shared = parts[before].certificate.state.done.shared_with(range);
      if (!shared) continue;
      return Error{"--merge",
                   text_of(*shared) + (shared->count() == 1 ? " is in " : " are in ") +
                       parts[before].name + " and " + parts[at].name,
                   "give each part once"};
    }
  }
  return std::nullopt;
}

std::optional<Error> hole_of(const Certificate& merged) {
  const auto missing = merged.state.done.missing({0, merged.universe.members});
  if (missing.empty()) return std::nullopt;
  std::string text;
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < std::min(missing.size(), kShown); ++i) {
    text.append(i == 0 ? "" : "; ").append(text_of(missing[i]));
    text.append(missing[i].count() == 1 ? " is in none" : " are in none");
  }
  if (missing.size() > kShown) {
    text += "; and " + std::to_string(missing.size() - kShown) + " more ranges";
  }
  return Error{"--merge", std::move(text),
               "give the missing parts too, or resume what is not done"};
}

}  // namespace

Result<Certificate> merge(std::span<const NamedCertificate> parts) {
  if (parts.empty()) {
    return tl::unexpected(
        Error{"--merge", "nothing to merge", "name the certificates of all parts"});
  }
  Certificate out = parts.front().certificate;
  out.shard.reset();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const Certificate& part = parts[i].certificate;
    if (auto differs = differs_from(part, out)) {
      differs->hint = "it was compared with " + parts.front().name +
                      "; merge parts of one sweep by one program";
      return tl::unexpected(std::move(*differs).within(parts[i].name));
    }
    if (auto overlap = overlap_of(parts, i)) return tl::unexpected(*std::move(overlap));
    for (const MemberRange& range : part.state.done.all()) (void)out.state.done.add(range);
    out.state.tally.add(part.state.tally);
    out.run.threads += part.run.threads;
    out.run.ranks = std::max(out.run.ranks, part.run.ranks);
    out.run.members += part.run.members;
    out.run.seconds = std::max(out.run.seconds, part.run.seconds);
  }
  if (auto hole = hole_of(out)) return tl::unexpected(*std::move(hole));
  // A part that is complete by itself has no hashes any more.
  const auto whole = std::ranges::find_if(
      parts, [](const NamedCertificate& part) { return part.certificate.complete(); });
  if (whole == parts.end()) {
    out.count_distinct();
  } else {
    out.layouts = whole->certificate.layouts;
    out.triples = whole->certificate.triples;
  }
  return out;
}

}  // namespace capsize
