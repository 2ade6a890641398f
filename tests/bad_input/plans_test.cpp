// Broken plan files: each is refused with the exact place and a way out. Most are read in process;
// nothing of a plan may crash the reader, or cost more than a moment.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/formats/plan.hpp"
#include "tests/bad_input/malformed.hpp"

namespace capsize::bad_plans_test {
namespace {

// A sound plan with one of everything, to break in one place at a time.
constexpr std::string_view kGood =
    R"json({"schema": 1, "engine": "e", "world": 8, "layers": [{"kind": "dense", "count": 2}],
 "groups": {"tp": [[0, 1, 2, 3], [4, 5, 6, 7]], "draft": [[0, 1]]},
 "captures": [{"path": "decode", "unit": "tokens", "kept": [8, 16],
   "admission": {"unit": "tokens", "scope": "rank", "max": 4}}],
 "buffers": {"ws": {"bytes": 64, "owner": "all", "kind": "workspace", "memory": "runtime"}},
 "weights": [{"name": "w", "dim": 64, "group": "tp", "block": 16}],
 "libraries": {"nccl": "2.28.3"}, "memory": {"budget_bytes": 100},
 "events": [
  {"event": "create_group", "id": "made", "group": "tp", "transport": "peer"},
  {"event": "allocate", "buffer": "ws", "generation": 1},
  {"event": "capture", "id": "shot", "path": "decode", "tokens": 8, "stream": 0, "programs": [
   {"ranks": "0-3", "bucket": 8, "mode": "graph", "key": {"tokens": 8}, "repeat": 2,
    "decides": {"bucket": [{"input": "max", "from": "voted", "group": "tp"}]},
    "ops": [
     {"id": "a", "op": "all_reduce", "group": "tp", "rows_in": 8, "in": "Partial(tp)", "tensor": "hidden"},
     {"repeat": 3, "layer": 1, "ops": [{"id": "b", "op": "norm", "role": "norm", "from": "a",
       "after": ["a"]}]},
     {"op": "send", "group": "tp", "peer": 1, "reads": [{"buffer": "ws", "bytes": 4}]}]},
   {"ranks": "4-7", "ops": []}]},
  {"event": "register", "groups": ["tp"], "ranks": "0-7"},
  {"event": "free", "buffer": "ws", "after": "shot"}]})json";

// The good plan with the raw JSON text of one value, which a JSON pointer names.
std::string with(std::string_view pointer, std::string_view value) {
  auto document = nlohmann::json::parse(kGood);
  document[nlohmann::json::json_pointer(std::string(pointer))] = "HERE";
  std::string text = document.dump();
  return text.replace(text.find("\"HERE\""), 6, value);
}

