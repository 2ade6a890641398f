// SGLang for sweeps: layouts and paths by the rules of layout.cpp and paths.cpp, remembered by all
// that those rules are given.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "sim/content_hash.hpp"
#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/flags/flags.hpp"
#include "sim/engines/sglang/layout.hpp"

namespace capsize::sglang {
namespace {

constexpr std::array<std::string_view, 5> kListOptions = {
    "--cuda-graph-bs", "--cuda-graph-max-bs", "--max-running-requests",
    "--piecewise-cuda-graph-max-tokens", "--piecewise-cuda-graph-tokens"};

// ---- what things are remembered by ------------------------------------------------------------
// A hash only finds the bucket; equality of the whole input decides.

ContentHash hash_of(std::string_view path, const StepInput& in) {
  const Sizes& s = in.communicator.sizes;
  ContentHash hash;
  hash.add(path);
  for (const std::int64_t size : {s.tp, s.pp, s.attn_dp, s.attn_cp, s.ep, s.moe_dp}) hash.add(size);
  hash.add(in.communicator.dense_fully_dp).add(in.communicator.a2a);
  hash.add(in.communicator.two_batch_overlap).add(std::string_view(in.model->name));
  hash.add(std::string_view(in.model->architecture)).add(in.width.value);
  hash.add(in.splits_context).add(in.splits_batch).add(static_cast<std::int64_t>(in.dp_padding));
  return hash;
}

ContentHash hash_of(const PrefillInputs& in) {
  ContentHash hash;
  hash.add(static_cast<std::int64_t>(in.version)).add(in.breakable).add(in.gathered);
  hash.add(in.attn_tp).add(in.attn_cp).add(in.mla).add(in.largest_presented);
  hash.add(in.off.size()).add(in.undecided.size());
  hash.add(reinterpret_cast<std::uintptr_t>(in.step.get()));
  return hash;
}

ContentHash hash_of(const DecodeInputs& in) {
  ContentHash hash;
  hash.add(in.gathered).add(in.two_batch_overlap).add(in.speculative).add(in.width.value);
  hash.add(in.attn_tp).add(in.attn_cp).add(in.attn_dp).add(in.default_max_bs);
  hash.add(in.off.size()).add(in.undecided.size());
  hash.add(reinterpret_cast<std::uintptr_t>(in.step.get()));
  return hash;
}

// What a filter is, beside the sizes of the layout that it reads.
ContentHash hash_of(const SizeFilter& filter) {
  ContentHash hash;
  hash.add(filter.rule).add(filter.modulus).add(filter.contract_tokens.value_or(0));
  hash.add(filter.rounds);
  return hash;
}

// Gives equal values the same number.
template <class T>
class Numbered {
 public:
  std::uint32_t number_of(T value, std::uint64_t hash) {
    const auto [first, last] = by_hash_.equal_range(hash);
    for (auto each = first; each != last; ++each) {
      if (values_[each->second] == value) return each->second;
    }
    const auto number = static_cast<std::uint32_t>(values_.size());
    values_.push_back(std::move(value));
    by_hash_.emplace(hash, number);
    return number;
  }
  const T& operator[](std::uint32_t number) const { return values_[number]; }

 private:
  std::vector<T> values_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> by_hash_;
};

// Steps by all that they are made of. Paths differ by what their steps can split and by nothing
// else of them, so that steps with equal usable sets are handed out as one: the first that had it.
// The topology of a step follows from its sizes.
class RememberedSteps final : public StepSource {
 public:
  std::shared_ptr<const Topology> topology(const Sizes&) override { return nullptr; }

  std::shared_ptr<const DerivedStep> step(std::string_view path, StepInput in) override {
    const std::uint64_t hash = hash_of(path, in).value();
    walked_.push_back(hash);
    const auto [first, last] = steps_.equal_range(hash);
    for (auto each = first; each != last; ++each) {
      if (each->second.path == path && each->second.in == in) return each->second.step;
    }
    FreshSteps fresh;
    auto step = representative(fresh.step(path, in));
    return steps_.emplace(hash, Entry{path, in, std::move(step)})->second.step;
  }

  // The content hashes of the steps asked for since the last call.
  [[nodiscard]] std::vector<std::uint64_t> take_walked() { return std::exchange(walked_, {}); }

  // The content hash of the usable set of a step that was handed out.
  [[nodiscard]] std::uint64_t usable_key(const std::shared_ptr<const DerivedStep>& step) const {
    return usable_keys_.at(step.get());
  }

 private:
  struct Entry {
    std::string_view path;
    StepInput in;
    std::shared_ptr<const DerivedStep> step;
  };

  static std::uint64_t hash_of_set(const UsableSet& usable) {
    ContentHash hash;
    hash.add(usable.threshold())
        .add(usable.period())
        .add(static_cast<std::int64_t>(usable.known()));
    for (std::int64_t n = 1; n < usable.threshold() + usable.period(); ++n) {
      hash.add(usable.contains(n));
    }
    return hash.value();
  }

