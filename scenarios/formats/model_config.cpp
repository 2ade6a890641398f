// config.json -> ModelShape. The names of fields were read in published files and in the
// configuration classes that read them; what is null counts as absent, as it does there.
#include "scenarios/formats/model_config.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace capsize {
namespace {

using std::int64_t;

// Beyond every published model by orders of magnitude; products of three such numbers with small
// factors still fit 64 bits where a check multiplies two of them.
constexpr int64_t largest = int64_t{1} << 30;
constexpr int64_t most_layers = 100000;

using Aliases = std::initializer_list<std::string_view>;

// Reads fields one after the other and keeps the first error: the caller asks once, at the end.
class Reader {
 public:
  // The first of the names that the object states.
  std::optional<JsonField> find(const JsonField& object, Aliases names) {
    for (const std::string_view name : names) {
      if (error_) return std::nullopt;
      Result<std::optional<JsonField>> field = object.optional(name);
      if (!field) {
        note(std::move(field).error());
      } else if (field->has_value()) {
        return **std::move(field);
      }
    }
    return std::nullopt;
  }

  int64_t number(const JsonField& object, Aliases names, int64_t lowest, int64_t highest) {
    const std::optional<JsonField> field = find(object, names);
    return field ? take(field->integer(lowest, highest), int64_t{0}) : 0;
  }
  int64_t number(const JsonField& object, Aliases names) {
    return number(object, names, 0, largest);
  }

  // A number without which no layout can be checked; zero is no size.
  int64_t needed(const JsonField& object, Aliases names, int64_t highest = largest) {
    const int64_t value = number(object, names, 1, highest);
    if (value == 0) missing(object, *names.begin());
    return value;
  }

  std::string text(const JsonField& object, std::string_view name) {
    const std::optional<JsonField> field = find(object, {name});
    return field ? take(field->text(), std::string()) : std::string();
  }
  bool flag(const JsonField& object, std::string_view name) {
    const std::optional<JsonField> field = find(object, {name});
    return field && take(field->boolean(), false);
  }

