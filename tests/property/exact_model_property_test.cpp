// The sharded form of the exact model against its oracle: any cut of the weights, any order of
// addition and every element type give the same integers, and what is missing or wrong is seen.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "properties/generators.hpp"
#include "runtime/rows/local_work.hpp"
#include "tests/property/property_run.hpp"
#include "tests/support/matrix.hpp"

namespace capsize::property::exact_model_test {
namespace {

using test::OwnedMatrix;
using Integers = std::vector<std::int32_t>;
using Shares = std::vector<WeightShare>;

constexpr std::array kTypes = {ElementType::bf16, ElementType::fp16, ElementType::fp32,
                               ElementType::uint32};
constexpr std::int64_t kBound = 256;

struct Machine {
  explicit Machine(const ExactModel& of) : model(of), weights(of), oracle(of) {}
  ExactModel model;
  Weights weights;
  Oracle oracle;
};

// 27 layers as the smaller DeepSeek models have them, at the usual sizes.
const Machine& usual() {
  static const Machine only([] {
    ExactModel model;
    model.layers = {{LayerMathematics::dense, 1}, {LayerMathematics::sparse, 26}};
    return model;
  }());
  return only;
}

Role second_half(const ExactModel& model, std::int64_t layer) {
  return model.kind_of(layer) == LayerMathematics::dense ? Role::mlp : Role::experts;
}

Share all_units(const ExactModel& model, Role role) {
  return {0, role == Role::experts ? model.expert_units : model.units};
}

WeightShare whole(const ExactModel& model, Role role) {
  return {.units = all_units(model, role), .experts = {0, model.experts}};
}

// As a plan cuts: attention and MLPs by units, experts by experts, by units or by both.
enum class ExpertCut : std::uint8_t { experts, units, both };

Shares shares(const ExactModel& model, Role role, std::int64_t parts, ExpertCut cut) {
  std::int64_t expert_parts = 1;
  if (role == Role::experts && cut == ExpertCut::experts) expert_parts = parts;
  if (role == Role::experts && cut == ExpertCut::both && parts % 4 == 0) expert_parts = parts / 4;
  const std::int64_t unit_parts = parts / expert_parts;
  Shares out;
  for (std::int64_t part = 0; part < parts; ++part) {
    out.push_back({.units = share_of(all_units(model, role).count, unit_parts, part % unit_parts),
                   .experts = share_of(model.experts, expert_parts, part / unit_parts)});
  }
  return out;
}

// Whoever computes hidden' of one half of a layer: `x` to `hidden`.
using Half = std::function<void(Role role, std::int64_t layer, Matrix x, Matrix hidden)>;

// Entry rows through all layers.
OwnedMatrix run(const Machine& machine, ElementType type, std::int64_t rows, std::uint64_t token,
                const Half& half) {
  const ExactModel& model = machine.model;
  OwnedMatrix hidden(type, rows, model.hidden);
  OwnedMatrix residual(type, rows, model.hidden);
  OwnedMatrix x(type, rows, model.hidden);
  Integers entry(static_cast<std::size_t>(model.hidden));
  for (std::int64_t row = 0; row < rows; ++row) {
    entry_row(model, token + static_cast<std::uint64_t>(row), 1, entry);
    hidden.set_row(row, entry);
  }
  for (std::int64_t layer = 0; layer < model.layer_count(); ++layer) {
    for (const Role role : {Role::attention, second_half(model, layer)}) {
      add_norm(hidden.all(), residual.all(), x.all(), residual.all());
      half(role, layer, x.all(), hidden.all());
    }
  }
  add(hidden.all(), residual.all(), hidden.all(), true);
  return hidden;
}

void expect_oracle(const Machine& machine, OwnedMatrix found, std::uint64_t token) {
  Integers entry(static_cast<std::size_t>(machine.model.hidden));
  Integers expected = entry;
  for (std::int64_t row = 0; row < found.rows(); ++row) {
    entry_row(machine.model, token + static_cast<std::uint64_t>(row), 1, entry);
    machine.oracle.forward(entry, expected);
    ASSERT_EQ(found.row(row), expected) << "row " << row;
  }
}

// hidden = the sum of what the shares give, added up in a random order.
void sum_of_shares(const Machine& machine, Role role, std::int64_t layer, const Shares& parts,
                   Matrix x, Matrix hidden, std::mt19937& order) {
  std::vector<std::size_t> turns(parts.size());
  std::iota(turns.begin(), turns.end(), 0U);
  std::shuffle(turns.begin(), turns.end(), order);
  OwnedMatrix part(x.type, x.rows, x.columns);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const Matrix to = i == 0 ? hidden : part.all();
    machine.weights.apply(role, layer, parts[turns[i]], x, to);
    if (i > 0) sum_into(part.all(), hidden);
  }
}

// Rows that norms leave at some layer, for tests of one operation.
OwnedMatrix normed_rows(ElementType type, std::int64_t rows, std::uint64_t salt) {
  OwnedMatrix out(type, rows, usual().model.hidden);
  poison_rows(out.all(), Poison::stale, salt);  // entry rows of a batch that nobody has
  norm(out.all(), out.all());
  return out;
}

// Would catch: a share that computes more or less than its part, at any of 1 to 64 parts, even or
// not, empty ones included; bits that depend on the order of addition or on the element type.
TEST(ExactModelProperty, EveryNumberOfShares) {
  ExactModel model = usual().model;
  model.layers = {{LayerMathematics::dense, 1}, {LayerMathematics::sparse, 1}};
  const Machine machine(model);
  std::mt19937 order(7);
  std::int64_t count = 0;
  for (const ElementType type : kTypes) {
    for (std::int64_t parts = 1; parts <= 64; ++parts) {
      for (const ExpertCut cut : {ExpertCut::experts, ExpertCut::units, ExpertCut::both}) {
        const auto token = static_cast<std::uint64_t>(count * 100);
        expect_oracle(machine,
                      run(machine, type, 3, token,
                          [&](Role role, std::int64_t layer, Matrix x, Matrix hidden) {
                            sum_of_shares(machine, role, layer, shares(model, role, parts, cut), x,
                                          hidden, order);
                          }),
                      token);
        if (HasFatalFailure()) FAIL() << name_of(type) << ", " << parts << " parts";
        ++count;
      }
    }
  }
  visited(count);
}

// Would catch: an error that only adds up over many layers, and data that are mostly zero, in the
// output or in what a half of a layer adds.
TEST(ExactModelProperty, AllLayersAtUsualSizes) {
  constexpr std::int64_t kRows = 32;
  std::mt19937 order(11);
  std::int64_t count = 0;
  for (const ElementType type : kTypes) {
    for (const std::int64_t parts : {1, 2, 4, 8, 16, 64}) {
      const auto mostly_nonzero = [](OwnedMatrix& rows) {
        std::int64_t zeros = 0;
        for (std::int64_t row = 0; row < rows.rows(); ++row) {
          zeros += std::ranges::count(rows.row(row), 0);
        }
        return 2 * zeros <= rows.rows() * rows.columns();
      };
      const auto half = [&](Role role, std::int64_t layer, Matrix x, Matrix hidden) {
        const Shares cut = shares(usual().model, role, parts, ExpertCut::both);
        sum_of_shares(usual(), role, layer, cut, x, hidden, order);
        ASSERT_FALSE(first_inexact(hidden, 128));
        OwnedMatrix copy(type, hidden.rows, hidden.columns);
        sum_into(hidden, copy.all());
        ASSERT_TRUE(mostly_nonzero(copy)) << name_of(role) << " of layer " << layer;
      };
      OwnedMatrix out = run(usual(), type, kRows, 40, half);
      ASSERT_TRUE(mostly_nonzero(out));
      expect_oracle(usual(), out, 40);
      if (HasFatalFailure()) FAIL() << name_of(type) << ", " << parts << " parts";
      ++count;
    }
  }
  visited(count);
}

// Would catch: sizes at which a partial sum, in whatever order, is one that bf16 does not hold.
TEST(ExactModelProperty, MagnitudesOfPartsStayWithinTheBound) {
  const ExactModel& model = usual().model;
  std::int64_t count = 0;
  std::int32_t largest = 0;
  const auto half = [&](Role role, std::int64_t layer, Matrix x, Matrix hidden) {
    const auto elements = static_cast<std::size_t>(x.rows * x.columns);
    Integers magnitudes(elements, 0);
    OwnedMatrix part(x.type, x.rows, x.columns);
    const std::int64_t units = all_units(model, role).count;
    for (const WeightShare& share : shares(model, role, units, ExpertCut::units)) {
      for (std::int64_t expert = 0; expert < (role == Role::experts ? model.experts : 1);
           ++expert) {
        usual().weights.apply(role, layer, {share.units, {expert, 1}}, x, part.all());
        for (std::size_t at = 0; at < elements; ++at) {
          magnitudes[at] += std::abs(load(x.type, part.all().data + 4 * at));
        }
      }
    }
    for (const std::int32_t magnitude : magnitudes) largest = std::max(largest, magnitude);
    usual().weights.apply(role, layer, whole(model, role), x, hidden);
    count += x.rows;
  };
  expect_oracle(usual(), run(usual(), ElementType::fp32, 8, 0, half), 0);
  EXPECT_LE(largest + 128, kBound);  // a residual on top
  EXPECT_GT(largest, 64);            // the parts were really taken apart
  visited(count);
}

// One operation as outputs of inputs.
struct Operation {
  const char* name;
  std::size_t inputs;
  bool normed;  // its input is what a norm leaves
  std::function<std::vector<OwnedMatrix>(std::vector<OwnedMatrix>&)> compute;
};

std::vector<Operation> operations() {
  const auto half = [](Role role, std::int64_t layer) {
    return [role, layer](std::vector<OwnedMatrix>& in) {
      std::vector<OwnedMatrix> out = in;
      usual().weights.apply(role, layer, whole(usual().model, role), in[0].all(), out[0].all());
      return out;
    };
  };
  const auto addition = [](bool wrap) {
    return [wrap](std::vector<OwnedMatrix>& in) {
      std::vector<OwnedMatrix> out = {in[0]};
      add(in[0].all(), in[1].all(), out[0].all(), wrap);
      return out;
    };
  };
  return {
      {"attention", 1, true, half(Role::attention, 5)},
      {"mlp", 1, true, half(Role::mlp, 0)},
      {"experts", 1, true, half(Role::experts, 5)},
      {"add", 2, false, addition(true)},
      {"add_first", 2, false, addition(false)},
      {"add_norm", 2, false,
       [](std::vector<OwnedMatrix>& in) {
         std::vector<OwnedMatrix> out = in;
         add_norm(in[0].all(), in[1].all(), out[0].all(), out[1].all());
         return out;
       }},
      {"norm", 1, false,
       [](std::vector<OwnedMatrix>& in) {
         std::vector<OwnedMatrix> out = in;
         norm(in[0].all(), out[0].all());
         return out;
       }},
  };
}

std::vector<OwnedMatrix> inputs_of(const Operation& operation, ElementType type, std::int64_t rows,
                                   std::uint64_t salt) {
  std::vector<OwnedMatrix> out;
  for (std::size_t i = 0; i < operation.inputs; ++i) {
    out.push_back(normed_rows(type, rows, salt + i));
    if (!operation.normed) poison_rows(out.back().all(), Poison::stale, salt + i);
  }
  return out;
}

// Would catch: a neighbour of an element's bits, up or down, that gives the same row and passes for
// exact. A norm rounds: it alone may give the same row for two integers, which then differ in the
// residual that it was taken from.
TEST(ExactModelProperty, OneUnitInTheLastPlaceIsSeen) {
  std::int64_t count = 0;
  for (const Operation& operation : operations()) {
    for (const ElementType type : kTypes) {
      std::vector<OwnedMatrix> in = inputs_of(operation, type, 12, 5);
      const std::vector<OwnedMatrix> expected = operation.compute(in);
      for (std::int64_t at = 0; at < 12 * 16 * static_cast<std::int64_t>(in.size()); ++at) {
        OwnedMatrix& changed = in[static_cast<std::size_t>(at / (12 * 16))];
        const std::int64_t row = at / 16 % 12;
        const std::uint32_t bits = changed.bits(row, at % 16);
        for (const std::uint32_t neighbour : {bits + 1U, bits - 1U}) {
          changed.set_bits(row, at % 16, neighbour);
          std::vector<OwnedMatrix> found = operation.compute(in);
          bool seen = first_inexact(changed.all(), kBound).has_value();
          for (std::size_t i = 0; i < found.size(); ++i) {
            seen = seen || found[i].bytes() != expected[i].bytes();
          }
          const bool rounds =
              std::string_view(operation.name) == "norm" && type == ElementType::uint32;
          ASSERT_TRUE(seen || rounds) << operation.name << " of " << name_of(type) << " at " << at;
          ++count;
        }
        changed.set_bits(row, at % 16, bits);
      }
    }
  }
  visited(count);
}

// Would catch: an element that is no integer and yet computed with as if it were, without the help
// of a check of the input: in a run that poisons rows nobody asks for exact ones.
TEST(ExactModelProperty, PoisonInARealRowIsSeenInTheOutput) {
  std::int64_t count = 0;
  for (const Operation& operation : operations()) {
    for (const ElementType type : kTypes) {
      std::vector<OwnedMatrix> in = inputs_of(operation, type, 8, 3);
      const std::vector<OwnedMatrix> expected = operation.compute(in);
      for (const Poison poison : {Poison::nan, Poison::infinity, Poison::huge}) {
        OwnedMatrix bad(type, 1, 1);
        poison_rows(bad.all(), poison, 0);
        for (std::int64_t at = 0; at < 8 * 16 * static_cast<std::int64_t>(in.size()); ++at) {
          OwnedMatrix& changed = in[static_cast<std::size_t>(at / (8 * 16))];
          const std::int64_t row = at / 16 % 8;
          const std::uint32_t bits = changed.bits(row, at % 16);
          changed.set_bits(row, at % 16, bad.bits(0, 0));
          const std::vector<OwnedMatrix> found = operation.compute(in);
          ASSERT_NE(found.back().bytes(), expected.back().bytes())
              << operation.name << " of " << name_of(type) << ", " << name_of(poison);
          changed.set_bits(row, at % 16, bits);
          ++count;
        }
      }
    }
  }
  visited(count);
}

// Would catch: a row whose bits depend on its neighbours, be they poison of any kind.
TEST(ExactModelProperty, PoisonStaysInItsRow) {
  constexpr std::int64_t kRows = 9;
  std::int64_t count = 0;
  for (const Operation& operation : operations()) {
    for (const ElementType type : kTypes) {
      std::vector<OwnedMatrix> in = inputs_of(operation, type, kRows, 3);
      std::vector<OwnedMatrix> expected = operation.compute(in);
      for (const Poison poison : {Poison::nan, Poison::infinity, Poison::huge, Poison::stale}) {
        for (std::int64_t row = 0; row < kRows; ++row) {
          std::vector<OwnedMatrix> poisoned = in;
          for (OwnedMatrix& each : poisoned) {
            Matrix one = each.all();
            one.data = one.row(row);
            one.rows = 1;
            poison_rows(one, poison, 77);
          }
          std::vector<OwnedMatrix> found = operation.compute(poisoned);
          for (std::size_t i = 0; i < found.size(); ++i) {
            const std::size_t size = found[i].all().row_bytes();
            const std::size_t begin = static_cast<std::size_t>(row) * size;
            const auto same = [&](std::size_t from, std::size_t to) {
              return std::equal(found[i].all().data + from, found[i].all().data + to,
                                expected[i].all().data + from);
            };
            ASSERT_TRUE(same(0, begin) && same(begin + size, kRows * size))
                << operation.name << " of " << name_of(type) << ", " << name_of(poison);
          }
          ++count;
        }
      }
    }
  }
  visited(count);
}

// Would catch: a rank whose part makes no difference, so that nobody would miss it.
TEST(ExactModelProperty, DroppingAnyShareIsSeen) {
  const ExactModel& model = usual().model;
  OwnedMatrix x = normed_rows(ElementType::bf16, 64, 21);
  OwnedMatrix part = x;
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < 27; ++layer) {
    for (const Role role : {Role::attention, second_half(model, layer)}) {
      for (std::int64_t parts = 1; parts <= 64; parts += parts < 9 ? 1 : 11) {
        for (const ExpertCut cut : {ExpertCut::experts, ExpertCut::units, ExpertCut::both}) {
          for (const WeightShare& share : shares(model, role, parts, cut)) {
            usual().weights.apply(role, layer, share, x.all(), part.all());
            const bool empty = share.units.count == 0 || share.experts.count == 0;
            const std::byte zero{0};
            const auto zeros = std::ranges::count(part.bytes(), zero);
            ASSERT_EQ(zeros == static_cast<std::int64_t>(part.bytes().size()), empty)
                << name_of(role) << " of layer " << layer << ", " << parts << " parts";
            ++count;
          }
        }
      }
    }
  }
  visited(count);
}

