// The launch-text reader (sim/launch/launch_text.hpp): real pasted lines, every wrapper and
// decoration that it claims to take off, every error, and random damage to all of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/launch/launch_text.hpp"

namespace capsize {
namespace launch_text_test {

constexpr EntryPoint kEntries[] = {
    {"sglang.launch_server", EntryKind::server, ""},
    {"sglang serve", EntryKind::serve, ""},
    {"sglang.benchmark.*", EntryKind::wrapper, "an offline benchmark"},
    {"sglang_router.launch_server", EntryKind::wrapper, "the router"},
    {"sgl_jax.launch_server", EntryKind::foreign, "another engine"},
    {"vllm serve", EntryKind::foreign, "another engine"},
};

const std::string kPython = "python -m sglang.launch_server";

// Words as one line, '?' behind those that are not known: short to write, easy to compare.
std::string joined(const std::vector<Word>& words) {
  std::string line;
  for (const Word& word : words) {
    if (!line.empty()) line += ' ';
    line += '[' + word.text + ']' + (word.known ? "" : "?");
  }
  return line;
}

std::string joined(const std::vector<EnvironmentVariable>& variables) {
  std::string line;
  for (const EnvironmentVariable& variable : variables) {
    if (!line.empty()) line += ' ';
    line += variable.name + '=' + variable.value + (variable.known ? "" : "?");
  }
  return line;
}

LaunchCommand read(const std::string& text) {
  auto command = read_launch(text, kEntries);
  EXPECT_TRUE(command.has_value())
      << text << "\n"
      << (command ? "" : command.error().where + ": " + command.error().text);
  return command ? std::move(*command) : LaunchCommand{};
}

std::string args(const std::string& text) { return joined(read(text).args); }

bool notes_mention(const LaunchCommand& command, std::string_view words) {
  return std::any_of(command.notes.begin(), command.notes.end(), [&](const std::string& note) {
    return note.find(words) != std::string::npos;
  });
}

std::string word_args(const std::vector<std::string>& words) {
  const auto command = read_launch_words(words, kEntries);
  return command ? joined(command->args) : "error: " + command.error().text;
}

struct Case {
  std::string text;
  std::string args;
};

void expect_args(const std::vector<Case>& cases) {
  for (const Case& item : cases) EXPECT_EQ(args(item.text), item.args) << item.text;
}

nlohmann::json real_lines() {
  std::ifstream file(std::string(CAPSIZE_TEST_DATA) + "/launch-lines.json");
  return nlohmann::json::parse(file);
}

struct RealLine {
  std::string_view id;
  std::string_view entry;
  std::size_t args;
  std::size_t unknown;
  std::size_t environment;
  std::size_t notes;
  std::string_view last;
};

// The counts were checked against a shell's own splitting of each text.
constexpr RealLine kRealLines[] = {
    {"L008cb34398", "sglang serve", 31, 0, 0, 0, "8081"},
    {"L00f2c7eec8", "sglang.launch_server", 6, 0, 0, 0, "--trust-remote-code"},
    {"L02dcca5d8f", "sglang.launch_server", 14, 0, 2, 1, "--disable-radix-cache"},
    {"L0574326922", "sglang.launch_server", 8, 0, 0, 0, "2"},
    {"L06eb38ce04", "sglang.launch_server", 17, 0, 0, 0, "0.5"},
    {"L070866eb02", "sglang.launch_server", 44, 16, 0, 1, "deepseek-r1"},
    {"L07a14e3624", "sglang.launch_server", 43, 1, 0, 0, "32"},
    {"L0c5aa1d764", "sglang.benchmark.*", 36, 4, 2, 0,
     "$SIMLLM_CORE66_RUN_ROOT/result-node-$NODE_RANK.jsonl"},
    {"L11d5c9daff", "sglang.launch_server", 9, 0, 0, 0, "--enable-dp-attention"},
    {"L12de4e210d", "sglang.launch_server", 8, 0, 1, 0, "8"},
    {"L13bfecc1eb", "sglang.launch_server", 12, 0, 0, 0, "--disable-radix-cache"},
    {"L13e6a0ada3", "sglang.launch_server", 29, 1, 0, 1, "--trust-remote-code"},
    {"L14444606f9", "sglang.launch_server", 19, 0, 0, 1, "--disable-custom-all-reduce"},
    {"L171c701e80", "sglang.launch_server", 18, 2, 0, 0, "--disable-radix-cache"},
    {"L18c737c796", "sglang.launch_server", 5, 0, 0, 0, "--mem-fraction-static=0.85"},
    {"L19015acaed", "sglang.launch_server", 39, 0, 0, 0, "info"},
    {"L1df07586c3", "sglang.launch_server", 12, 0, 0, 0, "disabled"},
    {"L1eb9e67cc8", "sglang.launch_server", 45, 9, 0, 1, "${location_file}"},
    {"L1f2ff3c833", "sglang.launch_server", 12, 0, 0, 0, "30000"},
    {"L2035601bb6", "sglang.launch_server", 8, 0, 0, 0, "8080"},
    {"L228804ccdb", "sglang.launch_server", 15, 0, 0, 1, "--trust-remote-code"},
    {"L27184a7ea0", "sglang.launch_server", 4, 0, 0, 0, "meta-llama/Llama-3.1-8B-Instruct"},
    {"L2863f2ba3c", "sglang_router.launch_server", 8, 0, 0, 0, "30000"},
    {"L2912d655e3", "sglang.launch_server", 11, 0, 0, 0, "debug"},
    {"L2ce520f4ce", "sglang.launch_server", 21, 3, 0, 0, "40000"},
    {"L2d0bc9b31a", "sgl_jax.launch_server", 22, 0, 1, 0, "512"},
    {"L2d862e2b4b", "sglang.launch_server", 14, 0, 1, 0, "8"},
    {"L2e39286beb", "sglang.launch_server", 10, 0, 0, 0, "1"},
    {"L320aa3ccd7", "sglang.launch_server", 9, 0, 1, 0, "--enable-dp-attention"},
    {"L347704fa17", "sglang.launch_server", 21, 0, 1, 0, "2"},
};

// Fails when a real pasted line loses, gains or breaks a word, or is taken for another program.
TEST(LaunchText, ReadsEveryRealLine) {
  const nlohmann::json lines = real_lines();
  ASSERT_EQ(lines.size(), std::size(kRealLines));
  for (std::size_t at = 0; at < lines.size(); ++at) {
    const RealLine& expected = kRealLines[at];
    ASSERT_EQ(lines[at]["id"].get<std::string>(), expected.id);
    const LaunchCommand command = read(lines[at]["text"].get<std::string>());
    SCOPED_TRACE(expected.id);
    ASSERT_NE(command.entry, nullptr);
    EXPECT_EQ(command.entry->words, expected.entry);
    ASSERT_EQ(command.args.size(), expected.args) << joined(command.args);
    const auto unknown = std::count_if(command.args.begin(), command.args.end(),
                                       [](const Word& word) { return !word.known; });
    EXPECT_EQ(static_cast<std::size_t>(unknown), expected.unknown);
    EXPECT_EQ(command.environment.size(), expected.environment);
    EXPECT_EQ(command.notes.size(), expected.notes);
    EXPECT_EQ(command.args.back().text, expected.last);
  }
}

// Fails when a wrapper in front of the command keeps it from being found, or leaks into its words.
TEST(LaunchText, TakesWrappersOff) {
  const std::string want = "[--tp] [8]";
  const std::string quoted = "'" + kPython + " --tp 8'";
  expect_args({
      {kPython + " --tp 8", want},
      {"python3 -u -m sglang.launch_server --tp 8", want},
      {"python3 -um sglang.launch_server --tp 8", want},
      {"exec \"$VENV/bin/python\" -m sglang.launch_server --tp 8", want},
      {"nohup " + kPython + " --tp 8 > log 2>&1 &", want},
      {"sglang serve --tp 8", want},
      {"uv run /usr/local/bin/sglang serve --tp 8", want},
      {"/usr/bin/python3 /opt/python/sglang/launch_server.py --tp 8; echo done", want},
      {"nsys profile -o x --trace=cuda,nvtx " + kPython + " --tp 8", want},
      {"ssh host 'cd /x && " + kPython + " --tp 8 > log 2>&1 &'", want},
      {"ssh h \"docker run --rm img:1 bash -lc " + quoted + "\"", want},
      {"kubectl exec -it pod-0 -c main -- " + kPython + " --tp 8", want},
      {"srun --nodes=2 --export=ALL,A=1 bash -c " + quoted, want},
      {"srun -N2 bash -c '\n" + kPython + " \\\n --tp 8\n'", want},
      {"mpirun -np 2 -x NCCL_DEBUG=INFO " + kPython + " --tp 8", want},
      {"torchrun --nproc_per_node 8 -m sglang.launch_server --tp 8", want},
      {"tmux new-session -d -s s \"" + kPython + " --tp 8\"", want},
      {"cd x && " + kPython + " --tp 8 | tee log", want},
      {"pip install sglang ; " + kPython + " --tp 8", want},
      {"conda activate x && " + kPython + " --tp 8 || exit 1", want},
      {"(" + kPython + " --tp 8)", want},
      {"for i in 0 1; do " + kPython + " --node-rank $i & done", "[--node-rank] [$i]?"},
      {"launch() {\n  " + kPython + " --tp 8 \"$@\"\n}", want + " [$@]?"},
      {"sbatch <<EOF\n#!/bin/bash\nsrun " + kPython + " --tp 8\nEOF", want},
      {"subprocess.run(\"" + kPython + " --tp 8\", shell=True)", want},
      {"sglang.launch_server --tp 8", want},
  });
}

// Fails when environment or image of a container or a prefix is lost or mixed up.
TEST(LaunchText, KeepsEnvironmentAndImage) {
  const LaunchCommand docker = read(
      "CUDA=9 docker run -it --gpus all --shm-size 32g -p 1:1 -v ~/.cache:/root/.cache "
      "--env \"HF_TOKEN=abc\" -e A=1 -e OUTER --ipc=host lmsysorg/sglang:v0.5.11 python3 -m "
      "sglang.launch_server --tp 8");
  EXPECT_EQ(docker.image, "lmsysorg/sglang:v0.5.11");
  EXPECT_EQ(joined(docker.environment), "HF_TOKEN=abc A=1 OUTER=?");
  EXPECT_EQ(joined(docker.args), "[--tp] [8]");
  EXPECT_EQ(read("docker run img:2 bash -c \"" + kPython + " --tp 8\"").image, "img:2");
  EXPECT_FALSE(read("docker exec -e B=2 box " + kPython + " --tp 8").image.has_value());
  EXPECT_FALSE(read("docker run $IMAGE " + kPython + " --tp 8").image.has_value());
  EXPECT_EQ(joined(read("sudo env A=B C='x y' " + kPython + " --tp 8").environment), "A=B C=x y");
  EXPECT_EQ(joined(read("A=1 \\\nB=\"x y\" \\\n" + kPython + " --tp 8").environment), "A=1 B=x y");
  EXPECT_EQ(joined(read("export A=1\nB=2\nexport C\nC=3\nA=0 " + kPython + " --tp 8").environment),
            "A=0 C=3");
}

// Fails when a variable is not filled in, is filled in wrongly, or an unknown one is invented.
TEST(LaunchText, FillsInVariables) {
  expect_args({
      {"TP=8 " + kPython + " --tp $TP", "[--tp] [8]"},
      {"export TP=8\n" + kPython + " --tp ${TP} --ep ${EP:-4}", "[--tp] [8] [--ep] [4]"},
      {"N=2\nG=8\n" + kPython + " --tp $((N * G)) --x $((N+$G*2-1)) --y $(( (G-N)/4 ))",
       "[--tp] [16] [--x] [17] [--y] [1]"},
      {"G=8\n" + kPython + " --tp $((G/(G-8))) --x $((G*U))",
       "[--tp] [$((G/(G-8)))]? [--x] [$((G*U))]?"},
      {"S=\"1 2 4\"\n" + kPython + " --bs $S --x \"$S\"", "[--bs] [1] [2] [4] [--x] [1 2 4]"},
      {"A=(--tp 8)\nA+=(--dp \"2\")\n" + kPython + " \"${A[@]}\" -x", "[--tp] [8] [--dp] [2] [-x]"},
      {"A=()\n" + kPython + " \"${A[@]}\" --tp 8", "[--tp] [8]"},
      {"E=\"\"\n" + kPython + " $E --tp 8 \"\"", "[--tp] [8] []"},
      {kPython + " --a $A --b ${B} --c $(nproc) --d `nproc` --e $1 --f ${1:-4}",
       "[--a] [$A]? [--b] [${B}]? [--c] [$(nproc)]? [--d] [`nproc`]? [--e] [$1]? [--f] [4]"},
      {"A=$(nproc)\n" + kPython + " --tp $A", "[--tp] [$A]?"},
      {"A=1\n" + kPython + " --x '$A' --y \\$A --z \"$A:$B\"",
       "[--x] [$A] [--y] [$A] [--z] [1:$B]?"},
      {kPython + " --m {model} --n <your path> --o {{ .Values.tp }} --p \"{m}\" %TP%",
       "[--m] [{model}]? [--n] [<your path>]? [--o] [{{ .Values.tp }}]? [--p] [{m}]? [%TP%]?"},
      {kPython + " ... --tp 8", "[...]? [--tp] [8]"},
      {"if [ -z \"$TP\" ]; then\n  TP=8\nfi\n" + kPython + " --tp $TP", "[--tp] [$TP]?"},
      {"TP=4\n[ -n \"$X\" ] && TP=8\n" + kPython + " --tp $TP", "[--tp] [$TP]?"},
      {"CMD=\"" + kPython + " --tp 8\"\n$CMD --dp 2", "[--tp] [8]"},
      {"A=1 true\n" + kPython + " --tp $A", "[--tp] [$A]?"},
  });
  EXPECT_TRUE(notes_mention(read(kPython + " \"${ARR[@]}\""), "may hide flags"));
  EXPECT_TRUE(notes_mention(read(kPython + " --ep ${EP:-4}"), "default"));
}

// Fails when JSON, quotes, escapes or `--flag=value` do not come through whole.
TEST(LaunchText, KeepsValuesWhole) {
  expect_args({
      {kPython + " --j '{\"a\": {\"b\": [1, 2]}}' --tp=8",
       "[--j] [{\"a\": {\"b\": [1, 2]}}] [--tp=8]"},
      {kPython + " --j \"{\\\"a\\\": 1}\" --p /a\\ b", "[--j] [{\"a\": 1}] [--p] [/a b]"},
      {kPython + " --model-path . --x a#b", "[--model-path] [.] [--x] [a#b]"},
      {kPython + " --lora a=b c=d --x ''", "[--lora] [a=b] [c=d] [--x] []"},
      {kPython + " \u2013tp 8", "[\u2013tp] [8]"},
      {kPython + " --tp 8 2>err >>out --port 3 < /dev/null", "[--tp] [8] [--port] [3]"},
  });
}

// Fails when line continuations or their damaged forms end the command early or without a note.
TEST(LaunchText, ReadsOnOverLines) {
  const std::string want = "[--tp] [8] [--dp] [2]";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {" \\\n --tp 8 \\\n --dp 2", ""},
      {" \\\r\n --tp 8 \\\r\n --dp 2\r\n", ""},
      {" --tp 8 --dp 2 \\\n", ""},
      {" \\  \n --tp 8 \\\n --dp 2", "blanks behind its backslash"},
      {" `\n --tp 8 `\n --dp 2", "ends in a backtick"},
      {" ^\n --tp 8 ^\n --dp 2", "ends in '^'"},
      {" --tp 8\n --dp 2", "line 1 does not end in a backslash"},
      {" --tp 8 \\\n # --ep 4 \\\n --dp 2", "line 2 does not end in a backslash"},
      {" --tp 8 # ranks \\\n --dp 2", "does not end in a backslash"},
      {" --tp 8 --\ndp 2", "joined"},
      {" --tp 8\n--\ndp 2", "joined"},
      {" --tp\n8 --dp 2", "value stands on the next line"},
  };
  for (const auto& [tail, note] : cases) {
    const LaunchCommand command = read(kPython + tail);
    EXPECT_EQ(joined(command.args), want) << tail;
    EXPECT_EQ(command.notes.empty(), note.empty()) << tail;
    if (!note.empty()) {
      EXPECT_TRUE(notes_mention(command, note)) << tail;
    }
  }
  EXPECT_EQ(args(kPython + " --tp 8\n\n--tp sets the ranks"), "[--tp] [8]");
}

// Fails when what chat, Markdown, terminals and diffs put around a command stays in its words.
TEST(LaunchText, TakesDecorationOff) {
  const std::string want = "[--tp] [8]";
  expect_args({
      {"* `" + kPython + " --tp 8`", want},
      {"- `" + kPython + " --tp 8`", want},
      {"1. Run:\n   * " + kPython + " --tp 8", want},
      {"I ran `foo`, then `" + kPython + " --tp 8` and it's dead.", want},
      {"Here's what I've run: " + kPython + " --tp 8", want},
      {"Don't do this:\n" + kPython + " --tp 8\nIt's bad", want},
      {"```bash\n" + kPython + " \\\n  --tp 8\n```\n--tp is great", want},
      {"```" + kPython + " --tp 8```", want},
      {"**" + kPython + " --tp 8**", want},
      {"$ " + kPython + " --tp 8", want},
      {"# " + kPython + " --tp 8", want},
      {"#   " + kPython + " \\\n#    --tp 8", want},
      {"root@a:/w# " + kPython + " --tp 8", want},
      {"(env) user@host:~$ " + kPython + " --tp 8", want},
      {"\u279c  dir git:(branch) " + kPython + " --tp 8", want},
      {"\u276f " + kPython + " --tp 8", want},
      {"PS C:\\x> " + kPython + " --tp 8", want},
      {"$ " + kPython + " \\\n>   --tp 8", want},
      {"> " + kPython + " \\\n>   --tp 8", want},
      {"+ " + kPython + " --tp 8\n++ date", want},
      {"+" + kPython + " \\\n+  --tp 8", want},
      {"@@ -1 +1 @@\n " + kPython + " \\\n-  --tp 4 \\\n+  --tp 8", want},
      {"\x1b[32m" + kPython + "\x1b[0m --tp 8", want},
      {"\ufeff" + kPython + "\u00a0--tp\u200b 8", want},
      {kPython + " --tp \u201c8\u201d", want},
      {kPython + " --tp 8,", want},
      {kPython + " --tp 8.", want},
      {kPython + " --tp 8)", want},
      {kPython + " --tp 8]", want},
      {kPython + " --tp 8`", want},
      {"(see " + kPython + " --tp 8).", want},
      {"$ export A=8\n$ " + kPython + " --tp $A", want},
  });
  EXPECT_TRUE(notes_mention(read(kPython + " --tp 8,"), "\",\" behind the last word"));
  EXPECT_TRUE(notes_mention(read(kPython + " --tp \u201c8\u201d"), "typographic"));
}

// Fails when a list of words in YAML, JSON, Python or a Dockerfile is misread.
TEST(LaunchText, ReadsListsOfWords) {
  const std::string want = "[--tp] [8]";
  expect_args({
      {"[\"python\", \"-m\", \"sglang.launch_server\", \"--tp\", \"8\"]", want},
      {"command: [python3, -m, sglang.launch_server, --tp, 8]", want},
      {"command: [\"python3\", \"-m\", \"sglang.launch_server\"]\nargs: [\"--tp\", \"8\"] # c",
       want},
      {"args:\n- --tp\n- \"8\"\ncommand:\n- python3\n- -m\n- sglang.launch_server", want},
      {"- python3\n- -m\n- sglang.launch_server\n- --tp # ranks\n-  \"8\"", want},
      {"command:\n  - sh\n  - -c\n  - |\n    set -e\n    " + kPython + " \\\n      --tp 8", want},
      {"command: [\"bash\",\"-c\"]\nargs: [\"" + kPython + " --tp 8\"]", want},
      {"command: >\n  " + kPython + "\n  --tp 8\nimage: a:b", want},
      {"command: |\n  " + kPython + " \\\n  --tp 8\nimage: a:b", want},
      {"entrypoint: " + kPython + "\ncommand: --tp\n  8\nports: x", want},
      {"ENTRYPOINT [\"python3\", \"-m\", \"sglang.launch_server\"]\nCMD [\"--tp\", \"8\"]", want},
      {"CMD " + kPython + " \\\n  --tp 8", want},
      {"{\"command\": [\"python3\",\"-m\",\"sglang.launch_server\"], \"args\": [\"--tp\",\"8\"]}",
       want},
      {"cmd = ['python', '-m', 'sglang.launch_server', '--tp', str(tp), f'--m={m}']",
       "[--tp] [str(tp)]? [--m={m}]?"},
      {"command:\n- python3\n- -m\n- sglang.launch_server\n- --nnodes\n- $(SIZE)",
       "[--nnodes] [$(SIZE)]?"},
      {"args:\n  - --tp\n  - \"8\"", want},
      {"- --tp\n- \"8\"", want},
  });
  const LaunchCommand pod = read(
      "containers:\n- name: a\n  image: i:1\n  env:\n  - name: TPS\n    value: \"8\"\n"
      "  livenessProbe:\n    exec:\n      command: [\"curl\", \"x\"]\n"
      "  command: [python3, -m, sglang.launch_server, --tp, $(TPS)]\n"
      "- name: b\n  image: i:2\n  command: [python3, -m, sglang.launch_server, --tp, 4]");
  EXPECT_EQ(joined(pod.args), want);
  EXPECT_EQ(joined(pod.environment), "TPS=8");
  EXPECT_EQ(pod.image, "i:1");
  EXPECT_TRUE(notes_mention(pod, "another launch command"));
}

// Fails when the wrong one of several commands is read, or a spoken one is taken for a run one.
TEST(LaunchText, ReadsTheFirstCommand) {
  const LaunchCommand two = read(kPython + " --tp 8 &\n" + kPython + " --tp 4");
  EXPECT_EQ(joined(two.args), "[--tp] [8]");
  EXPECT_TRUE(notes_mention(two, "stands on line 2"));
  const LaunchCommand foreign = read("vllm serve m --tp 8\n" + kPython + " --tp 4");
  EXPECT_EQ(foreign.entry, &kEntries[5]);
  EXPECT_EQ(read(kPython + " --tp 4 && vllm serve m").entry, &kEntries[0]);
  expect_args({
      {"echo \"" + kPython + " --tp 8\"\n" + kPython + " --tp 4", "[--tp] [4]"},
      {"# " + kPython + " --tp 8\n" + kPython + " --tp 4", "[--tp] [4]"},
      {"When I run " + kPython + " with tp 8:\n" + kPython + " --tp 4", "[--tp] [4]"},
      {"echo \"" + kPython + " --tp 8\"", "[--tp] [8]"},
      {"CMD=\"" + kPython + " --tp 8\"", "[--tp] [8]"},
      {"pkill -f sglang.launch_server\n" + kPython + " --tp 4", "[--tp] [4]"},
      {kPython, ""},
  });
}

// Fails when flags alone are refused or take their decoration along.
TEST(LaunchText, ReadsFlagsAlone) {
  for (const std::string text : {"--tp 8 --dp 2", "--tp 8 \\\n--dp 2", "```\n--tp 8 --dp 2\n```",
                                 "- --tp 8\n- --dp 2", "--tp 8\n--dp 2."}) {
    const LaunchCommand command = read(text);
    EXPECT_EQ(command.entry, nullptr);
    EXPECT_EQ(joined(command.args), "[--tp] [8] [--dp] [2]") << text;
  }
}

// Fails when a word is placed where a person would not find it.
TEST(LaunchText, PlacesWords) {
  const LaunchCommand command = read("# x\n+\u00e9=1 \\\n+  " + kPython + " \\\n+    --tp \"8\"");
  ASSERT_EQ(command.args.size(), 2U);
  EXPECT_EQ(command.args[0].line, 4);
  EXPECT_EQ(command.args[0].column, 6);
  EXPECT_EQ(command.args[1].column, 11);
  const LaunchCommand wide = read("A=\u00e9 " + kPython + " --tp 8");
  EXPECT_EQ(wide.args[0].column, 36);
  EXPECT_EQ(read("command:\n  - " + kPython + "\n").entry, &kEntries[0]);
}

struct BadText {
  std::string text;
  std::string where;
  std::string says;
};

// Fails when bad input is read, or its error names no place or no way out.
TEST(LaunchText, TellsWhatIsWrong) {
  const std::vector<BadText> cases = {
      {"", "line 1, column 1", "empty"},
      {" \n\t", "line 1, column 1", "empty"},
      {"hello\nworld", "line 1, column 1", "no launch command"},
      {"ls -l", "line 1, column 1", "no launch command"},
      {kPython + " --tp \"8", "line 1, column 37", "never closed"},
      {kPython + " \\\n --tp '8", "line 2, column 7", "never closed"},
      {"ssh host '" + kPython + " --tp 8", "line 1, column 10", "never closed"},
      {"A='x\n" + kPython + " --tp 8", "line 1, column 3", "never closed"},
      {std::string("ab\nc\0d", 6), "line 2, column 2", "NUL"},
      {"--tp 8 \xff", "line 1, column 8", "UTF-8"},
      {"x\n\xe2\x82", "line 2, column 1", "UTF-8"},
      {"\xed\xa0\x80", "line 1, column 1", "UTF-8"},
      {"\xc0\x80", "line 1, column 1", "UTF-8"},
      {std::string((1U << 20) + 1, '-'), "line 1, column 1", "1 MiB"},
  };
  for (const BadText& bad : cases) {
    const auto command = read_launch(bad.text, kEntries);
    ASSERT_FALSE(command.has_value()) << bad.text;
    EXPECT_EQ(command.error().where, bad.where) << bad.text.substr(0, 80);
    EXPECT_NE(command.error().text.find(bad.says), std::string::npos) << command.error().text;
    EXPECT_FALSE(command.error().hint.empty());
  }
}

// Fails when words that a shell already split are split, expanded or unquoted once more.
TEST(LaunchText, ReadsReadyMadeWords) {
  const std::vector<std::string> words = {"A=1",  "python", "-m",  "sglang.launch_server",
                                          "--tp", "$TP",    "--x", "a b;c#'"};
  const auto command = read_launch_words(words, kEntries);
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(joined(command->args), "[--tp] [$TP]? [--x] [a b;c#']");
  EXPECT_EQ(joined(command->environment), "A=1");
  EXPECT_EQ(command->args[0].line, 0);
  EXPECT_EQ(word_args({"bash", "-c", "A=2 " + kPython + " --tp $A"}), "[--tp] [2]");
  EXPECT_EQ(word_args({kPython + " --tp '8'"}), "[--tp] [8]");
  EXPECT_EQ(word_args({"--tp", "8", ""}), "[--tp] [8] []");
  EXPECT_FALSE(read_launch_words({}, kEntries).has_value());
  const std::vector<std::string> none = {"ls", "-l"};
  EXPECT_FALSE(read_launch_words(none, kEntries).has_value());
  const std::vector<std::string> bad = {"--tp", "\xff"};
  const auto damaged_word = read_launch_words(bad, kEntries);
  ASSERT_FALSE(damaged_word.has_value());
  EXPECT_EQ(damaged_word.error().where, "word 2: line 1, column 1");
}

// A counter-based generator: the same mutations on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t bound) {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return bound == 0 ? 0 : (z ^ (z >> 31U)) % bound;
  }

 private:
  std::uint64_t state_;
};

