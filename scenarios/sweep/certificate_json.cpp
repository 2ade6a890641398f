// A certificate as JSON. What can be derived is written for whoever reads it, and derived again
// when it is read back: a document that does not say the same is damaged.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/object_reader.hpp"
#include "scenarios/sweep/certificate.hpp"
#include "scenarios/sweep/checkpoint.hpp"
#include "sim/content_hash.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kNumberMax = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kValuesMax = std::size_t{1} << 20;  // of one axis
constexpr std::size_t kHashDigits = 16;
constexpr std::size_t kHashesALine = 6;

// One letter a verdict, in the order of LawVerdict.
constexpr std::string_view kLetters = "pv-u";

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::uint64_t hash_of(std::string_view text) { return ContentHash().add(text).value(); }

// ---- writing ------------------------------------------------------------------------------------

// Writes all but the seal and the run. Lists are in an order of their own, so that equal
// certificates are written the same way whatever order their parts came in.
class Body {
 public:
  Body(JsonWriter& out, const Certificate& certificate)
      : out_(out),
        c_(certificate),
        summary_(summary_of(certificate)),
        rules_(rules_of(c_.universe)) {}

  void write() {
    out_.field("schema", std::int64_t{1}).field("verdict", name_of(summary_.verdict));
    universe();
    covered();
    outcomes();
    laws();
    counted();
    states();
    hashes();
  }

 private:
  void universe() {
    const Universe& universe = c_.universe;
    out_.next_line().key("universe").begin_object().field("name", universe.name);
    out_.field("title", universe.title).field("engine", universe.engine);
    out_.field("members", number(universe.members)).field("digest", hex_of(universe.digest));
    out_.key("axes").begin_array();
    for (const Axis& axis : universe.axes) {
      out_.next_line().begin_object().field("axis", axis.name).key("values").begin_array();
      for (const AxisValue& value : axis.values) out_.value(value.name);
      out_.end_array().end_object();
    }
    out_.end_array().end_object();
  }

  void covered() {
    out_.next_line().key("where");
    c_.where.empty() ? out_.null() : out_.value(c_.where);
    out_.field("program", c_.program).key("shard");
    if (c_.shard) {
      out_.begin_object().field("index", number(c_.shard->index));
      out_.field("of", number(c_.shard->of)).end_object();
    } else {
      out_.null();
    }
    out_.field("complete", c_.complete()).field("covered", number(c_.state.done.count()));
    out_.key("ranges").begin_array();
    for (const MemberRange& range : c_.state.done.all()) {
      out_.begin_object().field("first", number(range.first));
      out_.field("last", number(range.last - 1)).end_object();
    }
    out_.end_array();
  }

  void member(std::string_view key, const std::optional<std::uint64_t>& first) {
    out_.key(key);
    if (!first) {
      out_.null();
      return;
    }
    out_.begin_object().field("member", number(*first));
    out_.field("text", c_.text_of_member(*first)).end_object();
  }

  void outcomes() {
    out_.next_line().key("members").begin_object();
    out_.field("left_out", number(c_.state.tally.left_out));
    out_.field("removed", number(summary_.removed)).field("judged", number(summary_.judged));
    out_.field("passed", number(summary_.passed)).field("violated", number(summary_.violated));
    out_.field("undecided", number(summary_.undecided)).end_object();
    out_.next_line().key("removed").begin_array();
    for (const RemovedCount& each : summary_.preconditions) {
      out_.next_line().begin_object().field("why", each.why);
      out_.field("members", number(each.members));
      member("first", each.first);
      out_.end_object();
    }
    out_.end_array().next_line().key("graphs").begin_array();
    for (const GraphCount& each : summary_.graphs) {
      out_.next_line().begin_object().field("path", each.path);
      rules_label(each.rules);
      out_.field("members", number(each.members)).end_object();
    }
    out_.end_array();
  }

  void rules_label(std::size_t index) {
    out_.key("rules");
    rules_[index].empty() ? out_.null() : out_.value(rules_[index]);
  }

  void laws() {
    out_.next_line().key("laws").begin_array();
    for (const LawCount& each : summary_.laws) {
      out_.next_line().begin_object().field("law", c_.laws[each.law]);
      rules_label(each.rules);
      out_.field("passed", number(each.passed)).field("failed", number(each.failed));
      out_.field("undecided", number(each.undecided));
      out_.field("not_applicable", number(each.not_applicable));
      member("first_failure", each.first_failure);
      out_.key("failed_on").begin_array();
      for (const PathFailures& on : each.failed_on) {
        out_.begin_object().field("path", on.path).field("members", number(on.members));
        member("first", on.first);
        out_.end_object();
      }
      out_.end_array().end_object();
    }
    out_.end_array();
  }

