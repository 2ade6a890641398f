// capsize model: answers the model protocol, one JSON object a line in and out.
#include <sys/stat.h>

#include <cstdio>
#include <memory>

#include "cli/command.hpp"
#include "scenarios/formats/model_protocol.hpp"

namespace capsize::cli {
namespace {

struct ModelOptions {
  std::string engine = "sglang";
  std::string rules;
  std::string file = "-";
};

// Reads one line; false at the end of the input. A line that is too long to be answered is read to
// its end but not kept whole.
bool read_request(std::FILE* file, std::string& line) {
  line.clear();
  int c = 0;
  while ((c = std::getc(file)) != EOF && c != '\n') {
    if (line.size() <= kModelLineBytes) line += static_cast<char>(c);
  }
  return c != EOF || !line.empty();
}

// A peer may wait for each answer before it asks again; a file waits for nothing.
bool may_be_a_peer(std::FILE* file) {
  struct stat status {};
  return fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode);
}

int answer_lines(const ModelOptions& options) {
  const auto protocol = ModelProtocol::of(options.engine, options.rules);
  if (!protocol) return fail(protocol.error());
  const auto close = [](std::FILE* f) { return f == stdin ? 0 : std::fclose(f); };
  const std::unique_ptr<std::FILE, decltype(close)> file(
      options.file == "-" ? stdin : std::fopen(options.file.c_str(), "rb"), close);
  if (file == nullptr) return fail({options.file, "cannot be opened", "name a file, or - "});
  const bool flush = may_be_a_peer(file.get());
  bool all_read = true;
  std::string line;
  while (read_request(file.get(), line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ModelAnswer answer = protocol->answer(line);
    all_read = all_read && !answer.bad_request;
    answer.json += '\n';
    if (!print(answer.json, flush)) return kBadInput;
  }
  if (std::ferror(file.get()) != 0) {
    return fail({options.file, "cannot be read", "name a file, not a folder"});
  }
  return print("") && all_read ? 0 : kBadInput;
}

}  // namespace

Run add_model(CLI::App& app) {
  auto options = std::make_shared<ModelOptions>();
  app.add_option("FILE", options->file, "requests as JSON lines (default -, standard input)");
  app.add_option("--rules", options->rules, "the engine's rules: pre-23972, 23972, 23906, 33200");
  app.add_option("--engine", options->engine, "the engine (sglang)");
  app.footer(
      "functions: groups, default_sizes, prefill_filter, decode_filter, predicates, communicator\n"
      "example: echo '{\"id\": 1, \"fn\": \"prefill_filter\", \"sizes\": [4, 8], \"attn_tp\": 8, "
      "\"attn_cp\": 1, \"gathered\": true}' | capsize model --rules 23972\n"
      "exit status: 0 every line was answered, 2 some line could not be read");
  return [options] { return answer_lines(*options); };
}

}  // namespace capsize::cli
