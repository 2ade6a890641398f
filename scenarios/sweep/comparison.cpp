#include "scenarios/sweep/comparison.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "sim/content_hash.hpp"

namespace capsize {
namespace {

constexpr std::uint64_t kChunk = 1024;       // members between two looks at the others
constexpr std::uint64_t kMostDraws = 10000;  // for one member that --where does not leave out

// Draw `index` of a run: a pure function of the seed, so that threads need not agree on an order.
std::uint64_t drawn(const Universe& universe, std::uint64_t seed, std::uint64_t index,
                    std::uint64_t attempt) {
  return ContentHash().add(seed).add(index).add(attempt).value() % universe.members;
}

class Comparer {
 public:
  Comparer(const Universe& universe, const std::optional<Condition>& where,
           const ComparisonOptions& options)
      : universe_(universe), where_(where), options_(options) {
    members_ = options.members == 0 ? universe.members : options.members;
  }

  Result<Comparison> run() {
    std::vector<std::thread> threads;
    const unsigned count = std::max(1U, options_.threads);
    try {
      for (unsigned i = 1; i < count; ++i) threads.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // The machine starts no more threads: those that run share the members.
    }
    work();
    for (std::thread& thread : threads) thread.join();
    if (error_) return tl::unexpected(*std::move(error_));
    return total_;
  }

 private:
  void work() {
    auto judge = options_.make_judge ? options_.make_judge() : MemberJudge::make(universe_, where_);
    if (!judge) return fail(std::move(judge.error()));
    while (!stop_.load()) {
      const std::uint64_t first = next_.fetch_add(kChunk);
      if (first >= members_) return;
      const std::uint64_t last = std::min(members_, first + kChunk);
      Comparison part;
      if (options_.members == 0) {
        compare_range(**judge, first, last, part);
        add(part);
        continue;
      }
      for (std::uint64_t index = first; index < last; ++index) {
        if (const auto number = member_at(index)) compare(**judge, *number, part);
      }
      add(part);
    }
  }

  // Whole ranges, as sweeps judge them: they take another road through the fast way than single
  // members do. Their tallies are the same, digest and all, or members are looked at one by one.
  void compare_range(MemberJudge& judge, std::uint64_t first, std::uint64_t last,
                     Comparison& part) const {
    Tally fast;
    judge.run(first, last, fast);
    fast.layouts.clear();
    fast.triples.clear();
    Tally plain;
    (*MemberJudge::make(universe_, where_, MemberJudge::Way::plain))->run(first, last, plain);
    if (same(fast, plain)) {
      part.members += last - first;
      for (const auto& [state, count] : plain.states) {
        if (state.removed == 0) part.judged += count.members;
      }
      return;
    }
    for (std::uint64_t number = first; number < last; ++number) compare(judge, number, part);
    if (part.differ != 0) return;
    part.differ = 1;  // only whole ranges show it
    part.first = first;
  }

  // The member that is compared in place `index`; none where no member is left to draw.
  std::optional<std::uint64_t> member_at(std::uint64_t index) {
    if (options_.members == 0) return index;
    std::vector<std::int32_t> choices(universe_.axes.size());
    for (std::uint64_t attempt = 0; attempt < kMostDraws; ++attempt) {
      const std::uint64_t number = drawn(universe_, options_.seed, index, attempt);
      if (!where_) return number;
      universe_.unrank(number, choices);
      if (where_->holds(choices)) return number;
    }
    fail({"--where", "leaves hardly a member to draw",
          "compare every member instead: --compare all"});
    return std::nullopt;
  }

  void compare(MemberJudge& judge, std::uint64_t number, Comparison& part) const {
    const MemberOutcome plain = judge_member_plainly(universe_, where_, number);
    ++part.members;
    if (plain.precondition.empty() && !plain.left_out) ++part.judged;
    if (judge_member(judge, number) == plain) return;
    ++part.differ;
    part.first = std::min(number, part.first.value_or(number));
  }

  void add(const Comparison& part) {
    const std::lock_guard lock(mutex_);
    total_.members += part.members;
    total_.judged += part.judged;
    total_.differ += part.differ;
    if (part.first) total_.first = std::min(*part.first, total_.first.value_or(*part.first));
    if (options_.progress && !options_.progress(total_.members)) stop_.store(true);
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_.store(true);
  }

  const Universe& universe_;
  const std::optional<Condition>& where_;
  const ComparisonOptions& options_;
  std::uint64_t members_ = 0;
  std::atomic<std::uint64_t> next_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  Comparison total_;
  std::optional<Error> error_;
};

}  // namespace

Result<Comparison> compare_ways(const Universe& universe, const std::optional<Condition>& where,
                                const ComparisonOptions& options) {
  return Comparer(universe, where, options).run();
}

}  // namespace capsize
