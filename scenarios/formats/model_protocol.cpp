// A function of the protocol is one row of kFunctions: its name, its fields, and what answers it.
// Every number is checked against the bounds of capsize before an engine's arithmetic sees it.
#include "scenarios/formats/model_protocol.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "sim/engines/engine.hpp"
#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/communicator.hpp"
#include "sim/engines/sglang/flags/flags.hpp"
#include "sim/engines/sglang/groups.hpp"
#include "sim/engines/sglang/predicates.hpp"

namespace capsize {
namespace {

using sglang::kLargestSize;
using sglang::kLargestWorld;
using sglang::Version;

constexpr std::int64_t kLargestMemoryMib = std::int64_t{1} << 30;
constexpr std::string_view kNoAllToAll = "none";

// The fields of one request. The first that is wrong is kept, and what is read after it is empty:
// an answer reads all of its fields and then asks once whether they could be read.
class Fields {
 public:
  Fields(const JsonField& root, Version version) : root_(root), version_(version) {}

  std::int64_t integer(std::string_view name, std::int64_t lowest, std::int64_t highest) {
    return read<std::int64_t>(
        name, [=](const JsonField& field) { return field.integer(lowest, highest); });
  }
  // The size of a group or the number of groups.
  std::int64_t ranks(std::string_view name) { return integer(name, 1, kLargestWorld); }
  bool boolean(std::string_view name) {
    return read<bool>(name, [](const JsonField& field) { return field.boolean(); });
  }
  // Engines take sizes below 1 as they come, and so does the protocol.
  SizeList sizes(std::string_view name) {
    return read<SizeList>(
        name, [](const JsonField& field) { return field.integers(-kLargestSize, kLargestSize); });
  }
  std::optional<std::int64_t> integer_or_null(std::string_view name, std::int64_t lowest,
                                              std::int64_t highest) {
    return given(name) ? std::optional(integer(name, lowest, highest)) : std::nullopt;
  }
  // One of the values that the engine's own option takes under these rules.
  std::string_view choice(std::string_view name, std::string_view option) {
    const auto* flag = sglang::find_flag(option, sglang::flag_release(version_));
    const std::span<const std::string_view> choices = flag->choices;
    const auto index = read<std::size_t>(
        name, [choices](const JsonField& field) { return field.one_of(choices); });
    return error_ ? std::string_view() : choices[index];
  }
  std::optional<std::string_view> choice_or_null(std::string_view name, std::string_view option) {
    return given(name) ? std::optional(choice(name, option)) : std::nullopt;
  }

  // A rule of the function's own that its fields must keep together.
  void require(bool holds, std::string_view name, std::string text, std::string hint) {
    if (!error_ && !holds) {
      error_ = Error{json_path(root_.path(), name), std::move(text), std::move(hint)};
    }
  }

  [[nodiscard]] Version version() const { return version_; }
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] Result<void> result() && {
    if (error_) return tl::unexpected(*std::move(error_));
    return {};
  }

 private:
  template <class Value, class Reader>
  Value read(std::string_view name, const Reader& reader) {
    if (error_) return Value{};
    Result<Value> value = root_.required(name).and_then(reader);
    if (value) return *std::move(value);
    error_ = std::move(value.error());
    return Value{};
  }

  // Whether the field is there and not null.
  bool given(std::string_view name) const {
    const auto field = root_.optional(name);
    return field && field->has_value();
  }