std::string without(std::string_view pointer) {
  auto document = nlohmann::json::parse(kGood);
  const nlohmann::json::json_pointer place{std::string(pointer)};
  document[place.parent_pointer()].erase(place.back());
  return document.dump();
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

std::string first_elements(std::size_t levels) {
  std::string path;
  for (std::size_t i = 0; i < levels; ++i) path += "[0]";
  return path;
}

struct Row {
  std::string name;
  std::string text;
  std::string where;      // the whole place
  std::string says;       // a part of the message
  std::string hint = "";  // a part of the way out
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const std::string kProgram = "/events/2/programs/0";
const std::string kOps = kProgram + "/ops";
const std::string kProgramPath = "$.events[2].programs[0]";
const std::string kOpsPath = kProgramPath + ".ops";

std::vector<Row> documents() {
  const std::string good(kGood);
  return {
      {"Empty", "", "line 1, column 1", "JSON", "empty"},
      {"Truncated", good.substr(0, good.size() - 3), "line 21, column 51", "JSON", "cut off"},
      {"TrailingText", R"({"schema": 1, "world": 1} x)", "line 1, column 27", "JSON"},
      {"NotAnObject", "[]", "$", "must be an object"},
      {"NulByte", R"({"schema": 1, "world": 1})" + std::string(1, '\0'), "line 1, column 26",
       "NUL"},
      {"DeepNesting", R"({"schema": 1, "world": 1, "events": )" + nested(100000) + "}",
       "$.events" + first_elements(63) + ", line 1, column 100", "nested deeper"},
      {"DuplicateKey", R"({"schema": 1, "world": 1, "world": 1})", "$.world, line 1, column 33",
       "duplicate key"},
      {"DuplicateGroup", R"({"groups": {"tp": [], "tp": []}})", "$.groups.tp, line 1, column 26",
       "duplicate key"},
      {"NoSchema", without("/schema"), "$.schema", "is missing"},
      {"SchemaTwo", with("/schema", "2"), "$.schema", "must be 1"},
      {"SchemaText", with("/schema", R"("1")"), "$.schema", "must be 1"},
      {"NoWorld", without("/world"), "$.world", "is missing"},
      {"NoRank", with("/world", "0"), "$.world", "0 is out of range"},
      {"NegativeWorld", with("/world", "-8"), "$.world", "-8 is out of range"},
      {"ABillionRanks", with("/world", "1000000000"), "$.world", "1000000000 is out of range"},
      {"HugeNumber", R"({"world": 99999999999999999999})", "$.world, line 1, column 31",
       "number out of range"},
      {"WorldIsText", with("/world", R"("8")"), "$.world", "must be a whole number"},
      {"WorldIsAFraction", with("/world", "8.0"), "$.world", "must be a whole number"},
      {"UnknownField", with("/evnts", "[]"), "$.evnts", "unknown field", "events"},
      {"LayersAreANumber", with("/layers", "27"), "$.layers", "must be an array"},
      {"UnknownLayer", with("/layers/0/kind", R"("moe")"), "$.layers[0].kind",
       "\"moe\" is not known", "dense sparse"},
      {"LayersWithoutCount", without("/layers/0/count"), "$.layers[0].count", "is missing"},
      {"NoLayer", with("/layers/0/count", "0"), "$.layers[0].count", "0 is out of range"},
      {"NegativeLayers", with("/layers/0/count", "-1"), "$.layers[0].count", "-1 is out of range"},
      {"LayersForever", with("/layers/0/count", "100001"), "$.layers[0].count", "out of range"},
      {"TooManyLayers",
       with("/layers",
            R"([{"kind": "dense", "count": 60000}, {"kind": "sparse", "count": 40001}])"),
       "$.layers[1]", "more than 100000 layers"},
      {"LongText", with("/engine", '"' + std::string(257, 'x') + '"'), "$.engine", "257 bytes"},
      {"EmptyText", with("/engine", R"("")"), "$.engine", "is empty"},
      {"ControlCharacter", with("/engine", R"("a\u0007b")"), "$.engine", "control character"},
  };
}

std::vector<Row> declarations() {
  return {
      {"GroupsAreAList", with("/groups", "[[0]]"), "$.groups", "must be an object"},
      {"GroupOfNobody", with("/groups/tp", "[[]]"), "$.groups.tp[0]", "without ranks"},
      {"RankOutsideTheWorld", with("/groups/tp", "[[0, 8]]"), "$.groups.tp[0][1]",
       "rank 8 is outside of the world of 8", "from 0 to 7"},
      {"NegativeRank", with("/groups/tp", "[[-1]]"), "$.groups.tp[0][0]", "rank -1 is outside"},
      {"RankTwice", with("/groups/tp", "[[0, 1, 0]]"), "$.groups.tp[0]", "rank 0 stands twice"},
      {"RankInTwoGroups", with("/groups/tp", R"([[0, 1], "1-2"])"), "$.groups.tp[1]",
       "rank 1 stands in two groups of tp, 0 and 1"},
      {"BackwardsRange", with("/groups/tp", R"(["7-0"])"), "$.groups.tp[0]", "runs backwards"},
      {"RangeBeyondTheWorld", with("/groups/tp", R"(["0-999999999"])"), "$.groups.tp[0]",
       "rank 999999999 is outside"},
      {"RangeOfTenToThe30", with("/groups/tp", "[\"0-1" + std::string(30, '0') + "\"]"),
       "$.groups.tp[0]", "no ranges of ranks"},
      {"StepZero", with("/groups/tp", R"(["0-7:0"])"), "$.groups.tp[0]", "step 0"},
      {"RangeOfLetters", with("/groups/tp", R"(["a-b"])"), "$.groups.tp[0]", "no ranges of ranks"},
      {"EmptyRange", with("/groups/tp", R"(["0,,1"])"), "$.groups.tp[0]", "no ranges of ranks"},
      {"GroupName", with("/groups/a(b)", "[]"), "$.groups[\"a(b)\"]", "parenthesis"},
      {"CaptureWithoutPath", without("/captures/0/path"), "$.captures[0].path", "is missing"},
      {"UnknownUnit", with("/captures/0/unit", R"("rows")"), "$.captures[0].unit",
       "\"rows\" is not known", "tokens requests"},
      {"NegativeSize", with("/captures/0/kept", "[8, -1]"), "$.captures[0].kept[1]",
       "-1 is out of range"},
      {"UnknownScope", with("/captures/0/admission/scope", R"("all")"),
       "$.captures[0].admission.scope", "\"all\" is not known"},
      {"NegativeBuffer", with("/buffers/ws/bytes", "-1"), "$.buffers.ws.bytes", "out of range"},
      {"BufferAbove2To53", with("/buffers/ws/bytes", "9007199254740993"), "$.buffers.ws.bytes",
       "out of range"},
      {"OwnerOutside", with("/buffers/ws/owner", R"("0-8")"), "$.buffers.ws.owner", "rank 8"},
      {"OwnerIsNobody", with("/buffers/ws/owner", "[]"), "$.buffers.ws.owner", "names no rank"},
      {"OwnerTwice", with("/buffers/ws/owner", R"("0-3,2")"), "$.buffers.ws.owner", "rank 2 twice"},
      {"UnknownKind", with("/buffers/ws/kind", R"("scratch")"), "$.buffers.ws.kind", "scratch"},
      {"BlockZero", with("/weights/0/block", "0"), "$.weights[0].block", "0 is out of range"},
      {"WeightOfUnknownGroup", with("/weights/0/group", R"("ep")"), "$.weights[0].group",
       "the group \"ep\", which does not exist", "did you mean tp? known here: draft, tp"},
      {"VersionIsANumber", with("/libraries/nccl", "2"), "$.libraries.nccl", "must be a string"},
      {"NoBudget", with("/memory", "{}"), "$.memory.budget_bytes", "is missing"},
  };
}

std::vector<Row> events() {
  return {
      {"EventsAreAnObject", with("/events", "{}"), "$.events", "must be an array"},
      {"EventIsText", with("/events/0", R"("capture")"), "$.events[0]", "must be an object"},
      {"UnknownEvent", with("/events/0/event", R"("compile")"), "$.events[0].event",
       "\"compile\" is not known", "warm_up"},
      {"NoKind", without("/events/0/event"), "$.events[0].event", "is missing"},
      {"EventInsideAnEvent", with("/events/2/events", "[]"), "$.events[2].events", "unknown field"},
      {"CreatesNothing", without("/events/0/group"), "$.events[0].group", "create_group needs it"},
      {"CreatesTwo", with("/events/0", R"({"event": "create_group", "groups": ["tp", "draft"]})"),
       "$.events[0].groups", "one event creates one group"},
      {"TwoTransports", with("/events/1", R"({"event": "create_group", "group": "tp",
         "transport": "raw"})"),
       "$.events[1].transport", "has the transport peer elsewhere"},
      {"UnknownTransport", with("/events/0/transport", R"("nvlink")"), "$.events[0].transport",
       "nvlink"},
      {"RegistersUnknown", with("/events/3/groups", R"(["tpp"])"), "$.events[3].groups[0]",
       "\"tpp\", which does not exist", "did you mean tp?"},
      {"RegistersTwice", with("/events/3/groups", R"(["tp", "tp"])"), "$.events[3].groups[1]",
       "a second time"},
      {"AllocatesNothing", without("/events/1/buffer"), "$.events[1].buffer", "allocate needs it"},
      {"AllocatesUnknown", with("/events/1/buffer", R"("wsp")"), "$.events[1].buffer",
       "\"wsp\", which does not exist", "did you mean ws?"},
      {"FreesTwice", with("/events/3", R"({"event": "free", "buffer": "ws"})"),
       "$.events[4].buffer", "frees ws, which is not allocated"},
      {"FreesBefore", with("/events/0", R"({"event": "free", "buffer": "ws"})"),
       "$.events[0].buffer", "frees ws, which is not allocated"},
      {"FreeWithPrograms", with("/events/4/programs", "[]"), "$.events[4].programs",
       "says nothing in an event of the kind free"},
      {"CaptureWithoutPathOfIts", without("/events/2/path"), "$.events[2].path",
       "capture needs it"},
      {"CaptureWithoutPrograms", without("/events/2/programs"), "$.events[2].programs",
       "capture needs it"},
      {"EventIdTwice", with("/events/1/id", R"("made")"), "$.events[1].id", "\"made\" too"},
      {"EventAfterItself", with("/events/2/after", R"("shot")"), "$.events[2].after", "a cycle"},
      {"EventAfterALaterOne", with("/events/0/after", R"(["shot"])"), "$.events[0].after[0]",
       "a cycle: \"shot\" does not come before"},
      {"EventAfterNobody", with("/events/4/after", R"(["shto"])"), "$.events[4].after[0]",
       "no event has the id \"shto\"", "did you mean shot?"},
      {"LikeItself", with("/events/3", R"({"event": "eager", "tokens": 4, "like": 3})"),
       "$.events[3].like", "event 3 does not come before"},
      {"LikeAnAllocation", with("/events/3", R"({"event": "eager", "tokens": 4, "like": 1})"),
       "$.events[3].like", "event 1 runs no programs"},
      {"LikeWithoutTokens", with("/events/3", R"({"event": "eager", "like": 2})"),
       "$.events[3].like", "need tokens"},
      {"LikeAFraction", R"({"schema": 1, "world": 1, "events": [
         {"event": "eager", "tokens": 4, "programs": [{"ranks": "0", "tokens": 2}]},
         {"event": "eager", "tokens": 3, "like": 0}]})",
       "$.events[1].like", "do not come out whole at 3", "write the programs out"},
      {"LikeBesidePrograms", with("/events/2/like", "0"), "$.events[2].like",
       "beside programs of its own"},
      {"StreamTooHigh", with("/events/2/stream", "64"), "$.events[2].stream", "64 is out of range"},
      {"NegativeTokens", with("/events/2/tokens", "-8"), "$.events[2].tokens",
       "-8 is out of range"},
      {"CaptureInsideACapture", with("/events/3", R"({"event": "capture", "path": "prefill",
         "stream": 1, "programs": [{"ranks": "3-5"}]})"),
       "$.events[3]", "a capture inside a capture: events[2] records on the same ranks"},
  };
}

