#include "scenarios/mutants/sglang_rules.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/engines/sglang/paths.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

using sglang::Version;

// Where no pool is given the engine has at least this many request slots.
constexpr std::int64_t kMostSlots = 2048;

// ---- the grid -------------------------------------------------------------------------------

SizeList every_size_to(std::int64_t last) {
  SizeList out;
  for (std::int64_t size = 1; size <= last; ++size) out.push_back(size);
  return out;
}

RuleSizes tokens(SizeList sizes) {
  RuleSizes out;
  out.lists.piecewise_tokens = std::move(sizes);
  return out;
}

RuleSizes most_tokens(std::int64_t maximum) {
  RuleSizes out;
  out.lists.piecewise_max_tokens = maximum;
  return out;
}

RuleSizes chunked(std::int64_t chunk) {
  RuleSizes out;
  out.lists.chunked_prefill_size = chunk;
  return out;
}

template <class Change>
RuleSizes with(RuleSizes sizes, const Change& change) {
  change(sizes);
  return sizes;
}

std::vector<RuleSizes> prefill_sizes() {
  std::vector<RuleSizes> out = {tokens({1}),
                                tokens({1, 2}),
                                tokens({2, 4}),
                                tokens({4, 2}),
                                tokens({4, 4, 8}),
                                tokens({8, 2, 4, 12}),
                                tokens(every_size_to(16)),
                                tokens(every_size_to(48))};
  for (const std::int64_t maximum : {6, 30, 32, 64, 256, 512, 1024, 4096, 8192}) {
    out.push_back(most_tokens(maximum));
  }
  out.push_back(chunked(64));
  out.push_back(with(chunked(4096), [](RuleSizes& s) { s.lists.mla = true; }));
  out.push_back(with(chunked(512), [](RuleSizes& s) { s.lists.max_total_tokens = 256; }));
  out.push_back(with(chunked(8192), [](RuleSizes& s) { s.lists.llama_2_path = true; }));
  // What the caller names is not cut to the pool or to a model's default.
  out.push_back(with(most_tokens(512), [](RuleSizes& s) { s.lists.max_total_tokens = 256; }));
  out.push_back(with(tokens({4096}), [](RuleSizes& s) { s.lists.mla = true; }));
  return out;
}

RuleSizes requests(SizeList sizes, std::int64_t max_running = kMostSlots, std::int64_t width = 1) {
  RuleSizes out{.prefill = false, .width = width, .max_running = max_running};
  out.lists.speculative = width > 1;
  out.lists.cuda_graph_bs = std::move(sizes);
  return out;
}

RuleSizes most_requests(std::int64_t maximum, std::int64_t max_running = kMostSlots) {
  RuleSizes out{.prefill = false, .max_running = max_running};
  out.lists.cuda_graph_max_bs = maximum;
  return out;
}

std::vector<RuleSizes> decode_sizes() {
  std::vector<RuleSizes> out = {
      requests({1}),
      requests({1, 2}),
      requests({0, 1, 2}),
      requests({4, 1, 2}),
      requests({2, 2, 4}),
      requests({1, 2, 3, 4}, 3),
      requests({1, 2, 3, 4, 5, 6}, 5),
      requests({1, 8}, 4),
      requests({8, 1}, 4),
      requests({1, 8, 64}, 24),
      requests(every_size_to(16)),
      requests(every_size_to(48)),
      requests(every_size_to(12), kMostSlots, 2),
      requests(every_size_to(12), kMostSlots, 3),
      requests(every_size_to(24), 10, 4),
      most_requests(5),
      with(most_requests(5), [](RuleSizes& s) { s.lists.disable_padding = true; }),
      most_requests(300),
      requests({300}),
      most_requests(4096, 4096)};
  for (const std::int64_t width : {1, 3}) {
    out.push_back(
        with(requests({1, 2, 16}, 8, width), [](RuleSizes& s) { s.draft_runner = true; }));
  }
  out.push_back(
      with(requests(every_size_to(8)), [](RuleSizes& s) { s.lists.disable_padding = true; }));
  return out;
}

