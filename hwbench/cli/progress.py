"""Show the progress of a run on standard error: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from hwbench.cli.console import error_console
from hwbench.cli.options import print_line
from hwbench.printable import printable
from hwbench.recording.matrix import Plan
from hwbench.recording.rounds import Rounds
from hwbench.recording.runner import Progress
from hwbench.records import FAILED, Case
from hwbench.report.numbers import count


class Reporter(Protocol):
    """Called with each thing that happens in a run. A context: on leaving it, the bar is gone or
    the lines are complete."""

    def __enter__(self) -> "Reporter": ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def __call__(self, progress: Progress) -> None: ...


class Tally:
    """What is done of a run, what is left, and how long that will take.

    Each case is expected to take as long as it did so far: cases differ far more from each other
    than from process to process.
    """

    def __init__(self, plan: Plan) -> None:
        self._cases = plan.cases
        self._budget_s, self._started = plan.policy.budget_s, time.monotonic()
        self._rounds = Rounds(plan)
        self._took: dict[str, float] = {}
        self._began = time.monotonic()
        self.done = 0

    def update(self, progress: Progress) -> None:
        if progress.kind == "started":
            self._began = time.monotonic()
        elif progress.measurement:
            self._rounds.add(progress.case, progress.measurement)
            self._took[progress.case.case_id] = time.monotonic() - self._began
            self.done += 1

    @property
    def total(self) -> int:
        """The processes of the run as far as they are known to come."""
        return self.done + sum(map(self._rounds.fewest_left, self._cases))

    def round_of(self, progress: Progress) -> str:
        """`round 2/3`; in a round that only some cases need, `round 4/10` with the most rounds that
        there may be."""
        planned, most = self._rounds.planned, self._rounds.most
        return f"round {progress.process + 1}/{planned if progress.process < planned else most}"

    def left(self) -> str:
        """The time left: `2:05 left`; `2:05 to 6:40 left` if more rounds may follow; `2:05 of the
        budget left`. Empty until a process is done."""
        if not self._took:
            return ""
        if self._budget_s:
            spent_s = time.monotonic() - self._started
            return f"{_minutes(max(0, round(self._budget_s - spent_s)))} of the budget left"
        fewest, most = self._clock(self._rounds.fewest_left), self._clock(self._rounds.most_left)
        return f"{fewest} left" if fewest == most else f"{fewest} to {most} left"

    def _clock(self, processes: Callable[[Case], int]) -> str:
        typical = sum(self._took.values()) / len(self._took)
        left_s = [processes(case) * self._took.get(case.case_id, typical) for case in self._cases]
        return _minutes(round(sum(left_s)))


class BarReporter:
    """A line that is redrawn, with the processes done, the case, its round and phase, the time
    left."""

    def __init__(self, plan: Plan) -> None:
        self._tally = Tally(plan)
        self._bar = Bar(
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", style="cyan"),
            TextColumn("{task.description}", markup=False),
            console=error_console(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._tally.total, left="")

    def __enter__(self) -> "BarReporter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        self._tally.update(progress)
        where = printable(f"{progress.case} · {self._tally.round_of(progress)} {progress.phase}")
        done, total, left = self._tally.done, self._tally.total, self._tally.left()
        self._bar.update(self._task, description=where, left=left, completed=done, total=total)
        if progress.text:
            self._bar.console.print(printable(_remark(progress)), markup=False, highlight=False)
        if progress.measurement and progress.measurement.outcome != "ok":
            self._bar.console.print(printable(_failure(progress)), markup=False, highlight=False)


class LineReporter:
    """One line for each process that is done, for logs."""

    def __init__(self, plan: Plan) -> None:
        self._tally = Tally(plan)

    def __enter__(self) -> "LineReporter":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, progress: Progress) -> None:
        self._tally.update(progress)
        if progress.text:
            print_line(_remark(progress), err=True)
        if progress.measurement is None:
            return
        if progress.measurement.outcome != "ok":
            print_line(_failure(progress), err=True)
            return
        window = progress.measurement.window
        assert window
        result = f"{count(window.timed_steps, 'step')} in {window.window_s:.1f} s"
        where = f"{self._tally.round_of(progress)} {progress.case}"
        print_line(f"{where}: {result}; {self._tally.left()}", err=True)


def reporter(plan: Plan) -> Reporter:
    """A bar if standard error is a terminal, else lines."""
    return BarReporter(plan) if error_console().is_terminal else LineReporter(plan)


def _minutes(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def _remark(progress: Progress) -> str:
    return f"{progress.case}: {progress.text}"


def _failure(progress: Progress) -> str:
    assert progress.measurement
    measurement = progress.measurement
    has_log = progress.log and measurement.outcome in FAILED
    log = f" (log: {progress.log})" if has_log else ""
    return f"{progress.case}: {measurement.outcome}: {measurement.reason}{log}"
