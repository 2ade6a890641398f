// A lowered step computes the model: its operations, run by their roles over all ranks, leave on
// every rank what the model's layers make of the rank's own tokens. Rows are single numbers here,
// residues of a prime: sums are sums, a norm and a layer are functions without any structure, and a
// rank's part of the weights is a coefficient whose sum over the group is one. What is summed once
// too often, not at all, or at another row gives another residue.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/lowering.hpp"
#include "sim/usable.hpp"

namespace capsize::plan_mathematics_test {
namespace {

using Value = std::uint64_t;
using Rows = std::vector<Value>;

constexpr Value kPrime = (Value{1} << 31U) - 1;

Value mixed(std::initializer_list<Value> values) {
  Value out = 17;
  for (const Value each : values) {
    out = (out ^ each) * 0x9E3779B97F4A7C15U;
    out ^= out >> 29U;
  }
  return out % kPrime;
}

Value computed(Role role, std::int64_t layer, Value row) {
  return mixed({static_cast<Value>(role), static_cast<Value>(layer), row});
}
Value normed(Value row) { return mixed({1000, row}); }

// Part `position` of one.
Value part_of_one(std::int64_t position, std::int64_t parts) {
  Value others = 0;
  for (std::int64_t i = 0; i + 1 < parts; ++i) {
    const Value part = mixed({2000, static_cast<Value>(i)});
    if (i == position) return part;
    others += part;
  }
  return (kPrime + 1 - others % kPrime) % kPrime;
}

// What the model makes of a token: no plan, no ranks.
Value model_output(const std::vector<ModelLayers>& layers, Value entry) {
  Value hidden = entry;
  Value residual = 0;
  std::int64_t layer = 0;
  for (const ModelLayers& run : layers) {
    const bool sparse = run.kind == LayerMathematics::sparse;
    for (std::int64_t i = 0; i < run.count; ++i, ++layer) {
      residual = (hidden + residual) % kPrime;
      hidden = computed(Role::attention, layer, normed(residual));
      residual = (hidden + residual) % kPrime;
      hidden = computed(sparse ? Role::experts : Role::mlp, layer, normed(residual));
    }
  }
  return (hidden + residual) % kPrime;
}

// Runs the programs of one event, operation by operation, all ranks in step.
class Execution {
 public:
  Execution(const Lifecycle& plan, const PlanEvent& event) : plan_(plan) {
    ranks_.resize(static_cast<std::size_t>(plan.world));
    for (const Program& program : event.programs) {
      for (const RankRange& range : program.ranks.ranges()) {
        for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
          ranks_[static_cast<std::size_t>(rank)].program = &program;
        }
      }
    }
  }

  // Empty where every rank ends with what the model makes of its tokens.
  std::string run() {
    enter();
    for (const OpBlock& block : ranks_[0].program->blocks) {
      for (std::int64_t turn = 0; turn < block.repeat; ++turn) {
        for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
          apply(static_cast<std::size_t>(i), block.layer.value_or(0) + turn);
          if (!fault_.empty()) return fault_ + " in operation " + std::to_string(i);
        }
      }
    }
    leave();
    return fault_;
  }

 private:
  struct Rank {
    const Program* program = nullptr;
    std::array<Rows, 2> tensors;
    Rows entry;
  };

  const PlanOp& op_of(std::int64_t rank, std::size_t i) const {
    return ranks_[static_cast<std::size_t>(rank)].program->ops[i];
  }
  Rows& tensor(std::int64_t rank, Slot slot) {
    return ranks_[static_cast<std::size_t>(rank)].tensors.at(static_cast<std::size_t>(slot));
  }
  std::int64_t position(GroupId group, std::int64_t rank) const {
    return plan_.family(group).position_of[static_cast<std::size_t>(rank)];
  }

  // Where a rank stands along the axes that `layout` is scattered over and `without` is not.
  std::int64_t coordinate(const Layout& layout, const Layout& without, std::int64_t rank) const {
    std::int64_t at = 0;
    for (std::uint8_t i = 0; i < layout.depth; ++i) {
      const LayoutPart part = layout.parts.at(i);
      bool there = part.kind != LayoutKind::scattered;
      for (std::uint8_t k = 0; k < without.depth; ++k) there |= without.parts.at(k) == part;
      if (!there) at = at * plan_.size_at(part.axis, rank) + position(part.axis, rank);
    }
    return at;
  }

