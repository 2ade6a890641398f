// Plan files lose nothing: random lifecycles over all fields, and every planted fault, are the same
// after they were written and read.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "properties/law.hpp"
#include "properties/plan_mutants.hpp"
#include "scenarios/formats/plan.hpp"
#include "sim/timeline.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::plan_format_property_test {
namespace {

// ---- equality over all fields -----------------------------------------------------------------

// The fields of a structure, taken apart: one that is added later does not compile here until it
// is compared too.
auto fields(const PlanGroups& value) {
  const auto& [name, groups, transport, group_of, position_of] = value;
  return std::tie(name, groups, transport, group_of, position_of);
}
auto fields(const PlanBuffer& value) {
  const auto& [name, bytes, owner, kind, memory] = value;
  return std::tie(name, bytes, owner, kind, memory);
}
auto fields(const PlanOp& value) {
  const auto& [id, kind, group, rows_in, rows_out, dtype, in, out, stream, captured, reads, writes,
               after, from, peer, sizes, launch, segment, extents, padding, transport, registered,
               buffer, rule, role, tensor] = value;
  return std::tie(id, kind, group, rows_in, rows_out, dtype, in, out, stream, captured, reads,
                  writes, after, from, peer, sizes, launch, segment, extents, padding, transport,
                  registered, buffer, rule, role, tensor);
}
auto fields(const ModelLayers& value) {
  const auto& [kind, count] = value;
  return std::tie(kind, count);
}
auto fields(const OpBlock& value) {
  const auto& [first_op, count, repeat, layer] = value;
  return std::tie(first_op, count, repeat, layer);
}
auto fields(const DecisionInput& value) {
  const auto& [input, from, group] = value;
  return std::tie(input, from, group);
}
auto fields(const Decision& value) {
  const auto& [what, inputs] = value;
  return std::tie(what, inputs);
}
auto fields(const Program& value) {
  const auto& [ranks, tokens, requests, padded_requests, width, bucket, mode, key, repeat, decides,
               ops, blocks] = value;
  return std::tie(ranks, tokens, requests, padded_requests, width, bucket, mode, key, repeat,
                  decides, ops, blocks);
}
auto fields(const PlanEvent& value) {
  const auto& [kind, id, path, tokens, groups, transport, buffer, bytes, generation, ranks, stream,
               after, capture_mode, programs] = value;
  return std::tie(kind, id, path, tokens, groups, transport, buffer, bytes, generation, ranks,
                  stream, after, capture_mode, programs);
}
auto fields(const Admission& value) {
  const auto& [unit, scope, max] = value;
  return std::tie(unit, scope, max);
}
auto fields(const PlanCapture& value) {
  const auto& [path, unit, mode, key, kept, named, width, admits, admission, pool, bytes] = value;
  return std::tie(path, unit, mode, key, kept, named, width, admits, admission, pool, bytes);
}
auto fields(const PlanWeight& value) {
  const auto& [name, dim, group, block] = value;
  return std::tie(name, dim, group, block);
}
auto fields(const PlanMemory& value) {
  const auto& [budget, weights, activations, kv] = value;
  return std::tie(budget, weights, activations, kv);
}
auto fields(const Lifecycle& value) {
  const auto& [engine, world, layers, families, captures, buffers, weights, libraries, memory,
               events] = value;
  return std::tie(engine, world, layers, families, captures, buffers, weights, libraries, memory,
                  events);
}

template <class T>
concept Comparable = requires(const T& value) {
  value == value;
};
template <class T>
concept Structure = requires(const T& value) {
  fields(value);
};

struct Same {
  template <Structure T>
  bool operator()(const T& a, const T& b) const {
    return std::apply(
        [&](const auto&... left) {
          return std::apply([&](const auto&... right) { return ((*this)(left, right) && ...); },
                            fields(b));
        },
        fields(a));
  }
  template <class T>
  requires(!Structure<T>) bool operator()(const std::vector<T>& a, const std::vector<T>& b) const {
    return a == b;
  }
  template <Structure T>
  bool operator()(const std::vector<T>& a, const std::vector<T>& b) const {
    return std::ranges::equal(a, b, *this);
  }
  template <Structure T>
  bool operator()(const std::optional<T>& a, const std::optional<T>& b) const {
    return a.has_value() == b.has_value() && (!a || (*this)(*a, *b));
  }
  template <class T>
  requires(Comparable<T> && !Structure<T>) bool operator()(const T& a, const T& b) const {
    return a == b;
  }
};

// ---- random lifecycles ------------------------------------------------------------------------

// A row of numbers read as choices; past its end everything is left out. Shorter rows of smaller
// numbers are simpler plans, so a failure shrinks.
class Choices {
 public:
  explicit Choices(std::vector<std::uint16_t> numbers) : numbers_(std::move(numbers)) {}

