#include "scenarios/formats/batch.hpp"

#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/model_config.hpp"

namespace capsize {
namespace {

constexpr std::size_t kLineBytes = std::size_t{4} << 20;

Result<Gpu> read_gpu(const JsonField& field) {
  if (field.value().is_string()) {
    auto gpu = field.text().and_then([](const std::string& name) { return gpu_of(name); });
    if (!gpu) return tl::unexpected(std::move(gpu.error()).within(field.path()));
    return gpu;
  }
  if (auto known = field.reject_unknown_fields({"memory_mib", "sm"}); !known) {
    return tl::unexpected(std::move(known.error()));
  }
  const auto number = [&field](std::string_view name, std::int64_t highest) {
    return field.required(name).and_then(
        [highest](const JsonField& f) { return f.integer(1, highest); });
  };
  auto memory = number("memory_mib", std::int64_t{1} << 30);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  auto sm = number("sm", 999);
  if (!sm) return tl::unexpected(std::move(sm.error()));
  return Gpu{"", *memory, static_cast<int>(*sm)};
}

Result<LaunchCommand> read_words(const JsonField& field, const Engine& engine) {
  auto elements = field.elements();
  if (!elements) return tl::unexpected(std::move(elements.error()));
  std::vector<std::string> words;
  words.reserve(elements->size());
  for (const JsonField& element : *elements) {
    auto word = element.text();
    if (!word) return tl::unexpected(std::move(word.error()));
    words.push_back(*std::move(word));
  }
  auto command = read_launch_words(words, engine.entry_points);
  if (!command) return tl::unexpected(std::move(command.error()).within(field.path()));
  return command;
}

Result<LaunchCommand> read_launch_field(const JsonField& field, const Engine& engine) {
  if (!field.value().is_string()) return read_words(field, engine);
  auto command = read_launch(field.value().get_ref<const std::string&>(), engine.entry_points);
  if (!command) return tl::unexpected(std::move(command.error()).within(field.path()));
  return command;
}

// One optional string field with a default.
Result<std::string> text_or(const JsonField& root, std::string_view name, std::string fallback) {
  auto field = root.optional(name);
  if (!field) return tl::unexpected(std::move(field.error()));
  if (!*field) return fallback;
  return (*field)->text();
}

Result<void> read_machine(const JsonField& root, CheckRequest& request) {
  auto gpu = root.optional("gpu");
  if (!gpu) return tl::unexpected(std::move(gpu.error()));
  if (*gpu) {
    auto read = read_gpu(**gpu);
    if (!read) return tl::unexpected(std::move(read.error()));
    request.gpu = *std::move(read);
  }
  auto config = root.optional("model_config");
  if (!config) return tl::unexpected(std::move(config.error()));
  if (*config) {
    auto model = read_model_config(**config, "the model_config of the request");
    if (!model) return tl::unexpected(std::move(model.error()));
    request.model_config = *std::move(model);
    request.model_config_name = "config.json";
  }
  return {};
}

Result<CheckRequest> read_request(const JsonField& root, const BatchDefaults& defaults) {
  CheckRequest request;
  request.gpu = defaults.gpu;
  request.fail_on_waste = defaults.fail_on_waste;
  if (auto known = root.reject_unknown_fields(
          {"schema", "id", "engine", "rules", "launch", "gpu", "model_config"});
      !known) {
    return tl::unexpected(std::move(known.error()));
  }
  if (auto schema = root.optional("schema"); schema && *schema) {
    if (auto one = (*schema)->integer(1, 1); !one) return tl::unexpected(std::move(one.error()));
  }
  auto engine_name = text_or(root, "engine", "sglang");
  if (!engine_name) return tl::unexpected(std::move(engine_name.error()));
  const Engine* engine = find_engine(*engine_name);
  if (engine == nullptr) {
    return tl::unexpected(
        Error{"$.engine", "unknown engine \"" + *engine_name + "\"", "known: sglang"});
  }
  request.engine = *std::move(engine_name);
  auto rules = text_or(root, "rules", defaults.rules);
  if (!rules) return tl::unexpected(std::move(rules.error()));
  request.rules = *std::move(rules);
  auto launch = root.required("launch");
  if (!launch) return tl::unexpected(std::move(launch.error()));
  auto command = read_launch_field(*launch, *engine);
  if (!command) return tl::unexpected(std::move(command.error()));
  request.launch = *std::move(command);
  if (auto machine = read_machine(root, request); !machine) {
    return tl::unexpected(std::move(machine.error()));
  }
  return request;
}

}  // namespace

BatchAnswer answer_batch_line(std::string_view line, const BatchDefaults& defaults) {
  const auto answer = [](const CheckResult& result, std::string_view id) {
    return BatchAnswer{to_json(result, id), result.verdict};
  };
  const auto document = parse_json(line, {.max_bytes = kLineBytes});
  if (!document) return answer(bad_input("sglang", defaults.rules, document.error()), "null");
  const JsonField root(*document);
  if (auto object = root.object(); !object) {
    return answer(bad_input("sglang", defaults.rules, object.error()), "null");
  }
  const auto id = document->find("id");
  const std::string id_json = id == document->end() ? "null" : id->dump();
  auto request = read_request(root, defaults);
  if (!request) return answer(bad_input("sglang", defaults.rules, request.error()), id_json);
  return answer(check(*request), id_json);
}

}  // namespace capsize