const std::vector<RuleSizes>& all_sizes() {
  static const std::vector<RuleSizes> all = [] {
    std::vector<RuleSizes> out = prefill_sizes();
    std::ranges::move(decode_sizes(), std::back_inserter(out));
    return out;
  }();
  return all;
}

// Without a layer communicator there are no replicas, no exchange and no overlap; only the sparse
// model splits its context; the step of no engine is one of plain layouts.
bool is_modelled(const RuleLayout& in) {
  const bool has_communicator = in.model == RuleModel::sparse || in.model == RuleModel::mixed;
  const bool plain = in.attn_dp == 1 && !in.two_batch_overlap && !in.a2a;
  if (!has_communicator && !plain) return false;
  if (in.model == RuleModel::shares_of_context && in.attn_cp == 1) return false;
  if (in.splits_context && (in.attn_cp == 1 || in.model != RuleModel::sparse)) return false;
  return !in.dp_lm_head || in.attn_dp > 1;
}

void add_layouts(std::int64_t tp, std::int64_t attn_dp, std::int64_t attn_cp,
                 std::vector<RuleLayout>& out) {
  constexpr unsigned kSwitches = 5;
  for (unsigned switches = 0; switches < 1U << kSwitches; ++switches) {
    const auto is_on = [switches](unsigned i) { return (switches >> i & 1U) != 0; };
    for (const RuleModel model :
         {RuleModel::dense, RuleModel::sparse, RuleModel::mixed, RuleModel::shares_of_context}) {
      const RuleLayout layout{.tp = tp,
                              .attn_dp = attn_dp,
                              .attn_cp = attn_cp,
                              .dense_is_one = is_on(0),
                              .a2a = is_on(1),
                              .dp_lm_head = is_on(2),
                              .two_batch_overlap = is_on(3),
                              .splits_context = is_on(4),
                              .model = model};
      if (is_modelled(layout)) out.push_back(layout);
    }
  }
}

// By ranks, then by how much else is asked for.
std::vector<RuleLayout> all_layouts() {
  std::vector<RuleLayout> out;
  for (const std::int64_t tp : {1, 2, 3, 4, 6, 8, 12, 16, 24}) {
    for (const std::int64_t attn_dp : {1, 2, 4}) {
      for (const std::int64_t attn_cp : {1, 2, 3, 4, 6}) {
        if (tp % (attn_dp * attn_cp) == 0) add_layouts(tp, attn_dp, attn_cp, out);
      }
    }
  }
  std::ranges::stable_sort(out, {}, [](const RuleLayout& in) {
    const int more = (in.attn_dp > 1 ? 1 : 0) + (in.attn_cp > 1 ? 1 : 0) + in.dense_is_one +
                     in.a2a + in.dp_lm_head + in.two_batch_overlap + in.splits_context;
    return std::pair(in.tp, more);
  });
  return out;
}

std::vector<RuleSetup> make_grid() {
  std::vector<RuleSetup> out;
  for (const RuleLayout& layout : all_layouts()) {
    for (const RuleSizes& sizes : all_sizes()) {
      if (!sizes.prefill) {
        out.push_back({layout, &sizes, Version::pr_23972});
        continue;
      }
      // Prefill graphs under DP attention are not modelled.
      if (layout.attn_dp > 1) continue;
      for (const Version version :
           {Version::pre_23972, Version::pr_23972, Version::pr_23906, Version::pr_33200}) {
        out.push_back({layout, &sizes, version});
      }
    }
  }
  return out;
}

// ---- words ----------------------------------------------------------------------------------

std::string text_of(const SizeList& sizes) {
  const bool all = sizes.size() > 6 && sizes == every_size_to(std::ssize(sizes));
  if (all) return "1 to " + std::to_string(sizes.size());
  std::string text;
  for (const std::int64_t size : sizes) {
    text.append(text.empty() ? "" : " ").append(std::to_string(size));
  }
  return text;
}