  void counted() {
    const SweepSums& sums = c_.state.tally.sums;
    out_.next_line().key("distinct").begin_object().field("layouts", number(c_.layouts));
    out_.field("triples", number(c_.triples)).end_object();
    out_.key("sums").begin_object().field("lost", number(sums.lost));
    out_.field("waste", number(sums.waste)).field("padded", number(sums.padded)).end_object();
    out_.field("digest", hex_of(sums.digest));
  }

  void states() {
    out_.next_line().key("columns").array(c_.laws);
    out_.key("paths").array(c_.state.tally.paths);
    out_.next_line().key("states").begin_array();
    const auto& preconditions = c_.state.tally.preconditions;
    std::vector<std::pair<MemberState, StateCount>> renamed;
    for (const auto& [named, counted] : c_.state.tally.states) {
      MemberState state = named;
      if (state.removed != 0) {
        const auto found = std::ranges::find(summary_.preconditions,
                                             preconditions[state.removed - 1U], &RemovedCount::why);
        state.removed = static_cast<std::uint32_t>(found - summary_.preconditions.begin() + 1);
      }
      renamed.emplace_back(state, counted);
    }
    std::ranges::sort(renamed, {}, &std::pair<MemberState, StateCount>::first);
    for (const auto& [state, counted] : renamed) one_state(state, counted);
    out_.end_array();
  }

  void one_state(const MemberState& state, const StateCount& counted) {
    out_.next_line().begin_object().field("rules", std::int64_t{state.rules});
    out_.field("removed", std::int64_t{state.removed}).field("graphs", std::int64_t{state.graphs});
    out_.key("verdicts").begin_array();
    for (const PathVerdicts& path : state.paths) {
      std::string letters;
      for (std::size_t law = 0; law < c_.laws.size(); ++law) {
        letters += kLetters[static_cast<std::size_t>(path.of(law))];
      }
      out_.value(letters);
    }
    out_.end_array().field("members", number(counted.members));
    out_.field("first", number(counted.first)).end_object();
  }

  void hashes() {
    out_.next_line().key("hashes");
    if (c_.complete()) {
      out_.null();
      return;
    }
    out_.begin_object().key("layouts");
    hash_lines(c_.state.tally.layouts);
    out_.key("triples");
    hash_lines(c_.state.tally.triples);
    out_.end_object();
  }

  void hash_lines(const std::set<std::uint64_t>& hashes) {
    out_.begin_array();
    std::string line;
    for (const std::uint64_t hash : hashes) {
      line += hex_of(hash);
      if (line.size() < kHashesALine * kHashDigits) continue;
      out_.next_line().value(line);
      line.clear();
    }
    if (!line.empty()) out_.next_line().value(line);
    out_.end_array();
  }

  JsonWriter& out_;
  const Certificate& c_;
  const SweepSummary summary_;
  const std::vector<std::string> rules_;
};

std::string body_of(const Certificate& certificate) {
  JsonWriter out;
  out.begin_object();
  Body(out, certificate).write();
  out.end_object();
  return std::move(out).text();
}

// ---- reading ------------------------------------------------------------------------------------

Result<void> read_hex(const JsonField& field, std::uint64_t& out) {
  const auto text = field.text();
  if (!text) return tl::unexpected(text.error());
  const char* last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, out, 16);
  if (text->size() == kHashDigits && error == std::errc{} && end == last) return {};
  return tl::unexpected(field.error("is no hash", "16 hexadecimal digits are wanted"));
}

auto count(std::uint64_t& out, std::int64_t highest = kNumberMax) {
  return [&out, highest](const JsonField& field) { return store(field.integer(0, highest), out); };
}
auto string_in(std::string& out) {
  return [&out](const JsonField& field) { return store(field.text(), out); };
}
auto hex(std::uint64_t& out) {
  return [&out](const JsonField& field) { return read_hex(field, out); };
}

// Every element of an array through `read`.
template <class Read>
Result<void> each(const JsonField& field, const Read& read) {
  auto elements = field.elements();
  if (!elements) return tl::unexpected(std::move(elements.error()));
  for (const JsonField& element : *elements) {
    if (Result<void> done = read(element); !done) return done;
  }
  return {};
}

