// Plan files: what the reader makes of every field, what the defaults are, that the writer loses
// nothing. What it refuses is in tests/bad_input/plans_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "properties/plan_parts.hpp"
#include "scenarios/formats/plan.hpp"

namespace capsize::plan_format_test {
namespace {

// The teaching example of the format.
constexpr std::string_view kExample = R"json(
{"schema": 1, "engine": "...", "world": 8, "groups": {"attn_tp": [[0,1,2,3,4,5,6,7]]},
 "captures": [{"path": "prefill", "unit": "tokens", "mode": "graph", "kept": [8, 16],
   "named": [16]}],
 "buffers": {"ws": {"bytes": 1048576, "owner": "all", "kind": "workspace", "memory": "runtime"}},
 "events": [
   {"event": "create_group", "group": "attn_tp", "transport": "peer"},
   {"event": "allocate", "buffer": "ws", "generation": 1},
   {"event": "warm_up", "path": "prefill", "tokens": 8, "programs": [
     {"ranks": "0-7", "bucket": 8, "mode": "eager", "ops": [
       {"op": "reduce_scatter", "group": "attn_tp", "rows_in": 8, "rows_out": 1}]}]},
   {"event": "capture", "path": "prefill", "tokens": 16, "programs": [
     {"ranks": "0-7", "bucket": 16, "mode": "graph", "key": {"tokens": 16}, "repeat": 27, "ops": [
       {"id": "rs", "op": "reduce_scatter", "group": "attn_tp", "rows_in": 16, "rows_out": 2,
        "dtype": "bf16", "in": "Partial(attn_tp)", "out": "Scattered(attn_tp)",
        "stream": 0, "captured": true, "reads": [{"buffer": "ws", "offset": 0, "bytes": 65536}],
        "writes": [], "after": []}]}]},
   {"event": "register", "groups": ["attn_tp"], "ranks": "0-7"},
   {"event": "replay", "path": "prefill", "tokens": 13, "programs": [
     {"ranks": "0-7", "tokens": 13, "bucket": 16, "mode": "graph", "key": {"tokens": 16}}]},
   {"event": "free", "buffer": "ws"}]})json";

// Every field that a plan can have, none with its default; what the writer may write in one way
// only is written in that way.
constexpr std::string_view kFull = R"json({"schema": 1, "engine": "an engine", "world": 68,
 "layers": [{"kind": "dense", "count": 1}, {"kind": "sparse", "count": 26}],
 "groups": {"dp": {"members": [[0, 1], [2, 3]], "transport": "raw"}, "every": ["0-67"],
            "pp": [[0, 2], [1, 3]], "stride": ["0-64:4", "1-65:4"], "tp": [[3, 2], [1, 0]],
            "uneven": ["16-31,0-15,40"]},
 "captures": [
  {"path": "decode", "unit": "requests", "mode": "piecewise", "key": {"lora": true, "rank": 1.5},
   "kept": [1, 2], "named": [2, 4], "width": 3, "admits": [1],
   "admission": {"unit": "tokens", "scope": "sum", "max": 160}, "pool": "p", "bytes": 4096},
  {"path": "prefill", "unit": "tokens", "mode": "eager", "key": {}, "admits": [],
   "admission": {"unit": "requests", "scope": "rank"}}],
 "buffers": {"a": {"bytes": 9007199254740992, "owner": "0-3,8", "kind": "kv", "memory": "virtual"},
             "b": {}, "c": {"kind": "metadata"}},
 "weights": [{"name": "w", "dim": 11008, "group": "tp", "block": 128}, {"name": "v", "dim": 5}],
 "libraries": {"cuda": "12.9", "nccl": "2.28.3"},
 "memory": {"budget_bytes": 10, "weights_bytes": 4, "activations_bytes": 3, "kv_bytes": 2},
 "events": [
  {"event": "create_group", "id": "made", "group": "tp", "transport": "peer", "ranks": "0-3"},
  {"event": "create_group", "group": "dp"},
  {"event": "allocate", "buffer": "a", "bytes": 77, "generation": 2, "ranks": "0-3"},
  {"event": "warm_up", "path": "p", "tokens": 9, "stream": 1, "after": ["made"], "programs": [
   {"ranks": "0-3", "tokens": 5, "requests": 2, "padded_requests": 4, "width": 3, "bucket": 12,
    "mode": "piecewise", "key": {"backend": "fa\"3", "lora": false, "tokens": 12}, "repeat": 2,
    "decides": {"bucket": [{"input": "max", "from": "voted", "group": "tp"},
                           {"input": "x", "from": "rank_local"}],
                "mode": [{"input": "y", "from": "configuration"}], "run": [],
                "split": [{"input": "z", "from": "broadcast"}]},
    "ops": [
     {"op": "norm", "rows_in": [3, 4], "rows_out": 4, "dtype": "bf16", "role": "norm",
      "tensor": "residual",
      "in": ["Scattered(dp, tp)", "Replicated"], "out": "Scattered(dp) Partial(tp) Partial(dp)"},
     {"repeat": 26, "layer": 1, "ops": [
      {"id": "a", "op": "all_to_all", "group": "tp", "sizes": [1, 2], "stream": 3,
       "captured": false, "reads": ["a", {"buffer": "b", "offset": 8, "bytes": 0},
       {"buffer": "b", "bytes": 4}, {"buffer": "b", "offset": 4}], "writes": ["c"], "from": []},
      {"id": "b", "op": "kernel", "from": ["a"], "after": ["a"], "launch": {"grid": 16, "k": "s"},
       "segment": 2, "extents": {"slot_mapping": 13, "x": 0}, "padding": "masked",
       "transport": "checked", "registered": true, "rule": "layer.py::forward"}]},
     {"layer": 27, "ops": [{"op": "send", "group": "pp", "peer": 2}]},
     {"op": "recv", "peer": 0}, {"op": "wait", "after": ["a", "b"], "registered": false},
     {"op": "allocate", "buffer": "b", "padding": "zero"}, {"op": "free", "buffer": "b"},
     {"op": "barrier", "group": "every", "padding": "live"}]},
   {"ranks": "4-60:4"}]},
  {"event": "capture", "path": "p", "stream": 0, "capture_mode": "thread_local", "programs": [
   {"ranks": "0-15,32-63", "mode": "graph", "key": {}, "ops": [{"op": "add"}]}]},
  {"event": "register", "groups": ["tp", "dp"], "ranks": "0-1"},
  {"event": "replay", "path": "p", "programs": []},
  {"event": "eager", "programs": [{"ranks": "5", "tokens": 0, "mode": "eager"}]},
  {"event": "free", "buffer": "a", "ranks": "1-2"},
  {"event": "eager", "path": "q", "tokens": 4, "programs": [{"ranks": "0", "tokens": 4, "ops": [
   {"op": "norm", "rows_in": 8}]}]},
  {"event": "eager", "path": "q", "tokens": 6, "like": 9}]})json";

