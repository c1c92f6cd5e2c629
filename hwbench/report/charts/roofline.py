"""Rooflines: what the device allows, and where the steps and their parts stand below it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.metrics.ceilings import MEMORY
from hwbench.analysis.roofline import WHOLE
from hwbench.report.charts.bars import cut_note
from hwbench.report.numbers import quantity
from hwbench.report.view import RunView

MOST_SPOTS = 18
"""Points of a roofline: with more the legend would be larger than the figure; the table has all."""


LARGEST = 1e300
"""No axis goes further, so that its ends stay numbers whatever a profile claims."""


@dataclass(frozen=True)
class Spot:
    """A point of a roofline: FLOP per byte, FLOP/s."""

    label: str
    intensity: float
    flops_per_s: float

    @property
    def text(self) -> str:
        rate = quantity(self.flops_per_s, "FLOP/s")
        return f"{self.label}: {self.intensity:.3g} FLOP/B, {rate}"


@dataclass(frozen=True)
class Roofline:
    """The roof of the arithmetic in FLOP/s, the `memories` (name: B/s, the first of them the main
    one), and the points below them. `of` says what a point is."""

    name: str
    title: str
    flops_per_s: float
    memories: Mapping[str, float]
    spots: Sequence[Spot]
    of: str

    @property
    def shown(self) -> Sequence[Spot]:
        return self.spots[:MOST_SPOTS]

    @property
    def heading(self) -> str:
        """The title, with the number of the points that are shown where it is not all."""
        return self.title + cut_note(len(self.shown), len(self.spots), "point")

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The ends of both logarithmic axes: FLOP per byte, FLOP/s."""
        ridges = [self.flops_per_s / value for value in self.memories.values()]
        intensities = [*ridges, *(spot.intensity for spot in self.shown)]
        low, high = min(intensities) / 4, min(max(intensities) * 8, LARGEST)
        slowest = min(*(spot.flops_per_s for spot in self.shown), low * min(self.memories.values()))
        return (low, high), (slowest / 2, min(2.5 * self.flops_per_s, LARGEST))


def rooflines(run: RunView, ceilings: pd.DataFrame, points: pd.DataFrame) -> list[Roofline]:
    """Return a roofline for each dtype whose ceilings were measured, with the spans, or else the
    steps, whose FLOPs and bytes are declared."""
    measured = ceilings[ceilings.basis == "measured"]
    memories = _memories(measured)
    if MEMORY not in memories:
        return []
    names = {case.case_id: case.short for case in run.cases}
    points = points[(points.basis == "measured") & (points.intensity > 0)]
    divided = points[points.span != WHOLE].case_id
    points = points[(points.span != WHOLE) | ~points.case_id.isin(divided)]
    charts = []
    for position, roof in enumerate(measured[measured.kind == "compute"].itertuples()):
        spots = [
            Spot(f"{row.span} {names[row.case_id]}".strip(), row.intensity, row.flops_per_s)
            for row in points[points.dtype == roof.dtype].itertuples()
        ]
        name, title = f"roofline-{run.letter}-{position}", f"Roofline, {roof.dtype}"
        charts.append(Roofline(name, title, float(roof.value), memories, spots, of="Span and case"))
    return [chart for chart in charts if chart.spots]


def _memories(measured: pd.DataFrame) -> dict[str, float]:
    """The measured bandwidths in B/s, that of the main memory first."""
    levels = measured[measured.kind == "memory"]
    memories = {_place(row.level): float(row.value) for row in levels.itertuples()}
    return {name: memories[name] for name in sorted(memories, key=lambda name: name != MEMORY)}


def _place(level: str) -> str:
    return level if level == MEMORY else level.upper()
