"""Profiles as torch's profiler makes them, small enough for every figure to be known, and runs with
them."""

import json
from dataclasses import replace

from hypothesis import strategies as st
from runs import profiled, run_of, with_measurements

from hwbench.records import Case
from hwbench.records.profile import Gaps, MemoryUse, Modules, Ops, Profile

TRAIN = Case(
    "gpt/train",
    {"size": "nano", "batch": 1, "seq": 64, "compile": False, "loss_chunks": None},
    "fp32",
)
GEMM = Case("gemm", {"n": 64}, "fp32")
COPY = Case("copy", {"op": "copy", "mb": 256}, "fp32")
FLOP_S, BYTE_S = 1e9, 1e9
"""The ceilings of `run_with`."""


def op(name, seconds, flops=None, bytes=None, *, level="operator", span="forward", **more):
    """A row of `ops` as a dict; times in seconds, by default one call and no event of the
    profiler."""
    row = {
        "level": level,
        "span": span,
        "module": "",
        "backward": False,
        "name": name,
        "shapes": "[]",
        "dtype": "fp32",
        "calls": 1.0,
        "events": 0.0,
        "seconds": seconds,
        "host_s": seconds,
        "flops": flops,
        "bytes": bytes,
    }
    return row | more


def columns(noun, rows):
    return noun(**{name: [row[name] for row in rows] for name in vars(noun())})


def profile_of(
    rows=(), clean=1.0, profiled_s=None, events=0.0, gaps=(), memory=(), modules=(), **more
) -> Profile:
    more = {"steps": 1} | more
    return Profile(
        clean_step_s=clean,
        profiled_step_s=clean if profiled_s is None else profiled_s,
        events=events,
        ops=columns(Ops, rows),
        gaps=columns(Gaps, gaps),
        memory=columns(MemoryUse, memory),
        modules=columns(Modules, modules),
        **more,
    )


def gap(seconds, cause, step=0):
    row = {"step": step, "span": "forward", "start_s": 0.0, "gap_s": seconds, "cause": cause}
    return row | {"after": "a", "before": "b"}


def run_with(
    *profiles,
    case=TRAIN,
    ceilings=(GEMM, COPY),
    run_id="r",
    environment=None,
    others=(),
    **measured,
):
    """A run of `case` with a profile a process, whose matmul and copy reach 1 GFLOP/s and 1
    GB/s."""
    run = _run_of(case, ceilings, run_id, others)
    run = with_measurements(run, case, **measured) if measured else run
    if environment is not None:
        run = replace(run, runs=run.runs.assign(environment=json.dumps(environment)))
    for process, profile in enumerate(profiles):
        run = profiled(run, case, profile, process)
    return run


def _run_of(case, ceilings, run_id, others):
    cases = [case, *others, *ceilings]
    run = run_of(*((one, [[0.001] * 10]) for one in cases), run_id=run_id)
    for ceiling in ceilings:
        is_copy = ceiling.workload == "copy"
        work = {"bytes": int(BYTE_S / 1000)} if is_copy else {"flops": int(FLOP_S / 1000)}
        run = with_measurements(run, ceiling, **work)
    return run


def training(scale=1.0, **more) -> Profile:
    """A training step of 1 s · `scale` on a CPU: 0.9 s in operators, 0.1 s in none, no cost of the
    profiler."""
    rows = [
        op("aten::addmm", 0.30, 0.20e9, 0.05e9, module="blocks.0.up", calls=2.0),
        op("aten::mm", 0.20, 0.15e9, 0.05e9, span="backward", backward=True, module="blocks.0.up"),
        op(
            "aten::_scaled_dot_product_flash_attention_for_cpu",
            0.10,
            0.04e9,
            0.01e9,
            module="blocks.0.attention",
        ),
        op("aten::gelu", 0.08, 0.0, 0.04e9, module="blocks.0"),
        op("aten::_log_softmax", 0.06, 0.0, 0.05e9),
        op("aten::_fused_adamw_", 0.10, 0.0, 0.09e9, span="optimizer"),
        op("aten::_to_copy", 0.04, 0.0, 0.03e9),
        op("mystery::op", 0.02),
    ]
    rows = [row | {name: row[name] * scale for name in ("seconds", "host_s")} for row in rows]
    spans = (("forward", 0.6), ("backward", 0.25), ("optimizer", 0.12), ("", 0.03))
    rows += [op(name, seconds * scale, level="span", span=name) for name, seconds in spans]
    memory = [
        memory_row(0, "aten::addmm", weights=400, activations=100, temporary=10),
        memory_row(1, "aten::mm", weights=400, gradients=300, activations=100),
        memory_row(2, "aten::_fused_adamw_", weights=400, gradients=300),
    ]
    modules = [module_row("", "GPT", 0.54, 0.0), module_row("blocks.0.up", "Linear", 0.3, 0.2)]
    return profile_of(
        rows, clean=scale, memory=memory, modules=modules, threads=2, busy_share=0.9, **more
    )


def memory_row(position, name, **bytes):
    kinds = ("weights", "gradients", "optimizer", "activations", "temporary", "other")
    held = {f"{kind}_bytes": bytes.get(kind, 0) for kind in kinds}
    return {"position": position, "span": "forward", "name": name} | held


def module_row(module, kind, forward, backward):
    return {
        "module": module,
        "kind": kind,
        "calls": 1.0,
        "forward_s": forward,
        "backward_s": backward,
        "self_forward_s": forward,
        "self_backward_s": backward,
        "flops": None,
    }


amounts = st.floats(0.0, 10.0, allow_subnormal=False)
works = st.one_of(st.none(), st.floats(0.0, 1e9, allow_subnormal=False))
names = st.sampled_from(
    ["aten::mm", "aten::add", "aten::_fused_adamw_", "aten::_flash_attention_forward", "x", ""]
)
operator_rows = st.builds(
    op,
    names,
    amounts,
    works,
    works,
    events=st.floats(0.0, 1e4),
    module=st.sampled_from(["", "a", "b"]),
)
gap_rows = st.builds(
    gap, amounts, st.sampled_from(["host_late", "kernel_wait", "other"]), st.integers(0, 3)
)
any_profile = st.builds(
    profile_of,
    st.lists(operator_rows, min_size=1, max_size=8),
    clean=st.floats(1e-6, 10.0),
    profiled_s=amounts,
    events=st.floats(0.0, 1e5),
    gaps=st.lists(gap_rows, max_size=4),
    device_busy_s=st.one_of(st.none(), amounts),
    steps=st.just(4),
)
"""Any profile of a few operators and gaps, for hypothesis."""