// One to six random edits: cuts, repeats, swaps of pieces, and characters that mean something.
std::string damaged(Dice& dice, const std::vector<std::string>& texts) {
  static const std::vector<std::string> kPieces = {"'",         "\"",
                                                   "\\",        "\\\n",
                                                   "`",         "```\n",
                                                   "$",         "${",
                                                   "$((",       "$(",
                                                   "}",         "))",
                                                   "(",         ")",
                                                   "{",         "[",
                                                   "]",         "\n",
                                                   "\r\n",      "#",
                                                   "# ",        ";",
                                                   "&&",        "|",
                                                   ">",         "<",
                                                   "- ",        "+",
                                                   "--",        "--\n",
                                                   "A=",        "A=(",
                                                   "^",         "\xff",
                                                   " ",         "\t",
                                                   "\u201c",    "\u200b",
                                                   "- |\n",     "command: ",
                                                   "args:\n",   "${A[@]}",
                                                   "\x1b[1m",   "<x>",
                                                   "{{ x }}",   "docker run -e ",
                                                   "bash -c '", "export ",
                                                   "if ",       "fi\n",
                                                   ",",         ".",
                                                   "@@\n",      std::string(1, '\0')};
  std::string text = texts[dice.below(texts.size())];
  for (std::size_t edits = 1 + dice.below(6); edits > 0; --edits) {
    const std::size_t at = dice.below(text.size() + 1);
    const std::size_t length = dice.below(40);
    switch (dice.below(5)) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, kPieces[dice.below(kPieces.size())]); break;
      case 2: text.insert(at, text.substr(dice.below(text.size() + 1), length)); break;
      case 3: text.insert(at, texts[dice.below(texts.size())]); break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(dice.below(256));
    }
  }
  return text;
}

