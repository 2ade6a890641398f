// A 64-bit hash of content: the same on every machine, in every run and for every order of threads.
// For identities in certificates and for finding what is remembered; not against an adversary.
//
//   ContentHash().add("tp").add(8).value()
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

namespace capsize {

// Spreads 64 bits over 64 bits: a bijection in which every bit of the input moves half of the
// output.
[[nodiscard]] constexpr std::uint64_t spread(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32;
  return x;
}

class ContentHash {
 public:
  constexpr ContentHash& add(std::integral auto number) {
    state_ = spread((state_ + 0x9e3779b97f4a7c15ULL) ^ static_cast<std::uint64_t>(number));
    return *this;
  }
  // The length goes in too, so that neighbouring texts cannot be cut otherwise.
  constexpr ContentHash& add(std::string_view text) {
    add(text.size());
    for (const char c : text) add(static_cast<unsigned char>(c));
    return *this;
  }
  constexpr ContentHash& add(const char* text) { return add(std::string_view(text)); }
  [[nodiscard]] constexpr std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3ULL;
};

}  // namespace capsize
