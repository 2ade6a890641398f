// What a sweep costs: the laws of one combination of list, filter and usable set; distinct
// combinations a second; whole members of the shipped universes. In the same run, for comparison,
// the same grid in plain Python (plain_filter.py), and as properties of RapidCheck.
//
// The grid: SGLang's own lists, every filter that its rules make of attention TP 1 to 64 and
// attention CP 1 to 8, and the multiples of 1 to 64 as usable sets, each combination once a pass.
#include <benchmark/benchmark.h>
#include <rapidcheck.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <thread>
#include <utility>

#include "properties/generators.hpp"
#include "scenarios/formats/universe.hpp"
#include "scenarios/sweep/runner.hpp"
#include "sim/content_hash.hpp"
#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/dispatch.hpp"
#include "sim/engines/sglang/history.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/set_tables.hpp"

namespace capsize {
namespace {

using Id = test::SetTables::Id;

constexpr std::size_t kLaws = 8;
constexpr std::int64_t kLargestUsable = 64;
constexpr std::int64_t kLargestPresented = 8192;

// A benchmark that measures something else than its name says is worse than none.
void expect(bool holds, const char* what) {
  if (holds) return;
  std::fputs(what, stderr);
  std::abort();
}

// ---- the grid ---------------------------------------------------------------------------------

std::vector<SizeList> engine_lists() {
  std::vector<SizeList> out;
  for (const std::int64_t maximum : {256, 512, 1024, 2048, 4096, 8192, 16384}) {
    sglang::DefaultSizesInput in;
    in.piecewise_max_tokens = maximum;
    out.push_back(sglang::default_sizes(in).piecewise_tokens);
  }
  for (const std::int64_t maximum : {8, 24, 32, 80, 160, 256, 512}) {
    for (const bool speculative : {false, true}) {
      sglang::DefaultSizesInput in;
      in.cuda_graph_max_bs = maximum;
      in.speculative = speculative;
      out.push_back(sglang::default_sizes(in).cuda_graph_bs);
    }
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  // What rounds can double a list, and sets hold no more than 128 sizes.
  std::erase_if(out, [](const SizeList& list) { return 2 * list.size() > Positions::kMost; });
  return out;
}

struct Filter {
  const sglang::PrefillFilterRule* rule = nullptr;
  sglang::PrefillFilterInput in;
};

// Filters that keep, round or state something else count; versions that share a rule do not.
std::vector<Filter> engine_filters() {
  std::map<std::tuple<const void*, std::int64_t, std::optional<std::int64_t>>, Filter> distinct;
  for (const sglang::PrefillFilterRule& rule : sglang::prefill_filter_history()) {
    for (std::int64_t attn_tp = 1; attn_tp <= 64; ++attn_tp) {
      for (std::int64_t attn_cp = 1; attn_cp <= 8; ++attn_cp) {
        const sglang::PrefillFilterInput in{attn_tp, attn_cp, true};
        distinct.try_emplace({&rule, rule.modulus(in), rule.contract(in)}, Filter{&rule, in});
      }
    }
  }
  std::vector<Filter> out;
  for (const auto& [key, filter] : distinct) out.push_back(filter);
  return out;
}

CapturePath path_of(const SizeList& list, const Filter& filter) {
  const sglang::PrefillFilterRule& rule = *filter.rule;
  CapturePath path{.name = "prefill", .unit = Unit::tokens, .enabled = true};
  path.candidates = list;
  path.filter = {
      .apply = [&filter](SizeList& sizes) { return filter.rule->apply(filter.in, sizes); },
      .rule = rule.function,
      .modulus = rule.modulus(filter.in),
      .contract_tokens = rule.contract(filter.in),
      .contract_text = rule.contract_text,
      .rounds = rule.rounds,
      .clamp_order_declared = rule.rounds};
  SizeList given = list;
  FilterResult result = path.filter.apply(given);
  path.kept = std::move(result.kept);
  path.refused = std::move(result.refused);
  path.named = {{list.back(), "--piecewise-cuda-graph-max-tokens"}};
  path.bounds = {{.tokens = list.back(), .what = "the list's maximum", .cuts_list = true}};
  path.lookup = sglang::bisect_lookup;
  path.largest_presented = kLargestPresented;
  return path;
}

UsableSet multiples_of(std::int64_t modulus) {
  std::vector<std::uint8_t> members(static_cast<std::size_t>(modulus));
  members.back() = 1;
  return UsableSet(1, modulus, std::move(members), Known::proved);
}

struct Triple {
  Id list = 0;
  Id filter = 0;
  Id usable = 0;
};

struct Grid {
  std::vector<SizeList> lists = engine_lists();
  std::vector<Filter> filters = engine_filters();
  test::SetTables tables;
  std::vector<Triple> triples;

  // The lists with an index of `part` modulo `parts`.
  explicit Grid(std::size_t part = 0, std::size_t parts = 1) {
    expect(set_laws().size() == kLaws && set_laws()[0]->name == "divisible",
           "there are other laws over sets than this file judges\n");
    std::vector<Id> usable;
    for (std::int64_t modulus = 1; modulus <= kLargestUsable; ++modulus) {
      usable.push_back(tables.usable(multiples_of(modulus)).value());
    }
    for (std::size_t i = part; i < lists.size(); i += parts) {
      const Id list = tables.list(lists[i]);
      for (Id filter = 0; filter < filters.size(); ++filter) {
        expect(tables.remember(list, filter, path_of(lists[i], filters[filter]), false),
               "a path of the grid is no set case\n");
        for (const Id each : usable) triples.push_back({list, filter, each});
      }
    }
  }
};

const Grid& grid() {
  static const Grid all;
  return all;
}

struct Sums {
  std::uint64_t verdicts = 0;   // of all laws, folded; what a digest is made of
  std::int64_t violations = 0;  // combinations that break a law
  std::int64_t wasted = 0;
  std::int64_t padded = 0;
  std::array<SetFinding, kLaws> findings;  // of the last combination; cleared for none
};

// From three numbers to the verdicts of all laws, the waste and what the lost sizes carry.
void judge(const test::SetTables& tables, const Triple& at, Sums& sums) {
  const SetCase in = tables.case_of(at.list, at.filter, at.usable);
  judge_sets(in, sums.findings);
  std::uint64_t bits = 0;
  for (const SetFinding& finding : sums.findings) {
    bits = bits << 2 | static_cast<std::uint64_t>(finding.verdict);
  }
  sums.verdicts += bits;
  sums.violations += (bits & 0x5555 & ~(bits >> 1)) != 0 ? 1 : 0;
  sums.wasted += wasted(in).count();
  sums.padded += tables.padded_of(at.list, at.filter);
}

// Seconds of one combination or case, for the ratios that later rows print.
double seconds_as_sets = 0;

// Rows print their own time, and how many times longer they take than the laws over sets.
void compare_with_sets(benchmark::State& state, double seconds_each) {
  state.counters["each_ns"] = 1e9 * seconds_each;
  if (seconds_as_sets > 0) state.counters["times_sets"] = seconds_each / seconds_as_sets;
}

double now_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// What one thread works on is timed by the processor time that it got: neighbours on the machine
// take wall time away. What two threads do together is timed by the wall.
class Stopwatch {
 public:
  explicit Stopwatch(clockid_t clock = CLOCK_THREAD_CPUTIME_ID)
      : clock_(clock), start_(now_of(clock)) {}
  [[nodiscard]] double seconds() const { return now_of(clock_) - start_; }

 private:
  clockid_t clock_;
  double start_;
};

// ---- one core: from numbers to verdicts ---------------------------------------------------------

enum class Order { of_the_grid, shuffled };

void one_configuration(benchmark::State& state, Order order) {
  std::vector<Triple> triples = grid().triples;
  if (order == Order::shuffled) {
    std::uint64_t mix = 1;
    for (std::size_t i = triples.size() - 1; i > 0; --i) {
      mix = spread(mix + i);
      std::swap(triples[i], triples[mix % (i + 1)]);
    }
  }
  Sums sums;
  double seconds = 0;
  double best = std::numeric_limits<double>::max();  // of a pass: least disturbed by neighbours
  std::int64_t judged = 0;
  while (state.KeepRunning()) {
    const Stopwatch watch;
    for (const Triple& triple : triples) judge(grid().tables, triple, sums);
    benchmark::DoNotOptimize(sums);
    const double pass = watch.seconds();
    seconds += pass;
    best = std::min(best, pass);
    judged += std::ssize(triples);
  }
  const double each = seconds / static_cast<double>(judged);
  if (order == Order::of_the_grid) seconds_as_sets = each;
  state.SetItemsProcessed(judged);
  state.counters["each_ns"] = 1e9 * each;
  state.counters["best_ns"] = 1e9 * best / static_cast<double>(triples.size());
  state.counters["triples"] = static_cast<double>(triples.size());
  expect(sums.violations > 0 && sums.wasted > 0 && sums.padded > 0, "the grid shows nothing\n");
}
BENCHMARK_CAPTURE(one_configuration, in_order, Order::of_the_grid)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(one_configuration, shuffled, Order::shuffled)->Unit(benchmark::kMillisecond);

// The padded tokens found again for every combination instead of once for list and filter.
void one_configuration_padding_scanned(benchmark::State& state) {
  Sums sums;
  std::int64_t judged = 0;
  const Stopwatch watch;
  while (state.KeepRunning()) {
    for (const Triple& at : grid().triples) {
      judge(grid().tables, at, sums);
      sums.padded += padded_tokens(grid().tables.case_of(at.list, at.filter, at.usable));
    }
    benchmark::DoNotOptimize(sums);
    judged += std::ssize(grid().triples);
  }
  state.SetItemsProcessed(judged);
  compare_with_sets(state, watch.seconds() / static_cast<double>(judged));
}
BENCHMARK(one_configuration_padding_scanned)->Unit(benchmark::kMillisecond);

// ---- two threads: distinct combinations a second ------------------------------------------------

// Runs `work(thread)` in two threads and returns the seconds until both are done.
template <class Work>
double in_two_threads(const Work& work) {
  const Stopwatch watch(CLOCK_MONOTONIC);
  std::thread other([&work] { work(1); });
  work(0);
  other.join();
  return watch.seconds();
}

void report_threads(benchmark::State& state, double seconds, std::int64_t judged) {
  state.SetItemsProcessed(judged);
  state.counters["triples_per_s"] = static_cast<double>(judged) / seconds;
}

void distinct_triples_two_threads(benchmark::State& state) {
  const auto& triples = grid().triples;
  double seconds = 0;
  std::int64_t judged = 0;
  while (state.KeepRunning()) {
    const double pass = in_two_threads([&](std::size_t thread) {
      Sums sums;
      const std::size_t first = thread * triples.size() / 2;
      const std::size_t last = (thread + 1) * triples.size() / 2;
      for (std::size_t i = first; i < last; ++i) judge(grid().tables, triples[i], sums);
      benchmark::DoNotOptimize(sums);
    });
    state.SetIterationTime(pass);
    seconds += pass;
    judged += std::ssize(triples);
  }
  report_threads(state, seconds, judged);
}
BENCHMARK(distinct_triples_two_threads)->UseManualTime()->Unit(benchmark::kMillisecond);

// The same with nothing known before: lists, filters and usable sets become sets inside the time.
void distinct_triples_two_threads_cold(benchmark::State& state) {
  double seconds = 0;
  std::int64_t judged = 0;
  while (state.KeepRunning()) {
    std::array<std::int64_t, 2> parts{};
    const double pass = in_two_threads([&](std::size_t thread) {
      const Grid part(thread, 2);
      Sums sums;
      for (const Triple& triple : part.triples) judge(part.tables, triple, sums);
      benchmark::DoNotOptimize(sums);
      parts[thread] = std::ssize(part.triples);
    });
    state.SetIterationTime(pass);
    seconds += pass;
    judged += parts[0] + parts[1];
  }
  report_threads(state, seconds, judged);
}
BENCHMARK(distinct_triples_two_threads_cold)->UseManualTime()->Unit(benchmark::kMillisecond);

// ---- the same in plain Python -------------------------------------------------------------------

// Every fourth list, every eighth filter that drops and states something, every fourth usable set.
struct PythonGrid {
  std::string json;
  Sums sums;  // as sets
  std::int64_t broken_contracts = 0;
};

template <class Values, class Text>
std::string joined(const Values& values, const Text& text) {
  std::string out;
  for (const auto& value : values) out.append(out.empty() ? "" : ", ").append(text(value));
  return "[" + out + "]";
}

PythonGrid python_grid() {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  std::vector<SizeList> lists;
  std::vector<Id> list_ids;
  std::vector<Id> filters;
  std::vector<std::int64_t> usable;
  for (std::size_t i = 0; i < grid().lists.size(); i += 4) {
    lists.push_back(grid().lists[i]);
    list_ids.push_back(static_cast<Id>(i));
  }
  for (Id id = 0; id < grid().filters.size(); id += 8) {
    const Filter& filter = grid().filters[id];
    if (!filter.rule->rounds && filter.rule->contract(filter.in)) filters.push_back(id);
  }
  for (std::int64_t modulus = 1; modulus <= kLargestUsable; modulus += 4) usable.push_back(modulus);
  PythonGrid out;
  for (const Id list : list_ids) {
    for (const Id filter : filters) {
      for (const std::int64_t modulus : usable) {
        const Triple at{list, filter, static_cast<Id>(modulus - 1)};
        const SetCase in = grid().tables.case_of(at.list, at.filter, at.usable);
        if (in.kept.empty()) continue;  // nothing runs at a captured size
        out.sums.violations += (in.kept - in.usable).empty() ? 0 : 1;
        out.broken_contracts += (in.kept - in.contract).empty() ? 0 : 1;
        out.sums.wasted += (in.lost & in.usable).count();
        out.sums.padded += padded_tokens(in);
      }
    }
  }
  out.json = R"({"lists": )" +
             joined(lists, [&](const SizeList& list) { return joined(list, number); }) +
             R"(, "filters": )" +
             joined(filters,
                    [&](Id id) {
                      const Filter& filter = grid().filters[id];
                      return R"({"modulus": )" + number(filter.rule->modulus(filter.in)) +
                             R"(, "contract": )" + number(*filter.rule->contract(filter.in)) + "}";
                    }) +
             R"(, "usable": )" + joined(usable, number) + "}";
  return out;
}

void plain_python(benchmark::State& state) {
  const PythonGrid in = python_grid();
  double seconds = 0;
  std::int64_t judged = 0;
  while (state.KeepRunning()) {
    const auto run =
        test::run_child({.arguments = {"/usr/bin/env", "python3",
                                       CAPSIZE_SOURCE_DIR "/tests/bench/plain_filter.py"},
                         .input = in.json});
    if (!run || run->exit_status != 0) {
      return state.SkipWithError("python3 was not found or failed: no comparison with Python");
    }
    std::istringstream words(run->out);
    std::int64_t combinations = 0;
    std::int64_t contracts = 0;
    double pass = 0;
    Sums sums;
    words >> combinations >> pass >> sums.violations >> contracts >> sums.wasted >> sums.padded;
    expect(!words.fail() && combinations > 0, "plain_filter.py says something else\n");
    expect(sums.violations == in.sums.violations && contracts == in.broken_contracts &&
               sums.wasted == in.sums.wasted && sums.padded == in.sums.padded,
           "Python and the laws over sets find different things\n");
    state.SetIterationTime(pass);
    seconds += pass;
    judged += combinations;
  }
  state.SetItemsProcessed(judged);
  compare_with_sets(state, seconds / static_cast<double>(judged));
}
BENCHMARK(plain_python)->UseManualTime()->Unit(benchmark::kMillisecond);

// ---- the same as properties of RapidCheck -------------------------------------------------------

constexpr int kCasesOfOneRun = 20000;

// The seed is fixed: every run does the same.
void run_property(benchmark::State& state, const std::function<void()>& property) {
  const std::string parameters = "seed=23972 max_success=" + std::to_string(kCasesOfOneRun);
  setenv("RC_PARAMS", parameters.c_str(), 1);
  std::int64_t judged = 0;
  const Stopwatch watch;
  while (state.KeepRunning()) {
    const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata{});
    expect(result.is<rc::detail::SuccessResult>(), "the property does not hold\n");
    judged += kCasesOfOneRun;
  }
  state.SetItemsProcessed(judged);
  compare_with_sets(state, watch.seconds() / static_cast<double>(judged));
}

// As a property is written without any of this: a configuration is drawn, its list is filtered
// into a vector, and every kept size is divided.
void plain_rapidcheck(benchmark::State& state) {
  run_property(state, [] {
    const SizeList& list = grid().lists[*rc::gen::inRange<std::size_t>(0, grid().lists.size())];
    const sglang::PrefillFilterInput in{*rc::gen::inRange<std::int64_t>(1, 65),
                                        *rc::gen::inRange<std::int64_t>(1, 9), true};
    SizeList kept = sglang::prefill_filter_at(sglang::Version::pr_23972).apply(in, list).kept;
    for (const std::int64_t size : kept) RC_ASSERT(size % in.attn_tp == 0);
  });
}
BENCHMARK(plain_rapidcheck)->Unit(benchmark::kMillisecond);

// A configuration as one struct of nine fields.
struct Configuration {
  Id list = 0;
  Id filter = 0;
  Id usable = 0;
  std::int64_t largest_presented = 0;
  std::int64_t named = 0;
  std::int64_t bound = 0;
  bool has_named = false;
  bool has_bound = false;
  bool fail_on_waste = false;
};

// The random suite's form: a struct is drawn and judged by all laws over sets. What waste and
// divisibility say together must be what one comparison of the two sets says.
void struct_rapidcheck(benchmark::State& state) {
  const auto below = [](std::size_t count) {
    return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<Id>(0, static_cast<Id>(count)));
  };
  const auto counts = rc::gen::inRange<std::int64_t>(0, kLargestPresented);
  const auto configurations = rc::gen::apply(
      [](Id list, Id filter, Id usable, std::int64_t largest, std::int64_t named,
         std::int64_t bound, bool has_named, bool has_bound, bool fail_on_waste) {
        return Configuration{list,  filter,    usable,    largest,      named,
                             bound, has_named, has_bound, fail_on_waste};
      },
      below(grid().lists.size()), below(grid().filters.size()),
      below(static_cast<std::size_t>(kLargestUsable)), counts, counts, counts,
      rc::gen::arbitrary<bool>(), rc::gen::arbitrary<bool>(), rc::gen::arbitrary<bool>());
  run_property(state, [&configurations] {
    const Configuration at = *configurations;
    SetCase in = grid().tables.case_of(at.list, at.filter, at.usable);
    const auto rank_of = [&in](std::int64_t count) {
      return Positions::first_of(
          static_cast<std::size_t>(std::ranges::upper_bound(in.sizes, count) - in.sizes.begin()));
    };
    in.reachable = rank_of(at.largest_presented);
    in.named_most = at.has_named ? std::min(at.named, at.largest_presented) : 0;
    in.has_bounds = at.has_bound;
    in.within = rank_of(at.bound);
    in.fail_on_waste = at.fail_on_waste;
    std::array<SetFinding, kLaws> findings;
    judge_sets(in, findings);
    if (in.kept.empty()) return;
    RC_ASSERT((findings[0].verdict == LawVerdict::pass) == ((in.kept & in.usable) == in.kept));
  });
}
BENCHMARK(struct_rapidcheck)->Unit(benchmark::kMillisecond);

// ---- whole members of the shipped universes -----------------------------------------------------

// A universe in two threads, or `parts` parts of it that lie evenly spread, each of `most` members
// and judged by judges that remember nothing of the part before.
struct Share {
  std::uint64_t parts = 1;
  std::uint64_t most = ~std::uint64_t{0};
};

void members(benchmark::State& state, const char* name, Share share) {
  const auto universe = find_universe(name);
  expect(universe.has_value(), "the universe is not shipped\n");
  double seconds = 0;
  std::uint64_t judged = 0;
  while (state.KeepRunning()) {
    double pass = 0;
    for (std::uint64_t part = 0; part < share.parts; ++part) {
      const std::uint64_t first = universe->members / share.parts * part;
      const std::uint64_t last = first + std::min(share.most, universe->members - first);
      SweepState sweep;
      const auto outcome = run_sweep(
          {.range = {first, last}, .threads = 2},
          [&universe] { return MemberJudge::make(*universe, std::nullopt); }, sweep);
      expect(outcome.has_value() && outcome->finished, "the sweep did not end\n");
      pass += outcome->seconds;
      judged += outcome->members;
    }
    state.SetIterationTime(pass);
    seconds += pass;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(judged));
  state.counters["members_per_s"] = static_cast<double>(judged) / seconds;
}
BENCHMARK_CAPTURE(members, pr23972, "pr23972", Share{})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(members, sglang_full, "sglang-full", Share{.parts = 8, .most = 10'000'000})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace capsize
