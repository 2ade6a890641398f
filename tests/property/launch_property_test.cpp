// Whole launches: random flags through the engine's own planning to the laws, against arithmetic
// that is written out here and shares no code with either.
#include <gmock/gmock.h>

#include <set>

#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::property::launch_test {
namespace {

struct Launch {
  std::int64_t tp = 1;
  bool dense_is_one = false;
  bool named = true;  // the caller's own list, else a maximum
  SizeList tokens;
  std::int64_t maximum = 4;
  SizeList requests;
  std::int64_t pool = 1;
  bool padding_off = false;
  sglang::Version version = sglang::Version::pr_23972;

  [[nodiscard]] std::string line() const {
    std::string out = "--model-path m --enforce-piecewise-cuda-graph --tp-size ";
    out.append(std::to_string(tp)).append(dense_is_one ? " --moe-dense-tp-size 1" : "");
    const auto add = [&out](std::string_view flag, const SizeList& sizes) {
      out.append(" ").append(flag);
      for (const std::int64_t size : sizes) out.append(" ").append(std::to_string(size));
    };
    if (named) add("--piecewise-cuda-graph-tokens", tokens);
    if (!named) add("--piecewise-cuda-graph-max-tokens", {maximum});
    add("--cuda-graph-bs", requests);
    add("--max-running-requests", {pool});
    return out + (padding_off ? " --disable-cuda-graph-padding" : "");
  }
};

void showValue(const Launch& in, std::ostream& out) {
  out << label_of(in.version) << " " << in.line();
}

rc::Gen<Launch> launches() {
  using generators::coin;
  using generators::evenly;
  return rc::gen::apply(
      [](std::int64_t tp, bool dense_is_one, bool named, SizeList tokens, std::int64_t maximum,
         SizeList requests, std::int64_t pool, bool padding_off, sglang::Version version) {
        return Launch{tp,   dense_is_one, named,  std::move(tokens), maximum, std::move(requests),
                      pool, padding_off,  version};
      },
      generators::power_of_two(8), coin(), coin(), generators::size_list(600),
      rc::gen::oneOf(evenly(4, 40), evenly(4, 600)), generators::size_list(96), evenly(1, 64),
      coin(), versions());
}

// Dense layers and then layers with experts: moe-dense 1 scatters in the first of them.
EnginePlan plan_of_launch(const Launch& in) {
  const std::vector<Word> words = test::words_of(in.line());
  const LaunchRequest request{.words = words,
                              .entry = EntryKind::server,
                              .rules = sglang::name_of(in.version),
                              .gpu = test::h100(),
                              .find_model = [](std::string_view) {
                                return ModelChoice{&sglang::stand_ins()[kMixedModel], true};
                              }};
  Result<EnginePlan> plan = sglang::engine().plan(request);
  RC_ASSERT(plan.has_value());
  return *std::move(plan);
}

// ---- the same, by arithmetic -----------------------------------------------------------------

// What the generated list of a maximum holds: the steps of its ranges, told once more.
bool is_default_size(std::int64_t n) {
  if (n <= 32) return n % 4 == 0;
  if (n <= 256) return n % 16 == 0;
  return n <= 512 ? n % 32 == 0 : n % 64 == 0;
}

SizeList wanted_tokens(const Launch& in) {
  if (in.named) return in.tokens;
  SizeList out;
  for (std::int64_t n = 4; n <= in.maximum; ++n) {
    if (is_default_size(n)) out.push_back(n);
  }
  return out;
}

// Without an all-to-all tokens are gathered where the dense layers are not cut.
std::set<std::int64_t> kept_tokens(const Launch& in) {
  std::set<std::int64_t> kept;
  for (const std::int64_t size : wanted_tokens(in)) {
    const std::int64_t up = (size + in.tp - 1) / in.tp * in.tp;
    const bool drops = in.version == sglang::Version::pr_23972 && in.dense_is_one;
    const bool rounds = in.version == sglang::Version::pr_33200 && in.dense_is_one;
    if (!drops || size == up) kept.insert(rounds ? up : size);
  }
  return kept;
}

std::set<std::int64_t> kept_requests(const Launch& in) {
  const std::int64_t step = in.dense_is_one ? in.tp : 1;
  const std::int64_t slots = (in.pool + step - 1) / step * step;
  std::set<std::int64_t> kept;
  for (const std::int64_t size : in.requests) {
    if (size % step == 0 && size <= slots) kept.insert(size);
    if (size > slots) kept.insert(slots);
  }
  return kept;
}

// A reduce-scatter over all ranks in the first layer, where the dense layers are not cut.
bool can_be_split(const Launch& in, std::int64_t n) {
  return n > 0 && (!in.dense_is_one || n % in.tp == 0);
}

bool refuses(const Launch& in) {
  const auto requests = kept_requests(in);
  if (requests.empty() || *requests.begin() <= 0) return true;
  return in.version == sglang::Version::pr_23972 && kept_tokens(in).empty();
}

std::optional<std::int64_t> first_broken(const Launch& in, const std::set<std::int64_t>& kept) {
  for (const std::int64_t size : kept) {
    if (!can_be_split(in, size)) return size;
  }
  return std::nullopt;
}

Finding finding_on(const Subject& subject, std::string_view law, std::size_t path) {
  return judge(*find_law(law), subject).at(path);
}

std::set<std::int64_t> as_set(const SizeList& sizes) { return {sizes.begin(), sizes.end()}; }

// A rule that planning forgets, applies twice or feeds from another flag; a law that is asked about
// another path, list or step than the launch has.
TEST(DivisibleLaunchProperty, RandomFlagsAgainstArithmetic) {
  Histogram seen;
  seen.declare("prefill", {"pass", "violation"});
  seen.declare("refused", {"no", "yes"});
  seen.declare("list", {"ascending", "unsorted", "with zero", "with repeats"});
  EXPECT_TRUE(holds("what a launch captures, its ranks can split", [&seen] {
    const Launch in = *launches();
    const EnginePlan plan = plan_of_launch(in);
    seen.count("rules", label_of(in.version));
    seen.count("list", shape_of_list(in.tokens));
    seen.count("refused", plan.refusal.has_value());
    RC_ASSERT(plan.refusal.has_value() == refuses(in));
    if (plan.refusal) return;
    const CapturePath& prefill = plan.captures.paths.at(0);
    const CapturePath& decode = plan.captures.paths.at(1);
    RC_ASSERT(as_set(prefill.kept) == kept_tokens(in));
    RC_ASSERT(as_set(decode.kept) == kept_requests(in));
    const Subject subject{plan.captures, plan.start_up, true};
    const Finding finding = finding_on(subject, "divisible", 0);
    seen.count("prefill", verdict_text(finding));
    const auto broken = first_broken(in, kept_tokens(in));
    RC_ASSERT((finding.verdict == LawVerdict::violation) == broken.has_value());
    if (broken) RC_ASSERT(finding.witness->tokens == *broken);
    RC_ASSERT(finding_on(subject, "divisible", 1).verdict == LawVerdict::pass);
  }));
  seen.print("whole launches, divisible");
}

// Sizes that were asked for, can be split, can be reached and are not captured, counted by hand.
std::int64_t wasted(const Launch& in, std::int64_t largest) {
  const auto kept = kept_tokens(in);
  std::int64_t count = 0;
  for (const std::int64_t size : as_set(wanted_tokens(in))) {
    const bool rounds = in.version == sglang::Version::pr_33200 && in.dense_is_one;
    const std::int64_t at = rounds ? (size + in.tp - 1) / in.tp * in.tp : size;
    count += !kept.contains(at) && can_be_split(in, size) && size <= largest ? 1 : 0;
  }
  return count;
}

// A size that planning loses without a word, and a maximum that no captured size serves.
TEST(ReachableIsCoveredLaunchProperty, RandomFlagsAgainstArithmetic) {
  Histogram seen;
  seen.declare("prefill", {"pass", "violation"});
  seen.declare("capacity", {"pass", "violation", "not_applicable"});
  EXPECT_TRUE(holds("what a launch names, it captures; nothing that can be split is lost", [&seen] {
    Launch in = *launches();
    std::ranges::sort(in.tokens);  // a bisection of another order errs by itself
    const EnginePlan plan = plan_of_launch(in);
    if (plan.refusal) return;
    const CapturePath& prefill = plan.captures.paths.at(0);
    const Subject subject{plan.captures, plan.start_up, true};
    const auto kept = kept_tokens(in);
    const std::int64_t asked = in.named ? std::ranges::max(in.tokens) : in.maximum;
    const std::int64_t reached = std::min(asked, prefill.largest_presented);
    const Finding covered = finding_on(subject, "reachable_is_covered", 0);
    seen.count("prefill", verdict_text(covered));
    RC_ASSERT((covered.verdict == LawVerdict::violation) == (reached > *kept.rbegin()));
    const Finding waste = finding_on(subject, "no_needless_drop", 0);
    RC_ASSERT((waste.verdict == LawVerdict::violation) ==
              (wasted(in, prefill.largest_presented) > 0));
    const Finding capacity = finding_on(subject, "within_capacity", 0);
    seen.count("capacity", verdict_text(capacity));
    const bool passes = !in.named && *kept.rbegin() > in.maximum;
    RC_ASSERT((capacity.verdict == LawVerdict::violation) == passes);
  }));
  seen.print("whole launches, coverage");
}

}  // namespace
}  // namespace capsize::property::launch_test
