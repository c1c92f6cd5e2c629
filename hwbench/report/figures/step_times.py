"""How long the steps of a case took: their distribution, and over the time of the window."""

import numpy as np
from matplotlib.figure import Figure

from hwbench.report.charts.series import binned, steps_up_to
from hwbench.report.charts.step_times import StepTimes
from hwbench.report.figures.style import DASHES, SERIES
from hwbench.report.numbers import scale_of, short

POINTS = 4000
"""Points of a line."""


def step_times(chart: StepTimes) -> Figure:
    """Draw, side by side and a line a process, the share of steps that took at most so long, and
    the time of each step over the time of the window."""
    (_, unit), scaled = chart.scale, chart.scaled
    ends = {process: np.cumsum(seconds) for process, seconds in chart.shown.items()}
    last_divisor, last_unit = scale_of(max(float(end[-1]) for end in ends.values()), "s")
    figure = Figure(figsize=(6.3, 2.9), layout="constrained")
    spread, drift = figure.subplots(1, 2)
    for series, (process, seconds) in enumerate(scaled.items()):
        look = {"color": SERIES[series % len(SERIES)], "linewidth": 1.1}
        dashes = DASHES[series % len(DASHES)]
        times, shares = steps_up_to(seconds, POINTS)
        label = f"process {process}"
        spread.step(times, shares, where="post", linestyle=dashes, label=label, **look)
        at = (ends[process] - chart.shown[process]) / last_divisor
        if len(seconds) > POINTS:
            at, low, middle, high = binned(at, seconds, POINTS // 4)
            drift.fill_between(at, low, high, color=look["color"], alpha=0.2, linewidth=0)
            drift.plot(at, middle, linestyle=dashes, **look)
        else:
            drift.plot(at, seconds, linestyle=dashes, **look)
    spread.set(xlabel=f"step time, {unit}", ylabel="% of steps at or below", ylim=(0, 101))
    drift.set(xlabel=f"time in the window, {last_unit}", ylabel=f"step time, {unit}")
    figure.suptitle(short(f"Step times: {chart.label}"), x=0.01, ha="left", fontsize=10)
    figure.legend(loc="outside lower left", ncols=5)
    return figure