Lifecycle read(std::string_view text) {
  auto plan = read_plan(text);
  EXPECT_TRUE(plan) << plan.error().where << ": " << plan.error().text << " (" << plan.error().hint
                    << ")";
  return plan ? *std::move(plan) : Lifecycle{};
}

std::string with(std::string_view events) {
  return R"json({"schema": 1, "world": 4,
    "groups": {"tp": [[0, 1], [2, 3]], "dp": [[0, 2], [1, 3]]},
    "buffers": {"x": {}}, "events": )json" +
         std::string(events) + "}";
}

// Would catch a field of the published example that is not read, or read into another place.
TEST(PlanFormat, TheExampleIsReadToTheLetter) {
  const Lifecycle plan = read(kExample);
  EXPECT_EQ(plan.engine, "...");
  EXPECT_EQ(plan.world, 8);
  ASSERT_EQ(plan.families.size(), 1U);
  EXPECT_EQ(plan.families[0].name, "attn_tp");
  EXPECT_EQ(plan.families[0].transport, Transport::peer);
  EXPECT_EQ(plan.size_at(GroupId{0}, 7), 8);
  EXPECT_EQ(plan.families[0].position_of[3], 3);
  ASSERT_EQ(plan.captures.size(), 1U);
  EXPECT_EQ(plan.captures[0].path, "prefill");
  EXPECT_EQ(plan.captures[0].unit, Unit::tokens);
  EXPECT_EQ(plan.captures[0].mode, GraphMode::graph);
  EXPECT_EQ(plan.captures[0].kept, (std::vector<std::int64_t>{8, 16}));
  EXPECT_EQ(plan.captures[0].named, (std::vector<std::int64_t>{16}));
  ASSERT_EQ(plan.buffers.size(), 1U);
  EXPECT_EQ(plan.buffers[0].bytes, 1048576);
  EXPECT_TRUE(plan.buffers[0].owner.empty());
  EXPECT_EQ(plan.buffers[0].kind, BufferKind::workspace);
  ASSERT_EQ(plan.events.size(), 7U);
  EXPECT_EQ(plan.events[0].kind, PlanEventKind::create_group);
  EXPECT_EQ(plan.events[0].groups, (std::vector<GroupId>{{0}}));
  EXPECT_EQ(plan.events[1].kind, PlanEventKind::allocate);
  EXPECT_EQ(plan.events[1].buffer, 0);
  EXPECT_EQ(plan.events[1].generation, 1);
  EXPECT_EQ(plan.events[2].kind, PlanEventKind::warm_up);
  EXPECT_EQ(plan.events[4].kind, PlanEventKind::register_groups);
  EXPECT_EQ(plan.events[4].ranks, RankSet(0, 7));
  EXPECT_EQ(plan.events[5].tokens, 13);
  EXPECT_EQ(plan.events[6].kind, PlanEventKind::free);
}

