// replay_reads_now against two machines. One follows every byte of every rank's buffers through a
// life of allocations, writes, captures and replays; the other runs the operations of one step with
// every repetition written out. Short lives and steps are tried one by one, longer ones at random.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <ostream>
#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/plan_laws.hpp"

namespace capsize::replay_reads_now_test {
namespace {

using namespace parts;
using generators::evenly;
using generators::one_of;
using Mask = std::uint32_t;  // bit r: rank r, or operation r
using property::Histogram;

constexpr std::string_view kLaw = "replay_reads_now";
constexpr std::int64_t kBytes = 16;  // more than any buffer of known size has

bool holds(Mask mask, std::int64_t bit) { return (mask >> bit & 1U) != 0; }

// ---- lives -----------------------------------------------------------------------------------

enum class What : std::uint8_t { write, read, capture, replay, allocate, release, hand_over };

// A range; without a buffer (-1) there is none.
struct Piece {
  std::int32_t buffer = -1;
  std::int64_t offset = 0;
  std::int64_t bytes = -1;
};

struct Act {
  What what = What::write;
  Piece piece = {};    // written, read; replay: written before the graph runs
  Piece written = {};  // capture: by the graph
  Mask ranks = 3;
  std::int64_t path = 0;     // of the event: "p0", "p1"
  std::int64_t size = 8;     // of the graph
  std::int64_t number = -1;  // allocate: the generation; -1: none is said
  bool masked = false;       // capture: the padding of what is read
  bool write_first = false;  // capture: the graph writes before it reads
  bool again = false;        // capture: it reads a second time; hand_over: the group of the graphs
  bool peer = false;         // capture: it reads for its peers
  bool pool = false;         // capture: it allocates what it reads; and frees it
  bool idle = false;         // replay: no real tokens; hand_over: as an operation of a step
};

struct World {
  std::int64_t ranks = 2;
  std::vector<PlanBuffer> buffers;
};

std::ostream& operator<<(std::ostream& out, const Piece& piece) {
  return out << piece.buffer << "[" << piece.offset << "+" << piece.bytes << "]";
}
std::ostream& operator<<(std::ostream& out, const Act& act) {
  return out << "\n  {what " << static_cast<int>(act.what) << " piece " << act.piece << " written "
             << act.written << " ranks " << act.ranks << " path " << act.path << " size "
             << act.size << " number " << act.number << " masked " << act.masked << " first "
             << act.write_first << " again " << act.again << " peer " << act.peer << " pool "
             << act.pool << " idle " << act.idle << "}";
}

constexpr GroupId kTp{0};
constexpr GroupId kOther{1};

PlanOp using_buffer(PlanOpKind kind, const Piece& piece, bool writes) {
  PlanOp out = op(kind, kind == PlanOpKind::all_reduce ? kTp : GroupId{});
  auto& ranges = writes ? out.writes : out.reads;
  if (piece.buffer >= 0) ranges = {{piece.buffer, piece.offset, piece.bytes}};
  return out;
}

std::vector<PlanOp> captured_ops(const Act& act) {
  PlanOp read =
      using_buffer(act.peer ? PlanOpKind::all_reduce : PlanOpKind::kernel, act.piece, false);
  if (act.masked) read.padding = Padding::masked;
  const PlanOp write = using_buffer(PlanOpKind::kernel, act.written, true);
  std::vector<PlanOp> out = {read, write};
  if (act.write_first) std::swap(out[0], out[1]);
  // Peers tell that they have read it; what comes of filling it too soon is tried in steps below.
  if (act.peer && !act.write_first) out.insert(out.begin() + 1, op(PlanOpKind::barrier, kTp));
  if (act.again) out.push_back(read);
  if (act.pool && act.piece.buffer >= 0) {
    out.insert(out.begin(), {.kind = PlanOpKind::allocate, .buffer = act.piece.buffer});
    out.push_back({.kind = PlanOpKind::free, .buffer = act.piece.buffer});
  }
  return out;
}

PlanEvent event_of(const Act& act) {
  const std::string path = "p" + std::to_string(act.path);
  const RankSet ranks = property::ranks_of(act.ranks);
  const PlanOp use = using_buffer(PlanOpKind::kernel, act.piece, act.what != What::read);
  PlanEvent event;
  switch (act.what) {
    case What::write:
    case What::read: return eager(path, 8, {eager_program(ranks, 8, {use})});
    case What::capture: return capture(path, act.size, {graph(ranks, act.size, captured_ops(act))});
    case What::replay:
      event = replay(path, act.size, {graph(ranks, act.size, {use})});
      event.programs[0].tokens = act.idle ? 0 : act.size;
      return event;
    case What::allocate:
      event = allocate(act.piece.buffer, 0);
      event.generation.reset();
      if (act.number >= 0) event.generation = act.number;
      if (act.piece.bytes > 0) event.bytes = act.piece.bytes;
      break;
    case What::release: event = free_buffer(act.piece.buffer); break;
    case What::hand_over: {
      const GroupId group = act.again ? kTp : kOther;
      if (!act.idle) return register_groups({group}, ranks);
      return eager(path, 8, {eager_program(ranks, 8, {op(PlanOpKind::register_group, group)})});
    }
  }
  event.ranks = ranks;
  return event;
}

Lifecycle plan_of(const World& world, const std::vector<Act>& acts) {
  Lifecycle plan{.world = world.ranks};
  std::vector<std::int32_t> all;
  for (std::int32_t rank = 0; rank < world.ranks; ++rank) all.push_back(rank);
  add_group(plan, "tp", {all});
  add_group(plan, "other", {all});
  plan.families[0].transport = Transport::peer;
  plan.buffers = world.buffers;
  for (const Act& act : acts) plan.events.push_back(event_of(act));
  return std::move(finish(plan));
}

using Places = std::set<std::pair<std::int32_t, std::string>>;  // event, buffer

Places places_of(const Lifecycle& plan) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law(kLaw)->check_plan(timeline, report);
  Places out;
  for (const Breach& breach : report.breaches()) out.emplace(breach.event, breach.buffer);
  return out;
}

// One rank, one byte at a time. Time counts operations.
class Machine {
 public:
  Machine(const World& world, const std::vector<Act>& acts, std::int64_t rank, Places& out)
      : world_(world), acts_(acts), rank_(rank), out_(out), memory_(world.buffers.size()) {
    for (std::size_t b = 0; b < memory_.size(); ++b) {
      memory_[b].size = world.buffers[b].bytes;
      memory_[b].there = !allocated_first(static_cast<std::int32_t>(b));
    }
  }

