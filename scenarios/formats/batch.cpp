#include "scenarios/formats/batch.hpp"

#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/model_config.hpp"
#include "scenarios/formats/request_fields.hpp"

namespace capsize {
namespace {

constexpr std::size_t kLineBytes = std::size_t{4} << 20;

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
    auto read = read_gpu_field(**gpu);
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
  const auto source = read_launch_source(*launch);
  if (!source) return tl::unexpected(source.error());
  auto command = read_launch_source(*source, *engine);
  if (!command) return tl::unexpected(std::move(command.error()).within(launch->path()));
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
