#include "properties/plan_layouts.hpp"

#include <algorithm>
#include <numeric>

namespace capsize {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// The least rank that `rank` has been joined with so far.
std::int32_t least_of(std::vector<std::int32_t>& set_of, std::int32_t rank) {
  while (set_of[at(rank)] != rank) {
    set_of[at(rank)] = set_of[at(set_of[at(rank)])];
    rank = set_of[at(rank)];
  }
  return rank;
}

void unite(std::vector<std::int32_t>& set_of, std::int32_t a, std::int32_t b) {
  a = least_of(set_of, a);
  b = least_of(set_of, b);
  set_of[at(std::max(a, b))] = std::min(a, b);
}

}  // namespace

// ---- what ranks hold ------------------------------------------------------------------------

PlanLayouts::Joint PlanLayouts::join(const Layout& layout, LayoutKind kind) const {
  Joint joint;
  joint.set_of.resize(at(lifecycle_->world));
  std::iota(joint.set_of.begin(), joint.set_of.end(), 0);
  for (std::uint8_t i = 0; i < layout.depth; ++i) {
    if (layout.parts.at(i).kind != kind) continue;
    for (const auto& group : lifecycle_->family(layout.parts.at(i).axis).groups) {
      for (const std::int32_t rank : group) unite(joint.set_of, group.front(), rank);
    }
  }
  joint.size.assign(joint.set_of.size(), 0);
  for (std::size_t rank = 0; rank < joint.set_of.size(); ++rank) {
    joint.set_of[rank] = least_of(joint.set_of, static_cast<std::int32_t>(rank));
    ++joint.size[at(joint.set_of[rank])];
  }
  return joint;
}

const PlanLayouts::Spread& PlanLayouts::spread_of(const Layout& layout) {
  for (const Spread& known : spreads_) {
    if (known.layout == layout) return known;
  }
  Spread& spread = spreads_.emplace_back();
  spread.layout = layout;
  spread.rows = join(layout, LayoutKind::scattered);
  spread.sums = join(layout, LayoutKind::partial);
  spread.ways.assign(at(lifecycle_->world), 1);
  spread.part.assign(at(lifecycle_->world), 0);
  spread.term.assign(at(lifecycle_->world), 0);
  for (std::uint8_t i = 0; i < layout.depth; ++i) {
    const bool cut = layout.parts.at(i).kind == LayoutKind::scattered;
    auto& index = cut ? spread.part : spread.term;
    const PlanGroups& family = lifecycle_->family(layout.parts.at(i).axis);
    for (std::size_t rank = 0; rank < spread.ways.size(); ++rank) {
      const std::int32_t group = family.group_of[rank];
      if (group < 0) continue;
      const std::int64_t size = std::ssize(family.groups[at(group)]);
      if (cut) spread.ways[rank] *= size;
      index[rank] = index[rank] * size + family.position_of[rank];
    }
  }
  return spread;
}

namespace {

// For every rank, whether its set in `inner` lies inside its set in `outer`.
template <class Joint>
std::vector<bool> inside(const Joint& inner, const Joint& outer) {
  std::vector<bool> whole(inner.set_of.size(), true);  // by the least rank of a set in `inner`
  for (std::size_t rank = 0; rank < inner.set_of.size(); ++rank) {
    const std::size_t least = at(inner.set_of[rank]);
    if (outer.set_of[rank] != outer.set_of[least]) whole[least] = false;
  }
  std::vector<bool> out(inner.set_of.size());
  for (std::size_t rank = 0; rank < out.size(); ++rank) out[rank] = whole[at(inner.set_of[rank])];
  return out;
}

}  // namespace

std::vector<bool> PlanLayouts::same_sets(const Joint& a, const Joint& b) const {
  std::vector<bool> out = inside(a, b);
  const std::vector<bool> back = inside(b, a);
  for (std::size_t rank = 0; rank < out.size(); ++rank) out[rank] = out[rank] && back[rank];
  return out;
}

// ---- questions ------------------------------------------------------------------------------