  void run() {
    for (const Act& act : acts_) {
      if (holds(act.ranks, rank_)) step(act);
      ++event_;
    }
  }

 private:
  struct Use {
    std::int64_t time = 0;
    std::int64_t path = 0;
    bool write = false;
  };
  struct Byte {
    std::int64_t written = 0;                          // when last
    std::array<std::int64_t, 2> presented = {-1, -1};  // of each path: when its last replay read
    std::vector<Use> history;                          // of an output
  };
  struct Memory {
    bool there = true;
    std::int64_t address = 0;
    std::optional<std::int64_t> size;
    std::array<Byte, kBytes> bytes;
  };
  struct Graph {
    Act act;
    std::map<std::int32_t, std::int64_t> addresses;
    bool handed = false;
  };

  bool allocated_first(std::int32_t buffer) const {
    for (const Act& act : acts_) {
      if (act.piece.buffer != buffer) continue;
      if (act.what == What::allocate || (act.what == What::capture && act.pool)) return true;
      if (act.what == What::release) return false;
    }
    return false;
  }
  bool written_by_steps(std::int32_t buffer) const {
    return std::ranges::any_of(acts_, [&](const Act& act) {
      return (act.what == What::write || act.what == What::replay) && act.piece.buffer == buffer;
    });
  }

  Memory& memory(std::int32_t buffer) { return memory_[static_cast<std::size_t>(buffer)]; }
  const PlanBuffer& buffer_of(const Piece& piece) const {
    return world_.buffers[static_cast<std::size_t>(piece.buffer)];
  }
  bool has(const Piece& piece) const {
    if (piece.buffer < 0) return false;
    const RankSet& owner = buffer_of(piece).owner;
    return owner.empty() || owner.contains(rank_);
  }
  void flag(const Piece& piece) { out_.emplace(event_, buffer_of(piece).name); }

