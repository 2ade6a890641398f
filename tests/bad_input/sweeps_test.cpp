// Sweeps that cannot be: options that contradict each other, parts that do not fit, files that are
// damaged or cannot be written. Each ends at once, says what is wrong, and leaves nothing behind.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/bad_input/programs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::sweeps_test {
namespace {

using test::ChildOutput;
using test::ChildRun;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A few hundred members: enough to be judged, quickly also by the sanitized program.
const std::vector<std::string> kShort = {"sweep", "pr23972", "--shard", "1/2000", "--quiet"};

class BadSweep : public test::BadInput {
 protected:
  [[nodiscard]] std::string at(const std::string& name) const {
    return folder_.path() + "/" + name;
  }

  [[nodiscard]] ChildRun sweep(std::vector<std::string> more) const {
    more.insert(more.begin(), kShort.begin(), kShort.end());
    return run(std::move(more));
  }

  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }

  test::TemporaryFolder folder_;
};

// Would catch: an option that is read as another, or ignored, before hours of work.
TEST_P(BadSweep, OptionsAreRefused) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"sweep"}, "no universe is named"},
      {{"sweep", "no-such-universe"}, "no-such-universe"},
      {{"sweep", "pr23972", "--shard", "0/3"}, "0/3"},
      {{"sweep", "pr23972", "--shard", "4/3"}, "4/3"},
      {{"sweep", "pr23972", "--shard", "1/3x"}, "1/3x"},
      {{"sweep", "pr23972", "--threads", "0"}, "--threads"},
      {{"sweep", "pr23972", "--threads", "-2"}, "--threads"},
      {{"sweep", "pr23972", "--where", "tp <"}, "--where"},
      {{"sweep", "pr23972", "--where", "no_such_axis < 2"}, "no_such_axis"},
      {{"sweep", "pr23972", "--member", "638976"}, "0 to 638975"},
      {{"sweep", "pr23972", "--member", "-1"}, "--member"},
      {{"sweep", "pr23972", "--member", "1", "--shard", "1/2"}, "--member"},
      {{"sweep", "pr23972", "--member", "1", "--seed", "1"}, "--seed"},
      {{"sweep", "pr23972", "--seed", "1"}, "--seed"},
      {{"sweep", "pr23972", "--compare", "9", "--member", "1"}, "--compare"},
      {{"sweep", "--merge", "a.json", "--where", "tp < 3"}, "--merge"},
      {{"sweep", "--merge", "no-such-file.json"}, "no-such-file.json"},
      {{"sweep", "pr23972", "--certificate", "/dev/null"}, "/dev/null"},
      {{"sweep", "pr23972", "--certificate", "/no/such/folder/c.json"}, "/no/such/folder"},
      {{"sweep", "pr23972", "--resume", "/no/such/folder/c.json"}, "/no/such/folder"},
      {{"sweep", "pr23972", "--failures", "/dev/null/found"}, "/dev/null/found"}};
  for (const auto& [line, told] : cases) {
    const ChildRun run = this->run(line);
    EXPECT_EQ(run.exit_status, 2) << run.out << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr(told), HasSubstr("way out"))) << told;
    EXPECT_EQ(run.out, "");
  }
}

// Would catch: a folder that a mistyped line leaves behind.
TEST_P(BadSweep, AMistypedUniverseLeavesNothingBehind) {
  EXPECT_EQ(run({"sweep", "pr23973", "--failures", at("found")}).exit_status, 2);
  EXPECT_EQ(run({"sweep", "--merge", at("none.json"), "--failures", at("found")}).exit_status, 2);
  EXPECT_EQ(files(), 0U);
}

// Would catch: a result that is lost because a file that was asked for beside it cannot be written.
// What the program prints passes a pipe: the limit on a file's size does not hold there.
TEST_P(BadSweep, TheResultIsToldAlthoughAFileCannotBeWritten) {
  const std::vector<std::vector<std::string>> lines = {{"--certificate", at("c.json")},
                                                       {"--failures", folder_.path()}};
  for (const auto& more : lines) {
    std::vector<std::string> line = {
        "/bin/sh", "-c",
        "(trap '' XFSZ; ulimit -f 0; \"$0\" \"$@\"; echo \"status $?\") 2>&1 | cat",
        GetParam().path};
    line.insert(line.end(), kShort.begin(), kShort.end());
    line.insert(line.end(), more.begin(), more.end());
    const auto run = test::run_child({.arguments = line});
    ASSERT_TRUE(run) << run.error();
    const std::size_t result = run->out.find("VIOLATION");
    const std::size_t error = run->out.find("capsize: bad input at " + more[0]);
    ASSERT_NE(result, std::string::npos) << run->out;
    ASSERT_NE(error, std::string::npos) << run->out;
    EXPECT_LT(result, error) << run->out;
    EXPECT_TRUE(run->out.ends_with("status 2\n")) << run->out;
  }
}

