// What an execution showed: event by event, in the words of the laws. A process that runs some of
// the ranks observes those; observations of all processes are merged into one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/lifecycle.hpp"
#include "sim/symptom.hpp"

namespace capsize {

// An operation of one rank in an event.
struct OpPlace {
  std::int64_t rank = 0;
  std::int64_t layer = -1;  // -1: the plan does not say
  std::int32_t op = -1;     // its place in the rank's program; -1: the event as a whole
  std::string kind;         // "reduce_scatter"; "output" where the event's result is meant
  std::string group;        // empty where it has none
  friend bool operator==(const OpPlace&, const OpPlace&) = default;
};

// "rank 3, layer 0, reduce_scatter over attn_tp".
[[nodiscard]] std::string text_of(const OpPlace& place);

// Which check found that bits are wrong.
enum class Check : std::uint8_t {
  oracle,    // the model's mathematics on one rank
  eager,     // capture or replay against the eager run of the same body
  replicas,  // ranks that must hold the same rows do not
  exact,     // an element that no exact sum gives
  written,   // an output with elements that nobody wrote
  guards,    // a write outside of a buffer
  padding,   // a real row that depends on what a padding row holds
  address,   // memory that was freed or moved is read or written
  counts,    // a collective moved other counts than the plan says
};
[[nodiscard]] std::string_view name_of(Check check);

struct Mismatch {
  Check check = Check::oracle;
  OpPlace place;
  std::string mode;      // "eager", "capture", "replay"
  std::int64_t row = 0;  // of the first element that differs
  std::int64_t column = 0;
  std::int64_t count = 0;  // elements that differ
  std::int64_t of = 0;     // elements compared
  std::string expected;    // of the first, as bits and value
  std::string found;
  friend bool operator==(const Mismatch&, const Mismatch&) = default;
};

// Where a rank stood when an event did not end.
struct RankState {
  std::int64_t rank = 0;
  enum class Doing : std::uint8_t {
    waits,
    runs,
    finished,
    failed,
    dead,
    idle
  } doing = Doing::waits;
  OpPlace place;              // of the operation that it waits in, or reached last
  std::int64_t sequence = 0;  // operations that it has issued on that communicator before
  std::int64_t rows = -1;     // that it brings; -1: none
  std::string text;           // what its peers did: "ranks 0-2 wait here, rank 3 ended its step"
  friend bool operator==(const RankState&, const RankState&) = default;
};
[[nodiscard]] std::string_view name_of(RankState::Doing doing);

struct EventObservation {
  std::int32_t event = 0;  // its place in Lifecycle::events
  PlanEventKind kind = PlanEventKind::eager;
  std::string path;
  std::int64_t tokens = 0;  // real tokens, the largest of a rank
  std::int64_t bucket = 0;  // the size that they run at
  Symptom symptom = Symptom::none;
  bool skipped = false;              // not run: its capture had failed
  std::optional<OpPlace> place;      // the first operation that failed
  std::string text;                  // why, in a sentence; empty where nothing failed
  std::vector<Mismatch> mismatches;  // the first of each check, by rank
  std::vector<RankState> wavefront;  // of a hang: every rank
  std::int64_t operations = 0;       // executed by the ranks of this process
  std::int64_t collectives = 0;
  std::int64_t bytes_moved = 0;  // that ranks gave to collectives
  std::int64_t elements_compared = 0;
  std::int64_t nanoseconds = 0;
  friend bool operator==(const EventObservation&, const EventObservation&) = default;
};

// The rank whose process died in an event; none where none did. Somebody killed it, or it is at
// fault itself: the plan did nothing, so that no prediction is right or wrong there.
[[nodiscard]] const RankState* dead_rank(const EventObservation& event);

struct Observation {
  std::string backend;
  std::int64_t world = 1;
  std::vector<std::int64_t> ranks;  // that are told of here
  bool mathematics = false;         // false: shapes, sequences and eager = replay only
  std::vector<EventObservation> events;
  std::int64_t elements = 0;  // of the outputs compared, and how many of them are not zero
  std::int64_t nonzero = 0;
  bool apart = false;  // no process has all ranks

  // The first event that failed; none where all went well.
  [[nodiscard]] const EventObservation* first_failure() const;
};

// What a run was checked for, as a list in words; a plan without mathematics has less, and one
// whose ranks are processes of their own less again: none of them sees what another holds.
[[nodiscard]] std::string_view checked_for(const Observation& observation);

// Adds what other ranks of the same run observed. The worse symptom of an event wins (hang, then
// silent corruption, then a clean error), with its place.
void merge(Observation& into, const Observation& other);

}  // namespace capsize
