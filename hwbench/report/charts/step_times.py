"""How long the steps of a case took, process by process."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwbench.report.numbers import scale_of
from hwbench.report.view import RunView

MOST_LINES = 10
"""Processes drawn: more lines could not be told apart."""

BEYOND = 1e9
"""A step this many times as long as the median cannot be drawn in the median's unit."""

Processes = Mapping[int, NDArray[np.float64]]
"""The timed steps of each process in their order, in seconds, by the process's number."""


@dataclass(frozen=True)
class StepTimes:
    """The timed steps of a case."""

    case_id: str
    label: str
    processes: Processes

    @cached_property
    def shown(self) -> Processes:
        """The first MOST_LINES processes."""
        return dict(list(self.processes.items())[:MOST_LINES])

    @cached_property
    def scale(self) -> tuple[float, str]:
        """The divisor and the unit of the times that are shown."""
        every = np.concatenate(list(self.shown.values()))
        typical, most = float(np.median(every)), float(every.max())
        return scale_of(typical if most < BEYOND * typical else most, "s")

    @property
    def scaled(self) -> Processes:
        """The times that are shown in the unit of `scale`."""
        divisor, _ = self.scale
        return {process: seconds / divisor for process, seconds in self.shown.items()}

    @property
    def names(self) -> list[str]:
        """What a legend calls the lines: "process 0", "1", "2"."""
        return [f"{'' if n else 'process '}{process}" for n, process in enumerate(self.shown)]


def step_times(run: RunView, timed: Mapping[str, pd.DataFrame], most: int) -> list[StepTimes]:
    """Return the steps of at most `most` cases of the run; `timed` has the timed samples of each
    case by its case_id."""
    cases = [case for case in run.cases if case.case_id in timed][:most]
    charts = [
        StepTimes(case.case_id, case.short, processes_of(timed[case.case_id])) for case in cases
    ]
    return [times for times in charts if times.processes]


def processes_of(samples: pd.DataFrame) -> Processes:
    """Return the timed samples of a case by process, without steps that have no finite time."""
    ordered = samples.sort_values(["process", "step"], kind="stable")
    processes = {}
    for process, rows in ordered.groupby("process").step_s:
        seconds = rows.to_numpy(np.float64)
        if np.isfinite(seconds).any():
            processes[int(process)] = seconds[np.isfinite(seconds)]
    return processes
