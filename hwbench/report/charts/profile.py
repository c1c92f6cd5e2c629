"""A profiled step: from the least time to the step, its operators on the roofline, and its
memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwbench.analysis.metrics.ceilings import MEMORY
from hwbench.analysis.profile.kinds import common_name
from hwbench.analysis.profile.operators import ProfiledCase, by_name, computed_in
from hwbench.analysis.profile.tables import HOLDERS, thinned
from hwbench.analysis.profile.waterfall import Waterfall
from hwbench.analysis.roofline import ceilings_of
from hwbench.report.charts.roofline import MOST_SPOTS, Roofline, Spot
from hwbench.report.numbers import quantity
from hwbench.report.profile_words import PARTS
from hwbench.tables.run import RunTables

MOST_POINTS = 120
"""Points of a memory timeline: each stands in the outlines of up to six areas, twice, and a page
may have 20 cases."""


@dataclass(frozen=True)
class Bar:
    """A part that begins where the one before it ended, in seconds; `text` stands at its end."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Cascade:
    """The parts of a step one below the other, and the whole step below them."""

    title: str
    bars: Sequence[Bar]
    whole: Bar


@dataclass(frozen=True)
class Area:
    """What is held for one thing, in bytes, at each of the positions of the figure."""

    label: str
    held: NDArray[np.float64]


@dataclass(frozen=True)
class Memory:
    """Bytes over the operators of a step, stacked."""

    title: str
    positions: NDArray[np.float64]
    areas: Sequence[Area]

    @property
    def tops(self) -> NDArray[np.float64]:
        """The upper edge of each area in bytes, a row an area."""
        return np.cumsum([area.held for area in self.areas], axis=0)


def cascade(result: Waterfall, name: str) -> Cascade:
    """Return the waterfall of a case called `name`."""
    whole = result.clean_step_s
    bars = [
        Bar(PARTS[part.part], part.seconds, _with_share(part.seconds, whole))
        for part in result.parts
    ]
    total = Bar("The clean step", whole, quantity(whole, "s", 3))
    return Cascade(f"From the least time to the step: {name}", bars, total)


def operator_rooflines(
    tables: RunTables, case: ProfiledCase, rows: pd.DataFrame, name: str
) -> list[Roofline]:
    """Return a roofline for each dtype of the products, with the operators that take the most time
    by their common names."""
    ceilings = ceilings_of(tables)
    ceilings = ceilings[ceilings.basis == "measured"]
    levels = ceilings[ceilings.kind == "memory"].sort_values(
        "level", key=lambda level: level != MEMORY, kind="stable"
    )
    memories = {str(row.level): float(row.value) for row in levels.itertuples()}
    if MEMORY not in memories:
        return []
    dtypes = [computed_in(dtype, case.dtype) for dtype in rows.dtype]
    rows = rows.assign(name=rows.name.map(common_name), dtype=dtypes)
    standing = set(rows[rows.compute_ceiling.notna()].dtype)  # those that the case did not beat
    rows = by_name(rows[rows.flops.notna() & rows.bytes.notna()], ["name", "backward", "dtype"])
    charts = []
    for roof in ceilings[(ceilings.kind == "compute") & ceilings.dtype.isin(standing)].itertuples():
        own = rows[(rows.dtype == roof.dtype) & (rows.intensity > 0) & (rows.flops_per_s > 0)]
        spots = [
            Spot(_direction(row.name, row.backward), row.intensity, row.flops_per_s)
            for row in own.head(MOST_SPOTS).itertuples(index=False)
        ]
        title = f"Operators on the roofline, {roof.dtype}: {name}"
        charts.append(
            Roofline(
                f"operators-{roof.dtype}", title, float(roof.value), memories, spots, of="Operator"
            )
        )
    return [chart for chart in charts if chart.spots]


def memory_over_step(held: pd.DataFrame, name: str) -> Memory | None:
    """Return what the memory of a step holds; None where that is unknown or nothing."""
    if held.empty or not held.total_bytes.max() > 0:
        return None
    shown = thinned(held, MOST_POINTS)
    areas = [
        Area(holder.removesuffix("_bytes"), shown[holder].to_numpy("float64"))
        for holder in HOLDERS
        if held[holder].any()
    ]
    return Memory(f"Memory over a step: {name}", shown.position.to_numpy("float64"), areas)


def _direction(name: str, backward: bool) -> str:
    return f"{name}, backward" if backward else name


def _with_share(seconds: float, whole: float) -> str:
    return f"{quantity(seconds, 's', 3)}, {seconds / whole:.0%}".replace("%", " %")
