#include "tests/gpu/random_launches.hpp"

#include <algorithm>

namespace capsize::gpu_test {
namespace {

// Rows that were laid out.
struct Place {
  std::size_t at = 0;
  std::int64_t rows = 0;
};

class Maker {
 public:
  Maker(Layout& layout, std::int64_t items)
      : layout_(layout), items_(items), unaligned_(layout.one_in(3)) {}

  MakeLaunch make(LaunchKind kind) {
    switch (kind) {
      case LaunchKind::fill: return fill();
      case LaunchKind::generate: return generate();
      case LaunchKind::copy: return copy();
      case LaunchKind::norm: return norm();
      case LaunchKind::add: return add();
      case LaunchKind::mix: return mix();
      case LaunchKind::reduce_scatter: return meet(CollectiveLaunch::Kind::reduce_scatter);
      case LaunchKind::all_gather: return meet(CollectiveLaunch::Kind::all_gather);
      case LaunchKind::all_reduce: return meet(CollectiveLaunch::Kind::all_reduce);
      case LaunchKind::all_to_all: return meet(CollectiveLaunch::Kind::all_to_all);
      case LaunchKind::broadcast: return meet(CollectiveLaunch::Kind::broadcast);
      case LaunchKind::sum: return sum();
      case LaunchKind::check: return check();
      case LaunchKind::compare: return compare();
      case LaunchKind::verify: break;
    }
    return verify();
  }

 private:
  Place rows(std::int64_t count, std::int32_t largest = 127, bool poison = true) {
    const Place place{layout_.rows(count, unaligned_), count};
    layout_.fill(place.at, count, largest, poison);
    return place;
  }
  std::int64_t some() { return layout_.between(0, 9); }

  // A launch whose items are made one by one: `each(item)` lays rows out and returns what makes the
  // item of a base.
  template <class Made, class Each>
  MakeLaunch of_items(Made made, Each&& each) {
    using Item = typename decltype(made.items)::value_type;
    std::vector<std::function<Item(std::byte*)>> makers;
    for (std::int64_t item = 0; item < items_; ++item) makers.push_back(each(item));
    return [made, makers](std::byte* base) {
      Made launch = made;
      for (const auto& maker : makers) launch.items.push_back(maker(base));
      return launch;
    };
  }
  // Turns a place into rows.
  auto view() {
    return [type = layout_.type(), columns = layout_.columns()](std::byte* base, Place place) {
      return Matrix{base + place.at, place.rows, columns, type};
    };
  }

  MakeLaunch fill() {
    return of_items(FillLaunch{}, [this](std::int64_t item) {
      return [view = view(), to = rows(some()), item](std::byte* base) {
        return FillLaunch::Item{view(base, to), 0xfda5a5b0U + static_cast<std::uint32_t>(item)};
      };
    });
  }

  MakeLaunch generate() {
    return of_items(GenerateLaunch{}, [this](std::int64_t item) {
      const auto seed = static_cast<std::uint64_t>(item) + 77;
      const auto token = static_cast<std::uint64_t>(layout_.between(0, 1 << 20));
      return [view = view(), to = rows(some()), seed, token](std::byte* base) {
        return GenerateLaunch::Item{view(base, to), seed, token, seed % 5};
      };
    });
  }

  MakeLaunch copy() {
    return of_items(CopyLaunch{}, [this](std::int64_t) {
      const std::int64_t at = layout_.between(0, 6);
      const bool clears = layout_.one_in(2);
      return [view = view(), from = rows(some()), to = rows(some()), at, clears](std::byte* base) {
        return CopyLaunch::Item{view(base, from), view(base, to), at, clears};
      };
    });
  }

  MakeLaunch norm() {
    const bool in_place = layout_.one_in(2);
    return of_items(NormLaunch{}, [&](std::int64_t) {
      const std::int64_t count = some();
      const bool alone = layout_.one_in(3);
      const bool poison = layout_.one_in(2);
      const Place hidden = rows(count, 127, poison);
      const Place residual = rows(count, 127, poison);
      const Place out = in_place ? hidden : rows(count);
      const Place residual_out = in_place ? residual : rows(count);
      return [view = view(), hidden, residual, out, residual_out, alone](std::byte* base) {
        NormLaunch::Item item{.hidden = view(base, hidden), .out = view(base, out)};
        if (alone) return item;
        item.residual = view(base, residual);
        item.residual_out = view(base, residual_out);
        return item;
      };
    });
  }

  MakeLaunch add() {
    return of_items(AddLaunch{}, [this](std::int64_t) {
      const std::int64_t count = some();
      const Place left = rows(count);
      const Place right = rows(count);
      const Place out = layout_.one_in(3) ? left : rows(count);
      const bool wraps = layout_.one_in(2);
      const bool adds = !layout_.one_in(4);
      return [view = view(), left, right, out, wraps, adds](std::byte* base) {
        return AddLaunch::Item{view(base, left), view(base, right), view(base, out), wraps, adds};
      };
    });
  }

  MakeLaunch mix() {
    return of_items(MixLaunch{}, [this](std::int64_t item) {
      std::vector<Place> in(static_cast<std::size_t>(layout_.between(0, 4)));
      for (Place& each : in) each = rows(some());
      return [view = view(), in, out = rows(some()), item](std::byte* base) {
        MixLaunch::Item made{.inputs = in.size(),
                             .out = view(base, out),
                             .salt = 0x1234567U * static_cast<std::uint32_t>(item)};
        for (std::size_t i = 0; i < in.size(); ++i) made.in[i] = view(base, in[i]);
        return made;
      };
    });
  }