  std::shared_ptr<const DerivedStep> representative(std::shared_ptr<const DerivedStep> step) {
    const UsableSet& usable = step->requirement.usable;
    const std::uint64_t hash = hash_of_set(usable);
    const auto [first, last] = by_set_.equal_range(hash);
    for (auto each = first; each != last; ++each) {
      // Past the window of a set that is not proved the step itself is asked.
      const bool decides = usable.known() == Known::proved;
      if (decides && each->second->requirement.usable == usable) return each->second;
    }
    usable_keys_.emplace(step.get(), hash);
    return by_set_.emplace(hash, std::move(step))->second;
  }

  std::unordered_multimap<std::uint64_t, Entry> steps_;
  std::unordered_multimap<std::uint64_t, std::shared_ptr<const DerivedStep>> by_set_;
  std::unordered_map<const DerivedStep*, std::uint64_t> usable_keys_;
  std::vector<std::uint64_t> walked_;
};

// ---- the planner ------------------------------------------------------------------------------

class SglangMembers final : public MemberPlanner {
 public:
  [[nodiscard]] std::span<const std::string_view> path_names() const override { return kPathNames; }

  [[nodiscard]] std::span<const std::size_t> capture_order() const override {
    return kCaptureOrder;
  }

  [[nodiscard]] bool knows(std::string_view option) const override {
    const std::string_view name = option.substr(0, option.find('='));
    return std::ranges::any_of(labels(), [name](const RulesLabel& label) {
      const auto version = version_of(label.name);
      return version && find_flag(name, flag_release(*version)) != nullptr;
    });
  }

  [[nodiscard]] bool shapes_lists_only(std::string_view option) const override {
    return std::ranges::find(kListOptions, option.substr(0, option.find('='))) !=
           kListOptions.end();
  }

  [[nodiscard]] Result<MemberLayout> layout(const LaunchRequest& request) override {
    auto launch = read_launch(request);
    if (!launch) return tl::unexpected(std::move(launch.error()));
    MemberLayout out;
    out.refusal = std::move(launch->refusal);
    if (out.refusal) return out;
    LaunchLayout layout = layout_of(launch->input, steps_);
    out.refusal = std::move(layout.refusal);
    out.undecided = layout.undecided;
    if (out.refusal || out.undecided) return out;
    out.steps = steps_.take_walked();
    const std::uint64_t prefill = hash_of(layout.prefill).value();
    const std::uint64_t decode = hash_of(layout.decode).value();
    out.paths = {prefills_.number_of(std::move(layout.prefill), prefill),
                 decodes_.number_of(std::move(layout.decode), decode)};
    return out;
  }

  [[nodiscard]] Result<MemberLists> lists(std::span<const Word> words,
                                          std::string_view rules) override {
    // The parser asks for a model; which one does not matter to lists.
    std::vector<Word> line = {Word{.text = "--model-path"}, Word{.text = "any"}};
    line.insert(line.end(), words.begin(), words.end());
    auto launch = read_launch({.words = line, .rules = rules, .find_model = [](std::string_view) {
                                 return ModelChoice{&stand_ins()[0], true};
                               }});
    if (!launch) return tl::unexpected(std::move(launch.error()));
    MemberLists out;
    out.refusal = std::move(launch->refusal);
    if (out.refusal) return out;
    const ServerArgs& args = launch->input.args;
    out.paths = {prefill_lists_.number_of(sglang::prefill_lists(args), words.size()),
                 decode_lists_.number_of(sglang::decode_lists(args), words.size())};
    return out;
  }

  [[nodiscard]] PlannedPath path(std::size_t path, std::uint32_t layout,
                                 std::uint32_t lists) override {
    return path == kPrefill ? prefill(layout, lists) : decode(layout, lists);
  }

 private:
  PlannedPath prefill(std::uint32_t layout, std::uint32_t lists) {
    const PrefillInputs& in = prefills_[layout];
    PlannedPath out{.path = prefill_path(in, prefill_lists_[lists]), .eager = eager_prefill(in)};
    out.usable_key = steps_.usable_key(in.step);
    ContentHash filter = hash_of(out.path.filter);
    filter.add(in.attn_tp).add(in.attn_cp).add(in.gathered);
    out.filter_key = filter.value();
    out.refusal = empty_list_refusal(out.path);
    return out;
  }

  PlannedPath decode(std::uint32_t layout, std::uint32_t lists) {
    const DecodeInputs& in = decodes_[layout];
    PlannedPath out{.path = decode_path(in, decode_lists_[lists])};
    out.eager = eager_decode(in, decode_lists_[lists]);
    out.usable_key = steps_.usable_key(in.step);
    ContentHash filter = hash_of(out.path.filter);
    filter.add(in.attn_tp).add(in.attn_cp).add(in.gathered);
    filter.add(in.two_batch_overlap).add(in.width.value).add(out.path.largest_presented);
    out.filter_key = filter.value();
    out.refusal = empty_list_refusal(out.path);
    return out;
  }

  RememberedSteps steps_;
  Numbered<PrefillInputs> prefills_;
  Numbered<DecodeInputs> decodes_;
  Numbered<PrefillLists> prefill_lists_;
  Numbered<DecodeLists> decode_lists_;
};

}  // namespace

std::unique_ptr<MemberPlanner> member_planner() { return std::make_unique<SglangMembers>(); }

}  // namespace capsize::sglang
