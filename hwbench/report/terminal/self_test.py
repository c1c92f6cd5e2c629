"""What the gate's self-test found (simulate.power): a table for people, plain data, and a figure
for the docs."""

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from hwbench.analysis.verdict.simulate import WORDS
from hwbench.report.figures.style import publication_style

INK, MUTED, GRID = "#1f2933", "#52606d", "#d9dee3"
LINES = (("#1b6ca8", "-", "o"), ("#c4501b", "--", "s"), ("#6b4fa0", ":", "^"))
"""Colour, dashes and marker of each curve, so that they can be told apart without colour."""


def as_table(found: pd.DataFrame) -> Table:
    """A row for each slow-down: the shares of the verdicts, with the interval of `slower`."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("slow-down", "pairs", "slower", "95 % interval", *WORDS[1:]):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for row in found.to_dict("records"):
        slowdown = f"{row['slowdown']:.1%}" if row["slowdown"] else "none (A/A)"
        bound = f"{row['slower_low']:.2%} to {row['slower_high']:.2%}"
        drawn.add_row(
            slowdown,
            str(row["pairs"]),
            f"{row['slower']:.2%}",
            bound,
            *(f"{row[w]:.1%}" for w in WORDS[1:]),
        )
    return drawn


def figure(curves: Mapping[str, pd.DataFrame], threshold: float, caption: str) -> str:
    """The share of `slower` over the slow-down with its interval, a curve each, as a self-contained
    SVG."""
    with publication_style():
        drawn = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = drawn.add_subplot()
        for (label, found), (color, dashes, marker) in zip(curves.items(), LINES, strict=False):
            reach = [found.slower - found.slower_low, found.slower_high - found.slower]
            axes.errorbar(
                found.slowdown * 100, found.slower * 100, [side * 100 for side in reach],
                color=color, linestyle=dashes, marker=marker, markersize=5, capsize=3, label=label,
            )  # fmt: skip
        axes.axvline(threshold * 100, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
        axes.annotate(
            "threshold", (threshold * 100, 106), (4, 0), textcoords="offset points", color=MUTED
        )
        axes.set_ylim(-4, 112)
        axes.set_xlabel("injected slow-down, %", color=INK)
        axes.set_ylabel("pairs called slower, %", color=INK)
        axes.set_title(caption, loc="left", fontsize=10, color=INK)
        axes.tick_params(colors=MUTED)
        axes.grid(color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left", labelcolor=INK)
        return _svg(drawn)


def _svg(drawn: Figure) -> str:
    buffer = io.StringIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None, "Title": "Power of hwbench gate"}
    drawn.savefig(buffer, format="svg", metadata=metadata, facecolor="white")
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
