// The model protocol: what it echoes, what it refuses to read and where it says so, and that no
// request ends or stops the program. The answers themselves are tested in tests/conformance.
#include "scenarios/formats/model_protocol.hpp"

#include <gmock/gmock.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"

namespace capsize::model_protocol_test {
namespace {

using nlohmann::json;

constexpr const char* kFilterRequest =
    R"({"id":1,"fn":"prefill_filter","sizes":[4,8],"attn_tp":8,"attn_cp":1,"gathered":true})";

// The reply to one line. It must be JSON, stand on one line, have an id, and say whether it is an
// error in the same way as its flag.
json ask(const std::string& line, const char* rules = "23972") {
  const auto protocol = ModelProtocol::of("sglang", rules);
  if (!protocol) {
    ADD_FAILURE() << "no rules " << rules;
    return {};
  }
  const ModelAnswer answer = protocol->answer(line);
  EXPECT_EQ(answer.json.find('\n'), std::string::npos);
  json reply = json::parse(answer.json, nullptr, false);
  EXPECT_TRUE(reply.is_object() && reply.contains("id")) << answer.json;
  EXPECT_EQ(reply.contains("error"), answer.bad_request) << answer.json;
  return reply;
}

std::string where_of(const json& reply) {
  if (!reply.contains("error")) return "answered: " + reply.dump().substr(0, 200);
  EXPECT_NE(reply["error"].value("text", ""), "") << reply;
  EXPECT_TRUE(reply["error"].contains("hint")) << reply;
  return reply["error"].value("where", "");
}

// One request of each function that is answered.
std::vector<json> good_requests() {
  std::vector<json> requests;
  for (const char* text : {
           R"({"fn":"groups","tp":8,"attn_dp":2,"attn_cp":2,"ep":2,"moe_dp":2,"pp":2})",
           R"({"fn":"default_sizes","gpu_mem_mib":81559,"tp":8,"speculative":"EAGLE","mla":true,
               "chunked_prefill_size":-1,"cuda_graph_max_bs":24,"piecewise_max_tokens":1000})",
           R"({"fn":"prefill_filter","sizes":[4,8],"attn_tp":8,"attn_cp":1,"gathered":true})",
           R"({"fn":"decode_filter","sizes":[8,16],"pool":100,"attn_tp":8,"attn_cp":1,
               "gathered":true,"tokens_per_request":4,"two_batch_overlap":false})",
           R"({"fn":"predicates","tp":8,"dp":4,"enable_dp_attention":true,"moe_dense_tp_size":1,
               "enable_dp_lm_head":false,"moe_a2a_backend":"deepep"})",
           R"({"fn":"communicator","tp":8,"attn_dp":2,"attn_cp":2,"moe_dp":1,
               "moe_dense_tp_size":1,"moe_a2a_backend":"none","two_batch_overlap":false})",
       }) {
    requests.push_back(json::parse(text));
    requests.back()["id"] = 7;
  }
  return requests;
}

// Fields that may be null or left out.
bool is_nullable(const std::string& field) {
  return field == "gpu_mem_mib" || field == "speculative" || field == "chunked_prefill_size" ||
         field == "cuda_graph_max_bs" || field == "piecewise_max_tokens" ||
         field == "moe_dense_tp_size";
}

// Would catch: an id that is turned into a number or text, or lost on one kind of reply.
TEST(ModelProtocol, EchoesAnyId) {
  const std::array<std::string, 4> requests = {
      R"("fn":"prefill_filter","sizes":[8],"attn_tp":8,"attn_cp":1,"gathered":true})",
      R"("fn":"prefill_filter","sizes":[4],"attn_tp":8,"attn_cp":1,"gathered":true})",
      R"("fn":"who_knows"})", R"("fn":"groups"})"};
  for (const std::string id : {"1", "-7", "\"a1\"", "\"\\u0007\\u00e9\"", "null", "true", "0.25",
                               "[1,[2]]", R"({"a":{"b":[]}})", "9223372036854775807"}) {
    for (const std::string& rest : requests) {
      std::string line = "{\"id\":";
      line.append(id).append(",").append(rest);
      EXPECT_EQ(ask(line)["id"], json::parse(id)) << line;
    }
  }
  for (const std::string& rest : requests) EXPECT_EQ(ask("{" + rest)["id"], json()) << rest;
}

