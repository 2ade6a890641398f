// How the fields of a plan become values: text, names of groups and buffers, layouts, ranks.
#include <algorithm>
#include <charconv>

#include "scenarios/formats/plan_reading.hpp"
#include "sim/nearest.hpp"

namespace capsize::plan_reading {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

Result<std::int64_t> read_number(const JsonField& field, std::string_view& rest) {
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || rest.front() == '-') {
    return tl::unexpected(field.error("holds no ranges of ranks", "write them as \"0-3,8\""));
  }
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return number;
}

// One piece of a text of ranks: "8", "0-7" or "0-56:8".
Result<RankPiece> read_piece(const JsonField& field, std::string_view rest) {
  RankPiece piece;
  if (rest.empty()) {
    return tl::unexpected(field.error("holds no ranges of ranks", "write them as \"0-3,8\""));
  }
  auto read = store(read_number(field, rest), piece.first);
  piece.last = piece.first;
  if (read && rest.size() > 1 && rest.front() == '-') {
    rest.remove_prefix(1);
    read = store(read_number(field, rest), piece.last);
    if (read && rest.size() > 1 && rest.front() == ':') {
      rest.remove_prefix(1);
      read = store(read_number(field, rest), piece.step);
    }
  }
  if (!read) return tl::unexpected(std::move(read.error()));
  if (!rest.empty()) {
    return tl::unexpected(field.error("holds no ranges of ranks", "write them as \"0-3,8\""));
  }
  if (piece.last < piece.first) {
    return tl::unexpected(
        field.error("a range of ranks runs backwards: " + std::to_string(piece.first) + "-" +
                        std::to_string(piece.last),
                    "write the lower rank first"));
  }
  if (piece.step < 1) {
    return tl::unexpected(field.error("a range of ranks has step 0", "write a step from 1"));
  }
  return piece;
}

Result<void> check_in_world(const JsonField& field, std::int64_t rank, std::int64_t world) {
  if (rank >= 0 && rank < world) return {};
  return fail(field.error(
      "rank " + std::to_string(rank) + " is outside of the world of " + std::to_string(world),
      "ranks count from 0 to " + std::to_string(world - 1)));
}

Result<std::vector<RankPiece>> read_listed(const JsonField& field, std::int64_t world) {
  std::vector<RankPiece> pieces;
  pieces.reserve(field.value().size());
  for (std::size_t i = 0; i < field.value().size(); ++i) {
    const nlohmann::json& element = field.value()[i];
    const bool whole = element.is_number_integer();
    const std::int64_t rank = whole ? element.get<std::int64_t>() : -1;
    if (rank < 0 || rank >= world) {
      const JsonField at(element, json_path(field.path(), i));
      auto number = at.integer(INT64_MIN, INT64_MAX);
      if (!number) return tl::unexpected(std::move(number.error()));
      return tl::unexpected(check_in_world(at, *number, world).error());
    }
    if (!pieces.empty() && pieces.back().step == 1 && pieces.back().last + 1 == rank) {
      pieces.back().last = rank;
    } else {
      pieces.push_back({rank, rank, 1});
    }
  }
  return pieces;
}

// Takes a word from the front of `rest`.
bool take(std::string_view& rest, std::string_view word) {
  if (!rest.starts_with(word)) return false;
  rest.remove_prefix(word.size());
  return true;
}

void skip_blanks(std::string_view& rest) {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
}

std::vector<std::string_view> group_names(const Reading& reading) {
  std::vector<std::string_view> names;
  for (const PlanGroups& family : reading.plan.families) names.emplace_back(family.name);
  return names;
}

Result<GroupId> find_group(const Reading& reading, const JsonField& field, std::string_view name) {
  if (const auto group = reading.plan.find_group(name)) return *group;
  return tl::unexpected(
      field.error("names the group \"" + std::string(name) + "\", which does not exist",
                  hint_for(name, group_names(reading), "groups")));
}

}  // namespace

Result<std::string> read_text(const JsonField& field) {
  auto text = field.text();
  if (!text) return text;
  if (auto sound = check_name(field, *text); !sound) {
    return tl::unexpected(std::move(sound.error()));
  }
  return text;
}

Result<void> check_name(const JsonField& field, std::string_view name) {
  if (name.empty()) return fail(field.error("is empty", "write it, or leave the field out"));
  if (name.size() > kTextMax) {
    return fail(field.error(
        "has " + std::to_string(name.size()) + " bytes, more than " + std::to_string(kTextMax),
        "give a shorter text"));
  }
  if (std::ranges::any_of(name, is_control)) {
    return fail(field.error("holds a control character", "give plain text"));
  }
  return {};
}

Result<std::vector<JsonField>> read_list(const JsonField& field, std::size_t most) {
  if (field.value().is_array() && field.value().size() > most) {
    return tl::unexpected(field.error("holds " + std::to_string(field.value().size()) +
                                          " elements, more than " + std::to_string(most),
                                      "state a smaller plan"));
  }
  return field.elements();
}

Result<std::vector<JsonField>> one_or_many(const JsonField& field) {
  if (field.value().is_array()) return field.elements();
  return std::vector<JsonField>{field};
}

