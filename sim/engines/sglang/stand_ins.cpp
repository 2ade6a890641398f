// Shapes that stand for a model that capsize does not know. Between them they take every branch
// that the rules of this folder make by model class: latent attention or not, dense and sparse
// layers, only sparse ones, no layer communicator, a class that gets no prefill graph. A verdict
// that is the same for all of them does not hang on the model.
#include <vector>

#include "sim/engines/sglang/engine.hpp"

namespace capsize::sglang {
namespace {

ModelShape stand_in(std::string_view architecture, std::int64_t dense_layers, bool experts) {
  ModelShape shape;
  shape.name = std::string("a model of class ").append(architecture);
  shape.architecture = architecture;
  shape.num_hidden_layers = 8;
  shape.first_k_dense_replace = dense_layers;
  shape.n_routed_experts = experts ? 8 : 0;
  return shape;
}

}  // namespace

std::span<const ModelShape> stand_ins() {
  static const std::vector<ModelShape> all = {
      stand_in("LlamaForCausalLM", 0, false), stand_in("Glm4MoeForCausalLM", 3, true),
      stand_in("DeepseekV3ForCausalLM", 3, true), stand_in("Qwen3MoeForCausalLM", 0, true),
      stand_in("DeepseekV32ForCausalLM", 3, true)};
  return all;
}

}  // namespace capsize::sglang
