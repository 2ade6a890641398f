#include "scenarios/check/check.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

#include "scenarios/formats/model_config.hpp"

namespace capsize {
namespace {

// The defaults of a check, told under `assumed` where they were taken.
const Gpu kDefaultGpu{"H100", 81559, 90};

constexpr std::size_t kRepairsTold = 2;

std::optional<std::string> file_text(const std::string& path) {
  // Most model names are no local path: one question to the system settles that.
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return std::nullopt;
  return std::move(text).str();
}

// Finds the model of a launch: a config that was given, DIR/config.json of a local path, or a
// built-in name. An unknown model is not guessed: `unknown` is then its name.
class ModelSource {
 public:
  explicit ModelSource(const CheckRequest& request) : request_(request) {}

  ModelChoice operator()(std::string_view named) {
    named_ = named;
    if (request_.model_config) return {&*request_.model_config, false};
    if (read_local(named)) return {local_.get(), false};
    if (const ModelShape* shape = find_model(named)) return {shape, false};
    unknown_ = true;
    return {&stand_ins()[stand_in_], true};
  }

  void use_stand_in(std::size_t index) { stand_in_ = index; }
  [[nodiscard]] bool unknown() const { return unknown_; }
  [[nodiscard]] const std::string& named() const { return named_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] std::shared_ptr<const ModelShape> local() const { return local_; }
  [[nodiscard]] std::span<const ModelShape> stand_ins() const {
    return find_engine(request_.engine)->stand_ins();
  }

 private:
  bool read_local(std::string_view named) {
    if (local_ || error_) return local_ != nullptr;
    if (named.empty()) return false;
    const std::string path = std::string(named) + "/config.json";
    const auto text = file_text(path);
    if (!text) return false;
    auto shape = read_model_config(*text, named);
    if (!shape) {
      error_ = std::move(shape.error()).within(path);
      return false;
    }
    local_ = std::make_shared<const ModelShape>(*std::move(shape));
    return true;
  }