// Would catch: a reply with other field names, or with more fields than the protocol states.
TEST(ModelProtocol, ThreeKindsOfReply) {
  EXPECT_EQ(ask(kFilterRequest).dump(), R"({"id":1,"kept":[8]})");
  EXPECT_EQ(
      ask(R"({"id":1,"fn":"prefill_filter","sizes":[4],"attn_tp":8,"attn_cp":1,"gathered":true})")
          .dump(),
      R"({"id":1,"refused":"No piecewise CUDA graph capture sizes are multiples of 8"})");
  // The fields of a function that is not known cannot be judged.
  EXPECT_EQ(ask(R"({"id":1,"fn":"row_padding","rows":3})").dump(),
            R"({"id":1,"unsupported":"row_padding"})");
}

// Would catch: a filter at the wrong point in time.
TEST(ModelProtocol, PrefillFilterFollowsTheRules) {
  const std::string line =
      R"({"id":1,"fn":"prefill_filter","sizes":[20,8,4,8],"attn_tp":8,"attn_cp":1,"gathered":true})";
  EXPECT_EQ(ask(line, "pre-23972")["kept"], json({20, 8, 4, 8}));
  EXPECT_EQ(ask(line, "23972")["kept"], json({8, 8}));
  EXPECT_EQ(ask(line, "23906")["kept"], json({4, 8, 8, 20}));
  EXPECT_EQ(ask(line, "33200")["kept"], json({8, 24}));
  EXPECT_EQ(ask(line, "")["kept"], ask(line, "23906")["kept"]) << "not the newest merged rules";
}

// Would catch: a division by the number of context ranks or experts that rounds in another way.
// 8 ranks with 3 experts groups: the engine names ranks that do not exist.
TEST(ModelProtocol, GroupsFloorAsTheEngineDoes) {
  const json reply =
      ask(R"({"id":1,"fn":"groups","tp":8,"attn_dp":1,"attn_cp":1,"ep":3,"moe_dp":1,"pp":1})");
  EXPECT_EQ(reply["groups"]["moe_dp"]["ranks"],
            json::parse("[[0,6],[1,7],[2,8],[3,9],[4,10],[5,11]]"));
  EXPECT_EQ(reply["groups"]["moe_tp"]["ranks"], json::parse("[[0,1],[2,3],[4,5]]"));
}

// Would catch: a predicate where the engine asserts.
TEST(ModelProtocol, OneReplicaUnderDpAttentionIsRefused) {
  json request = good_requests()[4];
  request["dp"] = 1;
  EXPECT_EQ(ask(request.dump()).dump(), R"({"id":7,"refused":"dp_size must be greater than 1"})");
  request["enable_dp_attention"] = false;
  EXPECT_EQ(ask(request.dump())["require_mlp_tp_gather"], false);
}

// Would catch: a field that is skipped, defaulted or taken from another type.
TEST(ModelProtocol, EveryFieldIsRequiredAndTyped) {
  const std::vector<json> wrong = {
      "8", 1.5, 8.0, json::array({"x"}), json::object(), json::array({json::array()})};
  for (const json& good : good_requests()) {
    ASSERT_FALSE(ask(good.dump()).contains("error")) << good;
    for (const auto& [field, value] : good.items()) {
      if (field == "id") continue;
      json changed = good;
      changed.erase(field);
      EXPECT_EQ(where_of(ask(changed.dump())) == "$." + field, !is_nullable(field)) << changed;
      for (const json& other : wrong) {
        if (field == "fn" && other.is_string()) continue;
        changed[field] = other;
        EXPECT_THAT(where_of(ask(changed.dump())), ::testing::StartsWith("$." + field)) << changed;
      }
    }
  }
}

// Would catch: an unknown field that is passed over, also one that another function has.
TEST(ModelProtocol, UnknownFieldsAreErrors) {
  for (json request : good_requests()) {
    request["gathred"] = true;
    EXPECT_EQ(where_of(ask(request.dump())), "$.gathred");
  }
  json request = good_requests()[2];
  request["pool"] = 8;
  EXPECT_EQ(where_of(ask(request.dump())), "$.pool");
  request.erase("pool");
  request[""] = 8;  // the table of fields is filled up with empty names
  EXPECT_EQ(where_of(ask(request.dump())), "$[\"\"]");
}