std::vector<Row> programs() {
  const std::string path = kProgramPath;
  return {
      {"NoRanks", without(kProgram + "/ranks"), path + ".ranks", "is missing"},
      {"RanksOutside", with(kProgram + "/ranks", R"("0-8")"), path + ".ranks", "rank 8 is outside"},
      {"RanksOverlap", with(kProgram + "/ranks", R"("0-4")"), "$.events[2].programs[1].ranks",
       "rank 4 is in programs[0] and in programs[1]"},
      {"RanksAreANumber", with(kProgram + "/ranks", "0"), path + ".ranks", "ranges of ranks"},
      {"NegativeBucket", with(kProgram + "/bucket", "-1"), path + ".bucket", "-1 is out of range"},
      {"UnknownMode", with(kProgram + "/mode", R"("full")"), path + ".mode",
       "\"full\" is not known", "graph piecewise eager"},
      {"KeyIsText", with(kProgram + "/key", R"("tokens")"), path + ".key", "must be an object"},
      {"KeyOfLists", with(kProgram + "/key", R"({"tokens": [8]})"), path + ".key.tokens",
       "must be a number, a string, true or false"},
      {"RepeatZero", with(kProgram + "/repeat", "0"), path + ".repeat", "0 is out of range"},
      {"RepeatForever", with(kProgram + "/repeat", "100001"), path + ".repeat", "out of range"},
      {"DecisionSource", with(kProgram + "/decides/bucket/0/from", R"("guess")"),
       path + ".decides.bucket[0].from", "guess", "rank_local"},
      {"DecisionIsNoList", with(kProgram + "/decides/bucket", "{}"), path + ".decides.bucket",
       "must be an array"},
      {"DecisionOfUnknownGroup", with(kProgram + "/decides/bucket/0/group", R"("dp")"),
       path + ".decides.bucket[0].group", "\"dp\", which does not exist"},
  };
}

