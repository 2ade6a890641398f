// write_plan(): a lifecycle as a plan file, in the order of fields that the format teaches.
#include <algorithm>
#include <set>

#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/plan_like.hpp"

namespace capsize {
namespace {

// Kinds of steps that later events are compared with.
constexpr std::size_t kKindsMost = 64;

// A first look before whole programs are scaled and compared.
bool alike(const PlanEvent& a, const PlanEvent& b) {
  return std::ranges::equal(a.programs, b.programs, [](const Program& x, const Program& y) {
    return x.ranks == y.ranks && x.mode == y.mode && x.ops.size() == y.ops.size();
  });
}

// From how many ranks on a group is written as ranges instead of a list.
constexpr std::size_t kListedRanks = 16;

std::string_view name_of_unit(Unit unit) { return unit == Unit::tokens ? "tokens" : "requests"; }

// "0-3,8,16-56:8": ranks in their order, runs with one step folded.
std::string text_of_ranks(const std::vector<std::int64_t>& ranks) {
  std::string out;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t end = i + 1;  // one past the run that begins at i
    const std::int64_t step = end < ranks.size() ? ranks[end] - ranks[i] : 0;
    while (step > 0 && end < ranks.size() && ranks[end] - ranks[end - 1] == step) ++end;
    // A pair with a step is no shorter than its two ranks.
    if (step > 1 && end - i < 3) end = i + 1;
    out.append(out.empty() ? "" : ",").append(std::to_string(ranks[i]));
    if (end - i > 1) {
      out.append("-").append(std::to_string(ranks[end - 1]));
      if (step > 1) out.append(":").append(std::to_string(step));
    }
    i = end;
  }
  return out;
}

std::string text_of_ranks(const RankSet& ranks) {
  if (ranks.ranges().size() < 3) return ranks.text();
  const bool single = std::ranges::all_of(
      ranks.ranges(), [](const RankRange& range) { return range.first == range.last; });
  if (!single) return ranks.text();
  std::vector<std::int64_t> each;
  each.reserve(ranks.ranges().size());
  for (const RankRange& range : ranks.ranges()) each.push_back(range.first);
  return text_of_ranks(each);
}

// Places of a list in the order of the names that `name_at` gives.
template <class T, class Name>
std::vector<const T*> sorted(const std::vector<T>& list, const Name& name) {
  std::vector<const T*> out;
  out.reserve(list.size());
  for (const T& each : list) out.push_back(&each);
  std::ranges::sort(out, {}, [&](const T* each) -> const std::string& { return name(*each); });
  return out;
}

// Ids of what others name: their own, or one made up that nothing else has.
template <class T>
std::vector<std::string> ids_for(const std::vector<T>& list, const std::vector<bool>& named,
                                 std::string_view prefix) {
  std::set<std::string, std::less<>> taken;
  for (const T& each : list) taken.insert(each.id);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::string id = list[i].id;
    if (id.empty() && named[i]) {
      id = std::string(prefix) + std::to_string(i);
      while (!taken.insert(id).second) id += "_";
    }
    ids.push_back(std::move(id));
  }
  return ids;
}

class PlanWriter {
 public:
  explicit PlanWriter(const Lifecycle& plan) : plan_(plan) {}
  [[nodiscard]] std::string text() &&;

 private:
  void write_layers();
  void write_groups();
  void write_captures();
  void write_capture(const PlanCapture& capture);
  void write_buffers();
  void write_weights();
  void write_machine();
  void write_events();
  void write_event(const PlanEvent& event, const std::string& id);
  [[nodiscard]] std::optional<std::int64_t> like_of(const PlanEvent& event);
  void write_event_groups(const PlanEvent& event);
  void write_program(const Program& program);
  void write_decisions(const std::vector<Decision>& decisions);
  void write_ops(const Program& program);
  void write_op(const PlanOp& op, const std::string& id);
  void write_rows(const PlanOp& op);
  void write_launch(const PlanOp& op);