auto texts(std::vector<std::string>& out, std::size_t most) {
  return [&out, most](const JsonField& field) -> Result<void> {
    auto done = each(
        field, [&](const JsonField& element) { return store(element.text(), out.emplace_back()); });
    if (done && out.size() > most) {
      return tl::unexpected(field.error("has more than " + std::to_string(most) + " elements", ""));
    }
    return done;
  };
}

Result<void> read_axis(const JsonField& field, Axis& out) {
  std::vector<std::string> names;
  auto read = ObjectReader(field, {"axis", "values"})
                  .required("axis", string_in(out.name))
                  .required("values", texts(names, kValuesMax))
                  .require(!names.empty(), "has no value", "")
                  .done();
  for (std::string& name : names) out.values.push_back({.name = std::move(name)});
  return read;
}

Result<void> read_universe_part(const JsonField& field, Universe& out) {
  const auto axes = [&](const JsonField& list) {
    return each(list,
                [&](const JsonField& axis) { return read_axis(axis, out.axes.emplace_back()); });
  };
  auto read = ObjectReader(field, {"name", "title", "engine", "members", "digest", "axes"})
                  .required("name", string_in(out.name))
                  .required("title", string_in(out.title))
                  .required("engine", string_in(out.engine))
                  .required("members", count(out.members))
                  .required("digest", hex(out.digest))
                  .required("axes", axes)
                  .done();
  if (!read) return read;
  std::uint64_t product = 1;
  for (const Axis& axis : out.axes) {
    if (__builtin_mul_overflow(product, axis.values.size(), &product)) product = 0;
  }
  if (product == out.members) return {};
  return tl::unexpected(field.error("its axes do not make so many members", ""));
}

Result<void> read_range(const JsonField& field, const Universe& universe, MemberRanges& out) {
  MemberRange range;
  auto read = ObjectReader(field, {"first", "last"})
                  .required("first", count(range.first, number(universe.members) - 1))
                  .required("last", count(range.last, number(universe.members) - 1))
                  .require(range.first <= range.last, "ends before it begins", "")
                  .done();
  if (!read) return read;
  ++range.last;
  if (out.add(range)) return {};
  return tl::unexpected(field.error("overlaps another range", ""));
}

Result<void> read_shard_field(const JsonField& field, Shard& out) {
  return ObjectReader(field, {"index", "of"})
      .required("index", count(out.index))
      .required("of", count(out.of))
      .require(out.index >= 1 && out.index <= out.of, "is none of its shards", "")
      .done();
}

// The letters of one path; `columns` laws.
Result<void> read_letters(const JsonField& field, std::size_t columns, PathVerdicts& out) {
  const auto letters = field.text();
  if (!letters) return tl::unexpected(letters.error());
  if (letters->size() != columns) {
    return tl::unexpected(field.error("has not one letter a column", ""));
  }
  for (std::size_t law = 0; law < columns; ++law) {
    const std::size_t verdict = kLetters.find((*letters)[law]);
    if (verdict == std::string_view::npos) {
      return tl::unexpected(field.error("holds a letter other than p, v, - and u", ""));
    }
    out.set(law, static_cast<LawVerdict>(verdict));
  }
  return {};
}

Result<void> read_state(const JsonField& field, const Certificate& c, Tally& out) {
  MemberState state;
  StateCount counted;
  std::uint64_t rules = 0;
  std::uint64_t removed = 0;
  std::uint64_t graphs = 0;
  std::size_t path = 0;
  const auto verdicts = [&](const JsonField& list) {
    return each(list, [&](const JsonField& letters) -> Result<void> {
      if (path == kSweepPaths) return tl::unexpected(letters.error("is a path too many", ""));
      return read_letters(letters, c.laws.size(), state.paths[path++]);
    });
  };
  const auto labels = static_cast<std::int64_t>(rules_of(c.universe).size());
  auto read = ObjectReader(field, {"rules", "removed", "graphs", "verdicts", "members", "first"})
                  .required("rules", count(rules, labels - 1))
                  .required("removed", count(removed, std::ssize(out.preconditions)))
                  .required("graphs", count(graphs, (1 << kSweepPaths) - 1))
                  .required("verdicts", verdicts)
                  .required("members", count(counted.members))
                  .required("first", count(counted.first, number(c.universe.members) - 1))
                  .require(path == kSweepPaths, "lacks a path", "")
                  .done();
  if (!read) return read;
  state.rules = static_cast<std::uint16_t>(rules);
  state.removed = static_cast<std::uint32_t>(removed);
  state.graphs = static_cast<std::uint32_t>(graphs);
  out.count(state, counted.members, counted.first);
  return {};
}