std::vector<Row> operations() {
  const std::string path = kOpsPath;
  return {
      {"OpsAreAnObject", with(kOps, "{}"), path, "must be an array"},
      {"OpIsText", with(kOps + "/0", R"("norm")"), path + "[0]", "must be an object"},
      {"UnknownOp", with(kOps + "/0/op", R"("gather")"), path + "[0].op", "\"gather\"",
       "all_gather"},
      {"OpWithoutKind", without(kOps + "/0/op"), path + "[0].op", "is missing"},
      {"OpIsACapture", with(kOps + "/0", R"({"op": "capture"})"), path + "[0]",
       "captures do not nest"},
      {"EventInAProgram", with(kOps + "/0", R"({"event": "capture", "path": "p"})"), path + "[0]",
       "captures do not nest"},
      {"UnknownOpField", with(kOps + "/0/rows", "8"), path + "[0].rows", "unknown field",
       "rows_in"},
      {"BlockInABlock", with(kOps + "/1/ops/0", R"({"ops": []})"), path + "[1].ops[0]",
       "a block of operations inside a block"},
      {"EmptyBlock", with(kOps + "/1/ops", "[]"), path + "[1]", "without operations"},
      {"BlockForever", with(kOps + "/1/repeat", "1000000000"), path + "[1].repeat", "out of range"},
      {"BlockWithKind", with(kOps + "/1/op", R"("norm")"), path + "[1].layer", "unknown field"},
      {"CollectiveWithoutGroup", without(kOps + "/0/group"), path + "[0].group",
       "all_reduce needs a group"},
      {"UnknownGroup", with(kOps + "/0/group", R"("t")"), path + "[0].group",
       "\"t\", which does not exist", "did you mean tp?"},
      {"RankInNoGroup", with(kOps + "/0/group", R"("draft")"), path + "[0].group",
       "rank 2 is in no group of draft"},
      {"RankInNoGroupOfABlock", with(kOps + "/1/ops/0/group", R"("draft")"),
       path + "[1].ops[0].group", "rank 2 is in no group of draft"},
      {"NegativeRows", with(kOps + "/0/rows_in", "-1"), path + "[0].rows_in", "-1 is out of range"},
      {"NegativeRowsInAList", with(kOps + "/0/rows_in", "[8, -1]"), path + "[0].rows_in[1]",
       "-1 is out of range"},
      {"OneLayoutTwoOperands", with(kOps + "/0/rows_in", "[8, 8]"), path + "[0].rows_in",
       "rows of 2 operands, but \"in\" layouts of 1"},
      {"LayoutOfUnknownGroup", with(kOps + "/0/in", "\"Partial(pt)\""), path + "[0].in",
       "\"pt\", which does not exist"},
      {"UnknownLayout", with(kOps + "/0/in", "\"Sharded(tp)\""), path + "[0].in", "is no layout",
       "Replicated"},
      {"OpenLayout", with(kOps + "/0/in", "\"Partial(tp\""), path + "[0].in", "is no layout"},
      {"DeepLayout", with(kOps + "/0/in", "\"Scattered(tp,tp,tp,tp,tp,tp,tp)\""), path + "[0].in",
       "deeper than 6"},
      {"SendToNobody", without(kOps + "/2/peer"), path + "[2].peer", "send needs the rank"},
      {"PeerOutside", with(kOps + "/2/peer", "8"), path + "[2].peer", "8 is out of range"},
      {"PeerInNoGroup", with(kOps + "/2/peer", "7"), path + "[2].peer", "7 reaches no rank"},
      {"PeerOfANorm", with(kOps + "/0/peer", "1"), path + "[0].peer", "all_reduce has no peer"},
      {"NegativePart", with(kOps + "/0/sizes", "[1, 2, 3, -1]"), path + "[0].sizes[3]",
       "-1 is out of range"},
      {"UnknownBufferRead", with(kOps + "/2/reads/0/buffer", R"("kv")"),
       path + "[2].reads[0].buffer", "\"kv\", which does not exist"},
      {"NegativeLength", with(kOps + "/2/reads/0/bytes", "-4"), path + "[2].reads[0].bytes",
       "-4 is out of range"},
      {"BufferOfANorm", with(kOps + "/1/ops/0/buffer", R"("ws")"), path + "[1].ops[0].buffer",
       "norm has no buffer"},
      {"OpIdTwice", with(kOps + "/1/ops/0/id", R"("a")"), path + "[1].ops[0].id", "\"a\" too"},
      {"AfterItself", with(kOps + "/0/after", R"(["a"])"), path + "[0].after[0]",
       "a cycle: \"a\" does not come before"},
      {"AfterALaterOneInABlock", with(kOps + "/0/after", R"(["b"])"), path + "[0].after[0]",
       "a cycle: \"b\" does not come before"},
      {"FromALaterOne", with(kOps + "/0/from", R"("b")"), path + "[0].from", "a cycle"},
      {"AfterNobody", with(kOps + "/2/after", R"(["c"])"), path + "[2].after[0]",
       "no operation of this program has the id \"c\""},
      {"StreamIsText", with(kOps + "/0/stream", R"("main")"), path + "[0].stream", "whole number"},
      {"NegativeStream", with(kOps + "/0/stream", "-1"), path + "[0].stream", "-1 is out of range"},
      {"CapturedIsANumber", with(kOps + "/0/captured", "1"), path + "[0].captured",
       "true or false"},
      {"UnknownRole", with(kOps + "/0/role", R"("softmax")"), path + "[0].role", "\"softmax\"",
       "add_norm"},
      {"RoleIsANumber", with(kOps + "/1/ops/0/role", "1"), path + "[1].ops[0].role",
       "must be a string"},
      {"UnknownTensor", with(kOps + "/0/tensor", R"("residuals")"), path + "[0].tensor",
       "\"residuals\"", "residual"},
      {"PaddingWord", with(kOps + "/0/padding", R"("nan")"), path + "[0].padding", "nan", "masked"},
      {"NegativeExtent", with(kOps + "/0/extents", R"({"x": -1})"), path + "[0].extents.x",
       "-1 is out of range"},
      {"LaunchOfObjects", with(kOps + "/0/launch", R"({"grid": {}})"), path + "[0].launch.grid",
       "must be a number"},
  };
}