  // The bytes of a piece.
  std::vector<Byte*> bytes_of(const Piece& piece) {
    const std::int64_t size = memory(piece.buffer).size.value_or(kBytes);
    const std::int64_t end = piece.bytes < 0 ? size : piece.offset + piece.bytes;
    std::vector<Byte*> out;
    for (std::int64_t at = piece.offset; at < end; ++at) {
      out.push_back(&memory(piece.buffer).bytes.at(static_cast<std::size_t>(at)));
    }
    return out;
  }

  void step(const Act& act) {
    switch (act.what) {
      case What::write: return use(act, act.piece, true);
      case What::read: return use(act, act.piece, false);
      case What::allocate: return take(memory(act.piece.buffer), act);
      case What::release: memory(act.piece.buffer).there = false; return;
      case What::hand_over: return hand_over(act);
      case What::capture: return capture(act);
      case What::replay: break;
    }
    use(act, act.piece, true);
    const auto at = graphs_.find({act.path, act.size});
    if (at != graphs_.end()) replay(act, kept_[at->second]);
  }

  static void take(Memory& memory, const Act& act) {
    memory.there = true;
    memory.address = act.number >= 0 ? act.number : memory.address + 1;
    if (act.piece.bytes > 0) memory.size = act.piece.bytes;
  }

  // An operation that runs outside of graphs.
  void use(const Act& act, const Piece& piece, bool write) {
    if (!has(piece)) return;
    if (!memory(piece.buffer).there) flag(piece);
    touch(act, piece, write);
  }

  void touch(const Act& act, const Piece& piece, bool write) {
    ++time_;
    for (Byte* byte : bytes_of(piece)) {
      if (buffer_of(piece).kind == BufferKind::output) {
        if (!write && overwritten(*byte, act.path)) flag(piece);
        byte->history.push_back({time_, act.path, write});
      }
      if (write) byte->written = time_;
    }
  }

  // Its path wrote last at some time; another path wrote behind that, before anyone read.
  static bool overwritten(const Byte& byte, std::int64_t path) {
    bool mine = false;
    bool read = false;
    bool lost = false;
    for (const Use& each : byte.history) {
      if (!each.write) {
        read = true;
      } else if (each.path == path) {
        mine = true;
        read = lost = false;
      } else {
        lost = lost || (mine && !read);
      }
    }
    return lost;
  }

  void capture(const Act& act) {
    Graph graph{.act = act};
    if (act.pool && act.piece.buffer >= 0) {
      memory(act.piece.buffer).there = true;
      ++memory(act.piece.buffer).address;
    }
    for (const Piece& piece : {act.piece, act.written}) {
      if (!has(piece)) continue;
      if (!memory(piece.buffer).there) flag(piece);
      graph.addresses[piece.buffer] = memory(piece.buffer).address;
    }
    if (act.pool && act.piece.buffer >= 0) memory(act.piece.buffer).there = false;
    ++time_;
    if (has(act.piece) && is_input(act.piece) && written_by_steps(act.piece.buffer)) {
      for (Byte* byte : bytes_of(act.piece)) byte->presented.at(path_of(act)) = time_;
    }
    graphs_[{act.path, act.size}] = kept_.size();
    kept_.push_back(std::move(graph));
  }

  bool is_input(const Piece& piece) const {
    const auto kind = buffer_of(piece).kind;
    return kind == BufferKind::input || kind == BufferKind::metadata;
  }
  static std::size_t path_of(const Act& act) { return static_cast<std::size_t>(act.path); }

  void replay(const Act& act, const Graph& graph) {
    std::map<Byte*, std::int64_t> first_read;
    const auto read = [&] { read_captured(act, graph, first_read); };
    const auto write = [&] {
      if (!has(graph.act.written)) return;
      judge_address(graph, graph.act.written);
      touch(act, graph.act.written, true);
    };
    if (graph.act.write_first) write();
    read();
    if (!graph.act.write_first) write();
    if (graph.act.again) read();
    for (const auto& [byte, time] : first_read) byte->presented.at(path_of(act)) = time;
  }

