// The events of a plan file.
#include <algorithm>

#include "scenarios/formats/plan_like.hpp"
#include "scenarios/formats/plan_reading.hpp"
#include "scenarios/formats/words.hpp"

namespace capsize::plan_reading {
namespace {

using Kind = PlanEventKind;

constexpr std::array kCaptureModes = {CaptureMode::global, CaptureMode::thread_local_mode,
                                      CaptureMode::relaxed};

constexpr std::array<std::string_view, 16> kEventFields = {
    "event",      "id",    "path",      "tokens", "group", "groups",       "buffer", "bytes",
    "generation", "ranks", "transport", "stream", "after", "capture_mode", "like",   "programs"};

constexpr unsigned bit(Kind kind) { return 1U << static_cast<unsigned>(kind); }
constexpr unsigned kGroups = bit(Kind::create_group) | bit(Kind::register_groups);
constexpr unsigned kBuffers = bit(Kind::allocate) | bit(Kind::free);
constexpr unsigned kRuns =
    bit(Kind::warm_up) | bit(Kind::capture) | bit(Kind::replay) | bit(Kind::eager);

// Fields that only some kinds of events have, and those that need them.
struct FieldUse {
  std::string_view name;
  unsigned allowed;
  unsigned needed;
};
constexpr std::array<FieldUse, 11> kFieldUses = {{
    {"group", kGroups, 0},
    {"groups", kGroups, 0},
    {"transport", bit(Kind::create_group), 0},
    {"buffer", kBuffers, kBuffers},
    {"bytes", bit(Kind::allocate), 0},
    {"generation", bit(Kind::allocate), 0},
    {"ranks", kGroups | kBuffers, 0},
    {"capture_mode", bit(Kind::capture), 0},
    {"like", kRuns, 0},
    {"programs", kRuns, 0},
    {"path", ~0U, bit(Kind::capture) | bit(Kind::replay)},
}};

Result<void> check_fields(const JsonField& field, Kind kind) {
  const std::string name(name_of(kind));
  for (const FieldUse& use : kFieldUses) {
    const auto found = field.value().find(std::string(use.name));
    const bool given = found != field.value().end() && !found->is_null();
    if (given && (use.allowed & bit(kind)) == 0) {
      return fail(Error{json_path(field.path(), use.name),
                        "says nothing in an event of the kind " + name, "leave it out"});
    }
    if (!given && (use.needed & bit(kind)) != 0) {
      return fail(Error{json_path(field.path(), use.name),
                        "is missing: an event of the kind " + name + " needs it",
                        "add this field"});
    }
  }
  return {};
}

Result<void> read_event_groups(const Reading& reading, const JsonField& field, PlanEvent& out) {
  auto list = one_or_many(field);
  if (!list) return tl::unexpected(std::move(list.error()));
  for (const JsonField& each : *list) {
    auto group = read_group(reading, each);
    if (!group) return tl::unexpected(std::move(group.error()));
    if (std::ranges::find(out.groups, *group) != out.groups.end()) {
      return fail(each.error("names this group a second time", "name every group once"));
    }
    out.groups.push_back(*group);
  }
  return {};
}

Result<void> check_groups(const JsonField& field, const PlanEvent& event) {
  if ((kGroups & bit(event.kind)) == 0) return {};
  const std::string name(name_of(event.kind));
  if (event.groups.empty()) {
    return fail(
        Error{json_path(field.path(), event.kind == Kind::create_group ? "group" : "groups"),
              "is missing: an event of the kind " + name + " needs it", "add this field"});
  }
  if (event.kind == Kind::create_group && event.groups.size() > 1) {
    return fail(Error{json_path(field.path(), "groups"), "one event creates one group",
                      "write an event for each group"});
  }
  return {};
}

// The transport of a family is told by the event that creates it.
Result<void> take_transport(Reading& reading, const JsonField& field, const PlanEvent& event) {
  if (!event.transport) return {};
  PlanGroups& family = reading.plan.families[static_cast<std::size_t>(event.groups.front().index)];
  if (family.transport && *family.transport != *event.transport) {
    return fail(Error{json_path(field.path(), "transport"),
                      "the group " + family.name + " has the transport " +
                          std::string(name_of(*family.transport)) + " elsewhere",
                      "name one transport for a group; an operation may override it"});
  }
  family.transport = event.transport;
  return {};
}

// Ids of earlier events.
Result<void> read_after(const Reading& reading, const JsonField& field,
                        std::vector<std::int32_t>& out) {
  auto list = one_or_many(field);
  if (!list) return tl::unexpected(std::move(list.error()));
  for (const JsonField& each : *list) {
    auto id = read_text(each);
    if (!id) return tl::unexpected(std::move(id.error()));
    const auto found = reading.event_ids.find(*id);
    if (found != reading.event_ids.end()) {
      out.push_back(found->second);
      continue;
    }
    const bool later = std::ranges::any_of(*reading.events, [&](const nlohmann::json& event) {
      return event.is_object() && event.contains("id") && event["id"] == *id;
    });
    if (later) {
      return fail(each.error("a cycle: \"" + *id + "\" does not come before this event",
                             "name events that stand earlier in the plan"));
    }
    std::vector<std::string_view> known;
    for (const PlanEvent& event : reading.plan.events) {
      if (!event.id.empty()) known.emplace_back(event.id);
    }
    return fail(each.error(
        "no event has the id \"" + *id + "\"",
        known.empty() ? "give the event that is meant an \"id\"" : hint_for(*id, known, "events")));
  }
  return {};
}

// An event that runs programs has its own, or those of an earlier one at another size.
Result<void> check_programs(const JsonField& field, const PlanEvent& event, bool has_like) {
  const bool own = field.value().contains("programs");
  if ((kRuns & bit(event.kind)) == 0 || own != has_like) return {};
  if (own) {
    return fail(Error{json_path(field.path(), "like"), "stands beside programs of its own",
                      "leave one of the two out"});
  }
  return fail(
      Error{json_path(field.path(), "programs"),
            "is missing: an event of the kind " + std::string(name_of(event.kind)) + " needs it",
            "add this field, or \"like\" with the place of an earlier event"});
}

// How much a copy of these programs holds: everything that has no bound of its own is counted.
std::int64_t parts_of(const std::vector<Program>& programs) {
  std::int64_t parts = 0;
  for (const Program& program : programs) {
    parts += 1 + std::ssize(program.ranks.ranges()) + std::ssize(program.blocks);
    if (program.key) parts += std::ssize(*program.key);
    for (const Decision& decision : program.decides) parts += 1 + std::ssize(decision.inputs);
    for (const PlanOp& op : program.ops) {
      parts += 1 + std::ssize(op.rows_in) + std::ssize(op.in) + std::ssize(op.reads) +
               std::ssize(op.writes) + std::ssize(op.after) + std::ssize(op.sizes) +
               std::ssize(op.launch) + std::ssize(op.extents);
      if (op.from) parts += std::ssize(*op.from);
    }
  }
  return parts;
}

Result<void> take_like(Reading& reading, const JsonField& field, std::optional<std::int64_t> like,
                       PlanEvent& event) {
  if (!like) return {};
  const auto refuse = [&](std::string text, std::string hint) {
    return fail(Error{json_path(field.path(), "like"), std::move(text), std::move(hint)});
  };
  if (*like >= std::ssize(reading.plan.events)) {
    return refuse("event " + std::to_string(*like) + " does not come before this event",
                  "name the place of an earlier event, counted from 0");
  }
  const PlanEvent& other = reading.plan.events[static_cast<std::size_t>(*like)];
  if ((kRuns & bit(other.kind)) == 0) {
    return refuse("event " + std::to_string(*like) + " runs no programs",
                  "name an event of the kind warm_up, capture, replay or eager");
  }
  if (event.tokens.value_or(0) < 1 || other.tokens.value_or(0) < 1) {
    return refuse("both events need tokens of at least 1", "say \"tokens\" in both");
  }
  std::int64_t ops = 0;
  for (const Program& program : other.programs) ops += std::ssize(program.ops);
  reading.ops_left -= ops;
  reading.programs_left -= std::ssize(other.programs);
  reading.copies_left -= parts_of(other.programs);
  if (reading.ops_left < 0 || reading.programs_left < 0 || reading.copies_left < 0) {
    return refuse("the plan holds too many operations", "leave events out");
  }
  auto programs = programs_like(other, *event.tokens);
  if (!programs) {
    return refuse("the counts of event " + std::to_string(*like) + " at " +
                      std::to_string(*other.tokens) + " tokens do not come out whole at " +
                      std::to_string(*event.tokens),
                  "write the programs out");
  }
  event.programs = *std::move(programs);
  return {};
}

Result<void> name_event(Reading& reading, const JsonField& field, const PlanEvent& event) {
  if (event.id.empty()) return {};
  const auto place = static_cast<std::int32_t>(reading.plan.events.size());
  if (reading.event_ids.emplace(event.id, place).second) return {};
  return fail(Error{json_path(field.path(), "id"),
                    "another event has the id \"" + event.id + "\" too", "give each its own id"});
}

Result<void> read_event(Reading& reading, const JsonField& field) {
  PlanEvent event;
  std::optional<std::int64_t> like;
  ObjectReader reader(field, kEventFields);
  reader.required("event", [&](const JsonField& f) {
    return word(kPlanEventKinds, event.kind)(f).and_then(
        [&] { return check_fields(field, event.kind); });
  });
  const auto groups = [&](const JsonField& f) { return read_event_groups(reading, f, event); };
  reader.optional("id", text(event.id)).optional("path", text(event.path));
  reader.optional("tokens", count(event.tokens));
  reader.optional("group", groups).optional("groups", groups);
  reader.optional("buffer",
                  [&](const JsonField& f) { return store(read_buffer(reading, f), event.buffer); });
  reader.optional("bytes", count(event.bytes)).optional("generation", count(event.generation));
  reader.optional("ranks",
                  [&](const JsonField& f) { return store(read_owners(reading, f), event.ranks); });
  reader.optional("transport", word(kTransports, event.transport));
  reader.optional("stream", count(event.stream, kStreamMax));
  reader.optional("after", [&](const JsonField& f) { return read_after(reading, f, event.after); });
  reader.optional("capture_mode", word(kCaptureModes, event.capture_mode));
  reader.optional("like", count(like));
  reader.optional("programs", [&](const JsonField& f) { return read_programs(reading, f, event); });
  auto read = reader.done()
                  .and_then([&] { return check_groups(field, event); })
                  .and_then([&] { return check_programs(field, event, like.has_value()); })
                  .and_then([&] { return take_like(reading, field, like, event); })
                  .and_then([&] { return take_transport(reading, field, event); })
                  .and_then([&] { return name_event(reading, field, event); });
  if (read) reading.plan.events.push_back(std::move(event));
  return read;
}

}  // namespace

Result<void> read_events(Reading& reading, const JsonField& field) {
  auto list = read_list(field, kEventsMax);
  if (!list) return tl::unexpected(std::move(list.error()));
  reading.events = &field.value();
  reading.plan.events.reserve(list->size());
  for (const JsonField& each : *list) {
    if (auto read = read_event(reading, each); !read) return read;
  }
  return check_captures_apart(reading.plan, field).and_then([&] {
    return check_frees(reading.plan, field);
  });
}

}  // namespace capsize::plan_reading
