"""A roofline with its points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from hwbench.report.numbers import clean, quantity, scale_of
from hwbench.report.page.figures.marks import LINE_OF_LEGEND, WIDE, legend, legend_text, mark
from hwbench.report.page.figures.svg import INK, LINE, canvas


@dataclass(frozen=True)
class Spot:
    """A point of a roofline: FLOP per byte, FLOP/s."""

    label: str
    intensity: float
    flops_per_s: float


def roofline(spots: Sequence[Spot], flops_per_s: float, memories: Mapping[str, float]) -> Figure:
    """FLOP/s over FLOP per byte, both logarithmic: the roof of the arithmetic, a slope for each of
    `memories` (name: B/s, the first of them drawn whole), and the spots under them, of which a
    legend has the names."""
    places, lines = legend([spot.label for spot in spots])
    head = LINE_OF_LEGEND * lines + 8
    figure, axes = canvas(WIDE, head + 260, 52, 16, head, 36)
    ridges = [flops_per_s / value for value in memories.values()]
    low = min([*ridges, *(spot.intensity for spot in spots)]) / 4
    high = max([*ridges, *(spot.intensity for spot in spots)]) * 8
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(
        min([spot.flops_per_s for spot in spots] + [low * min(memories.values())]) / 2,
        2.5 * flops_per_s,
    )
    axes.minorticks_off()
    axes.grid(color=LINE, linewidth=0.8)
    axes.plot([min(ridges), high], [flops_per_s] * 2, color=INK, linewidth=1.6)
    for position, (name, bandwidth) in enumerate(memories.items()):
        ridge = flops_per_s / bandwidth
        axes.plot(
            [low, ridge],
            [low * bandwidth, flops_per_s],
            "--" if position else "-",
            color=INK,
            linewidth=1.6,
        )
        axes.annotate(
            clean(name),
            (ridge, flops_per_s),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=10,
        )
    for position, spot in enumerate(spots):
        told = f"{spot.label}: {spot.intensity:.3g} FLOP/B, {quantity(spot.flops_per_s, 'FLOP/s')}"
        mark(axes, spot.intensity, spot.flops_per_s, position, told)
        x, line = places[spot.label]
        y = 1 - (LINE_OF_LEGEND * line + 9) / (head + 260)
        mark(figure, (x + 6) / WIDE, y, position)
        legend_text(figure, spot.label, x, y)
    divisor, unit = scale_of(flops_per_s, "FLOP/s")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick / divisor:,.10g}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel("FLOP per byte", loc="right", fontsize=10)
    axes.set_ylabel(unit, loc="top", fontsize=10)
    return figure