  void read_captured(const Act& act, const Graph& graph, std::map<Byte*, std::int64_t>& first) {
    const Piece& piece = graph.act.piece;
    if (!has(piece)) return;
    judge_address(graph, piece);
    touch(act, piece, false);
    if (!is_input(piece)) return;
    std::size_t fresh = 0;
    const auto bytes = bytes_of(piece);
    for (Byte* byte : bytes) {
      fresh += byte->written > byte->presented.at(path_of(act)) ? 1 : 0;
      first.emplace(byte, time_);
    }
    const bool part_is_enough = graph.act.masked || (piece.bytes < 0 && !memory(piece.buffer).size);
    const bool enough = part_is_enough ? fresh > 0 : fresh == bytes.size();
    if (!bytes.empty() && !enough && !(graph.act.masked && act.idle)) flag(piece);
  }

  void judge_address(const Graph& graph, const Piece& piece) {
    if (graph.act.pool && graph.act.piece.buffer == piece.buffer) return;
    const Memory& now = memory(piece.buffer);
    if (!now.there || now.address != graph.addresses.at(piece.buffer)) flag(piece);
  }

  void hand_over(const Act& act) {
    for (Graph& graph : kept_) {
      if (!act.again || !graph.act.peer || !has(graph.act.piece)) continue;
      if (!graph.handed) judge_address(graph, graph.act.piece);
      graph.handed = true;
    }
  }