// Plans that are small as text and would be huge in memory.
std::vector<Row> large_ones() {
  const auto repeated = [](std::string_view element, int times) {
    std::string list = "[";
    for (int i = 0; i < times; ++i) list.append(i == 0 ? "" : ",").append(element);
    return list + "]";
  };
  std::string families = "{";
  for (int i = 0; i < 64; ++i) {
    families += (i == 0 ? "\"g" : ",\"g") + std::to_string(i) + R"(": ["0-65535"])";
  }
  const std::string head = R"({"schema": 1, "world": 65536, )";
  const std::string strided =
      R"({"event": "eager", "programs": [{"ranks": "0-65534:2"}, {"ranks": "1-65535:2"}]})";
  // An event with a long list, which many others take over.
  const std::string long_list = R"({"event": "eager", "tokens": 1, "programs": [{"ranks": "0",
      "ops": [{"op": "add", "sizes": )" +
                                repeated("0", 1 << 19) + "}]}]}";
  const std::string copied =
      "[" + long_list + "," +
      repeated(R"({"event": "eager", "tokens": 1, "like": 0})", 9999).substr(1);
  const std::string program =
      R"({"ranks": "0", "ops": )" + repeated(R"({"op": "add"})", 20000) + "}";
  return {
      {"TooManyMembers", head + "\"groups\": " + families + "}}", "$.groups.g23[0]",
       "1048576 members"},
      {"TooManyFamilies",
       with("/groups",
            [&] {
              std::string all = "{";
              for (int i = 0; i < 65; ++i) {
                all += (i == 0 ? "\"g" : ",\"g") + std::to_string(i) + "\": []";
              }
              return all + "}";
            }()),
       "$.groups", "more than 64 groups"},
      {"TooManyRanges", head + "\"events\": " + repeated(strided, 1000) + "}",
       "$.events[4].programs[0].ranks", "262144 ranges of ranks"},
      {"TooManyCopies", with("/events", copied), "$.events[2].like", "too many operations"},
      {"TooManyEvents", with("/events", repeated(R"({"event": "eager"})", 10001)), "$.events",
       "10001 elements, more than 10000"},
      {"TooManyOpsInAProgram", with(kOps, repeated(R"({"op": "add"})", 20001)), kOpsPath,
       "20001 elements, more than 20000"},
      {"TooManyOpsInABlock",
       with(kOps, R"([{"ops": )" + repeated(R"({"op": "add"})", 20001) + "}]"),
       kOpsPath + "[0].ops[20000]", "more than 20000 in a program"},
      {"TooManyOps",
       head + R"("events": )" +
           repeated(R"({"event": "eager", "programs": [)" + program + "]}", 11) + "}",
       "$.events[10].programs[0].ops[0]", "200000 in a plan"},
  };
}

