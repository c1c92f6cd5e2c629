"""The statistical power of the gate over the slow-down that it must find."""

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hwbench.report.figures.style import DASHES, MARKERS, MUTED, SERIES, publication_style


def gate_power(curves: Mapping[str, pd.DataFrame], threshold: float, caption: str) -> str:
    """The share of `slower` over the slow-down with its interval, a curve each, as a self-contained
    SVG."""
    with publication_style():
        drawn = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = drawn.add_subplot()
        looks = zip(SERIES, DASHES, MARKERS, strict=False)
        for (label, table), (color, dashes, marker) in zip(curves.items(), looks, strict=False):
            reach = [table.slower - table.slower_low, table.slower_high - table.slower]
            axes.errorbar(
                table.slowdown * 100, table.slower * 100, [side * 100 for side in reach],
                color=color, linestyle=dashes, marker=marker, markersize=5, capsize=3, label=label,
            )  # fmt: skip
        axes.axvline(threshold * 100, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
        axes.annotate(
            "threshold", (threshold * 100, 106), (4, 0), textcoords="offset points", color=MUTED
        )
        axes.set_ylim(-4, 112)
        axes.set_xlabel("injected slow-down, %")
        axes.set_ylabel("pairs called slower, %")
        axes.set_title(caption)
        axes.legend(loc="upper left")
        return _svg(drawn)


def _svg(drawn: Figure) -> str:
    buffer = io.StringIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None, "Title": "Power of hwbench gate"}
    drawn.savefig(buffer, format="svg", metadata=metadata, facecolor="white")
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