  const World& world_;
  const std::vector<Act>& acts_;
  std::int64_t rank_;
  Places& out_;
  std::vector<Memory> memory_;
  std::vector<Graph> kept_;  // every graph that was captured
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> graphs_;
  std::int32_t event_ = 0;
  std::int64_t time_ = 0;
};

Places expected(const World& world, const std::vector<Act>& acts) {
  Places out;
  for (std::int64_t rank = 0; rank < world.ranks; ++rank) Machine(world, acts, rank, out).run();
  return out;
}

// Every life of so many events from an alphabet; how many of them are at fault.
std::int64_t try_all(const World& world, const std::vector<Act>& alphabet, std::size_t events) {
  std::size_t all = 1;
  for (std::size_t i = 0; i < events; ++i) all *= alphabet.size();
  std::int64_t broken = 0;
  for (std::size_t code = 0; code < all; ++code) {
    std::vector<Act> acts;
    for (std::size_t rest = code; acts.size() < events; rest /= alphabet.size()) {
      acts.push_back(alphabet[rest % alphabet.size()]);
    }
    const Places wanted = expected(world, acts);
    broken += wanted.empty() ? 0 : 1;
    if (places_of(plan_of(world, acts)) == wanted) continue;
    ADD_FAILURE() << rc::toString(acts);
    return 0;
  }
  return broken;
}

constexpr Piece kAll{0, 0, 4};
constexpr Piece kFront{0, 0, 2};
constexpr Piece kBack{0, 2, 2};

World one_buffer(BufferKind kind) { return {2, {{.name = "b", .bytes = 4, .kind = kind}}}; }

// A step's input that is not written, or in part, or only for another rank or path, or that a
// graph carries on by itself; a first replay where nothing tells what is written.
TEST(ReplayReadsNowProperty, EveryLifeOfAnInput) {
  const std::vector<Act> alphabet = {
      {.piece = kAll},
      {.piece = kFront, .ranks = 1},
      {.what = What::capture, .piece = kAll},
      {.what = What::capture, .piece = kBack, .written = kBack, .path = 1},
      {.what = What::replay},
      {.what = What::replay, .ranks = 2},
      {.what = What::replay, .piece = kBack},
      {.what = What::replay, .path = 1},
  };
  const std::int64_t broken = try_all(one_buffer(BufferKind::metadata), alphabet, 5);
  EXPECT_GT(broken, 1000);
  EXPECT_LT(broken, 30000);
}

// An address that is taken before it is there, or used after it is gone: in a step, in a capture,
// in a replay, and when peers are given it; memory that a graph allocates itself is its own.
TEST(ReplayReadsNowProperty, EveryLifeOfAnAddress) {
  const std::vector<Act> alphabet = {
      {.what = What::allocate, .piece = kAll, .number = 1},
      {.what = What::allocate, .piece = kAll},
      {.what = What::release, .piece = kAll, .ranks = 2},
      {.what = What::read, .piece = kAll},
      {.what = What::capture, .piece = kAll, .peer = true},
      {.what = What::capture, .piece = kAll, .ranks = 2, .peer = true, .pool = true},
      {.what = What::hand_over, .again = true},
      {.what = What::hand_over, .ranks = 1, .again = true, .idle = true},
      {.what = What::replay},
  };
  const std::int64_t broken = try_all(one_buffer(BufferKind::workspace), alphabet, 5);
  EXPECT_GT(broken, 1000);
  EXPECT_LT(broken, 30000);
}

// An output that another path writes before it is read; one that shares no byte with it, or that
// is only being captured, does no harm.
TEST(ReplayReadsNowProperty, EveryLifeOfAnOutput) {
  const std::vector<Act> alphabet = {
      {.piece = kFront},
      {.piece = kAll, .path = 1},
      {.piece = kBack, .path = 1},
      {.what = What::read, .piece = kFront},
      {.what = What::read, .piece = kAll, .path = 1},
      {.what = What::capture, .written = kBack},
      {.what = What::capture, .piece = kFront, .path = 1},
      {.what = What::replay},
  };
  const std::int64_t broken = try_all(one_buffer(BufferKind::output), alphabet, 5);
  EXPECT_GT(broken, 100);
  EXPECT_LT(broken, 30000);
}

rc::Gen<Piece> piece(bool may_be_none) {
  std::vector<std::int32_t> buffers = {0, 0, 1, 2};
  if (may_be_none) buffers.insert(buffers.begin(), 2, -1);
  return rc::gen::build<Piece>(
      rc::gen::set(&Piece::buffer, one_of<std::int32_t>(buffers)),
      rc::gen::set(&Piece::offset, one_of<std::int64_t>({0, 0, 0, 1, 2, 3})),
      rc::gen::set(&Piece::bytes, one_of<std::int64_t>({-1, 4, 4, 2, 1, 0, 8})));
}

rc::Gen<Act> act() {
  using W = What;
  const auto rarely = one_of<bool>({false, false, false, false, true});
  return rc::gen::build<Act>(
      rc::gen::set(&Act::what,
                   one_of<W>({W::write, W::read, W::capture, W::capture, W::replay, W::replay,
                              W::replay, W::replay, W::allocate, W::release, W::hand_over})),
      rc::gen::set(&Act::piece, piece(true)), rc::gen::set(&Act::written, piece(true)),
      rc::gen::set(&Act::ranks, one_of<Mask>({15, 15, 15, 15, 1, 2, 5, 14})),
      rc::gen::set(&Act::path, one_of<std::int64_t>({0, 0, 1})),
      rc::gen::set(&Act::size, one_of<std::int64_t>({8, 8, 16})),
      rc::gen::set(&Act::number, one_of<std::int64_t>({1, 1, 2, -1})),
      rc::gen::set(&Act::masked, rarely), rc::gen::set(&Act::write_first, rarely),
      rc::gen::set(&Act::again, generators::coin()), rc::gen::set(&Act::peer, rarely),
      rc::gen::set(&Act::pool, rarely), rc::gen::set(&Act::idle, rarely));
}

rc::Gen<PlanBuffer> buffer() {
  using K = BufferKind;
  return rc::gen::build<PlanBuffer>(
      rc::gen::set(&PlanBuffer::bytes, one_of<std::optional<std::int64_t>>({4, 8, std::nullopt})),
      rc::gen::set(&PlanBuffer::owner, one_of<RankSet>({{}, {}, {0, 1}, {1, 1}})),
      rc::gen::set(&PlanBuffer::kind,
                   one_of<std::optional<K>>({K::metadata, K::output, K::input, K::metadata,
                                             K::workspace, K::kv, std::nullopt})));
}

// Acts as they are meant for a world: of its ranks, on buffers where they need one.
std::vector<Act> fitting(const World& world, std::vector<Act> acts) {
  const Mask all = (1U << static_cast<unsigned>(world.ranks)) - 1U;
  for (Act& act : acts) {
    act.ranks = (act.ranks & all) == 0 ? all : act.ranks & all;
    const bool needs = act.what == What::allocate || act.what == What::release;
    if (needs) act.piece.buffer = std::max(act.piece.buffer, 0);
  }
  return acts;
}

// Whatever two to four ranks do with three buffers of all kinds, sizes and owners.
TEST(ReplayReadsNowProperty, RandomLives) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  seen.declare("places", {"1", "2", "3", "4"});
  EXPECT_TRUE(property::holds("every broken event and buffer is told, and no other", [&seen] {
    World world{.ranks = *evenly(2, 5),
                .buffers = *rc::gen::container<std::vector<PlanBuffer>>(3, buffer())};
    for (std::size_t i = 0; i < 3; ++i) world.buffers[i].name = "b" + std::to_string(i);
    for (PlanBuffer& each : world.buffers) {
      if (!each.owner.empty()) each.owner = common(each.owner, {0, world.ranks - 1});
    }
    const auto acts =
        fitting(world, *rc::gen::resize(14, rc::gen::container<std::vector<Act>>(act())));
    const Places wanted = expected(world, acts);
    seen.count("broken", !wanted.empty());
    seen.count("places", std::min<std::int64_t>(std::ssize(wanted), 4));
    RC_ASSERT(places_of(plan_of(world, acts)) == wanted);
  }));
  seen.print("the lives of replay_reads_now");
}

