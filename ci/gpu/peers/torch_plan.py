#!/usr/bin/env python3
"""The same plan as a PyTorch program: what its graphs cost when torch.cuda.graph captures them.

    capsize check --emit-plan --rules 23972 -- python -m sglang.launch_server ... >plan.json
    python3 torch_plan.py plan.json [--path prefill] [--hidden 2048] [--dtype bf16] [--out FILE]

All ranks are emulated on one GPU: a value is one tensor [rank, row, element], a collective a sum or
a view over the first axis. Sizes are captured largest first into one memory pool, as engines do.
Each size is warmed up, run eagerly, captured and replayed on new inputs; every row of every rank is
compared with the model's mathematics on one rank (sim/models/exact_model.hpp: integers, so the
tolerance is 0) and with the eager run. Weights and inputs come from torch's generator.

Reads plans of a whole step in which all ranks do the same. JSON goes to FILE or standard output.
Exit status: 0 all sizes are right, 1 some element is wrong, 2 bad input or no CUDA device.
"""
import argparse
import json
import statistics
import sys
import time

UNITS, EXPERTS, EXPERTS_A_TOKEN, EXPERT_UNITS = 64, 8, 2, 32
COLLECTIVES = ("all_reduce", "reduce_scatter", "all_gather")


def fail(text):
    print(f"torch_plan: {text}", file=sys.stderr)
    sys.exit(2)


# ---- the plan -----------------------------------------------------------------------------------


def scaled(rows, numerator, denominator):
    if isinstance(rows, list):
        return [scaled(each, numerator, denominator) for each in rows]
    if rows * numerator % denominator != 0:
        fail(f"{rows} rows do not come out whole at another size")
    return rows * numerator // denominator


def flat(operations, layer=None):
    """Operations with their layer; a block with `repeat` is so many layers, one after the other."""
    out = []
    for each in operations:
        if "op" in each:
            out.append((layer if layer is not None else each.get("layer", 0), each))
            continue
        for turn in range(each.get("repeat", 1)):
            out += flat(each["ops"], each.get("layer", 0) + turn)
    return out


def captured_steps(plan, path):
    """[(size, operations)] in the order of the captures."""
    events, out = plan["events"], []
    for event in events:
        if event["event"] != "capture" or event.get("path") != path:
            continue
        like, tokens = event, event["tokens"]
        while "programs" not in like:
            like = events[like["like"]]
        if len(like["programs"]) != 1:
            fail("ranks do different things: this program knows one class of ranks")
        operations = [
            (layer, {**each, "rows_in": scaled(each["rows_in"], tokens, like["tokens"]),
                     "rows_out": scaled(each["rows_out"], tokens, like["tokens"])})
            for layer, each in flat(like["programs"][0]["ops"])]
        out.append((tokens, operations))
    return sorted(out, key=lambda step: -step[0])


def kinds_of(plan):
    """dense or sparse, layer by layer."""
    return [each["kind"] for each in plan["layers"] for _ in range(each["count"])]


# ---- the mathematics ----------------------------------------------------------------------------


def wrap(torch, value):
    return torch.remainder(value + 128, 256) - 128


def norm(torch, value):
    squares = (value.double() * value.double()).sum(-1, keepdim=True)
    mean = torch.floor(squares / value.shape[-1])
    q = torch.clamp(torch.floor(torch.sqrt(mean)), min=1).float()
    size = 4 * value.abs()
    steps = (size >= q).float() + (size >= 3 * q).float() + (size >= 5 * q).float()
    return torch.sign(value) * steps


def units(torch, x, up, down, mask=None):
    """up: [..., element, unit]; down: [..., unit, element]. What a share of the units adds."""
    active = ((torch.matmul(x, up).to(torch.int32) & 3) - 1).float()
    return torch.matmul(active if mask is None else active * mask, down)


