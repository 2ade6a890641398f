// Predicted against observed: a confusion matrix over the captured sizes of many members.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/observation.hpp"
#include "scenarios/agree/members.hpp"
#include "scenarios/check/check.hpp"
#include "sim/error.hpp"

namespace capsize {

inline constexpr std::size_t kSymptomCount = 6;

// A symptom as an outcome: "ok" where there is none.
[[nodiscard]] std::string word_of(Symptom symptom);

// A captured size as it ran: its warm-ups, its captures and its replays.
struct ObservedSize {
  std::string path;
  std::int64_t rows = 0;
  Symptom symptom = Symptom::none;  // of the first of its events that failed
  std::string text;                 // what that event showed, in a line
  bool died = false;                // a rank died in that event: nothing is decided
};

// What came of one job; an error where it could not be executed at all.
struct JobOutcome {
  std::vector<ObservedSize> sizes;
  std::uint64_t events = 0;  // that ran
  std::uint64_t replays = 0;
  std::uint64_t operations = 0;
  std::optional<Error> error;
};
[[nodiscard]] JobOutcome outcome_of(const Result<Observation>& seen);

struct Disagreement {
  std::uint64_t member = 0;
  PredictedSize predicted;
  Symptom observed = Symptom::none;
  std::string text;
};

struct Agreement {
  // Sizes, by what was predicted of them and what was observed; Symptom::none is "fits".
  std::array<std::array<std::uint64_t, kSymptomCount>, kSymptomCount> sizes{};
  std::uint64_t members = 0;
  std::uint64_t executed = 0;  // members
  std::uint64_t jobs = 0;      // lifecycles that differ: each was executed once
  std::uint64_t refused = 0;
  std::uint64_t undecided = 0;
  std::uint64_t without_graphs = 0;
  std::uint64_t left_out = 0;  // sizes above the cap on rows
  std::uint64_t events = 0;
  std::uint64_t replays = 0;
  std::uint64_t operations = 0;
  std::uint64_t died = 0;      // sizes in which a rank died: neither agreement nor disagreement
  std::string death;           // what the first of them showed
  std::uint64_t unjudged = 0;  // sizes of which nothing is predicted
  std::uint64_t unseen = 0;    // sizes of which an execution tells nothing
  bool whole = true;           // false: one part of several; it need not show both signs
  std::vector<Disagreement> disagreements;              // in the order of the members
  std::vector<std::pair<std::uint64_t, Error>> errors;  // members that could not be executed

  [[nodiscard]] std::uint64_t count(Symptom predicted, Symptom observed) const {
    return sizes[static_cast<std::size_t>(predicted)][static_cast<std::size_t>(observed)];
  }
  [[nodiscard]] std::uint64_t compared() const;
  [[nodiscard]] std::uint64_t agreed() const;         // the same word
  [[nodiscard]] std::uint64_t agreed_on_fit() const;  // both fit, or both fail in whatever way
  [[nodiscard]] std::uint64_t predicted_to_fit() const;
  [[nodiscard]] std::uint64_t predicted_to_fail() const { return compared() - predicted_to_fit(); }
};

// `outcomes` are those of plan.jobs, in their order.
[[nodiscard]] Agreement agreement_of(const AgreePlan& plan,
                                     const std::vector<JobOutcome>& outcomes);

// A violation where any size disagrees; a pass where all were seen, all agree and both signs are
// there; undecided else.
[[nodiscard]] Verdict verdict_of(const Agreement& agreement);

}  // namespace capsize