// Would catch: the last of two equal keys winning, or a broken line without its place.
TEST(ModelProtocol, BrokenLinesNameTheirPlace) {
  EXPECT_THAT(where_of(ask(R"({"id":1,"fn":"groups","tp":8,"tp":4})")),
              ::testing::StartsWith("$.tp, line 1, column "));
  for (const char* line : {"", "{", "nonsense", "\xff\xfe", "{\"id\":1,", "{\"id\":1}{\"id\":2}",
                           "{\"id\":1} x", "{\"id\":NaN}"}) {
    const json reply = ask(line);
    EXPECT_THAT(where_of(reply), ::testing::HasSubstr("line 1, column ")) << line;
    EXPECT_TRUE(reply["id"].is_null());
  }
  EXPECT_THAT(where_of(ask(std::string("{\"id\":\0 1}", 10))), ::testing::HasSubstr("column 7"));
  EXPECT_THAT(where_of(ask(R"({"id":1e999})")), ::testing::StartsWith("$.id"));
  EXPECT_THAT(where_of(ask(std::string(100000, '['))), ::testing::HasSubstr("column 65"));
  for (const char* line : {"7", "[1]", "\"groups\"", "null"}) {
    EXPECT_EQ(where_of(ask(line)), "$") << line;
  }
  EXPECT_EQ(where_of(ask("{}")), "$.fn");
  EXPECT_EQ(where_of(ask(R"({"id":3,"fn":null})")), "$.fn");
}

// The largest number that a field takes.
std::int64_t largest_of(const std::string& field) {
  if (field == "gpu_mem_mib") return std::int64_t{1} << 30;
  const bool is_size = field == "pool" || field == "tokens_per_request" ||
                       field == "chunked_prefill_size" || field == "cuda_graph_max_bs" ||
                       field == "piecewise_max_tokens";
  return is_size ? std::int64_t{1} << 20 : 16384;
}

// Would catch: a crash, an overflow or an endless list from a number that no deployment has, and a
// limit that is off by one. Below its limit a field may still not go with the others.
TEST(ModelProtocol, NoNumberCrashesOrHangs) {
  for (const json& good : good_requests()) {
    for (const auto& [field, value] : good.items()) {
      if (!value.is_number_integer() || field == "id") continue;
      const std::int64_t largest = largest_of(field);
      json request = good;
      for (const std::int64_t number : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1},
                                        -(std::int64_t{1} << 20), largest}) {
        request[field] = number;
        const json reply = ask(request.dump());
        if (number == largest && reply.contains("error")) {
          EXPECT_THAT(where_of(reply), ::testing::AnyOf("$.tp", "$.pp")) << request;
        }
      }
      for (const std::int64_t number : {largest + 1, std::int64_t{1000000000000000000}, INT64_MAX,
                                        INT64_MIN, -(std::int64_t{1} << 20) - 1}) {
        request[field] = number;
        EXPECT_EQ(where_of(ask(request.dump())), "$." + field) << request;
      }
    }
  }
}

// Would catch: a division by a group of no ranks. Groups that do not divide the world are floored;
// a world that is too small for its groups is an error.
TEST(ModelProtocol, EverySmallLayoutIsAnswered) {
  std::size_t answered = 0;
  std::size_t too_small = 0;
  const auto count = [&](const json& request, const char* output, bool fits) {
    const json reply = ask(request.dump());
    EXPECT_EQ(reply.contains(output), fits) << request;
    if (!fits) {
      EXPECT_EQ(where_of(reply), "$.tp") << request;
    }
    ++(fits ? answered : too_small);
  };
  for (int tp = 1; tp <= 6; ++tp) {
    for (int dp = 1; dp <= 4; ++dp) {
      for (int cp = 1; cp <= 4; ++cp) {
        for (int moe_dp = 1; moe_dp <= 3; ++moe_dp) {
          json request = good_requests()[5];
          request.update({{"tp", tp}, {"attn_dp", dp}, {"attn_cp", cp}, {"moe_dp", moe_dp}});
          count(request, "layers", dp * cp <= tp);
          request = good_requests()[0];
          for (int ep = 1; ep <= 7; ++ep) {
            request.update(
                {{"tp", tp}, {"attn_dp", dp}, {"attn_cp", cp}, {"moe_dp", moe_dp}, {"ep", ep}});
            count(request, "groups", dp * cp <= tp && ep * moe_dp <= tp);
          }
        }
      }
    }
  }
  EXPECT_GT(answered, 300U);
  EXPECT_GT(too_small, 300U);
}