// Would catch the same inside a program.
TEST(PlanFormat, TheProgramsOfTheExampleAreReadToTheLetter) {
  const Lifecycle plan = read(kExample);
  ASSERT_EQ(plan.events.size(), 7U);
  const Program& program = plan.events[3].programs.at(0);
  EXPECT_EQ(program.ranks, RankSet(0, 7));
  EXPECT_EQ(program.bucket, 16);
  EXPECT_EQ(program.mode, GraphMode::graph);
  EXPECT_EQ(program.key, (GraphKey{{"tokens", "16"}}));
  EXPECT_EQ(program.repeat, 27);
  ASSERT_EQ(program.blocks.size(), 1U);
  EXPECT_EQ(program.blocks[0].count, 1);
  const PlanOp& op = program.ops.at(0);
  EXPECT_EQ(op.id, "rs");
  EXPECT_EQ(op.kind, PlanOpKind::reduce_scatter);
  EXPECT_EQ(op.rows_in, (std::vector<std::int64_t>{16}));
  EXPECT_EQ(op.rows_out, 2);
  EXPECT_EQ(op.dtype, "bf16");
  EXPECT_EQ(op.in, (std::vector<Layout>{parts::partial(GroupId{0})}));
  EXPECT_EQ(op.out, parts::scattered(GroupId{0}));
  EXPECT_EQ(op.captured, true);
  EXPECT_EQ(op.reads, (std::vector<BufferRange>{{0, 0, 65536}}));
  EXPECT_TRUE(op.writes.empty() && op.after.empty() && !op.from);
  EXPECT_EQ(plan.events[5].programs.at(0).tokens, 13);
}

// Would catch a field that the reader drops, the writer forgets, or that changes between.
TEST(PlanFormat, EveryFieldIsWrittenAsItWasRead) {
  const std::string text = write_plan(read(kFull));
  EXPECT_EQ(nlohmann::json::parse(text), nlohmann::json::parse(kFull));
  EXPECT_EQ(write_plan(read(text)), text);
  const std::string example = write_plan(read(kExample));
  EXPECT_EQ(write_plan(read(example)), example);
}

// Would catch a default that the reader makes up, or that the writer states.
TEST(PlanFormat, WhatIsNotStatedStaysEmpty) {
  const Lifecycle small = read(R"json({"schema": 1, "world": 3})json");
  EXPECT_EQ(small.world, 3);
  EXPECT_TRUE(small.families.empty() && small.events.empty() && small.captures.empty());
  EXPECT_TRUE(small.buffers.empty() && small.weights.empty() && small.libraries.empty());
  EXPECT_FALSE(small.memory);
  EXPECT_EQ(write_plan(small), "{\"schema\":1,\"world\":3}\n");

  const Lifecycle plan = read(with(
      R"json([{"event": "eager", "programs": [{"ranks": "0", "ops": [{"op": "add"}]}]}])json"));
  const PlanEvent& event = plan.events.at(0);
  EXPECT_TRUE(event.path.empty() && event.id.empty() && event.after.empty());
  EXPECT_FALSE(event.tokens || event.stream || event.transport || event.capture_mode);
  const Program& program = event.programs.at(0);
  EXPECT_FALSE(program.tokens || program.bucket || program.mode || program.key || program.width);
  EXPECT_EQ(program.repeat, 1);
  const PlanOp& op = program.ops.at(0);
  EXPECT_TRUE(op.rows_in.empty() && op.in.empty() && op.reads.empty() && op.sizes.empty());
  EXPECT_FALSE(op.rows_out || op.out || op.captured || op.from || op.peer || op.padding);
  EXPECT_FALSE(op.group.valid() || op.transport || op.registered || op.segment);
  EXPECT_EQ(op.stream, 0);
  EXPECT_EQ(op.buffer, -1);
}

