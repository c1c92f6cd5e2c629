"""Power over time: what each meter showed while a case's processes were measured."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwbench.report.view import RunView

MOST_LINES = 8

Series = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Seconds since the first reading of the process, and watts."""


@dataclass(frozen=True)
class Power:
    """The power of each meter and scope in the first process of a case that has readings."""

    case_id: str
    label: str
    series: Mapping[str, Series]

    @property
    def shown(self) -> dict[str, Series]:
        return dict(list(self.series.items())[:MOST_LINES])

    @property
    def limits(self) -> tuple[float, float]:
        """The last second and the most watts of the lines that are shown."""
        last = max(float(at[-1]) for at, _ in self.shown.values())
        return last, max(float(watts.max()) for _, watts in self.shown.values())


def powers(run: RunView, most: int) -> list[Power]:
    """Return the power of the first `most` cases for which it was read, a line a meter and scope.

    A counter of joules shows the mean power between two of its readings.
    """
    telemetry = run.tables.telemetry
    of_a_part = " (a part of the readings)" if run.tables.left_out.get("telemetry") else ""
    telemetry = telemetry[telemetry.quantity.isin(["power", "energy"])]
    by_case = dict(iter(telemetry.groupby("case_id")))
    charts: list[Power] = []
    for case in run.cases:
        if case.case_id in by_case and len(charts) < most:
            series = series_of(by_case[case.case_id])
            charts += [Power(case.case_id, case.short + of_a_part, series)] if series else []
    return charts


def series_of(telemetry: pd.DataFrame) -> dict[str, Series]:
    """Return the power of each meter and scope in the first process of a case, by their names."""
    rows = telemetry[telemetry.process == telemetry.process.min()]
    rows = rows.sort_values("time_ns", kind="stable")
    start = rows.time_ns.min()
    series = {}
    for (meter, scope), own in rows.groupby(["meter", "scope"], sort=True):
        direct = own[own.quantity == "power"]
        used = direct if len(direct) else own
        at = ((used.time_ns - start) / 1e9).to_numpy(np.float64)
        watts = used.value.to_numpy(np.float64)
        if direct.empty:
            at, watts = _of_counter(at, watts)
        known = np.isfinite(watts)
        if known.sum() > 1:
            series[f"{meter} {scope}"] = (at[known], watts[known])
    return series


def _of_counter(at: NDArray[np.float64], joules: NDArray[np.float64]) -> Series:
    """Mean power up to each reading of a counter; where it wrapped or stood still there is none."""
    moved = np.concatenate([[True], np.diff(joules) != 0])
    at, joules = at[moved], joules[moved]
    took, gained = np.diff(at), np.diff(joules)
    with np.errstate(divide="ignore", invalid="ignore"):
        watts = np.where((gained > 0) & (took > 0), gained / took, np.nan)
    return at[1:], watts
