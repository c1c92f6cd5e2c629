"""Power over time."""

from matplotlib.figure import Figure

from hwbench.report.charts.power import Power
from hwbench.report.figures.style import DASHES, SERIES
from hwbench.report.numbers import short


def power(chart: Power) -> Figure:
    """Draw watts over the seconds of the first process, a line a meter."""
    figure = Figure(figsize=(6.3, 2.8), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, (at, watts)) in enumerate(chart.shown.items()):
        color, dashes = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
        axes.plot(at, watts, linestyle=dashes, color=color, linewidth=1.1, label=short(name, 40))
    last, highest = chart.limits
    axes.set(xlim=(0, last or 1), ylim=(0, 1.08 * highest or 1), xlabel="s", ylabel="W")
    axes.set_title(short(f"Power of the first process: {chart.label}"))
    figure.legend(loc="outside lower left", ncols=3)
    return figure
