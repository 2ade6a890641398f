// The parts of a sweep by example: ranges and shards, what a certificate counts, what merging and
// taking up refuse, and how a run ends that cannot go on.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "scenarios/sweep/checkpoint.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/toy_sweep.hpp"

namespace capsize::sweep_test {
namespace {

using test::swept;
using test::toy_certificate;
using test::toy_factory;
using test::toy_universe;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Would catch: a law beyond the bits that a state has, or columns in another order than
// sweep_laws() promises (certificates of two builds would then mix laws up).
TEST(SweepLaws, FitAStateAndComeByName) {
  const auto laws = sweep_laws();
  ASSERT_GT(laws.size(), 0U);
  EXPECT_LE(laws.size(), kSweepLaws) << "a state has no room for another law: raise kSweepLaws";
  EXPECT_TRUE(std::ranges::is_sorted(laws, {}, &Law::name));
  for (const Law* law : capsize::laws()) {
    const bool judges_paths = law->check_path != nullptr || law->check_eager != nullptr;
    EXPECT_EQ(std::ranges::count(laws, law), judges_paths ? 1 : 0) << law->name;
  }
}

// Would catch: verdicts of two laws that share bits.
TEST(PathVerdictsTest, HoldEachLawApart) {
  PathVerdicts verdicts;
  verdicts.set(3, LawVerdict::violation);
  verdicts.set(4, LawVerdict::undecided);
  verdicts.set(3, LawVerdict::pass);
  EXPECT_EQ(verdicts.of(2), LawVerdict::not_applicable);
  EXPECT_EQ(verdicts.of(3), LawVerdict::pass);
  EXPECT_EQ(verdicts.of(4), LawVerdict::undecided);
}

// Would catch: a range that is lost when two others are joined, or taken although it overlaps.
TEST(MemberRangesTest, JoinNeighboursAndRefuseOverlaps) {
  MemberRanges done;
  EXPECT_TRUE(done.add({10, 20}));
  EXPECT_TRUE(done.add({30, 40}));
  EXPECT_TRUE(done.add({20, 30}));
  EXPECT_THAT(done.all(), ElementsAre(MemberRange{10, 40}));
  EXPECT_FALSE(done.add({39, 50}));
  EXPECT_FALSE(done.add({0, 11}));
  EXPECT_FALSE(done.add({12, 13}));
  EXPECT_FALSE(done.add({0, 50}));
  EXPECT_TRUE(done.add({5, 5}));
  EXPECT_TRUE(done.add({0, 5}));
  EXPECT_THAT(done.all(), ElementsAre(MemberRange{0, 5}, MemberRange{10, 40}));
  EXPECT_EQ(done.count(), 35U);
  EXPECT_THAT(done.missing({3, 50}), ElementsAre(MemberRange{5, 10}, MemberRange{40, 50}));
  EXPECT_THAT(done.missing({12, 30}), ElementsAre());
  EXPECT_EQ(done.shared_with({4, 12}), (MemberRange{4, 5}));
  EXPECT_EQ(done.shared_with({5, 10}), std::nullopt);
}

// Would catch: shards that leave members out or hold them twice, and one of extreme length.
TEST(Shards, CoverEveryMemberOnce) {
  for (const std::uint64_t members :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{10}, std::uint64_t{1} << 62U}) {
    for (const std::uint64_t of : {1, 2, 3, 7, 1000}) {
      std::uint64_t at = 0;
      for (std::uint64_t index = 1; index <= of; ++index) {
        const MemberRange range = range_of({index, of}, members);
        EXPECT_EQ(range.first, at);
        EXPECT_LE(range.count(), members / of + 1);
        at = range.last;
      }
      EXPECT_EQ(at, members) << of;
    }
  }
}

// Would catch: a shard text that is read as another, and then swept for hours.
TEST(Shards, AreReadStrictly) {
  EXPECT_EQ(*read_shard("2/3"), (Shard{2, 3}));
  EXPECT_EQ(*read_shard("1/1"), (Shard{1, 1}));
  for (const char* text :
       {"0/3",  "4/3",  "1/0",  "0/0",  "a/b",   "1/3x",      "x1/3",
        "",     "/",    "1/",   "/3",   "3",     "1/2/3",     "-1/3",
        "1/-3", "+1/3", " 1/3", "1/3 ", "1.0/3", "1/1000001", "1/99999999999999999999999"}) {
    const auto shard = read_shard(text);
    ASSERT_FALSE(shard) << text;
    EXPECT_EQ(shard.error().where, "--shard");
    EXPECT_THAT(shard.error().text, HasSubstr(text));
    EXPECT_THAT(shard.error().hint, HasSubstr("1/3"));
  }
}

MemberState judged(LawVerdict first_path, LawVerdict second_path, std::uint16_t rules = 0) {
  MemberState out{.rules = rules, .graphs = 1};
  out.paths[0].set(0, first_path);
  out.paths[1].set(0, second_path);
  return out;
}

// Would catch: a pass that hides a violation or an undecided path of the same member.
TEST(Certificates, ALawsVerdictIsItsWorstPath) {
  const auto over = [](LawVerdict a, LawVerdict b) { return verdict_over_paths(judged(a, b), 0); };
  const auto pass = LawVerdict::pass;
  const auto violation = LawVerdict::violation;
  const auto none = LawVerdict::not_applicable;
  const auto undecided = LawVerdict::undecided;
  EXPECT_EQ(over(pass, violation), violation);
  EXPECT_EQ(over(violation, undecided), violation);
  EXPECT_EQ(over(undecided, violation), violation);
  EXPECT_EQ(over(pass, undecided), undecided);
  EXPECT_EQ(over(undecided, pass), undecided);
  EXPECT_EQ(over(undecided, none), undecided);
  EXPECT_EQ(over(none, pass), pass);
  EXPECT_EQ(over(pass, none), pass);
  EXPECT_EQ(over(none, none), none);
}

// Would catch: places of preconditions in 16 bits, where the one behind 65535 others would wrap and
// its members would stand as judged, or under another name.
TEST(Certificates, HoldMorePreconditionsThanFit16Bits) {
  Tally tally;
  for (int i = 0; i < 65535; ++i) tally.preconditions.push_back("no. " + std::to_string(i));
  const MemberState last{.removed = tally.precondition("the last")};
  tally.count(last, 7, 0);
  EXPECT_EQ(last.removed, 65536U);
  ASSERT_EQ(tally.states.size(), 1U);
  EXPECT_EQ(tally.preconditions.at(tally.states.begin()->first.removed - 1U), "the last");
}

Certificate by_hand() {
  Certificate out = toy_certificate(toy_universe(5, 1));
  Tally& tally = out.state.tally;
  tally.paths = {"prefill", "decode"};
  tally.count(judged(LawVerdict::pass, LawVerdict::violation), 2, 4);
  tally.count(judged(LawVerdict::violation, LawVerdict::pass), 1, 2);
  tally.count(judged(LawVerdict::pass, LawVerdict::undecided), 1, 6);
  tally.count(judged(LawVerdict::pass, LawVerdict::pass, 1), 3, 1);
  tally.count({.removed = tally.precondition("late")}, 1, 8);
  tally.count({.removed = tally.precondition("early")}, 2, 0);
  EXPECT_TRUE(out.state.done.add({0, 10}));
  return out;
}

// Would catch: members counted under the wrong outcome, law or label, and a first failure that is
// not the first.
TEST(Certificates, CountMembersByOutcomeLawAndPrecondition) {
  const SweepSummary summary = summary_of(by_hand());
  EXPECT_EQ(summary.removed, 3U);
  EXPECT_EQ(summary.judged, 7U);
  EXPECT_EQ(summary.violated, 3U);
  EXPECT_EQ(summary.undecided, 1U);
  EXPECT_EQ(summary.passed, 3U);
  EXPECT_EQ(summary.verdict, Verdict::violation);
  ASSERT_EQ(summary.laws.size(), sweep_laws().size() * 2);
  const LawCount& old_rules = summary.laws[0];
  EXPECT_EQ(old_rules.failed, 3U);
  EXPECT_EQ(old_rules.undecided, 1U);
  EXPECT_EQ(old_rules.passed, 0U);
  EXPECT_EQ(old_rules.first_failure, 2U);
  ASSERT_EQ(old_rules.failed_on.size(), 2U);
  EXPECT_EQ(old_rules.failed_on[0].path, "prefill");
  EXPECT_EQ(old_rules.failed_on[0].members, 1U);
  EXPECT_EQ(old_rules.failed_on[1].path, "decode");
  EXPECT_EQ(old_rules.failed_on[1].members, 2U);
  EXPECT_EQ(old_rules.failed_on[1].first, 4U);
  EXPECT_EQ(summary.laws[1].rules, 1);
  EXPECT_EQ(summary.laws[1].passed, 3U);
  EXPECT_EQ(summary.laws[1].first_failure, std::nullopt);
  EXPECT_EQ(summary.laws[2].not_applicable, 4U);
  ASSERT_EQ(summary.preconditions.size(), 2U);
  EXPECT_EQ(summary.preconditions[0].why, "early");
  EXPECT_EQ(summary.preconditions[0].members, 2U);
  EXPECT_EQ(summary.preconditions[1].why, "late");
  ASSERT_EQ(summary.graphs.size(), 4U);
  EXPECT_EQ(summary.graphs[0].path, "prefill");
  EXPECT_EQ(summary.graphs[0].members, 4U);
  EXPECT_EQ(summary.graphs[2].members, 0U);
}

// Would catch: a pass over nothing.
TEST(Certificates, NothingDecidedIsUndecided) {
  Certificate none = toy_certificate(toy_universe());
  EXPECT_EQ(summary_of(none).verdict, Verdict::undecided);
  none.state.tally.count({.removed = none.state.tally.precondition("all")}, 400, 0);
  EXPECT_EQ(summary_of(none).verdict, Verdict::undecided);
  none.state.tally.count(judged(LawVerdict::undecided, LawVerdict::undecided), 1, 0);
  EXPECT_EQ(summary_of(none).verdict, Verdict::undecided);
  none.state.tally.count(judged(LawVerdict::pass, LawVerdict::pass), 1, 1);
  EXPECT_EQ(summary_of(none).verdict, Verdict::pass);
}

// Would catch: a field that the schema does not state, or states and nobody writes.
TEST(Certificates, HaveTheFieldsOfTheirSchema) {
  std::ifstream file(CAPSIZE_SOURCE_DIR "/scenarios/schemas/certificate.schema.json");
  const auto schema = nlohmann::json::parse(file);
  const auto document =
      nlohmann::json::parse(write_certificate(swept(toy_universe(), Shard{1, 2})));
  const auto names_of = [](const nlohmann::json& object) {
    std::vector<std::string> names;
    for (const auto& item : object.items()) names.push_back(item.key());
    return names;
  };
  const auto compare = [&](const nlohmann::json& value, const nlohmann::json& stated) {
    EXPECT_EQ(names_of(value), names_of(stated["properties"])) << value;
    EXPECT_EQ(stated["required"].size(), stated["properties"].size());
  };
  compare(document, schema);
  const auto& properties = schema["properties"];
  for (const char* name : {"universe", "shard", "members", "distinct", "sums", "hashes", "run"}) {
    compare(document[name], properties[name]);
  }
  for (const char* name : {"ranges", "removed", "graphs", "laws", "states"}) {
    ASSERT_FALSE(document[name].empty()) << name;
    compare(document[name][0], properties[name]["items"]);
  }
}

std::vector<NamedCertificate> two_halves() {
  const Universe universe = toy_universe();
  return {{"a.json", swept(universe, Shard{1, 2})}, {"b.json", swept(universe, Shard{2, 2})}};
}

// Would catch: a merge that counts members twice or passes over those that nobody judged.
TEST(Merging, NamesOverlapsAndHoles) {
  auto parts = two_halves();
  parts.push_back({"c.json", swept(toy_universe(), Shard{3, 4})});
  const auto twice = merge(parts);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().text, "members 200 to 299 are in b.json and c.json");
  parts.erase(parts.begin() + 1);
  const auto hole = merge(parts);
  ASSERT_FALSE(hole);
  EXPECT_EQ(hole.error().text, "members 300 to 399 are in none");
  EXPECT_FALSE(merge({}));
}

