// A Lifecycle: the events of a server's life in order, each with what every rank runs in it (its
// StepPlan: the programs of an event). It is what an engine's rules or a plan file produce, what
// the laws judge and what the runtime executes. Counts are concrete: one event, one token count.
//
// It stays small at a thousand ranks: ranks that do the same share one Program (a rank class),
// equal layers are written once with a repeat count, names are indexes.
//
// Names and meaning are those of the plan file (scenarios/schemas/plan.schema.json); what is not
// stated there is empty here, and a law that lacks it has nothing to judge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/models/layers.hpp"
#include "sim/rank_set.hpp"
#include "sim/step.hpp"
#include "sim/topology.hpp"
#include "sim/units.hpp"

namespace capsize {

// ---- groups ---------------------------------------------------------------------------------

// All communicators of one name ("attn_tp"): lists of ranks, no rank in two of them. A rank may be
// in none. GroupId is the place of a family in Lifecycle::families.
struct PlanGroups {
  std::string name;
  std::vector<std::vector<std::int32_t>> groups;
  std::optional<Transport> transport;  // as its create_group event says; none: not said

  // For every rank of the world: its group (-1: none) and its position there. Made by index().
  std::vector<std::int32_t> group_of;
  std::vector<std::int32_t> position_of;
};

// ---- buffers --------------------------------------------------------------------------------

// Which bytes of which buffer; every owner has a buffer of its own.
struct BufferRange {
  std::int32_t buffer = -1;
  std::int64_t offset = 0;
  std::int64_t bytes = -1;  // -1: to the end of the buffer
  friend bool operator==(const BufferRange&, const BufferRange&) = default;
};

enum class BufferKind : std::uint8_t { input, metadata, weight, workspace, kv, output };
enum class MemoryKind : std::uint8_t { runtime, virtual_memory };

struct PlanBuffer {
  std::string name;
  std::optional<std::int64_t> bytes;
  RankSet owner;  // empty: all ranks
  std::optional<BufferKind> kind;
  MemoryKind memory = MemoryKind::runtime;
};

// ---- operations -----------------------------------------------------------------------------

enum class PlanOpKind : std::uint8_t {
  reduce_scatter,
  all_gather,
  all_reduce,
  all_to_all,
  broadcast,
  barrier,
  send,
  recv,
  slice,
  add,
  norm,
  attention,
  matmul,
  router,
  copy,
  kernel,
  host_wait,
  host_collective,
  wait,
  create_group,
  register_group,
  allocate,
  free,
};
inline constexpr std::size_t kPlanOpKinds = 23;

// What the rows beyond the real ones hold when an operation reads them.
enum class Padding : std::uint8_t { zero, masked, live };

// One launch constant of a captured kernel, or one component of a graph key: the value is the JSON
// text of a scalar ("16", "\"fa3\"", "true").
using NamedValue = std::pair<std::string, std::string>;

struct PlanOp {
  std::string id;
  PlanOpKind kind = PlanOpKind::kernel;
  GroupId group = {};
  std::vector<std::int64_t> rows_in;  // one each data operand; empty: not said
  std::optional<std::int64_t> rows_out;
  std::string dtype;
  std::vector<Layout> in;  // one each data operand; empty: not said
  std::optional<Layout> out;
  std::int32_t stream = 0;
  std::optional<bool> captured;  // not said: see Timeline
  std::vector<BufferRange> reads;
  std::vector<BufferRange> writes;
  std::vector<std::int32_t> after;                // places in Program::ops; always earlier ones
  std::optional<std::vector<std::int32_t>> from;  // not said: the operation before it
  std::optional<std::int64_t> peer;               // send, recv: a rank; see peer_of in timeline.hpp
  std::vector<std::int64_t> sizes;      // v-variants: the rows of each member of the group
  std::vector<NamedValue> launch;       // launch constants of a kernel
  std::optional<std::int64_t> segment;  // the piece of a piecewise graph
  std::vector<std::pair<std::string, std::int64_t>> extents;  // rows of side operands, by name
  std::optional<Padding> padding;
  std::optional<Transport> transport;  // overrides the group's
  std::optional<bool> registered;      // peer memory: the registered path or the plain one
  std::int32_t buffer = -1;            // allocate, free
  std::string rule;                    // the engine's function that issues it
  // In a plan with mathematics (Lifecycle::layers): what it computes, and which of the two
  // tensors that travel through the layers it works on.
  Role role = Role::move;
  Slot tensor = Slot::hidden;

  friend bool operator==(const PlanOp&, const PlanOp&) = default;
};

// A run of operations that is repeated as a whole: a layer kind. Blocks follow one another and
// cover a program's operations.
struct OpBlock {
  std::int32_t first_op = 0;
  std::int32_t count = 0;
  std::int64_t repeat = 1;
  std::optional<std::int64_t> layer;  // the first layer that it is

  friend bool operator==(const OpBlock&, const OpBlock&) = default;
};

// ---- programs -------------------------------------------------------------------------------

enum class GraphMode : std::uint8_t { graph, piecewise, eager };

using GraphKey = std::vector<NamedValue>;  // sorted by name

enum class DecisionSource : std::uint8_t { configuration, broadcast, voted, rank_local };

struct DecisionInput {
  std::string input;
  DecisionSource from = DecisionSource::configuration;
  GroupId group = {};  // voted or broadcast in which group; none: not said

  friend bool operator==(const DecisionInput&, const DecisionInput&) = default;
};

// What a decision ("bucket", "mode", "split", "run") reads.
struct Decision {
  std::string what;
  std::vector<DecisionInput> inputs;