  MakeLaunch meet(CollectiveLaunch::Kind kind) {
    using Kind = CollectiveLaunch::Kind;
    // Communicators of one launch have the same size, and items are members.
    constexpr std::array<std::int64_t, 7> kSizes = {1, 2, 3, 4, 8, 11, 16};
    const std::int64_t members = kSizes[static_cast<std::size_t>(layout_.between(0, 6))];
    items_ = std::max<std::int64_t>(1, items_ / members);
    const std::int64_t part = layout_.between(0, 5);
    const bool parts = kind == Kind::reduce_scatter || kind == Kind::all_to_all;
    const std::int64_t in_rows = parts ? part * members : part;
    const std::int64_t out_rows = kind == Kind::reduce_scatter ? part
                                  : kind == Kind::all_gather   ? part * members
                                                               : in_rows;
    return of_items(CollectiveLaunch{.kind = kind}, [&](std::int64_t) {
      std::vector<Place> in;
      std::vector<Place> out;
      for (std::int64_t member = 0; member < members; ++member) in.push_back(rows(in_rows));
      for (std::int64_t member = 0; member < members; ++member) out.push_back(rows(out_rows));
      return [view = view(), in, out](std::byte* base) {
        CollectiveLaunch::Item item;
        for (const Place& each : in) item.in.push_back(view(base, each));
        for (const Place& each : out) item.out.push_back(view(base, each));
        return item;
      };
    });
  }

  MakeLaunch sum() {
    return of_items(SumLaunch{}, [this](std::int64_t) {
      const std::int64_t count = some();
      std::vector<Place> from(static_cast<std::size_t>(layout_.between(1, 12)));
      for (Place& each : from) each = rows(count);
      return [view = view(), from, to = rows(count)](std::byte* base) {
        SumLaunch::Item item;
        for (const Place& each : from) item.from.push_back(view(base, each));
        item.to = view(base, to);
        return item;
      };
    });
  }

  MakeLaunch check() {
    return of_items(CheckLaunch{}, [this](std::int64_t item) {
      const auto kind = static_cast<CheckLaunch::Kind>(layout_.between(0, 2));
      const std::int64_t bound = layout_.one_in(8) ? INT64_MAX : layout_.between(0, 130);
      const Place place = rows(some(), 127, layout_.one_in(2));
      return [view = view(), place, kind, bound, item](std::byte* base) {
        return CheckLaunch::Item{view(base, place), kind, bound, static_cast<std::size_t>(item)};
      };
    });
  }

  MakeLaunch compare() {
    return of_items(CompareLaunch{}, [this](std::int64_t item) {
      const std::int64_t count = some();
      const Place found = rows(count, 1, layout_.one_in(2));
      const Place expected = rows(count, 1, false);
      return [view = view(), found, expected, item](std::byte* base) {
        return CompareLaunch::Item{view(base, found), view(base, expected),
                                   static_cast<std::size_t>(item)};
      };
    });
  }

  // Rows that are right but for some elements.
  MakeLaunch verify() {
    return of_items(VerifyLaunch{}, [this](std::int64_t item) {
      const std::int64_t count = some();
      const std::int64_t columns = layout_.columns();
      const Place place{layout_.rows(count, unaligned_), count};
      ExactModel model;
      model.seed = static_cast<std::uint64_t>(item) + 5;
      std::vector<std::int32_t> entry(static_cast<std::size_t>(columns));
      const std::int64_t wrong = layout_.between(0, 4 * count * columns);
      layout_.put(place.at, count, [&](std::int64_t i) {
        const auto token = static_cast<std::uint64_t>(i / columns) + 3;
        if (i % columns == 0) entry_row(model, token, 9, entry);
        std::uint32_t bits = 0;
        store(layout_.type(), reinterpret_cast<std::byte*>(&bits),
              entry[static_cast<std::size_t>(i % columns)]);
        return i == wrong || i == wrong / 2 + 1 ? bits ^ 1U : bits;
      });
      return [view = view(), place, seed = model.seed, item](std::byte* base) {
        return VerifyLaunch::Item{view(base, place), seed, 3, 9, static_cast<std::size_t>(item)};
      };
    });
  }

  Layout& layout_;
  std::int64_t items_;
  bool unaligned_;
};

// What is wrong, kind by kind; the last item is the one.
struct Spoil {
  void operator()(FillLaunch& what) const { what.items.back().bits ^= 1U; }
  void operator()(GenerateLaunch& what) const { ++what.items.back().first_token; }
  void operator()(CopyLaunch& what) const { ++what.items.back().at; }
  void operator()(NormLaunch& what) const { what.items.back().hidden.data += 4; }
  void operator()(AddLaunch& what) const { what.items.back().right.data += 4; }
  void operator()(WeightsLaunch& what) const { ++what.items.back().share.units.first; }
  void operator()(MixLaunch& what) const { ++what.items.back().salt; }
  void operator()(CollectiveLaunch& what) const {
    if (what.kind == CollectiveLaunch::Kind::broadcast) {
      what.items.back().in.front() = what.items.back().in.back();
      return;
    }
    std::vector<ConstMatrix>& in = what.items.back().in;
    in.back() = in.front();  // the last member's rows are left out
  }
  void operator()(SumLaunch& what) const { what.items.back().from.pop_back(); }
  void operator()(CheckLaunch& what) const { what.items.back().bound /= 2; }
  void operator()(CompareLaunch& what) const { what.items.back().expected.data += 4; }
  void operator()(VerifyLaunch& what) const { ++what.items.back().step; }
};

}  // namespace

MakeLaunch random_launch(LaunchKind kind, Layout& layout, std::int64_t items) {
  return Maker(layout, items).make(kind);
}

Launch spoiled(Launch launch) {
  std::visit(Spoil{}, launch);
  return launch;
}

}  // namespace capsize::gpu_test