// Would catch: parts of two sweeps that are added up.
TEST(Merging, RefusesPartsOfAnotherSweep) {
  const auto refusal_of = [](const auto& change) {
    auto parts = two_halves();
    change(parts[1].certificate);
    const auto merged = merge(parts);
    EXPECT_FALSE(merged);
    if (merged) return std::string();
    EXPECT_EQ(merged.error().where, "b.json");
    return merged.error().text;
  };
  EXPECT_THAT(refusal_of([](Certificate& c) { c.universe.digest += 1; }), HasSubstr("digest"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.universe.name = "other"; }), HasSubstr("other"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.where = "tp < 3"; }), HasSubstr("tp < 3"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.program = "capsize 9"; }), HasSubstr("capsize 9"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.laws.pop_back(); }), HasSubstr("laws"));
}

// A checkpoint of shard 1/2 that is done in part, as text.
std::string checkpoint_text() {
  Certificate part = toy_certificate(toy_universe(), Shard{1, 2});
  const auto outcome =
      run_sweep({.range = part.range(), .chunk = 30, .stop_after = 90}, toy_factory(), part.state);
  EXPECT_TRUE(outcome && !outcome->finished);
  part.count_distinct();
  return write_certificate(part);
}

// Would catch: half a checkpoint that is taken for a whole one.
TEST(Checkpoints, CutShortAreRefused) {
  const std::string text = checkpoint_text();
  ASSERT_TRUE(read_certificate(text));
  for (std::size_t length = 0; length + 2 < text.size(); length += 10) {
    const auto cut = read_certificate(text.substr(0, length));
    ASSERT_FALSE(cut) << length << " bytes";
    EXPECT_FALSE(cut.error().where.empty());
  }
}