// Would catch: a limit on the world that is not on the product, or is off by one.
TEST(ModelProtocol, TheWorldHasALimit) {
  const auto groups = [](int tp, int pp) {
    return ask(json{
        {"fn", "groups"},
        {"tp", tp},
        {"pp", pp},
        {"attn_dp", 1},
        {"attn_cp", 1},
        {"ep", 1},
        {"moe_dp",
         1}}.dump());
  };
  EXPECT_EQ(groups(16384, 1)["groups"]["tp"]["ranks"][0].size(), 16384U);
  EXPECT_EQ(groups(128, 128)["groups"]["pp"]["ranks"].size(), 128U);
  EXPECT_EQ(where_of(groups(128, 129)), "$.pp");
  EXPECT_EQ(where_of(groups(16384, 16384)), "$.pp");
}

// Would catch: an unread element of a list, or the largest of no size.
TEST(ModelProtocol, SizesOfAList) {
  const auto filter = [](const char* fn, const char* sizes) {
    json request = good_requests()[fn == std::string("prefill_filter") ? 2 : 3];
    request["sizes"] = json::parse(sizes);
    return ask(request.dump());
  };
  for (const char* fn : {"prefill_filter", "decode_filter"}) {
    EXPECT_EQ(where_of(filter(fn, "[8,1000000000000000000]")), "$.sizes[1]");
    EXPECT_EQ(where_of(filter(fn, "[8,-1000000000000000000]")), "$.sizes[1]");
    EXPECT_EQ(where_of(filter(fn, "[8,16,\"x\"]")), "$.sizes[2]");
    EXPECT_EQ(where_of(filter(fn, "[8,null]")), "$.sizes[1]");
  }
  EXPECT_EQ(filter("prefill_filter", "[-8,0,4,8]")["kept"], json({-8, 0, 8}));
  EXPECT_EQ(filter("decode_filter", "[-8,0,4,8]")["refused"], "capture_bs=[-8, 0, 4, 8]");
  EXPECT_TRUE(filter("prefill_filter", "[]").contains("refused"));
  EXPECT_EQ(where_of(filter("decode_filter", "[]")), "$.sizes");
}

// Would catch: a backend or an algorithm that the engine's own option does not take.
TEST(ModelProtocol, WordsAreThoseOfTheEngine) {
  json request = good_requests()[5];
  request["moe_a2a_backend"] = "None";
  EXPECT_EQ(where_of(ask(request.dump())), "$.moe_a2a_backend");
  request = good_requests()[1];
  request["speculative"] = "DFLASH";
  EXPECT_FALSE(ask(request.dump(), "23972").contains("error"));
  EXPECT_EQ(where_of(ask(request.dump(), "pre-23972")), "$.speculative");  // came with 0.5.11
}

// Would catch: a limit on the line that is off by one, or none.
TEST(ModelProtocol, ALineHasALimit) {
  std::string line = kFilterRequest;
  line.resize(kModelLineBytes, ' ');
  EXPECT_EQ(ask(line).dump(), R"({"id":1,"kept":[8]})");
  line += ' ';
  EXPECT_EQ(where_of(ask(line)), "the line");
}

// Would catch: an engine or rules that are taken for others.
TEST(ModelProtocol, UnknownEngineAndRules) {
  const auto engine = ModelProtocol::of("vllm", "23972");
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().where, "--engine");
  const auto rules = ModelProtocol::of("sglang", "2397");
  ASSERT_FALSE(rules);
  EXPECT_EQ(rules.error().where, "--rules");
  EXPECT_THAT(rules.error().hint, ::testing::HasSubstr("pre-23972 23972 23906 33200"));
}