  const CheckRequest& request_;
  std::string named_;
  std::shared_ptr<const ModelShape> local_;
  std::optional<Error> error_;
  std::size_t stand_in_ = 0;
  bool unknown_ = false;
};

Verdict verdict_of(const CheckResult& result) {
  if (result.error) return Verdict::bad_input;
  if (result.plan.refusal) return Verdict::refused;
  const auto any = [&result](LawVerdict verdict) {
    return std::ranges::any_of(result.findings,
                               [verdict](const Finding& f) { return f.verdict == verdict; });
  };
  if (any(LawVerdict::violation)) return Verdict::violation;
  if (!result.plan.undecided.empty() || !result.undecided.empty()) return Verdict::undecided;
  if (any(LawVerdict::undecided) || !any(LawVerdict::pass)) return Verdict::undecided;
  return Verdict::pass;
}

// Plan, laws and losses for one shape of the model.
CheckResult check_once(const CheckRequest& request, const Engine& engine,
                       const LaunchRequest& launch) {
  CheckResult result;
  result.engine = engine.name;
  result.rules = launch.rules;
  auto plan = engine.plan(launch);
  if (!plan) {
    result.error = std::move(plan.error());
    result.verdict = Verdict::bad_input;
    return result;
  }
  result.plan = *std::move(plan);
  if (!request.gpu) result.plan.assumed.insert(result.plan.assumed.begin(), "gpu: H100");
  if (!result.plan.refusal) {
    std::vector<std::vector<LostSize>> lost;
    for (const CapturePath& path : result.plan.captures.paths) {
      const bool looked_at = path.enabled && path.undecided.empty();
      lost.push_back(looked_at ? lost_sizes(path) : std::vector<LostSize>{});
    }
    result.findings = judge({.captures = result.plan.captures,
                             .start_up = result.plan.start_up,
                             .fail_on_waste = request.fail_on_waste,
                             .lost = lost});
    for (std::size_t i = 0; i < lost.size(); ++i) {
      const CapturePath& path = result.plan.captures.paths[i];
      if (!path.enabled || !path.undecided.empty()) continue;
      result.losses.push_back({path.name, path.unit, std::move(lost[i]), eager_intervals(path)});
    }
  }
  result.verdict = verdict_of(result);
  return result;
}

// An unknown model: the verdict holds if it is the same for every kind of model that the engine's
// rules tell apart; else it is undecided, and says for which kinds it is what.
CheckResult check_unknown_model(const CheckRequest& request, const Engine& engine,
                                const LaunchRequest& launch, ModelSource& source,
                                CheckResult first) {
  const std::size_t kinds = source.stand_ins().size();
  std::vector<Verdict> verdicts = {first.verdict};
  std::vector<CheckResult> others;
  for (std::size_t i = 1; i < kinds; ++i) {
    source.use_stand_in(i);
    others.push_back(check_once(request, engine, launch));
    verdicts.push_back(others.back().verdict);
  }
  const std::string name =
      source.named().empty() ? std::string("the model") : "model \"" + source.named() + "\"";
  first.plan.assumed.push_back(name +
                               " is not known: its weights and its context length are not "
                               "checked; give its config.json with --model-config");
  if (first.verdict == Verdict::undecided && !first.plan.undecided.empty()) return first;
  if (std::ranges::all_of(verdicts, [&](Verdict v) { return v == verdicts.front(); })) {
    first.plan.assumed.push_back("the verdict is the same for each of " + std::to_string(kinds) +
                                 " kinds of model that the rules tell apart; the sizes shown are "
                                 "those of " +
                                 source.stand_ins()[0].name);
    return first;
  }
  std::string told;
  for (std::size_t i = 0; i < kinds; ++i) {
    told.append(told.empty() ? "" : "; ").append(name_of(verdicts[i])).append(" for ");
    told.append(source.stand_ins()[i].name);
  }
  // Show the kind that fails: it is what the unknown model might be.
  for (CheckResult& other : others) {
    if (other.verdict == Verdict::violation && first.verdict != Verdict::violation) {
      other.plan.assumed = std::move(first.plan.assumed);
      first = std::move(other);
    }
  }
  first.undecided.push_back("the verdict hangs on the model: " + told);
  first.verdict = Verdict::undecided;
  return first;
}

std::string option_line(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    out.append(out.empty() ? "" : " ").append(shell_quoted(word));
  }
  return out;
}

bool holds_after(const CheckRequest& request, const Engine& engine, const LaunchRequest& launch,
                 const RepairProposal& proposal) {
  LaunchRequest changed = launch;
  std::vector<Word> words = engine.without(launch, proposal.remove);
  for (const std::string& word : proposal.add) words.push_back(Word{.text = word});
  changed.words = words;
  return check_once(request, engine, changed).verdict == Verdict::pass;
}

// Every repair that is told was tried: the line with it gets a verdict of pass.
void add_repairs(CheckResult& result, const CheckRequest& request, const Engine& engine,
                 const LaunchRequest& launch) {
  std::vector<std::pair<std::string, bool>> tried;
  for (Finding& finding : result.findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    for (const RepairProposal& proposal : engine.repairs(result.plan, finding.law, finding.path)) {
      if (finding.repair.size() >= kRepairsTold) break;
      std::string line = option_line(proposal.add);
      for (const std::string& option : proposal.remove) {
        if (proposal.add.empty()) line.append("without ").append(option);
      }
      const auto known = std::ranges::find(tried, line, &std::pair<std::string, bool>::first);
      const bool holds =
          known != tried.end() ? known->second : holds_after(request, engine, launch, proposal);
      if (known == tried.end()) tried.emplace_back(line, holds);
      if (holds) finding.repair.push_back(proposal.text + ": " + line);
    }
  }
}

std::string repro_line(const CheckRequest& request, const CheckResult& result) {
  std::string line = "capsize check --rules " + result.rules;
  if (request.gpu) {
    const Gpu& gpu = *request.gpu;
    line += " --gpu " + (gpu.name.empty() ? "memory_mib=" + std::to_string(gpu.memory_mib) +
                                                ",sm=" + std::to_string(gpu.sm)
                                          : gpu.name);
  }
  if (request.model_config) line += " --model-config " + shell_quoted(request.model_config_name);
  if (request.fail_on_waste) line += " --fail-on waste";
  line += " --";
  for (const EnvironmentVariable& variable : request.launch.environment) {
    if (!variable.known || !variable.name.starts_with("SGLANG_")) continue;
    line.append(" ").append(variable.name).append("=").append(shell_quoted(variable.value));
  }
  if (const EntryPoint* entry = request.launch.entry; entry != nullptr) {
    const bool module = entry->words.find(' ') == std::string_view::npos;
    line.append(module ? " python -m " : " ").append(entry->words);
  }
  for (const std::string& word : result.launch_words) line.append(" ").append(shell_quoted(word));
  return line;
}

// The rules that were asked for, or those of the release that an image tag in the text names, or
// the newest. `unmodelled` then says why a verdict by these rules decides nothing.
std::string rules_of(const CheckRequest& request, const Engine& engine,
                     std::vector<std::string>& notes, std::string& unmodelled) {
  if (!request.rules.empty()) return request.rules;
  const auto& image = request.launch.image;
  const std::size_t colon = image ? image->rfind(':') : std::string::npos;
  if (colon == std::string::npos) return std::string(engine.newest);
  const auto label = engine.label_of_image(std::string_view(*image).substr(colon + 1));
  if (label && label->empty()) {
    unmodelled = "image " + *image +
                 ": its release is not modelled; --rules names the point in "
                 "time to judge by";
    return std::string(engine.newest);
  }
  const std::string rules(label.value_or(engine.newest));
  notes.push_back("image " + *image + ": judged by rules " + rules +
                  (label ? "" : "; no release is read from its tag"));
  return rules;
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass: return "pass";
    case Verdict::violation: return "violation";
    case Verdict::bad_input: return "bad_input";
    case Verdict::refused: return "refused";
    case Verdict::undecided: return "undecided";
  }
  return "undecided";
}

int exit_status(Verdict verdict) { return static_cast<int>(verdict); }

