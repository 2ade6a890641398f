// A sweep says the same however it was run: by any number of threads, in chunks of any size, cut
// into shards that are merged in any order, and stopped anywhere and taken up again.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <sstream>

#include "scenarios/sweep/checkpoint.hpp"
#include "tests/property/histogram.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/toy_sweep.hpp"

namespace capsize::sweep_property {
namespace {

using test::swept;
using test::toy_certificate;
using test::toy_factory;
using test::toy_universe;

// Fewer cases than other properties: each starts threads.
rc::detail::TestParams few_cases(int cases) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = std::min(params.maxSuccess, cases);
  return params;
}

template <class Property>
void check(const std::string& name, int cases, const Property& property) {
  rc::detail::TestMetadata metadata;
  metadata.id = name;
  metadata.description = name;
  const auto result = rc::detail::checkTestable(property, metadata, few_cases(cases));
  EXPECT_TRUE(result.template is<rc::detail::SuccessResult>()) << [&] {
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    return text.str();
  }();
}

Universe any_universe() {
  return toy_universe(*rc::gen::inRange<std::int64_t>(1, 12),
                      *rc::gen::inRange<std::int64_t>(1, 60));
}

struct RunPlan {
  unsigned threads;
  std::uint64_t chunk;
};

RunPlan any_run() {
  return {static_cast<unsigned>(*rc::gen::inRange(1, 4)), *rc::gen::inRange<std::uint64_t>(1, 200)};
}

// Runs what `certificate` lacks of its shard, stopped after `stop_after` members where that is not
// 0.
bool run(Certificate& certificate, const RunPlan& plan, std::uint64_t stop_after = 0) {
  const auto outcome = run_sweep({.range = certificate.range(),
                                  .threads = plan.threads,
                                  .chunk = plan.chunk,
                                  .stop_after = stop_after},
                                 toy_factory(), certificate.state);
  RC_ASSERT(outcome.has_value());
  certificate.count_distinct();
  return outcome->finished;
}

// Would catch: a chunk that is judged twice or never, a tally added without its lock, hashes or
// sums that depend on how a range was cut.
TEST(SweepProperty, AnyThreadsAndChunksSayTheSame) {
  property::Histogram histogram;
  histogram.declare("threads", {"1", "2", "3"});
  check("any threads and chunks", 1000, [&] {
    const Universe universe = any_universe();
    const RunPlan plan = any_run();
    histogram.count("threads", std::int64_t{plan.threads});
    Certificate certificate = toy_certificate(universe);
    RC_ASSERT(run(certificate, plan));
    RC_ASSERT(same(certificate, swept(universe)));
    RC_ASSERT(certificate.complete());
  });
  histogram.print("any threads and chunks");
}

// Would catch: shards with a hole or an overlap between them, preconditions matched by their place
// and not by their text, a merge that depends on its order.
TEST(SweepProperty, ShardsMergedInAnyOrderSayTheSame) {
  check("shards merged in any order", 2000, [] {
    const Universe universe = any_universe();
    const auto of = *rc::gen::inRange<std::uint64_t>(1, 9);
    std::vector<NamedCertificate> parts;
    for (std::uint64_t index = 1; index <= of; ++index) {
      parts.push_back({std::to_string(index), toy_certificate(universe, Shard{index, of})});
      RC_ASSERT(run(parts.back().certificate, any_run()));
    }
    std::mt19937_64 order(*rc::gen::arbitrary<std::uint64_t>());
    std::ranges::shuffle(parts, order);
    const auto merged = merge(parts);
    RC_ASSERT(merged.has_value());
    const Certificate whole = swept(universe);
    RC_ASSERT(same(*merged, whole));
    // What is written is the same too, but for how it came about.
    Certificate written = *merged;
    written.run = whole.run;
    RC_ASSERT(write_certificate(written) == write_certificate(whole));
  });
}

// Would catch: a checkpoint that misses a chunk or holds half of one, a resumed run that judges
// what is done again, a document that loses something on the way.
TEST(SweepProperty, StoppedAnywhereAndResumedSaysTheSame) {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() + "/state.json";
  check("stopped and resumed", 100, [&] {
    std::filesystem::remove(file);
    const Universe universe = any_universe();
    const auto of = *rc::gen::inRange<std::uint64_t>(1, 4);
    const Shard shard{*rc::gen::inRange<std::uint64_t>(1, of + 1), of};
    for (int attempts = 0;; ++attempts) {
      RC_ASSERT(attempts < 1000);
      Certificate certificate = toy_certificate(universe, shard);
      const auto taken = take_up(file, certificate);
      RC_ASSERT(taken.has_value());
      RC_ASSERT(*taken == (attempts > 0));
      const auto stop_after = *rc::gen::inRange<std::uint64_t>(1, universe.members + 2);
      const bool finished = run(certificate, any_run(), stop_after);
      RC_ASSERT(keep(file, certificate).has_value());
      if (!finished) continue;
      RC_ASSERT(same(certificate, swept(universe, shard)));
      break;
    }
  });
}

// Would catch: a document that is not what it was when it is read back.
TEST(SweepProperty, CertificatesReadBackEqual) {
  check("certificates read back", 1000, [] {
    const Universe universe = any_universe();
    Certificate certificate = toy_certificate(universe);
    (void)run(certificate, any_run(), *rc::gen::inRange<std::uint64_t>(1, universe.members + 2));
    certificate.run = {.threads = 2, .ranks = 1, .members = 7, .seconds = 1.5};
    const std::string text = write_certificate(certificate);
    const auto again = read_certificate(text);
    RC_ASSERT(again.has_value());
    RC_ASSERT(same(*again, certificate));
    RC_ASSERT(write_certificate(*again) == text);
  });
}

}  // namespace
}  // namespace capsize::sweep_property