template <class Judge>
std::optional<std::int64_t> PlanLayouts::ask(const RankSet& ranks, PlanOpKind kind, GroupId group,
                                             const Layout& in, const std::optional<Layout>& out,
                                             const Judge& judge) {
  for (const Question& known : questions_) {
    if (known.kind == kind && known.group == group && known.in == in && known.out == out &&
        known.ranks == ranks) {
      return known.answer;
    }
  }
  std::optional<std::int64_t> answer;
  ranks.for_each([&](std::int64_t rank) {
    if (!answer && !judge(rank)) answer = rank;
  });
  questions_.push_back({ranks, kind, group, in, out, answer});
  return answer;
}

std::optional<std::int64_t> PlanLayouts::differ(const RankSet& ranks, const Layout& a,
                                                const Layout& b) {
  if (a == b) return std::nullopt;
  const Spread& first = spread_of(a);
  const Spread& second = spread_of(b);
  std::vector<bool> same_rows;
  std::vector<bool> same_sums;
  return ask(ranks, PlanOpKind::kernel, {}, a, b, [&](std::int64_t rank) {
    if (same_rows.empty()) {
      same_rows = same_sets(first.rows, second.rows);
      same_sums = same_sets(first.sums, second.sums);
    }
    return first.ways[at(rank)] == second.ways[at(rank)] &&
           first.part[at(rank)] == second.part[at(rank)] && same_rows[at(rank)] &&
           same_sums[at(rank)];
  });
}

std::optional<std::int64_t> PlanLayouts::unreduced(const RankSet& ranks, const Layout& layout) {
  const bool sums =
      std::ranges::any_of(layout.parts.begin(), layout.parts.begin() + layout.depth,
                          [](const LayoutPart& part) { return part.kind == LayoutKind::partial; });
  if (!sums) return std::nullopt;
  const Joint& joint = spread_of(layout).sums;
  return ask(ranks, PlanOpKind::norm, {}, layout, {},
             [&](std::int64_t rank) { return joint.size_at(rank) <= 1; });
}

bool PlanLayouts::same_part(std::int64_t sender, const Layout& sent, std::int64_t receiver,
                            const Layout& received) {
  const Spread& from = spread_of(sent);
  const Spread& to = spread_of(received);
  if (from.ways[at(sender)] != to.ways[at(receiver)] ||
      from.part[at(sender)] != to.part[at(receiver)] ||
      from.sums.size_at(sender) != to.sums.size_at(receiver)) {
    return false;
  }
  if (sent == received) return true;
  for (std::uint8_t i = 0; i < sent.depth; ++i) {
    const PlanGroups& axis = lifecycle_->family(sent.parts.at(i).axis);
    if (axis.group_of[at(receiver)] < 0) return true;  // an axis of the sender's stage alone
  }
  return !differ(RankSet(receiver, receiver), sent, received);
}

// ---- collectives ----------------------------------------------------------------------------

// One collective over one family, from `in` to `out`. What all members of a group must meet is
// found once a group.
class PlanLayouts::Step {
 public:
  Step(const PlanLayouts& layouts, PlanOpKind kind, GroupId group, const Spread& in,
       const Spread* out)
      : lifecycle_(*layouts.lifecycle_),
        family_(lifecycle_.family(group)),
        kind_(kind),
        in_(in),
        out_(out) {
    found_.assign(family_.groups.size(), Found::unknown);
    stamp_.assign(in.part.size(), 0);
    if (out == nullptr) return;
    same_rows_ = layouts.same_sets(in.rows, out->rows);
    same_sums_ = layouts.same_sets(in.sums, out->sums);
    sums_shrink_ = inside(out->sums, in.sums);
    rows_shrink_ = inside(out->rows, in.rows);
    rows_grow_ = inside(in.rows, out->rows);
  }

