// The weights of a model, in the form that a rank computes with: 64 units at a time, one bit of a
// word for each.
//
//   up    a unit reads its sum modulo 4 only. Of all units the two bits of up * x modulo 4 are
//         written down for every column and every x modulo 4; 64 sums are added up with the
//         handful of bit operations of a two-bit adder.
//   down  the active units' numbers -1, 0, 1, 2 are 2 * (second bit) - (not first bit), and for
//         every 4 units and each of their 16 combinations the sum of their rows of `down` is
//         written down.
//
// A share is a mask over the units. The oracle multiplies and adds instead; both must agree.
#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <optional>

#include "runtime/rows/local_work.hpp"
#include "runtime/rows/row_work.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kWordUnits = 64;
constexpr std::int64_t kNibbleUnits = 4;
constexpr std::int64_t kNibbles = kWordUnits / kNibbleUnits;
constexpr std::int64_t kCombinations = 1 << kNibbleUnits;

// Sixteen columns of the sums of up to 64 units, each 1 or -1: 8 bits hold them.
constexpr std::int64_t kLaneColumns = 16;
using Lanes [[gnu::vector_size(kLaneColumns)]] = std::int8_t;

// Four experts' logits.
constexpr std::int64_t kLogitLanes = 4;
using Logits [[gnu::vector_size(kLogitLanes * sizeof(std::int32_t))]] = std::uint32_t;

constexpr std::int64_t divided_up(std::int64_t number, std::int64_t by) {
  return (number + by - 1) / by;
}

constexpr std::int64_t lanes_of(std::int64_t columns) { return divided_up(columns, kLaneColumns); }