  void field(std::string_view name, const std::optional<std::int64_t>& value) {
    if (value) out_.field(name, *value);
  }
  void field(std::string_view name, const std::string& value) {
    if (!value.empty()) out_.field(name, std::string_view(value));
  }
  void field(std::string_view name, const std::optional<bool>& value) {
    if (value) out_.field(name, *value);
  }
  template <class Enum>
  requires std::is_enum_v<Enum>
  void field(std::string_view name, const std::optional<Enum>& value) {
    if (value) out_.field(name, name_of(*value));
  }
  void field(std::string_view name, GroupId group) {
    if (group.valid()) out_.field(name, std::string_view(plan_.family(group).name));
  }
  void buffer(std::int32_t place) {
    if (place >= 0) out_.field("buffer", std::string_view(name_of_buffer(place)));
  }
  void ranks(std::string_view name, const RankSet& set) {
    if (!set.empty()) out_.field(name, std::string_view(text_of_ranks(set)));
  }
  void numbers(std::string_view name, const std::vector<std::int64_t>& values) {
    if (!values.empty()) out_.key(name).array(values);
  }
  void scalars(std::string_view name, const std::vector<NamedValue>& values);
  void references(std::string_view name, const std::vector<std::int32_t>& places,
                  const std::vector<std::string>& ids);
  void buffer_ranges(std::string_view name, const std::vector<BufferRange>& values);
  void layouts(const std::vector<Layout>& values);
  [[nodiscard]] const std::string& name_of_buffer(std::int32_t place) const {
    return plan_.buffers[static_cast<std::size_t>(place)].name;
  }

  const Lifecycle& plan_;
  JsonWriter out_;
  std::vector<std::string> event_ids_;
  std::vector<std::int64_t> written_out_;  // events whose programs others may be like
  std::vector<std::string> op_ids_;        // of the program at hand
};

const std::string& name_in(const NamedValue& value) { return value.first; }

// ---- parts of fields --------------------------------------------------------------------------

void PlanWriter::scalars(std::string_view name, const std::vector<NamedValue>& values) {
  out_.key(name).begin_object();
  for (const NamedValue* each : sorted(values, name_in)) out_.key(each->first).raw(each->second);
  out_.end_object();
}

void PlanWriter::references(std::string_view name, const std::vector<std::int32_t>& places,
                            const std::vector<std::string>& ids) {
  out_.key(name).begin_array();
  for (const std::int32_t place : places) out_.value(ids[static_cast<std::size_t>(place)]);
  out_.end_array();
}

void PlanWriter::buffer_ranges(std::string_view name, const std::vector<BufferRange>& values) {
  if (values.empty()) return;
  out_.key(name).begin_array();
  for (const BufferRange& each : values) {
    if (each.offset == 0 && each.bytes < 0) {
      out_.value(name_of_buffer(each.buffer));
      continue;
    }
    out_.begin_object();
    buffer(each.buffer);
    if (each.offset != 0) out_.field("offset", each.offset);
    if (each.bytes >= 0) out_.field("bytes", each.bytes);
    out_.end_object();
  }
  out_.end_array();
}

void PlanWriter::layouts(const std::vector<Layout>& values) {
  if (values.empty()) return;
  out_.key("in");
  if (values.size() > 1) out_.begin_array();
  for (const Layout& each : values) out_.value(text_of(plan_, each));
  if (values.size() > 1) out_.end_array();
}

// ---- operations and programs --------------------------------------------------------------------

// What the operation does to which rows.
void PlanWriter::write_rows(const PlanOp& op) {
  if (op.rows_in.size() == 1) {
    out_.field("rows_in", op.rows_in.front());
  } else {
    numbers("rows_in", op.rows_in);
  }
  field("rows_out", op.rows_out);
  numbers("sizes", op.sizes);
  field("dtype", op.dtype);
  if (op.role != Role::move) out_.field("role", name_of(op.role));
  if (op.tensor != Slot::hidden) out_.field("tensor", name_of(op.tensor));
  layouts(op.in);
  if (op.out) out_.field("out", std::string_view(text_of(plan_, *op.out)));
}

