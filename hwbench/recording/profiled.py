"""A run that profiles one case: with the ceilings that the case is held against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwbench.discovery import discover
from hwbench.recording.matrix import Choice, Plan, make_plan, named, settle
from hwbench.recording.runner import Progress
from hwbench.recording.session import Session
from hwbench.records import Case

NOT_NEEDED = "not measured: the case that it is a ceiling of has no figures"


def settle_with_ceilings(plan: Plan, files: Sequence[str], device_info: Mapping[str, Any]) -> Plan:
    """The plan of one case, settled for the device, with the ceilings of the machine before it:
    products in the case's dtype, and copies.

    A product in a format that the device only emulates is no ceiling, and is left out.
    """
    plan = settle(plan, device_info)
    case = plan.cases[0]
    gemm, copy = named(discover(files, ("gemm", "copy")), ("gemm", "copy"))
    multiplied = {"fp8": ("fp8", "bf16")}.get(case.dtype, (case.dtype,))
    dtypes = [dtype for dtype in multiplied if dtype in gemm.axes["dtype"].choices]
    choices: list[Choice] = [(gemm, {"dtype": dtypes})] if dtypes else []
    choices.append((copy, {"op": ["copy", "read"]}))
    ceilings = settle(make_plan(choices, {}, plan.policy), device_info)
    others = [other for other in ceilings.cases if other.case_id != case.case_id]
    left_out = {
        case_id: why for case_id, why in ceilings.left_out.items() if case_id != case.case_id
    }
    return replace(plan, cases=(*others, case), left_out={**left_out, **plan.left_out})


def measure_profiled(
    session: Session, on_progress: Callable[[Progress], None], trace: Path | None
) -> Case:
    """Measure the last case of the plan once, with a profiled pass whose trace goes to the file
    `trace`, then the ceilings before it; returns that case.

    The case comes first: one that is refused or fails needs no ceilings, which take a minute.
    """
    runner, left_out = session.runner(on_progress), session.plan.left_out
    *ceilings, profiled_case = session.plan.cases
    if reason := left_out.get(profiled_case.case_id):
        outcome = runner.leave_out(profiled_case, reason).outcome
    else:
        profiled = {"trace": str(trace) if trace else None}
        outcome = runner.measure(profiled_case, 0, profiled=profiled).outcome
    for ceiling in ceilings:
        reason = left_out.get(ceiling.case_id) or ("" if outcome == "ok" else NOT_NEEDED)
        if reason:
            runner.leave_out(ceiling, reason)
        else:
            runner.measure(ceiling, 0)
    return profiled_case