  friend bool operator==(const Decision&, const Decision&) = default;
};

// What one class of ranks does in one event.
struct Program {
  RankSet ranks;
  std::optional<std::int64_t> tokens;    // real tokens of each of these ranks
  std::optional<std::int64_t> requests;  // real requests
  std::optional<std::int64_t> padded_requests;
  std::optional<std::int64_t> width;   // tokens a request
  std::optional<std::int64_t> bucket;  // padded rows a rank
  std::optional<GraphMode> mode;
  std::optional<GraphKey> key;
  std::int64_t repeat = 1;  // of all operations
  std::vector<Decision> decides;
  std::vector<PlanOp> ops;
  std::vector<OpBlock> blocks;

  friend bool operator==(const Program&, const Program&) = default;
};

// ---- events ---------------------------------------------------------------------------------

enum class PlanEventKind : std::uint8_t {
  create_group,
  register_groups,
  allocate,
  free,
  warm_up,
  capture,
  replay,
  eager,
};

enum class CaptureMode : std::uint8_t { global, thread_local_mode, relaxed };

struct PlanEvent {
  PlanEventKind kind = PlanEventKind::eager;
  std::string id;
  std::string path;                    // "prefill"; empty where it has none
  std::optional<std::int64_t> tokens;  // the largest local count
  std::vector<GroupId> groups;         // create_group: one; register: all that are entered
  std::optional<Transport> transport;  // create_group
  std::int32_t buffer = -1;            // allocate, free
  std::optional<std::int64_t> bytes;
  std::optional<std::int64_t> generation;
  RankSet ranks;                       // register, allocate, free, create_group; empty: all
  std::optional<std::int64_t> stream;  // none: after all before it, before all behind it
  std::vector<std::int32_t> after;     // places in Lifecycle::events; always earlier ones
  std::optional<CaptureMode> capture_mode;
  std::vector<Program> programs;
};

// ---- what is captured -----------------------------------------------------------------------

enum class AdmissionScope : std::uint8_t { rank, sum };

// The test that lets a batch use a graph.
struct Admission {
  std::optional<Unit> unit;
  std::optional<AdmissionScope> scope;
  std::optional<std::int64_t> max;
};

// The captured sizes of one path, mode and key.
struct PlanCapture {
  std::string path;
  Unit unit = Unit::tokens;
  std::optional<GraphMode> mode;
  std::optional<GraphKey> key;
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> named;  // sizes or maxima that were promised
  std::optional<std::int64_t> width;
  std::optional<std::vector<std::int64_t>> admits;  // what dispatch can look up; none: `kept`
  std::optional<Admission> admission;
  std::string pool;                   // graphs of one pool share their memory
  std::optional<std::int64_t> bytes;  // memory of all its graphs on one rank
};

struct PlanWeight {
  std::string name;
  std::int64_t dim = 0;
  GroupId group = {};  // none: not cut
  std::int64_t block = 1;
};

// What one rank has and needs beside buffers and graphs.
struct PlanMemory {
  std::int64_t budget_bytes = 0;
  std::int64_t weights_bytes = 0;
  std::int64_t activations_bytes = 0;
  std::int64_t kv_bytes = 0;
};

struct Lifecycle {
  std::string engine;
  std::int64_t world = 1;
  // The model's layers, first to last. Empty: the plan says nothing of what its operations compute.
  std::vector<ModelLayers> layers;
  std::vector<PlanGroups> families;
  std::vector<PlanCapture> captures;
  std::vector<PlanBuffer> buffers;
  std::vector<PlanWeight> weights;
  std::vector<NamedValue> libraries;  // {"nccl", "2.28.3"}, plain text
  std::optional<PlanMemory> memory;
  std::vector<PlanEvent> events;

  [[nodiscard]] const PlanGroups& family(GroupId id) const {
    return families[static_cast<std::size_t>(id.index)];
  }
  [[nodiscard]] std::optional<GroupId> find_group(std::string_view name) const;
  // Ranks in the group of `rank`; 0 where it is in none.
  [[nodiscard]] std::int64_t size_at(GroupId id, std::int64_t rank) const;
  // The largest group of the family.
  [[nodiscard]] std::int64_t size_of(GroupId id) const;
};

// Fills group_of and position_of of every family. Ranks and lists must be sound (the reader of
// plan files sees to it): every rank in [0, world), in one group of a family at most.
void index_groups(Lifecycle& lifecycle);

[[nodiscard]] std::string_view name_of(PlanOpKind kind);
[[nodiscard]] std::string_view name_of(PlanEventKind kind);
[[nodiscard]] std::string_view name_of(GraphMode mode);
[[nodiscard]] std::string_view name_of(BufferKind kind);
[[nodiscard]] std::string_view name_of(MemoryKind kind);
[[nodiscard]] std::string_view name_of(Padding padding);
[[nodiscard]] std::string_view name_of(DecisionSource source);
[[nodiscard]] std::string_view name_of(CaptureMode mode);
[[nodiscard]] std::string_view name_of(AdmissionScope scope);

// Whether all ranks of a group must take part: collectives, and calls that set groups up.
[[nodiscard]] bool is_collective(PlanOpKind kind);
// Collectives that move rows on the device (no barrier, no host call).
[[nodiscard]] bool moves_rows(PlanOpKind kind);
[[nodiscard]] bool is_point_to_point(PlanOpKind kind);
// Work of the device in which ranks meet: collectives (no host call), sends and receives.
[[nodiscard]] bool meets_on_device(PlanOpKind kind);
// Calls of the host that no captured region may hold.
[[nodiscard]] bool is_host_call(PlanOpKind kind);

// "Scattered(attn_cp, tp)", "Partial(tp)", "Replicated".
[[nodiscard]] std::string text_of(const Lifecycle& lifecycle, const Layout& layout);
// "{tokens: 16, lora: true}".
[[nodiscard]] std::string text_of(const GraphKey& key);

}  // namespace capsize
