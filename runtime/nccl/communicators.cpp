#include "runtime/nccl/communicators.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace capsize {
namespace {

// Most calls are through at once; what takes longer (a communicator that is made) takes long.
constexpr int kLooksAtOnce = 1000;
constexpr std::chrono::microseconds kLook{100};

NcclConfig non_blocking() { return {.blocking = 0}; }

std::int32_t position_in(const CommunicatorKey& key, std::int32_t rank) {
  return static_cast<std::int32_t>(std::ranges::find(key.members, rank) - key.members.begin());
}

std::string place_of(const CommunicatorKey& key) {
  std::string out = "communicator of ranks";
  for (const std::int32_t member : key.members) out += " " + std::to_string(member);
  return out;
}

}  // namespace

NcclStatus settle(const NcclCalls& calls, NcclCommunicator* communicator, NcclStatus status) {
  if (status != NcclStatus::success && status != NcclStatus::in_progress) return status;
  for (int looks = 0;; ++looks) {
    NcclStatus state = NcclStatus::success;
    if (const NcclStatus asked = calls.async_error(communicator, &state);
        asked != NcclStatus::success) {
      return asked;
    }
    if (state != NcclStatus::in_progress) return state;
    if (looks < kLooksAtOnce) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kLook);
    }
  }
}

bool NcclCommunicators::is_in(const CommunicatorKey& key) const {
  return std::ranges::find(key.members, rank_) != key.members.end();
}

NcclCommunicators::Key NcclCommunicators::in_world(CommunicatorKey key) const {
  return {static_cast<std::int32_t>(lifecycle_->world), std::move(key)};
}

Result<void> NcclCommunicators::keep(const CommunicatorKey& key, NcclCommunicator* made,
                                     NcclStatus status) {
  if (status == NcclStatus::success) status = settle(library_.calls(), made, status);
  if (status != NcclStatus::success) {
    return tl::unexpected(library_.error_of(status, made).within(place_of(key)));
  }
  known_[in_world(key)] = made;
  made_.push_back(made);
  return {};
}

// From a unique id, which its first member makes. The others find it under the world's size and a
// number that all ranks of that world count alike.
Result<void> NcclCommunicators::make(const CommunicatorKey& key) {
  const auto world = static_cast<std::int32_t>(lifecycle_->world);
  const std::string name = std::to_string(world) + "-" + std::to_string(ids_[world]++);
  if (!is_in(key)) {
    known_[in_world(key)] = nullptr;
    return {};
  }
  const NcclCalls& calls = library_.calls();
  const std::int32_t position = position_in(key, rank_);
  NcclUniqueId id;
  if (position == 0) {
    if (const NcclStatus status = calls.get_unique_id(&id); status != NcclStatus::success) {
      return tl::unexpected(library_.error_of(status, nullptr).within(place_of(key)));
    }
    if (auto offered = rendezvous_.offer(name, id); !offered) return offered;
  } else {
    auto taken = rendezvous_.take(name);
    if (!taken) return tl::unexpected(std::move(taken.error()));
    id = *taken;
  }
  NcclConfig config = non_blocking();
  NcclCommunicator* made = nullptr;
  NcclStatus status =
      calls.init_rank_config(&made, static_cast<int>(key.members.size()), id, position, &config);
  if (made != nullptr) status = settle(calls, made, status);
  return keep(key, made, status);
}

// Groups without a common member, split off from the world in one call that all of its ranks make.
// The new communicator is there when the world's is through with the call.
Result<void> NcclCommunicators::split(const std::vector<CommunicatorKey>& keys) {
  const auto mine = std::ranges::find_if(keys, [&](const auto& key) { return is_in(key); });
  for (const CommunicatorKey& key : keys) known_[in_world(key)] = nullptr;
  const bool any = mine != keys.end();
  const int color = any ? static_cast<int>(mine - keys.begin()) : kNcclNoColor;
  const int order = any ? position_in(*mine, rank_) : 0;
  const NcclCalls& calls = library_.calls();
  NcclConfig config = non_blocking();
  NcclCommunicator* made = nullptr;
  const NcclStatus status =
      settle(calls, world_, calls.split(world_, color, order, &made, &config));
  if (status != NcclStatus::success) {
    return tl::unexpected(
        library_.error_of(status, world_).within(any ? place_of(*mine) : std::string("world")));
  }
  return any ? keep(*mine, made, status) : Result<void>{};
}

