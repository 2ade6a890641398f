#include "sim/engines/sglang/groups.hpp"

#include <algorithm>

#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

GroupFamily family(std::string_view name, std::int64_t size, std::size_t count) {
  GroupFamily out;
  out.name = name;
  out.size = size;
  out.groups.reserve(count);
  return out;
}

// Blocks of `size` neighbours over `ranks` ranks from `base` on.
void add_blocks(GroupFamily& out, std::int64_t base, std::int64_t size, std::int64_t count) {
  for (std::int64_t j = 0; j < count; ++j) out.groups.push_back({base + j * size, 1, size});
}

// MOE_DP: its lists are a range with the stride of one expert-parallel copy, ended at tp + j, so
// that they hold floor arithmetic where expert parallelism does not divide tp.
void add_moe_dp(GroupFamily& out, std::int64_t base, const Sizes& s) {
  const std::int64_t stride = s.moe_tp() * s.ep;
  for (std::int64_t j = 0; j < stride; ++j) {
    out.groups.push_back({base + j, stride, div_ceil(s.tp, stride)});
  }
}

void add_expert_groups(GroupFamily& ep, GroupFamily& moe_tp, std::int64_t base, const Sizes& s) {
  for (std::int64_t m = 0; m < s.moe_dp; ++m) {
    for (std::int64_t t = 0; t < s.moe_tp(); ++t) {
      ep.groups.push_back({base + m * s.ep * s.moe_tp() + t, s.moe_tp(), s.ep});
    }
  }
  add_blocks(moe_tp, base, s.moe_tp(), s.ep * s.moe_dp);
}

void name_aliases(Topology& topology, const Sizes& s) {
  const auto same = [&topology](GroupId id, GroupId other) {
    topology.family(id).same_object_as = other;
  };
  if (s.attn_cp == s.tp) same(kAttnCp, kTp);
  if (s.attn_tp() == s.tp) same(kAttnTp, kTp);
  if (s.attn_cp > s.moe_dp) {
    same(kMoeDp, s.attn_cp == s.tp ? kTp : kAttnCp);
    if (s.attn_cp != s.tp) same(kAttnCp, kMoeDp);
  } else if (s.moe_dp == s.tp) {
    same(kMoeDp, kTp);
  }
  if (s.ep == s.tp) same(kMoeEp, kTp);
  if (s.moe_tp() == s.tp) same(kMoeTp, kTp);
}

}  // namespace

std::int64_t Sizes::attn_tp() const { return div_floor(div_floor(tp, attn_dp), attn_cp); }
std::int64_t Sizes::moe_tp() const { return div_floor(div_floor(tp, ep), moe_dp); }

Topology topology_of(const Sizes& s) {
  const std::int64_t a = s.attn_tp();
  const auto n = [](std::int64_t count) {
    return static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  };
  GroupFamily tp = family("tp", s.tp, n(s.pp));
  GroupFamily attn_tp = family("attn_tp", a, n(s.pp * s.attn_cp * s.attn_dp));
  GroupFamily attn_cp = family("attn_cp", s.attn_cp, n(s.pp * s.attn_dp * a));
  GroupFamily moe_dp = family("moe_dp", s.moe_dp, n(s.pp * s.tp));
  GroupFamily moe_ep = family("moe_ep", s.ep, n(s.pp * s.moe_dp * s.moe_tp()));
  GroupFamily moe_tp = family("moe_tp", s.moe_tp(), n(s.pp * s.ep * s.moe_dp));
  GroupFamily pp = family("pp", s.pp, n(s.tp));
  GroupFamily attn_dp = family("attn_dp", s.attn_dp, n(s.pp * s.attn_cp * a));
  attn_dp.is_process_group = false;

  for (std::int64_t world = 0; world < s.pp; ++world) {
    const std::int64_t base = world * s.tp;
    tp.groups.push_back({base, 1, s.tp});
    add_blocks(attn_tp, base, a, s.attn_cp * s.attn_dp);
    for (std::int64_t d = 0; d < s.attn_dp; ++d) {
      for (std::int64_t t = 0; t < a; ++t) {
        attn_cp.groups.push_back({base + d * a * s.attn_cp + t, a, s.attn_cp});
      }
    }
    for (std::int64_t i = 0; i < a * s.attn_cp; ++i) {
      attn_dp.groups.push_back({base + i, a * s.attn_cp, s.attn_dp});
    }
    if (s.attn_cp <= s.moe_dp) {
      if (s.moe_dp == s.tp) {
        moe_dp.groups.push_back({base, 1, s.tp});
      } else {
        add_moe_dp(moe_dp, base, s);
      }
    }
    add_expert_groups(moe_ep, moe_tp, base, s);
  }
  for (std::int64_t i = 0; i < s.tp; ++i) pp.groups.push_back({i, s.tp, s.pp});
  if (s.attn_cp > s.moe_dp) {
    moe_dp.groups = attn_cp.groups;
    moe_dp.size = s.attn_cp;
  }

  Topology topology;
  topology.world = s.world();
  topology.families = {std::move(tp),     std::move(attn_tp), std::move(attn_cp),
                       std::move(moe_dp), std::move(moe_ep),  std::move(moe_tp),
                       std::move(pp),     std::move(attn_dp)};
  name_aliases(topology, s);
  topology.family(kTp).transport_captured = Transport::raw;
  topology.family(kPp).transport_captured = Transport::raw;
  for (const GroupId id : {kAttnTp, kAttnCp, kMoeDp, kMoeEp, kMoeTp}) {
    if (topology.family(id).same_object_as == kTp) {
      topology.family(id).transport_captured = Transport::raw;
    }
  }
  return topology;
}

}  // namespace capsize::sglang