// Would catch: a time that no integer holds, written again as whatever the machine makes of it.
TEST(Checkpoints, TakeTimesThatASweepCanTake) {
  auto document = nlohmann::json::parse(checkpoint_text());
  for (const double seconds : {0.0, 1e-300, 1e9}) {
    document["run"]["seconds"] = seconds;
    const auto read = read_certificate(document.dump());
    ASSERT_TRUE(read) << seconds;
    EXPECT_LE(read->run.members_a_second(), std::uint64_t{1} << 60) << seconds;
  }
  for (const double seconds : {-1.0, 1.1e9, 1e300}) {
    document["run"]["seconds"] = seconds;
    const auto read = read_certificate(document.dump());
    ASSERT_FALSE(read) << seconds;
    EXPECT_EQ(read.error().where, "$.run.seconds");
  }
}

nlohmann::json another(const nlohmann::json& value) {
  if (value.is_number()) return value.get<std::int64_t>() + 1;
  if (value.is_boolean()) return !value.get<bool>();
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) return "other";
  std::string text = value;
  text.back() = text.back() == '1' ? '2' : '1';
  return text;
}

// Would catch: a field that can be changed without notice, so that a certificate says what no sweep
// found. Only how the run came about may differ.
TEST(Checkpoints, ChangedAnywhereAreRefused) {
  const auto document = nlohmann::json::parse(checkpoint_text());
  std::size_t changed = 0;
  const auto leaves = document.flatten();
  for (const auto& item : leaves.items()) {
    if (item.key().starts_with("/run/")) continue;
    auto copy = document;
    nlohmann::json& value = copy[nlohmann::json::json_pointer(item.key())];
    value = another(value);
    EXPECT_FALSE(read_certificate(copy.dump())) << item.key() << " = " << value;
    ++changed;
  }
  EXPECT_GT(changed, 200U);
  for (const auto& item : document.items()) {
    auto copy = document;
    copy.erase(item.key());
    // A field that may be null is as good as missing, but for the comparison.
    EXPECT_FALSE(read_certificate(copy.dump())) << "without " << item.key();
  }
  auto more = document;
  more["more"] = 1;
  EXPECT_FALSE(read_certificate(more.dump()));
  EXPECT_FALSE(read_certificate("[]"));
  EXPECT_FALSE(read_certificate("{}"));
}

