#include "runtime/device/device_rows.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace capsize {
namespace {

constexpr std::size_t kLine = 64;

std::size_t to_next_line(const std::byte* data) {
  return (kLine - reinterpret_cast<std::uintptr_t>(data) % kLine) % kLine;
}

}  // namespace

// The rows of a plan without mathematics are read by the host, which also brings operands of its
// own: there is room for as many again beside them.
Result<std::span<std::byte>> DeviceRows::memory(std::size_t bytes, bool plain) {
  if (auto done = flush(); !done) return tl::unexpected(std::move(done.error()));
  const std::size_t lines = (bytes + kLine - 1) / kLine * kLine;
  const auto given = device_.memory((plain ? 2 * lines : lines) + kLine, plain);
  if (!given) return tl::unexpected(given.error());
  const std::size_t skip = to_next_line(given->data());
  memory_ = given->subspan(skip, bytes);
  aside_ = plain ? given->subspan(skip + lines, lines) : std::span<std::byte>{};
  release();
  return memory_;
}

// ---- rows that stay ---------------------------------------------------------------------------

// A count that grows one by one would bring all rows each time: room is taken for twice as many,
// and only those that are new are brought.
Result<ConstMatrix> DeviceRows::keep(const KeptKey& key, ConstMatrix rows) {
  Kept& kept = kept_[key];
  if (rows.rows > kept.count) {
    const bool room = rows.rows <= kept.rows.rows;
    ConstMatrix brought = rows;
    std::vector<std::byte> roomy;
    if (!room && kept.count > 0) {
      roomy.resize(2 * rows.bytes());
      std::memcpy(roomy.data(), rows.data, rows.bytes());
      brought.data = roomy.data();
      brought.rows = 2 * rows.rows;
    } else if (room) {
      brought.data = rows.row(kept.count);
      brought.rows = rows.rows - kept.count;
    }
    const auto there = device_.keep(brought);
    if (!there) return tl::unexpected(there.error());
    if (room) {
      // The room was taken here, for nobody else: it is the device's memory like any other.
      Matrix to{const_cast<std::byte*>(kept.rows.row(kept.count)), brought.rows, rows.columns,
                rows.type};
      copy(*there, to);
    } else {
      kept.rows = *there;
    }
    kept.count = rows.rows;
  }
  ConstMatrix out = kept.rows;
  out.rows = rows.rows;
  return out;
}

// ---- launches to come -------------------------------------------------------------------------

template <class Kind>
Kind& DeviceRows::launch_for(ConstMatrix written, std::initializer_list<ConstMatrix> read) {
  const Range writes = range_of(written);
  const auto touches = [](const std::vector<Range>& all, const Range& range) {
    return range.begin != range.end && std::ranges::any_of(all, [&](const Range& each) {
             return each.begin < range.end && range.begin < each.end;
           });
  };
  std::size_t at = pending_.size();
  while (at > 0) {
    const Pending& before = pending_[at - 1];
    const bool reads_it = std::ranges::any_of(
        read, [&](const ConstMatrix& each) { return touches(before.writes, range_of(each)); });
    if (reads_it || touches(before.writes, writes) || touches(before.reads, writes)) break;
    --at;
  }
  const ConstMatrix& shape = written.data != nullptr ? written : *read.begin();
  for (; at < pending_.size(); ++at) {
    const Pending& each = pending_[at];
    if (std::holds_alternative<Kind>(each.launch) && each.type == shape.type &&
        each.columns == shape.columns) {
      break;
    }
  }
  if (at == pending_.size()) {
    pending_.push_back({.launch = Kind{}, .type = shape.type, .columns = shape.columns});
  }
  Pending& into = pending_[at];
  if (writes.begin != writes.end) into.writes.push_back(writes);
  for (const ConstMatrix& each : read) into.reads.push_back(range_of(each));
  return std::get<Kind>(into.launch);
}

