// The programs of an event in a plan file, with their operations.
#include <algorithm>

#include "scenarios/formats/plan_reading.hpp"
#include "sim/timeline.hpp"

namespace capsize::plan_reading {
namespace {

constexpr auto kOpKinds = [] {
  std::array<PlanOpKind, kPlanOpKinds> kinds{};
  for (std::size_t i = 0; i < kinds.size(); ++i) kinds.at(i) = static_cast<PlanOpKind>(i);
  return kinds;
}();
constexpr std::array kPaddings = {Padding::zero, Padding::masked, Padding::live};
constexpr std::array kSources = {DecisionSource::configuration, DecisionSource::broadcast,
                                 DecisionSource::voted, DecisionSource::rank_local};

constexpr std::array kSlots = {Slot::hidden, Slot::residual};
constexpr auto kRoleWords = [] {
  std::array<Role, kRoles> roles{};
  for (std::size_t i = 0; i < kRoles; ++i) roles.at(i) = static_cast<Role>(i);
  return roles;
}();

constexpr std::array<std::string_view, 26> kOpFields = {
    "id",         "op",     "group",  "peer",    "rows_in",  "rows_out", "sizes",
    "dtype",      "in",     "out",    "stream",  "captured", "reads",    "writes",
    "from",       "after",  "launch", "segment", "extents",  "padding",  "transport",
    "registered", "buffer", "rule",   "role",    "tensor"};

constexpr std::array<std::string_view, 11> kProgramFields = {
    "ranks", "tokens", "requests", "padded_requests", "width", "bucket",
    "mode",  "key",    "repeat",   "decides",         "ops"};

class ProgramReader {
 public:
  ProgramReader(Reading& reading, Program& program) : reading_(reading), program_(program) {}

  // The elements of "ops": operations, and blocks of them.
  Result<void> read_ops(const JsonField& list);

 private:
  Result<void> read_block(const JsonField& field);
  Result<void> read_op(const JsonField& field);
  void read_data(ObjectReader& reader, PlanOp& op);
  void read_launch(ObjectReader& reader, PlanOp& op);
  Result<void> read_ranges(const JsonField& field, std::vector<BufferRange>& out);
  Result<void> read_range(const JsonField& field, BufferRange& out);
  Result<void> read_earlier(const JsonField& field, std::vector<std::int32_t>& out, bool data);
  Result<void> name_op(const JsonField& field, const PlanOp& op);

  Result<void> check_op(const JsonField& field, const PlanOp& op);
  Result<void> check_members(const JsonField& field, const PlanOp& op);
  Result<void> check_peer(const JsonField& field, const PlanOp& op);
  [[nodiscard]] bool look() { return --reading_.looks_left >= 0; }

  void add_to_block(std::int64_t repeat, std::optional<std::int64_t> layer, std::int32_t first);
  [[nodiscard]] bool is_later(const std::string& id) const;