void PlanWriter::write_launch(const PlanOp& op) {
  if (!op.launch.empty()) scalars("launch", op.launch);
  field("segment", op.segment);
  if (!op.extents.empty()) {
    out_.key("extents").begin_object();
    const auto name = [](const auto& each) -> const std::string& { return each.first; };
    for (const auto* each : sorted(op.extents, name)) out_.field(each->first, each->second);
    out_.end_object();
  }
  field("padding", op.padding);
  field("transport", op.transport);
  field("registered", op.registered);
  buffer(op.buffer);
  field("rule", op.rule);
}

void PlanWriter::write_op(const PlanOp& op, const std::string& id) {
  out_.begin_object();
  field("id", id);
  out_.field("op", name_of(op.kind));
  field("group", op.group);
  field("peer", op.peer);
  write_rows(op);
  if (op.stream != 0) out_.field("stream", std::int64_t{op.stream});
  field("captured", op.captured);
  buffer_ranges("reads", op.reads);
  buffer_ranges("writes", op.writes);
  if (op.from) references("from", *op.from, op_ids_);
  if (!op.after.empty()) references("after", op.after, op_ids_);
  write_launch(op);
  out_.end_object();
}

std::vector<std::string> ids_of(const std::vector<PlanOp>& ops) {
  std::vector<bool> named(ops.size(), false);
  for (const PlanOp& op : ops) {
    for (const std::int32_t place : op.after) named[static_cast<std::size_t>(place)] = true;
    if (!op.from) continue;
    for (const std::int32_t place : *op.from) named[static_cast<std::size_t>(place)] = true;
  }
  return ids_for(ops, named, "op");
}

// A block that runs once and has no layer needs no frame.
void PlanWriter::write_ops(const Program& program) {
  op_ids_ = ids_of(program.ops);
  std::vector<OpBlock> blocks = program.blocks;
  if (blocks.empty()) blocks = {{0, static_cast<std::int32_t>(program.ops.size()), 1, {}}};
  out_.key("ops").begin_array();
  for (const OpBlock& block : blocks) {
    if (block.count == 0) continue;
    const bool framed = block.repeat != 1 || block.layer.has_value();
    if (framed) {
      out_.begin_object();
      if (block.repeat != 1) out_.field("repeat", block.repeat);
      field("layer", block.layer);
      out_.key("ops").begin_array();
    }
    for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
      const auto place = static_cast<std::size_t>(i);
      write_op(program.ops[place], op_ids_[place]);
    }
    if (framed) out_.end_array().end_object();
  }
  out_.end_array();
}

void PlanWriter::write_decisions(const std::vector<Decision>& decisions) {
  out_.key("decides").begin_object();
  const auto name = [](const Decision& each) -> const std::string& { return each.what; };
  for (const Decision* decision : sorted(decisions, name)) {
    out_.key(decision->what).begin_array();
    for (const DecisionInput& input : decision->inputs) {
      out_.begin_object().field("input", std::string_view(input.input));
      out_.field("from", name_of(input.from));
      field("group", input.group);
      out_.end_object();
    }
    out_.end_array();
  }
  out_.end_object();
}

void PlanWriter::write_program(const Program& program) {
  out_.begin_object();
  ranks("ranks", program.ranks);
  field("tokens", program.tokens);
  field("requests", program.requests);
  field("padded_requests", program.padded_requests);
  field("width", program.width);
  field("bucket", program.bucket);
  field("mode", program.mode);
  if (program.key) scalars("key", *program.key);
  if (program.repeat != 1) out_.field("repeat", program.repeat);
  if (!program.decides.empty()) write_decisions(program.decides);
  if (!program.ops.empty()) write_ops(program);
  out_.end_object();
}