// The two bits of a number modulo 4, for each of 64 units.
struct TwoBits {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

std::uint64_t bits_below(std::int64_t count) {
  return count >= kWordUnits ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// The units of a share that lie in the word that begins with unit `first`.
std::uint64_t mask_of(Share share, std::int64_t first) {
  const std::int64_t from = std::clamp<std::int64_t>(share.first - first, 0, kWordUnits);
  const std::int64_t to =
      std::clamp<std::int64_t>(share.first + share.count - first, 0, kWordUnits);
  return from < to ? bits_below(to) & ~bits_below(from) : 0;
}

// Where the weights of some units come from.
struct Source {
  const ExactModel& model;
  std::int64_t layer = 0;
  LayerPart part = LayerPart::attention;
  std::int64_t expert = 0;
  [[nodiscard]] int at(WeightKind kind, std::int64_t unit, std::int64_t column) const {
    return weight_at(model, layer, part, kind, expert, unit, column);
  }
};

// The units of attention, of an MLP or of one expert.
class UnitTables {
 public:
  UnitTables(const Source& source, std::int64_t units)
      : columns_(source.model.hidden), lanes_(lanes_of(columns_)), units_(units) {
    for (std::int64_t first = 0; first < units; first += kWordUnits) {
      add_up(source, first);
      add_down(source, first);
    }
  }

  // out += the share's part. `x` and `out` have room for whole lanes.
  template <class RowWidth>
  void add(Share share, RowWidth width, const std::int32_t* x, std::int32_t* out) const {
    const std::int64_t columns = width.columns();
    const std::int64_t lanes = lanes_of(columns);
    for (std::int64_t first = 0; first < units_; first += kWordUnits) {
      const std::uint64_t mask = mask_of(share, first);
      if (mask == 0) continue;
      const std::int64_t word = first / kWordUnits;
      const TwoBits sums = sums_of(&up_[static_cast<std::size_t>(word * columns * 4)], columns, x);
      const std::int64_t nibbles = divided_up(std::min(kWordUnits, units_ - first), kNibbleUnits);
      const Lanes* down = &down_[static_cast<std::size_t>(word * kNibbles * kCombinations * lanes)];
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        add_rows({.low = ~sums.low & mask, .high = sums.high & mask}, nibbles, down + lane, lanes,
                 out + lane * kLaneColumns);
      }
    }
  }

 private:
  void add_up(const Source& source, std::int64_t first) {
    const std::int64_t count = std::min(kWordUnits, units_ - first);
    for (std::int64_t j = 0; j < columns_; ++j) {
      std::array<TwoBits, 4> products{};
      for (std::int64_t unit = 0; unit < count; ++unit) {
        const int weight = source.at(WeightKind::up, first + unit, j);
        for (int x = 0; x < 4; ++x) {
          TwoBits& product = products[static_cast<std::size_t>(x)];
          product.low |= static_cast<std::uint64_t>((weight * x) & 1) << unit;
          product.high |= static_cast<std::uint64_t>(((weight * x) >> 1) & 1) << unit;
        }
      }
      up_.insert(up_.end(), products.begin(), products.end());
    }
  }

  void add_down(const Source& source, std::int64_t first) {
    for (std::int64_t nibble = first; nibble < first + kWordUnits; nibble += kNibbleUnits) {
      const std::size_t begin = down_.size();
      const auto lanes = static_cast<std::size_t>(lanes_);
      down_.resize(begin + kCombinations * lanes);
      for (std::int64_t unit = 0; unit < kNibbleUnits && nibble + unit < units_; ++unit) {
        for (std::int64_t j = 0; j < columns_; ++j) {
          const auto weight =
              static_cast<std::int8_t>(source.at(WeightKind::down, nibble + unit, j));
          Lanes* sums = &down_[begin + static_cast<std::size_t>(j / kLaneColumns)];
          for (std::size_t combination = 0; combination < kCombinations; ++combination) {
            const bool active = ((combination >> unit) & 1U) != 0;
            if (!active) continue;
            auto& sum = sums[combination * lanes];
            sum[j % kLaneColumns] = static_cast<std::int8_t>(sum[j % kLaneColumns] + weight);
          }
        }
      }
    }
  }

  static TwoBits sums_of(const TwoBits* up, std::int64_t columns, const std::int32_t* x) {
    TwoBits sums;
    for (std::int64_t j = 0; j < columns; ++j) {
      const TwoBits& product = up[j * 4 + (x[j] & 3)];
      sums.high ^= product.high ^ (sums.low & product.low);
      sums.low ^= product.low;
    }
    return sums;
  }

  // `numbers`: units that count -1 (low) and 2 (high).
  static void add_rows(TwoBits numbers, std::int64_t nibbles, const Lanes* down, std::int64_t lanes,
                       std::int32_t* out) {
    Lanes ones{};
    Lanes twos{};
    for (std::int64_t nibble = 0; nibble < nibbles; ++nibble) {
      ones += down[static_cast<std::int64_t>(numbers.low & 15U) * lanes];
      twos += down[static_cast<std::int64_t>(numbers.high & 15U) * lanes];
      numbers.low >>= kNibbleUnits;
      numbers.high >>= kNibbleUnits;
      down += kCombinations * lanes;
    }
    for (std::int64_t j = 0; j < kLaneColumns; ++j) {
      out[j] += 2 * std::int32_t{twos[j]} - std::int32_t{ones[j]};
    }
  }

  std::int64_t columns_ = 0;
  std::int64_t lanes_ = 0;
  std::int64_t units_ = 0;
  std::vector<TwoBits> up_;  // word, column, x modulo 4
  std::vector<Lanes> down_;  // word, nibble, combination, sixteen columns
};

// Which experts a row is for. The logit is the sum of x where the router has 1, less the sum where
// it has -1; twice the first sum less the sum of all: the first sum alone orders the experts.
class Router {
 public:
  explicit Router(const Source& source)
      : experts_(source.model.experts),
        wanted_(std::min(source.model.experts, source.model.experts_per_token)),
        expert_bits_(static_cast<int>(std::bit_width(static_cast<std::uint64_t>(experts_)))) {
    for (std::int64_t first = 0; first < experts_; first += kLogitLanes) {
      for (std::int64_t j = 0; j < source.model.hidden; ++j) {
        Logits masks{};
        for (std::int64_t lane = 0; lane < std::min(kLogitLanes, experts_ - first); ++lane) {
          if (source.at(WeightKind::router, first + lane, j) > 0) masks[lane] = ~0U;
        }
        masks_.push_back(masks);
      }
    }
  }

  // How many numbers `choose` needs room for.
  [[nodiscard]] std::int64_t keys() const {
    return divided_up(experts_, kLogitLanes) * kLogitLanes;
  }

  // Calls `take` for every expert that is chosen.
  template <class RowWidth, class Take>
  void choose(RowWidth width, const std::int32_t* x, std::int32_t* keys, Take&& take) const {
    fill_keys(width.columns(), x, keys);
    std::int32_t below = INT32_MAX;
    for (std::int64_t taken = 0; taken < wanted_; ++taken) {
      std::int32_t best = INT32_MIN;
      for (std::int64_t expert = 0; expert < experts_; ++expert) {
        best = std::max(best, keys[expert] < below ? keys[expert] : INT32_MIN);
      }
      below = best;
      const std::uint32_t expert = (0U - static_cast<std::uint32_t>(best)) & expert_mask();
      take(static_cast<std::int64_t>(expert));
    }
  }

 private:
  [[nodiscard]] std::uint32_t expert_mask() const { return (1U << expert_bits_) - 1U; }

