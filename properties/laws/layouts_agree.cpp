// layouts_agree: what an operation reads is what the operation before it leaves, in rows and in
// layout. An operation reads its producers: those that it names, or the data operation before it
// (integers aside, which are votes, counts and indices); where a block repeats, its first one also
// reads the block's last. Whether two layouts are one is decided by ranks and not by names
// (properties/plan_layouts.hpp).
#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "properties/plan_layouts.hpp"
#include "properties/plan_report.hpp"

namespace capsize {
namespace {

// Operations that hold no data: whoever follows them reads what came before them.
bool is_transparent(PlanOpKind kind) {
  switch (kind) {
    case PlanOpKind::barrier:
    case PlanOpKind::host_wait:
    case PlanOpKind::host_collective:
    case PlanOpKind::wait:
    case PlanOpKind::create_group:
    case PlanOpKind::register_group:
    case PlanOpKind::allocate:
    case PlanOpKind::free:
    case PlanOpKind::send: return true;  // a send reads, and passes nothing on
    default: return false;
  }
}

// Data that an operation does not read unless it names it, and that passes by: votes, counts and
// indices are exchanged between the operations of a layer and are no part of its rows.
bool is_aside(const PlanOp& op) { return op.dtype == "int32" || op.dtype == "int64"; }

bool is_passed_over(const PlanOp& op) { return is_transparent(op.kind) || is_aside(op); }

bool starts_chain(const PlanOp& op) {
  return op.kind == PlanOpKind::recv || (op.kind == PlanOpKind::copy && op.in.empty());
}

// Whether it reads the operation before it, where it names none.
bool reads_before(const PlanOp& op) {
  if (is_aside(op)) return false;
  return !starts_chain(op) && (op.kind == PlanOpKind::send || !is_transparent(op.kind));
}

// Operations whose operands are worked on row by row, together.
bool is_fused(PlanOpKind kind) {
  return kind == PlanOpKind::add || kind == PlanOpKind::norm || kind == PlanOpKind::attention ||
         kind == PlanOpKind::kernel;
}

bool is_nonlinear(PlanOpKind kind) {
  return kind == PlanOpKind::norm || kind == PlanOpKind::router || kind == PlanOpKind::attention;
}

bool is_typed(PlanOpKind kind) {
  return kind == PlanOpKind::reduce_scatter || kind == PlanOpKind::all_reduce ||
         kind == PlanOpKind::all_gather || kind == PlanOpKind::slice;
}

// A library that checks shapes raises; the others read on, or too little.
Symptom symptom_of_rows(Transport transport) {
  return transport == Transport::checked ? Symptom::clean_error : Symptom::silent_corruption;
}

// What one operand is said to be, by the operation that reads it or by the one that leaves it.
struct Operand {
  std::optional<std::int64_t> rows;
  const Layout* layout = nullptr;
};

Operand read_by(const PlanOp& op, std::size_t i) {
  return {i < op.rows_in.size() ? std::optional(op.rows_in[i]) : std::nullopt,
          i < op.in.size() ? &op.in[i] : nullptr};
}

Operand left_by(const PlanOp& op) { return {op.rows_out, op.out ? &*op.out : nullptr}; }

// `one`, and what it does not say from `other`.
Operand completed(Operand one, const Operand& other) {
  if (!one.rows) one.rows = other.rows;
  if (one.layout == nullptr) one.layout = other.layout;
  return one;
}

std::string text_of(const Lifecycle& lifecycle, const Operand& operand) {
  std::string text;
  if (operand.rows) text = counted(*operand.rows, "row");
  if (operand.layout != nullptr) {
    text += (text.empty() ? "" : " as ") + text_of(lifecycle, *operand.layout);
  }
  return text;
}

// A send or receive of one class, and what it passes on.
struct Point {
  const RunOp* op = nullptr;
  Operand what;
};

// ---- inside one class of ranks --------------------------------------------------------------

// Reads the operations of one class in their order, part by part.
class Chain {
 public:
  Chain(const Timeline& timeline, PlanLayouts& layouts, PlanReport& report)
      : timeline_(timeline), layouts_(layouts), report_(report) {}

