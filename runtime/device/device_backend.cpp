#include "runtime/device/device_backend.hpp"

#include <algorithm>
#include <utility>

namespace capsize {
namespace {

// No exact sum of a sound run is larger (sim/models/exact_model.hpp).
constexpr std::int64_t kExactBound = 256;

std::string event_text(std::int32_t event) { return "events[" + std::to_string(event) + "]"; }

}  // namespace

// ---- captures ---------------------------------------------------------------------------------

// Graphs of one event as they come to be. Each graph is launched when it is complete, so that the
// event leaves its rows, and is read back: its nodes are what was captured, and nothing else.
class DeviceBackend::Capture {
 public:
  explicit Capture(DeviceBackend& backend) : backend_(backend), device_(backend.device_) {}

  Result<void> add(const PutOff::Batch& batch) {
    if (!batch.captured && !batch.looks) out_.between += batch.items;
    if (batch.launch == nullptr && batch.own.empty()) return {};
    if (!batch.captured) {
      if (auto ended = end_graph(); !ended) return ended;
      if (!batch.looks) keep_beside(batch);
      return backend_.do_batch(batch);
    }
    if (!open_) {
      if (auto begun = device_.begin_capture(); !begun) return begun;
      open_ = true;
      names_.clear();
    }
    if (batch.launch != nullptr) {
      device_.launch(*batch.launch);
      names_.emplace_back(name_of(*batch.launch));
    }
    for (const Arrival& each : batch.own) {
      auto nodes = backend_.issue(each);
      if (!nodes) return tl::unexpected(std::move(nodes.error()));
      names_.insert(names_.end(), nodes->begin(), nodes->end());
    }
    return {};
  }

  Result<Graphs> finish() {
    if (auto ended = end_graph(); !ended) return tl::unexpected(std::move(ended.error()));
    return std::move(out_);
  }

  // What could not be captured leaves the stream usable.
  void give_up() {
    if (open_) (void)device_.end_capture();
    open_ = false;
  }

 private:
  Result<void> end_graph() {
    if (!std::exchange(open_, false)) return {};
    auto graph = device_.end_capture();
    if (!graph) return tl::unexpected(std::move(graph.error()));
    if (auto same = compare((*graph)->nodes()); !same) return same;
    device_.launch_graph(**graph);
    out_.pieces.emplace_back(*std::move(graph));
    return {};
  }

  // What runs between graphs is launched again as it is.
  void keep_beside(const PutOff::Batch& batch) {
    if (batch.launch != nullptr) out_.pieces.emplace_back(*batch.launch);
    for (const Arrival& each : batch.own) out_.pieces.emplace_back(each);
  }

  // Nodes against launches, in their order.
  Result<void> compare(const std::vector<std::string>& nodes) const {
    const auto [node, launch] = std::ranges::mismatch(nodes, names_);
    if (node == nodes.end() && launch == names_.end()) return {};
    const auto name = [](auto at, auto end) { return at == end ? "no node" : "\"" + *at + "\""; };
    return tl::unexpected(Error{
        "node " + std::to_string(node - nodes.begin()),
        "the captured graph holds " + name(node, nodes.end()) + " where " +
            name(launch, names_.end()) + " was launched; it has " + std::to_string(nodes.size()) +
            " nodes of " + std::to_string(names_.size()) + " launches",
        "something else was launched on the stream of the capture, or the device left a "
        "launch out: report it with the plan"});
  }