// Fails (under the sanitizers above all) when damaged text crashes the reader, sends it round in
// circles, or gives a result that no reader of it could use.
TEST(LaunchText, SurvivesRandomDamage) {
  std::vector<std::string> texts;
  for (const auto& line : real_lines()) texts.push_back(line["text"].get<std::string>());
  Dice dice(20240611);
  std::size_t read_count = 0;
  constexpr std::size_t kMutations = 20000;
  for (std::size_t round = 0; round < kMutations; ++round) {
    const std::string text = damaged(dice, texts);
    const auto command = read_launch(text, kEntries);
    if (!command) {
      ASSERT_FALSE(command.error().where.empty()) << text;
      ASSERT_FALSE(command.error().text.empty()) << text;
      ASSERT_FALSE(command.error().hint.empty()) << text;
      continue;
    }
    ++read_count;
    const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
    for (const Word& word : command->args) {
      ASSERT_GE(word.line, 1) << text;
      ASSERT_LE(word.line, lines) << text;
      ASSERT_GE(word.column, 1) << text;
    }
    ASSERT_TRUE(command->entry != nullptr || command->args.front().text.starts_with("-")) << text;
  }
  // Most damage leaves a command that can still be read; if not, the loop tested nothing.
  EXPECT_GT(read_count, kMutations / 4);
  EXPECT_LT(read_count, kMutations);
}