  // A key orders by logit, then the smaller expert first; no two are equal.
  void fill_keys(std::int64_t columns, const std::int32_t* x, std::int32_t* keys) const {
    Logits experts = {0, 1, 2, 3};
    for (std::int64_t first = 0; first < experts_; first += kLogitLanes) {
      const Logits* masks = &masks_[static_cast<std::size_t>(first / kLogitLanes * columns)];
      Logits sums{};
      for (std::int64_t j = 0; j < columns; ++j)
        sums += static_cast<std::uint32_t>(x[j]) & masks[j];
      const Logits ordered = (sums << expert_bits_) - experts;
      std::memcpy(keys + first, &ordered, sizeof ordered);
      experts += kLogitLanes;
    }
  }

  std::int64_t experts_ = 0;
  std::int64_t wanted_ = 0;
  int expert_bits_ = 0;
  std::vector<Logits> masks_;  // four experts, column
};

struct LayerTables {
  UnitTables attention;
  std::vector<UnitTables> feed_forward;  // the MLP, or one an expert
  std::optional<Router> router;
};

LayerTables layer_tables(const ExactModel& model, std::int64_t layer) {
  Source source{.model = model, .layer = layer};
  LayerTables made{.attention = UnitTables(source, model.units)};
  source.part = LayerPart::feed_forward;
  if (model.kind_of(layer) == LayerMathematics::dense) {
    made.feed_forward.emplace_back(source, model.units);
    return made;
  }
  made.router.emplace(source);
  for (; source.expert < model.experts; ++source.expert) {
    made.feed_forward.emplace_back(source, model.expert_units);
  }
  return made;
}

// Units read sums modulo 4, to which poison may look real: a row that no norm leaves gives one that
// no exact sum gives.
constexpr std::int32_t kLargestNormed = 3;

// Calls `add(width, x, out)` for every row, where x are the row's integers, and out what it adds
// to.
template <class Add>
void for_rows(ConstMatrix in, Matrix out, Add&& add) {
  row_work::with_rows(in.type, in.columns, [&]<class Element>(Element, auto width) {
    const std::int64_t columns = width.columns();
    auto padded = width;
    padded.given = lanes_of(columns) * kLaneColumns;
    auto x = padded.template row<std::int32_t>();
    auto sums = padded.template row<std::int32_t>();
    for (std::int64_t at = 0; at < in.rows; ++at) {
      const std::byte* from = in.row(at);
      std::byte* to = out.row(at);
      std::int32_t strange = 0;
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int32_t value = Element::integer(row_work::bits_at<Element>(from, j));
        x[static_cast<std::size_t>(j)] = value;
        strange |= (kLargestNormed + value) | (kLargestNormed - value);  // negative where it is
      }
      std::ranges::fill(sums, strange < 0 ? codec::kStrange : 0);
      add(width, x.data(), sums.data());
      for (std::int64_t j = 0; j < columns; ++j) {
        row_work::put_bits<Element>(to, j, Element::of_integer(sums[static_cast<std::size_t>(j)]));
      }
    }
  });
}

}  // namespace

struct Weights::Tables {
  ExactModel model;
  // Made when a rank of this process first computes with them: where a device does, none is.
  std::vector<std::optional<LayerTables>> layers;

  const LayerTables& of(std::int64_t layer) {
    std::optional<LayerTables>& out = layers.at(static_cast<std::size_t>(layer));
    if (!out) out = layer_tables(model, layer);
    return *out;
  }
};

Weights::Weights(const ExactModel& model) : tables_(std::make_unique<Tables>()) {
  tables_->model = model;
  tables_->layers.resize(static_cast<std::size_t>(model.layer_count()));
}

Weights::~Weights() = default;

const ExactModel& Weights::model() const { return tables_->model; }

void Weights::apply(Role role, std::int64_t layer, const WeightShare& share, ConstMatrix in,
                    Matrix out) const {
  assert(in.rows == out.rows && in.columns == out.columns && in.type == out.type);
  assert(in.columns == tables_->model.hidden);
  const LayerTables& tables = tables_->of(layer);
  if (role == Role::experts && tables.router) {
    std::vector<std::int32_t> keys(static_cast<std::size_t>(tables.router->keys()));
    const Share owned = share.experts;
    for_rows(in, out, [&](auto width, const std::int32_t* x, std::int32_t* sums) {
      tables.router->choose(width, x, keys.data(), [&](std::int64_t expert) {
        if (expert < owned.first || expert >= owned.first + owned.count) return;
        tables.feed_forward[static_cast<std::size_t>(expert)].add(share.units, width, x, sums);
      });
    });
    return;
  }
  const UnitTables& units =
      role == Role::attention ? tables.attention : tables.feed_forward.front();
  for_rows(in, out, [&](auto width, const std::int32_t* x, std::int32_t* sums) {
    units.add(share.units, width, x, sums);
  });
}

}  // namespace capsize