// ---- steps -----------------------------------------------------------------------------------

struct Launch {
  PlanOpKind kind = PlanOpKind::kernel;
  std::int32_t stream = 0;
  Mask reads = 0;  // bytes of one buffer
  Mask writes = 0;
  Mask after = 0;  // operations before it, counted back: bit 0 is the one before
  Mask from = 0;
  bool says_from = false;
  bool registered = false;
  std::int8_t family = 0;  // of a collective: 0 and 1 pair the ranks, 2 holds all
};

struct Step {
  std::vector<Launch> ops;
  std::size_t block = 0;  // so many operations from the first on are one block, the rest another
  std::int64_t repeat_block = 1;
  std::int64_t repeat = 1;
  bool owned = true;  // these ranks have the buffer
};

std::ostream& operator<<(std::ostream& out, const Launch& op) {
  return out << "\n  {" << name_of(op.kind) << " stream " << op.stream << " reads " << op.reads
             << " writes " << op.writes << " after " << op.after << " from " << op.from << " said "
             << op.says_from << " registered " << op.registered << " family "
             << static_cast<int>(op.family) << "}";
}
std::ostream& operator<<(std::ostream& out, const Step& step) {
  out << "block " << step.block << " x" << step.repeat_block << " x" << step.repeat << " owned "
      << step.owned;
  for (const Launch& op : step.ops) out << op;
  return out;
}

std::vector<BufferRange> ranges_of(Mask bytes) {
  std::vector<BufferRange> out;
  for (std::int64_t at = 0; at < 8; ++at) {
    if (holds(bytes, at)) out.push_back({0, at, 1});
  }
  return out;
}

// The operations that a mask counts back from `at`.
std::vector<std::int32_t> counted_back(Mask mask, std::size_t at) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < at; ++i) {
    if (holds(mask, static_cast<std::int64_t>(at - 1 - i))) {
      out.push_back(static_cast<std::int32_t>(i));
    }
  }
  return out;
}

Lifecycle plan_of(const Step& step) {
  Lifecycle plan{.world = 4};
  add_group(plan, "pairs", {{0, 1}, {2, 3}});
  add_group(plan, "across", {{0, 2}, {1, 3}});
  add_group(plan, "all", {{3, 2, 1, 0}});
  add_buffer(plan, {.name = "b", .bytes = 8});
  if (!step.owned) plan.buffers[0].owner = {3, 3};
  Program program = eager_program({0, 2}, 8, {});
  program.repeat = step.repeat;
  for (std::size_t i = 0; i < step.ops.size(); ++i) {
    const Launch& each = step.ops[i];
    PlanOp out = op(each.kind);
    if (is_collective(each.kind)) out.group = GroupId{each.family};
    out.stream = each.stream;
    out.reads = ranges_of(each.reads);
    out.writes = ranges_of(each.writes);
    out.after = counted_back(each.after, i);
    if (each.says_from) out.from = counted_back(each.from, i);
    if (each.registered) out.registered = true;
    program.ops.push_back(std::move(out));
  }
  const auto count = static_cast<std::int32_t>(step.ops.size());
  const auto first = std::min(static_cast<std::int32_t>(step.block), count);
  if (first > 0) program.blocks.push_back({0, first, step.repeat_block, {}});
  if (first < count) program.blocks.push_back({first, count - first, 1, {}});
  plan.events = {eager("p", 8, {std::move(program)})};
  return std::move(finish(plan));
}