void add(std::string& text, std::string_view what) {
  text.append(text.empty() ? "" : ", ").append(what);
}

void add(std::string& text, std::string_view what, std::optional<std::int64_t> number,
         std::int64_t usual = 0) {
  if (number && *number != usual) add(text, std::string(what) + " " + std::to_string(*number));
}

void add_sizes(std::string& text, const RuleSizes& sizes) {
  const sglang::DefaultSizesInput& in = sizes.lists;
  if (in.piecewise_tokens) add(text, "tokens " + text_of(*in.piecewise_tokens));
  if (in.cuda_graph_bs) add(text, "requests " + text_of(*in.cuda_graph_bs));
  add(text, "maximum", in.piecewise_max_tokens);
  add(text, "maximum", in.cuda_graph_max_bs);
  add(text, "chunks of", in.chunked_prefill_size);
  add(text, "max_total_tokens", in.max_total_tokens);
  if (in.mla) add(text, "latent attention");
  if (in.llama_2_path) add(text, "llama-2");
  if (in.disable_padding) add(text, "no padding");
  if (sizes.draft_runner) add(text, "a draft runner");
  add(text, "tokens a request", sizes.width, 1);
  add(text, "pool", sizes.max_running, kMostSlots);
}

// ---- steps ----------------------------------------------------------------------------------

StepKey key_of(const RuleSetup& setup) {
  const RuleLayout& layout = setup.layout;
  return {.attn_tp = layout.sizes().attn_tp(),
          .attn_cp = layout.attn_cp,
          .attn_dp = layout.attn_dp,
          .dense_is_one = layout.dense_is_one,
          .a2a = layout.a2a,
          .two_batch_overlap = layout.two_batch_overlap,
          .splits_context = layout.splits_context && setup.sizes->prefill,
          .width = setup.sizes->width,
          .model = layout.model};
}

std::set<StepKey> keys_of_grid() {
  std::set<StepKey> out;
  for (const RuleSetup& setup : rule_grid()) out.insert(key_of(setup));
  return out;
}

// An attention whose shares of the context are summed: a reduce-scatter over context parallelism,
// and the gather that follows it.
SymbolicStep shares_of_context(const std::shared_ptr<const Topology>& topology) {
  using sglang::kAttnCp;
  SymbolicStep plan;
  plan.path = "shares of context";
  plan.topology = topology;
  plan.entry_rows.base = plan.exprs.n();
  plan.blocks = {
      {.kind = "layer",
       .ops = {{.kind = OpKind::attention, .group = kAttnCp},
               {.kind = OpKind::reduce_scatter, .group = kAttnCp},
               {.kind = OpKind::all_gather, .group = kAttnCp, .buffer = plan.entry_rows}}}};
  return plan;
}

const ModelShape& shape_of(RuleModel model) {
  // The engine's stand-ins: no layer communicator; dense layers, then sparse ones; sparse ones.
  constexpr std::size_t kDense = 0;
  constexpr std::size_t kMixed = 1;
  constexpr std::size_t kSparse = 3;
  const std::span<const ModelShape> shapes = sglang::stand_ins();
  if (model == RuleModel::mixed) return shapes[kMixed];
  return shapes[model == RuleModel::sparse ? kSparse : kDense];
}

SymbolicStep walk(const StepKey& key) {
  const std::int64_t tp = key.attn_tp * key.attn_cp * key.attn_dp;
  const sglang::Sizes sizes{.tp = tp,
                            .attn_dp = key.attn_dp,
                            .attn_cp = key.attn_cp,
                            .ep = key.a2a ? tp : std::int64_t{1}};
  auto topology = std::make_shared<const Topology>(sglang::topology_of(sizes));
  if (key.model == RuleModel::shares_of_context) return shares_of_context(topology);
  const ModelShape& model = shape_of(key.model);
  return sglang::step_of("step", {.communicator = {.sizes = sizes,
                                                   .dense_fully_dp = key.dense_is_one,
                                                   .a2a = key.a2a,
                                                   .two_batch_overlap = key.two_batch_overlap},
                                  .topology = std::move(topology),
                                  .model = &model,
                                  .facts = sglang::facts_of(model),
                                  .width = Width(key.width),
                                  .splits_context = key.splits_context,
                                  .splits_batch = key.two_batch_overlap});
}

