// The host and a GPU, side by side: the same bytes on both, the same launch, the same bytes again?
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <random>

#include "kernels/cuda_device.hpp"
#include "runtime/device/host_device.hpp"

namespace capsize::gpu_test {

inline constexpr std::array kTypes = {ElementType::bf16, ElementType::fp16, ElementType::fp32,
                                      ElementType::uint32};

// A launch whose rows lie at places of a slab that begins at `base`.
using MakeLaunch = std::function<Launch(std::byte* base)>;

// Memory that a launch is made over: places, and the bytes that lie there before. What is between
// places must stay as it is.
class Layout {
 public:
  Layout(std::mt19937_64& random, ElementType type, std::int64_t columns)
      : random_(random), type_(type), columns_(columns) {}

  // Rows that begin at a multiple of 16 bytes, or anywhere (`unaligned`); their place.
  std::size_t rows(std::int64_t rows, bool unaligned) {
    std::size_t at = (bytes_.size() + 15) / 16 * 16 + 16;
    if (unaligned) at += bytes_of(type_) * between(0, 7);
    bytes_.resize(at + static_cast<std::size_t>(rows * columns_) * bytes_of(type_),
                  std::byte{0x5a});
    return at;
  }
  template <class Put>
  void put(std::size_t at, std::int64_t rows, Put&& bits) {
    for (std::int64_t i = 0; i < rows * columns_; ++i) {
      const std::uint32_t element = bits(i);
      std::memcpy(&bytes_[at + static_cast<std::size_t>(i) * bytes_of(type_)], &element,
                  bytes_of(type_));
    }
  }
  // Numbers as a sound run has them; with `poison`, every other bit pattern among them.
  void fill(std::size_t at, std::int64_t rows, std::int32_t largest, bool poison) {
    put(at, rows, [&](std::int64_t) -> std::uint32_t {
      if (poison && between(0, 3) == 0) return strange();
      std::uint32_t bits = 0;
      const auto number = static_cast<std::int32_t>(between(0, 2 * largest)) - largest;
      store(type_, reinterpret_cast<std::byte*>(&bits), number);
      return bits;
    });
  }
  [[nodiscard]] std::int64_t between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }
  [[nodiscard]] bool one_in(std::int64_t n) { return between(1, n) == 1; }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  [[nodiscard]] ElementType type() const { return type_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }

 private:
  std::uint32_t strange() {
    constexpr std::array<std::uint32_t, 8> kWide = {0x7fc00000U, 0x7f800000U, 0xff800000U,
                                                    0x7f7fffffU, 0x80000000U, 0x00000001U,
                                                    0xffa5a5a5U, 0x9e377900U};
    constexpr std::array<std::uint32_t, 8> kNarrow = {0x7fc0U, 0x7f80U, 0xff80U, 0x7f7fU,
                                                      0x7e00U, 0x7bffU, 0x8001U, 0xffa5U};
    if (one_in(2)) return static_cast<std::uint32_t>(random_());
    const auto which = static_cast<std::size_t>(between(0, 7));
    return bytes_of(type_) == 2 ? kNarrow[which] : kWide[which];
  }

  std::mt19937_64& random_;
  ElementType type_;
  std::int64_t columns_;
  std::vector<std::byte> bytes_;
};

// What a device leaves behind.
struct Left {
  std::vector<std::byte> bytes;
  std::vector<DeviceFinding> findings;
};

inline constexpr std::size_t kSlots = 200;

// The bytes in the device's memory; where they lie.
inline std::byte* upload(Device& device, const std::vector<std::byte>& bytes) {
  const std::size_t size = (bytes.size() + 15) / 16 * 16;
  const auto staging = device.memory(size, true);
  const auto slab = device.memory(size, false);
  EXPECT_TRUE(staging && slab);
  std::memcpy(staging->data(), bytes.data(), bytes.size());
  const auto words = static_cast<std::int64_t>(size / 4);
  device.launch(CopyLaunch{{{.from = ConstMatrix{staging->data(), 1, words, ElementType::uint32},
                             .to = Matrix{slab->data(), 1, words, ElementType::uint32}}}});
  return slab->data();
}

inline std::vector<std::byte> download(Device& device, std::byte* base, std::size_t size) {
  const auto columns = static_cast<std::int64_t>(size / 2);
  const auto bytes = device.read({base, 1, columns, ElementType::bf16});
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().text);
  return bytes.value_or(std::vector<std::byte>());
}

enum class Mode : std::uint8_t { eager, replay };

// The launch on the bytes, at once or as a graph that is launched.
inline Left after(Device& device, const std::vector<std::byte>& bytes, const MakeLaunch& make,
                  Mode mode = Mode::eager) {
  std::byte* base = upload(device, bytes);
  device.reset_findings(kSlots);
  const Launch launch = make(base);
  if (mode == Mode::eager) {
    device.launch(launch);
  } else {
    EXPECT_TRUE(device.begin_capture());
    device.launch(launch);
    const auto graph = device.end_capture();
    EXPECT_TRUE(graph) << (graph ? "" : graph.error().text);
    if (!graph) return {};
    EXPECT_EQ((*graph)->nodes(), std::vector<std::string>{std::string(name_of(launch))});
    device.launch_graph(**graph);
    EXPECT_TRUE(device.wait());
  }
  Left left{download(device, base, bytes.size() / 2 * 2), {}};
  const auto found = device.findings();
  EXPECT_TRUE(found) << (found ? "" : found.error().text);
  left.findings = found.value_or(std::vector<DeviceFinding>());
  return left;
}

// One GPU for all tests of the program.
Device& gpu();

}  // namespace capsize::gpu_test
