#include "scenarios/formats/scenario.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/model_config.hpp"
#include "scenarios/formats/object_reader.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/words.hpp"

namespace capsize {
namespace {

constexpr std::array<std::string_view, 15> kClasses = {
    "C01-token-divisibility", "C02-layout-mismatch",     "C03-bucket-divergence",
    "C04-mode-divergence",    "C05-participation",       "C06-coverage",
    "C07-capacity",           "C08-padded-metadata",     "C09-padding-rows",
    "C10-address-stability",  "C11-registration",        "C12-capture-legality-and-order",
    "C13-nccl-semantics",     "C14-graph-key-and-units", "C15-graph-memory",
};

constexpr std::array<std::string_view, 13> kFields = {
    "schema", "id",  "title",      "source",       "class",  "engine",  "launch",
    "plan",   "gpu", "plan_after", "model_config", "expect", "hardware"};

constexpr std::int64_t kCountMax = std::numeric_limits<std::int32_t>::max();

// The values of an enumeration that a file may name; their words are those of name_of().
constexpr std::array kVerdicts = {Verdict::pass, Verdict::violation, Verdict::bad_input,
                                  Verdict::refused, Verdict::undecided};
constexpr std::array kLawVerdicts = {LawVerdict::pass, LawVerdict::violation,
                                     LawVerdict::not_applicable, LawVerdict::undecided};
constexpr std::array kKnown = {Known::proved, Known::exhausted, Known::sampled, Known::observed};
constexpr std::array kSides = {PlanSide::before, PlanSide::after};
constexpr std::array kStages = {RefusalStage::arguments, RefusalStage::resolution,
                                RefusalStage::model, RefusalStage::capture};

// How a field becomes a value, by the type of the value.
Result<void> read_value(const JsonField& field, Verdict& out) {
  return word(kVerdicts, out)(field);
}
Result<void> read_value(const JsonField& field, LawVerdict& out) {
  return word(kLawVerdicts, out)(field);
}
Result<void> read_value(const JsonField& field, Known& out) { return word(kKnown, out)(field); }
Result<void> read_value(const JsonField& field, Symptom& out) {
  return word(kSymptoms, out)(field);
}
Result<void> read_value(const JsonField& field, PlanSide& out) { return word(kSides, out)(field); }
Result<void> read_value(const JsonField& field, RefusalStage& out) {
  return word(kStages, out)(field);
}
Result<void> read_value(const JsonField& field, bool& out) { return store(field.boolean(), out); }
Result<void> read_value(const JsonField& field, std::int64_t& out) {
  return store(field.integer(0, kCountMax), out);
}
Result<void> read_value(const JsonField& field, std::vector<std::int64_t>& out) {
  return store(field.integers(0, kCountMax), out);
}
Result<void> read_value(const JsonField& field, LaunchSource& out) {
  return store(read_launch_source(field), out);
}
Result<void> read_value(const JsonField& field, Gpu& out) {
  return store(read_gpu_field(field), out);
}
Result<void> read_value(const JsonField& field, std::string& out) {
  auto stored = store(field.text(), out);
  if (stored && out.empty()) {
    return tl::unexpected(field.error("is empty", "write it, or leave the field out"));
  }
  return stored;
}
Result<void> read_value(const JsonField& field, ScenarioSource& out);
Result<void> read_value(const JsonField& field, WitnessPattern& out);
Result<void> read_value(const JsonField& field, FirstInTimePattern& out);
Result<void> read_value(const JsonField& field, RefusedPattern& out);

// An ObjectReader whose fields become values by their type.
class FieldReader : public ObjectReader {
 public:
  using ObjectReader::ObjectReader;

  template <class T>
  FieldReader& required(std::string_view name, T& out) {
    ObjectReader::required(name, [&](const JsonField& field) { return read_value(field, out); });
    return *this;
  }

  template <class T>
  FieldReader& optional(std::string_view name, T& out) {
    ObjectReader::optional(name, [&](const JsonField& field) { return read_value(field, out); });
    return *this;
  }