Result<void> NcclCommunicators::join_family(std::size_t family) {
  std::vector<std::vector<CommunicatorKey>> missing;  // by path
  for (std::size_t group = 0; group < lifecycle_->families[family].groups.size(); ++group) {
    const std::vector<CommunicatorKey> keys = keys_of(*lifecycle_, family, group);
    missing.resize(keys.size());
    for (std::size_t path = 0; path < keys.size(); ++path) {
      if (!known_.contains(in_world(keys[path]))) missing[path].push_back(keys[path]);
    }
  }
  for (const std::vector<CommunicatorKey>& keys : missing) {
    if (keys.empty()) continue;
    if (library_.calls().split != nullptr) {
      if (auto made = split(keys); !made) return made;
      continue;
    }
    for (const CommunicatorKey& key : keys) {
      if (auto made = make(key); !made) return made;
    }
  }
  return {};
}

Result<void> NcclCommunicators::join(const Lifecycle& lifecycle) {
  lifecycle_ = &lifecycle;
  const CommunicatorKey world = world_key(lifecycle);
  if (!known_.contains(in_world(world))) {
    if (auto made = make(world); !made) return made;
  }
  world_ = known_.at(in_world(world));
  joined_.assign(lifecycle.families.size(), {});
  for (std::size_t family = 0; family < lifecycle.families.size(); ++family) {
    if (auto joined = join_family(family); !joined) return joined;
    const std::int32_t group = lifecycle.families[family].group_of[static_cast<std::size_t>(rank_)];
    if (group < 0) continue;
    for (CommunicatorKey& key : keys_of(lifecycle, family, static_cast<std::size_t>(group))) {
      joined_[family].push_back(known_.at(in_world(std::move(key))));
    }
  }
  return {};
}

NcclCommunicator* NcclCommunicators::of(const Arrival& arrival) const {
  const auto& mine = joined_[static_cast<std::size_t>(arrival.communicator.family.index)];
  return mine.empty() ? nullptr : mine[path_of(arrival, mine.size())];
}

void NcclCommunicators::forget(std::size_t family) {
  for (std::size_t group = 0; group < lifecycle_->families[family].groups.size(); ++group) {
    for (CommunicatorKey& key : keys_of(*lifecycle_, family, group)) {
      known_.erase(in_world(std::move(key)));
    }
  }
}

// ---- the end ------------------------------------------------------------------------------------

Result<void> NcclCommunicators::leave() {
  const NcclCalls& calls = library_.calls();
  known_.clear();
  joined_.clear();
  world_ = nullptr;
  while (!made_.empty()) {
    NcclCommunicator* last = made_.back();
    made_.pop_back();
    NcclStatus status = settle(calls, last, calls.finalize(last));
    if (status != NcclStatus::success) return tl::unexpected(library_.error_of(status, last));
    status = calls.destroy(last);
    if (status != NcclStatus::success) return tl::unexpected(library_.error_of(status, nullptr));
  }
  return {};
}

Result<void> NcclCommunicators::abort(const std::function<void()>& destroy_graphs) {
  known_.clear();
  joined_.clear();
  world_ = nullptr;
  std::thread graphs(destroy_graphs);
  NcclStatus first = NcclStatus::success;
  for (; !made_.empty(); made_.pop_back()) {
    const NcclStatus status = library_.calls().abort(made_.back());
    if (first == NcclStatus::success) first = status;
  }
  graphs.join();
  if (first == NcclStatus::success || first == NcclStatus::in_progress) return {};
  return tl::unexpected(library_.error_of(first, nullptr));
}

}  // namespace capsize
