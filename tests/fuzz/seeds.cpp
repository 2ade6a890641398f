// Writes the fuzzers' seeds: every launch line of tests/data and of the scenario cases under each
// rules label, and every plan of the cases and of scenarios/plans.
//
//   fuzz_seeds FOLDER   ->  FOLDER/launch_line/*, FOLDER/plan/*
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace capsize::fuzz {
namespace {

using Json = nlohmann::json;
namespace files = std::filesystem;

constexpr int kLabels = 4;

class Seeds {
 public:
  explicit Seeds(files::path folder) : folder_(std::move(folder)) {
    files::create_directories(folder_ / "launch_line");
    files::create_directories(folder_ / "plan");
  }

  // One label a line is enough: what is learnt of a line holds for the others.
  void add_line(const std::string& text) {
    const char label = static_cast<char>('0' + lines_ % kLabels);
    write(folder_ / "launch_line" / std::to_string(lines_++), label + text);
  }
  void add_plan(const Json& plan) {
    write(folder_ / "plan" / std::to_string(plans_++), plan.dump());
  }
  [[nodiscard]] int lines() const { return lines_; }
  [[nodiscard]] int plans() const { return plans_; }

 private:
  static void write(const files::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  files::path folder_;
  int lines_ = 0;
  int plans_ = 0;
};

void add_case(const files::path& path, Seeds& seeds) {
  std::ifstream in(path);
  const Json scenario = Json::parse(in, nullptr, false);
  if (!scenario.is_object()) return;
  if (const auto launch = scenario.find("launch"); launch != scenario.end()) {
    if (launch->is_string()) seeds.add_line(*launch);
  }
  for (const char* field : {"plan", "plan_after"}) {
    if (scenario.contains(field)) seeds.add_plan(scenario[field]);
  }
}

int run(const char* folder) {
  Seeds seeds(folder);
  const files::path source(CAPSIZE_SOURCE_DIR);
  std::ifstream in(source / "tests/data/launch-lines.json");
  const Json lines = Json::parse(in, nullptr, false);
  if (!lines.is_array()) {
    std::fprintf(stderr, "fuzz_seeds: tests/data/launch-lines.json is no JSON array\n");
    return 1;
  }
  for (const Json& line : lines) seeds.add_line(line.value("text", ""));
  for (const auto& entry : files::recursive_directory_iterator(source / "scenarios/cases")) {
    if (entry.path().extension() == ".json") add_case(entry.path(), seeds);
  }
  for (const auto& entry : files::directory_iterator(source / "scenarios/plans")) {
    std::ifstream plan(entry.path());
    if (entry.path().extension() == ".json") seeds.add_plan(Json::parse(plan, nullptr, false));
  }
  std::printf("fuzz_seeds: %d launch lines, %d plans\n", seeds.lines(), seeds.plans());
  return 0;
}

}  // namespace
}  // namespace capsize::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  return capsize::fuzz::run(argv[1]);
}