// Would catch: a machine that starts no more threads, or has no memory for them, and ends the
// program by an exception. A sanitized program cannot run under such a limit.
TEST_P(BadSweep, TooManyThreadsAreNoCrash) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers need the memory";
#endif
  if (GetParam().name != "plain") GTEST_SKIP() << "the sanitizers need the memory";
  for (const char* kilobytes : {"60000", "400000"}) {
    std::vector<std::string> line = {"/bin/sh", "-c",
                                     std::string("ulimit -v ") + kilobytes + "; exec \"$0\" \"$@\"",
                                     GetParam().path};
    line.insert(line.end(), kShort.begin(), kShort.end());
    line.insert(line.end(), {"--threads", "1024"});
    const auto run = test::run_child({.arguments = line});
    ASSERT_TRUE(run) << run.error();
    EXPECT_THAT(run->exit_status, ::testing::AnyOf(1, 2)) << kilobytes << run->err;
    EXPECT_EQ(run->signal, 0) << run->err;
  }
}

// Would catch: a damaged checkpoint that is swept over, taken up in part or silently replaced.
TEST_P(BadSweep, DamagedCheckpointsStayAsTheyAre) {
  const std::string path = at("state.json");
  ASSERT_NE(sweep({"--resume", path}).exit_status, 2);
  std::stringstream whole;
  whole << std::ifstream(path).rdbuf();
  const std::string text = whole.str();
  std::string changed = text;
  changed.replace(changed.find("\"lost\":") + 7, 1, "9");
  for (const std::string& damaged : {std::string(), std::string("{"),
                                     text.substr(0, text.size() / 2), changed, "[" + text + "]"}) {
    (void)folder_.write("state.json", damaged);
    const ChildRun run = sweep({"--resume", path});
    EXPECT_EQ(run.exit_status, 2) << run.out;
    EXPECT_THAT(run.err, AllOf(HasSubstr("--resume: " + path), HasSubstr("remove the file")));
    std::stringstream after;
    after << std::ifstream(path).rdbuf();
    EXPECT_EQ(after.str(), damaged);
  }
  (void)folder_.write("state.json", text);
  const ChildRun other = run({"sweep", "pr23972", "--shard", "2/2000", "--resume", path});
  EXPECT_EQ(other.exit_status, 2);
  EXPECT_THAT(other.err, HasSubstr("shard 1/2000"));
}

// Would catch: a certificate, checkpoint or scenario that a full disk leaves cut short, and success
// that is told over it. The limit on a file's size stands for the disk: writing fails behind it.
TEST_P(BadSweep, AFullDiskLeavesNothingBehind) {
  const std::vector<std::vector<std::string>> lines = {
      {"--certificate", at("c.json")}, {"--resume", at("s.json")}, {"--failures", folder_.path()}};
  for (const auto& more : lines) {
    std::vector<std::string> line = {"/bin/sh", "-c",
                                     "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\" >/dev/null",
                                     GetParam().path};
    line.insert(line.end(), kShort.begin(), kShort.end());
    line.insert(line.end(), more.begin(), more.end());
    const auto run = test::run_child({.arguments = line});
    ASSERT_TRUE(run) << run.error();
    EXPECT_EQ(run->exit_status, 2) << more[0];
    EXPECT_EQ(files(), 0U) << more[0];
  }
}

// Would catch: a sweep that passes although nobody could read its certificate.
TEST_P(BadSweep, LostOutputIsNoPass) {
  for (const ChildOutput output : {ChildOutput::unread, ChildOutput::full, ChildOutput::closed}) {
    std::vector<std::string> line = kShort;
    const ChildRun run = run_program(GetParam(), {.arguments = line, .output = output});
    EXPECT_EQ(run.exit_status, 2) << static_cast<int>(output);
  }
}

INSTANTIATE_TEST_SUITE_P(Program, BadSweep, ::testing::ValuesIn(test::programs_under_test()),
                         [](const auto& program) { return program.param.name; });

}  // namespace
}  // namespace capsize::sweeps_test
