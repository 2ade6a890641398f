#include "runtime/plain/surroundings.hpp"

#include <algorithm>
#include <concepts>
#include <cstring>

#include "sim/content_hash.hpp"

namespace capsize {
namespace {

std::size_t size_of(std::integral auto number) { return static_cast<std::size_t>(number); }

bool is_refreshed_kind(const PlanBuffer& buffer) {
  return buffer.kind == BufferKind::input || buffer.kind == BufferKind::metadata;
}

// Operations of a program that restate captured ones, in order.
const PlanOp* restated(const Running& running, const PlanOp& op) {
  if (running.graph == nullptr) return nullptr;
  std::int64_t before = 0;  // captured operations of its kind before it
  for (const PlanOp& each : running.graph->ops) {
    if (&each == &op) break;
    if (each.kind == op.kind) ++before;
  }
  for (const PlanOp& each : running.program->ops) {
    if (!each.captured.value_or(false) || each.kind != op.kind) continue;
    const bool named = !each.id.empty() && !op.id.empty();
    if (named ? each.id == op.id : before == 0) return &each;
    if (!named) --before;
  }
  return nullptr;
}

std::optional<std::int64_t> requests_of(const Program& program, std::int64_t rows) {
  return bucket_of(program) == rows ? program.padded_requests : program.requests;
}

// A kernel reads one entry of each side operand a row or a request, and one more where the entries
// are bounds. It looks at no length: a shorter operand is read past its end, of a longer one the
// wrong entries are read.
std::optional<Trouble> extent_trouble(const Standpoint& at, const Instruction& what) {
  const PlanOp& op = *what.op;
  if (op.extents.empty() || what.inputs == 0) return std::nullopt;
  const std::int64_t rows = what.in[0].rows;
  const Program& program = what.from_graph ? *at.running->graph : *at.running->program;
  const auto requests = requests_of(program, rows);
  for (const auto& [name, entries] : op.extents) {
    const bool by_row = entries == rows || entries == rows + 1;
    const bool by_request = requests && (entries == *requests || entries == *requests + 1);
    if (by_row || by_request) continue;
    return Trouble{Symptom::silent_corruption, Check::address,
                   "it works on " + std::to_string(rows) + " rows and reads " + name + " of " +
                       std::to_string(entries)};
  }
  return std::nullopt;
}

// In place a collective works on exactly the rank's part of the whole.
std::optional<Trouble> overlap_trouble(const Bound& bound) {
  const PlanOp& op = *bound.what->op;
  if (!moves_rows(op.kind) || op.reads.empty() || op.writes.empty()) return std::nullopt;
  const Arrival& arrival = bound.arrival;
  for (const BufferRange& in : op.reads) {
    for (const BufferRange& out : op.writes) {
      if (!overlap(in, out)) continue;
      std::int64_t expected = in.offset;
      if (op.kind == PlanOpKind::reduce_scatter) expected += arrival.position * out.bytes;
      if (op.kind == PlanOpKind::all_gather) expected -= arrival.position * in.bytes;
      if (out.offset == expected && in.bytes >= 0 && out.bytes >= 0) continue;
      return Trouble{Symptom::silent_corruption, Check::address,
                     "its output lies over rows of its operand that others still read"};
    }
  }
  return std::nullopt;
}

}  // namespace

Surroundings::Surroundings(const Timeline& timeline, std::span<const std::int64_t> ranks)
    : plan_(timeline.lifecycle()),
      groups_(timeline, ranks),
      place_(size_of(plan_.world), -1),
      written_by_host_(plan_.buffers.size(), false),
      reads_(ranks.size()),
      eager_reads_(ranks.size()),
      claims_(plan_, ranks.size()) {
  for (const std::int64_t rank : ranks) {
    place_[size_of(rank)] = static_cast<std::int32_t>(ranks_.size());
    ranks_.push_back({.rank = rank, .buffers = RankBuffers(plan_, rank)});
  }
  for (const EventRun& event : timeline.events()) {
    for (const Running& running : event.runnings) {
      for (const RunOp& run : running.ops) {
        if (run.op->out || !run.op->in.empty()) layouts_told_ = true;
        if (run.captured) continue;
        for (const BufferRange& range : run.op->writes) {
          if (range.buffer >= 0) written_by_host_[size_of(range.buffer)] = true;
        }
      }
    }
  }
}

void Surroundings::begin(const EventRun& event) {
  event_ = &event;
  groups_.begin(event);
  const PlanEvent& what = *event.event;
  const auto path = std::ranges::find(paths_, what.path);
  path_ = static_cast<std::int32_t>(path - paths_.begin());
  if (path == paths_.end()) paths_.push_back(what.path);
  for (Rank& each : ranks_) {
    if (!what.ranks.empty() && !what.ranks.contains(each.rank)) continue;
    if (what.kind == PlanEventKind::allocate) {
      each.buffers.allocate(what.buffer, what.bytes, false);
    }
    if (what.kind == PlanEventKind::free) each.buffers.free(what.buffer);
  }
}

// What a run leaves behind is not what its copy begins with.
void Surroundings::begin_run(bool eager_copy) {
  eager_copy_ = eager_copy;
  for (auto& each : eager_reads_) each.clear();
  if (eager_copy) return;
  for (auto& each : reads_) each.clear();
  copies_.clear();
  for (const Rank& each : ranks_) copies_.push_back(each.buffers);
  claims_.clear();
}

// ---- what is wrong ----------------------------------------------------------------------------

bool Surroundings::is_recorded(const Instruction& what) const {
  return event_->event->kind == PlanEventKind::capture && what.captured;
}

bool Surroundings::from_memory_of_graph(const Instruction& what) const {
  return what.from_graph && what.captured && !eager_copy_;
}

std::optional<Trouble> Surroundings::before(const Standpoint& where, Bound& bound) {
  const Instruction& what = *bound.what;
  if (what.op == nullptr) return std::nullopt;
  Rank& rank = at(where.rank);
  const PlanOp& op = *what.op;
  std::optional<Trouble> out;
  if (!eager_copy_) out = groups_.trouble_at(where, what, *event_, is_recorded(what));
  if (!out) out = extent_trouble(where, what);
  if (!out) out = buffer_trouble(rank, where, what);
  if (!out && bound.meets) out = overlap_trouble(bound);
  if (!out) out = output_trouble(rank, where, what);
  if (out) return out;
  const std::uint64_t read = read_all(rank, where, what);
  if (bound.meets) {
    bound.arrival.recorded = is_recorded(what) && !eager_copy_;
    bound.arrival.registered = is_registered(plan_, op);
    take_operand(rank, where, bound);
  } else {
    bound.call.salt = salt_of(where, what, read);
  }
  if (!eager_copy_) {
    claims_.before(size_of(place_[size_of(where.rank)]), where.instruction, bound);
  }
  return std::nullopt;
}

std::int32_t Surroundings::block_of(Rank& rank, const Standpoint& at, const Instruction& what,
                                    std::int32_t buffer) {
  if (from_memory_of_graph(what)) {
    const auto taken = rank.taken.find({at.running->capture_event, what.op, buffer});
    if (taken != rank.taken.end()) return taken->second;
  }
  const std::int32_t block = buffers(rank).block_of(buffer);
  if (is_recorded(what) && !eager_copy_) {
    rank.taken.insert_or_assign({event_->index, what.op, buffer}, block);
  }
  return block;
}

std::optional<Trouble> Surroundings::buffer_trouble(Rank& rank, const Standpoint& where,
                                                    const Instruction& what) {
  if (eager_copy_) return std::nullopt;
  const auto look = [&](const BufferRange& range, std::string_view verb) -> std::optional<Trouble> {
    if (!rank.buffers.owns(range.buffer)) return std::nullopt;
    const std::int32_t block = block_of(rank, where, what, range.buffer);
    auto trouble = rank.buffers.trouble_at(block, range, from_memory_of_graph(what));
    if (!trouble) return std::nullopt;
    return Trouble{Symptom::silent_corruption, trouble->check,
                   "it " + std::string(verb) + " " + trouble->text};
  };
  for (const BufferRange& range : what.op->reads) {
    if (auto out = look(range, "reads")) return out;
  }
  for (const BufferRange& range : what.op->writes) {
    if (auto out = look(range, "writes")) return out;
  }
  return std::nullopt;
}

// Rows of an output that another path has written over before its own path read them.
std::optional<Trouble> Surroundings::output_trouble(Rank& rank, const Standpoint& where,
                                                    const Instruction& what) {
  if (eager_copy_ || is_recorded(what)) return std::nullopt;
  for (const BufferRange& range : what.op->reads) {
    if (!rank.buffers.owns(range.buffer)) continue;
    const PlanBuffer& buffer = plan_.buffers[size_of(range.buffer)];
    if (buffer.kind != BufferKind::output) continue;
    const std::int32_t block = block_of(rank, where, what, range.buffer);
    if (rank.buffers.read_output(block, range, path_) < 0) continue;
    return Trouble{Symptom::silent_corruption, Check::eager,
                   "it reads " + buffer.name + ", which another path has written over since " +
                       event_->event->path + " did"};
  }
  return std::nullopt;
}

// ---- what an operation reads ------------------------------------------------------------------

std::optional<std::uint64_t> Surroundings::step_of(std::int32_t buffer) const {
  const bool refreshed =
      is_refreshed_kind(plan_.buffers[size_of(buffer)]) && written_by_host_[size_of(buffer)];
  if (!refreshed) return std::nullopt;
  return ContentHash().add(buffer).add(event_->index).value() | 1U;
}

// Of rows that are masked only the real ones are read.
BufferRange Surroundings::live_part(const Standpoint& at, const PlanOp& op,
                                    const BufferRange& range) const {
  BufferRange out = range;
  if (op.padding != Padding::masked && op.padding != Padding::zero) return out;
  const Program& program = *at.running->program;
  const std::int64_t bucket = bucket_of(program).value_or(0);
  if (!program.tokens || bucket <= 0 || range.bytes < 0) return out;
  out.bytes = range.bytes / bucket * std::min(*program.tokens, bucket);
  return out;
}

std::uint64_t Surroundings::read_all(Rank& rank, const Standpoint& where, const Instruction& what) {
  ContentHash all;
  // A captured operation is recorded; it reads when it is replayed.
  if (is_recorded(what)) return all.value();
  const bool captured = what.from_graph && what.captured;
  for (const BufferRange& each : what.op->reads) {
    if (!rank.buffers.owns(each.buffer)) continue;
    const BufferRange range = live_part(where, *what.op, each);
    const std::int32_t block = block_of(rank, where, what, range.buffer);
    if (block < 0) continue;
    const RankBuffers& from = buffers(rank);
    const auto step = eager_copy_ && captured ? step_of(range.buffer) : std::nullopt;
    const std::uint64_t value = from.read(block, range.offset, from.bytes_of(block, range), step);
    all.add(value);
    if (captured) remember(where, value, range.buffer);
  }
  if (captured && !what.op->launch.empty()) remember(where, launch_of(where, what), -1);
  return all.value();
}

void Surroundings::remember(const Standpoint& where, std::uint64_t value, std::int32_t buffer) {
  auto& log = (eager_copy_ ? eager_reads_ : reads_)[size_of(place_[size_of(where.rank)])];
  log.push_back({where.instruction, value, buffer});
}

std::optional<Surroundings::Stale> Surroundings::first_stale() const {
  std::optional<Stale> first;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const std::size_t both = std::min(reads_[i].size(), eager_reads_[i].size());
    for (std::size_t k = 0; k < both; ++k) {
      const Read& mine = reads_[i][k];
      if (mine.value == eager_reads_[i][k].value) continue;
      if (first && first->instruction <= mine.instruction) break;
      first = {ranks_[i].rank, mine.instruction,
               mine.buffer < 0
                   ? "the graph launches it with other constants than this step would"
                   : "the graph reads other values of " + plan_.buffers[size_of(mine.buffer)].name +
                         " than this step has"};
      break;
    }
  }
  return first;
}