std::set<std::int32_t> flagged_ops(const Step& step) {
  const Lifecycle plan = plan_of(step);
  const Timeline timeline(plan);
  PlanReport report;
  find_law(kLaw)->check_plan(timeline, report);
  std::set<std::int32_t> out;
  for (const Breach& breach : report.breaches()) {
    out.insert(static_cast<std::int32_t>(breach.at - plan.events[0].programs[0].ops.data()));
  }
  return out;
}

class StepMachine {
 public:
  explicit StepMachine(const Step& step) : step_(step), ops_(step.ops) {
    for (Launch& op : ops_) {
      if (!step.owned) op.reads = op.writes = 0;
    }
  }

  std::set<std::int32_t> run() {
    for (std::size_t at = 0; at < ops_.size(); ++at) {
      if (overwritten(at) || unjoined(at) || never_joined(at)) flag(at);
    }
    refill();
    return out_;
  }

 private:
  void flag(std::size_t at) { out_.insert(static_cast<std::int32_t>(at)); }

  bool names(std::size_t reader, std::size_t producer) const {
    return ops_[reader].says_from &&
           holds(ops_[reader].from, static_cast<std::int64_t>(reader - 1 - producer));
  }

  // Who wrote each byte last when an operation begins.
  bool overwritten(std::size_t reader) const {
    std::map<std::int64_t, std::size_t> last;
    for (std::size_t i = 0; i < reader; ++i) {
      for (std::int64_t byte = 0; byte < 8; ++byte) {
        if (holds(ops_[i].writes, byte)) last[byte] = i;
      }
    }
    for (std::size_t i = 0; i < reader; ++i) {
      if (!names(reader, i)) continue;
      for (const auto& [byte, writer] : last) {
        const bool meant = holds(ops_[i].writes & ops_[reader].reads, byte);
        if (meant && writer != i) return true;
      }
    }
    return false;
  }

  // Whether `a` has surely ended when `b` begins: a way back from b over what each waits for.
  bool ended(std::size_t a, std::size_t b) const {
    for (std::size_t before = b; before-- > a;) {
      if (waits_for(b, before) && (before == a || ended(a, before))) return true;
    }
    return false;
  }
  bool waits_for(std::size_t b, std::size_t before) const {
    const Launch& op = ops_[b];
    if (op.stream == ops_[before].stream || op.kind == PlanOpKind::host_wait) return true;
    if (ops_[before].kind == PlanOpKind::host_wait) return true;
    if (holds(op.after, static_cast<std::int64_t>(b - 1 - before))) return true;
    const bool nothing_named = counted_back(op.after, b).empty();
    return op.kind == PlanOpKind::wait && nothing_named && before + 1 == b;
  }

  bool unjoined(std::size_t reader) const {
    for (std::size_t i = 0; i < reader; ++i) {
      const bool reads = (ops_[i].writes & ops_[reader].reads) != 0 || names(reader, i);
      if (reads && !ended(i, reader)) return true;
    }
    return false;
  }

  // The operation behind a sum on another stream reads it, though nothing ever waits for the sum.
  bool never_joined(std::size_t reader) const {
    if (reader == 0) return false;
    const Launch& sum = ops_[reader - 1];
    const Launch& op = ops_[reader];
    const bool computes = op.kind == PlanOpKind::kernel || op.kind == PlanOpKind::matmul;
    if (sum.kind != PlanOpKind::all_reduce || sum.stream == op.stream || op.says_from) return false;
    if (!computes) return false;
    for (std::size_t later = reader; later < ops_.size(); ++later) {
      if (ops_[later].stream != sum.stream && ended(reader - 1, later)) return false;
    }
    return true;
  }