// ---- plans ----------------------------------------------------------------------------------

sglang::PredicateInput predicate_input(const RuleLayout& layout) {
  return {.tp = layout.tp,
          .dp = layout.attn_dp,
          .enable_dp_attention = layout.attn_dp > 1,
          .moe_dense_tp_size = layout.dense_is_one ? std::optional<std::int64_t>(1) : std::nullopt,
          .enable_dp_lm_head = layout.dp_lm_head,
          .a2a = layout.a2a};
}

sglang::DefaultSizesInput lists_input(const RuleSetup& setup) {
  sglang::DefaultSizesInput in = setup.sizes->lists;
  in.tp = setup.layout.tp;
  return in;
}

sglang::PaddingInput real_padding(const RuleSetup& setup) {
  return {.mlp_sync = sglang::predicates_of(predicate_input(setup.layout)).mlp_sync,
          .attn_tp = setup.layout.sizes().attn_tp(),
          .attn_cp = setup.layout.attn_cp};
}

// The engine's own inputs of its paths.
sglang::PrefillInputs prefill_inputs(const RuleSetup& setup,
                                     std::shared_ptr<const DerivedStep> step) {
  const sglang::DefaultSizesInput lists = lists_input(setup);
  const std::int64_t chunk = sglang::default_sizes(lists).chunked_prefill_size;
  return {.version = setup.version,
          .gathered = sglang::predicates_of(predicate_input(setup.layout)).gathered_buffer,
          .mla = lists.mla,
          .llama_2_path = lists.llama_2_path,
          .attn_tp = setup.layout.sizes().attn_tp(),
          .attn_cp = setup.layout.attn_cp,
          .chunk = chunk,
          .largest_presented = chunk,
          .max_total_tokens = lists.max_total_tokens,
          .padding = real_padding(setup),
          .step = std::move(step)};
}

sglang::DecodeInputs decode_inputs(const RuleSetup& setup,
                                   std::shared_ptr<const DerivedStep> step) {
  const sglang::DefaultSizesInput lists = lists_input(setup);
  return {
      .gathered = sglang::predicates_of(predicate_input(setup.layout)).gathered_buffer,
      .two_batch_overlap = setup.layout.two_batch_overlap,
      .speculative = lists.speculative,
      .draft_runner = setup.sizes->draft_runner,
      .disable_padding = lists.disable_padding,
      .width = Width(setup.sizes->width),
      .attn_tp = setup.layout.sizes().attn_tp(),
      .attn_cp = setup.layout.attn_cp,
      .attn_dp = setup.layout.attn_dp,
      .default_max_bs = sglang::default_maxima(lists.gpu_memory_mib, lists.tp).cuda_graph_max_bs,
      .max_total_tokens = lists.max_total_tokens,
      .padding = real_padding(setup),
      .step = std::move(step)};
}

// ---- plans: the engine's own path, with what the rules make of it in place of what it does ------

void filter_again(CapturePath& path, SizeList candidates) {
  path.candidates = std::move(candidates);
  path.kept.clear();
  path.dropped.clear();
  path.rounded.clear();
  path.refused.reset();
  SizeList list = path.candidates;
  if (list.empty()) return;
  FilterResult result = path.filter.apply(list);
  path.refused = std::move(result.refused);
  // A refused launch captures nothing.
  if (!path.refused) path.kept = std::move(result.kept);
}

