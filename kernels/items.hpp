// What a kernel is told: something that all of its items share, and the items. They travel as the
// kernel's parameter, so that a captured graph carries them: few items in a small one, as its size
// is part of what a launch costs; up to 64 in a large one; more in a table in device memory, which
// lives as long as the graph (Launcher::table).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

namespace capsize::gpu {

inline constexpr std::uint32_t kFewItems = 8;
inline constexpr std::uint32_t kManyItems = 64;

template <class Item, std::uint32_t kCapacity>
struct Items {
  std::uint32_t count;
  Item items[kCapacity];
};
template <class Item>
struct Items<Item, 0> {
  std::uint32_t count;
  const Item* items;
};

// `kCapacity` 0: a table.
template <class Common, class Item, std::uint32_t kCapacity>
struct Params {
  Common common;
  Items<Item, kCapacity> list;
};

// Items that name operands by their places in a list of addresses.
template <class Common, class Item, std::uint32_t kCapacity>
struct ListParams {
  static constexpr std::uint32_t kAddresses = 4 * kCapacity;
  Common common;
  Items<Item, kCapacity> list;
  Items<std::byte*, kAddresses> addresses;
};

// Calls `body` with the smallest capacity that holds so many, as a constant.
template <class Body>
void with_capacity(std::size_t items, std::size_t addresses, Body&& body) {
  if (items <= kFewItems && addresses <= 4 * kFewItems) {
    return body(std::integral_constant<std::uint32_t, kFewItems>{});
  }
  if (items <= kManyItems && addresses <= 4 * kManyItems) {
    return body(std::integral_constant<std::uint32_t, kManyItems>{});
  }
  body(std::integral_constant<std::uint32_t, 0>{});
}

}  // namespace capsize::gpu