// Where the bytes of a buffer are as many as the rows of a collective, they are its operand.
void Surroundings::take_operand(Rank& rank, const Standpoint& where, Bound& bound) {
  const Instruction& what = *bound.what;
  bound.arrival.in = bound.in[0];
  if (what.op->reads.size() != 1 || what.inputs == 0 || is_recorded(what)) return;
  const BufferRange& range = what.op->reads.front();
  const std::int64_t rows = bound.in[0].rows;
  const std::int32_t block = block_of(rank, where, what, range.buffer);
  if (block < 0 || rows == 0 || !rank.buffers.owns(range.buffer)) return;
  const std::int64_t bytes = buffers(rank).bytes_of(block, range);
  if (bytes % rows != 0) return;
  ConstMatrix operand = bound.in[0];
  rank.operand.resize(operand.bytes());
  std::byte* to = rank.operand.data();
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint64_t value =
        buffers(rank).read(block, range.offset + row * (bytes / rows), bytes / rows, std::nullopt);
    for (std::int64_t column = 0; column < operand.columns; ++column) {
      const auto element = static_cast<std::uint32_t>(value);
      std::memcpy(to, &element, sizeof element);
      to += sizeof element;
      value = spread(value + 1);
    }
  }
  operand.data = rank.operand.data();
  bound.arrival.in = operand;
}

