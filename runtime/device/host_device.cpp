#include "runtime/device/host_device.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "runtime/host_compute.hpp"
#include "runtime/rows/element_codec.hpp"
#include "runtime/rows/row_work.hpp"

namespace capsize {
namespace {

using Clock = std::chrono::steady_clock;
using CollectiveItem = CollectiveLaunch::Item;

// Calls `visit(row, column, bits)` for every element.
template <class Element, class Visit>
void for_elements(ConstMatrix rows, Visit&& visit) {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    for (std::int64_t column = 0; column < rows.columns; ++column) {
      visit(row, column, row_work::bits_at<Element>(rows.row(row), column));
    }
  }
}

void fill(const FillLaunch::Item& item) {
  codec::with_codec(item.to.type, [&]<class Element>(Element) {
    for (std::int64_t row = 0; row < item.to.rows; ++row) {
      for (std::int64_t column = 0; column < item.to.columns; ++column) {
        row_work::put_bits<Element>(item.to.row(row), column,
                                    static_cast<typename Element::Bits>(item.bits));
      }
    }
  });
}

void generate(const GenerateLaunch::Item& item) {
  ExactModel model;
  model.seed = item.seed;
  std::vector<std::int32_t> entry(static_cast<std::size_t>(item.to.columns));
  codec::with_codec(item.to.type, [&]<class Element>(Element) {
    for (std::int64_t row = 0; row < item.to.rows; ++row) {
      entry_row(model, item.first_token + static_cast<std::uint64_t>(row), item.step, entry);
      for (std::int64_t column = 0; column < item.to.columns; ++column) {
        row_work::put_bits<Element>(item.to.row(row), column,
                                    Element::of_integer(entry[static_cast<std::size_t>(column)]));
      }
    }
  });
}

void normalize(const NormLaunch::Item& item) {
  if (item.residual.data == nullptr) return norm(item.hidden, item.out);
  add_norm(item.hidden, item.residual, item.out, item.residual_out);
}

void add_up(const AddLaunch::Item& item) {
  if (!item.adds) return place_rows(item.left, 0, item.out, false);
  add(item.left, item.right, item.out, item.wraps);
}

ConstMatrix part_of(ConstMatrix rows, std::int64_t first, std::int64_t count) {
  return {rows.row(first), count, rows.columns, rows.type};
}

// Rows [first, first + to.rows) of all operands, in the order of their positions.
void sum_parts(const std::vector<ConstMatrix>& from, std::int64_t first, Matrix to) {
  for (std::size_t position = 0; position < from.size(); ++position) {
    const ConstMatrix part = part_of(from[position], first, to.rows);
    if (position == 0) {
      place_rows(part, 0, to, false);
    } else {
      sum_into(part, to);
    }
  }
}

void all_to_all(const CollectiveItem& item) {
  const auto members = static_cast<std::int64_t>(item.in.size());
  for (std::int64_t to = 0; to < members; ++to) {
    for (std::int64_t from = 0; from < members; ++from) {
      const ConstMatrix in = item.in[static_cast<std::size_t>(from)];
      const std::int64_t rows = in.rows / members;
      place_rows(part_of(in, to * rows, rows), from * rows, item.out[static_cast<std::size_t>(to)],
                 false);
    }
  }
}

void meet(CollectiveLaunch::Kind kind, const CollectiveItem& item) {
  if (kind == CollectiveLaunch::Kind::all_to_all) return all_to_all(item);
  for (std::size_t position = 0; position < item.out.size(); ++position) {
    const Matrix out = item.out[position];
    const auto place = static_cast<std::int64_t>(position);
    switch (kind) {
      case CollectiveLaunch::Kind::reduce_scatter: sum_parts(item.in, place * out.rows, out); break;
      case CollectiveLaunch::Kind::all_reduce: sum_parts(item.in, 0, out); break;
      case CollectiveLaunch::Kind::broadcast: place_rows(item.in[0], 0, out, false); break;
      case CollectiveLaunch::Kind::all_gather:
        for (std::size_t from = 0; from < item.in.size(); ++from) {
          const ConstMatrix in = item.in[from];
          place_rows(in, static_cast<std::int64_t>(from) * in.rows, out, false);
        }
        break;
      case CollectiveLaunch::Kind::all_to_all: break;
    }
  }
}

void tell(std::span<DeviceFinding> findings, std::size_t slot, std::int64_t count,
          std::int64_t first) {
  if (count == 0 || slot >= findings.size()) return;
  findings[slot].count += count;
  findings[slot].first = std::min(findings[slot].first, first);
}

void check(const CheckLaunch::Item& item, std::span<DeviceFinding> findings) {
  const auto most = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(item.bound, 0, std::int64_t{codec::kLargestExact}));
  const std::uint32_t fill = unwritten_bits(item.rows.type);
  codec::with_codec(item.rows.type, [&]<class Element>(Element) {
    for_elements<Element>(item.rows, [&](std::int64_t row, std::int64_t column, auto bits) {
      const bool unwritten = bits == fill;
      bool wrong = unwritten;
      if (item.kind == CheckLaunch::Kind::touched) wrong = !unwritten;
      if (item.kind == CheckLaunch::Kind::inexact) {
        wrong = unwritten || Element::beyond(bits, most) != 0;
      }
      if (wrong) tell(findings, item.slot, 1, row * item.rows.columns + column);
    });
  });
}