  const JsonField& root_;
  Version version_;
  std::optional<Error> error_;
};

void write_sizes(JsonWriter& out, const FilterResult& result) {
  if (result.refused) {
    out.field("refused", *result.refused);
  } else {
    out.key("kept").array(result.kept);
  }
}

// tp, attn_dp, attn_cp: an attention group must have at least one rank.
sglang::Sizes read_attention_sizes(Fields& in) {
  sglang::Sizes sizes;
  sizes.tp = in.ranks("tp");
  sizes.attn_dp = in.ranks("attn_dp");
  sizes.attn_cp = in.ranks("attn_cp");
  sizes.moe_dp = in.ranks("moe_dp");
  if (in.failed()) return sizes;
  in.require(sizes.attn_dp * sizes.attn_cp <= sizes.tp, "tp",
             std::to_string(sizes.tp) + " ranks cannot hold " + std::to_string(sizes.attn_dp) +
                 " attention replicas of " + std::to_string(sizes.attn_cp) + " context ranks",
             "tp must be at least attn_dp * attn_cp");
  return sizes;
}

void answer_groups(Fields& in, JsonWriter& out) {
  sglang::Sizes sizes = read_attention_sizes(in);
  sizes.ep = in.ranks("ep");
  sizes.pp = in.ranks("pp");
  if (in.failed()) return;
  in.require(sizes.ep * sizes.moe_dp <= sizes.tp, "tp",
             std::to_string(sizes.tp) + " ranks cannot hold " + std::to_string(sizes.moe_dp) +
                 " expert copies of " + std::to_string(sizes.ep) + " ranks",
             "tp must be at least ep * moe_dp");
  in.require(sizes.world() <= kLargestWorld, "pp",
             std::to_string(sizes.world()) + " ranks are more than capsize lays out",
             "give at most " + std::to_string(kLargestWorld) + " ranks (tp * pp)");
  if (in.failed()) return;
  const Topology topology = sglang::topology_of(sizes);
  out.key("groups").begin_object();
  for (const GroupFamily& family : topology.families) {
    if (!family.is_process_group) continue;
    out.key(family.name).begin_object().key("ranks").begin_array();
    for (const GroupShape& group : family.groups) {
      out.begin_array();
      for (std::int64_t k = 0; k < group.size; ++k) out.value(group.rank(k));
      out.end_array();
    }
    out.end_array().key("same_object_as");
    if (family.same_object_as) {
      out.value(topology.family(*family.same_object_as).name);
    } else {
      out.null();
    }
    out.end_object();
  }
  out.end_object();
}

void answer_default_sizes(Fields& in, JsonWriter& out) {
  const sglang::DefaultSizesInput input{
      .gpu_memory_mib = in.integer_or_null("gpu_mem_mib", 1, kLargestMemoryMib),
      .tp = in.ranks("tp"),
      .speculative = in.choice_or_null("speculative", "--speculative-algorithm").has_value(),
      .mla = in.boolean("mla"),
      .chunked_prefill_size =
          in.integer_or_null("chunked_prefill_size", -kLargestSize, kLargestSize),
      .cuda_graph_max_bs = in.integer_or_null("cuda_graph_max_bs", -kLargestSize, kLargestSize),
      .cuda_graph_bs = {},
      .piecewise_max_tokens =
          in.integer_or_null("piecewise_max_tokens", -kLargestSize, kLargestSize),
      .piecewise_tokens = {},
      .max_total_tokens = {}};
  if (in.failed()) return;
  const sglang::DefaultSizes sizes = sglang::default_sizes(input);
  out.key("out").begin_object();
  out.field("chunked_prefill_size", sizes.chunked_prefill_size);
  out.field("cuda_graph_max_bs", sizes.cuda_graph_max_bs);
  out.key("cuda_graph_bs").array(sizes.cuda_graph_bs);
  out.field("piecewise_max_tokens", sizes.piecewise_max_tokens);
  out.key("piecewise_tokens").array(sizes.piecewise_tokens);
  out.end_object();
}

void answer_prefill_filter(Fields& in, JsonWriter& out) {
  const SizeList sizes = in.sizes("sizes");
  const sglang::PrefillFilterInput input{.attn_tp = in.ranks("attn_tp"),
                                         .attn_cp = in.ranks("attn_cp"),
                                         .gathered = in.boolean("gathered")};
  if (in.failed()) return;
  write_sizes(out, sglang::prefill_filter_at(in.version()).apply(input, sizes));
}

void answer_decode_filter(Fields& in, JsonWriter& out) {
  SizeList sizes = in.sizes("sizes");
  const sglang::DecodeFilterInput input{
      .pool = in.integer("pool", 0, kLargestSize),
      .attn_tp = in.ranks("attn_tp"),
      .attn_cp = in.ranks("attn_cp"),
      .gathered = in.boolean("gathered"),
      .tokens_per_request = in.integer("tokens_per_request", 1, kLargestSize),
      .two_batch_overlap = in.boolean("two_batch_overlap")};
  in.require(!sizes.empty(), "sizes", "the engine takes the largest of an empty list",
             "give at least one size; an engine's own list is never empty");
  if (in.failed()) return;
  write_sizes(out, sglang::decode_filter(input, sizes));
}

void answer_predicates(Fields& in, JsonWriter& out) {
  const sglang::PredicateInput input{
      .tp = in.ranks("tp"),
      .dp = in.ranks("dp"),
      .enable_dp_attention = in.boolean("enable_dp_attention"),
      .moe_dense_tp_size = in.integer_or_null("moe_dense_tp_size", 1, kLargestWorld),
      .enable_dp_lm_head = in.boolean("enable_dp_lm_head"),
      .a2a = in.choice("moe_a2a_backend", "--moe-a2a-backend") != kNoAllToAll};
  if (in.failed()) return;
  if (const auto refused = sglang::predicates_refusal(input)) {
    out.field("refused", *refused);
    return;
  }
  const sglang::Predicates predicates = sglang::predicates_of(input);
  out.field("require_mlp_tp_gather", predicates.mlp_tp_gather);
  out.field("require_attn_tp_gather", predicates.attn_tp_gather);
  out.field("require_gathered_buffer", predicates.gathered_buffer);
  out.field("require_mlp_sync", predicates.mlp_sync);
}

void answer_communicator(Fields& in, JsonWriter& out) {
  const sglang::CommunicatorInput input{
      .sizes = read_attention_sizes(in),
      .dense_fully_dp = in.integer_or_null("moe_dense_tp_size", 1, kLargestWorld) == 1,
      .a2a = in.choice("moe_a2a_backend", "--moe-a2a-backend") != kNoAllToAll,
      .two_batch_overlap = in.boolean("two_batch_overlap")};
  if (in.failed()) return;
  out.key("layers").begin_object();
  for (const sglang::LayerKind kind : sglang::kLayerKinds) {
    const sglang::Transitions layer = sglang::transitions_of(input, sglang::context_of(kind));
    out.key(name_of(kind)).begin_object();
    out.field("inp", name_of(layer.modes.input));
    out.field("attn", name_of(layer.modes.attention));
    out.field("mlp", name_of(layer.modes.mlp));
    out.field("mid", name_of(layer.modes.middle_residual));
    out.field("out", name_of(layer.modes.output));
    out.field("f1", name_of(layer.before_attention));
    out.field("f2", name_of(layer.before_mlp));
    out.field("f3", name_of(layer.after_mlp));
    out.end_object();
  }
  out.end_object();
}

constexpr std::size_t kMostFields = 8;

// `answer` writes the reply's fields, or leaves an error in its input and writes nothing.
struct Function {
  std::string_view name;
  std::array<std::string_view, kMostFields> fields;  // beside id and fn; the rest is empty
  void (*answer)(Fields& in, JsonWriter& out);
};

constexpr std::array kFunctions = {
    Function{"groups", {"tp", "attn_dp", "attn_cp", "ep", "moe_dp", "pp"}, answer_groups},
    Function{"default_sizes",
             {"gpu_mem_mib", "tp", "speculative", "mla", "chunked_prefill_size",
              "cuda_graph_max_bs", "piecewise_max_tokens"},
             answer_default_sizes},
    Function{"prefill_filter", {"sizes", "attn_tp", "attn_cp", "gathered"}, answer_prefill_filter},
    Function{"decode_filter",
             {"sizes", "pool", "attn_tp", "attn_cp", "gathered", "tokens_per_request",
              "two_batch_overlap"},
             answer_decode_filter},
    Function{"predicates",
             {"tp", "dp", "enable_dp_attention", "moe_dense_tp_size", "enable_dp_lm_head",
              "moe_a2a_backend"},
             answer_predicates},
    Function{"communicator",
             {"tp", "attn_dp", "attn_cp", "moe_dp", "moe_dense_tp_size", "moe_a2a_backend",
              "two_batch_overlap"},
             answer_communicator},
};

Result<void> reject_unknown_fields(const JsonField& root, const Function& function) {
  std::vector<std::string_view> known = {"id", "fn"};
  std::ranges::copy_if(function.fields, std::back_inserter(known),
                       [](std::string_view field) { return !field.empty(); });
  return root.reject_unknown_fields(known);
}

// Writes the reply's fields behind its id.
Result<void> write_reply(const JsonField& root, Version version, JsonWriter& out) {
  const auto name = root.required("fn").and_then([](const JsonField& f) { return f.text(); });
  if (!name) return tl::unexpected(name.error());
  const auto* function = std::ranges::find(kFunctions, *name, &Function::name);
  if (function == kFunctions.end()) {
    out.field("unsupported", *name);
    return {};
  }
  return reject_unknown_fields(root, *function).and_then([&] {
    Fields fields(root, version);
    function->answer(fields, out);
    return std::move(fields).result();
  });
}

ModelAnswer bad_request(std::string_view id, const Error& error) {
  JsonWriter out;
  out.begin_object().key("id").raw(id).key("error").begin_object();
  out.field("where", error.where).field("text", error.text).field("hint", error.hint);
  out.end_object().end_object();
  return {std::move(out).text(), true};
}

Error unknown(std::string_view option, std::string_view what, std::string_view name,
              std::string_view known) {
  std::string text = "unknown ";
  text.append(what).append(" \"").append(name).append("\"");
  return {std::string(option), std::move(text), std::string(known)};
}

}  // namespace

