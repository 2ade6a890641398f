// What a law is, and what it finds. A law is one file in laws/ that defines `const Law law_<name>`
// (the registry is made from the file names); it knows no engine and no file format.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/capture.hpp"
#include "sim/symptom.hpp"
#include "sim/timeline.hpp"

namespace capsize {

enum class LawVerdict : std::uint8_t { pass, violation, not_applicable, undecided };
[[nodiscard]] std::string_view name_of(LawVerdict verdict);

// The smallest count that breaks a law, and what breaks there. Fields that a law does not know are
// left out: step laws name rank, layer, operation and group, capture-plan laws the path, lifecycle
// laws the event with a buffer or a key.
struct Witness {
  std::int64_t tokens = 0;
  std::optional<std::int64_t> requests;  // where the path is counted in requests
  std::optional<std::int64_t> rank;
  std::optional<std::int64_t> layer;
  std::string_view op;
  std::string_view group;
  std::int64_t group_size = 0;
  std::string_view event;                   // "replay"; in a plan
  std::optional<std::int64_t> event_index;  // its place in the plan's events
  std::string_view buffer;
  std::string key;
};

// The first event of the server's life that breaks the law.
struct FirstInTime {
  std::string_view event;  // "warm_up", "compile", "capture", "eager", "replay" ...
  std::int64_t tokens = 0;
};

struct Finding {
  std::string_view law;
  std::string_view path;
  LawVerdict verdict = LawVerdict::pass;
  Known known = Known::exhausted;
  Symptom symptom = Symptom::none;
  std::optional<Witness> witness;
  std::optional<FirstInTime> first_in_time;
  std::string blame;                // the operation or the fault, in one sentence
  std::string_view rule;            // the engine's function that is to blame: file and name
  std::string reason;               // why nothing was judged, or what a pass still leaves to say
  std::vector<std::string> repair;  // filled by whoever can try repairs
  // Laws that are broken at the same place and come first: one fault, one law.
  std::vector<std::string_view> see;
};

struct LostSize;
struct SetCase;     // set_case.hpp
struct SetFinding;  // set_case.hpp

// What the laws look at.
struct Subject {
  const CapturePlan& captures;
  const StartUp& start_up;
  bool fail_on_waste = false;
  // What each path loses (coverage.hpp), by its place in the plan, where the caller has it already.
  std::span<const std::vector<LostSize>> lost = {};
};

class PlanReport;

// A law judges the capture plan of an engine (check_path, check_eager), the events of a lifecycle
// (check_plan), or both.
struct Law {
  std::string_view name;
  std::string_view defect_class;  // "C01"
  std::string_view subject;       // filter, capture plan, step
  std::string_view statement;     // in plain words; the command line prints it
  std::string_view formula;
  std::string_view way_out = {};  // what mends a plan that breaks it; told where none was tried
  Finding (*check_path)(const Subject&, const CapturePath&) = nullptr;
  Finding (*check_eager)(const Subject&, const EagerPath&) = nullptr;
  void (*check_plan)(const Timeline&, PlanReport&) = nullptr;  // plan_report.hpp
  // check_path over sets of positions: the same verdict, and the size of the same witness.
  SetFinding (*check_set)(const SetCase&) = nullptr;
  bool judges_empty_lists = false;  // also asked where the filter of a path left no size
};

// All laws, by name.
[[nodiscard]] std::span<const Law* const> laws();
[[nodiscard]] const Law* find_law(std::string_view name);

// One law on every path, and every law on every path.
[[nodiscard]] std::vector<Finding> judge(const Law& law, const Subject& subject);
[[nodiscard]] std::vector<Finding> judge(const Subject& subject);

// Every law that judges lifecycles, but those whose names are in `without`, on every path of the
// plan. Where laws are broken at one place, the first of them in the order of plan_report.hpp owns
// the fault; the others are not_applicable there and name it under `see`. Names in the findings
// belong to the lifecycle.
[[nodiscard]] std::vector<Finding> judge_plan(const Timeline& timeline,
                                              std::span<const std::string_view> without = {});

// The finding that `law` cannot judge a path or has nothing to judge there; none where it can.
[[nodiscard]] std::optional<Finding> not_judged(const Law& law, const CapturePath& path);

// The first event at which `broken` holds, by the path's sizes.
template <class Predicate>
[[nodiscard]] std::optional<StartUpEvent> first_event(const Subject& subject,
                                                      const CapturePath& path,
                                                      const Predicate& broken) {
  for (const StartUpEvent& event : subject.start_up.events) {
    if (&subject.captures.paths[event.path] == &path && broken(event.size)) return event;
  }
  return std::nullopt;
}

// A witness that names only a size of the path.
[[nodiscard]] Witness witness_at(const CapturePath& path, std::int64_t size);

}  // namespace capsize
