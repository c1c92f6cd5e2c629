"""How long the steps of a case took: percentiles, their distribution, and over the time of the
window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwbench.analysis.metrics.latency import PERCENTILES
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.report.charts.step_times import Processes, StepTimes, step_times
from hwbench.report.numbers import quantity
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures.step_times import distribution, over_time
from hwbench.report.page.section import PageRuns
from hwbench.report.view import RunView

MOST_DISTRIBUTIONS = 40
"""Cases of a page whose step times are drawn; their percentiles are in the table for all cases."""

PARTS = 8
"""Rows of the data of a figure over time: parts of the window of equal length."""

QUANTILES = (0, 10, 25, 50, 75, 90, 95, 99, 100)

Samples = Mapping[str, pd.DataFrame]
"""The timed samples of each case by its case_id."""


@dataclass(frozen=True)
class RunSteps:
    """The step times of one run: a row of `steps` a case, and two figures for the first cases."""

    run: RunView
    steps: Table
    distributions: Sequence[Panel]


@dataclass(frozen=True)
class Steps:
    """The step times of all runs; `least_samples` is how many steps each percentile needs."""

    parts: Sequence[RunSteps]
    least_samples: Mapping[str, int]


def content(page: PageRuns) -> Steps:
    """Return what the section shows."""
    most = MOST_DISTRIBUTIONS // len(page.views)
    least = {name: least for name, least in PERCENTILES.items() if least > 1}
    return Steps([_part(run, most) for run in page.views], least)


def percentiles(run: RunView, samples: Samples) -> Table:
    """Return the distribution of step times, from the metrics."""
    rows = []
    for case in run.cases:
        if case.case_id not in samples:
            continue
        steps = samples[case.case_id].step_s
        figures = [case.get(f"step_s_{p}") for p in PERCENTILES]
        times = [quantity(value, "s") for value in (steps.min(), *figures, steps.max())]
        counts = [f"{case.processes}", f"{len(steps):,}"]
        rows.append([Cell(case.short, head=True), *map(Cell, [*counts, *times])])
    head = ["Case", "Processes", "Steps", "Fastest", *PERCENTILES, "Slowest"]
    return Table("Step times", "l" + "r" * (len(head) - 1), head, rows)


def panels(chart: StepTimes, letter: str) -> list[Panel]:
    """Return the two figures of a case: how its steps are distributed, and how long they took over
    the time of the window."""
    name = f"{letter}-{chart.case_id}"
    spread, drift = f"{chart.label}: distribution", f"{chart.label}: over time"
    return [
        Panel(spread, distribution(chart, f"steps-{name}", spread), _quantiles(chart, spread)),
        Panel(drift, over_time(chart, f"drift-{name}", drift), _parts(chart.shown, drift)),
    ]


def _part(run: RunView, most: int) -> RunSteps:
    samples: Samples = dict(iter(timed_samples(run.tables).groupby("case_id")))
    charts = step_times(run, samples, most)
    drawn = [panel for chart in charts for panel in panels(chart, run.letter)]
    return RunSteps(run, percentiles(run, samples), drawn)


def _quantiles(chart: StepTimes, caption: str) -> Table:
    """Quantiles of the steps of each process, a row each."""
    rows = []
    for process, seconds in chart.shown.items():
        times = np.quantile(seconds, np.array(QUANTILES) / 100)
        texts = [f"{len(seconds):,}", *(quantity(time, "s") for time in times)]
        rows.append([Cell(f"{process}", head=True), *map(Cell, texts)])
    head = ["Process", "Steps", "Fastest", *(f"{q} %" for q in QUANTILES[1:-1]), "Slowest"]
    return Table(f"{caption}, by process", "l" + "r" * (len(head) - 1), head, rows)


def _parts(processes: Processes, caption: str) -> Table:
    """The median step of each process in each part of its window, with its fastest and slowest."""
    cut = {
        process: np.array_split(seconds, min(PARTS, len(seconds)))
        for process, seconds in processes.items()
    }
    rows = []
    for part in range(max(map(len, cut.values()))):
        cells = [
            _range(groups[part]) if part < len(groups) else Cell("") for groups in cut.values()
        ]
        rows.append([Cell(f"{part + 1}", head=True), *cells])
    head = ["Part of the window", *(f"Process {process}" for process in cut)]
    return Table(f"{caption}, median of each part of the window", "l" + "r" * len(cut), head, rows)


def _range(seconds: NDArray[np.float64]) -> Cell:
    least, middle, most = (
        quantity(float(value), "s") for value in (seconds.min(), np.median(seconds), seconds.max())
    )
    return Cell(middle, sub=f"{least} to {most}" if len(seconds) > 1 else "")