  void enter() {
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
      const PlanOp& first = op_of(rank, 0);
      const auto token = static_cast<Value>(coordinate(first.in.front(), {}, rank));
      Rows rows;
      for (std::int64_t i = 0; i < first.rows_in.front(); ++i) {
        rows.push_back(mixed({3000, token, static_cast<Value>(i)}));
      }
      tensor(rank, Slot::residual).assign(rows.size(), 0);
      ranks_[static_cast<std::size_t>(rank)].entry = rows;
      tensor(rank, Slot::hidden) = std::move(rows);
    }
  }

  void leave() {
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
      const Rows& hidden = tensor(rank, Slot::hidden);
      const Rows& residual = tensor(rank, Slot::residual);
      const Rows& entry = ranks_[static_cast<std::size_t>(rank)].entry;
      if (hidden.size() != entry.size() || residual.size() != entry.size()) {
        fault_ = "rank " + std::to_string(rank) + " ends with other rows";
        return;
      }
      for (std::size_t i = 0; i < entry.size(); ++i) {
        if ((hidden[i] + residual[i]) % kPrime != model_output(plan_.layers, entry[i])) {
          fault_ = "rank " + std::to_string(rank) + " ends with another row " + std::to_string(i);
          return;
        }
      }
    }
  }

  void apply(std::size_t i, std::int64_t layer) {
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
      const PlanOp& op = op_of(rank, i);
      if (op.kind != op_of(0, i).kind) fault_ = "ranks do different things";
      const auto read = static_cast<std::int64_t>(tensor(rank, read_by(op)).size());
      if (read != op.rows_in.front()) {
        fault_ =
            "it reads " + std::to_string(op.rows_in.front()) + " rows of " + std::to_string(read);
      }
    }
    if (!fault_.empty()) return;
    if (is_collective(op_of(0, i).kind)) return exchange(i);
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) compute(op_of(rank, i), layer, rank);
  }

  static Slot read_by(const PlanOp& op) {
    const bool hidden = op.role == Role::keep || op.role == Role::restart;
    return hidden ? Slot::hidden : op.tensor;
  }

  void compute(const PlanOp& op, std::int64_t layer, std::int64_t rank) {
    Rows& hidden = tensor(rank, Slot::hidden);
    Rows& residual = tensor(rank, Slot::residual);
    switch (op.role) {
      case Role::attention:
      case Role::mlp:
      case Role::experts: return multiply(op, layer, rank, hidden);
      case Role::add_norm:
        add(hidden, residual);
        residual = hidden;
        for (Value& each : hidden) each = normed(each);
        return;
      case Role::add: return add(hidden, residual);
      case Role::add_first: {
        const LayoutPart sum = op.in.front().back();
        if (sum.kind != LayoutKind::partial) fault_ = "it adds to no unreduced sum";
        if (position(sum.axis, rank) == 0) add(hidden, residual);
        return;
      }
      case Role::norm:
        for (Value& each : hidden) each = normed(each);
        return;
      case Role::restart: residual.assign(hidden.size(), 0); return;
      case Role::keep: residual = placed(op, rank, hidden); return;
      case Role::move: {
        Rows& moved = tensor(rank, op.tensor);
        moved = placed(op, rank, moved);
        return;
      }
    }
  }

  void add(Rows& hidden, const Rows& residual) {
    if (hidden.size() != residual.size()) {
      fault_ = "hidden and residual have different rows";
      return;
    }
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] = (hidden[i] + residual[i]) % kPrime;
  }

  // The rank's part of a layer: the groups that its output is an unreduced sum of.
  void multiply(const PlanOp& op, std::int64_t layer, std::int64_t rank, Rows& hidden) {
    Value share = 1;
    for (std::uint8_t i = 0; i < op.out->depth; ++i) {
      const LayoutPart part = op.out->parts.at(i);
      if (part.kind != LayoutKind::partial) continue;
      share =
          share * part_of_one(position(part.axis, rank), plan_.size_at(part.axis, rank)) % kPrime;
    }
    for (Value& each : hidden) each = share * computed(op.role, layer, each) % kPrime;
  }

  // A slice or a copy.
  Rows placed(const PlanOp& op, std::int64_t rank, const Rows& from) {
    const auto rows_in = static_cast<std::int64_t>(from.size());
    const std::int64_t rows_out = *op.rows_out;
    std::int64_t first = 0;
    Rows out(static_cast<std::size_t>(rows_out), 0);
    if (op.kind == PlanOpKind::slice && rows_in != rows_out) {
      const std::int64_t size = plan_.size_at(op.group, rank);
      const std::int64_t at = position(op.group, rank);
      first = at * (rows_in / size) + std::min(at, rows_in % size);
    } else if (rows_in < rows_out) {
      first = -coordinate(op.in.front(), *op.out, rank) * rows_in;
    }
    for (std::int64_t i = 0; i < rows_out; ++i) {
      const std::int64_t source = first + i;
      if (source < 0 || source >= rows_in) continue;
      out[static_cast<std::size_t>(i)] = from[static_cast<std::size_t>(source)];
    }
    return out;
  }

  void exchange(std::size_t i) {
    const PlanOp& first = op_of(0, i);
    for (const std::vector<std::int32_t>& members : plan_.family(first.group).groups) {
      Rows sum;
      Rows all;
      for (const std::int32_t rank : members) {
        const Rows& rows = tensor(rank, first.tensor);
        all.insert(all.end(), rows.begin(), rows.end());
        if (sum.empty()) sum.assign(rows.size(), 0);
        if (rows.size() != sum.size()) fault_ = "members bring different rows";
        if (!fault_.empty()) return;
        for (std::size_t k = 0; k < rows.size(); ++k) sum[k] = (sum[k] + rows[k]) % kPrime;
      }
      for (const std::int32_t rank : members) give(op_of(rank, i), rank, all, sum);
    }
  }

  void give(const PlanOp& op, std::int64_t rank, const Rows& all, const Rows& sum) {
    const auto rows = static_cast<std::size_t>(*op.rows_out);
    Rows& out = tensor(rank, op.tensor);
    out = op.kind == PlanOpKind::all_gather ? all : sum;
    if (op.kind == PlanOpKind::reduce_scatter) {
      const std::size_t at = rows * static_cast<std::size_t>(position(op.group, rank));
      if (at + rows > sum.size()) fault_ = "the sum has no such part";
      if (!fault_.empty()) return;
      out.assign(sum.begin() + static_cast<std::ptrdiff_t>(at),
                 sum.begin() + static_cast<std::ptrdiff_t>(at + rows));
    }
    if (out.size() != rows) fault_ = "it leaves other rows than it says";
  }

  const Lifecycle& plan_;
  std::vector<Rank> ranks_;
  std::string fault_;
};