// ---- events -----------------------------------------------------------------------------------

void PlanWriter::write_event_groups(const PlanEvent& event) {
  if (event.groups.empty()) return;
  if (event.kind == PlanEventKind::create_group && event.groups.size() == 1) {
    field("group", event.groups.front());
    return;
  }
  out_.key("groups").begin_array();
  for (const GroupId group : event.groups) out_.value(plan_.family(group).name);
  out_.end_array();
}

// The event that was written out before and does the same at another size; none where there is
// none, and where programs without operations are short enough.
std::optional<std::int64_t> PlanWriter::like_of(const PlanEvent& event) {
  const auto has_ops = [](const Program& program) { return !program.ops.empty(); };
  if (!event.tokens || std::ranges::none_of(event.programs, has_ops)) return std::nullopt;
  for (auto at = written_out_.rbegin(); at != written_out_.rend(); ++at) {
    const PlanEvent& other = plan_.events[static_cast<std::size_t>(*at)];
    if (other.kind != event.kind || other.path != event.path || !alike(other, event)) continue;
    const auto programs = programs_like(other, *event.tokens);
    if (programs && *programs == event.programs) return *at;
  }
  // Beyond so many kinds of steps a search costs more than it saves.
  if (written_out_.size() < kKindsMost) written_out_.push_back(&event - plan_.events.data());
  return std::nullopt;
}

void PlanWriter::write_event(const PlanEvent& event, const std::string& id) {
  out_.next_line().begin_object().field("event", name_of(event.kind));
  field("id", id);
  field("path", event.path);
  field("tokens", event.tokens);
  write_event_groups(event);
  field("transport", event.transport);
  buffer(event.buffer);
  field("bytes", event.bytes);
  field("generation", event.generation);
  ranks("ranks", event.ranks);
  field("stream", event.stream);
  if (!event.after.empty()) references("after", event.after, event_ids_);
  field("capture_mode", event.capture_mode);
  const bool runs = event.kind == PlanEventKind::warm_up || event.kind == PlanEventKind::capture ||
                    event.kind == PlanEventKind::replay || event.kind == PlanEventKind::eager;
  if (const auto like = runs ? like_of(event) : std::nullopt) {
    out_.field("like", *like);
  } else if (runs) {
    out_.key("programs").begin_array();
    for (const Program& program : event.programs) write_program(program);
    out_.end_array();
  }
  out_.end_object();
}

void PlanWriter::write_events() {
  if (plan_.events.empty()) return;
  std::vector<bool> named(plan_.events.size(), false);
  for (const PlanEvent& event : plan_.events) {
    for (const std::int32_t place : event.after) named[static_cast<std::size_t>(place)] = true;
  }
  event_ids_ = ids_for(plan_.events, named, "event");
  out_.next_line().key("events").begin_array();
  for (std::size_t i = 0; i < plan_.events.size(); ++i) {
    write_event(plan_.events[i], event_ids_[i]);
  }
  out_.end_array();
}

// ---- the top level ------------------------------------------------------------------------------

void PlanWriter::write_layers() {
  if (plan_.layers.empty()) return;
  out_.next_line().key("layers").begin_array();
  for (const ModelLayers& each : plan_.layers) {
    out_.begin_object().field("kind", name_of(each.kind)).field("count", each.count).end_object();
  }
  out_.end_array();
}

void PlanWriter::write_groups() {
  if (plan_.families.empty()) return;
  out_.next_line().key("groups").begin_object();
  const auto name = [](const PlanGroups& each) -> const std::string& { return each.name; };
  for (const PlanGroups* family : sorted(plan_.families, name)) {
    const auto id = static_cast<std::int8_t>(family - plan_.families.data());
    // An event that creates the groups tells their transport as well.
    const bool told = std::ranges::any_of(plan_.events, [&](const PlanEvent& event) {
      return event.transport && !event.groups.empty() && event.groups.front() == GroupId{id};
    });
    const bool framed = family->transport && !told;
    out_.key(family->name);
    if (framed) out_.begin_object().key("members");
    out_.begin_array();
    for (const std::vector<std::int32_t>& group : family->groups) {
      const std::vector<std::int64_t> members(group.begin(), group.end());
      if (members.size() > kListedRanks) {
        out_.value(text_of_ranks(members));
      } else {
        out_.array(members);
      }
    }
    out_.end_array();
    if (framed) {
      field("transport", family->transport);
      out_.end_object();
    }
  }
  out_.end_object();
}