  Reading& reading_;
  Program& program_;
  const JsonField* list_ = nullptr;
  std::unordered_map<std::string, std::int32_t> ids_;
};

Error too_many_looks(const JsonField& field) {
  return field.error("the plan asks for more single ranks than can be looked at",
                     "state a smaller plan");
}

// Every operation lies in a block; operations that stand alone share one.
void ProgramReader::add_to_block(std::int64_t repeat, std::optional<std::int64_t> layer,
                                 std::int32_t first) {
  const auto count = static_cast<std::int32_t>(program_.ops.size()) - first;
  if (count > 0) program_.blocks.push_back({first, count, repeat, layer});
}

Result<void> ProgramReader::read_ops(const JsonField& list) {
  list_ = &list;
  auto elements = read_list(list, kProgramOpsMax);
  if (!elements) return tl::unexpected(std::move(elements.error()));
  std::int32_t first = 0;  // of the operations that stand alone
  for (const JsonField& element : *elements) {
    const bool block = element.value().is_object() && !element.value().contains("op") &&
                       element.value().contains("ops");
    if (!block) {
      if (auto read = read_op(element); !read) return read;
      continue;
    }
    add_to_block(1, {}, first);
    if (auto read = read_block(element); !read) return read;
    first = static_cast<std::int32_t>(program_.ops.size());
  }
  add_to_block(1, {}, first);
  return {};
}

Result<void> ProgramReader::read_block(const JsonField& field) {
  const auto first = static_cast<std::int32_t>(program_.ops.size());
  std::int64_t repeat = 1;
  std::optional<std::int64_t> layer;
  auto read = ObjectReader(field, {"repeat", "layer", "ops"})
                  .optional("repeat", count(repeat, 1, kRepeatMax))
                  .optional("layer", count(layer))
                  .required("ops",
                            [&](const JsonField& f) -> Result<void> {
                              auto ops = f.elements();
                              if (!ops) return tl::unexpected(std::move(ops.error()));
                              for (const JsonField& op : *ops) {
                                if (auto one = read_op(op); !one) return one;
                              }
                              return {};
                            })
                  .done();
  if (!read) return read;
  if (static_cast<std::int32_t>(program_.ops.size()) == first) {
    return fail(field.error("is a block without operations", "leave it out"));
  }
  add_to_block(repeat, layer, first);
  return {};
}

// What stands where an operation is wanted and is none, told by what it is.
Result<void> check_is_op(const JsonField& field) {
  const nlohmann::json& value = field.value();
  if (!value.is_object()) return field.object();
  if (!value.contains("op") && value.contains("ops")) {
    return fail(field.error("a block of operations inside a block", "unfold one of the two"));
  }
  const auto op = value.find("op");
  if (value.contains("event") || (op != value.end() && *op == "capture")) {
    return fail(field.error("an event inside a program: captures do not nest",
                            "write it as an event of its own"));
  }
  return {};
}

Result<void> ProgramReader::read_op(const JsonField& field) {
  if (auto is_op = check_is_op(field); !is_op) return is_op;
  if (--reading_.ops_left < 0 || program_.ops.size() >= kProgramOpsMax) {
    return fail(field.error("too many operations: more than " + std::to_string(kProgramOpsMax) +
                                " in a program, or " + std::to_string(kOpsMax) + " in a plan",
                            "fold equal layers with \"repeat\""));
  }
  PlanOp op;
  ObjectReader reader(field, kOpFields);
  reader.required("op", word(kOpKinds, op.kind)).optional("id", text(op.id));
  reader.optional("group",
                  [&](const JsonField& f) { return store(read_group(reading_, f), op.group); });
  reader.optional("peer", count(op.peer, reading_.plan.world - 1));
  read_data(reader, op);
  read_launch(reader, op);
  if (auto read = reader.done(); !read) return read;
  if (auto named = name_op(field, op); !named) return named;
  if (auto sound = check_op(field, op); !sound) return sound;
  program_.ops.push_back(std::move(op));
  return {};
}

// What the operation does to which rows and bytes.
void ProgramReader::read_data(ObjectReader& reader, PlanOp& op) {
  reader.optional("rows_in", [&](const JsonField& f) {
    if (f.value().is_array()) return store(f.integers(0, kCountMax), op.rows_in);
    return store(f.integer(0, kCountMax), op.rows_in.emplace_back());
  });
  reader.optional("rows_out", count(op.rows_out)).optional("sizes", counts(op.sizes));
  reader.optional("dtype", text(op.dtype));
  reader.optional("in", [&](const JsonField& f) -> Result<void> {
    auto layouts = one_or_many(f);
    if (!layouts) return tl::unexpected(std::move(layouts.error()));
    for (const JsonField& each : *layouts) {
      if (auto read = store(read_layout(reading_, each), op.in.emplace_back()); !read) return read;
    }
    return {};
  });
  reader.optional("out",
                  [&](const JsonField& f) { return store(read_layout(reading_, f), op.out); });
  reader.optional("reads", [&](const JsonField& f) { return read_ranges(f, op.reads); });
  reader.optional("writes", [&](const JsonField& f) { return read_ranges(f, op.writes); });
  reader.optional("from",
                  [&](const JsonField& f) { return read_earlier(f, op.from.emplace(), true); });
  reader.optional("extents", [&](const JsonField& f) -> Result<void> {
    if (auto object = f.object(); !object) return object;
    for (const auto& item : f.value().items()) {
      const JsonField rows(item.value(), json_path(f.path(), item.key()));
      if (auto named = check_name(rows, item.key()); !named) return named;
      std::int64_t& value = op.extents.emplace_back(item.key(), 0).second;
      if (auto read = store(rows.integer(0, kCountMax), value); !read) return read;
    }
    return {};
  });
  reader.optional("padding", word(kPaddings, op.padding));
  reader.optional("role", word(kRoleWords, op.role)).optional("tensor", word(kSlots, op.tensor));
  reader.optional("buffer",
                  [&](const JsonField& f) { return store(read_buffer(reading_, f), op.buffer); });
}

// When, where and how it is issued.
void ProgramReader::read_launch(ObjectReader& reader, PlanOp& op) {
  reader.optional("stream", [&](const JsonField& f) -> Result<void> {
    auto stream = f.integer(0, kStreamMax);
    if (!stream) return tl::unexpected(std::move(stream.error()));
    op.stream = static_cast<std::int32_t>(*stream);
    return {};
  });
  reader.optional("captured", truth(op.captured)).optional("registered", truth(op.registered));
  reader.optional("after", [&](const JsonField& f) { return read_earlier(f, op.after, false); });
  reader.optional("launch", [&](const JsonField& f) { return store(read_scalars(f), op.launch); });
  reader.optional("segment", count(op.segment));
  reader.optional("transport", word(kTransports, op.transport));
  reader.optional("rule", text(op.rule));
}

Result<void> ProgramReader::read_ranges(const JsonField& field, std::vector<BufferRange>& out) {
  auto ranges = one_or_many(field);
  if (!ranges) return tl::unexpected(std::move(ranges.error()));
  for (const JsonField& each : *ranges) {
    if (auto read = read_range(each, out.emplace_back()); !read) return read;
  }
  return {};
}

// Which bytes of a buffer; the plain name of a buffer is all of it. An offset may lie before the
// buffer: that is a defect for a law to tell.
Result<void> ProgramReader::read_range(const JsonField& field, BufferRange& out) {
  if (field.value().is_string()) return store(read_buffer(reading_, field), out.buffer);
  return ObjectReader(field, {"buffer", "offset", "bytes"})
      .required("buffer",
                [&](const JsonField& f) { return store(read_buffer(reading_, f), out.buffer); })
      .optional("offset", count(out.offset, -kCountMax))
      .optional("bytes", count(out.bytes, 0))
      .done();
}

// Whether an operation from here on has this id: the one at hand, or one behind it.
bool ProgramReader::is_later(const std::string& id) const {
  const auto has = [&](const nlohmann::json& op) {
    const auto found = op.is_object() ? op.find("id") : op.end();
    return op.is_object() && found != op.end() && *found == id;
  };
  return std::ranges::any_of(list_->value(), [&](const nlohmann::json& element) {
    if (!element.is_object() || !element.contains("ops")) return has(element);
    return element["ops"].is_array() && std::ranges::any_of(element["ops"], has);
  });
}

// The ids of earlier operations of this program.
Result<void> ProgramReader::read_earlier(const JsonField& field, std::vector<std::int32_t>& out,
                                         bool data) {
  auto list = one_or_many(field);
  if (!list) return tl::unexpected(std::move(list.error()));
  for (const JsonField& each : *list) {
    auto id = read_text(each);
    if (!id) return tl::unexpected(std::move(id.error()));
    const auto found = ids_.find(*id);
    if (found != ids_.end()) {
      out.push_back(found->second);
      continue;
    }
    if (is_later(*id)) {
      return fail(each.error("a cycle: \"" + *id + "\" does not come before this operation",
                             data ? "an operation reads what earlier ones of its program made"
                                  : "name operations that are issued earlier"));
    }
    std::vector<std::string_view> known;
    for (const PlanOp& op : program_.ops) {
      if (!op.id.empty()) known.emplace_back(op.id);
    }
    return fail(each.error("no operation of this program has the id \"" + *id + "\"",
                           known.empty() ? "give the operation that is meant an \"id\""
                                         : hint_for(*id, known, "ops")));
  }
  return {};
}

Result<void> ProgramReader::name_op(const JsonField& field, const PlanOp& op) {
  if (op.id.empty()) return {};
  const auto place = static_cast<std::int32_t>(program_.ops.size());
  if (ids_.emplace(op.id, place).second) return {};
  return fail(Error{json_path(field.path(), "id"),
                    "another operation of this program has the id \"" + op.id + "\" too",
                    "give each its own id"});
}

Result<void> ProgramReader::check_op(const JsonField& field, const PlanOp& op) {
  const std::string kind(name_of(op.kind));
  if (is_collective(op.kind) && !op.group.valid()) {
    return fail(Error{json_path(field.path(), "group"), "is missing: " + kind + " needs a group",
                      "name the group whose ranks take part"});
  }
  if (is_point_to_point(op.kind) != op.peer.has_value()) {
    return fail(Error{
        json_path(field.path(), "peer"),
        op.peer ? kind + " has no peer" : "is missing: " + kind + " needs the rank it reaches",
        "only send and recv have one"});
  }
  const bool holds_buffer = op.kind == PlanOpKind::allocate || op.kind == PlanOpKind::free;
  if (op.buffer >= 0 && !holds_buffer) {
    return fail(Error{json_path(field.path(), "buffer"), kind + " has no buffer of its own",
                      "state what it reads and writes in \"reads\" and \"writes\""});
  }
  if (!op.in.empty() && !op.rows_in.empty() && op.in.size() != op.rows_in.size()) {
    return fail(Error{json_path(field.path(), "rows_in"),
                      "states rows of " + std::to_string(op.rows_in.size()) +
                          " operands, but \"in\" layouts of " + std::to_string(op.in.size()),
                      "give one value for each data operand in both"});
  }
  return check_members(field, op).and_then([&] { return check_peer(field, op); });
}

// Every rank that runs the operation is in a group of its family. Creating a group is the
// exception: ranks that stay outside make the call as well.
Result<void> ProgramReader::check_members(const JsonField& field, const PlanOp& op) {
  if (!op.group.valid() || op.kind == PlanOpKind::create_group) return {};
  const FamilyFacts& facts = reading_.facts[static_cast<std::size_t>(op.group.index)];
  if (facts.complete) return {};
  const PlanGroups& family = reading_.plan.family(op.group);
  for (const RankRange& range : program_.ranks.ranges()) {
    const auto end = static_cast<std::size_t>(range.last) + 1;
    if (facts.outside[end] == facts.outside[static_cast<std::size_t>(range.first)]) continue;
    std::int64_t rank = range.first;
    while (family.group_of[static_cast<std::size_t>(rank)] >= 0) ++rank;
    return fail(Error{json_path(field.path(), "group"),
                      "rank " + std::to_string(rank) + " is in no group of " + family.name,
                      "give that rank a program of its own, or another group"});
  }
  return {};
}

Result<void> ProgramReader::check_peer(const JsonField& field, const PlanOp& op) {
  if (!op.peer) return {};
  for (const RankRange& range : program_.ranks.ranges()) {
    for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
      if (!look()) return fail(too_many_looks(field));
      if (peer_of(reading_.plan, program_, op, rank)) return {};
    }
  }
  return fail(Error{json_path(field.path(), "peer"),
                    std::to_string(*op.peer) + " reaches no rank from ranks " +
                        program_.ranks.text().substr(0, kTextMax),
                    "name the rank that the first of them reaches, or its position in the group"});
}

// ---- programs ---------------------------------------------------------------------------------

Result<void> read_input(const Reading& reading, const JsonField& field, DecisionInput& out) {
  return ObjectReader(field, {"input", "from", "group"})
      .required("input", text(out.input))
      .required("from", word(kSources, out.from))
      .optional("group",
                [&](const JsonField& f) { return store(read_group(reading, f), out.group); })
      .done();
}

Result<void> read_decisions(const Reading& reading, const JsonField& field,
                            std::vector<Decision>& out) {
  if (auto object = field.object(); !object) return object;
  for (const auto& item : field.value().items()) {
    const JsonField list(item.value(), json_path(field.path(), item.key()));
    if (auto named = check_name(list, item.key()); !named) return named;
    auto inputs = list.elements();
    if (!inputs) return tl::unexpected(std::move(inputs.error()));
    Decision& decision = out.emplace_back();
    decision.what = item.key();
    for (const JsonField& input : *inputs) {
      if (auto read = read_input(reading, input, decision.inputs.emplace_back()); !read) {
        return read;
      }
    }
  }
  return {};
}

Result<void> read_program(Reading& reading, const JsonField& field, Program& out) {
  if (--reading.programs_left < 0) {
    return fail(
        field.error("the plan holds more than " + std::to_string(kProgramsMax) + " programs",
                    "state a smaller plan"));
  }
  ObjectReader reader(field, kProgramFields);
  reader.required("ranks",
                  [&](const JsonField& f) { return store(read_ranks(reading, f), out.ranks); });
  reader.optional("tokens", count(out.tokens)).optional("requests", count(out.requests));
  reader.optional("padded_requests", count(out.padded_requests));
  reader.optional("width", count(out.width)).optional("bucket", count(out.bucket));
  reader.optional("mode", word(kModes, out.mode));
  reader.optional("key", [&](const JsonField& f) { return store(read_scalars(f), out.key); });
  reader.optional("repeat", count(out.repeat, 1, kRepeatMax));
  reader.optional("decides",
                  [&](const JsonField& f) { return read_decisions(reading, f, out.decides); });
  reader.optional("ops",
                  [&](const JsonField& f) { return ProgramReader(reading, out).read_ops(f); });
  return reader.done();
}

// No rank is in two programs of one event.
Result<void> check_apart(const JsonField& field, const std::vector<Program>& programs) {
  struct Owned {
    RankRange range;
    std::size_t program;
  };
  if (programs.size() < 2) return {};
  std::vector<Owned> owned;
  for (std::size_t p = 0; p < programs.size(); ++p) {
    for (const RankRange& range : programs[p].ranks.ranges()) owned.push_back({range, p});
  }
  std::ranges::sort(owned, {}, [](const Owned& each) { return each.range.first; });
  for (std::size_t i = 1; i < owned.size(); ++i) {
    if (owned[i].range.first > owned[i - 1].range.last) continue;
    const auto [one, other] = std::minmax(owned[i - 1].program, owned[i].program);
    return fail(Error{json_path(json_path(field.path(), other), "ranks"),
                      "rank " + std::to_string(owned[i].range.first) + " is in programs[" +
                          std::to_string(one) + "] and in programs[" + std::to_string(other) + "]",
                      "a rank runs one program in an event"});
  }
  return {};
}

}  // namespace

Result<void> read_programs(Reading& reading, const JsonField& field, PlanEvent& event) {
  auto list = field.elements();
  if (!list) return tl::unexpected(std::move(list.error()));
  for (const JsonField& each : *list) {
    if (auto read = read_program(reading, each, event.programs.emplace_back()); !read) return read;
  }
  return check_apart(field, event.programs);
}

}  // namespace capsize::plan_reading
