#include "runtime/device/put_off.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace capsize {
namespace {

enum class Kind : std::uint8_t {
  barrier,
  own,
  fill,
  copy,
  norm,
  add,
  weights,
  mix,
  collective,
  sum,
  check,
};

// A fill that is an operation, and not the one before it.
constexpr std::uint8_t kOfRole = 1;

CollectiveLaunch::Kind collective_of(PlanOpKind kind) {
  switch (kind) {
    case PlanOpKind::reduce_scatter: return CollectiveLaunch::Kind::reduce_scatter;
    case PlanOpKind::all_gather: return CollectiveLaunch::Kind::all_gather;
    case PlanOpKind::all_to_all: return CollectiveLaunch::Kind::all_to_all;
    case PlanOpKind::broadcast: return CollectiveLaunch::Kind::broadcast;
    default: return CollectiveLaunch::Kind::all_reduce;
  }
}

bool adds_up(PlanOpKind kind) {
  return kind == PlanOpKind::all_reduce || kind == PlanOpKind::reduce_scatter;
}

}  // namespace

// What items must have in common to go together, in one number.
struct PutOff::Key {
  Kind kind = Kind::barrier;
  std::uint8_t detail = 0;  // a role, a kind of collective
  bool captured = false;
  ElementType type = ElementType::uint32;
  std::int64_t columns = 0;
  std::int64_t layer = 0;

  [[nodiscard]] std::uint64_t packed() const {
    const auto bits = [](auto value, unsigned width) {
      return static_cast<std::uint64_t>(value) & ((std::uint64_t{1} << width) - 1);
    };
    std::uint64_t out = bits(kind, 4);
    out = out << 4U | bits(detail, 4);
    out = out << 1U | bits(captured ? 1 : 0, 1);
    out = out << 2U | bits(type, 2);
    out = out << 32U | bits(columns, 32);
    return out << 20U | bits(layer, 20);
  }
  static Kind kind_of(std::uint64_t packed) { return static_cast<Kind>(packed >> 59U); }
  static std::uint8_t detail_of(std::uint64_t packed) { return (packed >> 55U) & 15U; }
  static bool captured_of(std::uint64_t packed) { return (packed >> 54U & 1U) != 0; }
  static std::int64_t layer_of(std::uint64_t packed) {
    return static_cast<std::int64_t>(packed & ((1U << 20U) - 1));
  }
};

void PutOff::begin(std::size_t ranks) {
  schedule_.begin(ranks);
  ranges_.clear();
  fills_.clear();
  copies_.clear();
  norms_.clear();
  adds_.clear();
  weighed_.clear();
  mixes_.clear();
  collectives_.clear();
  sums_.clear();
  checks_.clear();
  own_.clear();
}

void PutOff::add_item(const Key& key, std::span<const std::int32_t> ranks, std::size_t first) {
  (void)schedule_.add(key.packed(), ranks);
  ranges_.push_back({first, 1});
}

// ---- local operations -------------------------------------------------------------------------