// Would catch: numbers that make the reader work for ages, run over or crash.
TEST(Checkpoints, AbsurdNumbersAreRefused) {
  const auto document = nlohmann::json::parse(checkpoint_text());
  const auto with = [&](const char* pointer, const nlohmann::json& value) {
    auto copy = document;
    copy[nlohmann::json::json_pointer(pointer)] = value;
    return read_certificate(copy.dump());
  };
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  for (const nlohmann::json& value :
       {nlohmann::json(kHuge), nlohmann::json(-1), nlohmann::json(0)}) {
    EXPECT_FALSE(with("/universe/members", value));
    EXPECT_FALSE(with("/shard/of", value));
    EXPECT_FALSE(with("/ranges/0/last", value));
    EXPECT_FALSE(with("/states/0/members", value));
    EXPECT_FALSE(with("/states/1/rules", kHuge));
    EXPECT_FALSE(with("/states/0/removed", kHuge));
  }
  EXPECT_FALSE(with("/universe/axes/0/values", nlohmann::json::array()));
  EXPECT_FALSE(with("/states/0/verdicts", {"p", "p", "p", "p", "p"}));
  EXPECT_FALSE(with("/ranges", {{{"first", 0}, {"last", 50}}, {{"first", 40}, {"last", 60}}}));
}

