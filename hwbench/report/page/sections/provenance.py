"""How a run was measured: its policy, the command that repeats it, and the whole environment."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.report.numbers import count, quantity
from hwbench.report.page.cells import Cell, Table
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections import machines
from hwbench.report.view import RunView

CLOCKS = {"device_event": "events in the device's queue", "host": "the host's monotonic clock"}


@dataclass(frozen=True)
class RunProvenance:
    """How one run was measured, and the command that runs it again."""

    run: RunView
    policy: Table
    command: str


@dataclass(frozen=True)
class Provenance:
    """How the runs were measured; `everything` is all that was recorded of their machines."""

    parts: Sequence[RunProvenance]
    everything: Table


def content(page: PageRuns) -> Provenance:
    """Return what the section shows."""
    parts = [RunProvenance(run, policy(run), shlex.join(run.tables.argv)) for run in page.views]
    return Provenance(parts, machines.everything(page.views))


def policy(run: RunView) -> Table:
    """Return how long and how often was measured."""
    settings = run.tables.planned.policy
    kinds = sorted(set(run.tables.measurements.timer_kind.dropna()))
    least, most = quantity(settings.min_time_s, "s"), quantity(settings.max_time_s, "s")
    steps = count(1 if settings.min_samples is None else settings.min_samples, "step")
    processes = f"{count(settings.processes, 'fresh process')} a case"
    clocks = ", ".join(CLOCKS.get(kind, kind) for kind in kinds)
    lines = {
        "Processes": f"{processes}; {run.stored} of {run.planned} stored",
        "Window": f"{least} or more and {steps} or more, after warm-up; "
        f"no step is begun after {most}",
        "Time-out": quantity(settings.timeout_s, "s"),
        "Budget": quantity(settings.budget_s, "s") if settings.budget_s else "none",
        "Seed": json.dumps(settings.seed),
        "Clock of the steps": clocks or "nothing was timed",
    }
    rows = [[Cell(title, head=True), Cell(text)] for title, text in lines.items()]
    return Table("How long and how often", "ll", ["Setting", "Value"], rows)