  std::size_t below(std::size_t count) {
    return at_ < numbers_.size() ? numbers_[at_++] % count : 0;
  }
  bool yes() { return below(2) == 1; }
  std::int64_t number() {
    constexpr std::array<std::int64_t, 6> values = {0, 1, 8, 13, 4096, std::int64_t{1} << 53};
    return values.at(below(values.size()));
  }
  std::string text() {
    static const std::array<std::string, 6> values = {
        "a", "decode", "two words", "\"quoted\\", "\xc3\xbc", std::string(256, 'x')};
    return values.at(below(values.size()));
  }
  std::optional<std::int64_t> maybe_number() {
    return yes() ? std::optional(number()) : std::nullopt;
  }
  std::optional<bool> maybe_truth() { return yes() ? std::optional(yes()) : std::nullopt; }
  template <class Enum>
  std::optional<Enum> maybe(std::size_t count) {
    if (!yes()) return std::nullopt;
    return static_cast<Enum>(below(count));
  }
  std::string maybe_text() { return yes() ? text() : ""; }
  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> out;
    for (std::size_t i = below(4); i > 0; --i) out.push_back(number());
    return out;
  }
  // Scalars by sorted names.
  std::vector<NamedValue> scalars() {
    static const std::array<std::string, 6> values = {"16", "true", "\"fa3\"", "-1.5", "\"\"", "0"};
    std::vector<NamedValue> out;
    for (const char* name : {"A", "a b", "tokens"}) {
      if (yes()) out.emplace_back(name, values.at(below(values.size())));
    }
    return out;
  }

 private:
  std::vector<std::uint16_t> numbers_;
  std::size_t at_ = 0;
};

class PlanMaker {
 public:
  explicit PlanMaker(Choices choices) : choose_(std::move(choices)) {}

  Lifecycle make() {
    plan_.engine = choose_.maybe_text();
    plan_.world = 1 + static_cast<std::int64_t>(choose_.below(12));
    add_layers();
    add_families();
    add_buffers();
    index_groups(plan_);
    for (std::size_t i = choose_.below(5); i > 0; --i) add_event();
    add_captures();
    add_machine();
    return std::move(plan_);
  }

