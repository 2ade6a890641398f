"""How an engine writes a plan: record collectives where they are issued, events where they happen.

Run as `python3 dump_plan.py > plan.json`; the loop at the end stands for an engine's start-up.
"""
import json
import sys

plan = {"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]}, "events": []}


def run(event, path, tokens, mode, forward, **more):
    """Runs `forward`, which yields (op, group, rows_in, rows_out), and records what it issued."""
    ops = [dict(zip(("op", "group", "rows_in", "rows_out"), each)) for each in forward(tokens)]
    program = {"ranks": "0-1", "mode": mode, "bucket": tokens, "ops": ops, **more}
    plan["events"].append(
        {"event": event, "path": path, "tokens": tokens, "programs": [program]})


def layer(rows):
    yield "reduce_scatter", "tp", rows, rows // 2
    yield "all_gather", "tp", rows // 2, rows


run("warm_up", "prefill", 4, "eager", layer)
for size in (8, 6, 4):
    run("capture", "prefill", size, "graph", layer, key={"tokens": size})
json.dump(plan, sys.stdout)