// Models of other sizes: rows of one column, of more than one block, units beyond one word and not
// a multiple of anything, more experts asked for than there are.
const std::vector<std::unique_ptr<Machine>>& machines() {
  static const std::vector<std::unique_ptr<Machine>> all = [] {
    std::vector<std::unique_ptr<Machine>> out;
    const std::array<std::array<std::int64_t, 5>, 9> sizes = {{{16, 64, 8, 2, 32},
                                                               {16, 7, 3, 1, 5},
                                                               {16, 130, 1, 2, 65},
                                                               {1, 64, 4, 2, 8},
                                                               {5, 64, 9, 3, 33},
                                                               {17, 63, 5, 5, 64},
                                                               {40, 100, 13, 4, 17},
                                                               {15, 65, 2, 1, 1},
                                                               {32, 1, 16, 8, 4}}};
    for (const auto& [hidden, units, experts, wanted, expert_units] : sizes) {
      ExactModel model{.layers = {{LayerMathematics::dense, 1}, {LayerMathematics::sparse, 2}},
                       .hidden = hidden,
                       .units = units,
                       .experts = experts,
                       .experts_per_token = wanted,
                       .expert_units = expert_units,
                       .seed = static_cast<std::uint64_t>(hidden * 1000 + units)};
      out.push_back(std::make_unique<Machine>(model));
    }
    return out;
  }();
  return all;
}