// Fails when a text costs more than a fixed multiple of its length: each of these made a naive
// reader quadratic or worse.
TEST(LaunchText, HostileTextStaysCheap) {
  const std::vector<std::string> pieces = {"$(",
                                           "${",
                                           "\"${A[@]}\" ",
                                           "`",
                                           "'\n",
                                           "[\"",
                                           "[\"a\",",
                                           "{{",
                                           "A=(",
                                           "\\\n",
                                           "- x\n",
                                           "((",
                                           "A='\n",
                                           "a: [\n",
                                           "#\n",
                                           "sglang ",
                                           "<a",
                                           "$((1+",
                                           "A=1 ",
                                           "-e A=",
                                           "command: [a,\n",
                                           "sglang serve '\n",
                                           "command:\n- sglang\n",
                                           "args:\n  - a\ncommand:\n  - b\nx:\n",
                                           "bash -c '",
                                           "export A=$A$A\n",
                                           "--a\n\n",
                                           "\u201c",
                                           "if x; then\n",
                                           "python -m sglang.launch_server it's\n"};
  for (const std::string& piece : pieces) {
    std::string text;
    while (text.size() + piece.size() < (1U << 18)) text += piece;
    const auto start = std::chrono::steady_clock::now();
    const auto command = read_launch(text, kEntries);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    EXPECT_LT(spent.count(), 5.0) << piece;
    if (!command) {
      EXPECT_FALSE(command.error().text.empty()) << piece;
    }
  }
  std::string doubling = "A=xxxxxxxxxxxxxxxx\n";
  for (int round = 0; round < 64; ++round) doubling += "A=$A$A\n";
  const auto command = read_launch(doubling + kPython + " --x $A", kEntries);
  ASSERT_FALSE(command.has_value());
  EXPECT_NE(command.error().text.find("1 MiB"), std::string::npos);
}

}  // namespace launch_text_test
}  // namespace capsize