CheckResult bad_input(std::string engine, std::string rules, Error error) {
  CheckResult result;
  result.verdict = Verdict::bad_input;
  result.engine = std::move(engine);
  result.rules = std::move(rules);
  result.error = std::move(error);
  return result;
}

CheckResult check(const CheckRequest& request) {
  const Engine* engine = find_engine(request.engine);
  if (engine == nullptr) {
    return bad_input(request.engine, request.rules,
                     {"engine", "unknown engine \"" + request.engine + "\"", "known: sglang"});
  }
  std::vector<std::string> notes = request.launch.notes;
  std::string unmodelled;
  const std::string rules = rules_of(request, *engine, notes, unmodelled);
  ModelSource source(request);
  LaunchRequest launch{.words = request.launch.args,
                       .environment = request.launch.environment,
                       .rules = rules,
                       .gpu = request.gpu.value_or(kDefaultGpu),
                       .find_model = std::ref(source)};
  if (request.launch.entry != nullptr) launch.entry = request.launch.entry->kind;

  CheckResult result;
  if (launch.entry == EntryKind::foreign) {
    result.engine = engine->name;
    result.rules = rules;
    result.undecided.push_back(std::string(request.launch.entry->words) + ": " +
                               std::string(request.launch.entry->hint) +
                               ", which capsize does not model");
    result.verdict = Verdict::undecided;
  } else {
    result = check_once(request, *engine, launch);
    if (source.error()) {
      result = bad_input(std::string(engine->name), rules, *source.error());
    } else if (source.unknown() && result.verdict != Verdict::bad_input) {
      result = check_unknown_model(request, *engine, launch, source, std::move(result));
    }
    if (!unmodelled.empty() && result.verdict != Verdict::bad_input) {
      result.undecided.push_back(unmodelled);
      result.verdict = Verdict::undecided;
    }
    if (request.try_repairs && result.verdict == Verdict::violation) {
      add_repairs(result, request, *engine, launch);
    }
  }
  result.notes = std::move(notes);
  result.model = source.local();
  for (const Word& word : request.launch.args) result.launch_words.push_back(word.text);
  result.repro = repro_line(request, result);
  return result;
}

namespace {

// "memory_mib=81559,sm=90", in either order and nothing else.
std::optional<Gpu> gpu_of_numbers(std::string_view text) {
  Gpu gpu;
  std::int64_t sm = 0;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    std::int64_t value = 0;
    const char* end = item.data() + item.size();
    const auto [read, error] = std::from_chars(item.data() + equals + 1, end, value);
    if (error != std::errc{} || read != end || value < 1) return std::nullopt;
    const std::string_view key = item.substr(0, equals);
    if (key != "memory_mib" && key != "sm") return std::nullopt;
    std::int64_t& field = key == "sm" ? sm : gpu.memory_mib;
    if (field != 0) return std::nullopt;
    field = value;
  }
  if (gpu.memory_mib < 1 || gpu.memory_mib >= (1 << 30) || sm < 1 || sm > 999) return std::nullopt;
  gpu.sm = static_cast<int>(sm);
  return gpu;
}

}  // namespace

Result<Gpu> gpu_of(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::pair<std::int64_t, int>>, 18> kGpus =
      {{{"H100", {81559, 90}},
        {"H100-PCIE", {81559, 90}},
        {"H100-NVL", {95830, 90}},
        {"H200", {143771, 90}},
        {"H20", {97871, 90}},
        {"GH200", {97871, 90}},
        {"A100", {81920, 80}},
        {"A100-40G", {40960, 80}},
        {"A800", {81920, 80}},
        {"B200", {183359, 100}},
        {"GB200", {189471, 100}},
        {"L40S", {46068, 89}},
        {"L4", {23034, 89}},
        {"A10", {23028, 86}},
        {"RTX4090", {24564, 89}},
        {"RTX5090", {32607, 120}},
        {"RTXPRO6000", {97887, 120}},
        {"T4", {15360, 75}}}};
  for (const auto& [name, numbers] : kGpus) {
    if (name == text) return Gpu{std::string(name), numbers.first, numbers.second};
  }
  if (auto gpu = gpu_of_numbers(text)) return *std::move(gpu);
  std::string known;
  for (const auto& row : kGpus) known.append(known.empty() ? "" : ", ").append(row.first);
  return tl::unexpected(Error{"--gpu", "unknown GPU \"" + std::string(text) + "\"",
                              "known: " + known + "; or memory_mib=81559,sm=90"});
}

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(word);
  }
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

CheckResult check_plan(Lifecycle plan, std::vector<std::string_view> without,
                       std::string_view name) {
  CheckResult result;
  result.lifecycle = std::make_shared<const Lifecycle>(std::move(plan));
  result.engine = result.lifecycle->engine;
  result.without = std::move(without);
  result.findings = judge_plan(Timeline(*result.lifecycle), result.without);
  result.verdict = verdict_of(result);
  if (result.verdict == Verdict::undecided) {
    result.undecided.emplace_back("the plan states nothing that a law reads");
  }
  result.repro = "capsize check";
  for (const std::string_view law : result.without) result.repro.append(" --without ").append(law);
  result.repro.append(" --plan ").append(shell_quoted(name));
  return result;
}

}  // namespace capsize