 private:
  RankSet some_ranks() {
    RankSet out;
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
      if (choose_.yes()) out.append({rank, rank});
    }
    return out;
  }
  GroupId some_group() {
    const std::size_t place = choose_.below(plan_.families.size() + 1);
    return GroupId{static_cast<std::int8_t>(static_cast<int>(place) - 1)};
  }
  std::int32_t some_buffer() {
    return static_cast<std::int32_t>(choose_.below(plan_.buffers.size()));
  }

  // Neighbours of one kind stay apart: the file says which runs there are.
  void add_layers() {
    for (std::size_t i = choose_.below(4); i > 0; --i) {
      plan_.layers.push_back({.kind = static_cast<LayerMathematics>(choose_.below(2)),
                              .count = 1 + static_cast<std::int64_t>(choose_.below(30000))});
    }
  }

  // Every rank chooses a group or none; positions run up or down.
  void add_families() {
    for (const char* name : {"attn_tp", "dp", "e"}) {
      if (!choose_.yes()) continue;
      std::vector<std::vector<std::int32_t>> groups(2);
      for (std::int32_t rank = 0; rank < plan_.world; ++rank) {
        const std::size_t group = choose_.below(3);
        if (group < 2) groups[group].push_back(rank);
      }
      std::erase_if(groups, [](const auto& group) { return group.empty(); });
      if (choose_.yes()) {
        for (auto& group : groups) std::ranges::reverse(group);
      }
      plan_.families.push_back({.name = name, .groups = std::move(groups)});
      plan_.families.back().transport = choose_.maybe<Transport>(3);
    }
  }

  void add_buffers() {
    for (const char* name : {"a b", "kv", "ws"}) {
      plan_.buffers.push_back({.name = name, .bytes = choose_.maybe_number()});
      PlanBuffer& buffer = plan_.buffers.back();
      if (choose_.yes()) buffer.owner = some_ranks();
      buffer.kind = choose_.maybe<BufferKind>(6);
      buffer.memory = static_cast<MemoryKind>(choose_.below(2));
    }
  }

  void add_captures() {
    for (std::size_t i = choose_.below(3); i > 0; --i) {
      PlanCapture capture{.path = choose_.text(), .unit = static_cast<Unit>(choose_.below(2))};
      capture.mode = choose_.maybe<GraphMode>(3);
      if (choose_.yes()) capture.key = choose_.scalars();
      capture.kept = choose_.numbers();
      capture.named = choose_.numbers();
      capture.width = choose_.maybe_number();
      if (choose_.yes()) capture.admits = choose_.numbers();
      if (choose_.yes()) {
        capture.admission = Admission{.unit = choose_.maybe<Unit>(2),
                                      .scope = choose_.maybe<AdmissionScope>(2),
                                      .max = choose_.maybe_number()};
      }
      capture.pool = choose_.maybe_text();
      capture.bytes = choose_.maybe_number();
      plan_.captures.push_back(std::move(capture));
    }
  }

  void add_machine() {
    for (std::size_t i = choose_.below(3); i > 0; --i) {
      plan_.weights.push_back(
          {.name = choose_.text(), .dim = choose_.number(), .group = some_group()});
      plan_.weights.back().block = 1 + static_cast<std::int64_t>(choose_.below(128));
    }
    for (const char* name : {"cuda", "nccl"}) {
      if (choose_.yes()) plan_.libraries.emplace_back(name, choose_.text());
    }
    if (!choose_.yes()) return;
    plan_.memory = PlanMemory{.budget_bytes = choose_.number(),
                              .weights_bytes = choose_.number(),
                              .activations_bytes = choose_.number(),
                              .kv_bytes = choose_.number()};
  }

  // ---- events ---------------------------------------------------------------------------------

  void add_event() {
    PlanEvent event{.kind = static_cast<PlanEventKind>(choose_.below(8))};
    const bool about_groups =
        event.kind == PlanEventKind::create_group || event.kind == PlanEventKind::register_groups;
    // Without groups there is nothing to create or to register.
    if (about_groups && plan_.families.empty()) event.kind = PlanEventKind::eager;
    if (choose_.yes()) event.path = choose_.text();
    event.tokens = choose_.maybe_number();
    if (choose_.yes()) event.stream = static_cast<std::int64_t>(choose_.below(64));
    switch (event.kind) {
      case PlanEventKind::create_group:
      case PlanEventKind::register_groups: fill_groups(event); break;
      case PlanEventKind::allocate:
      case PlanEventKind::free: fill_buffer(event); break;
      default: fill_run(event);
    }
    if (choose_.yes()) event.id = "event " + std::to_string(plan_.events.size());
    for (std::size_t i = 0; i < plan_.events.size(); ++i) {
      if (!plan_.events[i].id.empty() && choose_.yes()) {
        event.after.push_back(static_cast<std::int32_t>(i));
      }
    }
    plan_.events.push_back(std::move(event));
  }

  void fill_groups(PlanEvent& event) {
    event.groups = {GroupId{static_cast<std::int8_t>(choose_.below(plan_.families.size()))}};
    if (choose_.yes()) event.ranks = some_ranks();
    if (event.kind == PlanEventKind::create_group) {
      // The event may tell the transport, which is that of the family.
      if (choose_.yes()) event.transport = plan_.family(event.groups.front()).transport;
    } else {
      for (std::size_t i = 0; i < plan_.families.size(); ++i) {
        const GroupId other{static_cast<std::int8_t>(i)};
        if (!(other == event.groups.front()) && choose_.yes()) event.groups.push_back(other);
      }
    }
  }

  // The first buffer is only freed, the others are only allocated.
  void fill_buffer(PlanEvent& event) {
    const bool frees = event.kind == PlanEventKind::free;
    event.buffer = frees ? 0 : 1 + static_cast<std::int32_t>(choose_.below(2));
    if (choose_.yes()) event.ranks = some_ranks();
    if (frees) return;
    event.bytes = choose_.maybe_number();
    event.generation = choose_.maybe_number();
  }

  void fill_run(PlanEvent& event) {
    if (event.kind == PlanEventKind::capture) {
      event.capture_mode = choose_.maybe<CaptureMode>(3);
      // Captures on several streams at once would be captures inside one another.
      if (event.stream) event.stream = 0;
    }
    const bool needs_path =
        event.kind == PlanEventKind::capture || event.kind == PlanEventKind::replay;
    if (needs_path && event.path.empty()) event.path = choose_.text();
    std::vector<RankSet> classes(3);
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
      classes[choose_.below(3)].append({rank, rank});
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (!classes[i].empty()) event.programs.push_back(a_program(std::move(classes[i])));
    }
  }

  Program a_program(RankSet ranks) {
    Program program{.ranks = std::move(ranks)};
    program.tokens = choose_.maybe_number();
    program.requests = choose_.maybe_number();
    program.padded_requests = choose_.maybe_number();
    program.width = choose_.maybe_number();
    program.bucket = choose_.maybe_number();
    program.mode = choose_.maybe<GraphMode>(3);
    if (choose_.yes()) program.key = choose_.scalars();
    program.repeat = 1 + static_cast<std::int64_t>(choose_.below(100000));
    for (const char* what : {"bucket", "mode"}) {
      if (!choose_.yes()) continue;
      program.decides.push_back({.what = what});
      for (std::size_t i = choose_.below(3); i > 0; --i) {
        program.decides.back().inputs.push_back(
            {.input = choose_.text(),
             .from = static_cast<DecisionSource>(choose_.below(4)),
             .group = some_group()});
      }
    }
    for (std::size_t i = choose_.below(4); i > 0; --i) add_block(program);
    return program;
  }

  // Blocks without a frame follow one another as one.
  void add_block(Program& program) {
    OpBlock block{.first_op = static_cast<std::int32_t>(program.ops.size())};
    block.count = 1 + static_cast<std::int32_t>(choose_.below(2));
    if (choose_.yes()) block.repeat = 1 + static_cast<std::int64_t>(choose_.below(100000));
    if (choose_.yes()) block.layer = choose_.number();
    for (std::int32_t i = 0; i < block.count; ++i) program.ops.push_back(an_op(program));
    const auto bare = [](const OpBlock& each) { return each.repeat == 1 && !each.layer; };
    if (!program.blocks.empty() && bare(program.blocks.back()) && bare(block)) {
      program.blocks.back().count += block.count;
    } else {
      program.blocks.push_back(block);
    }
  }

  // ---- operations -----------------------------------------------------------------------------

  bool all_in(const Program& program, GroupId group) const {
    bool all = true;
    program.ranks.for_each([&](std::int64_t rank) { all = all && plan_.size_at(group, rank) > 0; });
    return all;
  }

  PlanOp an_op(const Program& program) {
    PlanOp op{.kind = static_cast<PlanOpKind>(choose_.below(kPlanOpKinds))};
    op.group = some_group();
    if (op.group.valid() && !all_in(program, op.group)) op.group = GroupId{};
    if (is_collective(op.kind) && !op.group.valid()) op.kind = PlanOpKind::kernel;
    if (is_point_to_point(op.kind)) {
      op.peer = static_cast<std::int64_t>(choose_.below(static_cast<std::size_t>(plan_.world)));
      if (!peer_of(plan_, program, op, program.ranks.first())) op.group = GroupId{};
    }
    fill_data(op);
    fill_launch(op);
    if (choose_.yes()) op.id = "op " + std::to_string(program.ops.size());
    std::vector<std::int32_t> named;
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      if (!program.ops[i].id.empty()) named.push_back(static_cast<std::int32_t>(i));
    }
    for (const std::int32_t each : named) {
      if (choose_.yes()) op.after.push_back(each);
    }
    if (choose_.yes()) {
      op.from.emplace();
      for (const std::int32_t each : named) {
        if (choose_.yes()) op.from->push_back(each);
      }
    }
    return op;
  }

  Layout a_layout() {
    Layout layout;
    if (plan_.families.empty()) return layout;
    for (std::size_t i = choose_.below(7); i > 0; --i) {
      layout.push({static_cast<LayoutKind>(choose_.below(2)),
                   GroupId{static_cast<std::int8_t>(choose_.below(plan_.families.size()))}});
    }
    return layout;
  }

  std::vector<BufferRange> some_ranges() {
    std::vector<BufferRange> out;
    for (std::size_t i = choose_.below(3); i > 0; --i) {
      const std::int64_t offset = choose_.number();
      out.push_back(
          {some_buffer(), choose_.yes() ? -offset : offset, choose_.maybe_number().value_or(-1)});
    }
    return out;
  }

  void fill_data(PlanOp& op) {
    op.rows_in = choose_.numbers();
    op.rows_out = choose_.maybe_number();
    op.dtype = choose_.maybe_text();
    if (choose_.yes()) {
      const std::size_t operands = op.rows_in.empty() ? choose_.below(3) : op.rows_in.size();
      for (std::size_t i = 0; i < operands; ++i) op.in.push_back(a_layout());
    }
    if (choose_.yes()) op.out = a_layout();
    op.reads = some_ranges();
    op.writes = some_ranges();
    if (choose_.yes()) op.sizes = choose_.numbers();
  }

  void fill_launch(PlanOp& op) {
    op.stream = static_cast<std::int32_t>(choose_.below(64));
    op.captured = choose_.maybe_truth();
    op.launch = choose_.scalars();
    op.segment = choose_.maybe_number();
    for (const char* name : {"slot_mapping", "x y"}) {
      if (choose_.yes()) op.extents.emplace_back(name, choose_.number());
    }
    op.padding = choose_.maybe<Padding>(3);
    op.role = static_cast<Role>(choose_.below(kRoles));
    op.tensor = static_cast<Slot>(choose_.below(2));
    op.transport = choose_.maybe<Transport>(3);
    op.registered = choose_.maybe_truth();
    op.rule = choose_.maybe_text();
    const bool holds = op.kind == PlanOpKind::allocate || op.kind == PlanOpKind::free;
    if (holds && choose_.yes()) op.buffer = some_buffer();
  }

  Choices choose_;
  Lifecycle plan_;
};