Result<void> read_hashes(const JsonField& list, std::set<std::uint64_t>& out) {
  return each(list, [&](const JsonField& field) -> Result<void> {
    const auto line = field.text();
    if (!line) return tl::unexpected(line.error());
    for (std::size_t at = 0; at < line->size(); at += kHashDigits) {
      std::uint64_t hash = 0;
      const char* begin = line->data() + at;
      const char* last = begin + std::min(kHashDigits, line->size() - at);
      const auto [end, error] = std::from_chars(begin, last, hash, 16);
      if (error != std::errc{} || end != last)
        return tl::unexpected(field.error("holds no hashes", ""));
      out.insert(out.end(), hash);
    }
    return {};
  });
}

// A field of the document whose value is what `read` makes of it; others are left to the
// comparison.
template <class Read>
Result<void> take(const JsonField& object, std::string_view name, const Read& read) {
  auto field = object.required(name);
  if (!field) return tl::unexpected(std::move(field.error()));
  return read(*field);
}
template <class Read>
Result<void> take_optional(const JsonField& object, std::string_view name, const Read& read) {
  auto field = object.optional(name);
  if (!field) return tl::unexpected(std::move(field.error()));
  return *field ? Result<void>(read(**field)) : Result<void>{};
}

Result<void> read_head(const JsonField& root, Certificate& out) {
  const auto schema = [](const JsonField& field) -> Result<void> {
    if (field.integer(1, 1)) return {};
    return tl::unexpected(field.error("must be 1", "this program reads schema 1"));
  };
  const auto ranges = [&](const JsonField& list) {
    return each(list, [&](const JsonField& range) {
      return read_range(range, out.universe, out.state.done);
    });
  };
  return take(root, "schema", schema)
      .and_then([&] {
        return take(root, "universe", [&](const JsonField& field) {
          return read_universe_part(field, out.universe);
        });
      })
      .and_then([&] { return take_optional(root, "where", string_in(out.where)); })
      .and_then([&] { return take(root, "program", string_in(out.program)); })
      .and_then([&] {
        return take_optional(root, "shard", [&](const JsonField& field) {
          return read_shard_field(field, out.shard.emplace());
        });
      })
      .and_then([&] { return take(root, "ranges", ranges); });
}

Result<void> read_preconditions(const JsonField& list, Tally& out) {
  return each(list, [&](const JsonField& field) {
    return take(field, "why", [&](const JsonField& why) {
      return store(why.text(), out.preconditions.emplace_back());
    });
  });
}

Result<void> read_tally(const JsonField& root, Certificate& out) {
  Tally& tally = out.state.tally;
  const auto left_out = [&](const JsonField& members) {
    return take(members, "left_out", count(tally.left_out));
  };
  const auto sums = [&](const JsonField& field) {
    return take(field, "lost", count(tally.sums.lost))
        .and_then([&] { return take(field, "waste", count(tally.sums.waste)); })
        .and_then([&] { return take(field, "padded", count(tally.sums.padded)); });
  };
  const auto distinct = [&](const JsonField& field) {
    return take(field, "layouts", count(out.layouts)).and_then([&] {
      return take(field, "triples", count(out.triples));
    });
  };
  const auto states = [&](const JsonField& list) {
    return each(list, [&](const JsonField& state) { return read_state(state, out, tally); });
  };
  const auto hashes = [&](const JsonField& field) {
    return take(field, "layouts",
                [&](const JsonField& list) { return read_hashes(list, tally.layouts); })
        .and_then([&] {
          return take(field, "triples",
                      [&](const JsonField& list) { return read_hashes(list, tally.triples); });
        });
  };
  return take(root, "members", left_out)
      .and_then([&] {
        return take(root, "removed",
                    [&](const JsonField& list) { return read_preconditions(list, tally); });
      })
      .and_then([&] { return take(root, "sums", sums); })
      .and_then([&] { return take(root, "digest", hex(tally.sums.digest)); })
      .and_then([&] { return take(root, "distinct", distinct); })
      .and_then([&] { return take(root, "columns", texts(out.laws, kSweepLaws)); })
      .and_then([&] { return take(root, "paths", texts(tally.paths, kSweepPaths)); })
      .and_then([&] { return take(root, "states", states); })
      .and_then([&] { return take_optional(root, "hashes", hashes); });
}

