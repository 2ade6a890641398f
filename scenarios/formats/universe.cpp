// Axes first, for everything else speaks of them: quantities, constraints, and at last the question
// whether there is a member at all.
#include "scenarios/formats/universe.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "scenarios/formats/model_config.hpp"
#include "scenarios/formats/object_reader.hpp"
#include "scenarios/formats/read_file.hpp"
#include "sim/engines/engine.hpp"
#include "sim/member_search.hpp"
#include "sim/nearest.hpp"

namespace capsize {
namespace {

constexpr std::size_t kFileBytesMost = std::size_t{1} << 20;
constexpr std::size_t kAxesMost = 64;
constexpr std::int64_t kValuesMost = 65536;
constexpr std::size_t kSizesMost = 128;  // as many as a law judges at once
constexpr std::size_t kNameBytesMost = 120;
constexpr std::uint64_t kMembersMost = std::uint64_t{1} << 63;
constexpr std::uint64_t kSearchSteps = std::uint64_t{1} << 25;  // whether constraints clash
constexpr std::uint64_t kNamingSteps = std::uint64_t{1} << 25;  // the fewest that do
constexpr std::size_t kClashTold = 8;
constexpr std::size_t kListedMost = 1024;  // of constraints, quantities, models, lists of sizes
constexpr std::size_t kWordBytesMost = std::size_t{1} << 26;  // of all values of all axes together
constexpr std::size_t kCellsMost = std::size_t{1}
                                   << 24;  // values of axes, again for each condition
constexpr std::int64_t kSizeMost = std::int64_t{1} << 31;
constexpr std::int64_t kNumberMost = std::int64_t{1} << 61;

constexpr std::string_view kModelAxis = "model";
constexpr std::string_view kRulesAxis = "rules";

Result<void> fail(const JsonField& field, std::string text, std::string hint) {
  return tl::unexpected(field.error(std::move(text), std::move(hint)));
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// Whether a word starts an option, and is not read as a value of the option before it: a negative
// number is such a value, and so is a sentence.
bool begins_option(std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  if (!name.starts_with('-') || name.find(' ') != std::string_view::npos) return false;
  const std::string_view bare = name.substr(name.starts_with("--") ? 2 : 1);
  return !bare.empty() && bare.front() != '-' && bare.front() != '.' &&
         !(bare.front() >= '0' && bare.front() <= '9');
}

// A name as it is printed: of a value, a model, a list of sizes.
Result<std::string> read_name(const JsonField& field) {
  auto name = field.text();
  if (!name) return name;
  if (!name->empty() && name->size() <= kNameBytesMost && !has_control(*name)) return name;
  return tl::unexpected(field.error("is no name", "give 1 to " + std::to_string(kNameBytesMost) +
                                                      " bytes without control characters"));
}

// A name as conditions can say it: of an axis or a derived quantity.
Result<std::string> read_identifier(const JsonField& field) {
  auto name = read_name(field);
  if (!name) return name;
  const bool fits = std::ranges::all_of(*name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (fits && !(name->front() >= '0' && name->front() <= '9')) return name;
  return tl::unexpected(field.error("is no name that a condition could say",
                                    "use letters, digits and _, and no digit in front"));
}

Result<std::vector<std::string>> read_words(const JsonField& field) {
  auto elements = field.elements();
  if (!elements) return tl::unexpected(std::move(elements.error()));
  std::vector<std::string> words;
  for (const JsonField& element : *elements) {
    auto word = element.text();
    if (!word) return tl::unexpected(std::move(word.error()));
    if (has_control(*word)) {
      return tl::unexpected(element.error("has a control character in it", "leave it out"));
    }
    words.push_back(*std::move(word));
  }
  return words;
}

// The number that a name is, where it is one as it would be printed.
std::optional<std::int64_t> number_of(std::string_view name) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  if (std::to_string(number) != name) return std::nullopt;
  return number;
}

// The name of a plain value: a string, or a number.
Result<std::string> read_value_name(const JsonField& field) {
  if (field.value().is_string()) return read_name(field);
  auto number = field.integer(-kNumberMost, kNumberMost);
  if (!number) {
    return tl::unexpected(
        field.error("is no value", "give a whole number, a name, or {\"name\", \"words\"}"));
  }
  return std::to_string(*number);
}

std::string replaced(std::string_view word, std::string_view value) {
  std::string out;
  for (std::size_t at = 0; at < word.size();) {
    if (word.substr(at).starts_with("{}")) {
      out += value;
      at += 2;
    } else {
      out += word[at++];
    }
  }
  return out;
}

template <class Items>
std::vector<std::string_view> names_of(const Items& items) {
  std::vector<std::string_view> out;
  for (const auto& each : items) out.emplace_back(each.name);
  return out;
}

// What is read so far, and what may refer to it.
class Reading {
 public:
  Result<Universe> read(const JsonField& root) {
    static constexpr std::array<std::string_view, 10> kFields = {
        "schema", "universe", "title", "engine",  "launch",
        "models", "sizes",    "axes",  "derived", "constraints"};
    const auto by = [this](Result<void> (Reading::*step)(const JsonField&)) {
      return [this, step](const JsonField& field) { return (this->*step)(field); };
    };
    auto fields =
        ObjectReader(root, kFields)
            .required("schema",
                      [](const JsonField& f) {
                        if (f.integer(1, 1)) return Result<void>();
                        return fail(f, "must be 1", "this program reads schema 1");
                      })
            .required("universe",
                      [&](const JsonField& f) { return store(read_name(f), out_.name); })
            .required("title", [&](const JsonField& f) { return store(read_name(f), out_.title); })
            .required("engine", by(&Reading::read_engine))
            .optional("launch", by(&Reading::read_launch_words))
            .optional("models", by(&Reading::read_models))
            .optional("sizes", by(&Reading::read_sizes))
            .required("axes", by(&Reading::read_axes))
            .optional("derived", by(&Reading::read_derived))
            .optional("constraints", by(&Reading::read_constraints))
            .done();
    if (fields) fields = everything_is_used(root);
    if (!fields) return tl::unexpected(std::move(fields.error()));
    out_.digest = digest_of(out_);
    return std::move(out_);
  }

 private:
  using Names = std::set<std::string, std::less<>>;
  using Template = std::optional<std::vector<std::string>>;

  struct SizeList {
    std::string name;
    std::vector<std::int64_t> sizes;
    bool used = false;
  };

  Result<void> read_engine(const JsonField& field) {
    auto name = field.text();
    if (!name) return tl::unexpected(std::move(name.error()));
    engine_ = find_engine(*name);
    if (engine_ == nullptr) {
      const auto known = names_of(engines());
      return fail(field, "there is no engine \"" + *name + "\"", hint_of_known(*name, known));
    }
    out_.engine = *std::move(name);
    return {};
  }

  Result<void> read_launch_words(const JsonField& field) {
    auto stored = store(read_words(field), out_.launch);
    if (!stored || out_.launch.empty() || begins_option(out_.launch.front())) return stored;
    return fail(field, "begins with \"" + out_.launch.front() + "\", which is no option",
                "give options of the server alone: [\"--option\", \"value\"]");
  }

  static Result<std::vector<JsonField>> listed(const JsonField& field) {
    auto elements = field.elements();
    if (elements && elements->size() > kListedMost) {
      return tl::unexpected(field.error("has " + std::to_string(elements->size()) + " entries",
                                        "give " + std::to_string(kListedMost) + " at most"));
    }
    return elements;
  }

  Result<void> read_models(const JsonField& field) {
    auto elements = listed(field);
    if (!elements) return tl::unexpected(std::move(elements.error()));
    for (const JsonField& element : *elements) {
      UniverseModel model;
      auto read = ObjectReader(element, {"name", "model_config"})
                      .required("name", [&](const JsonField& f) { return new_model(f, model); })
                      .optional("model_config",
                                [&](const JsonField& f) {
                                  model.config = f.value().dump();
                                  return store(read_model_config(f, model.name), model.shape);
                                })
                      .done();
      if (!read) return read;
      if (model.config.empty()) {
        const ModelShape* shape = find_model(model.name);
        if (shape == nullptr) {
          const auto known = names_of(built_in_models());
          return fail(element, "there is no built-in model \"" + model.name + "\"",
                      "give its \"model_config\"; " + hint_of_known(model.name, known));
        }
        model.shape = *shape;
      }
      out_.models.push_back(std::move(model));
    }
    return {};
  }

  Result<void> new_model(const JsonField& field, UniverseModel& model) {
    auto stored = store(read_name(field), model.name);
    if (!stored ||
        std::ranges::find(out_.models, model.name, &UniverseModel::name) == out_.models.end()) {
      return stored;
    }
    return fail(field, "there are two models \"" + model.name + "\"", "keep one of the two");
  }

  Result<void> read_sizes(const JsonField& field) {
    if (auto object = field.object(); !object) return object;
    if (field.value().size() > kListedMost) {
      return fail(field, "has " + std::to_string(field.value().size()) + " lists",
                  "give " + std::to_string(kListedMost) + " at most");
    }
    for (const auto& item : field.value().items()) {
      const JsonField list(item.value(), json_path(field.path(), item.key()));
      if (item.key().empty() || has_control(item.key())) {
        return fail(list, "is no name of a list", "name it by letters");
      }
      auto sizes = list.integers(-kSizeMost, kSizeMost - 1);
      if (!sizes) return tl::unexpected(std::move(sizes.error()));
      if (sizes->empty()) return fail(list, "is empty", "give at least one size");
      if (sizes->size() > kSizesMost) {
        return fail(list, "has " + std::to_string(sizes->size()) + " sizes",
                    "give " + std::to_string(kSizesMost) + " at most");
      }
      sizes_.push_back({item.key(), *std::move(sizes)});
    }
    return {};
  }

  // ---- axes ----

  Result<void> read_axes(const JsonField& field) {
    auto elements = field.elements();
    if (!elements) return tl::unexpected(std::move(elements.error()));
    if (elements->empty()) return fail(field, "is empty", "declare an axis");
    if (elements->size() > kAxesMost) {
      return fail(field, "has " + std::to_string(elements->size()) + " axes",
                  "declare " + std::to_string(kAxesMost) + " at most");
    }
    for (const JsonField& element : *elements) {
      if (auto read = read_axis(element); !read) return read;
      if (auto counted = count_members(element); !counted) return counted;
    }
    return {};
  }

  Result<void> read_axis(const JsonField& field) {
    Axis axis;
    std::optional<std::vector<std::string>> words;
    Names bare;
    std::optional<JsonField> bare_field;
    const auto values = [&](const JsonField& f) { return read_values(f, words, bare, axis); };
    ObjectReader reader(field, {"axis", "values", "words", "bare"});
    reader.required("axis", [&](const JsonField& f) { return new_axis(f, axis.name); })
        .optional("words", [&](const JsonField& f) { return read_template(f, axis.name, words); })
        .optional("bare",
                  [&](const JsonField& f) {
                    bare_field = f;
                    return read_bare(f, axis.name, bare);
                  })
        .required("values", values);
    if (auto done = reader.done(); !done) return done;
    Names names;
    if (!bare.empty()) {
      for (const AxisValue& each : axis.values) names.insert(each.name);
    }
    for (const std::string& each : bare) {
      if (names.contains(each)) continue;
      const auto known = names_of(axis.values);
      return fail(*bare_field, "\"" + each + "\" is no value of the axis",
                  hint_of_known(each, known));
    }
    out_.axes.push_back(std::move(axis));
    return {};
  }

  Result<void> new_axis(const JsonField& field, std::string& name) {
    auto stored = store(read_identifier(field), name);
    if (!stored || !out_.axis(name)) return stored;
    return fail(field, "there are two axes \"" + name + "\"", "keep one of the two");
  }

  static bool is_reserved(std::string_view axis) {
    return axis == kModelAxis || axis == kRulesAxis;
  }

  static Result<void> refuse_if_reserved(const JsonField& field, std::string_view axis) {
    if (!is_reserved(axis)) return {};
    return fail(field, "the axis " + std::string(axis) + " has its own meaning",
                "leave it out: this axis chooses " +
                    std::string(axis == kModelAxis ? "one of \"models\""
                                                   : "a point in the engine's history"));
  }

  static Result<void> read_template(const JsonField& field, std::string_view axis,
                                    std::optional<std::vector<std::string>>& words) {
    auto free = refuse_if_reserved(field, axis);
    return free ? store(read_words(field), words) : free;
  }

  static Result<void> read_bare(const JsonField& field, std::string_view axis, Names& bare) {
    if (auto free = refuse_if_reserved(field, axis); !free) return free;
    auto elements = field.elements();
    if (!elements) return tl::unexpected(std::move(elements.error()));
    for (const JsonField& element : *elements) {
      std::string name;
      if (auto stored = store(read_value_name(element), name); !stored) return stored;
      bare.insert(std::move(name));
    }
    return {};
  }

  Result<void> read_values(const JsonField& field, const Template& words, const Names& bare,
                           Axis& axis) {
    if (field.value().is_object()) return read_range(field, words, bare, axis);
    auto elements = field.elements();
    if (!elements) return fail(field, "are no values", "give a list, or {\"from\", \"to\"}");
    if (elements->empty()) return fail(field, "is empty", "give the axis at least one value");
    if (std::ssize(*elements) > kValuesMost) return too_many(field, std::ssize(*elements));
    Names names;
    for (const JsonField& element : *elements) {
      AxisValue value;
      auto read = element.value().is_object() ? read_value_object(element, axis.name, value)
                                              : store(read_value_name(element), value.name);
      const bool has_words = element.value().is_object() && element.value().contains("words");
      if (!read) return read;
      if (!has_words) read = add_words(element, words, bare, axis.name, value);
      if (read) read = check_words(element, value);
      if (!read) return read;
      if (!names.insert(value.name).second) {
        return fail(element, "there are two values \"" + value.name + "\"", "keep one of the two");
      }
      value.number = number_of(value.name);
      axis.values.push_back(std::move(value));
    }
    return {};
  }

  static Result<void> too_many(const JsonField& field, std::int64_t count) {
    return fail(field, "has " + std::to_string(count) + " values",
                "give " + std::to_string(kValuesMost) + " at most");
  }

  Result<void> read_range(const JsonField& field, const Template& words, const Names& bare,
                          Axis& axis) {
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t step = 1;
    const auto number = [](std::int64_t& out) {
      return
          [&out](const JsonField& f) { return store(f.integer(-kNumberMost, kNumberMost), out); };
    };
    auto read = ObjectReader(field, {"from", "to", "step"})
                    .required("from", number(from))
                    .required("to", number(to))
                    .optional("step", number(step))
                    .require(step >= 1, "has a step below 1", "list the values instead")
                    .require(from <= to, "is empty: from is above to", "swap the two")
                    .done();
    if (!read) return read;
    const std::int64_t count = (to - from) / step + 1;
    if (count > kValuesMost) return too_many(field, count);
    for (std::int64_t each = from; each <= to; each += step) {
      AxisValue value{std::to_string(each), each, {}};
      auto added = add_words(field, words, bare, axis.name, value);
      if (added) added = check_words(field, value);
      if (!added) return added;
      axis.values.push_back(std::move(value));
    }
    return {};
  }

  static Result<void> read_value_object(const JsonField& field, std::string_view axis,
                                        AxisValue& value) {
    return ObjectReader(field, {"name", "words"})
        .required("name", [&](const JsonField& f) { return store(read_value_name(f), value.name); })
        .optional("words",
                  [&](const JsonField& f) {
                    auto free = refuse_if_reserved(f, axis);
                    return free ? store(read_words(f), value.words) : free;
                  })
        .done();
  }

  // The words of a value that does not bring its own.
  Result<void> add_words(const JsonField& field, const Template& words, const Names& bare,
                         std::string_view axis, AxisValue& value) {
    if (axis == kModelAxis) return add_model(field, value);
    if (axis == kRulesAxis) return check_rules(field, value.name);
    if (!words || bare.contains(value.name)) return {};
    bool placed = false;
    for (const std::string& each : *words) {
      placed = placed || each.find("{}") != std::string::npos || each == "{sizes}";
      if (each != "{sizes}") {
        value.words.push_back(replaced(each, value.name));
        if (auto fits = take_memory(field, value.words.back()); !fits) return fits;
      } else if (auto added = add_sizes(field, value); !added) {
        return added;
      }
    }
    if (placed) return {};
    return fail(field, "the words of the axis are the same for every value",
                "put {} where the value belongs, or {sizes}; or list the value under \"bare\"");
  }

  Result<void> add_sizes(const JsonField& field, AxisValue& value) {
    const auto found = std::ranges::find(sizes_, value.name, &SizeList::name);
    if (found == sizes_.end()) {
      const auto known = names_of(sizes_);
      return fail(field, "there is no list of sizes \"" + value.name + "\"",
                  known.empty() ? "declare it in \"sizes\"" : hint_of_known(value.name, known));
    }
    found->used = true;
    for (const std::int64_t each : found->sizes) {
      value.words.push_back(std::to_string(each));
      if (auto fits = take_memory(field, value.words.back()); !fits) return fits;
    }
    return {};
  }

  // A short file may ask for more words than memory holds: each word of an axis stands at each of
  // its values.
  Result<void> take_memory(const JsonField& field, const std::string& word) {
    word_bytes_ += sizeof(word) + word.size();
    if (word_bytes_ <= kWordBytesMost) return {};
    return fail(field, "the words of all values together take more than 64 MiB",
                "give fewer values, or fewer words for each");
  }

  // Words that continue an option of `launch` or of another axis would be read as values of it,
  // whichever that is for a member.
  static Result<void> check_words(const JsonField& field, const AxisValue& value) {
    if (value.words.empty() || begins_option(value.words.front())) return {};
    return fail(field,
                "the words of \"" + value.name + "\" begin with \"" + value.words.front() +
                    "\", which is no option",
                "write the option in the words of the axis: [\"--option\", \"{}\"]");
  }

  Result<void> add_model(const JsonField& field, AxisValue& value) {
    const auto found = std::ranges::find(out_.models, value.name, &UniverseModel::name);
    if (found == out_.models.end()) {
      const auto known = names_of(out_.models);
      return fail(field, "there is no model \"" + value.name + "\"",
                  known.empty() ? "declare it in \"models\"" : hint_of_known(value.name, known));
    }
    value.words = {"--model-path", value.name};
    return {};
  }

  Result<void> check_rules(const JsonField& field, std::string_view name) const {
    const auto known = names_of(engine_->labels);
    if (std::ranges::find(known, name) != known.end()) return {};
    return fail(field, "unknown rules \"" + std::string(name) + "\"", hint_of_known(name, known));
  }

  // With the axis that was read last. Asked after each, so that no more is read than can be used.
  Result<void> count_members(const JsonField& field) {
    const std::uint64_t count = out_.axes.back().values.size();
    if (out_.members <= kMembersMost / count) {
      out_.members *= count;
      return {};
    }
    return fail(field,
                "with its values there are " + std::to_string(count) + " * " +
                    std::to_string(out_.members) + " members",
                "leave values or axes out: more than 9.2e18 cannot be numbered");
  }

  // ---- conditions ----

  Result<void> read_condition(const JsonField& field, Condition& out) {
    auto text = field.text();
    if (!text) return tl::unexpected(std::move(text.error()));
    auto condition = Condition::parse(*text, out_.axes, out_.derived);
    if (!condition) return tl::unexpected(std::move(condition.error()).within(field.path()));
    out = *std::move(condition);
    for (const std::size_t axis : out.axes()) cells_ += out_.axes[axis].values.size();
    if (cells_ <= kCellsMost) return {};
    return fail(field, "the conditions together read more than 2^24 values of axes",
                "give the axes that they read fewer values, or write fewer conditions");
  }

  Result<void> read_derived(const JsonField& field) {
    auto elements = listed(field);
    if (!elements) return tl::unexpected(std::move(elements.error()));
    for (const JsonField& element : *elements) {
      DerivedValue derived;
      const auto new_name = [&](const JsonField& f) -> Result<void> {
        auto stored = store(read_identifier(f), derived.name);
        const auto twice = std::ranges::find(out_.derived, derived.name, &DerivedValue::name);
        if (!stored || (!out_.axis(derived.name) && twice == out_.derived.end())) return stored;
        return fail(f, "\"" + derived.name + "\" is taken", "give it another name");
      };
      auto read =
          ObjectReader(element, {"name", "value"})
              .required("name", new_name)
              .required("value", [&](const auto& f) { return read_condition(f, derived.value); })
              .done();
      if (!read) return read;
      out_.derived.push_back(std::move(derived));
    }
    return {};
  }

  Result<void> read_constraints(const JsonField& field) {
    auto elements = listed(field);
    if (!elements) return tl::unexpected(std::move(elements.error()));
    for (const JsonField& element : *elements) {
      Constraint constraint;
      auto read =
          ObjectReader(element, {"holds", "why"})
              .required("holds",
                        [&](const auto& f) { return read_condition(f, constraint.condition); })
              .optional("why", [&](const auto& f) { return store(read_name(f), constraint.why); })
              .done();
      if (!read) return read;
      if (constraint.why.empty()) constraint.why = constraint.condition.text();
      out_.constraints.push_back(std::move(constraint));
    }
    return agree(field);
  }

  // Whether some member meets them all. Where none does, the fewest that clash are named: those
  // without which the rest would no longer contradict each other; or more of them where finding
  // that out would take too long.
  [[nodiscard]] Result<void> agree(const JsonField& field) const {
    std::vector<const Condition*> clash;
    for (const Constraint& each : out_.constraints) clash.push_back(&each.condition);
    std::uint64_t search_steps = kSearchSteps;
    clash = MemberSearch(out_.axes, clash).contradiction(search_steps);
    if (clash.empty()) return {};
    std::uint64_t steps = kNamingSteps;
    for (std::size_t i = 0; i < clash.size() && steps > clash.size();) {
      std::vector<const Condition*> rest = clash;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      steps -= clash.size();
      rest = MemberSearch(out_.axes, rest).contradiction(steps);
      if (rest.empty()) {
        ++i;
      } else {
        clash = std::move(rest);
      }
    }
    return fail(field, "no member meets " + told(clash) + (clash.size() > 1 ? " together" : ""),
                "change one of them, or the values of the axes");
  }

  static std::string told(const std::vector<const Condition*>& clash) {
    std::string out;
    for (std::size_t i = 0; i < std::min(clash.size(), kClashTold); ++i) {
      out.append(out.empty() ? "" : " and ").append("\"").append(clash[i]->text()).append("\"");
    }
    if (clash.size() <= kClashTold) return out;
    return out + " and " + std::to_string(clash.size() - kClashTold) + " more";
  }

  // A list or a model that no value names is a slip: the universe would lack what was meant.
  [[nodiscard]] Result<void> everything_is_used(const JsonField& root) const {
    for (const SizeList& each : sizes_) {
      if (each.used) continue;
      const JsonField list(root.value(), json_path(root.path() + ".sizes", each.name));
      return fail(list, "is the value of no axis whose words hold {sizes}",
                  "name it as a value, or leave it out");
    }
    const auto axis = out_.axis(kModelAxis);
    for (std::size_t i = 0; i < out_.models.size(); ++i) {
      const std::string& name = out_.models[i].name;
      if (axis && std::ranges::find(out_.axes[*axis].values, name, &AxisValue::name) !=
                      out_.axes[*axis].values.end()) {
        continue;
      }
      const JsonField model(root.value(), json_path(root.path() + ".models", i));
      return fail(model, "is no value of the axis \"model\"", "name it there, or leave it out");
    }
    return {};
  }

  Universe out_;
  const Engine* engine_ = nullptr;
  std::vector<SizeList> sizes_;
  std::size_t word_bytes_ = 0;
  std::size_t cells_ = 0;  // values of axes that conditions keep
};

}  // namespace

Result<Universe> read_universe(std::string_view json_text) {
  const auto document = parse_json(json_text, {.max_bytes = kFileBytesMost});
  if (!document) return tl::unexpected(document.error());
  return Reading().read(JsonField(*document));
}

Result<Universe> find_universe(const std::string& name_or_path) {
  std::error_code error;
  const auto status = std::filesystem::status(name_or_path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    auto text = read_file(name_or_path, kFileBytesMost, "a universe file");
    if (!text) return tl::unexpected(std::move(text.error()));
    auto universe = read_universe(*text);
    if (!universe) return tl::unexpected(std::move(universe.error()).within(name_or_path));
    return universe;
  }
  for (const ShippedUniverse& each : shipped_universes()) {
    if (each.name == name_or_path) return read_universe(each.text);
  }
  const auto known = names_of(shipped_universes());
  return tl::unexpected(Error{name_or_path, "there is no such file, and no universe of this name",
                              "name a universe file; " + hint_of_known(name_or_path, known)});
}

}  // namespace capsize