rc::Gen<std::vector<std::uint16_t>> rows() {
  constexpr int kLongest = 250;
  return rc::gen::resize(kLongest, rc::gen::container<std::vector<std::uint16_t>>(
                                       rc::gen::arbitrary<std::uint16_t>()));
}

// Would catch a field that one of reader and writer forgets, mistakes for another or cuts short,
// a reader that refuses what is sound, and a text that is not written the same way again.
TEST(PlanFormat, WhatIsWrittenReadsBackEqual) {
  EXPECT_TRUE(property::holds("what is written reads back equal", [] {
    const Lifecycle plan = PlanMaker(Choices(*rows())).make();
    const std::string text = write_plan(plan);
    const auto back = read_plan(text);
    if (!back) RC_FAIL(back.error().where + ": " + back.error().text + "\n" + text);
    if (!Same()(plan, *back)) RC_FAIL("not the same: " + text + "\nbut: " + write_plan(*back));
    RC_ASSERT(write_plan(*back) == text);
  }));
}

// ---- planted faults ---------------------------------------------------------------------------

// What is found. Not the blame: a file has groups and buffers sorted by name, and where several are
// at fault the first of them is told.
std::string told(const Lifecycle& plan) {
  std::string out;
  for (const Finding& finding : judge_plan(Timeline(plan))) {
    out.append(finding.law).append(" ").append(finding.path).append(": ");
    out.append(name_of(finding.verdict)).append(" ").append(name_of(finding.symptom)).append("\n");
  }
  return out;
}

