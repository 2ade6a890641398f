#include "runtime/observation.hpp"

#include <algorithm>

namespace capsize {
namespace {

// Which of two symptoms of one event is told.
int weight_of(Symptom symptom) {
  switch (symptom) {
    case Symptom::none: return 0;
    case Symptom::silent_eager: return 1;
    case Symptom::refused: return 2;
    case Symptom::clean_error: return 3;
    case Symptom::silent_corruption: return 4;
    case Symptom::hang: return 5;
  }
  return 0;
}

void merge_event(EventObservation& into, const EventObservation& other) {
  if (weight_of(other.symptom) > weight_of(into.symptom)) {
    into.symptom = other.symptom;
    into.place = other.place;
    into.text = other.text;
  }
  into.skipped = into.skipped || other.skipped;
  into.mismatches.insert(into.mismatches.end(), other.mismatches.begin(), other.mismatches.end());
  into.wavefront.insert(into.wavefront.end(), other.wavefront.begin(), other.wavefront.end());
  std::ranges::stable_sort(into.mismatches, {},
                           [](const Mismatch& each) { return each.place.rank; });
  std::ranges::stable_sort(into.wavefront, {}, &RankState::rank);
  into.operations += other.operations;
  into.collectives += other.collectives;
  into.bytes_moved += other.bytes_moved;
  into.elements_compared += other.elements_compared;
  into.nanoseconds = std::max(into.nanoseconds, other.nanoseconds);
}

}  // namespace

std::string text_of(const OpPlace& place) {
  std::string out = "rank " + std::to_string(place.rank);
  if (place.layer >= 0) out += ", layer " + std::to_string(place.layer);
  if (!place.kind.empty()) out += ", " + place.kind;
  if (!place.group.empty()) out += " over " + place.group;
  return out;
}

std::string_view name_of(Check check) {
  switch (check) {
    case Check::oracle: return "oracle";
    case Check::eager: return "eager";
    case Check::replicas: return "replicas";
    case Check::exact: return "exact";
    case Check::written: return "written";
    case Check::guards: return "guards";
    case Check::padding: return "padding";
    case Check::address: return "address";
    case Check::counts: return "counts";
  }
  return "oracle";
}

std::string_view name_of(RankState::Doing doing) {
  switch (doing) {
    case RankState::Doing::waits: return "waits";
    case RankState::Doing::runs: return "runs";
    case RankState::Doing::finished: return "finished";
    case RankState::Doing::failed: return "failed";
    case RankState::Doing::dead: return "dead";
    case RankState::Doing::idle: return "idle";
  }
  return "waits";
}

std::string_view checked_for(const Observation& observation) {
  if (observation.mathematics) {
    return "counts, sequences, every row against the model on one rank, replay = capture = eager, "
           "padding, guards";
  }
  if (observation.apart) {
    return "counts, sequences, replay = capture = eager, addresses of buffers; the plan does not "
           "say what is computed, and rows that ranks share are not compared: --backend reference "
           "does";
  }
  return "counts, sequences, replay = capture = eager, addresses of buffers, rows that ranks "
         "share; "
         "the plan does not say what is computed";
}

const RankState* dead_rank(const EventObservation& event) {
  const auto dead = std::ranges::find(event.wavefront, RankState::Doing::dead, &RankState::doing);
  return dead == event.wavefront.end() ? nullptr : &*dead;
}

const EventObservation* Observation::first_failure() const {
  const auto failed = std::ranges::find_if(
      events, [](const EventObservation& each) { return each.symptom != Symptom::none; });
  return failed == events.end() ? nullptr : &*failed;
}

void merge(Observation& into, const Observation& other) {
  into.ranks.insert(into.ranks.end(), other.ranks.begin(), other.ranks.end());
  std::ranges::sort(into.ranks);
  for (const EventObservation& event : other.events) {
    const auto same = std::ranges::find(into.events, event.event, &EventObservation::event);
    if (same == into.events.end()) {
      into.events.push_back(event);
    } else {
      merge_event(*same, event);
    }
  }
  std::ranges::sort(into.events, {}, &EventObservation::event);
  into.elements += other.elements;
  into.nonzero += other.nonzero;
}

}  // namespace capsize
