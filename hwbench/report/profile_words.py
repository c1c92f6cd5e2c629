"""What a profile says of itself in words, the same on the page and in the terminal."""

from typing import Any

import pandas as pd

from hwbench.analysis.profile.advice import MOST_MISSED
from hwbench.analysis.profile.operators import ProfiledCase
from hwbench.analysis.profile.tables import HOLDERS
from hwbench.analysis.profile.waterfall import NoWaterfall, Waterfall
from hwbench.report.numbers import count, quantity

PARTS = {
    "compute": "Compute, at the matmul ceiling",
    "memory": "Memory, at the measured bandwidth",
    "launch_and_idle": "Launches and idle gaps",
    "framework": "Framework",
    "rest": "The rest",
}
RESTS = {
    "matmul": "Products beyond their ceiling",
    "attention": "Attention beyond its ceiling",
    "memory": "Other operators beyond the bandwidth",
    "no_ceiling": "Operators without a known ceiling",
}
CAUSES = {
    "host_late": "the host was late",
    "kernel_wait": "a kernel waited in the queue",
    "other": "cannot be told",
}
"""The parts of a waterfall, of its rest, and the causes of idle gaps."""

NOT_SMALL = 0.02
"""From this share of the step on, the page says that the parts had to be scaled."""


def lines(case: ProfiledCase, result: Waterfall | NoWaterfall) -> list[str]:
    """Return what the profiler itself cost, and what else a profile says in a number."""
    steps = count(max(case.steps.values(), default=0), "step")
    processes = count(len(case.processes), "process")
    said = [
        f"{steps} profiled in {processes}: {quantity(case.profiled_step_s, 's')} a step, "
        f"against {quantity(case.clean_step_s, 's')} without the profiler{_cost(case)}."
    ]
    if isinstance(result, Waterfall):
        said += _scaling(result)
        said += [f"Not accounted for: {note}." for note in result.notes]
    if case.threads is not None:
        threads = count(int(case.threads), "thread")
        said.append(f"{threads} computed, busy {quantity(case.busy_share, '1', 3)} of the time.")
    if case.device_busy_s is not None:
        parts = (case.device_busy_s, case.launch_s, case.copy_s)
        busy, launch, copy = (quantity(value, "s") for value in parts)
        said.append(
            f"The device was busy for {busy} of a step, {copy} of it copying; "
            f"the host spent {launch} launching."
        )
    return said


def unknown(case: ProfiledCase, result: Waterfall | NoWaterfall) -> dict[str, str]:
    """Return what is not known of a profile, with the reason of each."""
    missing = {"waterfall": result.reason} if isinstance(result, NoWaterfall) else {}
    return missing | dict(case.unknown)


def peak(held: pd.DataFrame) -> dict[str, Any] | None:
    """Return what holds the most memory of a step: bytes by holder, the operator and its place;
    None where it is unknown."""
    if held.empty:
        return None
    row = held.loc[held.total_bytes.idxmax()]
    return {
        "position": int(row.position),
        "name": str(row["name"]),
        "span": str(row.span),
        "total_bytes": int(row.total_bytes),
        "held_bytes": {name.removesuffix("_bytes"): int(row[name]) for name in HOLDERS},
    }


def times(calls: float) -> str:
    """How often a step calls something; a mean over steps need not be a whole number."""
    return f"{calls:,.6g}"


def _scaling(result: Waterfall) -> list[str]:
    missed = result.missed_s / result.clean_step_s
    said = []
    if abs(missed) >= NOT_SMALL:
        said.append(
            f"Before they were scaled the parts came to {quantity(abs(missed), '1', 2)} "
            f"{'more' if missed > 0 else 'less'} than the clean step: "
            "trust them no further than that."
        )
    if abs(missed) > MOST_MISSED:
        said.append(
            "Something disturbed the clean steps or the profiled ones, so no loss is named; "
            "profile again."
        )
    return said


def _cost(case: ProfiledCase) -> str:
    """What made the profiled step longer, in the words that end a sentence."""
    if case.overhead < -NOT_SMALL:
        return ", which cannot make a step faster: something disturbed the clean ones"
    if case.overhead <= 0:
        return ""
    own_s = case.event_s * case.events
    longer = f", {quantity(case.overhead, '1', 3)} more"
    if own_s < (1 - NOT_SMALL) * (case.profiled_step_s - case.clean_step_s):
        return (
            f"{longer}, of which it can have cost {quantity(own_s, 's')} at most, "
            "which is taken off; the rest is noise"
        )
    return f"{longer}, which is taken off by the events that it recorded"