// Would catch an event that takes over programs without what it multiplies.
TEST(PlanFormat, AnEventLikeAnotherRunsItAtItsOwnSize) {
  const Lifecycle plan = read(kFull);
  ASSERT_EQ(plan.events.size(), 11U);
  const Program& program = plan.events[10].programs.at(0);
  EXPECT_EQ(program.tokens, 6);
  EXPECT_EQ(program.ops.at(0).rows_in, (std::vector<std::int64_t>{12}));
}

// Would catch a short form that means something else than the long one.
TEST(PlanFormat, ShortFormsMeanTheSameAsLongOnes) {
  const auto ops = [](std::string_view list) {
    return with(R"json([{"event": "eager", "programs": [{"ranks": "0-3", "ops": )json" +
                std::string(list) + "}]}]");
  };
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {ops(R"json([{"op": "add", "rows_in": 4, "in": "Scattered( tp ,dp)Partial(dp)"}])json"),
       ops(R"json([{"op": "add", "rows_in": [4], "in": ["Scattered(tp, dp) Partial(dp)"]}])json")},
      {ops(R"json([{"op": "add", "reads": "x", "writes": ["x"]}])json"),
       ops(R"json([{"op": "add", "reads": [{"buffer": "x"}],
                    "writes": [{"buffer": "x", "offset": 0}]}])json")},
      {ops(R"json([{"op": "add", "id": "i"}, {"op": "add", "from": "i", "after": "i"}])json"),
       ops(R"json([{"op": "add", "id": "i"}, {"op": "add", "from": ["i"], "after": ["i"]}])json")},
      {ops(R"json([{"repeat": 1, "ops": [{"op": "add"}]}, {"op": "norm"}])json"),
       ops(R"json([{"op": "add"}, {"op": "norm"}])json")},
      {with(R"json([{"event": "create_group", "groups": ["tp"]}])json"),
       with(R"json([{"event": "create_group", "group": "tp"}])json")},
      {with(R"json([{"event": "register", "group": "tp", "ranks": "all"}])json"),
       with(R"json([{"event": "register", "groups": ["tp"]}])json")},
      {with(R"json([{"event": "eager", "programs": [{"ranks": "all"}]}])json"),
       with(R"json([{"event": "eager", "programs": [{"ranks": [3, 0, 1, 2]}]}])json")},
      {with(R"json([{"event": "eager", "programs": [{"ranks": "2 , 0-1"}]}])json"),
       with(R"json([{"event": "eager", "programs": [{"ranks": "0-2:1"}]}])json")},
      {R"json({"schema": 1, "world": 4, "groups": {"g": ["0-2:2", "3,1"]}, "engine": null})json",
       R"json({"schema": 1, "world": 4, "groups": {"g": [[0, 2], [3, 1]]}})json"},
  };
  for (const auto& [brief, full] : pairs) {
    EXPECT_EQ(write_plan(read(brief)), write_plan(read(full))) << brief;
  }
}

// Would catch blocks that leave operations out, or that lose where one ends.
TEST(PlanFormat, BlocksCoverAllOperationsInOrder) {
  const Lifecycle plan = read(with(R"json([{"event": "eager", "programs": [{"ranks": "0", "ops": [
    {"op": "add"}, {"op": "norm"}, {"repeat": 3, "ops": [{"op": "add"}]},
    {"repeat": 2, "layer": 4, "ops": [{"op": "add"}, {"op": "norm"}]}, {"op": "copy"}]}]}])json"));
  const Program& program = plan.events.at(0).programs.at(0);
  ASSERT_EQ(program.ops.size(), 6U);
  ASSERT_EQ(program.blocks.size(), 4U);
  const std::vector<std::vector<std::int64_t>> expected = {
      {0, 2, 1, -1}, {2, 1, 3, -1}, {3, 2, 2, 4}, {5, 1, 1, -1}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const OpBlock& block = program.blocks[i];
    EXPECT_EQ((std::vector<std::int64_t>{block.first_op, block.count, block.repeat,
                                         block.layer.value_or(-1)}),
              expected[i]);
  }
}