// ---- what an operation computes ---------------------------------------------------------------

// The place of a rank along the axes of a layout that another one does not have.
std::uint64_t Surroundings::coordinate_of(std::int64_t rank, const Layout& layout,
                                          const Layout* without) const {
  ContentHash out;
  for (std::uint8_t i = 0; i < layout.depth; ++i) {
    const LayoutPart part = layout.parts.at(i);
    if (without != nullptr) {
      const auto end = without->parts.begin() + without->depth;
      const bool there = std::any_of(without->parts.begin(), end, [&](const LayoutPart& each) {
        return each.axis == part.axis;
      });
      if (there) continue;
    }
    out.add(plan_.family(part.axis).position_of[size_of(rank)]);
  }
  return out.value();
}

std::uint64_t Surroundings::coordinate(std::int64_t rank, const Body::Reader& reader) const {
  if (reader.op != nullptr && reader.operand < reader.op->in.size()) {
    return coordinate_of(rank, reader.op->in[reader.operand], nullptr);
  }
  return layouts_told_ ? 0 : static_cast<std::uint64_t>(rank + 1);
}

std::uint64_t Surroundings::salt_of(const Standpoint& at, const Instruction& what,
                                    std::uint64_t read) const {
  const PlanOp& op = *what.op;
  ContentHash out;
  out.add(what.index).add(what.layer).add(read);
  if (op.out) {
    out.add(coordinate_of(at.rank, *op.out, op.in.empty() ? nullptr : &op.in.front()));
  } else if (!layouts_told_) {
    out.add(at.rank + 1);
  }
  out.add(launch_of(at, what));
  return out.value();
}

