// The digest of the sources that decide verdicts: what it hangs on, and that the build keeps it.
#include "scenarios/sweep/sources_digest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/child_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::sources_digest_test {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// What the build's own script makes of the files that `list` names, from `root`.
std::string digest_by_script(const std::string& root, const std::string& list) {
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/digest";
  const auto run = test::run_child(
      {.arguments = {CAPSIZE_CMAKE, "-DROOT=" + root, "-DLIST=" + list,
                     "-DTEMPLATE=" + folder.write("template", "@digest@"), "-DOUT=" + out, "-P",
                     CAPSIZE_SOURCE_DIR "/ci/cmake/SourcesDigest.cmake"}});
  EXPECT_TRUE(run) << run.error();
  EXPECT_EQ(run->exit_status, 0) << run->err;
  return text_of(out);
}

std::string digest_of(const std::string& first, const std::string& second,
                      const std::string& list) {
  const TemporaryFolder folder;
  (void)folder.write("first.cpp", first);
  (void)folder.write("second.cpp", second);
  (void)folder.write("third.cpp", first);
  return digest_by_script(folder.path(), folder.write("list", list));
}

// Would catch: a digest that hangs on a folder or on the order of files, or that overlooks a
// change.
TEST(SourcesDigest, HangsOnNamesAndContentsAlone) {
  const std::string digest = digest_of("1", "2", "first.cpp\nsecond.cpp\n");
  EXPECT_THAT(digest, MatchesRegex("[0-9a-f]{12}"));
  EXPECT_EQ(digest_of("1", "2", "second.cpp\nfirst.cpp\n"), digest);
  EXPECT_NE(digest_of("1", "3", "first.cpp\nsecond.cpp\n"), digest);
  EXPECT_NE(digest_of("2", "1", "first.cpp\nsecond.cpp\n"), digest);
  EXPECT_NE(digest_of("1", "2", "first.cpp\n"), digest);
  EXPECT_NE(digest_of("1", "2", "second.cpp\nthird.cpp\n"), digest);
}

// Would catch: a program that was built before the last edit of a rule and says that it has it; a
// rule, a law or a table that is left out.
TEST(SourcesDigest, IsThatOfTheSourcesAsTheyAre) {
  EXPECT_EQ(sources_digest(), digest_by_script(CAPSIZE_SOURCE_DIR, CAPSIZE_DECIDING_SOURCES));
  const std::string listed = "\n" + text_of(CAPSIZE_DECIDING_SOURCES);
  for (const char* name :
       {"sim/condition.cpp", "sim/engines/sglang/capture.cpp",
        "sim/engines/sglang/flags/flags.json", "properties/set_case.hpp",
        "scenarios/check/check.cpp", "scenarios/sweep/member_judge.cpp",
        "scenarios/formats/universe.cpp", "scenarios/formats/model_config.cpp"}) {
    EXPECT_TRUE(std::ifstream(std::string(CAPSIZE_SOURCE_DIR "/") + name)) << name;
    EXPECT_THAT(listed, HasSubstr(std::string("\n") + name + "\n"));
  }
}

}  // namespace
}  // namespace capsize::sources_digest_test