// Would catch ids that are made up twice, or a lifecycle from code that loses its references.
TEST(PlanFormat, ALifecycleFromCodeGetsIdsWhereItNeedsThem) {
  Lifecycle plan{.world = 2};
  PlanOp second = parts::op(PlanOpKind::norm);
  second.id = "op0";  // the name that would be made up for the first
  PlanOp third = parts::op(PlanOpKind::add);
  third.after = {0};
  third.from = std::vector<std::int32_t>{0, 1};
  plan.events = {
      parts::eager("p", 1, {parts::eager_program(RankSet(0, 1), 1, {{}, second, third})}),
      parts::eager("p", 1, {})};
  plan.events[1].after = {0};
  const Lifecycle back = read(write_plan(parts::finish(plan)));
  ASSERT_EQ(back.events.size(), 2U);
  const PlanOp& op = back.events[0].programs.at(0).ops.at(2);
  EXPECT_EQ(op.after, (std::vector<std::int32_t>{0}));
  EXPECT_EQ(op.from, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(back.events[1].after, (std::vector<std::int32_t>{0}));
  EXPECT_EQ(write_plan(back), write_plan(plan));
}

// Would catch a check that cries wolf: plans that are unusual, but sound.
TEST(PlanFormat, UnusualPlansAreRead) {
  const std::vector<std::string> plans = {
      // Captures on other streams: ordered by `after`, by an event without stream, or apart.
      with(R"json([
        {"event": "capture", "id": "a", "path": "p", "stream": 0, "programs": [{"ranks": "0"}]},
        {"event": "capture", "path": "p", "stream": 1, "after": "a",
         "programs": [{"ranks": "0"}]}])json"),
      with(R"json([{"event": "capture", "path": "p", "stream": 0, "programs": [{"ranks": "0"}]},
        {"event": "register", "groups": ["tp"]},
        {"event": "capture", "path": "p", "stream": 1, "programs": [{"ranks": "0"}]}])json"),
      with(R"json([{"event": "capture", "path": "p", "stream": 0, "programs": [{"ranks": "0-1"}]},
        {"event": "capture", "path": "p", "stream": 1, "programs": [{"ranks": "2-3"}]}])json"),
      with(R"json([{"event": "capture", "path": "p", "programs": [{"ranks": "0"}]},
        {"event": "capture", "path": "p", "stream": 1, "programs": [{"ranks": "0"}]}])json"),
      // Buffers: freed by halves, freed without any allocate, allocated twice.
      with(R"json([{"event": "allocate", "buffer": "x"},
        {"event": "free", "buffer": "x", "ranks": "0-1"},
        {"event": "free", "buffer": "x", "ranks": "2-3"}])json"),
      with(R"json([{"event": "free", "buffer": "x"}])json"),
      with(R"json([{"event": "allocate", "buffer": "x", "generation": 1},
        {"event": "allocate", "buffer": "x", "generation": 2},
        {"event": "free", "buffer": "x"}])json"),
      // Sizes that fall and repeat are for a law to judge.
      R"json({"schema": 1, "world": 1, "captures": [{"path": "p", "kept": [8, 4, 4, 0]}]})json",
      // A group that some ranks are not in; creating it is a call of all ranks.
      R"json({"schema": 1, "world": 4, "groups": {"draft": [[0, 1]]}, "events": [
        {"event": "eager", "programs": [
          {"ranks": "0-3", "ops": [{"op": "create_group", "group": "draft"}]}]},
        {"event": "eager", "programs": [
          {"ranks": "0-1", "ops": [{"op": "barrier", "group": "draft"}]}]}]})json",
      // Groups of different sizes; whether a list has a size for each member is for a law to judge.
      R"json({"schema": 1, "world": 3, "groups": {"g": [[0], [1, 2]]}, "events": [
        {"event": "eager", "programs": [
          {"ranks": "0", "ops": [{"op": "all_gather", "group": "g", "sizes": [4, 5, 6]}]},
          {"ranks": "1-2", "ops": [{"op": "all_gather", "group": "g", "sizes": [4, 5]}]}]}]})json",
      // A position in the group as the peer.
      with(R"json([{"event": "eager", "programs": [{"ranks": "1-3:2", "ops": [
        {"op": "send", "group": "dp", "peer": 1}]}]}])json"),
  };
  for (const std::string& plan : plans) {
    const std::string text = write_plan(read(plan));
    EXPECT_EQ(write_plan(read(text)), text);
  }
}