struct Case {
  sglang::Sizes sizes;
  bool dense_fully_dp = false;
  bool a2a = false;
  bool splits_context = false;
  sglang::DpPadding padding = sglang::DpPadding::max_len;
  std::size_t model = 0;
};

std::string text_of(const Case& in) {
  const auto number = [](std::string_view name, std::int64_t value) {
    return std::string(name) + " " + std::to_string(value) + " ";
  };
  return number("tp", in.sizes.tp) + number("attn_dp", in.sizes.attn_dp) +
         number("attn_cp", in.sizes.attn_cp) + number("ep", in.sizes.ep) +
         number("moe_dp", in.sizes.moe_dp) + number("model", static_cast<std::int64_t>(in.model)) +
         (in.dense_fully_dp ? "dense_fully_dp " : "") + (in.a2a ? "a2a " : "") +
         (in.splits_context ? "splits_context " : "") +
         (in.padding == sglang::DpPadding::sum_len ? "sum_len" : "");
}

SymbolicStep step_of(const Case& in) {
  const ModelShape& model = sglang::engine().stand_ins()[in.model];
  sglang::StepInput step{
      .communicator = {.sizes = in.sizes, .dense_fully_dp = in.dense_fully_dp, .a2a = in.a2a}};
  step.topology = std::make_shared<const Topology>(sglang::topology_of(in.sizes));
  step.model = &model;
  step.facts = sglang::facts_of(model);
  step.splits_context = in.splits_context;
  step.dp_padding = in.padding;
  return sglang::step_of("prefill", step);
}

Lifecycle plan_at(const SymbolicStep& step, std::int64_t n) {
  Lifecycle plan{.world = step.topology->world, .layers = step.layers};
  StepLowering lowering(step, plan);
  plan.events.push_back({.kind = PlanEventKind::eager, .programs = lowering.programs_at(n)});
  return plan;
}

struct Tried {
  std::size_t counts = 0;  // that fit, and were run
  std::size_t short_ones = 0;
  std::size_t dp_sums = 0;
};