// A graph keeps the launch constants of its capture; a step by itself has its own.
std::uint64_t Surroundings::launch_of(const Standpoint& at, const Instruction& what) const {
  const PlanOp& op = *what.op;
  const PlanOp* now = eager_copy_ && what.from_graph ? restated(*at.running, op) : nullptr;
  ContentHash out;
  for (const auto& [name, value] : op.launch) {
    std::string_view constant = value;
    if (now != nullptr) {
      const auto own = std::ranges::find(now->launch, name, &NamedValue::first);
      if (own != now->launch.end()) constant = own->second;
    }
    out.add(name).add(constant);
  }
  return out.value();
}

// ---- what an operation leaves -----------------------------------------------------------------

void Surroundings::after(const Standpoint& where, const Bound& bound) {
  const Instruction& what = *bound.what;
  if (what.op == nullptr) return;
  Rank& rank = at(where.rank);
  const PlanOp& op = *what.op;
  manage(rank, what);
  if (!eager_copy_) {
    groups_.after(where, what, *event_, is_recorded(what));
    claims_.after(size_of(place_[size_of(where.rank)]), where.instruction, bound);
  }
  if (is_recorded(what)) return;
  std::uint64_t value = bound.call.salt;
  if (what.outputs > 0 && !op.writes.empty()) value = hash_of(bound.out[0]);
  for (const BufferRange& range : op.writes) {
    if (!rank.buffers.owns(range.buffer)) continue;
    const std::int32_t block = block_of(rank, where, what, range.buffer);
    if (block < 0) continue;
    Content content{.value = spread(value + size_of(range.buffer)) | 1U, .origin = range.offset};
    const auto step = what.captured ? std::nullopt : step_of(range.buffer);
    if (step) content = {.value = *step, .of_step = true};
    if (plan_.buffers[size_of(range.buffer)].kind == BufferKind::output) {
      content.path = path_;
      content.unread = true;
    }
    buffers(rank).write(block, range, content);
  }
}

// Buffers that a program itself sets up.
void Surroundings::manage(Rank& rank, const Instruction& what) {
  const PlanOp& op = *what.op;
  // A graph allocates nothing anew when it is replayed: it has its memory.
  if (from_memory_of_graph(what)) return;
  if (op.kind == PlanOpKind::allocate) {
    buffers(rank).allocate(op.buffer, std::nullopt, is_recorded(what));
  }
  if (op.kind == PlanOpKind::free) buffers(rank).free(op.buffer);
}

}  // namespace capsize
