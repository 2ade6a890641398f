// Puts the rules together: a launch in, an EnginePlan out.
#include <algorithm>
#include <array>

#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/layout.hpp"
#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

constexpr std::array kEntryPoints = {
    EntryPoint{"sglang.launch_server", EntryKind::server, {}},
    EntryPoint{"sglang serve", EntryKind::serve, {}},
    EntryPoint{"sglang_router.launch_server", EntryKind::wrapper,
               "the router's own launcher: --dp-size starts whole replicas"},
    EntryPoint{"sglang.bench*", EntryKind::wrapper, "a benchmark with flags of its own"},
    EntryPoint{"dynamo.sglang", EntryKind::wrapper, "Dynamo's worker with flags of its own"},
    EntryPoint{"sglang_router.launch_router", EntryKind::foreign,
               "the router alone starts no engine"},
    EntryPoint{"sgl_jax.launch_server", EntryKind::foreign, "SGLang-JAX is another engine"},
    EntryPoint{"minisgl", EntryKind::foreign, "mini-sglang is another engine"},
    EntryPoint{"vllm serve", EntryKind::foreign, "vLLM is another engine"},
    EntryPoint{"vllm.entrypoints*", EntryKind::foreign, "vLLM is another engine"},
    EntryPoint{"trtllm-serve", EntryKind::foreign, "TensorRT-LLM is another engine"},
    EntryPoint{"lmdeploy serve", EntryKind::foreign, "LMDeploy is another engine"},
};

// Builds the plan of one launch from its layout.
class Planner {
 public:
  Planner(Version version, const LaunchLayout& layout)
      : layout_(layout),
        r_(layout.resolved),
        args_(layout.resolved.args),
        prefill_lists_(prefill_lists(args_)),
        decode_lists_(decode_lists(args_)) {
    plan_.deployment.engine = "sglang";
    plan_.deployment.rules = name_of(version);
    plan_.ignored_flags = args_.ignored_flags;
    plan_.refusal = layout.refusal;
  }

  EnginePlan run() {
    note_assumptions();
    if (r_.refusal) return std::move(plan_);
    if (layout_.undecided) {
      plan_.undecided = args_.unknowns.reasons;
      return std::move(plan_);
    }
    set_sizes();
    plan_.deployment.topology = layout_.topology;
    if (plan_.refusal) return std::move(plan_);
    plan_.captures.paths.push_back(prefill_path(layout_.prefill, prefill_lists_));
    plan_.captures.paths.push_back(decode_path(layout_.decode, decode_lists_));
    // Decode graphs are captured first, so their assertion is the one that is met.
    for (const std::size_t path : kCaptureOrder) {
      if (!plan_.refusal) plan_.refusal = empty_list_refusal(plan_.captures.paths[path]);
    }
    if (plan_.refusal) return std::move(plan_);
    plan_.captures.eager.push_back(eager_prefill(layout_.prefill));
    if (auto eager = eager_decode(layout_.decode, decode_lists_)) {
      plan_.captures.eager.push_back(*std::move(eager));
    }
    make_start_up();
    return std::move(plan_);
  }

 private:
  // A launch that ends before its paths are made is told as its flags have it.
  [[nodiscard]] bool prefill_is_on() const {
    if (!r_.prefill_off.empty()) return false;
    return layout_.prefill.step == nullptr || has_prefill_sizes(layout_.prefill, prefill_lists_);
  }

