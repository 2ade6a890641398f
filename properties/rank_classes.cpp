#include "properties/rank_classes.hpp"

#include <algorithm>

namespace capsize {
namespace {

// Every set of ranks that tells ranks apart; those of empty sets, which mean all, left out.
template <class Visit>
void for_each_set(const Timeline& timeline, const Visit& visit) {
  const Lifecycle& plan = timeline.lifecycle();
  const auto offer = [&](const RankSet& ranks) {
    const bool all = ranks.empty() || (ranks.ranges().size() == 1 && ranks.first() <= 0 &&
                                       ranks.ranges().front().last + 1 >= plan.world);
    if (!all) visit(ranks);
  };
  for (const PlanBuffer& buffer : plan.buffers) offer(buffer.owner);
  for (const EventRun& event : timeline.events()) {
    offer(event.event->ranks);
    for (const Running& running : event.runnings) offer(running.ranks);
  }
}

}  // namespace

RankClasses::RankClasses(const Timeline& timeline) {
  cut(timeline);
  class_of_.assign(begins_.size() - 1, 0);
  pieces_in_ = {static_cast<std::int32_t>(class_of_.size())};
  splits_.resize(1);
  for_each_set(timeline, [this](const RankSet& ranks) { split(ranks); });
  name_runs(timeline);
}

// Every set is a union of pieces.
void RankClasses::cut(const Timeline& timeline) {
  begins_ = {0, timeline.lifecycle().world};
  for_each_set(timeline, [this](const RankSet& ranks) {
    for (const RankRange& range : ranks.ranges()) {
      begins_.push_back(range.first);
      begins_.push_back(range.last + 1);
    }
  });
  std::ranges::sort(begins_);
  begins_.erase(std::unique(begins_.begin(), begins_.end()), begins_.end());
}

// Each class that lies in the set with a part only becomes two.
void RankClasses::split(const RankSet& ranks) {
  inside_.clear();
  for (const RankRange& range : ranks.ranges()) {
    auto at =
        static_cast<std::size_t>(std::ranges::lower_bound(begins_, range.first) - begins_.begin());
    for (; begins_[at] <= range.last; ++at) {
      inside_.push_back(at);
      ++split_of(at).inside;
    }
  }
  for (const std::size_t piece : inside_) {
    const std::int32_t old = class_of_[piece];
    if (splits_[static_cast<std::size_t>(old)].inside == pieces_in_[static_cast<std::size_t>(old)])
      continue;
    if (splits_[static_cast<std::size_t>(old)].moves_to < 0) {
      splits_[static_cast<std::size_t>(old)].moves_to = static_cast<std::int32_t>(splits_.size());
      splits_.emplace_back();
      pieces_in_.push_back(0);
    }
    class_of_[piece] = splits_[static_cast<std::size_t>(old)].moves_to;
    ++pieces_in_[static_cast<std::size_t>(class_of_[piece])];
    touched_.push_back(old);
  }
  for (const std::int32_t old : touched_) --pieces_in_[static_cast<std::size_t>(old)];
  for (const std::size_t piece : inside_) split_of(piece) = {};
  for (const std::int32_t old : touched_) splits_[static_cast<std::size_t>(old)] = {};
  touched_.clear();
}

void RankClasses::name_runs(const Timeline& timeline) {
  std::vector<bool> named(pieces_in_.size(), false);
  for (std::size_t piece = 0; piece < class_of_.size(); ++piece) {
    const auto number = static_cast<std::size_t>(class_of_[piece]);
    if (!named[number]) classes_.push_back({.rank = begins_[piece]});
    named[number] = true;
  }
  for (const EventRun& event : timeline.events()) {
    for (std::size_t r = 0; r < event.runnings.size(); ++r) {
      for (const RankRange& range : event.runnings[r].ranks.ranges()) {
        auto at = std::ranges::lower_bound(classes_, range.first, {}, &RankClass::rank);
        for (; at != classes_.end() && at->rank <= range.last; ++at) {
          if (!at->runs.empty() && at->runs.back().event == event.index) continue;
          at->runs.push_back({event.index, static_cast<std::int32_t>(r)});
        }
      }
    }
  }
}

}  // namespace capsize