class BrokenPlan : public ::testing::TestWithParam<Row> {};

// Would catch a plan that is let in, or refused at another place than where it is broken.
TEST_P(BrokenPlan, IsRefusedAtItsPlace) {
  const Row& row = GetParam();
  const auto read = read_plan(row.text);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().where, row.where) << read.error().text;
  EXPECT_NE(read.error().text.find(row.says), std::string::npos) << read.error().text;
  EXPECT_NE(read.error().hint.find(row.hint), std::string::npos) << read.error().hint;
  EXPECT_FALSE(read.error().hint.empty());
}

std::string name_of_plan(const ::testing::TestParamInfo<Row>& row) { return row.param.name; }

INSTANTIATE_TEST_SUITE_P(Document, BrokenPlan, ::testing::ValuesIn(documents()), name_of_plan);
INSTANTIATE_TEST_SUITE_P(Declaration, BrokenPlan, ::testing::ValuesIn(declarations()),
                         name_of_plan);
INSTANTIATE_TEST_SUITE_P(Event, BrokenPlan, ::testing::ValuesIn(events()), name_of_plan);
INSTANTIATE_TEST_SUITE_P(OfARankClass, BrokenPlan, ::testing::ValuesIn(programs()), name_of_plan);
INSTANTIATE_TEST_SUITE_P(Operation, BrokenPlan, ::testing::ValuesIn(operations()), name_of_plan);
INSTANTIATE_TEST_SUITE_P(Large, BrokenPlan, ::testing::ValuesIn(large_ones()), name_of_plan);