  // All of a class. Its sends and receives are added to `points` in the order in which they run.
  void read(const EventRun& event, std::int32_t running, std::vector<Point>& points) {
    const Running& runs = start(event, running);
    points_ = &points;
    for (const RunPart& part : runs.parts) {
      read_part(runs.ops, runs.blocks, part);
    }
  }

  // What a replay restates of the graph that it runs: a chain of its own.
  void read_restated(const EventRun& event, std::int32_t running);

 private:
  const Running& start(const EventRun& event, std::int32_t running) {
    event_ = &event;
    running_ = running;
    runs_ = &event.runnings[static_cast<std::size_t>(running)];
    return *runs_;
  }

  void read_part(const std::vector<RunOp>& ops, const std::vector<RunBlock>& blocks,
                 const RunPart& part);
  void visit(std::int32_t k);
  // A run of operations once more, as far as it reads what was there when it began.
  void enter_again(std::int32_t first, std::int32_t count);
  void repeat_points(std::size_t first, std::int64_t repeat);

  void edge(std::int32_t k, std::int32_t producer, std::size_t operand);
  void operands(std::int32_t k);
  void typing(std::int32_t k, const Layout& in);
  void nonlinear(std::int32_t k, const Layout& in);
  [[nodiscard]] std::int32_t named(std::int32_t index) const;
  [[nodiscard]] bool is_narrowed(std::int32_t k, std::int32_t producer, std::int64_t read) const;
  [[nodiscard]] Symptom symptom_of_typing(const PlanOp& op, std::int64_t size) const;
  void add(std::int32_t k, std::int64_t rank, Symptom symptom, std::string blame);

  [[nodiscard]] const RunOp& run_at(std::int32_t k) const {
    return (*ops_)[static_cast<std::size_t>(k)];
  }
  [[nodiscard]] const PlanOp& op_at(std::int32_t k) const { return *run_at(k).op; }
  [[nodiscard]] const Lifecycle& lifecycle() const { return timeline_.lifecycle(); }
  void look() { report_.looked_at(event_->event->path); }

