#include "scenarios/sweep/member_judge.hpp"

#include <algorithm>
#include <utility>

#include "scenarios/sweep/judges.hpp"

namespace capsize {

std::string rules_of(const Universe& universe, std::span<const std::int32_t> choices) {
  const auto axis = universe.axis("rules");
  if (!axis) return std::string(find_engine(universe.engine)->newest);
  return universe.axes[*axis].values[static_cast<std::size_t>(choices[*axis])].name;
}

const UniverseModel* model_of(const Universe& universe, std::string_view name) {
  const auto found = std::ranges::find(universe.models, name, &UniverseModel::name);
  return found == universe.models.end() ? nullptr : &*found;
}

std::vector<std::string> names_of_paths(const MemberPlanner& planner) {
  std::vector<std::string> names;
  for (const std::string_view name : planner.path_names()) names.emplace_back(name);
  for (const std::string_view name : planner.path_names()) {
    names.push_back("eager_" + std::string(name));
  }
  return names;
}

namespace {

LaunchCommand command_of(const Universe& universe, std::span<const std::int32_t> choices) {
  LaunchCommand command;
  for (std::string& word : universe.words_of(choices)) {
    command.args.push_back(Word{.text = std::move(word)});
  }
  return command;
}

// What an option shapes is told by its name: shortened ones, which the engine's parser takes, are
// not looked up, and one that no release has would only remove every member.
Result<void> check_words(const Universe& universe, const MemberPlanner& planner,
                         const std::string& where, std::span<const std::string> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("--")) continue;
    if (!planner.knows(word)) {
      return tl::unexpected(Error{where, "no option of " + universe.engine + " is " + word,
                                  "write options in full, as the engine's help lists them"});
    }
    const std::size_t equals = word.find('=');
    const std::string option = word.substr(0, equals);
    if (option != "--model-path" && option != "--model") continue;
    const std::string name = equals != std::string::npos ? word.substr(equals + 1)
                             : i + 1 < words.size()      ? words[i + 1]
                                                         : "";
    if (model_of(universe, name) != nullptr || find_model(name) != nullptr) continue;
    return tl::unexpected(Error{where, "capsize knows no model \"" + name + "\"",
                                "declare it under \"models\", with its config.json"});
  }
  return {};
}

Result<void> check_all_words(const Universe& universe, const MemberPlanner& planner) {
  if (auto fits = check_words(universe, planner, "launch", universe.launch); !fits) return fits;
  for (const Axis& axis : universe.axes) {
    for (const AxisValue& value : axis.values) {
      const std::string where = "axis " + axis.name + ", value " + value.name;
      if (auto fits = check_words(universe, planner, where, value.words); !fits) return fits;
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<MemberJudge>> MemberJudge::make(const Universe& universe,
                                                       const std::optional<Condition>& where,
                                                       Way way) {
  const Engine* engine = find_engine(universe.engine);
  if (engine == nullptr) {
    return tl::unexpected(
        Error{"engine", "unknown engine \"" + universe.engine + "\"", "known: sglang"});
  }
  if (auto known = check_all_words(universe, *engine->member_planner()); !known) {
    return tl::unexpected(std::move(known.error()));
  }
  if (way == Way::plain) return plain_judge(universe, *engine, where);
  return fast_judge(universe, *engine, where);
}

MemberOutcome judge_member(MemberJudge& judge, std::uint64_t number) {
  Tally tally;
  judge.run(number, number + 1, tally);
  MemberOutcome out;
  out.left_out = tally.left_out != 0;
  if (out.left_out) return out;
  out.state = tally.states.begin()->first;
  if (out.state.removed != 0) out.precondition = tally.preconditions[out.state.removed - 1U];
  out.sums = tally.sums;
  return out;
}

CheckRequest request_of(const Universe& universe, std::uint64_t number) {
  std::vector<std::int32_t> choices(universe.axes.size());
  universe.unrank(number, choices);
  CheckRequest request;
  request.engine = universe.engine;
  request.rules = rules_of(universe, choices);
  request.launch = command_of(universe, choices);
  request.gpu = gpu_of("H100").value();
  request.try_repairs = false;
  const auto axis = universe.axis("model");
  if (!axis) return request;
  const UniverseModel* model = model_of(
      universe, universe.axes[*axis].values[static_cast<std::size_t>(choices[*axis])].name);
  if (model != nullptr && !model->config.empty()) {
    request.model_config = model->shape;
    request.model_config_name = model->name + ".json";
  }
  return request;
}

}  // namespace capsize