  void note_assumptions() {
    auto& assumed = plan_.assumed;
    const bool pool_by_speculation = !args_.speculative_algorithm.empty() && !args_.unknowns.decode;
    if (!args_.max_running_requests && !pool_by_speculation && !args_.disable_cuda_graph) {
      assumed.push_back(
          "request slots: 2048 (the engine sizes its pool after loading; it takes "
          "2048 to 4096 unless memory is short)");
    }
    if (args_.model_override_args) assumed.push_back("--json-model-override-args is not applied");
    if (!args_.unread_flags.empty()) {
      std::string text = "no rule here reads";
      for (const std::string& flag : args_.unread_flags) text.append(" ").append(flag);
      assumed.push_back(std::move(text));
    }
    if (!args_.unknowns.topology) {
      for (const std::string& reason : args_.unknowns.reasons) assumed.push_back(reason);
    }
    if (prefill_is_on() && r_.predicates.gathered_buffer) {
      assumed.push_back(
          "inside a captured prefill rows and buffers are those of the capture (the "
          "engine publishes the unpadded count there)");
    }
    if (r_.sizes.pp > 1) {
      assumed.push_back("what passes between pipeline stages is not judged");
    }
    if (r_.decode_width.value != 1) {
      assumed.push_back("draft runners and eager speculative batches are not judged");
    }
    if (args_.dp_size > 1 && !args_.enable_dp_attention) {
      assumed.push_back("each of " + std::to_string(args_.dp_size) +
                        " data-parallel replicas is judged alone");
    }
    if (r_.sizes.attn_dp > 1) {
      assumed.push_back("all data-parallel replicas present equally many tokens (in step)");
    }
  }

  void set_sizes() {
    const Sizes& s = r_.sizes;
    plan_.deployment.sizes = {{"tp", s.tp},
                              {"pp", s.pp},
                              {"attn_dp", s.attn_dp},
                              {"attn_cp", s.attn_cp},
                              {"attn_tp", s.attn_tp()},
                              {"ep", s.ep},
                              {"moe_dp", s.moe_dp},
                              {"moe_tp", s.moe_tp()}};
  }

  // Decode graphs first, largest first; then the prefill runner: an eager forward at the first
  // element of its list, a compile pass and the captures over the reversed list.
  void make_start_up() {
    auto& events = plan_.start_up.events;
    const CapturePath& prefill = plan_.captures.paths[0];
    const CapturePath& decode = plan_.captures.paths[1];
    events.reserve(decode.kept.size() + 2 * prefill.kept.size() + 1);
    if (decode.enabled) add_reversed(StartUpKind::capture, 1, true, decode.kept);
    if (!prefill.enabled || prefill.kept.empty()) return;
    events.push_back({StartUpKind::warm_up, 0, false, prefill.kept.front()});
    if (!r_.breakable) add_reversed(StartUpKind::compile, 0, false, prefill.kept);
    add_reversed(StartUpKind::capture, 0, true, prefill.kept);
  }

  void add_reversed(StartUpKind kind, std::uint8_t path, bool group_capture,
                    const SizeList& sizes) {
    for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
      plan_.start_up.events.push_back({kind, path, group_capture, *size});
    }
  }

  const LaunchLayout& layout_;
  const Resolved& r_;
  const ServerArgs& args_;
  PrefillLists prefill_lists_;
  DecodeLists decode_lists_;
  EnginePlan plan_;
};

EnginePlan refused_plan(const LaunchRequest& request, Refusal refusal) {
  EnginePlan plan;
  plan.deployment.engine = "sglang";
  plan.deployment.rules = request.rules;
  plan.refusal = std::move(refusal);
  return plan;
}

Result<EnginePlan> plan_launch(const LaunchRequest& request) {
  auto launch = read_launch(request);
  if (!launch) return tl::unexpected(std::move(launch.error()));
  if (launch->refusal) return refused_plan(request, *std::move(launch->refusal));
  FreshSteps steps;
  EnginePlan plan = Planner(launch->input.version, layout_of(launch->input, steps)).run();
  for (std::string& option : launch->left_over) {
    plan.assumed.push_back(std::move(option) + ": left to the wrapper");
  }
  return plan;
}

}  // namespace

Engine engine() {
  return {.name = "sglang",
          .entry_points = kEntryPoints,
          .labels = labels(),
          .newest = "23906",
          .label_of_image = label_of_image,
          .plan = plan_launch,
          .member_planner = member_planner,
          .stand_ins = stand_ins,
          .repairs = repairs,
          .without = without};
}

}  // namespace capsize::sglang