// Collects the names of fields of objects that `wanted` picks, wherever they stand.
void collect(const nlohmann::json& value, std::string_view inside,
             const std::function<bool(std::string_view, const nlohmann::json&)>& wanted,
             std::set<std::string>& names) {
  if (value.is_object() && wanted(inside, value)) {
    for (const auto& item : value.items()) names.insert(item.key());
  }
  for (const auto& item : value.items()) {
    if (!item.value().is_structured()) continue;
    const std::string here = value.is_object() ? item.key() : std::string(inside);
    collect(item.value(), here, wanted, names);
  }
}

std::set<std::string> fields_of(const nlohmann::json& properties) {
  std::set<std::string> names;
  for (const auto& item : properties.items()) names.insert(item.key());
  return names;
}

// Would catch a schema file that has fallen behind the reader, or the other way about.
TEST(PlanFormat, TheSchemaNamesExactlyTheFieldsThatAreRead) {
  std::ifstream file(CAPSIZE_SOURCE_DIR "/scenarios/schemas/plan.schema.json");
  std::ostringstream text;
  text << file.rdbuf();
  const auto schema = nlohmann::json::parse(text.str());
  const auto full = nlohmann::json::parse(kFull);
  const auto& definitions = schema["$defs"];
  const auto in_list = [](std::string_view name) {
    return [name](std::string_view inside, const nlohmann::json&) { return inside == name; };
  };
  const auto op = [](std::string_view inside, const nlohmann::json& value) {
    return inside == "ops" && value.contains("op");
  };
  const auto block = [](std::string_view inside, const nlohmann::json& value) {
    return inside == "ops" && !value.contains("op");
  };
  const std::vector<
      std::pair<std::string, std::function<bool(std::string_view, const nlohmann::json&)>>>
      parts = {{"capture", in_list("captures")},
               {"event", in_list("events")},
               {"program", in_list("programs")},
               {"op", op},
               {"block", block}};
  EXPECT_EQ(fields_of(schema["properties"]), fields_of(full));
  for (const auto& [name, wanted] : parts) {
    std::set<std::string> used;
    collect(full, "", wanted, used);
    EXPECT_EQ(fields_of(definitions[name]["properties"]), used) << name;
  }
  EXPECT_EQ(fields_of(definitions["buffer"]["properties"]), fields_of(full["buffers"]["a"]));
  EXPECT_EQ(fields_of(schema["properties"]["memory"]["properties"]), fields_of(full["memory"]));
  EXPECT_EQ(fields_of(schema["properties"]["layers"]["items"]["properties"]),
            fields_of(full["layers"][0]));
  std::vector<std::string> kinds;
  for (std::size_t i = 0; i < kPlanOpKinds; ++i) {
    kinds.emplace_back(name_of(static_cast<PlanOpKind>(i)));
  }
  EXPECT_EQ(definitions["op"]["properties"]["op"]["enum"].get<std::vector<std::string>>(), kinds);
  std::vector<std::string> roles;
  for (std::size_t i = 0; i < kRoles; ++i) roles.emplace_back(name_of(static_cast<Role>(i)));
  EXPECT_EQ(definitions["op"]["properties"]["role"]["enum"].get<std::vector<std::string>>(), roles);
}

