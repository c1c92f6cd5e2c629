"""The figures of a profile: what a step is made of, and what its memory holds."""

import numpy as np
from matplotlib.figure import Figure

from hwbench.report.charts.profile import Cascade, Memory
from hwbench.report.figures.style import HATCHES, INK, MUTED, REST, SERIES
from hwbench.report.numbers import scale_of, short


def cascade(chart: Cascade) -> Figure:
    """Draw the parts of a step, one below the other, each from where the last ended, and the whole
    below them."""
    divisor, unit = scale_of(chart.whole.value, "s")
    figure = Figure(figsize=(6.3, 2.6), layout="constrained")
    axes = figure.add_subplot()
    start = 0.0
    for row, bar in enumerate(chart.bars):
        width = bar.value / divisor
        color, hatch = SERIES[row % len(SERIES)], HATCHES[row % len(HATCHES)]
        axes.barh(row, width, 0.62, start, color=color, hatch=hatch, edgecolor="white")
        start += width
        axes.plot([start, start], [row - 0.31, row + 1.31], color=MUTED, linewidth=0.8)
    last = len(chart.bars)
    axes.barh(last, chart.whole.value / divisor, 0.62, color=REST)
    bars = [*chart.bars, chart.whole]
    axes.set_yticks(range(last + 1), [bar.label for bar in bars])
    for row, bar in enumerate(bars):
        axes.text(
            1.01, row, bar.text, va="center", fontsize=8, transform=axes.get_yaxis_transform()
        )
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.set(xlim=(0, chart.whole.value / divisor or 1), ylim=(last + 0.5, -0.5), xlabel=unit)
    axes.set_title(short(chart.title))
    return figure


def memory(chart: Memory) -> Figure:
    """Draw bytes over the operators of a step, stacked; a line marks the peak."""
    total = chart.tops[-1]
    peak = int(np.argmax(total))
    divisor, unit = scale_of(float(total[peak]), "B")
    figure = Figure(figsize=(6.3, 3.2), layout="constrained")
    axes = figure.add_subplot()
    areas = axes.stackplot(
        chart.positions,
        [area.held / divisor for area in chart.areas],
        labels=[area.label for area in chart.areas],
        colors=[SERIES[number % len(SERIES)] for number in range(len(chart.areas))],
        edgecolor="white",
        linewidth=0.4,
    )
    for number, area in enumerate(areas):
        area.set_hatch(HATCHES[number % len(HATCHES)])
    at = float(chart.positions[peak])
    axes.axvline(at, color=INK, linewidth=0.9, linestyle="--")
    axes.annotate(
        f"peak {total[peak] / divisor:.3g} {unit}",
        (at, 1),
        (4, -9),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        fontsize=8,
    )
    axes.set(xlabel="operators of a step, in order", ylabel=unit)
    axes.margins(x=0)
    axes.set_title(short(chart.title))
    figure.legend(loc="outside lower left", ncols=6)
    return figure