Result<ModelProtocol> ModelProtocol::of(std::string_view engine_name, std::string_view rules) {
  const Engine* engine = find_engine(engine_name);
  if (engine == nullptr) {
    return tl::unexpected(unknown("--engine", "engine", engine_name, "known: sglang"));
  }
  const auto version = sglang::version_of(rules.empty() ? engine->newest : rules);
  if (version) return ModelProtocol(*version);
  std::string known = "known for sglang:";
  for (const RulesLabel& label : engine->labels) known.append(" ").append(label.name);
  return tl::unexpected(unknown("--rules", "rules", rules, known));
}

ModelAnswer ModelProtocol::answer(std::string_view line) const {
  if (line.size() > kModelLineBytes) {
    return bad_request("null",
                       {"the line", "is longer than " + std::to_string(kModelLineBytes) + " bytes",
                        "split the request"});
  }
  const auto document = parse_json(line, {.max_bytes = kModelLineBytes});
  if (!document) return bad_request("null", document.error());
  const auto given = document->find("id");
  const std::string id = given == document->end() ? "null" : given->dump();
  JsonWriter out;
  out.begin_object().key("id").raw(id);
  if (auto written = write_reply(JsonField(*document), version_, out); !written) {
    return bad_request(id, written.error());
  }
  out.end_object();
  return {std::move(out).text(), false};
}

}  // namespace capsize
