#include "scenarios/agree/agreement.hpp"

#include <algorithm>
#include <map>

namespace capsize {
namespace {

using SizeKey = std::pair<std::string, std::int64_t>;

std::string line_of(const EventObservation& event) {
  std::string out = std::string(name_of(event.kind)) + " of " + std::to_string(event.tokens);
  if (event.place) out += ": " + text_of(*event.place);
  return event.text.empty() ? out : out + ": " + event.text;
}

bool is_of_a_graph(const EventObservation& event) {
  return event.kind == PlanEventKind::warm_up || event.kind == PlanEventKind::capture ||
         event.kind == PlanEventKind::replay;
}

void add_member(Agreement& out, const AgreeMember& member) {
  ++out.members;
  out.left_out += member.left_out;
  out.unjudged += member.unjudged;
  switch (member.fate) {
    case MemberFate::executed: ++out.executed; break;
    case MemberFate::broken: out.errors.emplace_back(member.number, *member.error); break;
    case MemberFate::refused: ++out.refused; break;
    case MemberFate::undecided: ++out.undecided; break;
    case MemberFate::without_graphs: ++out.without_graphs; break;
  }
}

void add_size(Agreement& out, const AgreeMember& member, const PredictedSize& predicted,
              const std::map<SizeKey, const ObservedSize*>& seen) {
  const auto found = seen.find({predicted.path, predicted.rows});
  if (found == seen.end()) {
    ++out.unseen;
    return;
  }
  const ObservedSize& observed = *found->second;
  if (observed.died) {
    if (out.died++ == 0) out.death = observed.text;
    return;
  }
  ++out.sizes[static_cast<std::size_t>(predicted.symptom)]
             [static_cast<std::size_t>(observed.symptom)];
  if (observed.symptom == predicted.symptom) return;
  out.disagreements.push_back({member.number, predicted, observed.symptom, observed.text});
}

}  // namespace

std::string word_of(Symptom symptom) {
  return symptom == Symptom::none ? "ok" : std::string(name_of(symptom));
}

JobOutcome outcome_of(const Result<Observation>& seen) {
  JobOutcome out;
  if (!seen) {
    out.error = seen.error();
    return out;
  }
  std::map<SizeKey, std::size_t> places;
  for (const EventObservation& event : seen->events) {
    if (!is_of_a_graph(event) || event.skipped) continue;
    ++out.events;
    out.replays += event.kind == PlanEventKind::replay ? 1U : 0U;
    out.operations += static_cast<std::uint64_t>(event.operations);
    const auto [place, is_new] = places.try_emplace({event.path, event.bucket}, out.sizes.size());
    if (is_new) out.sizes.push_back({event.path, event.bucket});
    ObservedSize& size = out.sizes[place->second];
    if (size.symptom != Symptom::none || event.symptom == Symptom::none) continue;
    size.symptom = event.symptom;
    size.text = line_of(event);
    size.died = dead_rank(event) != nullptr;
  }
  return out;
}

std::uint64_t Agreement::compared() const {
  std::uint64_t out = 0;
  for (const auto& row : sizes) {
    for (const std::uint64_t each : row) out += each;
  }
  return out;
}

std::uint64_t Agreement::agreed() const {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < kSymptomCount; ++i) out += sizes[i][i];
  return out;
}

std::uint64_t Agreement::agreed_on_fit() const {
  std::uint64_t out = count(Symptom::none, Symptom::none);
  for (std::size_t i = 1; i < kSymptomCount; ++i) {
    for (std::size_t j = 1; j < kSymptomCount; ++j) out += sizes[i][j];
  }
  return out;
}

std::uint64_t Agreement::predicted_to_fit() const {
  std::uint64_t out = 0;
  for (const std::uint64_t each : sizes[static_cast<std::size_t>(Symptom::none)]) out += each;
  return out;
}

Agreement agreement_of(const AgreePlan& plan, const std::vector<JobOutcome>& outcomes) {
  Agreement out;
  out.jobs = plan.jobs.size();
  std::vector<std::map<SizeKey, const ObservedSize*>> seen(outcomes.size());
  for (std::size_t job = 0; job < outcomes.size(); ++job) {
    out.events += outcomes[job].events;
    out.replays += outcomes[job].replays;
    out.operations += outcomes[job].operations;
    for (const ObservedSize& size : outcomes[job].sizes) {
      seen[job].emplace(SizeKey{size.path, size.rows}, &size);
    }
  }
  for (const AgreeMember& member : plan.members) {
    add_member(out, member);
    if (member.fate != MemberFate::executed) continue;
    if (const auto& error = outcomes[member.job].error) {
      out.errors.emplace_back(member.number, *error);
      continue;
    }
    for (const PredictedSize& size : member.sizes) add_size(out, member, size, seen[member.job]);
  }
  return out;
}

Verdict verdict_of(const Agreement& agreement) {
  if (agreement.agreed() != agreement.compared()) return Verdict::violation;
  const bool both = agreement.whole
                        ? agreement.predicted_to_fit() > 0 && agreement.predicted_to_fail() > 0
                        : agreement.compared() > 0;
  const bool all = agreement.unseen == 0 && agreement.died == 0 && agreement.errors.empty();
  return both && all ? Verdict::pass : Verdict::undecided;
}

}  // namespace capsize