  [[nodiscard]] bool fits(std::int64_t rank) {
    const std::int32_t group = family_.group_of[at(rank)];
    if (group < 0) return true;
    const std::int64_t size = std::ssize(family_.groups[at(group)]);
    if (size <= 1) return fits_alone(rank);
    if (found_[at(group)] == Found::unknown) {
      found_[at(group)] = reads(group, rank) ? Found::good : Found::bad;
    }
    if (found_[at(group)] == Found::bad) return false;
    return out_ == nullptr || leaves(rank, size);
  }

 private:
  enum class Found : std::uint8_t { unknown, good, bad };

  [[nodiscard]] bool sums_over() const {
    return kind_ == PlanOpKind::all_reduce || kind_ == PlanOpKind::reduce_scatter;
  }
  [[nodiscard]] bool cuts() const {
    return kind_ == PlanOpKind::slice || kind_ == PlanOpKind::reduce_scatter;
  }

  // Over one rank nothing is moved. An operand that is cut (or a sum that is open) along other
  // ranks and along no axis that this could be is taken for one that this operation would join.
  [[nodiscard]] bool fits_alone(std::int64_t rank) const {
    if (out_ != nullptr) {
      return in_.ways[at(rank)] == out_->ways[at(rank)] &&
             in_.part[at(rank)] == out_->part[at(rank)] && same_rows_[at(rank)] &&
             same_sums_[at(rank)];
    }
    if (kind_ == PlanOpKind::slice) return true;
    if ((sums_over() ? in_.sums : in_.rows).size_at(rank) <= 1) return true;
    return innermost_is_one_rank(rank);
  }

  [[nodiscard]] bool innermost_is_one_rank(std::int64_t rank) const;
  // Whether the members hold what this operation reads.
  [[nodiscard]] bool reads(std::int32_t group, std::int64_t rank);
  [[nodiscard]] bool reads_blocks(const std::vector<std::int32_t>& members, std::int64_t size);
  // Whether `out` is what the members then hold.
  [[nodiscard]] bool leaves(std::int64_t rank, std::int64_t size) const;
  // Whether no two members are in one set.
  [[nodiscard]] bool apart(const std::vector<std::int32_t>& members, const Joint& joint);

  const Lifecycle& lifecycle_;
  const PlanGroups& family_;
  PlanOpKind kind_;
  const Spread& in_;
  const Spread* out_;
  std::vector<Found> found_;  // by group
  std::vector<std::int32_t> stamp_;
  std::int32_t round_ = 0;
  std::vector<bool> same_rows_, same_sums_, sums_shrink_, rows_shrink_, rows_grow_;  // by rank
};

bool PlanLayouts::Step::innermost_is_one_rank(std::int64_t rank) const {
  const LayoutKind wanted = sums_over() ? LayoutKind::partial : LayoutKind::scattered;
  for (std::uint8_t i = in_.layout.depth; i > 0; --i) {
    const LayoutPart part = in_.layout.parts.at(i - 1U);
    if (part.kind == wanted) return lifecycle_.size_at(part.axis, rank) <= 1;
  }
  return true;
}

bool PlanLayouts::Step::apart(const std::vector<std::int32_t>& members, const Joint& joint) {
  ++round_;
  return std::ranges::all_of(members, [&](std::int32_t rank) {
    std::int32_t& stamp = stamp_[at(joint.set_of[at(rank)])];
    const bool first = stamp != round_;
    stamp = round_;
    return first;
  });
}

// A gather joins parts that are neighbours: all of one larger part, each held once.
bool PlanLayouts::Step::reads_blocks(const std::vector<std::int32_t>& members, std::int64_t size) {
  const std::int64_t block = in_.part[at(members.front())] / size;
  ++round_;
  return std::ranges::all_of(members, [&](std::int32_t rank) {
    if (in_.part[at(rank)] / size != block) return false;
    std::int32_t& stamp = stamp_[at(in_.part[at(rank)] % size)];
    const bool first = stamp != round_;
    stamp = round_;
    return first;
  });
}

