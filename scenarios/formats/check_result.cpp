#include "scenarios/formats/check_result.hpp"

#include "scenarios/formats/json_writer.hpp"

namespace capsize {
namespace {

void write_group(JsonWriter& out, const GroupShape& group) {
  out.begin_array();
  for (std::int64_t i = 0; i < group.size; ++i) out.value(group.rank(i));
  out.end_array();
}

void write_topology(JsonWriter& out, const Topology& topology) {
  out.key("groups").begin_object();
  for (const GroupFamily& family : topology.families) {
    if (!family.is_process_group) continue;
    out.key(family.name).begin_array();
    for (const GroupShape& group : family.groups) write_group(out, group);
    out.end_array();
  }
  out.end_object();
  out.key("same_object_as").begin_object();
  for (const GroupFamily& family : topology.families) {
    if (!family.same_object_as) continue;
    out.field(family.name, std::string_view(topology.family(*family.same_object_as).name));
  }
  out.end_object();
}

void write_deployment(JsonWriter& out, const Deployment& deployment) {
  out.key("deployment");
  if (deployment.sizes.empty()) {
    out.null();
    return;
  }
  out.begin_object();
  if (deployment.topology) out.field("world", deployment.topology->world);
  out.key("sizes").begin_object();
  for (const auto& [name, size] : deployment.sizes) out.field(name, size);
  out.end_object();
  if (deployment.topology) write_topology(out, *deployment.topology);
  out.end_object();
}

// The groups of a plan as it names them; an engine's parallel sizes are not in it.
void write_deployment(JsonWriter& out, const Lifecycle& plan) {
  out.key("deployment").begin_object().field("world", plan.world).key("sizes").null();
  out.key("groups").begin_object();
  for (const PlanGroups& family : plan.families) {
    out.key(family.name).begin_array();
    for (const auto& members : family.groups) {
      out.begin_array();
      for (const std::int32_t rank : members) out.value(std::int64_t{rank});
      out.end_array();
    }
    out.end_array();
  }
  out.end_object().end_object();
}

void write_capture(JsonWriter& out, const PlanCapture& capture) {
  out.begin_object().field("path", capture.path);
  out.field("unit", capture.unit == Unit::tokens ? "tokens" : "requests");
  out.field("tokens_per_unit", capture.width.value_or(1)).field("enabled", true);
  out.key("kept").array(capture.kept).key("named").array(capture.named).end_object();
}

void write_requirement(JsonWriter& out, const UsableSet& usable) {
  out.key("required_modulus");
  if (usable.empty_tail()) {
    out.value("none");
  } else {
    out.value_or_null(usable.modulus());
    if (!usable.modulus()) out.key("required_residues").array(usable.residues());
  }
  out.key("required_exceptions").array(usable.usable_exceptions());
  if (const auto unusable = usable.unusable_exceptions(); !unusable.empty()) {
    out.key("unusable_exceptions").array(unusable);
  }
  out.key("window").begin_object();
  out.field("threshold", usable.threshold()).field("period", usable.period()).end_object();
}

void write_capture(JsonWriter& out, const CapturePath& path) {
  out.begin_object();
  out.field("path", path.name);
  out.field("unit", path.unit == Unit::tokens ? "tokens" : "requests");
  out.field("tokens_per_unit", path.width.value);
  out.field("enabled", path.enabled);
  out.key("disabled_by");
  if (path.enabled) {
    out.null();
  } else {
    out.value(path.disabled_by);
  }
  out.field("backend", path.backend);
  if (!path.undecided.empty()) out.field("undecided", path.undecided);
  out.key("candidates").array(path.candidates);
  out.key("kept").array(path.kept);
  out.key("dropped").begin_array();
  for (const DroppedSize& dropped : path.dropped) {
    out.begin_object().field("size", dropped.size).field("why", dropped.why).end_object();
  }
  out.end_array();
  out.key("rounded").begin_array();
  for (const RoundedSize& rounded : path.rounded) {
    out.begin_object().field("size", rounded.from).field("to", rounded.to).end_object();
  }
  out.end_array();
  out.field("filter_modulus", path.filter.modulus);
  write_requirement(out, path.step->requirement.usable);
  out.end_object();
}

void write_path(JsonWriter& out, std::string_view path) {
  out.key("path");
  if (path.empty()) {
    out.null();
  } else {
    out.value(path);
  }
}

void write_witness(JsonWriter& out, const Witness& witness, std::string_view path) {
  out.begin_object();
  write_path(out, path);
  out.field("tokens", witness.tokens);
  if (witness.requests) out.field("requests", *witness.requests);
  if (witness.rank) out.field("rank", *witness.rank);
  if (witness.layer) out.field("layer", *witness.layer);
  if (!witness.op.empty()) out.field("op", witness.op);
  if (!witness.group.empty()) {
    out.field("group", witness.group).field("group_size", witness.group_size);
  }
  if (!witness.event.empty()) out.field("event", witness.event);
  if (witness.event_index) out.field("event_index", *witness.event_index);
  if (!witness.buffer.empty()) out.field("buffer", witness.buffer);
  if (!witness.key.empty()) out.field("key", witness.key);
  out.end_object();
}

void write_finding(JsonWriter& out, const Finding& finding) {
  out.begin_object();
  out.field("law", finding.law);
  write_path(out, finding.path);
  out.field("verdict", name_of(finding.verdict));
  out.field("known", name_of(finding.known));
  out.field("symptom", name_of(finding.symptom));
  out.key("witness");
  if (finding.witness) {
    write_witness(out, *finding.witness, finding.path);
  } else {
    out.null();
  }
  out.key("first_in_time");
  if (finding.first_in_time) {
    out.begin_object().field("event", finding.first_in_time->event);
    out.field("tokens", finding.first_in_time->tokens).end_object();
  } else {
    out.null();
  }
  out.key("blame");
  if (finding.blame.empty()) {
    out.null();
  } else {
    out.value(finding.blame);
  }
  if (!finding.rule.empty()) out.field("rule", finding.rule);
  if (!finding.reason.empty()) out.field("reason", finding.reason);
  if (!finding.see.empty()) out.key("see").array(finding.see);
  out.key("repair").array(finding.repair);
  out.end_object();
}

void write_losses(JsonWriter& out, const std::vector<PathLoss>& losses) {
  const auto write = [&out, &losses](bool waste_only) {
    out.begin_array();
    for (const PathLoss& loss : losses) {
      for (const LostSize& lost : loss.lost) {
        if (waste_only && !lost.usable) continue;
        out.begin_object().field("path", loss.path).field("size", lost.size);
        out.field("usable", lost.usable).key("goes_to").value_or_null(lost.goes_to);
        out.field("padded_tokens", lost.padded_tokens).field("why", lost.why).end_object();
      }
    }
    out.end_array();
  };
  out.key("lost");
  write(false);
  out.key("waste");
  write(true);
  out.key("eager").begin_array();
  for (const PathLoss& loss : losses) {
    for (const EagerInterval& interval : loss.eager) {
      out.begin_object().field("path", loss.path).field("from", interval.from);
      out.field("to", interval.to).end_object();
    }
  }
  out.end_array();
}

void write_refusal(JsonWriter& out, const Refusal& refusal) {
  out.key("refused").begin_object().field("stage", name_of(refusal.stage));
  out.field("rule", refusal.rule).key("text").value_or_null(refusal.text);
  out.field("hint", refusal.hint).end_object();
}

void write_error(JsonWriter& out, const Error& error) {
  out.key("error").begin_object().field("where", error.where);
  out.field("text", error.text).field("hint", error.hint).end_object();
}

}  // namespace

std::string to_json(const CheckResult& result, std::string_view id_json) {
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1});
  if (!id_json.empty()) out.key("id").raw(id_json);
  out.field("verdict", name_of(result.verdict));
  out.field("engine", result.engine).key("rules");
  if (result.lifecycle) {
    out.null();
  } else {
    out.value(result.rules);
  }
  if (result.error) write_error(out, *result.error);
  if (result.plan.refusal) write_refusal(out, *result.plan.refusal);
  if (result.lifecycle) {
    write_deployment(out, *result.lifecycle);
  } else {
    write_deployment(out, result.plan.deployment);
  }
  out.key("captures").begin_array();
  for (const CapturePath& path : result.plan.captures.paths) write_capture(out, path);
  if (result.lifecycle) {
    for (const PlanCapture& capture : result.lifecycle->captures) write_capture(out, capture);
  }
  out.end_array();
  if (result.lifecycle) out.key("without").array(result.without);
  out.key("laws").begin_array();
  for (const Finding& finding : result.findings) write_finding(out, finding);
  out.end_array();
  write_losses(out, result.losses);
  out.key("ignored_flags").array(result.plan.ignored_flags);
  out.key("assumed").array(result.plan.assumed);
  std::vector<std::string> undecided = result.undecided;
  undecided.insert(undecided.end(), result.plan.undecided.begin(), result.plan.undecided.end());
  out.key("undecided").array(undecided);
  out.key("notes").array(result.notes);
  out.field("repro", result.repro).end_object();
  return std::move(out).text();
}

}  // namespace capsize
