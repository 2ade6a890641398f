// The small interface behind which ranks meet and compute. The executor is the same for all
// backends: it walks the operations of its ranks and hands each over with its addresses.
//
//   reference  all ranks in this process; the meaning of every operation
//   emulated   all ranks in this process, on one device (runtime/device/)
//   mpi        this process is one rank; OpenMPI moves the rows
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/observation.hpp"
#include "runtime/row_space.hpp"
#include "runtime/rows/element.hpp"
#include "runtime/rows/local_work.hpp"
#include "sim/error.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

// One operation of one rank that stays on the rank.
struct LocalCall {
  std::int64_t rank = 0;
  bool captured = false;  // part of a captured region
  PlanOpKind kind = PlanOpKind::kernel;
  Role role = Role::move;
  std::int64_t layer = 0;
  WeightShare share;
  bool adds = true;                 // add_first: whether this rank is the one that adds
  std::int64_t from_row = 0;        // slice: the first row that is taken
  std::int64_t to_row = 0;          // copy: where the rows are put; the rest becomes zero
  std::uint64_t salt = 0;           // a plan without mathematics: what tells operations apart
  std::span<const ConstMatrix> in;  // hidden, residual; or the data operands
  std::span<const Matrix> out;      // hidden, residual; or the output
};

// A communicator: one group of a family.
struct Communicator {
  GroupId family;
  std::int32_t group = 0;                 // its place in PlanGroups::groups
  std::span<const std::int32_t> members;  // ranks, in the order of their positions
  friend bool operator==(const Communicator& a, const Communicator& b) {
    return a.family == b.family && a.group == b.group;
  }
};

// One rank arrives at a collective, a send, a receive or a barrier.
struct Arrival {
  std::int64_t rank = 0;
  std::int64_t position = 0;  // in the communicator
  Communicator communicator;
  PlanOpKind kind = PlanOpKind::barrier;
  bool checked = true;      // counts are checked before anything moves
  bool floors = false;      // shares are what the operand divides into, rounded down
  bool one_sided = false;   // ranks reach into each other's memory: nobody waits for rows
  bool recorded = false;    // it goes into a graph; what is launched does not meet it
  bool captured = false;    // part of a captured region, also where it is launched
  bool registered = false;  // it takes the path of registered memory
  std::int64_t peer = -1;   // send, recv: a rank
  std::span<const std::int64_t> sizes;  // rows of each member, where they differ
  std::int64_t sequence = 0;            // earlier arrivals of this rank at this communicator
  ConstMatrix in;
  Matrix out;
};

// What came of an arrival.
struct Arrived {
  enum class State : std::uint8_t { done, waiting, failed } state = State::done;
  std::string text;            // why it failed
  std::int64_t sent_rows = 0;  // that the library was asked to move
  std::int64_t received_rows = 0;
};

// How the bodies of an event run, all ranks once.
enum class LaunchMode : std::uint8_t { eager, capture, replay };

[[nodiscard]] constexpr std::string_view name_of(LaunchMode mode) {
  switch (mode) {
    case LaunchMode::eager: return "eager";
    case LaunchMode::capture: return "capture";
    case LaunchMode::replay: break;
  }
  return "replay";
}

struct RunStart {
  std::int32_t event = 0;
  LaunchMode mode = LaunchMode::eager;
  // A replay: the capture that every operation of every rank comes from; none where one does not.
  std::optional<std::int32_t> graph;
  bool stepwise = false;  // somebody reads rows on the host after each operation
};

// An output of one operation, before it is written and afterwards.
struct OutputPlace {
  std::int64_t rank = 0;
  std::size_t instruction = 0;  // of the rank's body
  std::size_t output = 0;       // of the instruction
  bool captured = false;
  Matrix rows;
  Matrix with_guards;
  bool exact = false;  // no row holds poison: every element is an integer that a sum can give
};

// What is wrong with an output.
struct OutputFault {
  enum class What : std::uint8_t {
    none,
    outside,    // the row before it, or the one behind it, was written
    unwritten,  // nobody wrote the element
    inexact,    // no exact sum gives the element
  } what = What::none;
  ElementPlace place;
};

// The same where it is told when a run ends.
struct LateFault {
  std::int64_t rank = 0;
  std::size_t instruction = 0;
  std::size_t output = 0;
  OutputFault fault;
  bool before_failure = false;  // it came before the first failure that was told at once
};

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  // The ranks of a world of `world` that this process runs.
  [[nodiscard]] virtual std::vector<std::int64_t> ranks(std::int64_t world) const = 0;
  // The memory that their rows lie in.
  [[nodiscard]] virtual RowSpace& rows() = 0;

  // A plan begins: its groups are made. Nothing of an earlier plan is left behind.
  [[nodiscard]] virtual Result<void> begin(const Lifecycle& lifecycle) = 0;

  // A run begins. What is handed over until end_run() may wait until then; nobody reads a row
  // before, but in a run that is stepwise.
  virtual void begin_run(const RunStart& run) { (void)run; }
  virtual void compute(const Weights* weights, const LocalCall& call) = 0;
  // Blocks, or answers `waiting`; then `done` is asked for again and again while other ranks run.
  [[nodiscard]] virtual Arrived meet(const Arrival& arrival) = 0;
  [[nodiscard]] virtual Arrived done(std::int64_t rank) = 0;
  // Outputs hold a fill before they are written, and are looked at afterwards: at once, or when the
  // run ends. A backend that keeps whole graphs does neither inside of them.
  virtual void prepare(const OutputPlace& output) = 0;
  [[nodiscard]] virtual OutputFault look(const OutputPlace& output) = 0;
  // A rank has failed, the first of a run: what was handed over before came before that.
  virtual void note_failure() {}
  // What was handed over is done; `failed`: a rank has failed or waits for ever, and what was put
  // off is only of use for what it shows. Fails where the device does.
  [[nodiscard]] virtual Result<std::vector<LateFault>> end_run(bool failed) {
    (void)failed;
    return std::vector<LateFault>{};
  }

  // Padding rows are poisoned through here.
  virtual void poison(Matrix rows, Poison poison, std::uint64_t salt) = 0;

  // An event is over, or given up: nobody waits any longer. All ranks of the plan come here; what
  // one of them saw (a failure) is told to all: the answer is whether any did.
  [[nodiscard]] virtual Result<bool> end_event(bool failed) = 0;
};

}  // namespace capsize
