"""A roofline with its points."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from hwbench.report.charts.roofline import Roofline
from hwbench.report.figures.style import INK, MARKERS, SERIES
from hwbench.report.numbers import scale_of, short


def roofline(chart: Roofline) -> Figure:
    """Draw FLOP/s over FLOP per byte: the roof of the arithmetic, a slope for each memory, the
    first of them drawn whole, and the points below."""
    divisor, unit = scale_of(chart.flops_per_s, "FLOP/s")
    (low, high), (least, most) = chart.limits
    roof = chart.flops_per_s / divisor
    figure = Figure(figsize=(6.3, 3.9), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    axes.set_xlim(low, high)
    axes.set_ylim(least / divisor, most / divisor)
    ridges = {name: chart.flops_per_s / value for name, value in chart.memories.items()}
    axes.plot([min(ridges.values()), high], [roof, roof], color=INK, linewidth=1.4)
    for position, (name, ridge) in enumerate(ridges.items()):
        slope = [low * chart.memories[name] / divisor, roof]
        axes.plot([low, ridge], slope, "--" if position else "-", color=INK, linewidth=1.4)
        axes.annotate(
            short(name, 24),
            (ridge, roof),
            (0, 4 + 9 * (position % 2)),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.annotate(
        "arithmetic", (high, roof), (0, 4), textcoords="offset points", ha="right", fontsize=8
    )
    for series, spot in enumerate(chart.shown):
        color = SERIES[series % len(SERIES)]
        is_hollow = series // len(MARKERS) % 2 == 1
        axes.plot(
            [spot.intensity],
            [spot.flops_per_s / divisor],
            MARKERS[series % len(MARKERS)],
            color=color,
            markerfacecolor="white" if is_hollow else color,
            label=short(spot.label, 40),
            clip_on=False,
        )
    axes.set_xlabel("arithmetic intensity, FLOP per byte")
    axes.set_ylabel(unit)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_title(chart.heading)
    figure.legend(loc="outside lower left", ncols=3)
    return figure
