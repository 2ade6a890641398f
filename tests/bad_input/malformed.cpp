// How a row of a table is judged; malformed.hpp says what a row is.
#include "tests/bad_input/malformed.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "sim/utf8.hpp"

namespace capsize::test {

std::string unwrapped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(character.size());
    const bool blank = character == " " || character == "\n" || character == "\t";
    if (!blank) out += length == 0 ? std::string_view("\uFFFD") : character;
    if (blank && !out.empty() && out.back() != ' ') out += ' ';
  }
  return out;
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

ChildRun MalformedInput::check(bool json) const {
  std::vector<std::string> arguments = {"check"};
  if (json) arguments.emplace_back("--json");
  const std::string file = folder_.write("config.json", row().file);
  for (const std::string& argument : row().arguments) {
    if (argument == "FILE") {
      arguments.push_back(file);
    } else {
      arguments.push_back(argument == "FOLDER" ? folder_.path() : argument);
    }
  }
  return run_program(program(), {.arguments = std::move(arguments), .input = row().input});
}

namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The member of an answer, or "" where it is missing or no text.
std::string text_at(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Would catch: a malformed input that crashes the program, passes, gets another status than the
// result format says, or an answer without the place, the cause or the way out. Both answers are
// looked at, so that neither is forgotten.
TEST_P(MalformedInput, IsToldWithItsPlaceAndAWayOut) {
  const ChildRun machine = check(true);
  EXPECT_EQ(machine.exit_status, row().status) << machine.out << machine.err;
  EXPECT_THAT(machine.err, IsEmpty());
  // The parser takes no invalid UTF-8 either.
  const auto answer = nlohmann::json::parse(machine.out, nullptr, false);
  ASSERT_TRUE(answer.is_object()) << machine.out << machine.err;
  const bool refused = row().status == kRefusedStatus;
  EXPECT_EQ(text_at(answer, "verdict"), refused ? "refused" : "bad_input") << machine.out;
  const auto told = answer.value(refused ? "refused" : "error", nlohmann::json::object());
  EXPECT_THAT(text_at(told, refused ? "stage" : "where"), HasSubstr(row().where));
  EXPECT_THAT(text_at(told, "text"), HasSubstr(row().text));
  const std::string hint = text_at(told, "hint");
  EXPECT_THAT(hint, Not(IsEmpty()));
  EXPECT_THAT(hint, HasSubstr(row().hint));

  const ChildRun person = check(false);
  EXPECT_EQ(person.exit_status, row().status) << person.out << person.err;
  EXPECT_THAT(refused ? person.err : person.out, IsEmpty());
  const std::string message = unwrapped(refused ? person.out : person.err);
  EXPECT_THAT(message, HasSubstr(unwrapped(text_at(told, "text"))));
  EXPECT_THAT(message, HasSubstr(unwrapped(hint)));
  if (!refused) {
    EXPECT_THAT(message, HasSubstr(unwrapped(text_at(told, "where"))));
  }
}

}  // namespace
}  // namespace capsize::test