CapturePath prefill_path(const RuleSet& rules, const RuleSetup& setup,
                         std::shared_ptr<const DerivedStep> step) {
  const RuleLayout& layout = setup.layout;
  const sglang::DefaultSizesInput lists = lists_input(setup);
  CapturePath path = sglang::prefill_path(prefill_inputs(setup, std::move(step)),
                                          {lists.piecewise_max_tokens, lists.piecewise_tokens});
  const sglang::PrefillFilterInput in = rules.prefill_input(
      {.attn_tp = rules.attn_tp(layout.sizes()),
       .attn_cp = layout.attn_cp,
       .gathered = rules.prefill_gate(rules.predicates(predicate_input(layout)))},
      layout.two_batch_overlap);
  const PrefillRow& row = rules.prefill[static_cast<std::size_t>(setup.version)];
  path.filter.apply = [in, apply = row.apply](SizeList& sizes) { return apply(in, sizes); };
  path.filter.modulus = row.modulus(in);
  path.filter.rounds = path.filter.clamp_order_declared = row.rounds;
  path.lookup = rules.lookup;
  filter_again(path, rules.lists(lists).piecewise_tokens);
  return path;
}

CapturePath decode_path(const RuleSet& rules, const RuleSetup& setup,
                        std::shared_ptr<const DerivedStep> step) {
  const RuleLayout& layout = setup.layout;
  const sglang::DefaultSizesInput lists = lists_input(setup);
  CapturePath path =
      sglang::decode_path(decode_inputs(setup, std::move(step)),
                          {lists.cuda_graph_max_bs, lists.cuda_graph_bs, setup.sizes->max_running});
  const auto filter_input = [&](const RuleSet& by) {
    return sglang::DecodeFilterInput{
        .pool = by.pool(setup.sizes->max_running, layout.attn_dp),
        .attn_tp = by.attn_tp(layout.sizes()),
        .attn_cp = layout.attn_cp,
        .gathered = by.decode_gate(by.predicates(predicate_input(layout))),
        .tokens_per_request = setup.sizes->width,
        .two_batch_overlap = layout.two_batch_overlap};
  };
  const sglang::DecodeFilterInput in = filter_input(rules);
  path.filter.apply = [in, apply = rules.decode](SizeList& list) { return apply(in, list); };
  path.filter.modulus = rules.decode_modulus(in);
  path.lookup = path.exact_match ? rules.exact_lookup : rules.lookup;
  static const RuleSet real;
  const sglang::DecodeFilterInput promised = filter_input(real);
  const std::int64_t slots = align_up(promised.pool, sglang::decode_alignment(promised));
  path.bounds.push_back({.tokens = slots * setup.sizes->width,
                         .what = "the slots of the request pool",
                         .symptom = "clean_error"});
  // Without padding only a size itself is replayed: a maximum asks for all up to it.
  if (path.exact_match && lists.cuda_graph_max_bs) {
    for (std::int64_t size = 1; size < *lists.cuda_graph_max_bs; ++size) {
      path.named.push_back({size, "--cuda-graph-max-bs"});
    }
  }
  filter_again(path, rules.lists(lists).cuda_graph_bs);
  return path;
}

std::optional<EagerPath> eager_path(const RuleSet& rules, const RuleSetup& setup,
                                    const CapturePath& path) {
  std::optional<EagerPath> out =
      setup.sizes->prefill
          ? sglang::eager_prefill(prefill_inputs(setup, path.step))
          : sglang::eager_decode(decode_inputs(setup, path.step),
                                 {.max_running_requests = setup.sizes->max_running});
  if (!out) return out;
  const sglang::Predicates predicates = rules.predicates(predicate_input(setup.layout));
  const sglang::PaddingInput in{.mlp_sync = rules.padding_gate(predicates),
                                .attn_tp = rules.attn_tp(setup.layout.sizes()),
                                .attn_cp = setup.layout.attn_cp};
  out->padded = [in, padding = rules.padding](std::int64_t n) { return padding(in, n); };
  out->padding_period = in.attn_tp * in.attn_cp;
  return out;
}

}  // namespace

