// Launch lines that cannot be read, and lines that the engine's own argument parser or a later
// check of it refuses.
#include "tests/bad_input/malformed.hpp"

namespace capsize::test {
namespace {

const std::string kModel = "--model-path deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct";
const std::string kServer = "python -m sglang.launch_server " + kModel;

// A text on standard input, as pasted.
Malformed pasted(std::string name, std::string text, std::string where, std::string told) {
  return {.name = std::move(name),
          .arguments = {"--rules", "23972", "-"},
          .input = std::move(text),
          .where = std::move(where),
          .text = std::move(told)};
}

// Options behind a good launch line, refused by the engine at `stage`.
Malformed refused(std::string name, const std::string& options, std::string stage,
                  std::string told) {
  Malformed row =
      pasted(std::move(name), kServer + " " + options, std::move(stage), std::move(told));
  row.status = kRefusedStatus;
  return row;
}

// Options behind a good launch line with a number that capsize cannot hold.
Malformed too_large(std::string name, const std::string& options, std::string flag,
                    std::string number) {
  return pasted(std::move(name), kServer + " " + options, std::move(flag), std::move(number));
}

// Bytes in no order, always the same.
std::string garbage(std::size_t size, unsigned lowest, unsigned values) {
  std::string out;
  out.reserve(size);
  std::uint64_t state = 1;
  while (out.size() < size) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    out += static_cast<char>(lowest + (state >> 33U) % values);
  }
  return out;
}

std::vector<Malformed> unreadable_lines() {
  return {
      pasted("Empty", "", "line 1, column 1", "empty"),
      pasted("Blank", " \n\t \r\n", "line 1, column 1", "empty"),
      pasted("Prose", "Please help, my server hangs since yesterday.\n", "line 1", "no launch"),
      pasted("OtherCommand", "nvidia-smi topo -m\n", "line 1", "no launch"),
      pasted("OpenDoubleQuote", kServer + " \\\n  --served-model-name \"mine --tp 8\n", "line 2",
             "quote"),
      pasted("OpenSingleQuote", "python -m sglang.launch_server --model-path 'deepseek", "line 1",
             "quote"),
      pasted("OpenAnsiQuote", kServer + " --served-model-name $'mine\\", "line 1", "quote"),
      pasted("NulByte", kServer + std::string(" --tp\0 8", 8),
             "line 1, column " + std::to_string(kServer.size() + 6), "NUL"),
      pasted("Utf16", std::string("p\0y\0t\0h\0o\0n\0 \0-\0m\0", 18), "line 1, column 2", "NUL"),
      pasted("NoUtf8", kServer + "\n  --served-model-name \xff\xfe", "line 2", "UTF-8"),
      pasted("CutCharacter", kServer + " --served-model-name \xe6\xb5", "line 1", "UTF-8"),
      pasted("OverlongCharacter", kServer + " --served-model-name \xc0\xaf", "line 1", "UTF-8"),
      pasted("Surrogate", kServer + " --served-model-name \xed\xa0\x80", "line 1", "UTF-8"),
      pasted("Garbage", garbage(std::size_t{1} << 20, 0, 256), "line 1", ""),
      pasted("PrintableGarbage", garbage(std::size_t{1} << 20, 33, 94), "line 1", ""),
      pasted("MoreThanOneMiB", kServer + " " + repeated("x ", std::size_t{1} << 19), "", "bytes"),
      pasted("DeepSubstitutions", "python -m sglang.launch_server --tp " + repeated("$(", 200000),
             "line 1", ""),
      pasted("GrowingVariables",
             "A=xxxxxxxxxxxxxxxx\n" + repeated("A=$A$A$A$A$A$A$A$A\n", 30) + kServer + " --tp $A",
             "line", "1 MiB"),
      {.name = "NoWords",
       .arguments = {"--rules", "23972", "--"},
       .where = "command line",
       .text = "no launch"},
      {.name = "EmptyWord", .arguments = {"--", ""}, .where = "word 1", .text = "no words"},
      {.name = "WordsOfAnotherProgram",
       .arguments = {"--", "nvidia-smi", "topo"},
       .where = "word 1",
       .text = "no launch"},
      {.name = "WordsThatAreNoUtf8",
       .arguments = {"--", "sglang", "serve", "--tp", "\xff\xfe"},
       .where = "word 4",
       .text = "UTF-8"},
      {.name = "OpenQuoteInOneWord",
       .arguments = {"--", kServer + " --tp '8"},
       .where = "line 1",
       .text = "quote"},
  };
}

std::vector<Malformed> numbers_too_large() {
  const std::string ten_to_30 = "1" + std::string(30, '0');
  return {
      too_large("TenToThe30", "--tp " + ten_to_30, "--tp", ten_to_30),
      too_large("MinusTenToThe30", "--tp=-" + ten_to_30, "--tp", ten_to_30),
      too_large("TwoToThe63", "--tp-size 9223372036854775808", "--tp-size", "9223372036854775808"),
      too_large("SmallestInt64", "--pp-size -9223372036854775808", "--pp-size",
                "9223372036854775808"),
      too_large("LargestInt64", "--max-running-requests 9223372036854775807",
                "--max-running-requests", "9223372036854775807"),
      too_large("HugeMaximum", "--piecewise-cuda-graph-max-tokens 4611686018427387904",
                "--piecewise-cuda-graph-max-tokens", "4611686018427387904"),
      too_large("HugeInAList", "--cuda-graph-bs 1 2 99999999999999999999", "--cuda-graph-bs",
                "99999999999999999999"),
      too_large("HugeTensorParallel", "--tp 1048577", "--tp-size", "1048577"),
      too_large("EveryBatchSize", "--disable-cuda-graph-padding --cuda-graph-max-bs 32769",
                "--cuda-graph-max-bs", "32769"),
      too_large("LongList", "--cuda-graph-bs" + repeated(" 8", 32769), "--cuda-graph-bs", "32769"),
      too_large("LongPrefillList", "--piecewise-cuda-graph-tokens" + repeated(" 8", 32769),
                "--piecewise-cuda-graph-tokens", "32769"),
      too_large("WorldTooLarge", "--tp 16384 --pp-size 16384", "--tp-size", "268435456"),
  };
}

std::vector<Malformed> refused_arguments() {
  const std::string stage = "arguments";
  std::vector<Malformed> rows = {
      refused("UnknownFlag", "--tensor-paralel-size 8", stage,
              "unrecognized arguments: --tensor-paralel-size 8"),
      refused("UnderscoreFlag", "--tp_size 8", stage, "unrecognized arguments: --tp_size 8"),
      refused("EnDash", "\u2013tp 8", stage, "unrecognized arguments: \u2013tp 8"),
      refused("UnknownShortFlag", "-t 8", stage, "unrecognized arguments: -t 8"),
      refused("AmbiguousPrefix", "--enable-d", stage,
              "ambiguous option: --enable-d could match --enable-d"),
      refused("NoValue", "--tp", stage, "expected one argument"),
      refused("FlagForAValue", "--tp --trust-remote-code", stage, "expected one argument"),
      refused("EmptyList", "--cuda-graph-bs --tp 8", stage, "expected at least one argument"),
      refused("ValueForASwitch", "--trust-remote-code=yes", stage,
              "ignored explicit argument 'yes'"),
      refused("OneValueTooMany", "--tp 8 9", stage, "unrecognized arguments: 9"),
      refused("NotANumber", "--tp eight", stage, "invalid int value: 'eight'"),
      refused("Fraction", "--tp 8.0", stage, "invalid int value: '8.0'"),
      refused("Hexadecimal", "--tp 0x8", stage, "invalid int value: '0x8'"),
      refused("EmptyNumber", "--tp ''", stage, "invalid int value: ''"),
      refused("NotAReal", "--mem-fraction-static much", stage, "invalid float value: 'much'"),
      refused("WordInAList", "--cuda-graph-bs 1 two 4", stage, "invalid int value: 'two'"),
      refused("JsonList", "--cuda-graph-bs '[1, 2]'", stage, "invalid int value: '[1, 2]'"),
      refused("UnknownChoice", "--moe-a2a-backend carrier-pigeon", stage,
              "invalid choice: 'carrier-pigeon'"),
      refused("MoreDigitsThanPythonTakes", "--tp " + std::string(4301, '9'), stage,
              "invalid int value: '999"),
      refused("Help", "-h", stage, ""),
      refused("ManyUnknownFlags", repeated("--nonsense ", 20000), stage,
              "unrecognized arguments: --nonsense"),
  };
  Malformed no_model =
      refused("NoModel", "", stage, "the following arguments are required: --model-path/--model");
  no_model.input = "python -m sglang.launch_server --tp 8";
  rows.push_back(std::move(no_model));
  return rows;
}

// Sizes with which the engine cannot come up: it divides by them, or lays out that many ranks. The
// way out names the option.
std::vector<Malformed> refused_sizes() {
  const auto row = [](std::string name, const std::string& options, std::string option) {
    Malformed out = refused(std::move(name), "--trust-remote-code " + options, "", "");
    out.hint = std::move(option);
    return out;
  };
  return {
      row("NoTensorParallel", "--tp 0", "--tp-size"),
      row("NegativeTensorParallel", "--tp -8", "--tp-size"),
      row("NoPipeline", "--pp-size 0", "--pp-size"),
      row("NegativePipeline", "--pp-size=-1", "--pp-size"),
      row("NoDataParallel", "--tp 8 --enable-dp-attention --dp-size 0", "--dp-size"),
      row("NegativeContextParallel", "--tp 8 --attn-cp-size -2", "--attn-cp-size"),
      row("NoExpertParallel", "--tp 8 --ep-size 0", "--ep-size"),
      row("NegativeExpertParallel", "--tp 8 --ep-size -1", "--ep-size"),
      row("NoExpertDataParallel", "--tp 8 --moe-dp-size 0", "--moe-dp-size"),
  };
}

INSTANTIATE_TEST_SUITE_P(UnreadableLine, MalformedInput, every_program_with(unreadable_lines()),
                         name_of_row);
INSTANTIATE_TEST_SUITE_P(NumberTooLarge, MalformedInput, every_program_with(numbers_too_large()),
                         name_of_row);
INSTANTIATE_TEST_SUITE_P(RefusedArguments, MalformedInput, every_program_with(refused_arguments()),
                         name_of_row);
INSTANTIATE_TEST_SUITE_P(RefusedSizes, MalformedInput, every_program_with(refused_sizes()),
                         name_of_row);

}  // namespace
}  // namespace capsize::test