void expect_the_model(const Case& in, Tried& tried) {
  SymbolicStep step = step_of(in);
  const UsableSet usable = derive(step, 1024).usable;
  ASSERT_FALSE(step.layers.empty()) << text_of(in);
  for (const std::int64_t n : {1, 2, 3, 4, 5, 8, 12, 16, 24, 64}) {
    if (!usable.contains(n)) continue;
    const Lifecycle plan = plan_at(step, n);
    ASSERT_EQ(Execution(plan, plan.events[0]).run(), "") << text_of(in) << " at " << n;
    ++tried.counts;
    if (in.splits_context && n < 2 * in.sizes.attn_cp) ++tried.short_ones;
    if (in.sizes.attn_dp > 1 && in.sizes.attn_tp() > 1) ++tried.dp_sums;
  }
}

void for_each_layout(std::int64_t attn_tp, std::int64_t attn_cp, std::int64_t attn_dp,
                     Tried& tried) {
  const std::int64_t tp = attn_tp * attn_cp * attn_dp;
  for (const std::int64_t ep : {std::int64_t{1}, std::int64_t{2}, tp}) {
    for (const std::int64_t moe_dp : {std::int64_t{1}, attn_cp}) {
      if (tp % (ep * moe_dp) != 0 || (moe_dp == 1 ? ep == 2 && tp == 2 : attn_cp == 1)) continue;
      for (const int flags : {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14}) {
        for (const std::size_t model : {0U, 1U, 3U}) {
          const Case in{
              .sizes =
                  {.tp = tp, .attn_dp = attn_dp, .attn_cp = attn_cp, .ep = ep, .moe_dp = moe_dp},
              .dense_fully_dp = (flags & 1) != 0,
              .a2a = (flags & 2) != 0,
              .splits_context = (flags & 4) != 0,
              .padding = (flags & 8) != 0 ? sglang::DpPadding::sum_len : sglang::DpPadding::max_len,
              .model = model};
          if (in.splits_context && attn_cp == 1) continue;
          if ((flags & 8) != 0 && attn_dp == 1) continue;
          expect_the_model(in, tried);
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
}

// Would catch a role that is missing or wrong, experts that are computed twice, a residual that is
// added on every rank, and rows that come back in another order.
TEST(PlanMathematics, EveryCountThatFitsLeavesTheModelsRowsOnEveryRank) {
  Tried tried;
  for (const std::int64_t attn_tp : {1, 2, 3, 8}) {
    for (const std::int64_t attn_cp : {1, 2, 4}) {
      for (const std::int64_t attn_dp : {1, 2, 4}) {
        if (attn_tp * attn_cp * attn_dp > 16) continue;
        for_each_layout(attn_tp, attn_cp, attn_dp, tried);
        if (HasFatalFailure()) return;
      }
    }
  }
  std::cout << "[          ] " << tried.counts << " counts, " << tried.short_ones
            << " too short to split, " << tried.dp_sums << " with a sum over replicas\n";
  EXPECT_GT(tried.counts, 1000U);
  EXPECT_GT(tried.short_ones, 50U);
  EXPECT_GT(tried.dp_sums, 50U);
}

// Would catch an execution that holds whatever the operations compute.
TEST(PlanMathematics, AnyOperationThatComputesNothingIsNoticed) {
  const std::vector<Case> cases = {
      {.sizes = {.tp = 8}, .dense_fully_dp = true, .model = 1},
      {.sizes = {.tp = 8, .ep = 4}, .dense_fully_dp = true, .a2a = true, .model = 1},
      {.sizes = {.tp = 8, .attn_cp = 4, .ep = 8}, .splits_context = true, .model = 3},
      {.sizes = {.tp = 8, .attn_dp = 2}, .model = 1},
      {.sizes = {.tp = 8, .attn_dp = 8}, .model = 1},
      {.sizes = {.tp = 8, .attn_dp = 2}, .padding = sglang::DpPadding::sum_len, .model = 1}};
  std::size_t changed = 0;
  for (const Case& in : cases) {
    Lifecycle plan = plan_at(step_of(in), 16);
    ASSERT_EQ(Execution(plan, plan.events[0]).run(), "") << text_of(in);
    for (Program& program : plan.events[0].programs) {
      for (PlanOp& op : program.ops) {
        if (op.role == Role::move) continue;
        const Role role = std::exchange(op.role, Role::move);
        EXPECT_NE(Execution(plan, plan.events[0]).run(), "") << text_of(in) << name_of(role);
        op.role = role;
        ++changed;
      }
    }
  }
  EXPECT_GT(changed, 100U);
}

}  // namespace
}  // namespace capsize::plan_mathematics_test