  template <class T>
  FieldReader& optional(std::string_view name, std::optional<T>& out) {
    ObjectReader::optional(
        name, [&](const JsonField& field) { return read_value(field, out.emplace()); });
    return *this;
  }

  // A number that may be larger than a count.
  FieldReader& optional(std::string_view name, std::optional<std::int64_t>& out,
                        std::int64_t highest) {
    ObjectReader::optional(name, [&](const JsonField& field) {
      return store(field.integer(0, highest), out.emplace());
    });
    return *this;
  }

  FieldReader& require(bool holds, std::string_view text, std::string_view hint) {
    ObjectReader::require(holds, text, hint);
    return *this;
  }
};

Result<void> read_value(const JsonField& field, ScenarioSource& out) {
  constexpr std::string_view kWayOut = "give \"repo\": \"owner/name\" and \"number\", or a \"url\"";
  return FieldReader(field, {"repo", "number", "url", "universe", "member", "note"})
      .optional("repo", out.repo)
      .optional("number", out.number)
      .optional("url", out.url)
      .optional("universe", out.universe)
      .optional("member", out.member, std::numeric_limits<std::int64_t>::max())
      .optional("note", out.note)
      .require(out.repo.empty() == !out.number.has_value(),
               "repo and number stand for one thread: both or neither", kWayOut)
      .require(out.universe.empty() == !out.member.has_value(),
               "universe and member stand for one launch: both or neither", kWayOut)
      .require(!out.repo.empty() || !out.url.empty() || !out.universe.empty(),
               "names neither a thread nor a page", kWayOut)
      .done();
}

Result<void> read_value(const JsonField& field, WitnessPattern& out) {
  return FieldReader(field, {"path", "tokens", "requests", "rank", "layer", "op", "group",
                             "group_size", "event", "buffer", "key"})
      .optional("path", out.path)
      .optional("tokens", out.tokens)
      .optional("requests", out.requests)
      .optional("rank", out.rank)
      .optional("layer", out.layer)
      .optional("op", out.op)
      .optional("group", out.group)
      .optional("group_size", out.group_size)
      .optional("event", out.event)
      .optional("buffer", out.buffer)
      .optional("key", out.key)
      .require(!(out == WitnessPattern{}), "asks nothing of the witness",
               "name at least one of its fields, or leave witness out")
      .done();
}

Result<void> read_value(const JsonField& field, FirstInTimePattern& out) {
  return FieldReader(field, {"event", "tokens"})
      .optional("event", out.event)
      .optional("tokens", out.tokens)
      .require(!(out == FirstInTimePattern{}), "asks nothing of the event",
               "name the event or its tokens, or leave first_in_time out")
      .done();
}

// `text` is the one field whose null says something.
Result<void> read_value(const JsonField& field, RefusedPattern& out) {
  FieldReader reader(field, {"stage", "text"});
  std::optional<std::string> text;
  reader.optional("stage", out.stage).optional("text", text);
  const bool has_text = field.value().is_object() && field.value().contains("text");
  if (has_text) out.text = std::move(text);
  return reader
      .require(!(out == RefusedPattern{}), "asks nothing of the refusal",
               "name the stage or the text, or leave refused out")
      .done();
}

bool asks_of_a_finding(const Expectation& e) {
  return e.law_verdict || e.known || e.symptom || e.witness || e.first_in_time;
}

bool asks_of_sizes(const Expectation& e) {
  return e.kept || e.dropped || e.kept_count || e.lost_count || e.waste_count;
}

Result<void> read_value(const JsonField& field, Expectation& out) {
  FieldReader reader(field, {"rules", "plan", "verdict", "law", "law_verdict", "known", "symptom",
                             "witness", "first_in_time", "path", "kept", "dropped", "kept_count",
                             "lost_count", "waste_count", "refused"});
  reader.optional("rules", out.rules).optional("plan", out.plan);
  reader.required("verdict", out.verdict);
  reader.optional("law", out.law).optional("law_verdict", out.law_verdict);
  reader.optional("known", out.known).optional("symptom", out.symptom);
  reader.optional("witness", out.witness).optional("first_in_time", out.first_in_time);
  reader.optional("path", out.path).optional("kept", out.kept).optional("dropped", out.dropped);
  reader.optional("kept_count", out.kept_count).optional("lost_count", out.lost_count);
  reader.optional("waste_count", out.waste_count).optional("refused", out.refused);
  reader.require(!out.law || find_law(*out.law) != nullptr, "names a law that does not exist",
                 "the laws are those that a check lists");
  reader.require(out.law || !asks_of_a_finding(out),
                 "asks something of a law's finding, but names no law", "add \"law\"");
  reader.require(out.law || asks_of_sizes(out) || !out.path, "names a path, but asks nothing of it",
                 "add \"law\" or a size field");
  reader.require(!out.refused || out.verdict == Verdict::refused,
                 "asks something of a refusal, but the verdict is another", "expect \"refused\"");
  const bool judged = out.verdict != Verdict::refused && out.verdict != Verdict::bad_input;
  reader.require(judged || !out.law, "no law is judged where a launch is refused or unreadable",
                 "leave \"law\" out");
  return reader.done();
}

Result<void> read_expectations(const JsonField& root, std::vector<Expectation>& out) {
  auto list = root.required("expect");
  if (!list) return tl::unexpected(std::move(list.error()));
  auto elements = list->elements();
  if (!elements) return tl::unexpected(std::move(elements.error()));
  if (elements->empty()) {
    return tl::unexpected(list->error("expects nothing", "add {\"rules\": ..., \"verdict\": ...}"));
  }
  for (const JsonField& element : *elements) {
    if (auto read = read_value(element, out.emplace_back()); !read) return read;
  }
  return {};
}

// The head of a file: its version.
Result<void> read_head(const JsonField& root) {
  if (auto object = root.object(); !object) return object;
  auto schema = root.required("schema");
  if (!schema) return tl::unexpected(std::move(schema.error()));
  if (auto version = schema->integer(1, 1); !version) {
    return tl::unexpected(schema->error("must be 1", "this program reads schema 1"));
  }
  return {};
}

Result<void> read_model(const JsonField& root, std::optional<nlohmann::json>& out) {
  auto config = root.optional("model_config");
  if (!config) return tl::unexpected(std::move(config.error()));
  if (!*config) return {};
  auto shape = read_model_config(**config, "the model_config of the scenario");
  if (!shape) return tl::unexpected(std::move(shape.error()));
  out = (*config)->value();
  return {};
}

// A plan is read for its errors here; it is kept as it stands.
Result<void> read_plan_field(const JsonField& root, std::string_view name,
                             std::optional<nlohmann::json>& out) {
  auto field = root.optional(name);
  if (!field) return tl::unexpected(std::move(field.error()));
  if (!*field) return {};
  auto plan = read_plan(**field);
  if (!plan) return tl::unexpected(std::move(plan.error()));
  out = (*field)->value();
  return {};
}

// Each expectation names what it is about: a rules label of a launch, or one of the plans.
Result<void> subjects_fit(const JsonField& root, const Scenario& scenario) {
  for (std::size_t i = 0; i < scenario.expect.size(); ++i) {
    const Expectation& each = scenario.expect[i];
    const std::string place = json_path(json_path(root.path(), "expect"), i);
    if (!scenario.plan && (each.rules.empty() || each.plan)) {
      return tl::unexpected(Error{place, "names no rules", "add \"rules\": \"23972\""});
    }
    if (scenario.plan && !each.rules.empty()) {
      return tl::unexpected(Error{place + ".rules", "a plan is judged without rules",
                                  "say \"plan\": \"before\" or \"after\""});
    }
    if (each.plan == PlanSide::after && !scenario.plan_after) {
      return tl::unexpected(Error{place + ".plan", "there is no plan_after", "add it"});
    }
  }
  return {};
}

// A case is a launch of an engine or a plan, never both.
Result<void> read_subject(const JsonField& root, Scenario& out) {
  const auto& object = root.value();
  if (!object.contains("plan")) {
    if (object.contains("plan_after")) {
      return tl::unexpected(Error{json_path(root.path(), "plan_after"), "stands without \"plan\"",
                                  "name the plan before the fix \"plan\""});
    }
    return FieldReader(root, kFields)
        .required("engine", out.engine)
        .required("launch", out.launch)
        .optional("gpu", out.gpu)
        .require(find_engine(out.engine) != nullptr, "names an engine that is not modelled",
                 "known: sglang")
        .done();
  }
  for (const std::string_view name : {"engine", "launch", "gpu", "model_config"}) {
    if (!object.contains(name)) continue;
    return tl::unexpected(Error{json_path(root.path(), name), "has no meaning beside a plan",
                                "leave it out; a plan names its own engine"});
  }
  return read_plan_field(root, "plan", out.plan).and_then([&] {
    return read_plan_field(root, "plan_after", out.plan_after);
  });
}

Result<void> read_class(const JsonField& root, std::string& out) {
  auto field = root.required("class");
  if (!field) return tl::unexpected(std::move(field.error()));
  auto index = field->one_of(kClasses);
  if (!index) return tl::unexpected(std::move(index.error()));
  out = kClasses[*index];
  return {};
}

void write_value(JsonWriter& out, std::int64_t value) { out.value(value); }
void write_value(JsonWriter& out, const std::string& value) { out.value(value); }
void write_value(JsonWriter& out, const std::vector<std::int64_t>& value) { out.array(value); }
template <class Enum>
requires std::is_enum_v<Enum>
void write_value(JsonWriter& out, Enum value) { out.value(name_of(value)); }
void write_value(JsonWriter& out, const WitnessPattern& value);
void write_value(JsonWriter& out, const FirstInTimePattern& value);
void write_value(JsonWriter& out, const RefusedPattern& value);

template <class T>
void write_optional(JsonWriter& out, std::string_view name, const std::optional<T>& value) {
  if (!value) return;
  out.key(name);
  write_value(out, *value);
}

void write_value(JsonWriter& out, const WitnessPattern& value) {
  out.begin_object();
  write_optional(out, "path", value.path);
  write_optional(out, "tokens", value.tokens);
  write_optional(out, "requests", value.requests);
  write_optional(out, "rank", value.rank);
  write_optional(out, "layer", value.layer);
  write_optional(out, "op", value.op);
  write_optional(out, "group", value.group);
  write_optional(out, "group_size", value.group_size);
  write_optional(out, "event", value.event);
  write_optional(out, "buffer", value.buffer);
  write_optional(out, "key", value.key);
  out.end_object();
}

void write_value(JsonWriter& out, const FirstInTimePattern& value) {
  out.begin_object();
  write_optional(out, "event", value.event);
  write_optional(out, "tokens", value.tokens);
  out.end_object();
}

void write_value(JsonWriter& out, const RefusedPattern& value) {
  out.begin_object();
  write_optional(out, "stage", value.stage);
  if (value.text) out.key("text").value_or_null(*value.text);
  out.end_object();
}

void write_expectation(JsonWriter& out, const Expectation& e) {
  out.begin_object();
  if (!e.rules.empty()) out.field("rules", e.rules);
  write_optional(out, "plan", e.plan);
  out.field("verdict", name_of(e.verdict));
  write_optional(out, "law", e.law);
  write_optional(out, "law_verdict", e.law_verdict);
  write_optional(out, "known", e.known);
  write_optional(out, "symptom", e.symptom);
  write_optional(out, "witness", e.witness);
  write_optional(out, "first_in_time", e.first_in_time);
  write_optional(out, "path", e.path);
  write_optional(out, "kept", e.kept);
  write_optional(out, "dropped", e.dropped);
  write_optional(out, "kept_count", e.kept_count);
  write_optional(out, "lost_count", e.lost_count);
  write_optional(out, "waste_count", e.waste_count);
  write_optional(out, "refused", e.refused);
  out.end_object();
}

void write_source(JsonWriter& out, const ScenarioSource& source) {
  out.key("source").begin_object();
  if (!source.repo.empty()) out.field("repo", source.repo);
  write_optional(out, "number", source.number);
  if (!source.url.empty()) out.field("url", source.url);
  if (!source.universe.empty()) out.field("universe", source.universe);
  write_optional(out, "member", source.member);
  if (!source.note.empty()) out.field("note", source.note);
  out.end_object();
}

void write_machine(JsonWriter& out, const Scenario& scenario) {
  if (scenario.gpu) {
    out.key("gpu");
    if (scenario.gpu->name.empty()) {
      out.begin_object().field("memory_mib", scenario.gpu->memory_mib);
      out.field("sm", std::int64_t{scenario.gpu->sm}).end_object();
    } else {
      out.value(scenario.gpu->name);
    }
  }
  if (scenario.model_config) out.key("model_config").raw(scenario.model_config->dump());
}

void write_launch(JsonWriter& out, const Scenario& scenario) {
  out.field("engine", scenario.engine).key("launch");
  if (const auto* text = std::get_if<std::string>(&scenario.launch)) {
    out.value(*text);
  } else {
    out.array(std::get<std::vector<std::string>>(scenario.launch));
  }
  write_machine(out, scenario);
}

}  // namespace

std::string_view name_of(PlanSide side) { return side == PlanSide::before ? "before" : "after"; }

std::span<const std::string_view> defect_classes() { return kClasses; }

bool operator==(const Scenario& a, const Scenario& b) {
  const auto gpu = [](const Scenario& s) {
    const Gpu none;
    const Gpu& g = s.gpu ? *s.gpu : none;
    return std::tuple(s.gpu.has_value(), g.name, g.memory_mib, g.sm);
  };
  return a.id == b.id && a.title == b.title && a.source == b.source &&
         a.defect_class == b.defect_class && a.engine == b.engine && a.launch == b.launch &&
         a.plan == b.plan && a.plan_after == b.plan_after && gpu(a) == gpu(b) &&
         a.model_config == b.model_config && a.expect == b.expect && a.hardware == b.hardware;
}

Result<Scenario> read_scenario(std::string_view json_text) {
  const auto document = parse_json(json_text);
  if (!document) return tl::unexpected(document.error());
  const JsonField root(*document);
  if (auto head = read_head(root); !head) return tl::unexpected(std::move(head.error()));
  Scenario out;
  auto fields = FieldReader(root, kFields)
                    .required("id", out.id)
                    .required("title", out.title)
                    .required("source", out.source)
                    .optional("hardware", out.hardware)
                    .done();
  if (!fields) return tl::unexpected(std::move(fields.error()));
  auto rest = read_class(root, out.defect_class)
                  .and_then([&] { return read_subject(root, out); })
                  .and_then([&] { return read_model(root, out.model_config); })
                  .and_then([&] { return read_expectations(root, out.expect); })
                  .and_then([&] { return subjects_fit(root, out); });
  if (!rest) return tl::unexpected(std::move(rest.error()));
  return out;
}

std::string write_scenario(const Scenario& scenario) {
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1}).field("id", scenario.id);
  out.field("title", scenario.title);
  write_source(out, scenario.source);
  out.field("class", scenario.defect_class);
  if (scenario.plan) {
    out.key("plan").raw(scenario.plan->dump());
    if (scenario.plan_after) out.key("plan_after").raw(scenario.plan_after->dump());
  } else {
    write_launch(out, scenario);
  }
  if (scenario.hardware) out.field("hardware", true);
  out.key("expect").begin_array();
  for (const Expectation& each : scenario.expect) write_expectation(out, each);
  out.end_array().end_object();
  return std::move(out).text();
}

}  // namespace capsize