void PutOff::add(const Weights* weights, const LocalCall& call) {
  const Matrix out = call.out.front();
  const auto rank = static_cast<std::int32_t>(call.rank);
  Key key{.captured = call.captured, .type = out.type, .columns = out.columns};
  const auto item = [&](Kind kind, std::size_t first) {
    key.kind = kind;
    add_item(key, std::span(&rank, 1), first);
  };
  switch (call.role) {
    case Role::attention:
    case Role::mlp:
    case Role::experts: return add_weights(weights, call);
    case Role::add_norm:
      norms_.push_back({call.in[0], call.in[1], out, call.out[1]});
      return item(Kind::norm, norms_.size() - 1);
    case Role::norm:
      norms_.push_back({.hidden = call.in[0], .out = out});
      return item(Kind::norm, norms_.size() - 1);
    case Role::add:
      adds_.push_back({.left = call.in[0], .right = call.in[1], .out = out, .wraps = true});
      return item(Kind::add, adds_.size() - 1);
    case Role::add_first:
      adds_.push_back({.left = call.in[0], .right = call.in[1], .out = out, .adds = call.adds});
      return item(Kind::add, adds_.size() - 1);
    case Role::restart:
      // Its output was filled just before: what clears it must not go together with that.
      key.detail = kOfRole;
      fills_.push_back({out, 0});
      return item(Kind::fill, fills_.size() - 1);
    case Role::keep:
    case Role::move: break;
  }
  if (call.kind == PlanOpKind::slice) {
    ConstMatrix from = call.in[0];
    from.data = from.row(call.from_row);
    from.rows -= call.from_row;
    return add_copy(call, from, 0, false);
  }
  if (call.kind == PlanOpKind::copy && !call.in.empty()) {
    return add_copy(call, call.in[0], call.to_row, true);
  }
  if (weights != nullptr) return add_copy(call, call.in[0], 0, true);
  MixLaunch::Item mix{.inputs = call.in.size(), .out = out};
  std::ranges::copy(call.in, mix.in.begin());
  mix.salt = static_cast<std::uint32_t>(call.salt ^ (call.salt >> 32U));
  mixes_.push_back(mix);
  item(Kind::mix, mixes_.size() - 1);
}

void PutOff::add_weights(const Weights* weights, const LocalCall& call) {
  weights_ = weights;
  const Matrix out = call.out.front();
  const auto rank = static_cast<std::int32_t>(call.rank);
  weighed_.push_back({call.in[0], out, call.share});
  add_item({.kind = Kind::weights,
            .detail = static_cast<std::uint8_t>(call.role),
            .captured = call.captured,
            .type = out.type,
            .columns = out.columns,
            .layer = call.layer},
           std::span(&rank, 1), weighed_.size() - 1);
}

void PutOff::add_copy(const LocalCall& call, ConstMatrix from, std::int64_t at, bool clears) {
  const Matrix out = call.out.front();
  const auto rank = static_cast<std::int32_t>(call.rank);
  copies_.push_back({from, out, std::min(at, out.rows), clears});
  add_item(
      {.kind = Kind::copy, .captured = call.captured, .type = out.type, .columns = out.columns},
      std::span(&rank, 1), copies_.size() - 1);
}

// ---- meetings ---------------------------------------------------------------------------------

void PutOff::add(const CompleteMeeting& meeting) {
  const Arrival& first = meeting.members.front();
  members_.clear();
  for (const Arrival& each : meeting.members) {
    members_.push_back(static_cast<std::int32_t>(each.rank));
  }
  // The schedule names an item by its first rank.
  std::ranges::sort(members_);
  if (!meeting.regular) return add_moves(meeting, first.captured);
  CollectiveLaunch::Item item;
  item.in.reserve(meeting.members.size());
  item.out.reserve(meeting.members.size());
  for (const Arrival& each : meeting.members) {
    item.in.push_back(each.in);
    item.out.push_back(each.out);
  }
  collectives_.push_back(std::move(item));
  add_item({.kind = Kind::collective,
            .detail = static_cast<std::uint8_t>(collective_of(first.kind)),
            .captured = first.captured,
            .type = first.out.type,
            .columns = first.out.columns},
           members_, collectives_.size() - 1);
}

// Sums where it adds up, copies where it only moves; nothing where no row moves, though its members
// meet all the same.
void PutOff::add_moves(const CompleteMeeting& meeting, bool captured) {
  const Moves& all = meeting.moves;
  Key key{.captured = captured};
  if (all.moves.empty()) return add_item(key, members_, 0);
  key.type = all.moves.front().to.type;
  key.columns = all.moves.front().to.columns;
  const bool sums = adds_up(meeting.members.front().kind);
  key.kind = sums ? Kind::sum : Kind::copy;
  const Range range{sums ? sums_.size() : copies_.size(), all.moves.size()};
  for (const Moves::Move& each : all.moves) {
    const auto sources = all.sources_of(each);
    if (sums) {
      sums_.push_back({{sources.begin(), sources.end()}, each.to});
    } else {
      copies_.push_back({.from = sources.front(), .to = each.to});
    }
  }
  add_item(key, members_, range.first);
  ranges_.back() = range;
}