Result<void> read_run(const JsonField& field, SweepRun& out) {
  std::uint64_t rate = 0;
  const auto seconds = [&](const JsonField& value) -> Result<void> {
    if (!value.value().is_number()) return tl::unexpected(value.error("is no number", ""));
    constexpr double kLongest = 1e9;  // about thirty years
    out.seconds = value.value().get<double>();
    if (out.seconds >= 0 && out.seconds <= kLongest) return {};
    return tl::unexpected(
        value.error("is no time that a sweep takes: 0 to 1000000000 seconds", ""));
  };
  return ObjectReader(field, {"threads", "ranks", "members", "seconds", "members_a_second"})
      .required("threads", count(out.threads))
      .required("ranks", count(out.ranks))
      .required("members", count(out.members))
      .required("seconds", seconds)
      .required("members_a_second", count(rate))
      .done();
}

// A document that was taken apart and put together again is the same, or it is damaged.
Result<void> compare(const JsonField& root, const Certificate& certificate) {
  const auto damaged = [](std::string where) {
    return tl::unexpected(Error{std::move(where),
                                "does not fit the rest: the certificate is damaged",
                                "make it again; a certificate is not edited by hand"});
  };
  const std::string body = body_of(certificate);
  const auto again = parse_json(body, {.max_bytes = kCertificateBytes});
  if (!again) return tl::unexpected(again.error());
  for (const auto& item : root.value().items()) {
    if (item.key() == "run" || item.key() == "seal") continue;
    const auto found = again->find(item.key());
    if (found == again->end()) {
      return tl::unexpected(Error{json_path(root.path(), item.key()), "unknown field",
                                  "a certificate is not edited by hand"});
    }
    if (*found != item.value()) return damaged(json_path(root.path(), item.key()));
  }
  for (const auto& item : again->items()) {
    if (root.value().contains(item.key())) continue;
    return tl::unexpected(Error{json_path(root.path(), item.key()), "is missing", "make it again"});
  }
  std::uint64_t seal = 0;
  if (auto read = take(root, "seal", hex(seal)); !read) return read;
  if (seal != hash_of(body)) return damaged("$.seal");
  const MemberRanges& done = certificate.state.done;
  if (certificate.state.tally.members() + certificate.state.tally.left_out != done.count()) {
    return damaged("$.states");
  }
  if (!done.within(certificate.range())) return damaged("$.ranges");
  return {};
}

}  // namespace

std::string hex_of(std::uint64_t number) { return fmt::format("{:016x}", number); }

std::string write_certificate(const Certificate& certificate) {
  std::string body = body_of(certificate);
  JsonWriter tail;
  tail.begin_object().field("seal", hex_of(hash_of(body)));
  tail.next_line().key("run").begin_object();
  tail.field("threads", number(certificate.run.threads));
  tail.field("ranks", number(certificate.run.ranks));
  tail.field("members", number(certificate.run.members)).key("seconds");
  const auto milliseconds = static_cast<std::uint64_t>(certificate.run.seconds * 1000);
  const std::string thousandths = std::to_string(milliseconds % 1000);
  tail.raw(std::to_string(milliseconds / 1000) + "." + std::string(3 - thousandths.size(), '0') +
           thousandths);
  tail.field("members_a_second", number(certificate.run.members_a_second()));
  tail.end_object().end_object();
  body.back() = ',';  // the object goes on
  return body + "\n" + std::move(tail).text().substr(1) + "\n";
}

Result<Certificate> read_certificate(std::string_view json_text) {
  const auto document = parse_json(json_text, {.max_bytes = kCertificateBytes});
  if (!document) return tl::unexpected(document.error());
  const JsonField root(*document);
  Certificate out;
  auto read = root.object()
                  .and_then([&] { return read_head(root, out); })
                  .and_then([&] { return read_tally(root, out); })
                  .and_then([&] {
                    return take(root, "run",
                                [&](const JsonField& field) { return read_run(field, out.run); });
                  })
                  .and_then([&] { return compare(root, out); });
  if (!read) return tl::unexpected(std::move(read.error()));
  return out;
}

}  // namespace capsize
