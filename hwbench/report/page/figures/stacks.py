"""Bars cut into the spans of a step."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from hwbench.analysis.metrics.steps import REST as REST_OF_STEP
from hwbench.report.numbers import clean
from hwbench.report.page.figures.bars import GAP, LABEL
from hwbench.report.page.figures.marks import (
    LINE_OF_LEGEND,
    WIDE,
    color,
    legend,
    legend_text,
    patch,
    short,
    tipped,
)
from hwbench.report.page.figures.svg import HATCHES, REST, SURFACE, canvas


def stacks(shares: Mapping[str, Mapping[str, float]], totals: Mapping[str, str]) -> Figure:
    """A bar of 100 % for each label, cut into its spans: {label: {span: share}}, with `totals` at
    the bars' ends."""
    names = list(dict.fromkeys(name for spans in shares.values() for name in spans))
    named = [name for name in names if name != REST_OF_STEP]
    names = [*named, REST_OF_STEP] if len(named) < len(names) else named
    styles = {name: (color(i), HATCHES[i % len(HATCHES)]) for i, name in enumerate(named)} | {
        REST_OF_STEP: (REST, "")
    }
    places, lines = legend(names)
    head = LINE_OF_LEGEND * lines + 8
    height = head + len(shares) * (LABEL + 22 + GAP) + 24
    figure, axes = canvas(WIDE, height, 12, 80, head, 24)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(shares), 0)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:.0f} %"))
    for row, (label, spans) in enumerate(shares.items()):
        axes.text(0, row + 0.32, short(label), va="bottom", parse_math=False)
        start = 0.0
        for name, share in spans.items():
            box = patch(100 * start, row + 0.4, 100 * share, 0.42, *styles[name])
            axes.add_artist(tipped(box, f"{name} {share:.1%}".replace("%", " %")))
            if share > 0.02 * len(f"{name} 00 %"):
                behind = {"facecolor": SURFACE, "edgecolor": "none", "pad": 1.5}
                text = f"{clean(name)} {share:.0%}".replace("%", " %")
                axes.text(
                    100 * (start + share / 2),
                    row + 0.61,
                    text,
                    ha="center",
                    va="center",
                    bbox=behind,
                    fontsize=10,
                    parse_math=False,
                )
            start += share
        axes.annotate(
            totals[label], (100, row + 0.61), xytext=(8, 0), textcoords="offset points", va="center"
        )
    for name, (x, line) in places.items():
        y = 1 - (LINE_OF_LEGEND * line + 9) / height
        figure.add_artist(patch(x / WIDE, y - 6 / height, 12 / WIDE, 12 / height, *styles[name]))
        legend_text(figure, name, x, y)
    return figure
