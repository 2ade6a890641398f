// read_plan(): the top level of a plan file. The larger parts have files of their own.
#include <algorithm>

#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/plan_reading.hpp"

namespace capsize {
namespace plan_reading {
namespace {

constexpr std::array<std::string_view, 2> kUnits = {"tokens", "requests"};
constexpr std::array kScopes = {AdmissionScope::rank, AdmissionScope::sum};
constexpr std::array kBufferKinds = {BufferKind::input,  BufferKind::metadata,
                                     BufferKind::weight, BufferKind::workspace,
                                     BufferKind::kv,     BufferKind::output};
constexpr std::array kLayerKinds = {LayerMathematics::dense, LayerMathematics::sparse};
constexpr std::array kMemoryKinds = {MemoryKind::runtime, MemoryKind::virtual_memory};

Result<Unit> read_unit(const JsonField& field) {
  auto index = field.one_of(kUnits);
  if (!index) return tl::unexpected(std::move(index.error()));
  return *index == 0 ? Unit::tokens : Unit::requests;
}

Result<void> read_admission(const JsonField& field, Admission& out) {
  return ObjectReader(field, {"unit", "scope", "max"})
      .optional("unit", [&](const JsonField& f) { return store(read_unit(f), out.unit); })
      .optional("scope", word(kScopes, out.scope))
      .optional("max", count(out.max))
      .done();
}

Result<void> read_capture(const JsonField& field, PlanCapture& out) {
  ObjectReader reader(field, {"path", "unit", "mode", "key", "kept", "named", "width", "admits",
                              "admission", "pool", "bytes"});
  reader.required("path", text(out.path));
  reader.optional("unit", [&](const JsonField& f) { return store(read_unit(f), out.unit); });
  reader.optional("mode", word(kModes, out.mode));
  reader.optional("key", [&](const JsonField& f) { return store(read_scalars(f), out.key); });
  reader.optional("kept", counts(out.kept)).optional("named", counts(out.named));
  reader.optional("width", count(out.width));
  reader.optional("admits",
                  [&](const JsonField& f) { return store(f.integers(0, kCountMax), out.admits); });
  reader.optional("admission",
                  [&](const JsonField& f) { return read_admission(f, out.admission.emplace()); });
  reader.optional("pool", text(out.pool)).optional("bytes", count(out.bytes));
  return reader.done();
}

Result<void> read_captures(Reading& reading, const JsonField& field) {
  auto list = read_list(field, kListMax);
  if (!list) return tl::unexpected(std::move(list.error()));
  for (const JsonField& each : *list) {
    if (auto read = read_capture(each, reading.plan.captures.emplace_back()); !read) return read;
  }
  return {};
}

Result<void> read_plan_buffer(Reading& reading, const JsonField& field, PlanBuffer& out) {
  return ObjectReader(field, {"bytes", "owner", "kind", "memory"})
      .optional("bytes", count(out.bytes))
      .optional("owner",
                [&](const JsonField& f) { return store(read_owners(reading, f), out.owner); })
      .optional("kind", word(kBufferKinds, out.kind))
      .optional("memory", word(kMemoryKinds, out.memory))
      .done();
}

Result<void> read_buffers(Reading& reading, const JsonField& field) {
  if (auto object = field.object(); !object) return object;
  if (field.value().size() > kListMax) {
    return fail(field.error("holds more than " + std::to_string(kListMax) + " buffers",
                            "state a smaller plan"));
  }
  for (const auto& item : field.value().items()) {
    const JsonField each(item.value(), json_path(field.path(), item.key()));
    if (auto named = check_name(each, item.key()); !named) return named;
    reading.buffers.emplace(item.key(), static_cast<std::int32_t>(reading.plan.buffers.size()));
    PlanBuffer& buffer = reading.plan.buffers.emplace_back();
    buffer.name = item.key();
    if (auto read = read_plan_buffer(reading, each, buffer); !read) return read;
  }
  return {};
}

Result<void> read_weights(Reading& reading, const JsonField& field) {
  auto list = read_list(field, kListMax);
  if (!list) return tl::unexpected(std::move(list.error()));
  for (const JsonField& each : *list) {
    PlanWeight& weight = reading.plan.weights.emplace_back();
    const auto group = [&](const JsonField& f) {
      return store(read_group(reading, f), weight.group);
    };
    auto read = ObjectReader(each, {"name", "dim", "group", "block"})
                    .required("name", text(weight.name))
                    .required("dim", count(weight.dim))
                    .optional("group", group)
                    .optional("block", count(weight.block, 1))
                    .done();
    if (!read) return read;
  }
  return {};
}

Result<void> read_libraries(Reading& reading, const JsonField& field) {
  if (auto object = field.object(); !object) return object;
  for (const auto& item : field.value().items()) {
    const JsonField each(item.value(), json_path(field.path(), item.key()));
    if (auto named = check_name(each, item.key()); !named) return named;
    std::string& version = reading.plan.libraries.emplace_back(item.key(), "").second;
    if (auto read = store(read_text(each), version); !read) return read;
  }
  return {};
}

Result<void> read_memory(const JsonField& field, PlanMemory& out) {
  return ObjectReader(field, {"budget_bytes", "weights_bytes", "activations_bytes", "kv_bytes"})
      .required("budget_bytes", count(out.budget_bytes))
      .optional("weights_bytes", count(out.weights_bytes))
      .optional("activations_bytes", count(out.activations_bytes))
      .optional("kv_bytes", count(out.kv_bytes))
      .done();
}

Result<void> read_layers(Reading& reading, const JsonField& field) {
  auto list = field.elements();
  if (!list) return tl::unexpected(std::move(list.error()));
  std::int64_t left = kLayersMax;
  for (const JsonField& each : *list) {
    ModelLayers& layers = reading.plan.layers.emplace_back();
    auto read = ObjectReader(each, {"kind", "count"})
                    .required("kind", word(kLayerKinds, layers.kind))
                    .required("count", count(layers.count, 1, kLayersMax))
                    .done();
    if (!read) return read;
    left -= layers.count;
    if (left < 0) {
      return fail(each.error("the model has more than " + std::to_string(kLayersMax) + " layers",
                             "state a smaller model"));
    }
  }
  return {};
}

Result<void> check_schema(const JsonField& field) {
  if (field.integer(1, 1)) return {};
  return fail(field.error("must be 1", "this program reads schema 1"));
}

// Groups and buffers come first: everything else names them.
Result<void> read_top(Reading& reading, const JsonField& field) {
  Lifecycle& plan = reading.plan;
  const auto part = [&](Result<void> (*read)(Reading&, const JsonField&)) {
    return [&reading, read](const JsonField& f) { return read(reading, f); };
  };
  ObjectReader reader(field, {"schema", "engine", "world", "layers", "groups", "captures",
                              "buffers", "weights", "libraries", "memory", "events"});
  reader.required("schema", check_schema).optional("engine", text(plan.engine));
  reader.required("world", count(plan.world, 1, kWorldMax));
  reader.optional("layers", part(read_layers));
  reader.optional("groups", part(read_families)).optional("buffers", part(read_buffers));
  reader.optional("captures", part(read_captures)).optional("weights", part(read_weights));
  reader.optional("libraries", part(read_libraries));
  reader.optional("memory",
                  [&](const JsonField& f) { return read_memory(f, plan.memory.emplace()); });
  reader.optional("events", part(read_events));
  return reader.done();
}

}  // namespace
}  // namespace plan_reading

Result<Lifecycle> read_plan(const JsonField& field) {
  plan_reading::Reading reading;
  auto read = plan_reading::read_top(reading, field);
  if (!read) return tl::unexpected(std::move(read.error()));
  return std::move(reading.plan);
}

Result<Lifecycle> read_plan(std::string_view json_text) {
  const auto document = parse_json(json_text);
  if (!document) return tl::unexpected(document.error());
  return read_plan(JsonField(*document));
}

}  // namespace capsize
