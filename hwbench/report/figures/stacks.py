"""The parts of a step as shares of the whole."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwbench.analysis.metrics.steps import REST as REST_OF_STEP
from hwbench.report.charts.stacks import Stacks
from hwbench.report.figures.style import HATCHES, INK, REST, SERIES
from hwbench.report.numbers import short

ROOM = 0.07
"""The least share of a part whose share is written into it."""


def stacks(chart: Stacks, legend: Sequence[str] = ()) -> Figure:
    """Draw a bar of 100 % for each case, cut into its spans, with what a step takes at its end.
    `legend` says which run is A, B, … where there are several."""
    figure = Figure(figsize=(6.3, 1.1 + 0.3 * len(chart.shares)), layout="constrained")
    axes = figure.add_subplot()
    looks = {REST_OF_STEP: (REST, "")}
    for series, name in enumerate(name for name in chart.names if name != REST_OF_STEP):
        looks[name] = (SERIES[series % len(SERIES)], HATCHES[series % len(HATCHES)])
    for row, (label, spans) in enumerate(chart.shares.items()):
        start = 0.0
        for name, share in spans.items():
            color, hatch = looks[name]
            axes.barh(
                row, share, 0.66, start, color=color, hatch=hatch, edgecolor="white", label=name
            )
            if share >= ROOM:
                _write(axes, start + share / 2, row, f"{share:.0%}".replace("%", " %"))
            start += share
        axes.text(1.01, row, chart.totals[label], va="center", fontsize=8)
    axes.set_yticks(range(len(chart.shares)), [short(label, 48) for label in chart.shares])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False)
    axes.set(
        xlim=(0, 1),
        ylim=(len(chart.shares) - 0.5, -0.5),
        xlabel="\n".join(["share of the median step", *legend]),
    )
    axes.xaxis.set_major_formatter(lambda tick, position: f"{tick:.0%}".replace("%", " %"))
    axes.set_title(chart.title)
    handles, labels = axes.get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    names = [short(name, 32) for name in entries]
    figure.legend(entries.values(), names, loc="outside lower left", ncols=4)
    return figure


def _write(axes: Axes, x: float, y: float, text: str) -> None:
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(x, y, text, ha="center", va="center", fontsize=7, bbox=behind)
