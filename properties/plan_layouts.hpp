// Layouts of a plan as ranks hold them: what decides whether two of them are the same, and what a
// collective makes of one, is which ranks an axis joins and where each rank stands in it, never the
// axis's name. `Scattered(attn_tp)` and `Scattered(tp)` are the same wherever attn_tp and tp are
// the same ranks; `Scattered(dp, attn_tp)` is `Scattered(tp)` where tp counts through both; an axis
// of one rank splits nothing.
//
// Answers are remembered: a plan asks the same few questions for every layer and event.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "sim/lifecycle.hpp"

namespace capsize {

class PlanLayouts {
 public:
  explicit PlanLayouts(const Lifecycle& lifecycle) : lifecycle_(&lifecycle) {}

  // The first of these ranks that would hold other rows, or other sums, under `a` than under `b`.
  [[nodiscard]] std::optional<std::int64_t> differ(const RankSet& ranks, const Layout& a,
                                                   const Layout& b);

  // The first of these ranks at which a reduce_scatter, all_reduce, all_gather or slice over
  // `group` cannot read `in`, or does not leave `out` (none: not said).
  [[nodiscard]] std::optional<std::int64_t> misfit(const RankSet& ranks, PlanOpKind kind,
                                                   GroupId group, const Layout& in,
                                                   const std::optional<Layout>& out);

  // The first of these ranks that holds a part of a sum.
  [[nodiscard]] std::optional<std::int64_t> unreduced(const RankSet& ranks, const Layout& layout);

  // Whether what `sender` holds under `sent` is what `receiver` holds under `received`: the same
  // part of the rows, cut along the same axes where the receiver has the sender's axes at all.
  [[nodiscard]] bool same_part(std::int64_t sender, const Layout& sent, std::int64_t receiver,
                               const Layout& received);

 private:
  // Ranks that some axes join: a number for each such set, and how many ranks it holds.
  struct Joint {
    std::vector<std::int32_t> set_of;  // by rank: the least rank of its set
    std::vector<std::int32_t> size;    // by the least rank
    [[nodiscard]] std::int64_t size_at(std::int64_t rank) const {
      return size[static_cast<std::size_t>(set_of[static_cast<std::size_t>(rank)])];
    }
  };

  // A layout at every rank: of so many parts of the rows it holds one, and which; who holds the
  // other parts, and who the other parts of its sums.
  struct Spread {
    Layout layout;
    std::vector<std::int64_t> ways;
    std::vector<std::int64_t> part;
    std::vector<std::int64_t> term;  // which part of its sums
    Joint rows;
    Joint sums;
  };

  struct Question {
    RankSet ranks;
    PlanOpKind kind = PlanOpKind::kernel;  // kernel: do two layouts differ
    GroupId group;
    Layout in;
    std::optional<Layout> out;
    std::optional<std::int64_t> answer;
  };

  template <class Judge>
  std::optional<std::int64_t> ask(const RankSet& ranks, PlanOpKind kind, GroupId group,
                                  const Layout& in, const std::optional<Layout>& out,
                                  const Judge& judge);

  [[nodiscard]] const Spread& spread_of(const Layout& layout);
  [[nodiscard]] Joint join(const Layout& layout, LayoutKind kind) const;

  // What ranks of one set of `a` and `b` share, rank by rank.
  [[nodiscard]] std::vector<bool> same_sets(const Joint& a, const Joint& b) const;

  class Step;  // one collective over one group (plan_layouts.cpp)

  const Lifecycle* lifecycle_;
  std::deque<Spread> spreads_;  // addresses stay
  std::vector<Question> questions_;
};

}  // namespace capsize