  DeviceBackend& backend_;
  Device& device_;
  Graphs out_;
  bool open_ = false;
  std::vector<std::string> names_;  // of the launches of the graph that is captured
};

// ---- a run ------------------------------------------------------------------------------------

Result<void> DeviceBackend::begin(const Lifecycle& lifecycle) {
  graphs_.clear();
  world_ = static_cast<std::size_t>(lifecycle.world);
  in_run_ = false;
  forget();
  return std::exchange(device_error_, {});
}

void DeviceBackend::forget() {
  put_off_.begin(world_);
  looks_.clear();
  slots_ = 0;
  between_ = 0;
  failed_at_ = SIZE_MAX;
}

void DeviceBackend::remember(Result<void> done) {
  if (!done && device_error_) device_error_ = std::move(done);
}

void DeviceBackend::begin_run(const RunStart& run) {
  run_ = run;
  in_run_ = true;
  forget();
  remember(rows_.flush());
}

// What a replay has from its graphs is not handed over again, and what runs between them was kept
// beside them.
bool DeviceBackend::from_graph() { return in_run_ && is_replay(); }

void DeviceBackend::compute(const Weights* weights, const LocalCall& call) {
  if (from_graph()) {
    between_ += call.captured ? 0 : 1;
    return;
  }
  put_off_.add(weights, call);
  if (at_once()) do_at_once();
}

void DeviceBackend::put_off(const CompleteMeeting& meeting) {
  if (from_graph()) {
    between_ += meeting.members.front().captured ? 0 : 1;
    return;
  }
  put_off_.add(meeting);
  if (at_once()) do_at_once();
}

void DeviceBackend::put_off_own(const Arrival& arrival) {
  if (from_graph()) {
    between_ += arrival.captured ? 0 : 1;
    return;
  }
  put_off_.add_own(arrival);
  if (at_once()) do_at_once();
}

Result<std::vector<std::string>> DeviceBackend::issue(const Arrival& arrival) {
  return tl::unexpected(Error{std::string(name_of(arrival.kind)),
                              "no library of the device moves rows here", "report it"});
}

ConstMatrix DeviceBackend::operand_on_device(const Arrival& arrival, bool in_place) {
  if (from_graph()) return arrival.in;
  const bool elsewhere = rows_.lies_elsewhere(arrival.in);
  if (!elsewhere && !in_place) return arrival.in;
  auto there = elsewhere || at_once()
                   ? rows_.aside(arrival.in)
                   : tl::unexpected(Error{std::string(name_of(arrival.kind)),
                                          "its output lies over its operand, which no launch over "
                                          "all ranks can take",
                                          "run it with --backend reference"});
  if (there) return *there;
  remember(tl::unexpected(std::move(there.error())));
  return arrival.in;
}

void DeviceBackend::do_at_once() {
  remember(rows_.flush());
  remember(do_all());
  put_off_.begin(world_);
  if (in_run_) remember(device_.wait());
  rows_.release();
}

// ---- outputs ----------------------------------------------------------------------------------

void DeviceBackend::prepare(const OutputPlace& output) {
  if (is_in_graph(output.captured) || is_replay()) return;
  const Matrix& all = output.with_guards;
  put_off_.add_fill(static_cast<std::int32_t>(output.rank), false, {all, unwritten_bits(all.type)});
  if (at_once()) do_at_once();
}

OutputFault DeviceBackend::look(const OutputPlace& output) {
  if (is_in_graph(output.captured) || is_replay()) return {};
  const Matrix& all = output.with_guards;
  Look look{.told = {output.rank, output.instruction, output.output, {}},
            .rows = output.rows,
            .guards = (all.rows - output.rows.rows) / 2,
            .exact = output.exact,
            .slot = slots_};
  const auto ask = [&](CheckLaunch::Kind kind, std::int64_t first, std::int64_t rows) {
    const ConstMatrix part{all.row(first), rows, all.columns, all.type};
    look.item = put_off_.add_check(static_cast<std::int32_t>(output.rank), false,
                                   {part, kind, kExactBound, slots_++});
  };
  ask(CheckLaunch::Kind::touched, 0, look.guards);
  ask(CheckLaunch::Kind::touched, all.rows - look.guards, look.guards);
  ask(CheckLaunch::Kind::unwritten, look.guards, look.rows.rows);
  if (look.exact) ask(CheckLaunch::Kind::inexact, look.guards, look.rows.rows);
  if (!at_once()) {
    looks_.push_back(look);
    return {};
  }
  device_.reset_findings(slots_);
  do_at_once();
  slots_ = 0;
  const auto found = device_.findings();
  if (found) return fault_of(look, *found);
  remember(tl::unexpected(found.error()));
  return {};
}

OutputFault DeviceBackend::fault_of(const Look& look, const std::vector<DeviceFinding>& found) {
  using What = OutputFault::What;
  const std::int64_t columns = std::max<std::int64_t>(1, look.rows.columns);
  const auto at = [&](std::size_t slot) -> const DeviceFinding& { return found[look.slot + slot]; };
  if (at(0).count > 0) return {What::outside, {at(0).first / columns - look.guards, 0}};
  if (at(1).count > 0) return {What::outside, {look.rows.rows + at(1).first / columns, 0}};
  const DeviceFinding& unwritten = at(2);
  if (!look.exact) {
    if (unwritten.count == 0) return {};
    return {What::unwritten, {unwritten.first / columns, 0}};
  }
  const DeviceFinding& inexact = at(3);
  if (inexact.count == 0) return {};
  const bool first = unwritten.first == inexact.first;
  return {first ? What::unwritten : What::inexact,
          {inexact.first / columns, inexact.first % columns}};
}

// Of each rank the first, as they would have been told at once: a rank that fails goes no further,
// and who waits for it neither.
Result<std::vector<LateFault>> DeviceBackend::read_looks() {
  std::vector<LateFault> out;
  if (looks_.empty()) return out;
  const auto found = device_.findings();
  if (!found) return tl::unexpected(found.error());
  if (std::ranges::all_of(*found, [](const DeviceFinding& each) { return each.count == 0; }))
    return out;
  std::vector<bool> stands(world_, false);
  auto look = looks_.begin();
  for (std::size_t item = 0; item < put_off_.size(); ++item) {
    const auto ranks = put_off_.ranks(item);
    const bool stopped = std::ranges::any_of(
        ranks, [&](std::int32_t rank) { return stands[static_cast<std::size_t>(rank)]; });
    for (const std::int32_t rank : ranks) {
      if (stopped) stands[static_cast<std::size_t>(rank)] = true;
    }
    for (; look != looks_.end() && look->item == item; ++look) {
      const OutputFault fault = fault_of(*look, *found);
      const auto rank = static_cast<std::size_t>(look->told.rank);
      if (fault.what == OutputFault::What::none || stands[rank]) continue;
      stands[rank] = true;
      out.push_back(look->told);
      out.back().fault = fault;
      out.back().before_failure = item < failed_at_;
    }
  }
  return out;
}

// ---- what was put off is done -----------------------------------------------------------------

Result<void> DeviceBackend::do_batch(const PutOff::Batch& batch) {
  if (batch.launch != nullptr) device_.launch(*batch.launch);
  for (const Arrival& each : batch.own) {
    if (auto issued = issue(each); !issued) return tl::unexpected(std::move(issued.error()));
  }
  return {};
}

Result<void> DeviceBackend::do_all() {
  Result<void> out;
  put_off_.for_batches([&](const PutOff::Batch& batch) {
    if (out) out = do_batch(batch);
  });
  return out;
}

Result<void> DeviceBackend::capture_all() {
  Capture capture(*this);
  Result<void> out;
  put_off_.for_batches([&](const PutOff::Batch& batch) {
    if (out) out = capture.add(batch);
  });
  if (!out) {
    capture.give_up();
    return out;
  }
  auto graphs = capture.finish();
  if (!graphs) return tl::unexpected(std::move(graphs.error()));
  graphs_.insert_or_assign(run_.event, *std::move(graphs));
  return {};
}

// What runs between pieces was kept as launches beside them. A graph of the whole step repeats
// nothing of what ran beside it.
Result<void> DeviceBackend::replay() {
  const auto kept = graphs_.find(*run_.graph);
  if (kept == graphs_.end()) {
    return tl::unexpected(Error{"the graph of " + event_text(*run_.graph),
                                "it was not captured on this device", "report it with the plan"});
  }
  if (between_ != 0 && between_ != kept->second.between) {
    return tl::unexpected(Error{"the graph of " + event_text(*run_.graph),
                                "its replay runs " + std::to_string(between_) +
                                    " operations beside it, its capture " +
                                    std::to_string(kept->second.between),
                                "run it with --backend reference"});
  }
  for (const Piece& each : kept->second.pieces) {
    if (const auto* graph = std::get_if<std::unique_ptr<DeviceGraph>>(&each)) {
      device_.launch_graph(**graph);
      continue;
    }
    if (between_ == 0) continue;
    if (const auto* launch = std::get_if<Launch>(&each)) device_.launch(*launch);
    if (const auto* arrival = std::get_if<Arrival>(&each)) {
      if (auto issued = issue(*arrival); !issued) return tl::unexpected(issued.error());
    }
  }
  return {};
}

// A run that has failed is done only where looks were put off: one of them may show what was wrong
// before anybody failed.
Result<std::vector<LateFault>> DeviceBackend::do_run(bool failed) {
  if (failed && looks_.empty()) return std::vector<LateFault>{};
  if (slots_ > 0) device_.reset_findings(slots_);
  Result<void> done;
  if (failed || run_.mode == LaunchMode::eager ||
      (run_.mode == LaunchMode::replay && !is_replay())) {
    done = do_all();
  } else {
    done = is_replay() ? replay() : capture_all();
  }
  if (!done) return tl::unexpected(std::move(done.error()));
  auto late = read_looks();
  if (auto waited = device_.wait(); !waited) return tl::unexpected(std::move(waited.error()));
  return late;
}

Result<std::vector<LateFault>> DeviceBackend::end_run(bool failed) {
  in_run_ = false;
  Result<std::vector<LateFault>> late;
  if (auto before = std::exchange(device_error_, {}); !before) {
    late = tl::unexpected(std::move(before.error()));
  } else if (!run_.stepwise) {
    late = do_run(failed);
  }
  forget();
  if (!late) return tl::unexpected(std::move(late.error()).within(event_text(run_.event)));
  return late;
}

}  // namespace capsize