Result<std::vector<NamedValue>> read_scalars(const JsonField& field) {
  if (auto object = field.object(); !object) return tl::unexpected(std::move(object.error()));
  std::vector<NamedValue> out;
  for (const auto& item : field.value().items()) {
    const JsonField value(item.value(), json_path(field.path(), item.key()));
    if (auto named = check_name(value, item.key()); !named) {
      return tl::unexpected(std::move(named.error()));
    }
    if (item.value().is_structured() || item.value().is_null()) {
      return tl::unexpected(
          value.error("must be a number, a string, true or false", "give a single value"));
    }
    std::string text = item.value().dump();
    if (text.size() > kTextMax) {
      return tl::unexpected(value.error("is longer than " + std::to_string(kTextMax) + " bytes",
                                        "give a shorter text"));
    }
    out.emplace_back(item.key(), std::move(text));
  }
  return out;
}

std::string hint_for(std::string_view word, const std::vector<std::string_view>& known,
                     std::string_view where_declared) {
  if (known.empty()) return "declare it in \"" + std::string(where_declared) + "\"";
  return hint_of_known(word, known);
}

Result<GroupId> read_group(const Reading& reading, const JsonField& field) {
  auto name = read_text(field);
  if (!name) return tl::unexpected(std::move(name.error()));
  return find_group(reading, field, *name);
}

Result<std::int32_t> read_buffer(const Reading& reading, const JsonField& field) {
  auto name = read_text(field);
  if (!name) return tl::unexpected(std::move(name.error()));
  const auto found = reading.buffers.find(*name);
  if (found != reading.buffers.end()) return found->second;
  std::vector<std::string_view> names;
  for (const PlanBuffer& buffer : reading.plan.buffers) names.emplace_back(buffer.name);
  return tl::unexpected(field.error("names the buffer \"" + *name + "\", which does not exist",
                                    hint_for(*name, names, "buffers")));
}

Result<Layout> read_layout(const Reading& reading, const JsonField& field) {
  auto text = read_text(field);
  if (!text) return tl::unexpected(std::move(text.error()));
  Layout layout;
  if (*text == "Replicated") return layout;
  const auto broken = [&] {
    return tl::unexpected(
        field.error("\"" + *text + "\" is no layout",
                    "write Replicated, Scattered(g), Partial(g), Scattered(outer, inner) or "
                    "several of them side by side"));
  };
  std::string_view rest = *text;
  while (!rest.empty()) {
    const bool scattered = take(rest, "Scattered(");
    if (!scattered && !take(rest, "Partial(")) return broken();
    for (bool more = true; more;) {
      skip_blanks(rest);
      const std::size_t end = rest.find_first_of(",)");
      if (end == std::string_view::npos) return broken();
      std::string_view name = rest.substr(0, end);
      while (name.ends_with(' ')) name.remove_suffix(1);
      auto group = find_group(reading, field, name);
      if (!group) return tl::unexpected(std::move(group.error()));
      if (layout.depth == layout.parts.size()) {
        return tl::unexpected(field.error("nests deeper than 6 groups", "name fewer groups"));
      }
      layout.push({scattered ? LayoutKind::scattered : LayoutKind::partial, *group});
      more = rest[end] == ',';
      rest.remove_prefix(end + 1);
    }
    skip_blanks(rest);
  }
  return layout;
}

Result<std::vector<RankPiece>> read_pieces(const JsonField& field, std::int64_t world) {
  if (field.value().is_array()) return read_listed(field, world);
  if (!field.value().is_string()) {
    return tl::unexpected(
        field.error("must be ranges of ranks in a string, or a list of ranks", "write \"0-3,8\""));
  }
  std::vector<RankPiece> pieces;
  std::string_view rest = field.value().get_ref<const std::string&>();
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    std::string_view part = rest.substr(0, comma);
    if (more) rest.remove_prefix(comma + 1);
    skip_blanks(part);
    while (part.ends_with(' ')) part.remove_suffix(1);
    auto piece = read_piece(field, part);
    if (!piece) return tl::unexpected(std::move(piece.error()));
    if (auto in = check_in_world(field, piece->last, world); !in) {
      return tl::unexpected(std::move(in.error()));
    }
    pieces.push_back(*piece);
  }
  return pieces;
}

Result<RankSet> read_ranks(Reading& reading, const JsonField& field) {
  const std::int64_t world = reading.plan.world;
  if (field.value() == "all") return RankSet(0, world - 1);
  auto pieces = read_pieces(field, world);
  if (!pieces) return tl::unexpected(std::move(pieces.error()));
  if (pieces->empty()) {
    return tl::unexpected(field.error("names no rank", "name a rank, as in \"0-3,8\""));
  }
  std::vector<RankRange> ranges;
  for (const RankPiece& piece : *pieces) {
    reading.ranges_left -= piece.step == 1 ? 1 : piece.count();
    if (reading.ranges_left < 0) {
      return tl::unexpected(
          field.error("the plan holds more than " + std::to_string(kRangesMax) + " ranges of ranks",
                      "state a smaller plan"));
    }
    if (piece.step == 1) {
      ranges.push_back({piece.first, piece.last});
    } else {
      for (std::int64_t r = piece.first; r <= piece.last; r += piece.step) ranges.push_back({r, r});
    }
  }
  std::ranges::sort(ranges, {}, &RankRange::first);
  RankSet out;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0 && ranges[i].first <= ranges[i - 1].last) {
      return tl::unexpected(field.error("names rank " + std::to_string(ranges[i].first) + " twice",
                                        "name every rank once"));
    }
    out.append(ranges[i]);
  }
  return out;
}

Result<RankSet> read_owners(Reading& reading, const JsonField& field) {
  if (field.value() == "all") return RankSet();
  return read_ranks(reading, field);
}

}  // namespace capsize::plan_reading
