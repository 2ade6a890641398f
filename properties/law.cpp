#include "properties/law.hpp"

#include <algorithm>

namespace capsize {
std::string_view name_of(LawVerdict verdict) {
  switch (verdict) {
    case LawVerdict::pass: return "pass";
    case LawVerdict::violation: return "violation";
    case LawVerdict::not_applicable: return "not_applicable";
    case LawVerdict::undecided: return "undecided";
  }
  return "pass";
}

const Law* find_law(std::string_view name) {
  for (const Law* law : laws()) {
    if (law->name == name) return law;
  }
  return nullptr;
}

namespace {

void add_findings(const Law& law, const Subject& subject, std::vector<Finding>& findings) {
  const auto add = [&](std::string_view path, Finding finding) {
    finding.law = law.name;
    finding.path = path;
    findings.push_back(std::move(finding));
  };
  if (law.check_path != nullptr) {
    for (const CapturePath& path : subject.captures.paths) {
      auto none = not_judged(law, path);
      add(path.name, none ? *std::move(none) : law.check_path(subject, path));
    }
  }
  if (law.check_eager != nullptr) {
    for (const EagerPath& path : subject.captures.eager) {
      add(path.name, law.check_eager(subject, path));
    }
  }
}

}  // namespace

std::vector<Finding> judge(const Law& law, const Subject& subject) {
  std::vector<Finding> findings;
  add_findings(law, subject, findings);
  return findings;
}

std::vector<Finding> judge(const Subject& subject) {
  std::vector<Finding> findings;
  findings.reserve(laws().size() * subject.captures.paths.size() + subject.captures.eager.size());
  for (const Law* law : laws()) add_findings(*law, subject, findings);
  return findings;
}

std::optional<Finding> not_judged(const Law& law, const CapturePath& path) {
  if (!path.enabled) {
    return Finding{.verdict = LawVerdict::not_applicable,
                   .reason = "no graphs on this path: " + path.disabled_by};
  }
  if (!path.undecided.empty()) {
    return Finding{.verdict = LawVerdict::undecided, .reason = path.undecided};
  }
  // A filter that empties its list is at fault; a list that was empty before shows nothing.
  const bool judged = law.judges_empty_lists && !path.candidates.empty();
  if (path.kept.empty() && !judged) {
    return Finding{.verdict = LawVerdict::undecided, .reason = "no size is captured"};
  }
  return std::nullopt;
}

Witness witness_at(const CapturePath& path, std::int64_t size) {
  Witness witness{.tokens = path.tokens_of(size).value};
  if (path.unit == Unit::requests) witness.requests = size;
  return witness;
}

}  // namespace capsize
