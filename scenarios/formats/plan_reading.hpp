// What the parts of the plan reader share: the state of one reading, and how a field becomes a
// value. Only plan_*.cpp includes it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/object_reader.hpp"
#include "sim/lifecycle.hpp"

namespace capsize::plan_reading {

// The bounds of a plan. They are far above what a server needs, and low enough that no file costs
// more memory or time than a person would wait for.
inline constexpr std::int64_t kWorldMax = 65536;
inline constexpr std::int64_t kCountMax = std::int64_t{1} << 53;  // exact in every JSON reader
inline constexpr std::size_t kFamiliesMax = 64;
inline constexpr std::int64_t kMembersMax = std::int64_t{1} << 20;  // of all groups together
inline constexpr std::size_t kEventsMax = 10000;
inline constexpr std::int64_t kProgramsMax = 200000;  // of all events together
inline constexpr std::size_t kProgramOpsMax = 20000;
inline constexpr std::int64_t kOpsMax = 200000;  // of all programs together
inline constexpr std::int64_t kRepeatMax = 100000;
inline constexpr std::int64_t kLayersMax = 100000;  // of a model
inline constexpr std::int64_t kStreamMax = 63;
inline constexpr std::size_t kTextMax = 256;
inline constexpr std::size_t kListMax = 65536;                     // captures, buffers, weights
inline constexpr std::int64_t kRangesMax = std::int64_t{1} << 18;  // of ranks, together
inline constexpr std::int64_t kCopiesMax = std::int64_t{1} << 20;  // see Reading::copies_left
inline constexpr std::int64_t kLooksMax = std::int64_t{1} << 26;   // single ranks looked at

// What is asked of a family again and again.
struct FamilyFacts {
  bool complete = false;              // every rank of the world is in some group
  std::vector<std::int32_t> outside;  // [r]: ranks below r in no group; empty where complete
};

struct Reading {
  Lifecycle plan;
  std::vector<FamilyFacts> facts;                           // of every family
  std::unordered_map<std::string, std::int32_t> buffers;    // places by name
  std::unordered_map<std::string, std::int32_t> event_ids;  // places of the events so far
  const nlohmann::json* events = nullptr;                   // all of them, to tell later ids
  std::int64_t members_left = kMembersMax;
  std::int64_t ranges_left = kRangesMax;
  std::int64_t programs_left = kProgramsMax;
  std::int64_t ops_left = kOpsMax;
  std::int64_t looks_left = kLooksMax;
  // Parts of programs that events take over from others: a short word that copies much.
  std::int64_t copies_left = kCopiesMax;
};

// ---- values -----------------------------------------------------------------------------------

[[nodiscard]] inline Result<void> fail(Error error) { return tl::unexpected(std::move(error)); }

// A string that is not empty and not too long, without control characters.
[[nodiscard]] Result<std::string> read_text(const JsonField& field);
// The same of a name that stands as a key of an object.
[[nodiscard]] Result<void> check_name(const JsonField& field, std::string_view name);
// An array of at most `most` elements.
[[nodiscard]] Result<std::vector<JsonField>> read_list(const JsonField& field, std::size_t most);
// An array, or one value that stands for an array of one.
[[nodiscard]] Result<std::vector<JsonField>> one_or_many(const JsonField& field);
// An object of scalars: sorted by name, the values as JSON text.
[[nodiscard]] Result<std::vector<NamedValue>> read_scalars(const JsonField& field);

// Functions for ObjectReader: how a field becomes the value of `out`.
[[nodiscard]] inline auto count(std::int64_t& out, std::int64_t lowest = 0,
                                std::int64_t highest = kCountMax) {
  return [&out, lowest, highest](const JsonField& field) {
    return store(field.integer(lowest, highest), out);
  };
}
[[nodiscard]] inline auto count(std::optional<std::int64_t>& out,
                                std::int64_t highest = kCountMax) {
  return [&out, highest](const JsonField& field) { return store(field.integer(0, highest), out); };
}
[[nodiscard]] inline auto text(std::string& out) {
  return [&out](const JsonField& field) { return store(read_text(field), out); };
}
[[nodiscard]] inline auto truth(std::optional<bool>& out) {
  return [&out](const JsonField& field) { return store(field.boolean(), out); };
}
[[nodiscard]] inline auto counts(std::vector<std::int64_t>& out) {
  return [&out](const JsonField& field) { return store(field.integers(0, kCountMax), out); };
}

inline constexpr std::array kTransports = {Transport::checked, Transport::raw, Transport::peer};
inline constexpr std::array kModes = {GraphMode::graph, GraphMode::piecewise, GraphMode::eager};

// ---- names ------------------------------------------------------------------------------------

// "did you mean tp? known here: dp, tp" or only what is known; "nothing is declared" in words.
[[nodiscard]] std::string hint_for(std::string_view word,
                                   const std::vector<std::string_view>& known,
                                   std::string_view where_declared);

[[nodiscard]] Result<GroupId> read_group(const Reading& reading, const JsonField& field);
[[nodiscard]] Result<std::int32_t> read_buffer(const Reading& reading, const JsonField& field);
[[nodiscard]] Result<Layout> read_layout(const Reading& reading, const JsonField& field);

// ---- ranks ------------------------------------------------------------------------------------

// Ranks first, first + step, ... up to last.
struct RankPiece {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t step = 1;
  [[nodiscard]] std::int64_t count() const { return (last - first) / step + 1; }
};

// "0-3,8,16-56:8", or a list of ranks; in the order of the file, all inside the world.
[[nodiscard]] Result<std::vector<RankPiece>> read_pieces(const JsonField& field,
                                                         std::int64_t world);
// A set of ranks, not empty; "all" is every rank of the world.
[[nodiscard]] Result<RankSet> read_ranks(Reading& reading, const JsonField& field);
// The same where an empty set stands for all ranks.
[[nodiscard]] Result<RankSet> read_owners(Reading& reading, const JsonField& field);

// ---- the larger parts ---------------------------------------------------------------------------

// plan_groups.cpp
[[nodiscard]] Result<void> read_families(Reading& reading, const JsonField& field);
// plan_programs.cpp
[[nodiscard]] Result<void> read_programs(Reading& reading, const JsonField& field,
                                         PlanEvent& event);
// plan_events.cpp
[[nodiscard]] Result<void> read_events(Reading& reading, const JsonField& field);
// plan_order.cpp: what only the events together show.
[[nodiscard]] Result<void> check_captures_apart(const Lifecycle& plan, const JsonField& events);
[[nodiscard]] Result<void> check_frees(const Lifecycle& plan, const JsonField& events);

}  // namespace capsize::plan_reading