void compare_rows(ConstMatrix found, ConstMatrix expected, std::size_t slot,
                  std::span<DeviceFinding> findings) {
  const Difference difference = compare(found, expected);
  tell(findings, slot, difference.count,
       difference.first.row * found.columns + difference.first.column);
}

void verify(const VerifyLaunch::Item& item, std::span<DeviceFinding> findings) {
  std::vector<std::byte> bytes(item.found.bytes());
  const Matrix expected{bytes.data(), item.found.rows, item.found.columns, item.found.type};
  generate({expected, item.seed, item.first_token, item.step});
  compare_rows(item.found, expected, item.slot, findings);
}

struct Runner {
  std::span<DeviceFinding> findings;

  void operator()(const FillLaunch& what) const { std::ranges::for_each(what.items, fill); }
  void operator()(const GenerateLaunch& what) const { std::ranges::for_each(what.items, generate); }
  void operator()(const CopyLaunch& what) const {
    for (const auto& item : what.items) place_rows(item.from, item.at, item.to, item.clears);
  }
  void operator()(const NormLaunch& what) const { std::ranges::for_each(what.items, normalize); }
  void operator()(const AddLaunch& what) const { std::ranges::for_each(what.items, add_up); }
  void operator()(const WeightsLaunch& what) const {
    for (const auto& item : what.items) {
      what.weights->apply(what.role, what.layer, item.share, item.in, item.out);
    }
  }
  void operator()(const MixLaunch& what) const {
    for (const auto& item : what.items) {
      mix_rows(std::span(item.in).first(item.inputs), item.salt, item.out);
    }
  }
  void operator()(const CollectiveLaunch& what) const {
    for (const auto& item : what.items) meet(what.kind, item);
  }
  void operator()(const SumLaunch& what) const {
    for (const auto& item : what.items) sum_parts(item.from, 0, item.to);
  }
  void operator()(const CheckLaunch& what) const {
    for (const auto& item : what.items) check(item, findings);
  }
  void operator()(const CompareLaunch& what) const {
    for (const auto& item : what.items) {
      compare_rows(item.found, item.expected, item.slot, findings);
    }
  }
  void operator()(const VerifyLaunch& what) const {
    for (const auto& item : what.items) verify(item, findings);
  }
};

}  // namespace

void launch_on_host(const Launch& what, std::span<DeviceFinding> findings) {
  std::visit(Runner{findings}, what);
}

