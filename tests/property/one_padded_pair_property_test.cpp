// one_padded_pair against batches that are put together one token at a time: all small counts, and
// random operands.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/plan_laws.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::property::one_padded_pair_test {
namespace {

using Count = std::optional<std::int64_t>;

// Fills requests with `width` tokens each until none is left; how many there are.
std::int64_t requests_filled(std::int64_t tokens, std::int64_t width) {
  std::int64_t requests = 0;
  std::int64_t room = 0;
  for (std::int64_t token = 0; token < tokens; ++token) {
    if (room == 0) {
      ++requests;
      room = width;
    }
    --room;
  }
  return requests;
}

Program program_of(const Count& tokens, const Count& requests, const Count& bucket,
                   const Count& padded, const Count& width) {
  Program program;
  program.ranks = {0, 1};
  program.mode = GraphMode::graph;
  program.tokens = tokens;
  program.requests = requests;
  program.bucket = bucket;
  program.padded_requests = padded;
  program.width = width;
  return program;
}

// Counts that do not belong together and pass, or the reverse; each of them stated or not.
TEST(OnePaddedPairProperty, EverySmallPairOfCounts) {
  const auto upto = [](std::int64_t last) {
    std::vector<Count> counts = {std::nullopt};
    for (std::int64_t i = 0; i <= last; ++i) counts.emplace_back(i);
    return counts;
  };
  const std::vector<Count> widths = {std::nullopt, 1, 2, 3};
  std::int64_t broken = 0;
  std::int64_t cases = 0;
  for (const Count& tokens : upto(7)) {
    for (const Count& requests : upto(4)) {
      for (const Count& bucket : upto(8)) {
        for (const Count& padded : upto(4)) {
          for (const Count& width : widths) {
            Lifecycle plan{.world = 2};
            plan.events = {
                parts::capture("p", 1, {program_of(tokens, requests, bucket, padded, width)})};
            const bool sound =
                (!width || !bucket || !padded || requests_filled(*bucket, *width) == *padded) &&
                (!width || !tokens || !requests || requests_filled(*tokens, *width) == *requests) &&
                (!bucket || !tokens || *bucket >= *tokens) &&
                (!padded || !requests || *padded >= *requests);
            ++cases;
            broken += sound ? 0 : 1;
            ASSERT_EQ(property::breaches_of("one_padded_pair", parts::finish(plan)).empty(), sound)
                << tokens.value_or(-1) << " " << requests.value_or(-1) << " " << bucket.value_or(-1)
                << " " << padded.value_or(-1) << " " << width.value_or(-1);
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 9 * 6 * 10 * 6 * 4);
  visited(cases);
  EXPECT_GT(broken, cases / 4);
  EXPECT_LT(broken, cases);
}

// The lengths that an operand of this name may have in a batch of so many rows and requests, from
// the arrays that a builder of metadata would make.
std::set<std::int64_t> lengths_of(const std::string& name, std::int64_t rows,
                                  const Count& requests) {
  std::set<std::int64_t> out = {rows};
  const bool bounds = name == "qo_indptr" || name == "cu_seqlens";
  const bool starts = name == "seq_starts" || name == "kv_offsets";
  if (bounds || starts) out.insert(rows + 1);
  if (requests && !bounds) out.insert(*requests);
  if (requests && (bounds || starts)) out.insert(*requests + 1);
  return out;
}

// Operands of two pairs in one operation; an operand that fits neither; a name that changes what is
// right.
TEST(OnePaddedPairProperty, RandomOperands) {
  std::int64_t broken = 0;
  std::int64_t sound = 0;
  EXPECT_TRUE(holds("one pair fits all operands", [&] {
    const auto tokens = *generators::evenly(2, 9);
    const auto bucket = *generators::evenly(tokens, 10);
    const auto requests = *generators::evenly(1, tokens + 1);
    const auto padded = *generators::evenly(requests, bucket + 1);
    const bool captured = *generators::coin();
    const bool says_rows = *generators::coin();
    const bool says_requests = *generators::coin();
    PlanOp op = parts::op(PlanOpKind::attention);
    op.captured = captured;
    const auto rows = says_rows ? *generators::one_of<std::int64_t>({bucket, tokens, 1})
                                : (captured ? bucket : tokens);
    if (says_rows) op.rows_in = {rows};
    const auto count = *generators::evenly(1, 4);
    for (std::int64_t i = 0; i < count; ++i) {
      op.extents.emplace_back(
          *generators::one_of<std::string>({"slot_mapping", "positions", "seq_lens", "qo_indptr",
                                            "cu_seqlens", "seq_starts", "kv_offsets"}),
          *generators::one_of<std::int64_t>({bucket, tokens, padded, requests, bucket + 1,
                                             tokens + 1, padded + 1, requests + 1, 1}));
    }
    Program program = program_of(tokens, says_requests ? Count(requests) : std::nullopt, bucket,
                                 says_requests ? Count(padded) : std::nullopt, {});
    program.ops = {op};
    Lifecycle plan{.world = 2};
    plan.events = {parts::capture("p", 1, {program})};
    const auto all_fit = [&](const Count& pair_requests) {
      return std::ranges::all_of(op.extents, [&](const auto& extent) {
        return lengths_of(extent.first, rows, pair_requests).contains(extent.second);
      });
    };
    const bool neither = rows != bucket && rows != tokens;
    const bool fits = ((rows == bucket || neither) && all_fit(program.padded_requests)) ||
                      ((rows == tokens || neither) && all_fit(program.requests));
    (fits ? sound : broken) += 1;
    const auto breaches = property::breaches_of("one_padded_pair", parts::finish(plan));
    RC_ASSERT(breaches.empty() == fits);
    if (!fits) RC_ASSERT(breaches[0].at == plan.events[0].programs[0].ops.data());
  }));
  EXPECT_GT(broken, 1000);
  EXPECT_GT(sound, 1000);
}

// A replay that is padded otherwise than its graph; counts that it leaves out are not compared.
TEST(OnePaddedPairProperty, EverySmallReplay) {
  const std::vector<Count> counts = {std::nullopt, 2, 4};
  for (const Count& bucket : counts) {
    for (const Count& padded : counts) {
      for (const Count& width : counts) {
        Program stored = program_of({}, {}, 4, 2, 2);
        Program wanted = program_of({}, {}, bucket, padded, width);
        stored.key = wanted.key = parts::key_of_tokens(4);
        Lifecycle plan{.world = 2};
        plan.events = {parts::capture("p", 4, {stored}), parts::replay("p", 4, {wanted})};
        const auto breaches = property::breaches_of("one_padded_pair", parts::finish(plan));
        const bool alike =
            bucket.value_or(4) == 4 && padded.value_or(2) == 2 && width.value_or(2) == 2;
        const bool told = std::ranges::any_of(breaches, [](const Breach& breach) {
          return breach.event == 1 && breach.symptom == Symptom::silent_corruption;
        });
        EXPECT_EQ(told, !alike);
      }
    }
  }
}

}  // namespace
}  // namespace capsize::property::one_padded_pair_test
