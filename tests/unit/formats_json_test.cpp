// The reader through which all JSON comes: what it refuses, where it says that it stopped, and the
// typed access to fields.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "scenarios/formats/json_reader.hpp"

namespace capsize::formats_json_test {
namespace {

Error error_of(std::string_view text, const ParseLimits& limits = {}) {
  auto result = parse_json(text, limits);
  if (result) {
    ADD_FAILURE() << "accepted: " << text.substr(0, 60);
    return {};
  }
  EXPECT_FALSE(result.error().where.empty());
  EXPECT_FALSE(result.error().text.empty());
  EXPECT_FALSE(result.error().hint.empty());
  return result.error();
}

std::string repeated(std::string_view part, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += part;
  return text;
}

// A tree that differs from what was written.
TEST(ParseJson, Values) {
  const auto document = parse_json(
      R"({"a": [1, -2, 0.5, true, null, "xé\n"], "b": {"c": {}}, "big": 9223372036854775807,
          "small": -9223372036854775808})");
  ASSERT_TRUE(document) << document.error().text;
  EXPECT_EQ((*document)["a"].dump(), "[1,-2,0.5,true,null,\"xé\\n\"]");
  EXPECT_TRUE((*document)["b"]["c"].is_object());
  EXPECT_EQ((*document)["big"].get<std::int64_t>(), INT64_MAX);
  EXPECT_EQ((*document)["small"].get<std::int64_t>(), INT64_MIN);
  EXPECT_EQ(parse_json(" 7 ")->get<int>(), 7);
  EXPECT_TRUE(parse_json("[[[]]]")->is_array());
  EXPECT_TRUE(parse_json("\xEF\xBB\xBF{}"));  // a byte order mark is let pass
}

// Broken text that is taken for a document.
TEST(ParseJson, WhatIsNotJson) {
  for (const char* text : {"",
                           "   \n\t ",
                           "{",
                           "[1, 2",
                           "{\"a\": ",
                           "{\"a\"",
                           "{\"a\" 1}",
                           "{\"a\": 1,}",
                           "[1,]",
                           "{a: 1}",
                           "{'a': 1}",
                           "NaN",
                           "{\"a\": NaN}",
                           "{\"a\": Infinity}",
                           "{\"a\": -Infinity}",
                           "{\"a\": 01}",
                           "{\"a\": +1}",
                           "{\"a\": .5}",
                           "{\"a\": 1.}",
                           "{\"a\": 0x10}",
                           "{\"a\": 1} x",
                           "{} {}",
                           "{}]",
                           "// comment\n{}",
                           "{\"a\": \"no end}",
                           "{\"a\": \"bad \\q escape\"}",
                           "{\"a\": \"half \\ud800 pair\"}",
                           "{\"a\": \"line\nbreak\"}",
                           "tru",
                           "nul",
                           "{\"a\": tru}"}) {
    EXPECT_EQ(error_of(text).text.find("not valid JSON: "), 0U) << text;
  }
}

// A place that does not lead to the fault.
TEST(ParseJson, PlaceOfTheFault) {
  EXPECT_EQ(error_of("").where, "line 1, column 1");
  EXPECT_EQ(error_of("{\n  \"a\": 1,\n  \"b\": x\n}").where, "line 3, column 8");
  EXPECT_EQ(error_of("{} x").where, "line 1, column 4");
  EXPECT_NE(error_of("{\"a\": [1, 2").hint.find("cut off"), std::string::npos);
  EXPECT_NE(error_of("  ").hint.find("empty"), std::string::npos);
}

// Two values of one name: whichever was kept would be wrong for somebody.
TEST(ParseJson, DuplicateKeys) {
  const Error flat = error_of(R"({"a": 1, "a": 1})");
  EXPECT_EQ(flat.text, "duplicate key");
  EXPECT_EQ(flat.where, "$.a, line 1, column 12");
  EXPECT_EQ(error_of("{\"a\": {\"b\": [0, 1,\n {\"c\": 1, \"c\": 2}]}}").where,
            "$.a.b[2].c, line 2, column 13");
  EXPECT_EQ(error_of(R"([[], [{}, {"x y": 1, "x y": 2}]])").where.find("$[1][1][\"x y\"], "), 0U);
  EXPECT_EQ(error_of("{\"k\": 1, \"\\u006b\": 2}").text,
            "duplicate key");  // the same after escapes
  EXPECT_TRUE(parse_json(R"({"a": {"a": {"a": 1}}, "b": {"a": 1}})"));
}

// Nesting that would overflow a stack elsewhere.
TEST(ParseJson, Depth) {
  EXPECT_TRUE(parse_json(repeated("[", 64) + repeated("]", 64)));
  const Error deep = error_of(repeated("[", 65) + repeated("]", 65));
  EXPECT_NE(deep.text.find("deeper than 64"), std::string::npos);
  EXPECT_EQ(error_of(repeated("{\"a\":", 100000)).where.find("$.a.a"), 0U);
  EXPECT_FALSE(parse_json(repeated("[", 1000000)));
  EXPECT_EQ(error_of("{\"a\": [1, {}]}", {.max_bytes = 100, .max_depth = 2}).where,
            "$.a[1], line 1, column 11");
  EXPECT_FALSE(parse_json("[]", {.max_bytes = 100, .max_depth = 0}));
  EXPECT_TRUE(parse_json("1", {.max_bytes = 100, .max_depth = 0}));
}

// A number that was rounded or wrapped around without a word.
TEST(ParseJson, NumbersOutOfRange) {
  for (const char* number : {"9223372036854775808", "18446744073709551615", "18446744073709551616",
                             "-9223372036854775809", "123456789012345678901234567890", "1e400",
                             "-1e400", "1e999999999"}) {
    const Error error = error_of("{\"a\": {\"n\": [0, " + std::string(number) + "]}}");
    EXPECT_EQ(error.text, "number out of range") << number;
    EXPECT_EQ(error.where.find("$.a.n[1], line 1, column "), 0U) << error.where;
  }
  EXPECT_TRUE(parse_json("1e-999"));  // rounds to zero
}

// Bytes that are not text; and a fault that would go on into the message.
TEST(ParseJson, BytesThatAreNotText) {
  for (const char* text :
       {"{\"a\": \"\xFF\"}", "{\"a\": \"\xC3\"}", "{\"\xE2\x82\": 1}", "{\"a\": \"\xC0\x80\"}",
        "{\"a\": \"\xED\xA0\x80\"}", "{\"a\": \"\xF5\x80\x80\x80\"}", "\xFF\xFE{\"a\": 1}"}) {
    const Error error = error_of(text);
    EXPECT_NO_THROW(static_cast<void>(nlohmann::json(error.text).dump())) << "message not UTF-8";
  }
  const Error nul = error_of(std::string_view("{}\0{", 4));
  EXPECT_EQ(nul.where, "line 1, column 3");
  EXPECT_NE(nul.text.find("NUL"), std::string::npos);
  EXPECT_FALSE(parse_json(std::string_view("{\"a\": \"x\0y\"}", 12)));
}

// A document that is too large to be meant.
TEST(ParseJson, TooManyBytes) {
  EXPECT_TRUE(parse_json("[1]", {.max_bytes = 3}));
  EXPECT_NE(error_of("[1] ", {.max_bytes = 3}).text.find("more than 3"), std::string::npos);
}

nlohmann::json tree(std::string_view text) {
  auto document = parse_json(text);
  EXPECT_TRUE(document);
  return document ? *document : nlohmann::json();
}

// A path that does not name the field.
TEST(JsonField, PathsLeadToTheField) {
  const auto document = tree(R"({"a": {"b": [1, {"c": "x"}]}, "n": null})");
  const JsonField root(document);
  const auto a = root.required("a");
  ASSERT_TRUE(a);
  const auto elements = a->required("b")->elements();
  ASSERT_TRUE(elements);
  const auto c = (*elements)[1].required("c");
  ASSERT_TRUE(c);
  EXPECT_EQ(c->path(), "$.a.b[1].c");
  EXPECT_EQ(c->integer(0, 9).error().where, "$.a.b[1].c");
  EXPECT_EQ(root.required("z").error().where, "$.z");
  EXPECT_EQ(c->required("d").error().where, "$.a.b[1].c");
  EXPECT_FALSE(root.optional("z")->has_value());
  EXPECT_FALSE(root.optional("n")->has_value());  // null counts as absent
  EXPECT_FALSE(root.required("n"));
  EXPECT_TRUE(root.object());
  EXPECT_FALSE(c->object());
  EXPECT_EQ(json_path("$", "two words"), "$[\"two words\"]");
  EXPECT_EQ(json_path("$.a", std::size_t{3}), "$.a[3]");
}

// A value that is taken for one of another type, or beyond its range.
TEST(JsonField, TypesAndRanges) {
  const auto document = tree(
      R"({"i": 5, "f": 5.0, "s": "five", "t": true, "l": [1, 2], "m": [1, 2.5], "h": [1, 70]})");
  const JsonField root(document);
  const auto field = [&](std::string_view name) { return *root.required(name); };
  EXPECT_EQ(field("i").integer(5, 5).value(), 5);
  EXPECT_FALSE(field("i").integer(6, 9));
  EXPECT_FALSE(field("i").integer(0, 4));
  EXPECT_NE(field("i").integer(6, 9).error().hint.find("from 6 to 9"), std::string::npos);
  for (const char* name : {"f", "s", "t", "l"}) {
    EXPECT_FALSE(field(name).integer(0, 9)) << name;
    EXPECT_EQ(field(name).boolean().has_value(), std::string(name) == "t");
    EXPECT_EQ(field(name).text().has_value(), std::string(name) == "s");
    EXPECT_EQ(field(name).elements().has_value(), std::string(name) == "l");
  }
  EXPECT_EQ(field("l").integers(0, 9).value(), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(field("m").integers(0, 9).error().where, "$.m[1]");
  EXPECT_EQ(field("h").integers(0, 9).error().where, "$.h[1]");
  EXPECT_FALSE(field("s").integers(0, 9));
  EXPECT_EQ(field("s").error("wrong", "mend").where, "$.s");
}

// A misspelt word or field that is ignored.
TEST(JsonField, WordsAndUnknownFields) {
  const auto document = tree(R"({"mode": "graph", "other": "grahp"})");
  const JsonField root(document);
  constexpr std::array<std::string_view, 2> modes = {"eager", "graph"};
  EXPECT_EQ(root.required("mode")->one_of(modes).value(), 1U);
  const auto bad = root.required("other")->one_of(modes);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().where, "$.other");
  EXPECT_NE(bad.error().hint.find("eager graph"), std::string::npos);
  EXPECT_FALSE(JsonField(tree("3")).one_of(modes));
  EXPECT_TRUE(root.reject_unknown_fields({"mode", "other", "more"}));
  const auto unknown = root.reject_unknown_fields({"mode"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().where, "$.other");
  EXPECT_NE(unknown.error().hint.find("mode"), std::string::npos);
  const auto number = tree("3");
  EXPECT_FALSE(JsonField(number).reject_unknown_fields({"mode"}));
}

// A long or odd value that floods the message.
TEST(JsonField, MessagesStayShort) {
  const auto document =
      tree("{\"s\": \"" + std::string(5000, 'x') + "\", \"" + std::string(5000, 'k') +
           "\": 1, \"u\": \"" + repeated("é", 100) + "\"}");
  const JsonField root(document);
  EXPECT_LT(root.required("s")->integer(0, 1).error().text.size(), 200U);
  EXPECT_LT(root.reject_unknown_fields({"s", "u"}).error().where.size(), 200U);
  const std::string cut = root.required("u")->integer(0, 1).error().text;
  EXPECT_NO_THROW(static_cast<void>(nlohmann::json(cut).dump())) << "cut inside a character";
}

}  // namespace
}  // namespace capsize::formats_json_test
