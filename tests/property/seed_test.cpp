// What CAPSIZE_SEED takes.
#include "tests/property/seed.hpp"

#include <gtest/gtest.h>

namespace capsize::property {
namespace {

// A seed that is printed by one run and read differently by the next.
TEST(Seed, NumbersAndGitHashes) {
  EXPECT_EQ(parse_seed("12"), 12U);
  EXPECT_EQ(parse_seed("0xff"), 255U);
  EXPECT_EQ(parse_seed("18446744073709551615"), ~std::uint64_t{0});
  EXPECT_EQ(parse_seed("1234567"), 1234567U);
  EXPECT_EQ(parse_seed("844719f"), hash_of("844719f"));
  const std::string_view whole = "844719f0c1d2e3f405162738495a6b7c8d9e0f10";
  EXPECT_EQ(parse_seed(whole), hash_of(whole));
  EXPECT_NE(parse_seed(whole), parse_seed("844719f"));
  // Forty decimal digits are a hash: no 64-bit number is that long.
  const std::string_view digits = "1234567890123456789012345678901234567890";
  EXPECT_EQ(parse_seed(digits), hash_of(digits));
}

// A typing error that silently becomes some seed.
TEST(Seed, EverythingElseIsRefused) {
  for (const std::string_view text :
       {"", "0x", "-1", "12 ", "0xg", "abc", "main", "1.5", "0x1ffffffffffffffff", "844719F",
        "844719f0c1d2e3f405162738495a6b7c8d9e0f101"}) {
    EXPECT_FALSE(parse_seed(text)) << text;
  }
}

}  // namespace
}  // namespace capsize::property