  // Every repetition written out; what peers may still read stays open until all have met.
  void refill() {
    std::vector<std::size_t> order;
    const std::size_t first = std::min(step_.block, ops_.size());
    for (std::int64_t i = 0; i < step_.repeat; ++i) {
      for (std::int64_t j = 0; j < step_.repeat_block; ++j) {
        for (std::size_t at = 0; at < first; ++at) order.push_back(at);
      }
      for (std::size_t at = first; at < ops_.size(); ++at) order.push_back(at);
    }
    struct Open {
      Mask bytes = 0;
      std::int8_t family = 0;
    };
    std::vector<Open> open;
    for (const std::size_t at : order) {
      const Launch& op = ops_[at];
      if (is_collective(op.kind)) {
        std::erase_if(open,
                      [&](const Open& each) { return op.family == 2 || op.family == each.family; });
      }
      if (std::erase_if(open, [&](const Open& each) { return (each.bytes & op.writes) != 0; }) >
          0) {
        flag(at);
      }
      if (is_collective(op.kind) && op.registered) open.push_back({op.reads, op.family});
    }
  }

  const Step& step_;
  std::vector<Launch> ops_;
  std::set<std::int32_t> out_;
};

// Every step of four operations: operands that are written over, on side streams that are joined
// late or never, and a symmetric buffer that is filled again, in this round or in the next.
TEST(ReplayReadsNowProperty, EveryStepOfFourOperations) {
  using K = PlanOpKind;
  const std::array<Launch, 10> alphabet = {{
      {},
      {.reads = 3, .from = 6, .says_from = true},
      {.writes = 3},
      {.kind = K::copy, .writes = 6},
      {.kind = K::all_reduce, .stream = 1, .after = 1},
      {.kind = K::all_reduce, .reads = 1, .registered = true},
      {.kind = K::all_reduce, .reads = 4, .registered = true, .family = 2},
      {.kind = K::matmul, .stream = 1, .reads = 2, .writes = 1},
      {.kind = K::wait, .after = 2},
      {.kind = K::barrier, .family = 1},
  }};
  std::int64_t broken = 0;
  for (std::size_t code = 0; code < 10 * 10 * 10 * 10 * 3; ++code) {
    Step step{.block = 3};
    std::size_t rest = code;
    for (std::size_t i = 0; i < 4; ++i, rest /= 10) step.ops.push_back(alphabet.at(rest % 10));
    step.repeat_block = rest == 1 ? 2 : 1;
    step.repeat = rest == 2 ? 2 : 1;
    const auto wanted = StepMachine(step).run();
    broken += wanted.empty() ? 0 : 1;
    ASSERT_EQ(flagged_ops(step), wanted) << rc::toString(step);
  }
  EXPECT_GT(broken, 3000);
  EXPECT_LT(broken, 25000);
}

rc::Gen<Launch> launch() {
  using K = PlanOpKind;
  const auto bytes = one_of<Mask>({0, 0, 1, 3, 6, 12, 255});
  return rc::gen::build<Launch>(
      rc::gen::set(&Launch::kind,
                   one_of<K>({K::kernel, K::kernel, K::matmul, K::copy, K::all_reduce,
                              K::all_reduce, K::barrier, K::wait, K::host_wait, K::free})),
      rc::gen::set(&Launch::stream, one_of<std::int32_t>({0, 0, 0, 1, 2})),
      rc::gen::set(&Launch::reads, bytes), rc::gen::set(&Launch::writes, bytes),
      rc::gen::set(&Launch::after, one_of<Mask>({0, 0, 1, 2, 4, 5})),
      rc::gen::set(&Launch::from, one_of<Mask>({0, 1, 2, 3, 4, 6})),
      rc::gen::set(&Launch::says_from, one_of<bool>({false, false, true})),
      rc::gen::set(&Launch::registered, generators::coin()),
      rc::gen::set(&Launch::family, one_of<std::int8_t>({0, 0, 1, 2})));
}

// Longer steps, of three streams; of ranks that have the buffer or not.
TEST(ReplayReadsNowProperty, RandomSteps) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  EXPECT_TRUE(property::holds("every broken operation is told, and no other", [&seen] {
    const Step step{.ops = *rc::gen::resize(9, rc::gen::container<std::vector<Launch>>(launch())),
                    .block = static_cast<std::size_t>(*evenly(0, 7)),
                    .repeat_block = *evenly(1, 4),
                    .repeat = *evenly(1, 4),
                    .owned = *one_of<bool>({true, true, true, false})};
    const auto wanted = StepMachine(step).run();
    seen.count("broken", !wanted.empty());
    RC_ASSERT(flagged_ops(step) == wanted);
  }));
  seen.print("the steps of replay_reads_now");
}

}  // namespace
}  // namespace capsize::replay_reads_now_test