// A plan of a large deployment: a thousand ranks, 61 layers of three kinds, 90 events.
Lifecycle large_plan() {
  Lifecycle plan{.engine = "sglang", .world = 1024};
  std::vector<std::vector<std::int32_t>> eights(128);
  std::vector<std::vector<std::int32_t>> strides(8);
  for (std::int32_t r = 0; r < 1024; ++r) {
    eights[static_cast<std::size_t>(r / 8)].push_back(r);
    strides[static_cast<std::size_t>(r % 8)].push_back(r);
  }
  const GroupId tp = parts::add_group(plan, "attn_tp", eights);
  const GroupId ep = parts::add_group(plan, "moe_ep", strides);
  const auto ops_for = [&](std::int64_t bucket) {
    std::vector<PlanOp> ops;
    for (int kind = 0; kind < 3; ++kind) {
      ops.push_back(parts::op(PlanOpKind::attention, tp, bucket, bucket));
      ops.back().out = parts::partial(tp);
      ops.push_back(parts::reduce_scatter(tp, bucket, bucket / 8));
      ops.push_back(parts::op(PlanOpKind::all_to_all, ep, bucket / 8, bucket / 8));
      ops.push_back(parts::all_gather(tp, bucket / 8, bucket));
    }
    return ops;
  };
  const auto layers = [](Program program) {
    if (!program.ops.empty()) program.blocks = {{0, 4, 3, 0}, {4, 4, 57, 3}, {8, 4, 1, 60}};
    return program;
  };
  for (const GroupId group : {tp, ep}) plan.events.push_back(parts::create(group));
  for (std::int64_t bucket = 8; bucket <= 29 * 8; bucket += 8) {
    plan.events.push_back(
        parts::warm_up("decode", bucket,
                       {layers(parts::eager_program(RankSet(0, 1023), bucket, ops_for(bucket)))}));
    plan.events.push_back(parts::capture(
        "decode", bucket, {layers(parts::graph(RankSet(0, 1023), bucket, ops_for(bucket)))}));
    plan.events.push_back(
        parts::replay("decode", bucket - 1, {parts::graph(RankSet(0, 1023), bucket)}));
  }
  return parts::finish(plan);
}

// Would catch a writer that unfolds layers or lists a thousand ranks, and a reader that is slow in
// the number of ranks.
TEST(PlanFormat, AThousandRanksStayAFileThatAPersonCanOpen) {
  const std::string text = write_plan(large_plan());
  EXPECT_LE(text.size(), std::size_t{100} << 10);
  EXPECT_EQ(std::ranges::count(text, '\n'), 2 + 89 + 1);
  EXPECT_EQ(write_plan(read(text)), text);
}

// An event like another at twice its tokens: a count that is not scaled, or a width, a launch
// constant or a byte that is.
TEST(PlanFormat, AnEventLikeAnotherHasItsCountsScaled) {
  const Lifecycle plan = read(R"json({"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]},
    "buffers": {"b": {"bytes": 64}}, "events": [
    {"event": "capture", "path": "p", "tokens": 8, "programs": [{"ranks": "0-1", "tokens": 6,
      "requests": 2, "padded_requests": 4, "width": 2, "bucket": 8, "key": {"requests": 4, "v": 8},
      "ops": [{"op": "all_gather", "group": "tp", "rows_in": 4, "rows_out": 8, "sizes": [4, 4],
               "extents": {"slots": 8}, "launch": {"k": 8}, "writes": [{"buffer": "b", "bytes": 8}]}]}]},
    {"event": "capture", "path": "p", "tokens": 16, "like": 0}]})json");
  ASSERT_EQ(plan.events.size(), 2U);
  const Program& program = plan.events[1].programs.at(0);
  EXPECT_EQ(program.tokens, 12);
  EXPECT_EQ(program.requests, 4);
  EXPECT_EQ(program.padded_requests, 8);
  EXPECT_EQ(program.width, 2);
  EXPECT_EQ(program.bucket, 16);
  EXPECT_EQ(*program.key, (GraphKey{{"requests", "8"}, {"v", "8"}}));
  const PlanOp& op = program.ops.at(0);
  EXPECT_EQ(op.rows_in, std::vector<std::int64_t>{8});
  EXPECT_EQ(op.rows_out, 16);
  EXPECT_EQ(op.sizes, (std::vector<std::int64_t>{8, 8}));
  EXPECT_EQ(op.extents.at(0).second, 16);
  EXPECT_EQ(op.launch, plan.events[0].programs[0].ops[0].launch);
  EXPECT_EQ(op.writes, plan.events[0].programs[0].ops[0].writes);
}

}  // namespace
}  // namespace capsize::plan_format_test