void PlanWriter::write_capture(const PlanCapture& capture) {
  out_.begin_object().field("path", std::string_view(capture.path));
  out_.field("unit", name_of_unit(capture.unit));
  field("mode", capture.mode);
  if (capture.key) scalars("key", *capture.key);
  numbers("kept", capture.kept);
  numbers("named", capture.named);
  field("width", capture.width);
  if (capture.admits) out_.key("admits").array(*capture.admits);
  if (capture.admission) {
    out_.key("admission").begin_object();
    if (capture.admission->unit) out_.field("unit", name_of_unit(*capture.admission->unit));
    field("scope", capture.admission->scope);
    field("max", capture.admission->max);
    out_.end_object();
  }
  field("pool", capture.pool);
  field("bytes", capture.bytes);
  out_.end_object();
}

void PlanWriter::write_captures() {
  if (plan_.captures.empty()) return;
  out_.next_line().key("captures").begin_array();
  for (const PlanCapture& capture : plan_.captures) write_capture(capture);
  out_.end_array();
}

void PlanWriter::write_buffers() {
  if (plan_.buffers.empty()) return;
  out_.next_line().key("buffers").begin_object();
  const auto name = [](const PlanBuffer& each) -> const std::string& { return each.name; };
  for (const PlanBuffer* buffer : sorted(plan_.buffers, name)) {
    out_.key(buffer->name).begin_object();
    field("bytes", buffer->bytes);
    ranks("owner", buffer->owner);
    field("kind", buffer->kind);
    if (buffer->memory != MemoryKind::runtime) out_.field("memory", name_of(buffer->memory));
    out_.end_object();
  }
  out_.end_object();
}

void PlanWriter::write_weights() {
  if (plan_.weights.empty()) return;
  out_.next_line().key("weights").begin_array();
  for (const PlanWeight& weight : plan_.weights) {
    out_.begin_object().field("name", std::string_view(weight.name)).field("dim", weight.dim);
    field("group", weight.group);
    if (weight.block != 1) out_.field("block", weight.block);
    out_.end_object();
  }
  out_.end_array();
}

void PlanWriter::write_machine() {
  if (!plan_.libraries.empty()) {
    out_.next_line().key("libraries").begin_object();
    for (const NamedValue* each : sorted(plan_.libraries, name_in)) {
      out_.field(each->first, std::string_view(each->second));
    }
    out_.end_object();
  }
  if (!plan_.memory) return;
  const PlanMemory& memory = *plan_.memory;
  out_.next_line().key("memory").begin_object().field("budget_bytes", memory.budget_bytes);
  if (memory.weights_bytes != 0) out_.field("weights_bytes", memory.weights_bytes);
  if (memory.activations_bytes != 0) out_.field("activations_bytes", memory.activations_bytes);
  if (memory.kv_bytes != 0) out_.field("kv_bytes", memory.kv_bytes);
  out_.end_object();
}

std::string PlanWriter::text() && {
  out_.begin_object().field("schema", std::int64_t{1});
  field("engine", plan_.engine);
  out_.field("world", plan_.world);
  write_layers();
  write_groups();
  write_captures();
  write_buffers();
  write_weights();
  write_machine();
  write_events();
  out_.end_object();
  return std::move(out_).text() + "\n";
}

}  // namespace

std::string write_plan(const Lifecycle& lifecycle) { return PlanWriter(lifecycle).text(); }

}  // namespace capsize