void PutOff::add_own(const Arrival& arrival) {
  const auto rank = static_cast<std::int32_t>(arrival.rank);
  own_.push_back(arrival);
  add_item({.kind = Kind::own, .captured = arrival.captured}, std::span(&rank, 1), own_.size() - 1);
}

// ---- fills and checks -------------------------------------------------------------------------

std::size_t PutOff::append(const Key& key, std::int32_t rank, std::size_t first) {
  const std::size_t last = schedule_.last(rank);
  if (last != Schedule::kNone && schedule_.kind(last) == key.packed() &&
      ranges_[last].first + ranges_[last].count == first) {
    ++ranges_[last].count;
    return last;
  }
  add_item(key, std::span(&rank, 1), first);
  return schedule_.size() - 1;
}

void PutOff::add_fill(std::int32_t rank, bool captured, const FillLaunch::Item& item) {
  fills_.push_back(item);
  (void)append(
      {.kind = Kind::fill, .captured = captured, .type = item.to.type, .columns = item.to.columns},
      rank, fills_.size() - 1);
}

std::size_t PutOff::add_check(std::int32_t rank, bool captured, const CheckLaunch::Item& item) {
  checks_.push_back(item);
  return append({.kind = Kind::check,
                 .captured = captured,
                 .type = item.rows.type,
                 .columns = item.rows.columns},
                rank, checks_.size() - 1);
}

// ---- launches ---------------------------------------------------------------------------------

template <class Kind>
Kind PutOff::collect(Kind launch, std::span<const std::size_t> items,
                     std::vector<typename Kind::Item>& from) const {
  std::size_t count = 0;
  for (const std::size_t item : items) count += ranges_[item].count;
  launch.items.reserve(count);
  for (const std::size_t item : items) {
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(ranges_[item].first);
    const auto end = begin + static_cast<std::ptrdiff_t>(ranges_[item].count);
    std::move(begin, end, std::back_inserter(launch.items));
  }
  return launch;
}

const PutOff::Batch& PutOff::make(std::span<const std::size_t> items) {
  const std::uint64_t key = schedule_.kind(items.front());
  const Kind kind = Key::kind_of(key);
  batch_ = {.captured = Key::captured_of(key),
            .looks = kind == Kind::check || (kind == Kind::fill && Key::detail_of(key) != kOfRole),
            .items = items.size(),
            .launch = &launch_};
  switch (kind) {
    case Kind::barrier: batch_.launch = nullptr; break;
    case Kind::own:
      // One rank a process: there is no other that could go with it.
      batch_.launch = nullptr;
      batch_.own = std::span(own_).subspan(ranges_[items.front()].first, 1);
      break;
    case Kind::fill: launch_ = collect(FillLaunch{}, items, fills_); break;
    case Kind::copy: launch_ = collect(CopyLaunch{}, items, copies_); break;
    case Kind::norm: launch_ = collect(NormLaunch{}, items, norms_); break;
    case Kind::add: launch_ = collect(AddLaunch{}, items, adds_); break;
    case Kind::mix: launch_ = collect(MixLaunch{}, items, mixes_); break;
    case Kind::sum: launch_ = collect(SumLaunch{}, items, sums_); break;
    case Kind::check: launch_ = collect(CheckLaunch{}, items, checks_); break;
    case Kind::weights:
      launch_ = collect(WeightsLaunch{.weights = weights_,
                                      .role = static_cast<Role>(Key::detail_of(key)),
                                      .layer = Key::layer_of(key),
                                      .items = {}},
                        items, weighed_);
      break;
    case Kind::collective:
      launch_ =
          collect(CollectiveLaunch{.kind = static_cast<CollectiveLaunch::Kind>(Key::detail_of(key)),
                                   .items = {}},
                  items, collectives_);
      break;
  }
  return batch_;
}

}  // namespace capsize