def chosen(torch, x, router):
    """1 for the units of the experts that a token takes, else 0; the smaller index wins a tie."""
    logits = torch.matmul(x, router)
    place = torch.arange(EXPERTS, device=x.device, dtype=x.dtype)
    best = torch.topk(logits * EXPERTS - place, EXPERTS_A_TOKEN, dim=-1).indices
    return torch.zeros_like(logits).scatter(-1, best, 1.0)


class Model:
    """Weights of all layers, whole; shares are cut from them."""

    def __init__(self, torch, kinds, hidden, seed):
        self.torch, self.kinds, self.hidden = torch, kinds, hidden
        make = torch.Generator(device="cuda")
        make.manual_seed(seed)

        def values(choices, *shape):
            return torch.randint(0, choices, shape, generator=make, device="cuda").float()

        self.layers = []
        for kind in kinds:
            inner = EXPERTS * EXPERT_UNITS if kind == "sparse" else UNITS
            self.layers.append({
                "attention": (values(3, hidden, UNITS) - 1, 2 * values(2, UNITS, hidden) - 1),
                "mlp": (values(3, hidden, inner) - 1, 2 * values(2, inner, hidden) - 1),
                "router": 2 * values(2, hidden, EXPERTS) - 1})
        self.cut_weights = {}

    def weights_of(self, layer, name, share):
        """Whole, or the share of each rank, which is cut once."""
        if share is None:
            return self.layers[layer][name]
        group, index = share
        if (layer, name, group) not in self.cut_weights:
            up, down = self.layers[layer][name]
            cut = (up.t()[index].transpose(1, 2).contiguous(), down[index].contiguous())
            self.cut_weights[(layer, name, group)] = cut
        return self.cut_weights[(layer, name, group)]

    def part(self, layer, role, x, share=None):
        """One part of a layer; `share`: a group, and [rank, unit]: which units each rank has."""
        torch = self.torch
        is_attention = role == "attention"
        up, down = self.weights_of(layer, "attention" if is_attention else "mlp", share)
        mask = None
        if not is_attention and self.kinds[layer] == "sparse":
            mask = chosen(torch, x, self.layers[layer]["router"])
            mask = mask.repeat_interleave(EXPERT_UNITS, dim=-1)
            if share is not None:
                mask = torch.gather(mask, -1, share[1][:, None, :].expand(-1, x.shape[1], -1))
        return units(torch, x, up, down, mask)

    def oracle(self, entry):
        """The output rows on one rank: no plan, no collective."""
        torch = self.torch
        hidden, residual = entry, torch.zeros_like(entry)
        for layer in range(len(self.kinds)):
            for role in ("attention", "mlp"):
                residual = wrap(torch, hidden + residual)
                hidden = self.part(layer, role, norm(torch, residual))
        return wrap(torch, hidden + residual)


# ---- a step of all ranks ------------------------------------------------------------------------


def group_name(layout):
    """`g` of Partial(g) and Scattered(g); None of Replicated."""
    return layout.split("(")[1].rstrip(")") if "(" in layout else None