class FaultInAFile : public testing::TestWithParam<PlanMutant> {};

// Would catch a defect that cannot be stated as a plan file, or that is another one once it is.
TEST_P(FaultInAFile, IsJudgedAsTheOneInMemory) {
  for (const Lifecycle& plan : {GetParam().faulty(), GetParam().healthy()}) {
    const std::string text = write_plan(plan);
    const auto back = read_plan(text);
    // Counts that no JSON reader holds exactly are the one thing that a file cannot state.
    const bool beyond = text.find(std::to_string(INT64_MAX)) != std::string::npos;
    if (beyond) {
      ASSERT_FALSE(back) << text;
      EXPECT_NE(back.error().text.find("is out of range"), std::string::npos) << back.error().text;
      continue;
    }
    ASSERT_TRUE(back) << back.error().where << ": " << back.error().text << "\n" << text;
    EXPECT_EQ(told(*back), told(plan)) << text;
    EXPECT_EQ(write_plan(*back), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Planted, FaultInAFile,
                         testing::ValuesIn(plan_mutants().begin(), plan_mutants().end()),
                         [](const testing::TestParamInfo<PlanMutant>& at) {
                           return std::string(at.param.law) + "_" + std::string(at.param.name);
                         });

}  // namespace
}  // namespace capsize::plan_format_property_test