// Would catch a good plan that the rows above break nowhere, so that they pass for another reason
// than the one they name.
TEST(UnbrokenPlan, IsRead) {
  const auto read = read_plan(kGood);
  EXPECT_TRUE(read) << read.error().where << ": " << read.error().text;
}

// Would catch a reader that trusts any prefix of a plan, or crashes on a byte that is out of place.
TEST(UnbrokenPlan, IsRefusedOrReadWithAnyByteChangedAndNeverReadWhenCut) {
  const std::string good(kGood);
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(read_plan(good.substr(0, length))) << length;
  }
  std::size_t refused = 0;
  for (std::size_t place = 0; place < good.size(); ++place) {
    for (const char byte : {'0', '-', '"', '}', '[', ',', '\xff'}) {
      std::string broken = good;
      broken[place] = byte;
      const auto read = read_plan(broken);
      if (!read) {
        ++refused;
        EXPECT_FALSE(read.error().where.empty() || read.error().text.empty()) << broken;
      }
    }
  }
  EXPECT_GT(refused, good.size());
}

// A plan inside another document carries the path in that document.
TEST(UnbrokenPlan, ToldInsideAnotherDocumentCarriesItsPath) {
  const auto outer = nlohmann::json::parse(R"({"plan": {"schema": 1, "world": 0}})");
  const auto read = read_plan(JsonField(outer["plan"], "$.plan"));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().where, "$.plan.world");
}