std::string_view name_of(RuleModel model) {
  switch (model) {
    case RuleModel::dense: return "dense";
    case RuleModel::sparse: return "sparse";
    case RuleModel::mixed: return "mixed";
    case RuleModel::shares_of_context: return "shares of context";
  }
  return "dense";
}

sglang::Sizes RuleLayout::sizes() const {
  return {.tp = tp, .attn_dp = attn_dp, .attn_cp = attn_cp, .ep = a2a ? tp : std::int64_t{1}};
}

std::string RuleSetup::text() const {
  std::string text = "tp " + std::to_string(layout.tp);
  add(text, "dp", layout.attn_dp, 1);
  add(text, "attn_cp", layout.attn_cp, 1);
  if (layout.dense_is_one) add(text, "moe_dense 1");
  if (layout.a2a) add(text, "a2a");
  if (layout.dp_lm_head) add(text, "dp_lm_head");
  if (layout.two_batch_overlap) add(text, "two-batch overlap");
  if (layout.splits_context) add(text, "context split");
  if (layout.model != RuleModel::dense) add(text, name_of(layout.model));
  if (sizes->prefill) add(text, sglang::name_of(version));
  add_sizes(text, *sizes);
  return text;
}

std::span<const RuleSetup> rule_grid() {
  static const std::vector<RuleSetup> grid = make_grid();
  return grid;
}

std::function<StepKey(const StepKey&)> memory_that_forgets(void (*forget)(StepKey&)) {
  static const std::set<StepKey> keys = keys_of_grid();
  std::map<StepKey, StepKey> met;
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    StepKey seen = *key;
    forget(seen);
    met.try_emplace(seen, *key);
  }
  return [met = std::move(met), forget](const StepKey& key) {
    StepKey seen = key;
    forget(seen);
    const auto found = met.find(seen);
    return found == met.end() ? key : found->second;
  };
}

RuleSet::RuleSet() {
  attn_tp = [](const sglang::Sizes& sizes) { return sizes.attn_tp(); };
  // paths.cpp keeps this to itself.
  pool = [](std::int64_t max_running, std::int64_t attn_dp) {
    return std::min(kMostSlots, div_floor(max_running, attn_dp));
  };
  prefill_gate = decode_gate = [](const sglang::Predicates& p) { return p.gathered_buffer; };
  padding_gate = [](const sglang::Predicates& p) { return p.mlp_sync; };
  prefill_input = [](sglang::PrefillFilterInput in, bool) { return in; };
  for (std::size_t i = 0; i < prefill.size(); ++i) {
    const sglang::PrefillFilterRule& rule = sglang::prefill_filter_at(static_cast<Version>(i));
    prefill[i] = {rule.apply, rule.modulus, rule.rounds};
  }
}

PlantedPlan RuleBench::plan_of(const RuleSet& rules, const RuleSetup& setup) {
  PlantedPlan plan;
  plan.fail_on_waste = true;
  auto step = step_of(rules.remembered(key_of(setup)));
  plan.captures.paths.push_back(setup.sizes->prefill ? prefill_path(rules, setup, std::move(step))
                                                     : decode_path(rules, setup, std::move(step)));
  const CapturePath& path = plan.captures.paths.front();
  if (auto eager = eager_path(rules, setup, path)) {
    plan.captures.eager.push_back(*std::move(eager));
  }
  for (auto size = path.kept.rbegin(); size != path.kept.rend(); ++size) {
    plan.start_up.events.push_back({StartUpKind::capture, 0, true, *size});
  }
  return plan;
}

std::shared_ptr<const DerivedStep> RuleBench::step_of(const StepKey& key) {
  auto& step = steps_[key];
  if (step) return step;
  auto derived = std::make_shared<DerivedStep>();
  derived->plan = walk(key);
  derived->requirement = derive(derived->plan, sglang::kLargestSize);
  step = std::move(derived);
  return step;
}

}  // namespace capsize
