// What a property run tells: one aligned block a test, whatever it looked at.
//
//   # law       divisible
//   # property  divisible is what every rank can split
//   # cases     20 000 random
//   # verdict   pass: 13 501, undecided: 114, violation: 6 385
//   # seed      0xca7512e
//   # time      3.3 s
//
//   TEST(DivisibleProperty, RandomLists) {
//     EXPECT_TRUE(holds("divisible is what every rank can split", [] { ... RC_ASSERT(...); }));
//   }
//   TEST(DivisibleProperty, EveryLayout) { ...; visited(layouts); }     // an exhaustive one
//
// The law is the test suite's name ("DivisibleProperty", "DivisiblePlanProperty"). A listener that
// main.cpp installs prints the block when the test ends; a test that says nothing prints none.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/detail/TestListenerAdapter.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace capsize::property {

// The seed of this run, and what RapidCheck reads; set once by main.cpp.
void configure_runs(std::uint64_t seed, const std::string& parameters);
[[nodiscard]] std::uint64_t seed_of_runs();
[[nodiscard]] const rc::detail::Configuration& configuration_of_runs();

// Lines of the running test's block.
void tell_property(std::string_view statement, std::int64_t cases);
void tell_axis(std::string_view axis, std::string_view counts);
// An exhaustive test looked at so many cases.
void visited(std::int64_t cases);

// 20000 as "20 000".
[[nodiscard]] std::string grouped(std::int64_t number);
// "DivisiblePlanProperty" as "divisible": the law that a suite's name begins with; empty where it
// names none.
[[nodiscard]] std::string_view law_of_suite(std::string_view suite);

[[nodiscard]] bool report(const std::string& statement, const rc::detail::TestResult& result);

// Whether `property` holds on as many random cases as were asked for; a counterexample is printed,
// shrunk.
template <class Testable>
[[nodiscard]] bool holds(const std::string& statement, Testable&& property) {
  // The listener that RapidCheck would make itself prints its configuration.
  rc::detail::TestListenerAdapter silent;
  rc::detail::TestMetadata metadata;
  metadata.id = statement;
  metadata.description = statement;
  const rc::detail::Configuration& runs = configuration_of_runs();
  return report(statement, rc::detail::checkTestable(std::forward<Testable>(property), metadata,
                                                     runs.testParams, silent, runs.reproduce));
}

// Prints the blocks.
[[nodiscard]] testing::TestEventListener* new_run_listener();

}  // namespace capsize::property