// Would catch: a checkpoint of one sweep that another goes on from.
TEST(Checkpoints, OfAnotherSweepAreNotTakenUp) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("state.json", checkpoint_text());
  const auto refusal_of = [&](const auto& change) {
    Certificate wanted = toy_certificate(toy_universe(), Shard{1, 2});
    change(wanted);
    const auto taken = take_up(path, wanted);
    EXPECT_FALSE(taken);
    EXPECT_EQ(wanted.state.done.count(), 0U) << "a refused state was taken up";
    if (taken) return std::string();
    EXPECT_THAT(taken.error().where, HasSubstr(path));
    EXPECT_THAT(taken.error().hint, HasSubstr("--resume"));
    return taken.error().text;
  };
  EXPECT_THAT(refusal_of([](Certificate& c) { c.universe.digest += 1; }), HasSubstr("digest"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.where = "tp < 3"; }), HasSubstr("tp < 3"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.shard = Shard{2, 2}; }), HasSubstr("shard 1/2"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.shard.reset(); }), HasSubstr("whole universe"));
  EXPECT_THAT(refusal_of([](Certificate& c) { c.program = "capsize 9"; }), HasSubstr("capsize 9"));

  Certificate right = toy_certificate(toy_universe(), Shard{1, 2});
  const auto taken = take_up(path, right);
  ASSERT_TRUE(taken) << taken.error().text;
  EXPECT_TRUE(*taken);
  EXPECT_GE(right.state.done.count(), 90U);
  const auto nothing = take_up(folder.path() + "/none.json", right);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
}

// Would catch: a run that goes on although it cannot keep what it does, or says nothing of it.
TEST(Runner, EndsWithTheErrorOfJudgesAndOfKeeping) {
  Certificate certificate = toy_certificate(toy_universe(200, 200));
  const RunnerOptions options{.range = certificate.range(), .threads = 2, .chunk = 100};
  const JudgeFactory none = []() -> Result<std::unique_ptr<MemberJudge>> {
    return tl::unexpected(Error{"--unknown", "no judge", ""});
  };
  const auto unjudged = run_sweep(options, none, certificate.state);
  ASSERT_FALSE(unjudged);
  EXPECT_EQ(unjudged.error().text, "no judge");
  EXPECT_EQ(certificate.state.done.count(), 0U);

  RunnerOptions keeping = options;
  keeping.keep = [](const SweepState&) -> Result<void> {
    return tl::unexpected(Error{"state.json", "disk full", ""});
  };
  const auto unkept = run_sweep(keeping, toy_factory(), certificate.state);
  ASSERT_FALSE(unkept);
  EXPECT_EQ(unkept.error().text, "disk full");
}

// Would catch: a stop that is not heard, or a chunk that is lost when it comes.
TEST(Runner, StopsAfterTheChunksThatRun) {
  std::atomic<bool> stop = true;
  Certificate certificate = toy_certificate(toy_universe());
  RunnerOptions options{.range = certificate.range(), .threads = 2, .chunk = 10, .stop = &stop};
  std::uint64_t kept = 0;
  options.keep = [&](const SweepState& state) -> Result<void> {
    kept = state.done.count();
    return {};
  };
  const auto at_once = run_sweep(options, toy_factory(), certificate.state);
  ASSERT_TRUE(at_once);
  EXPECT_FALSE(at_once->finished);
  EXPECT_EQ(certificate.state.done.count(), 0U);
  stop = false;
  options.stop_after = 55;
  const auto later = run_sweep(options, toy_factory(), certificate.state);
  ASSERT_TRUE(later);
  EXPECT_FALSE(later->finished);
  EXPECT_EQ(certificate.state.done.count(), 60U);
  EXPECT_EQ(kept, 60U);
  options.stop_after = 0;
  const auto rest = run_sweep(options, toy_factory(), certificate.state);
  ASSERT_TRUE(rest && rest->finished);
  EXPECT_EQ(rest->members, certificate.universe.members - 60);
  certificate.count_distinct();
  EXPECT_TRUE(same(certificate, swept(toy_universe())));
}

// Would catch: chunks that adapt and never end, or end off the alignment while there is room.
TEST(Runner, ChunksThatAdaptSayTheSame) {
  const Universe universe = toy_universe(100, 500);
  Certificate certificate = toy_certificate(universe);
  std::uint64_t shown = 0;
  const RunnerOptions options{
      .range = certificate.range(),
      .threads = 2,
      .alignment = 1000,
      .progress = [&](std::uint64_t done, std::uint64_t /*by_this_run*/) { shown = done; }};
  const auto outcome = run_sweep(options, toy_factory(), certificate.state);
  ASSERT_TRUE(outcome && outcome->finished);
  certificate.count_distinct();
  EXPECT_TRUE(same(certificate, swept(universe)));
  EXPECT_EQ(shown, universe.members);
}

}  // namespace
}  // namespace capsize::sweep_test
