#include "scenarios/formats/observation.hpp"

#include <limits>

#include "scenarios/formats/object_reader.hpp"
#include "scenarios/formats/words.hpp"

namespace capsize {
namespace {

using Doing = RankState::Doing;

constexpr std::int64_t kAnyCount = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kWorldMax = 65536;
constexpr std::int64_t kPlaceMax = std::numeric_limits<std::int32_t>::max();
constexpr ParseLimits kLimits{.max_bytes = std::size_t{64} << 20};

constexpr std::array kChecks = {Check::oracle,  Check::eager,   Check::replicas,
                                Check::exact,   Check::written, Check::guards,
                                Check::padding, Check::address, Check::counts};
constexpr std::array kDoings = {Doing::waits,  Doing::runs, Doing::finished,
                                Doing::failed, Doing::dead, Doing::idle};

// ---- writing ------------------------------------------------------------------------------------

void text_field(JsonWriter& out, std::string_view name, const std::string& text) {
  if (!text.empty()) out.field(name, std::string_view(text));
}

void write_place(JsonWriter& out, const OpPlace& place) {
  out.begin_object().field("rank", place.rank);
  if (place.layer >= 0) out.field("layer", place.layer);
  if (place.op >= 0) out.field("at", std::int64_t{place.op});
  text_field(out, "op", place.kind);
  text_field(out, "group", place.group);
  out.end_object();
}

void write_mismatch(JsonWriter& out, const Mismatch& mismatch) {
  out.begin_object().field("check", name_of(mismatch.check)).key("place");
  write_place(out, mismatch.place);
  text_field(out, "mode", mismatch.mode);
  out.field("row", mismatch.row).field("column", mismatch.column);
  out.field("count", mismatch.count).field("of", mismatch.of);
  text_field(out, "expected", mismatch.expected);
  text_field(out, "found", mismatch.found);
  out.end_object();
}

void write_state(JsonWriter& out, const RankState& state) {
  out.begin_object().field("rank", state.rank).field("doing", name_of(state.doing)).key("place");
  write_place(out, state.place);
  out.field("sequence", state.sequence);
  if (state.rows >= 0) out.field("rows", state.rows);
  text_field(out, "text", state.text);
  out.end_object();
}

template <class T, class Write>
void write_list(JsonWriter& out, std::string_view name, const std::vector<T>& list,
                const Write& write) {
  if (list.empty()) return;
  out.key(name).begin_array();
  for (const T& each : list) write(out, each);
  out.end_array();
}

void write_event(JsonWriter& out, const EventObservation& event) {
  out.begin_object().field("event", std::int64_t{event.event}).field("kind", name_of(event.kind));
  text_field(out, "path", event.path);
  out.field("tokens", event.tokens).field("bucket", event.bucket);
  out.field("symptom", name_of(event.symptom));
  if (event.skipped) out.field("skipped", true);
  if (event.place) {
    out.key("place");
    write_place(out, *event.place);
  }
  text_field(out, "text", event.text);
  write_list(out, "mismatches", event.mismatches, write_mismatch);
  write_list(out, "wavefront", event.wavefront, write_state);
  out.field("operations", event.operations).field("collectives", event.collectives);
  out.field("bytes_moved", event.bytes_moved);
  out.field("elements_compared", event.elements_compared);
  out.field("nanoseconds", event.nanoseconds).end_object();
}

// ---- reading ------------------------------------------------------------------------------------

auto count(std::int64_t& out, std::int64_t lowest = 0, std::int64_t highest = kAnyCount) {
  return [&out, lowest, highest](const JsonField& field) {
    return store(field.integer(lowest, highest), out);
  };
}

auto text(std::string& out) {
  return [&out](const JsonField& field) { return store(field.text(), out); };
}

auto truth(bool& out) {
  return [&out](const JsonField& field) { return store(field.boolean(), out); };
}

// Places in lists are 32 bits wide.
auto place_in_list(std::int32_t& out) {
  return [&out](const JsonField& field) -> Result<void> {
    auto number = field.integer(0, kPlaceMax);
    if (!number) return tl::unexpected(std::move(number.error()));
    out = static_cast<std::int32_t>(*number);
    return {};
  };
}

template <class T, class Read>
auto list_of(std::vector<T>& out, const Read& read) {
  return [&out, &read](const JsonField& field) -> Result<void> {
    auto elements = field.elements();
    if (!elements) return tl::unexpected(std::move(elements.error()));
    for (const JsonField& each : *elements) {
      if (auto done = read(each, out.emplace_back()); !done) return done;
    }
    return {};
  };
}

Result<void> read_place(const JsonField& field, OpPlace& out) {
  return ObjectReader(field, {"rank", "layer", "at", "op", "group"})
      .required("rank", count(out.rank, 0, kWorldMax - 1))
      .optional("layer", count(out.layer))
      .optional("at", place_in_list(out.op))
      .optional("op", text(out.kind))
      .optional("group", text(out.group))
      .done();
}

Result<void> read_mismatch(const JsonField& field, Mismatch& out) {
  return ObjectReader(
             field, {"check", "place", "mode", "row", "column", "count", "of", "expected", "found"})
      .required("check", word(kChecks, out.check))
      .required("place", [&](const JsonField& f) { return read_place(f, out.place); })
      .optional("mode", text(out.mode))
      .required("row", count(out.row))
      .required("column", count(out.column))
      .required("count", count(out.count))
      .required("of", count(out.of))
      .optional("expected", text(out.expected))
      .optional("found", text(out.found))
      .done();
}

Result<void> read_state(const JsonField& field, RankState& out) {
  return ObjectReader(field, {"rank", "doing", "place", "sequence", "rows", "text"})
      .required("rank", count(out.rank, 0, kWorldMax - 1))
      .required("doing", word(kDoings, out.doing))
      .required("place", [&](const JsonField& f) { return read_place(f, out.place); })
      .required("sequence", count(out.sequence))
      .optional("rows", count(out.rows))
      .optional("text", text(out.text))
      .done();
}

Result<void> read_event(const JsonField& field, EventObservation& out) {
  ObjectReader reader(field, {"event", "kind", "path", "tokens", "bucket", "symptom", "skipped",
                              "place", "text", "mismatches", "wavefront", "operations",
                              "collectives", "bytes_moved", "elements_compared", "nanoseconds"});
  reader.required("event", place_in_list(out.event))
      .required("kind", word(kPlanEventKinds, out.kind));
  reader.optional("path", text(out.path));
  reader.required("tokens", count(out.tokens)).required("bucket", count(out.bucket));
  reader.required("symptom", word(kSymptoms, out.symptom)).optional("skipped", truth(out.skipped));
  reader.optional("place", [&](const JsonField& f) { return read_place(f, out.place.emplace()); });
  reader.optional("text", text(out.text));
  reader.optional("mismatches", list_of(out.mismatches, read_mismatch));
  reader.optional("wavefront", list_of(out.wavefront, read_state));
  reader.required("operations", count(out.operations));
  reader.required("collectives", count(out.collectives));
  reader.required("bytes_moved", count(out.bytes_moved));
  reader.required("elements_compared", count(out.elements_compared));
  return reader.required("nanoseconds", count(out.nanoseconds)).done();
}

}  // namespace

void write_observation(JsonWriter& out, const Observation& observation, JsonLines lines) {
  out.begin_object().field("schema", std::int64_t{1});
  out.field("backend", std::string_view(observation.backend)).field("world", observation.world);
  out.key("ranks").array(observation.ranks).field("mathematics", observation.mathematics);
  out.field("elements", observation.elements).field("nonzero", observation.nonzero);
  out.key("events").begin_array();
  for (const EventObservation& event : observation.events) {
    if (lines == JsonLines::an_event) out.next_line();
    write_event(out, event);
  }
  out.end_array().end_object();
}

std::string write_observation(const Observation& observation, JsonLines lines) {
  JsonWriter out;
  write_observation(out, observation, lines);
  return std::move(out).text();
}

Result<Observation> read_observation(const JsonField& field) {
  Observation out;
  std::int64_t schema = 0;
  ObjectReader reader(field, {"schema", "backend", "world", "ranks", "mathematics", "elements",
                              "nonzero", "events"});
  reader.required("schema", count(schema, 1, 1)).required("backend", text(out.backend));
  reader.required("world", count(out.world, 1, kWorldMax));
  reader.required(
      "ranks", [&](const JsonField& f) { return store(f.integers(0, out.world - 1), out.ranks); });
  reader.required("mathematics", truth(out.mathematics));
  reader.required("elements", count(out.elements)).required("nonzero", count(out.nonzero));
  auto read = reader.required("events", list_of(out.events, read_event)).done();
  if (!read) return tl::unexpected(std::move(read.error()));
  return out;
}

Result<Observation> read_observation(std::string_view json_text) {
  const auto document = parse_json(json_text, kLimits);
  if (!document) return tl::unexpected(document.error());
  return read_observation(JsonField(*document));
}

}  // namespace capsize
