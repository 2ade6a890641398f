// A launch line through SGLang's rules, as the program takes it: words, flag table, resolution,
// plan. For tests that state what one line leads to.
//
//   EnginePlan plan = plan_of("--model-path Qwen/Qwen3-30B-A3B --tp-size 8");
//   EnginePlan made = plan_of("--model-path m --tp-size 6", {.model = &shape});
#pragma once

#include <algorithm>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/history.hpp"
#include "sim/engines/sglang/resolve.hpp"

namespace capsize::test {

inline Gpu h100() { return {"H100", 81559, 90}; }
inline Gpu b200() { return {"B200", 183359, 100}; }

struct LaunchContext {
  std::string_view rules = "23972";
  Gpu gpu = h100();
  const ModelShape* model = nullptr;  // in place of what the line names
};

inline std::vector<Word> words_of(std::string_view line) {
  std::vector<Word> words;
  std::istringstream in{std::string(line)};
  for (std::string text; in >> text;) words.push_back(Word{.text = text});
  return words;
}

inline const ModelShape& shape_of(std::string_view name) {
  const ModelShape* found = find_model(name);
  if (found == nullptr) throw std::runtime_error("no built-in model " + std::string(name));
  return *found;
}

inline EnginePlan plan_of(std::string_view line, const LaunchContext& context = {}) {
  const std::vector<Word> words = words_of(line);
  LaunchRequest request{.words = words,
                        .environment = {},
                        .entry = EntryKind::server,
                        .rules = context.rules,
                        .gpu = context.gpu,
                        .find_model = {}};
  request.find_model = [&](std::string_view name) {
    return ModelChoice{context.model != nullptr ? context.model : &shape_of(name), false};
  };
  Result<EnginePlan> plan = sglang::engine().plan(request);
  if (!plan) throw std::runtime_error(plan.error().where + ": " + plan.error().text);
  return *std::move(plan);
}

// What resolution alone makes of a line. `words` must outlive the result, which points into them.
inline sglang::Resolved resolved_of(const std::vector<Word>& words,
                                    const LaunchContext& context = {}) {
  const auto version = sglang::version_of(context.rules);
  if (!version) throw std::runtime_error("no rules " + std::string(context.rules));
  const auto flags =
      sglang::parse(words, sglang::flag_release(*version), EntryKind::server, nullptr);
  if (!flags) throw std::runtime_error(flags.error().text.value_or("refused by the parser"));
  const auto args = sglang::read_args(*flags);
  if (!args) throw std::runtime_error(args.error().text);
  const ModelShape& model = context.model != nullptr ? *context.model : shape_of(args->model_path);
  return sglang::resolve(
      {.args = *args, .model = &model, .facts = sglang::facts_of(model), .gpu = context.gpu});
}

inline const CapturePath& path_of(const EnginePlan& plan, std::string_view name) {
  const auto& paths = plan.captures.paths;
  const auto found = std::ranges::find(paths, name, &CapturePath::name);
  if (found == paths.end()) throw std::runtime_error("the plan has no path " + std::string(name));
  return *found;
}

// The engine's text of a refusal; "(no text)" for a bare assertion, "(starts)" where none is made.
inline std::string refusal_text(const EnginePlan& plan) {
  if (!plan.refusal) return "(starts)";
  return plan.refusal->text.value_or("(no text)");
}

}  // namespace capsize::test