test::ChildRun run_model(std::vector<std::string> arguments, std::string input) {
  arguments.insert(arguments.begin(), {CAPSIZE_PROGRAM, "model"});
  auto run = test::run_child({.arguments = std::move(arguments), .input = std::move(input)});
  if (run) return *run;
  ADD_FAILURE() << run.error();
  return {};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Would catch: a program that stops at a bad line, passes after one, or loses its place.
TEST(ModelProgram, GoesOnAfterABadLine) {
  const std::string input = std::string(kFilterRequest) + "\n\nnot json\n" +
                            std::string(5U << 20U, 'x') + "\n" + R"({"id":2,"fn":"x"})" + "\r\n" +
                            kFilterRequest;  // no end of line
  const test::ChildRun run = run_model({"--rules", "23972"}, input);
  EXPECT_EQ(run.exit_status, 2);
  EXPECT_EQ(run.err, "");
  const std::vector<std::string> lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0], R"({"id":1,"kept":[8]})");
  EXPECT_THAT(lines[1], ::testing::StartsWith(R"({"id":null,"error":{"where":"line 1, column)"));
  EXPECT_THAT(lines[2], ::testing::StartsWith(R"({"id":null,"error":{"where":"the line")"));
  EXPECT_EQ(lines[3], R"({"id":2,"unsupported":"x"})");
  EXPECT_EQ(lines[4], lines[0]);
}

// Would catch: a status that is bad although every line was answered.
TEST(ModelProgram, AnsweredIsZero) {
  EXPECT_EQ(run_model({"--rules", "23972"}, R"({"id":2,"fn":"x"})").exit_status, 0);
  EXPECT_EQ(run_model({}, "").exit_status, 0);
  EXPECT_EQ(run_model({}, "\n \n").exit_status, 0);
}

// Would catch: a crash on bytes that are no text.
TEST(ModelProgram, BinaryInput) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes += static_cast<char>(i * i * 31 + i);
  const test::ChildRun run = run_model({"--rules", "23972"}, bytes + "\n" + kFilterRequest + "\n");
  EXPECT_EQ(run.signal, 0);
  EXPECT_EQ(run.exit_status, 2);
  ASSERT_FALSE(run.out.empty());
  for (const std::string& line : lines_of(run.out)) {
    EXPECT_FALSE(json::parse(line, nullptr, false).is_discarded()) << line;
  }
  EXPECT_EQ(lines_of(run.out).back(), R"({"id":1,"kept":[8]})");
}

// Would catch: a wrong option or file that looks like an answered run.
TEST(ModelProgram, OptionsAndFiles) {
  EXPECT_EQ(run_model({"--rules", "9"}, "").exit_status, 2);
  EXPECT_THAT(run_model({"--rules", "9"}, "").err, ::testing::HasSubstr("unknown rules \"9\""));
  EXPECT_THAT(run_model({"--engine", "x"}, "").err, ::testing::HasSubstr("unknown engine \"x\""));
  EXPECT_EQ(run_model({"/no/such/file"}, "").exit_status, 2);
  EXPECT_EQ(run_model({"/"}, "").exit_status, 2);
}

// Would catch: an answer that is kept back until the input ends. A peer asks once, waits for the
// reply, and only then asks again.
TEST(ModelProgram, AnswersWhileAPeerWaits) {
  const std::string script = std::string("coproc peer { '") + CAPSIZE_PROGRAM +
                             "' model --rules 23972; }\n"
                             "for i in 1 2; do\n"
                             "  echo '" +
                             kFilterRequest +
                             "' >&${peer[1]}\n"
                             "  read -r -t 20 line <&${peer[0]} || exit 9\n"
                             "  echo \"$line\"\n"
                             "done\n";
  const auto run = test::run_child({.arguments = {"/bin/bash", "-c", script}});
  ASSERT_TRUE(run) << run.error();
  EXPECT_EQ(run->exit_status, 0) << run->err;
  EXPECT_EQ(run->out, "{\"id\":1,\"kept\":[8]}\n{\"id\":1,\"kept\":[8]}\n");
}

}  // namespace
}  // namespace capsize::model_protocol_test