class HostDevice::Graph : public DeviceGraph {
 public:
  explicit Graph(std::vector<Step> steps) : steps_(std::move(steps)) {
    for (const Step& step : steps_) {
      const auto* launch = std::get_if<Launch>(&step);
      nodes_.push_back(launch != nullptr ? std::string(name_of(*launch))
                                         : std::get<LibraryWork>(step).name);
    }
  }
  [[nodiscard]] const std::vector<std::string>& nodes() const override { return nodes_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

 private:
  std::vector<Step> steps_;
  std::vector<std::string> nodes_;
};

Result<std::span<std::byte>> HostDevice::memory(std::size_t bytes, bool host) {
  Slab& slab = host ? host_slab_ : device_slab_;
  if (slab.bytes < bytes) {
    slab.memory = std::make_unique<Line[]>((bytes + sizeof(Line) - 1) / sizeof(Line));
    slab.bytes = bytes;
  }
  return std::span(slab.memory == nullptr ? nullptr : slab.memory[0].bytes, slab.bytes);
}

Result<ConstMatrix> HostDevice::keep(ConstMatrix rows) {
  kept_.emplace_back(rows.data, rows.data + rows.bytes());
  rows.data = kept_.back().data();
  return rows;
}

Result<std::vector<std::byte>> HostDevice::read(ConstMatrix rows) {
  return outside_captures("a copy to the host").map([&] {
    return std::vector<std::byte>(rows.data, rows.data + rows.bytes());
  });
}

void HostDevice::run(const Launch& what) {
  const auto begin = Clock::now();
  launch_on_host(what, findings_);
  work_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
}

void HostDevice::launch(const Launch& what) {
  if (capture_) {
    if (!capture_->refused) capture_->steps.emplace_back(what);
    return;
  }
  run(what);
  ++work_.launches;
}

Result<std::vector<std::string>> HostDevice::issue(const LibraryWork& work) {
  if (capture_) {
    if (!capture_->refused) capture_->steps.emplace_back(work);
  } else if (auto issued = work.issue(nullptr); !issued) {
    return tl::unexpected(std::move(issued.error()));
  }
  return std::vector{work.name};
}

Result<std::span<std::byte>> HostDevice::reserve(std::size_t bytes) {
  return outside_captures("an allocation").map([&] {
    return std::span(reserved_.emplace_back(bytes));
  });
}

void HostDevice::reset_findings(std::size_t slots) { findings_.assign(slots, DeviceFinding{}); }

Result<std::vector<DeviceFinding>> HostDevice::findings() {
  return outside_captures("a copy to the host").map([&] { return findings_; });
}

Result<void> HostDevice::begin_capture() {
  const Result<void> outside = outside_captures("another capture");
  if (outside) capture_.emplace();
  return outside;
}

Result<std::unique_ptr<DeviceGraph>> HostDevice::end_capture() {
  if (!capture_) {
    return tl::unexpected(Error{"capture", "no capture is under way", "begin one first"});
  }
  Capture ended = *std::exchange(capture_, std::nullopt);
  if (ended.refused) return tl::unexpected(*std::move(ended.refused));
  return std::make_unique<Graph>(std::move(ended.steps));
}

void HostDevice::launch_graph(const DeviceGraph& graph) {
  if (capture_) {
    (void)outside_captures("a launch of another graph");
    return;
  }
  // A graph is launched on the device that made it.
  for (const Step& each : static_cast<const Graph&>(graph).steps()) {
    if (const auto* what = std::get_if<Launch>(&each)) {
      run(*what);
      continue;
    }
    auto issued = std::get<LibraryWork>(each).issue(nullptr);
    if (!issued && !error_) error_ = std::move(issued.error());
  }
  ++work_.graphs;
}

Result<void> HostDevice::act(HostAction action) { return outside_captures(name_of(action)); }

Result<void> HostDevice::wait() {
  if (auto outside = outside_captures("a wait for the device"); !outside) return outside;
  if (!error_) return {};
  return tl::unexpected(*std::exchange(error_, std::nullopt));
}

Result<void> HostDevice::outside_captures(std::string_view what) {
  if (!capture_) return {};
  if (!capture_->refused) {
    capture_->refused = Error{"capture", "no graph can hold " + std::string(what),
                              "do it before the capture begins or behind its end"};
  }
  return tl::unexpected(*capture_->refused);
}

}  // namespace capsize