bool PlanLayouts::Step::reads(std::int32_t group, std::int64_t rank) {
  const auto& members = family_.groups[at(group)];
  const std::int64_t size = std::ssize(members);
  const std::int64_t ways = in_.ways[at(rank)];
  const std::int64_t part = in_.part[at(rank)];
  const bool one_cut =
      std::ranges::all_of(members, [&](std::int32_t each) { return in_.ways[at(each)] == ways; });
  if (!one_cut) return false;
  const auto in_one_set = [&](const Joint& joint) {
    return std::ranges::all_of(members, [&](std::int32_t each) {
      return joint.set_of[at(each)] == joint.set_of[at(rank)];
    });
  };
  if (kind_ == PlanOpKind::all_gather) {
    const bool one_term = std::ranges::all_of(
        members, [&](std::int32_t each) { return in_.term[at(each)] == in_.term[at(rank)]; });
    return one_term && ways % size == 0 && in_one_set(in_.rows) && reads_blocks(members, size);
  }
  // The others work on the same rows at all members.
  const bool same_rows =
      std::ranges::all_of(members, [&](std::int32_t each) { return in_.part[at(each)] == part; });
  if (!same_rows) return false;
  if (sums_over() && (!in_one_set(in_.sums) || in_.sums.size_at(rank) % size != 0)) return false;
  if (cuts() && !apart(members, in_.rows)) return false;
  if (sums_over() && out_ != nullptr && !apart(members, out_->sums)) return false;
  return !cuts() || out_ == nullptr || in_one_set(out_->rows);
}

bool PlanLayouts::Step::leaves(std::int64_t rank, std::int64_t size) const {
  const std::int64_t ways = in_.ways[at(rank)];
  const std::int64_t part = in_.part[at(rank)];
  if (sums_over()) {
    const bool summed = out_->sums.size_at(rank) * size == in_.sums.size_at(rank);
    if (!summed || !sums_shrink_[at(rank)]) return false;
  } else if (!same_sums_[at(rank)]) {
    return false;
  }
  if (cuts()) {
    return out_->ways[at(rank)] == ways * size &&
           out_->part[at(rank)] == part * size + family_.position_of[at(rank)] &&
           out_->rows.size_at(rank) == in_.rows.size_at(rank) * size && rows_grow_[at(rank)];
  }
  if (kind_ == PlanOpKind::all_gather) {
    return out_->ways[at(rank)] == ways / size && out_->part[at(rank)] == part / size &&
           out_->rows.size_at(rank) * size == in_.rows.size_at(rank) && rows_shrink_[at(rank)];
  }
  return out_->ways[at(rank)] == ways && out_->part[at(rank)] == part && same_rows_[at(rank)];
}

namespace {

// Whether the names alone say that `out` is what the collective makes of `in`, as they mostly do:
// whatever the groups are, Partial(tp) all-reduced over tp is whole.
bool fits_by_name(PlanOpKind kind, GroupId group, const Layout& in,
                  const std::optional<Layout>& out) {
  Layout left;
  if (kind == PlanOpKind::slice) {
    if (!in.empty()) return false;
  } else {
    const bool gathers = kind == PlanOpKind::all_gather;
    const LayoutPart wanted{gathers ? LayoutKind::scattered : LayoutKind::partial, group};
    if (in.depth != 1 || !(in.back() == wanted)) return false;
  }
  const bool cuts = kind == PlanOpKind::slice || kind == PlanOpKind::reduce_scatter;
  if (cuts) left.push({LayoutKind::scattered, group});
  return !out || *out == left;
}

}  // namespace

std::optional<std::int64_t> PlanLayouts::misfit(const RankSet& ranks, PlanOpKind kind,
                                                GroupId group, const Layout& in,
                                                const std::optional<Layout>& out) {
  if (fits_by_name(kind, group, in, out)) return std::nullopt;
  const Spread& read = spread_of(in);
  const Spread* left = out ? &spread_of(*out) : nullptr;
  std::optional<Step> step;
  return ask(ranks, kind, group, in, out, [&](std::int64_t rank) {
    if (!step) step.emplace(*this, kind, group, read, left);
    return step->fits(rank);
  });
}

}  // namespace capsize