// `total` cut at random places; parts may be empty.
std::vector<Share> random_cut(std::int64_t total, std::int64_t parts, std::mt19937& random) {
  std::vector<std::int64_t> cuts = {0, total};
  for (std::int64_t i = 1; i < parts; ++i) {
    cuts.push_back(std::uniform_int_distribution<std::int64_t>(0, total)(random));
  }
  std::ranges::sort(cuts);
  std::vector<Share> out;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) out.push_back({cuts[i], cuts[i + 1] - cuts[i]});
  return out;
}

// Would catch: what only other sizes or other cuts than a plan's show.
TEST(ExactModelProperty, AnyCutOfAnyModel) {
  EXPECT_TRUE(holds("shares of any cut add up to the oracle", [] {
    using namespace generators;
    const auto& machine = *machines()[static_cast<std::size_t>(*evenly(0, 9))];
    const ExactModel& model = machine.model;
    // Sums of larger models are more than 16 bits hold.
    const bool small = model.units <= 64 && model.experts_per_token * model.expert_units <= 64;
    const ElementType type = kTypes[static_cast<std::size_t>(*evenly(small ? 0 : 2, 4))];
    const std::int64_t unit_parts = *evenly(1, 5);
    const std::int64_t expert_parts = *evenly(1, 4);
    std::mt19937 random(static_cast<std::uint32_t>(*evenly(0, 1 << 30)));
    const std::uint64_t token = random();
    const auto half = [&](Role role, std::int64_t layer, Matrix x, Matrix hidden) {
      Shares cut;
      for (const Share units : random_cut(all_units(model, role).count, unit_parts, random)) {
        for (const Share experts : random_cut(model.experts, expert_parts, random)) {
          cut.push_back({.units = units, .experts = experts});
          if (role != Role::experts) break;
        }
      }
      sum_of_shares(machine, role, layer, cut, x, hidden, random);
    };
    OwnedMatrix found = run(machine, type, 1, token, half);
    Integers entry(static_cast<std::size_t>(model.hidden));
    Integers expected = entry;
    entry_row(model, token, 1, entry);
    machine.oracle.forward(entry, expected);
    RC_ASSERT(found.row(0) == expected);
  }));
}

}  // namespace
}  // namespace capsize::property::exact_model_test