  const Timeline& timeline_;
  PlanLayouts& layouts_;
  PlanReport& report_;
  const EventRun* event_ = nullptr;
  const Running* runs_ = nullptr;
  std::int32_t running_ = 0;
  const std::vector<RunOp>* ops_ = nullptr;
  std::vector<Point>* points_ = nullptr;
  std::int32_t part_first_ = 0;
  std::int32_t part_end_ = 0;
  std::int32_t current_ = -1;          // whose output the next operation reads; -1: not known
  std::vector<std::int32_t> sources_;  // of every operation: whose output it reads first
};

void Chain::read_part(const std::vector<RunOp>& ops, const std::vector<RunBlock>& blocks,
                      const RunPart& part) {
  ops_ = &ops;
  sources_.resize(ops.size());
  const std::span own(blocks.data() + part.first_block, static_cast<std::size_t>(part.blocks));
  part_first_ = own.front().first;
  part_end_ = own.back().first + own.back().count;
  current_ = -1;
  const std::size_t points_of_part = points_ == nullptr ? 0 : points_->size();
  for (const RunBlock& block : own) {
    const std::size_t points_of_block = points_ == nullptr ? 0 : points_->size();
    for (std::int32_t k = block.first; k < block.first + block.count; ++k) visit(k);
    if (block.repeat > 1) {
      enter_again(block.first, block.count);
      repeat_points(points_of_block, block.repeat);
    }
  }
  if (part.repeat > 1) {
    enter_again(part_first_, part_end_ - part_first_);
    repeat_points(points_of_part, part.repeat);
  }
}

void Chain::repeat_points(std::size_t first, std::int64_t repeat) {
  constexpr std::int64_t kRepeats = 128;  // more layers than any model has
  if (points_ == nullptr) return;
  const std::vector<Point> once(points_->begin() + static_cast<std::ptrdiff_t>(first),
                                points_->end());
  if (once.empty()) return;
  for (std::int64_t i = 1; i < std::min(repeat, kRepeats); ++i) {
    points_->insert(points_->end(), once.begin(), once.end());
  }
}

void Chain::enter_again(std::int32_t first, std::int32_t count) {
  for (std::int32_t k = first; k < first + count; ++k) {
    const PlanOp& op = op_at(k);
    if (current_ >= 0 && !op.from && reads_before(op)) edge(k, current_, 0);
    if (!is_passed_over(op)) return;
  }
}

// The place of an operation that another one of its program names; where it holds no data, of the
// one whose output it waits for.
std::int32_t Chain::named(std::int32_t index) const {
  const auto begin = ops_->begin() + part_first_;
  const auto end = ops_->begin() + part_end_;
  const auto found = std::ranges::lower_bound(begin, end, index, {}, &RunOp::index);
  if (found == end || found->index != index) return -1;
  const auto k = static_cast<std::int32_t>(found - ops_->begin());
  return is_transparent(op_at(k).kind) ? sources_[static_cast<std::size_t>(k)] : k;
}

void Chain::visit(std::int32_t k) {
  const RunOp& run = run_at(k);
  const PlanOp& op = *run.op;
  // Work of the host before a replay does not feed what the graph would launch.
  if (!run.from_graph && event_->event->kind == PlanEventKind::replay && k > part_first_ &&
      run.captured != run_at(k - 1).captured) {
    current_ = -1;
  }
  std::int32_t source = current_;
  if (op.from) {
    source = op.from->empty() ? -1 : named(op.from->front());
    for (std::size_t i = 0; i < op.from->size(); ++i) {
      if (const std::int32_t producer = named((*op.from)[i]); producer >= 0) edge(k, producer, i);
    }
  } else if (current_ >= 0 && reads_before(op)) {
    edge(k, current_, 0);
  }
  sources_[static_cast<std::size_t>(k)] = source;
  if (!op.in.empty() || op.rows_in.size() > 1 || op.from) operands(k);
  if (is_point_to_point(op.kind) && points_ != nullptr) {
    Operand what = completed(op.kind == PlanOpKind::send ? read_by(op, 0) : left_by(op),
                             op.kind == PlanOpKind::send ? left_by(op) : read_by(op, 0));
    if (op.kind == PlanOpKind::send && source >= 0) {
      what = completed(what, left_by(op_at(source)));
    }
    points_->push_back({&run, what});
  }
  if (!is_passed_over(op)) current_ = k;
}

// An operation that is not captured may work on the real rows of a padded tensor.
bool Chain::is_narrowed(std::int32_t k, std::int32_t producer, std::int64_t read) const {
  if (run_at(k).captured) return false;
  const auto narrows = [&](const Program* program) {
    if (program == nullptr || !program->tokens) return false;
    const auto bucket = bucket_of(*program);
    return bucket && *program->tokens < *bucket && op_at(producer).rows_out == bucket &&
           *program->tokens == read;
  };
  return narrows(runs_->program) || narrows(runs_->graph);
}

void Chain::edge(std::int32_t k, std::int32_t producer, std::size_t operand) {
  const PlanOp& op = op_at(k);
  const Operand left = left_by(op_at(producer));
  const Operand read = read_by(op, operand);
  const bool rows_said = left.rows && read.rows;
  const bool layouts_said = left.layout != nullptr && read.layout != nullptr;
  if (rows_said || layouts_said) {
    look();
    const bool rows_differ =
        rows_said && *left.rows != *read.rows && !is_narrowed(k, producer, *read.rows);
    const auto rank = layouts_said ? layouts_.differ(runs_->ranks, *left.layout, *read.layout)
                                   : std::optional<std::int64_t>();
    if (rows_differ || rank) {
      add(k, rank.value_or(runs_->ranks.first()),
          rows_differ ? symptom_of_rows(transport_of(lifecycle(), op)) : Symptom::silent_corruption,
          op_text(lifecycle(), op) + " reads " + text_of(lifecycle(), read) + ", but " +
              op_text(lifecycle(), op_at(producer)) + " before it leaves " +
              text_of(lifecycle(), left));
    }
  }
  if (read.layout != nullptr || left.layout == nullptr) return;
  nonlinear(k, *left.layout);
  if (operand == 0) typing(k, *left.layout);
}

// Operands of a fused operation are equal. A sum and a norm read all that they name, row by row;
// kernels may name what they read otherwise, so for them only what they say themselves counts.
void Chain::operands(std::int32_t k) {
  const PlanOp& op = op_at(k);
  for (const Layout& in : op.in) nonlinear(k, in);
  if (!op.in.empty()) typing(k, op.in.front());
  if (!is_fused(op.kind)) return;
  const bool by_rows = op.kind == PlanOpKind::add || op.kind == PlanOpKind::norm;
  const std::size_t from = by_rows && op.from ? op.from->size() : 0;
  const std::size_t count = std::max({op.rows_in.size(), op.in.size(), from});
  const auto operand = [&](std::size_t i) {
    const std::int32_t producer = i < from ? named((*op.from)[i]) : -1;
    return producer < 0 ? read_by(op, i) : completed(read_by(op, i), left_by(op_at(producer)));
  };
  if (count < 2) return;
  const Operand first = operand(0);
  for (std::size_t i = 1; i < count; ++i) {
    const Operand other = operand(i);
    const bool rows_said = first.rows && other.rows;
    const bool layouts_said = first.layout != nullptr && other.layout != nullptr;
    if (rows_said || layouts_said) look();
    const bool rows_differ = rows_said && *first.rows != *other.rows;
    const auto rank = layouts_said ? layouts_.differ(runs_->ranks, *first.layout, *other.layout)
                                   : std::optional<std::int64_t>();
    if (!rows_differ && !rank) continue;
    add(k, rank.value_or(runs_->ranks.first()),
        rows_differ ? symptom_of_rows(transport_of(lifecycle(), op)) : Symptom::silent_corruption,
        op_text(lifecycle(), op) + " works on " + text_of(lifecycle(), first) + " and on " +
            text_of(lifecycle(), other));
    return;
  }
}

// Whether the counts show the fault too, so that a library that checks them raises.
Symptom Chain::symptom_of_typing(const PlanOp& op, std::int64_t size) const {
  if (op.rows_in.empty() || !op.rows_out) return Symptom::silent_corruption;
  const std::int64_t in = op.rows_in.front() * (op.kind == PlanOpKind::all_gather ? size : 1);
  const std::int64_t out = *op.rows_out * (op.kind == PlanOpKind::reduce_scatter ? size : 1);
  if (op.kind == PlanOpKind::slice || !op.sizes.empty() || in == out) {
    return Symptom::silent_corruption;
  }
  return symptom_of_rows(transport_of(lifecycle(), op));
}

void Chain::typing(std::int32_t k, const Layout& in) {
  const PlanOp& op = op_at(k);
  if (!is_typed(op.kind) || !op.group.valid()) return;
  look();
  const auto rank = layouts_.misfit(runs_->ranks, op.kind, op.group, in, op.out);
  if (!rank) return;
  const std::int64_t size = lifecycle().size_at(op.group, *rank);
  std::string blame = op_text(lifecycle(), op) + " (" + std::to_string(size) +
                      (size == 1 ? " rank) cannot " : " ranks) cannot ");
  blame += op.out ? "turn " + text_of(lifecycle(), in) + " into " + text_of(lifecycle(), *op.out)
                  : "read " + text_of(lifecycle(), in);
  add(k, *rank, symptom_of_typing(op, size), std::move(blame));
}

void Chain::nonlinear(std::int32_t k, const Layout& in) {
  const PlanOp& op = op_at(k);
  if (!is_nonlinear(op.kind)) return;
  look();
  const auto rank = layouts_.unreduced(runs_->ranks, in);
  if (!rank) return;
  add(k, *rank, Symptom::silent_corruption,
      op_text(lifecycle(), op) + " reads " + text_of(lifecycle(), in) +
          ", a sum that is not complete");
}

void Chain::add(std::int32_t k, std::int64_t rank, Symptom symptom, std::string blame) {
  Breach breach = breach_at(timeline_, *event_, running_, run_at(k));
  breach.rank = rank;
  if (breach.group.valid()) breach.group_size = lifecycle().size_at(breach.group, rank);
  breach.symptom = symptom;
  breach.blame = std::move(blame);
  report_.add(std::move(breach));
}

void Chain::read_restated(const EventRun& event, std::int32_t running) {
  const Running& runs = start(event, running);
  if (runs.graph == nullptr) return;
  std::vector<RunOp> ops;
  std::vector<RunBlock> blocks;
  for (const OpBlock& block : runs.program->blocks) {
    const auto first = static_cast<std::int32_t>(ops.size());
    for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
      const PlanOp& op = runs.program->ops[static_cast<std::size_t>(i)];
      if (!op.captured.value_or(false)) continue;
      ops.push_back({.op = &op, .index = i, .layer = block.layer.value_or(-1), .captured = true});
    }
    const auto count = static_cast<std::int32_t>(ops.size()) - first;
    if (count > 0) blocks.push_back({first, count, block.repeat});
  }
  if (blocks.empty()) return;
  points_ = nullptr;
  read_part(ops, blocks, {0, static_cast<std::int32_t>(blocks.size()), runs.program->repeat});
}

// ---- between pipeline stages ----------------------------------------------------------------

// Sends and receives of one event: the k-th receive of a rank from another is that one's k-th send
// to it, over the same group.
class Pipeline {
 public:
  Pipeline(const Timeline& timeline, PlanLayouts& layouts, PlanReport& report)
      : timeline_(timeline), layouts_(layouts), report_(report) {}