void DeviceRows::copy(ConstMatrix from, Matrix to) {
  assert(from.bytes() == to.bytes());
  if (from.rows > 0) launch_for<CopyLaunch>(to, {from}).items.push_back({.from = from, .to = to});
}

void DeviceRows::fill(Matrix rows, std::uint32_t bits) {
  if (rows.rows > 0) launch_for<FillLaunch>(rows, {}).items.push_back({rows, bits});
}

void DeviceRows::poison(Matrix rows, Poison poison, std::uint64_t salt) {
  if (poison != Poison::stale) return fill(rows, poison_bits(rows.type, poison));
  if (rows.rows == 0) return;
  const ExactModel other = stale_model(rows.columns, salt);
  launch_for<GenerateLaunch>(rows, {}).items.push_back(
      {.to = rows, .seed = other.seed, .first_token = 0, .step = salt});
}

// ---- questions --------------------------------------------------------------------------------

std::size_t DeviceRows::next_slot(ConstMatrix rows) {
  questions_.push_back(std::max<std::int64_t>(1, rows.columns));
  return questions_.size() - 1;
}

void DeviceRows::ask_difference(ConstMatrix found, ConstMatrix expected) {
  const std::size_t slot = next_slot(found);
  if (found.rows == 0) return;
  launch_for<CompareLaunch>({}, {found, expected}).items.push_back({found, expected, slot});
}

void DeviceRows::ask_check(ConstMatrix rows, CheckLaunch::Kind kind) {
  const std::size_t slot = next_slot(rows);
  if (rows.rows == 0) return;
  launch_for<CheckLaunch>({}, {rows}).items.push_back({.rows = rows, .kind = kind, .slot = slot});
}

void DeviceRows::ask_unwritten(ConstMatrix rows) { ask_check(rows, CheckLaunch::Kind::unwritten); }

void DeviceRows::ask_touched(ConstMatrix rows) { ask_check(rows, CheckLaunch::Kind::touched); }

Result<void> DeviceRows::flush() {
  const std::vector<std::int64_t> asked = std::exchange(questions_, {});
  if (!asked.empty()) device_.reset_findings(asked.size());
  for (const Pending& each : pending_) device_.launch(each.launch);
  pending_.clear();
  if (asked.empty()) return {};
  const auto found = device_.findings();
  if (!found) return tl::unexpected(found.error());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const DeviceFinding& each = (*found)[i];
    Answer answer{.count = each.count};
    if (each.count > 0) {
      answer.first = {each.first / asked[i], each.first % asked[i]};
    }
    answers_.push_back(answer);
  }
  return {};
}

Result<std::vector<RowSpace::Answer>> DeviceRows::answers() {
  const Result<void> done = flush();
  std::vector<Answer> out = std::exchange(answers_, {});
  if (!done) return tl::unexpected(done.error());
  return out;
}

// ---- the host ---------------------------------------------------------------------------------

Result<ConstMatrix> DeviceRows::on_host(ConstMatrix rows) {
  if (auto done = flush(); !done) return tl::unexpected(std::move(done.error()));
  auto bytes = device_.read(rows);
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  on_host_ = *std::move(bytes);
  rows.data = on_host_.data();
  return rows;
}

bool DeviceRows::lies_elsewhere(ConstMatrix rows) const {
  if (aside_.empty() || rows.data == nullptr) return false;
  return rows.data < memory_.data() || rows.data >= memory_.data() + memory_.size();
}

Result<ConstMatrix> DeviceRows::aside(ConstMatrix rows) {
  const std::size_t bytes = (rows.bytes() + kLine - 1) / kLine * kLine;
  if (aside_.size() - aside_used_ < bytes) {
    return tl::unexpected(Error{"plan",
                                "operands of a collective that lie outside of the ranks' memory "
                                "take more room than all of it",
                                "report it with the plan"});
  }
  std::byte* to = aside_.data() + aside_used_;
  std::memcpy(to, rows.data, rows.bytes());
  aside_used_ += bytes;
  rows.data = to;
  return rows;
}

}  // namespace capsize