  void missing(const JsonField& object, std::string_view name) {
    note(Error{json_path(object.path(), name), "is missing",
               "give the complete config.json of the model (it states this field)"});
  }
  void note(Error error) {
    if (!error_) error_ = std::move(error);
  }
  template <class T>
  T take(Result<T> result, T otherwise) {
    if (result) return *std::move(result);
    note(std::move(result).error());
    return otherwise;
  }

  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] Error take_error() { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

// architectures[0]: the class decides nearly everything, so that it is not guessed.
std::string read_architecture(Reader& reader, const JsonField& config) {
  const std::optional<JsonField> field = reader.find(config, {"architectures"});
  if (reader.failed()) return {};
  if (!field) {
    reader.note(Error{json_path(config.path(), "architectures"), "is missing",
                      "name the model's class, \"architectures\": [\"LlamaForCausalLM\"]"});
    return {};
  }
  const auto classes = reader.take(field->elements(), std::vector<JsonField>());
  if (reader.failed()) return {};
  if (classes.empty()) {
    reader.note(field->error("is empty", "name the model's class, [\"LlamaForCausalLM\"]"));
    return {};
  }
  std::string name = reader.take(classes.front().text(), std::string());
  if (!reader.failed() && name.empty()) {
    reader.note(classes.front().error("is empty", "name the model's class"));
  }
  return name;
}

// Where a multimodal wrapper keeps its language model; the wrapper itself where it is none. The
// order is that in which SGLang looks (utils/hf_transformers/common.py::get_hf_text_config).
JsonField text_config_of(Reader& reader, const JsonField& config, std::string_view architecture) {
  // Llava's own format keeps the numbers outside and an unused default inside.
  const bool llava = architecture.starts_with("Llava") && architecture.ends_with("ForCausalLM");
  if (llava) return config;
  if (const auto thinker = reader.find(config, {"thinker_config"})) {
    return reader.find(*thinker, {"text_config"}).value_or(*thinker);
  }
  return reader.find(config, {"llm_config", "language_config", "text_config"}).value_or(config);
}

// moe_layer_freq is a number, or (MiMo-V2) one flag a layer: dense ones, then sparse ones.
void read_layer_kinds(Reader& reader, const JsonField& config, ModelShape& model) {
  model.first_k_dense_replace = reader.number(config, {"first_k_dense_replace"});
  const std::optional<JsonField> field = reader.find(config, {"moe_layer_freq"});
  if (!field) return;
  if (!field->value().is_array()) {
    model.moe_layer_freq = reader.take(field->integer(1, most_layers), int64_t{1});
    return;
  }
  const auto flags = reader.take(field->integers(0, 1), std::vector<int64_t>());
  if (reader.failed()) return;
  if (static_cast<int64_t>(flags.size()) != model.num_hidden_layers) {
    reader.note(field->error("has " + std::to_string(flags.size()) + " flags for " +
                                 std::to_string(model.num_hidden_layers) + " layers",
                             "give one flag a layer, or a number"));
    return;
  }
  if (!std::is_sorted(flags.begin(), flags.end())) {
    reader.note(field->error("mixes dense and sparse layers in a pattern that is not known here",
                             "only dense layers followed by sparse ones can be read"));
    return;
  }
  model.first_k_dense_replace = std::count(flags.begin(), flags.end(), 0);
}

void read_experts(Reader& reader, const JsonField& config, ModelShape& model) {
  model.n_routed_experts =
      reader.number(config, {"n_routed_experts", "num_experts", "moe_num_experts"});
  // Files that say num_local_experts (gpt-oss, Mixtral) state the experts' FFN as
  // intermediate_size and have no dense one.
  const bool local = model.n_routed_experts == 0;
  if (local) model.n_routed_experts = reader.number(config, {"num_local_experts"});
  if (model.n_routed_experts == 0) {
    model.intermediate_size = reader.needed(config, {"intermediate_size"});
    return;
  }
  model.moe_intermediate_size = reader.number(config, {"moe_intermediate_size"});
  if (local && model.moe_intermediate_size == 0) {
    model.moe_intermediate_size = reader.needed(config, {"intermediate_size"});
  } else {
    if (model.moe_intermediate_size == 0) reader.missing(config, "moe_intermediate_size");
    model.intermediate_size = reader.number(config, {"intermediate_size"});
  }
  model.num_experts_per_tok = reader.number(
      config, {"num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_k"});
  model.n_shared_experts =
      reader.number(config, {"n_shared_experts", "num_shared_experts", "moe_num_shared_experts"});
  model.shared_expert_intermediate_size =
      reader.number(config, {"shared_expert_intermediate_size"});
  read_layer_kinds(reader, config, model);
}

void read_attention(Reader& reader, const JsonField& config, ModelShape& model) {
  model.num_attention_heads = reader.needed(config, {"num_attention_heads", "n_head"});
  model.num_key_value_heads =
      reader.number(config, {"num_key_value_heads", "num_kv_heads"}, 1, largest);
  if (model.num_key_value_heads == 0) model.num_key_value_heads = model.num_attention_heads;
  model.head_dim = reader.number(config, {"head_dim"});
  model.kv_lora_rank = reader.number(config, {"kv_lora_rank"});
  model.q_lora_rank = reader.number(config, {"q_lora_rank"});
  model.qk_nope_head_dim = reader.number(config, {"qk_nope_head_dim"});
  model.qk_rope_head_dim = reader.number(config, {"qk_rope_head_dim"});
  model.v_head_dim = reader.number(config, {"v_head_dim"});
  model.index_topk = reader.number(config, {"index_topk"});
}

// A file without quant_method but with quant_algo is one of ModelOpt's.
Quantisation read_quantisation(Reader& reader, const JsonField& config) {
  Quantisation quantisation;
  const std::optional<JsonField> field =
      reader.find(config, {"quantization_config", "compression_config"});
  if (!field) return quantisation;
  quantisation.method = reader.text(*field, "quant_method");
  if (quantisation.method.empty() && reader.find(*field, {"quant_algo"})) {
    quantisation.method = "modelopt";
  }
  const std::optional<JsonField> block = reader.find(*field, {"weight_block_size"});
  if (!block) return quantisation;
  const auto sizes = reader.take(block->integers(1, largest), std::vector<int64_t>());
  if (reader.failed()) return quantisation;
  if (sizes.size() != 2) {
    reader.note(block->error("has " + std::to_string(sizes.size()) + " numbers",
                             "give rows and columns of a weight block, [128, 128]"));
    return quantisation;
  }
  quantisation.block_n = sizes[0];
  quantisation.block_k = sizes[1];
  return quantisation;
}

}  // namespace

Result<ModelShape> read_model_config(const JsonField& config, std::string_view name) {
  if (auto object = config.object(); !object) {
    Error error = std::move(object).error();
    error.hint = "give the config.json of a model";
    return tl::unexpected(std::move(error));
  }
  Reader reader;
  ModelShape model;
  model.name = name;
  model.architecture = read_architecture(reader, config);
  if (reader.failed()) return tl::unexpected(reader.take_error());

  const JsonField text = text_config_of(reader, config, model.architecture);
  model.nested_text_config = &text.value() != &config.value();
  model.model_type = reader.text(config, "model_type");
  model.num_hidden_layers =
      reader.needed(text, {"num_hidden_layers", "n_layer", "num_layers"}, most_layers);
  model.hidden_size = reader.needed(text, {"hidden_size", "n_embd"});
  read_attention(reader, text, model);
  read_experts(reader, text, model);
  model.vocab_size = reader.needed(text, {"vocab_size"});
  model.max_position_embeddings = reader.number(text, {"max_position_embeddings", "n_positions"});
  model.num_nextn_predict_layers = reader.number(text, {"num_nextn_predict_layers"});
  model.tie_word_embeddings = reader.flag(text, "tie_word_embeddings");
  model.quantisation = read_quantisation(reader, config);
  if (model.nested_text_config && model.quantisation.method.empty()) {
    model.quantisation = read_quantisation(reader, text);
  }
  if (reader.failed()) return tl::unexpected(reader.take_error());
  return model;
}

Result<ModelShape> read_model_config(std::string_view json_text, std::string_view name) {
  Result<nlohmann::json> document = parse_json(json_text);
  if (!document) return tl::unexpected(std::move(document).error());
  return read_model_config(JsonField(*document), name);
}

}  // namespace capsize