class Step:
    def __init__(self, torch, plan, model, operations, dtype):
        self.torch, self.model, self.dtype = torch, model, dtype
        self.world, self.operations = plan["world"], operations
        self.groups, self.position, self.shares, self.rows = {}, {}, {}, {}
        self.is_whole = {}
        for name, members in plan["groups"].items():
            if len({len(each) for each in members}) != 1:
                fail(f"groups of {name} differ in size")
            self.is_whole[name] = members == [list(range(self.world))]
            index = torch.tensor(members, device="cuda")
            back = torch.empty(self.world, dtype=torch.long, device="cuda")
            back[index.flatten()] = torch.arange(self.world, device="cuda")
            self.groups[name] = (index, back)
            place = torch.empty(self.world, dtype=torch.long, device="cuda")
            order = torch.arange(index.shape[1], device="cuda")
            place[index.flatten()] = order.repeat(len(members))
            self.position[name] = place

    def share_of(self, layer, operation):
        """Which units each rank has; None where each has all."""
        group = group_name(operation["out"]) if operation["out"].startswith("Partial") else None
        if group is None:
            return None
        sparse = operation["role"] != "attention" and self.model.kinds[layer] == "sparse"
        inner = EXPERTS * EXPERT_UNITS if sparse else UNITS
        key = (group, inner)
        if key not in self.shares:
            size = self.groups[group][0].shape[1]
            if inner % size != 0:
                fail(f"{inner} units cannot be shared by {size} ranks")
            each = self.torch.arange(inner // size, device="cuda")
            index = self.position[group][:, None] * (inner // size) + each[None, :]
            self.shares[key] = (group, index)
        return self.shares[key]

    def rows_of(self, group, rows):
        """[rank, row]: which of all rows each rank has where they are cut."""
        if (group, rows) not in self.rows:
            order = self.torch.arange(rows, device="cuda")
            self.rows[(group, rows)] = self.position[group][:, None] * rows + order[None, :]
        return self.rows[(group, rows)]

    def collective(self, operation, x):
        index, back = self.groups[operation["group"]]
        count, size = index.shape
        rows, hidden = x.shape[1:]
        is_whole = self.is_whole[operation["group"]]
        parts = x[None] if is_whole else x[index]  # [group, member, row, element]
        if operation["op"] == "all_gather":
            whole = parts.reshape(count, 1, size * rows, hidden).expand(-1, size, -1, -1)
        elif operation["op"] == "all_reduce":
            whole = parts.sum(1, keepdim=True).expand(-1, size, -1, -1)
        else:
            whole = parts.sum(1).reshape(count, size, rows // size, hidden)
        out = whole.reshape(count * size, -1, hidden)
        return out if is_whole else out[back]

    def cut(self, operation, x):
        """Each rank keeps its part of the rows."""
        index = self.rows_of(operation["group"], operation["rows_out"])
        return self.torch.gather(x, 1, index[:, :, None].expand(-1, -1, x.shape[2]))

    def operate(self, layer, each, inputs):
        torch = self.torch
        kind = each["op"]
        if kind == "add":
            residual = wrap(torch, inputs[0].float() + inputs[1].float())
            return norm(torch, residual).to(self.dtype), residual.to(self.dtype)
        if kind in COLLECTIVES:
            return self.collective(each, inputs[0]), None
        if kind == "slice":
            return self.cut(each, inputs[0]), None
        if kind in ("attention", "matmul", "kernel"):
            share = self.share_of(layer, each)
            out = self.model.part(layer, each["role"], inputs[0].float(), share)
            return out.to(self.dtype), None
        return fail(f"operation {kind} is not known to this program")

    def __call__(self, entry):
        """entry: [rank, row, element]. The output rows of all ranks."""
        by_id, last, residual = {}, entry, self.torch.zeros_like(entry)
        for layer, each in self.operations:
            if "from" in each:
                # Of an addition, its sum is what goes on as residual stream.
                found = [by_id[name] for name in each["from"]]
                stream = each.get("tensor") == "residual"
                inputs = [total if total is not None and
                          (stream or (each["op"] == "add" and place == 1)) else out
                          for place, (out, total) in enumerate(found)]
            else:
                inputs = [last, residual] if each["op"] == "add" else [last]
            out, total = self.operate(layer, each, inputs)
            if total is not None:
                residual = total
            if each.get("tensor") == "residual":
                residual = out
            else:
                last = out
            if "id" in each:
                by_id[each["id"]] = (out, total)
        return wrap(self.torch, last.float() + residual.float()).to(self.dtype)


# ---- the measurement ----------------------------------------------------------------------------


def entry_of(torch, rows, hidden, world, dtype, seed):
    make = torch.Generator(device="cuda")
    make.manual_seed(seed)
    one = torch.randint(-127, 128, (rows, hidden), generator=make, device="cuda").float()
    return one, one.to(dtype).expand(world, -1, -1).contiguous()


def wrong_elements(got, expected, step):
    """Of all ranks; a rank that holds a part of the rows holds those at its place."""
    rows, whole = got.shape[1], expected.shape[0]
    if rows == whole:
        return int((got.float() != expected[None]).sum())
    index = step.rows_of(group_name(step.operations[-1][1]["out"]), rows)
    return int((got.float() != expected[index]).sum())


def timed(torch, what):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    out = what()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) * 1e3, out


def measure_size(torch, step, model, size, pool, options):
    dtype = step.dtype
    one, first = entry_of(torch, size, options.hidden, step.world, dtype, size)
    other_one, other = entry_of(torch, size, options.hidden, step.world, dtype, size + 100003)
    static = first.clone()

    def warm_up():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step(static)
        torch.cuda.current_stream().wait_stream(side)

    warm_ms, _ = timed(torch, warm_up)
    eager_ms, eager = timed(torch, lambda: step(other))
    graph = torch.cuda.CUDAGraph()
    kept = {}

    def capture():
        with torch.cuda.graph(graph, pool=pool):
            kept["out"] = step(static)

    capture_ms, _ = timed(torch, capture)

    def replay(rows):
        static.copy_(rows)
        graph.replay()
        return kept["out"].clone()

    first_ms, got_first = timed(torch, lambda: replay(first))
    replay_ms, got = timed(torch, lambda: replay(other))

    def verify():
        return (wrong_elements(got_first, model.oracle(one), step) +
                wrong_elements(got, model.oracle(other_one), step) +
                int((got != eager).sum()))

    verify_ms, wrong = timed(torch, verify)
    record = {"size": size, "warm_up_ms": warm_ms, "eager_ms": eager_ms, "capture_ms": capture_ms,
              "first_replay_ms": first_ms, "replay_ms": replay_ms, "verify_ms": verify_ms,
              "total_ms": warm_ms + eager_ms + capture_ms + first_ms + replay_ms + verify_ms,
              "wrong": wrong}
    return record, graph


def measure(torch, plan, options):
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[options.dtype]
    torch.backends.cuda.matmul.allow_tf32 = False
    steps = captured_steps(plan, options.path)
    if not steps:
        fail(f"the plan captures nothing on the path {options.path}")
    model = Model(torch, kinds_of(plan), options.hidden, 1)
    # The first call of every kernel loads it and cuts the weights, which is no size's doing.
    Step(torch, plan, model, steps[-1][1], dtype)(
        entry_of(torch, steps[-1][0], options.hidden, plan["world"], dtype, 0)[1])
    torch.cuda.synchronize()
    pool = torch.cuda.graph_pool_handle()
    records, graphs = [], []
    begin = time.perf_counter()
    for size, operations in steps:
        step = Step(torch, plan, model, operations, dtype)
        record, graph = measure_size(torch, step, model, size, pool, options)
        records.append(record)
        graphs.append((step, graph))  # all graphs stay alive, as a server keeps them
    seconds = time.perf_counter() - begin
    return {
        "schema": 1, "program": "torch", "torch": torch.__version__,
        "device": torch.cuda.get_device_name(), "path": options.path, "ranks": plan["world"],
        "layers": len(model.kinds), "hidden": options.hidden, "dtype": options.dtype,
        "sizes": records, "seconds": seconds,
        "milliseconds_per_size": seconds * 1e3 / len(records),
        "capture_ms_median": statistics.median(each["capture_ms"] for each in records),
        "replay_ms_median": statistics.median(each["replay_ms"] for each in records),
        "wrong": sum(each["wrong"] for each in records)}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("plan")
    parser.add_argument("--path", default="prefill")
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--dtype", default="bf16", choices=("bf16", "fp16", "fp32"))
    parser.add_argument("--out")
    options = parser.parse_args()
    try:
        with open(options.plan, encoding="utf-8") as file:
            plan = json.load(file)
    except (OSError, ValueError) as error:
        fail(f"{options.plan}: {error}")
    if "layers" not in plan:
        fail("the plan names no layers, so there is no mathematics to run")
    try:
        import torch
    except ImportError:
        fail("there is no torch here")
    if not torch.cuda.is_available():
        fail("there is no CUDA device here")
    with torch.no_grad():
        result = measure(torch, plan, options)
    text = json.dumps(result, indent=1) + "\n"
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
