#include "tests/property/sglang_paths.hpp"

#include <map>
#include <tuple>
#include <utility>

#include "sim/engines/sglang/dispatch.hpp"
#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "tests/property/row_simulation.hpp"

namespace capsize::property {
namespace {

auto key_of(const LayoutCase& in) {
  return std::tuple(in.attn_tp, in.attn_cp, in.attn_dp, in.dense_fully_dp, in.a2a,
                    in.two_batch_overlap, in.splits_context, in.prefill, in.width, in.model);
}
using LayoutKey = decltype(key_of(LayoutCase{}));

// All ranks of the layout; experts are split over all of them where tokens are exchanged.
std::shared_ptr<const DerivedStep> derived(const LayoutCase& in) {
  const std::int64_t tp = in.attn_tp * in.attn_cp * in.attn_dp;
  const sglang::Sizes sizes{
      .tp = tp, .attn_dp = in.attn_dp, .attn_cp = in.attn_cp, .ep = in.a2a ? tp : std::int64_t{1}};
  const ModelShape& model = sglang::engine().stand_ins()[in.model];
  sglang::StepInput step{.communicator = {.sizes = sizes,
                                          .dense_fully_dp = in.dense_fully_dp,
                                          .a2a = in.a2a,
                                          .two_batch_overlap = in.two_batch_overlap}};
  step.topology = std::make_shared<const Topology>(sglang::topology_of(sizes));
  step.model = &model;
  step.facts = sglang::facts_of(model);
  step.width = Width(in.width);
  step.splits_context = in.splits_context;
  step.splits_batch = in.two_batch_overlap;
  step.dp_padding =
      in.prefill && in.attn_dp > 1 ? sglang::DpPadding::sum_len : sglang::DpPadding::max_len;
  auto out = std::make_shared<DerivedStep>();
  out->plan = sglang::step_of(in.prefill ? "prefill" : "decode", step);
  out->requirement = derive(out->plan, sglang::kLargestSize);
  return out;
}

std::shared_ptr<const DerivedStep> step_that_asks_nothing() {
  static const auto step = std::make_shared<const DerivedStep>();
  return step;
}

void capture_in_reverse(PlantedPlan& plan) {
  const SizeList& kept = plan.captures.paths.front().kept;
  for (auto size = kept.rbegin(); size != kept.rend(); ++size) {
    plan.start_up.events.push_back({StartUpKind::capture, 0, true, *size});
  }
}

void filter_candidates(CapturePath& path) {
  SizeList list = path.candidates;
  FilterResult result = path.filter.apply(list);
  path.kept = std::move(result.kept);
  path.refused = std::move(result.refused);
}

}  // namespace

std::string LayoutCase::text() const {
  const auto number = [](std::string_view name, std::int64_t value) {
    return " " + std::string(name) + " " + std::to_string(value);
  };
  return std::string(prefill ? "prefill" : "decode") + number("attn_tp", attn_tp) +
         number("attn_cp", attn_cp) + number("attn_dp", attn_dp) + number("width", width) +
         number("model", static_cast<std::int64_t>(model)) +
         (dense_fully_dp ? " dense_fully_dp" : "") + (a2a ? " a2a" : "") +
         (two_batch_overlap ? " two_batch_overlap" : "") +
         (splits_context ? " splits_context" : "");
}

std::shared_ptr<const DerivedStep> step_of_layout(const LayoutCase& layout) {
  static std::map<LayoutKey, std::shared_ptr<const DerivedStep>> known;
  auto& step = known[key_of(layout)];
  if (!step) step = derived(layout);
  return step;
}

bool runs_by_simulation(const LayoutCase& layout, std::int64_t n) {
  static std::map<std::pair<LayoutKey, std::int64_t>, bool> known;
  const auto [at, is_new] = known.try_emplace({key_of(layout), n}, false);
  if (is_new) at->second = n >= 1 && stops_at(step_of_layout(layout)->plan, n).empty();
  return at->second;
}

PlantedPlan plan_of(const PrefillCase& in, std::shared_ptr<const DerivedStep> step) {
  const sglang::PrefillFilterRule& rule = sglang::prefill_filter_at(in.version);
  PlantedPlan plan;
  CapturePath path{.name = "prefill", .unit = Unit::tokens, .enabled = true};
  path.candidates = in.candidates;
  path.filter = {
      .apply = [filter = in.filter, &rule](SizeList& sizes) { return rule.apply(filter, sizes); },
      .rule = rule.function,
      .modulus = rule.modulus(in.filter),
      .contract_tokens = rule.contract(in.filter),
      .contract_text = rule.contract_text,
      .rounds = rule.rounds,
      .clamp_order_declared = rule.rounds};
  filter_candidates(path);
  if (in.maximum) {
    path.named.push_back({*in.maximum, "--piecewise-cuda-graph-max-tokens"});
    path.bounds.push_back({.tokens = *in.maximum,
                           .what = "the list's maximum",
                           .symptom = "none",
                           .cuts_list = true});
  }
  path.lookup = sglang::bisect_lookup;
  path.lookup_rule = sglang::kPrefillLookupRule;
  path.largest_presented = in.largest_presented;
  path.step = step ? std::move(step) : step_that_asks_nothing();
  plan.captures.paths.push_back(std::move(path));
  capture_in_reverse(plan);
  return plan;
}

PlantedPlan plan_of(const DecodeCase& in, std::shared_ptr<const DerivedStep> step) {
  PlantedPlan plan;
  CapturePath path{.name = "decode", .unit = Unit::requests, .enabled = true};
  path.width = Width(in.filter.tokens_per_request);
  path.candidates = in.candidates;
  path.filter = {.apply = [filter = in.filter](
                              SizeList& sizes) { return sglang::decode_filter(filter, sizes); },
                 .rule = sglang::kDecodeFilterRule,
                 .modulus = sglang::decode_modulus(in.filter),
                 .read_again = in.draft_runner};
  if (in.filter.gathered && !in.filter.two_batch_overlap) {
    path.filter.contract_tokens = in.filter.attn_tp;
    path.filter.contract_text = "a multiple of attn_tp_size";
  }
  filter_candidates(path);
  for (const std::int64_t size : in.candidates) {
    if (in.named) path.named.push_back({size, "--cuda-graph-bs"});
  }
  path.lookup = in.exact_match ? sglang::exact_lookup : sglang::bisect_lookup;
  path.lookup_rule = sglang::kDecodeLookupRule;
  path.exact_match = in.exact_match;
  path.largest_presented = in.filter.pool;
  path.step = step ? std::move(step) : step_that_asks_nothing();
  plan.captures.paths.push_back(std::move(path));
  capture_in_reverse(plan);
  return plan;
}

Finding finding_of(std::string_view law, const PlantedPlan& plan, bool eager) {
  const std::vector<Finding> findings = judge(*find_law(law), plan.subject());
  return findings.at(eager ? plan.captures.paths.size() : 0);
}

std::string label_of(sglang::Version version) { return std::string(sglang::name_of(version)); }

}  // namespace capsize::property