// ---- through the program ------------------------------------------------------------------------

using test::BadInput;
using test::every_program_with;
using test::Malformed;
using test::MalformedInput;
using test::name_of_row;

// A plan in a file, given with --plan; `where` begins with the file.
Malformed plan_file(std::string name, std::string text, std::string where, std::string says) {
  return {.name = std::move(name),
          .arguments = {"--plan", "FILE"},
          .file = std::move(text),
          .where = "config.json: " + std::move(where),
          .text = std::move(says)};
}

std::vector<Malformed> plan_files() {
  std::vector<Malformed> rows = {
      plan_file("Empty", "", "line 1, column 1", "JSON"),
      plan_file("NoUtf8", with("/engine", "\"\xff\""), "line 1, column", "JSON"),
      plan_file("DeepNesting", nested(1000000), "$[0]", "nested deeper"),
      plan_file("ABillionRanks", with("/world", "1000000000"), "$.world", "out of range"),
      plan_file("RanksOverlap", with(kProgram + "/ranks", R"("0-4")"),
                "$.events[2].programs[1].ranks", "rank 4 is in programs[0] and in programs[1]"),
      plan_file("UnknownGroup", with(kOps + "/0/group", R"("t\u00fc")"), kOpsPath + "[0].group",
                "which does not exist"),
      plan_file("Cycle", with(kOps + "/0/after", R"("b")"), kOpsPath + "[0].after", "a cycle"),
  };
  rows.push_back({.name = "MoreThan16MiB",
                  .arguments = {"--plan", "FILE"},
                  .file = std::string((std::size_t{16} << 20) + 1, ' '),
                  .where = "config.json",
                  .text = "bytes"});
  rows.push_back({.name = "FromStandardInput",
                  .arguments = {"--plan", "-"},
                  .input = with(kOps + "/0/rows_in", "-1"),
                  .where = kOpsPath + "[0].rows_in",
                  .text = "-1 is out of range"});
  return rows;
}

INSTANTIATE_TEST_SUITE_P(PlanFile, MalformedInput, every_program_with(plan_files()), name_of_row);

// Would catch a good plan that the program does not take, so that the rows above pass for another
// reason than the one they name.
TEST_P(BadInput, TheUnbrokenPlanIsJudged) {
  const test::ChildRun run = this->run({"check", "--json", "--plan", "-"}, std::string(kGood));
  const auto answer = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_TRUE(answer.is_object()) << run.out << run.err;
  EXPECT_NE(answer.value("verdict", "bad_input"), "bad_input") << run.out;
}

}  // namespace
}  // namespace capsize::bad_plans_test