  // By class: what it sends and receives, in order.
  std::vector<std::vector<Point>>& points() { return points_; }

  void read(const EventRun& event) {
    if (std::ranges::all_of(points_, [](const auto& each) { return each.empty(); })) return;
    event_ = &event;
    class_of_.assign(static_cast<std::size_t>(timeline_.lifecycle().world), -1);
    for (std::int32_t i = 0; i < std::ssize(event.runnings); ++i) {
      running_at(i).ranks.for_each(
          [&](std::int64_t rank) { class_of_[static_cast<std::size_t>(rank)] = i; });
    }
    for (std::int32_t i = 0; i < std::ssize(event.runnings); ++i) {
      judged_.clear();
      running_at(i).ranks.for_each([&](std::int64_t rank) { read_rank(i, rank); });
    }
  }

 private:
  // What was found broken for a class already, once a receive and class of senders.
  using Judged = std::pair<const RunOp*, std::int32_t>;

  [[nodiscard]] const Running& running_at(std::int32_t i) const {
    return event_->runnings[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] std::optional<std::int64_t> peer(std::int32_t running, const Point& point,
                                                 std::int64_t rank) const {
    const Running& runs = running_at(running);
    const Program& program = point.op->from_graph ? *runs.graph : *runs.program;
    return peer_of(timeline_.lifecycle(), program, *point.op->op, rank);
  }

  void read_rank(std::int32_t running, std::int64_t rank);
  [[nodiscard]] const Point* sent(std::int64_t sender, std::int64_t receiver, GroupId group,
                                  std::int64_t place) const;
  void compare(std::int32_t running, std::int64_t rank, const Point& received, std::int64_t sender,
               const Point& sent);

  const Timeline& timeline_;
  PlanLayouts& layouts_;
  PlanReport& report_;
  const EventRun* event_ = nullptr;
  std::vector<std::vector<Point>> points_;
  std::vector<std::int32_t> class_of_;
  std::vector<Judged> judged_;
  std::vector<std::pair<std::int64_t, GroupId>> met_;  // receives of one rank so far: from whom
};

void Pipeline::read_rank(std::int32_t running, std::int64_t rank) {
  met_.clear();
  for (const Point& point : points_[static_cast<std::size_t>(running)]) {
    if (point.op->op->kind != PlanOpKind::recv) continue;
    const auto sender = peer(running, point, rank);
    if (!sender) continue;
    const std::pair from(*sender, point.op->op->group);
    const auto place = std::ranges::count(met_, from);
    met_.push_back(from);
    const Point* other = sent(*sender, rank, point.op->op->group, place);
    if (other != nullptr) compare(running, rank, point, *sender, *other);
  }
}

const Point* Pipeline::sent(std::int64_t sender, std::int64_t receiver, GroupId group,
                            std::int64_t place) const {
  const std::int32_t running = class_of_[static_cast<std::size_t>(sender)];
  if (running < 0) return nullptr;
  for (const Point& point : points_[static_cast<std::size_t>(running)]) {
    if (point.op->op->kind != PlanOpKind::send || !(point.op->op->group == group)) continue;
    if (peer(running, point, sender) != receiver) continue;
    if (place-- == 0) return &point;
  }
  return nullptr;
}

void Pipeline::compare(std::int32_t running, std::int64_t rank, const Point& received,
                       std::int64_t sender, const Point& sent) {
  const bool rows_said = received.what.rows && sent.what.rows;
  const bool layouts_said = received.what.layout != nullptr && sent.what.layout != nullptr;
  if (!rows_said && !layouts_said) return;
  report_.looked_at(event_->event->path);
  const bool rows_differ = rows_said && *received.what.rows != *sent.what.rows;
  const bool layouts_differ =
      layouts_said && !layouts_.same_part(sender, *sent.what.layout, rank, *received.what.layout);
  if (!rows_differ && !layouts_differ) return;
  const Judged judged(received.op, class_of_[static_cast<std::size_t>(sender)]);
  if (std::ranges::find(judged_, judged) != judged_.end()) return;
  judged_.push_back(judged);
  const Lifecycle& lifecycle = timeline_.lifecycle();
  Breach breach = breach_at(timeline_, *event_, running, *received.op);
  breach.rank = rank;
  if (breach.group.valid()) breach.group_size = lifecycle.size_at(breach.group, rank);
  breach.other = judged.second;
  breach.symptom = rows_differ ? symptom_of_rows(transport_of(lifecycle, *received.op->op))
                               : Symptom::silent_corruption;
  breach.blame = "rank " + std::to_string(rank) + " receives " + text_of(lifecycle, received.what) +
                 ", but rank " + std::to_string(sender) + " sends " + text_of(lifecycle, sent.what);
  report_.add(std::move(breach));
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  PlanLayouts layouts(timeline.lifecycle());
  Chain chain(timeline, layouts, report);
  Pipeline pipeline(timeline, layouts, report);
  for (const EventRun& event : timeline.events()) {
    auto& points = pipeline.points();
    points.resize(std::max(points.size(), event.runnings.size()));
    for (auto& each : points) each.clear();
    for (std::int32_t running = 0; running < std::ssize(event.runnings); ++running) {
      chain.read(event, running, points[static_cast<std::size_t>(running)]);
      chain.read_restated(event, running);
    }
    pipeline.read(event);
  }
}

}  // namespace

extern const Law law_layouts_agree;
const Law law_layouts_agree{
    .name = "layouts_agree",
    .defect_class = "C02",
    .subject = "step",
    .statement =
        "Every edge between two operations, and every send and receive, has the same rows in the "
        "same layout at both ends; operands that are worked on together are equal; a collective "
        "works over the ranks that its operand is split or summed over; nothing but a sum reads "
        "a part of one.",
    .formula =
        "out(p) = in(c) for all edges (p, c); reduce_scatter: Part(G) -> Scat(G), all_reduce: "
        "Part(G) -> Rep, all_gather: Scat(G) -> Rep, slice: Rep -> Scat(G)",
    .way_out =
        "size the operation by what its operand holds after the last split or gather, and run it "
        "over the group that the operand is split over",
    .check_plan = check_plan};

}  // namespace capsize
