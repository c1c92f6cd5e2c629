"""How a run goes, on standard error: a bar on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from hwbench.plan import Plan
from hwbench.runner import Progress


class Reporter(Protocol):
    """Shows each thing that happens in a run. A context: what it drew is gone or complete after it."""

    def __enter__(self) -> "Reporter": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, progress: Progress) -> None: ...


class TimeLeft:
    """Time left, from how long each case took so far: cases differ far more from each other than from themselves."""

    def __init__(self, plan: Plan) -> None:
        self._waiting = [case.case_id for _, case in plan.rounds()]
        self._took: dict[str, float] = {}
        self._began = time.monotonic()

    def update(self, progress: Progress) -> None:
        if progress.kind == "started":
            self._began = time.monotonic()
        elif progress.kind == "done":
            self._waiting.pop(0)
            if progress.measurement:
                self._took[progress.case.case_id] = time.monotonic() - self._began

    def __str__(self) -> str:
        if not self._took:
            return ""
        typical = sum(self._took.values()) / len(self._took)
        seconds = round(sum(self._took.get(case_id, typical) for case_id in self._waiting))
        return f"{seconds // 60}:{seconds % 60:02d} left"


class BarReporter:
    """One line that is redrawn: how many processes are done, the case, its round and phase, the time left."""

    def __init__(self, plan: Plan) -> None:
        self._processes = plan.policy.processes
        self._left = TimeLeft(plan)
        self._bar = Bar(
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", style="cyan"),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=len(plan.cases) * self._processes, left="")

    def __enter__(self) -> "BarReporter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        self._left.update(progress)
        where = f"{progress.case} · round {progress.process + 1}/{self._processes} {progress.phase}"
        self._bar.update(self._task, description=where, left=str(self._left), advance=progress.kind == "done")
        if progress.measurement and progress.measurement.outcome != "ok":
            self._bar.console.print(_failure(progress), markup=False, highlight=False)


class LineReporter:
    """One line for each process that is done, for logs."""

    def __init__(self, plan: Plan) -> None:
        self._processes = plan.policy.processes
        self._left = TimeLeft(plan)

    def __enter__(self) -> "LineReporter":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, progress: Progress) -> None:
        self._left.update(progress)
        if progress.measurement is None:
            return
        if progress.measurement.outcome != "ok":
            click.echo(_failure(progress), err=True)
            return
        window = progress.measurement.window
        assert window
        result = f"{window.timed_steps} steps in {window.window_s:.1f} s"
        click.echo(f"round {progress.process + 1}/{self._processes} {progress.case}: {result}; {self._left}", err=True)


def reporter(plan: Plan) -> Reporter:
    """The bar where standard error is a terminal, else the lines."""
    return BarReporter(plan) if Console(stderr=True).is_terminal else LineReporter(plan)


def _failure(progress: Progress) -> str:
    assert progress.measurement
    return f"{progress.case}: {progress.measurement.outcome}: {progress.measurement.reason}"
