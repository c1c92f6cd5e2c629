"""Cases that differ in one number are a sweep: how the rate goes with it, and where more of it
stops paying.

The knee is the smallest value whose rate is at least 95 % of the best rate of the sweep: from there
on more gives less than 5 %. It needs no model of the curve, and one noisy value moves it by a step
at most. A knee is `certain` where the intervals agree: all smaller values lie wholly below that
line, and it lies wholly above.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.rates import RATES
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.once import once_a_run
from hwbench.analysis.outcomes import cases
from hwbench.records import Param, case_label
from hwbench.tables.reader import RunTables

FEWEST_VALUES = 3
"""Two values are a ratio, and no curve."""

ENOUGH = 0.95
"""The share of the best rate that is as good as the best."""


@dataclass(frozen=True)
class Point:
    """One value of the axis: the case's rate and its 95 % interval, None where there is none."""

    at: int
    case_id: str
    rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Sweep:
    """The cases of a workload that differ in `axis` alone, with `params` in common, in the order of
    its values.

    `metric` is the rate that tells most of them, in `unit`.
    """

    workload: str
    params: Mapping[str, Param]
    dtype: str
    axis: str
    metric: str
    unit: str
    points: Sequence[Point]

    @property
    def label(self) -> str:
        return f"{case_label(self.workload, self.params, self.dtype)} over {self.axis}"

    @property
    def best(self) -> Point:
        return max(self.points, key=lambda point: point.rate)

    @property
    def knee(self) -> Point:
        """The smallest value whose rate is at least ENOUGH of the best."""
        return next(point for point in self.points if point.rate >= ENOUGH * self.best.rate)

    @property
    def is_certain(self) -> bool:
        """Whether the intervals agree on the knee; a rate without one is taken as it is."""
        line, knee = ENOUGH * self.best.rate, self.knee
        below = [point for point in self.points if point.at < knee.at]
        above = knee is self.best or (knee.rate if knee.low is None else knee.low) >= line
        return above and all(
            (point.rate if point.high is None else point.high) < line for point in below
        )

    def half(self, point: Point) -> float | None:
        """Half a point's interval over its rate; None where it has none."""
        if point.low is None or point.high is None:
            return None
        return (point.high - point.low) / 2 / point.rate

    @property
    def finding(self) -> str:
        """The knee in a sentence, as it stands under a curve."""
        knee, first, last = self.knee, self.points[0], self.points[-1]
        if knee is last:
            return f"no knee: the rate still rises at {self.axis}={last.at}"
        where = f"{self.axis}={knee.at}" if knee is not first else f"{self.axis}={knee.at} or below"
        doubt = "" if self.is_certain else ", within the intervals' doubt"
        return f"knee at {where}: {knee.rate / self.best.rate:.0%} of the best rate{doubt}".replace(
            "%", " %"
        )


@once_a_run
def sweeps(run: RunTables) -> list[Sweep]:
    """The sweeps of a run: every axis with whole numbers of which at least FEWEST_VALUES have a
    rate that means something, all else being equal. The axis of which cases are slices is none:
    less of a model is another model."""
    planned = cases(run)
    table = summarize(run)
    table = table[table.validity != "invalid"]
    sliced = _sliced(run)
    found = []
    for (workload, dtype), group in planned.groupby(["workload", "dtype"], sort=False):
        for axis in dict.fromkeys(name for params in group.params for name in params):
            if (workload, axis) not in sliced:
                found += _sweeps_of(str(workload), str(dtype), axis, group, table)
    return found


def sweep_rows(run: RunTables) -> list[dict[str, Any]]:
    """The sweeps as plain data, rates in base units."""
    return [
        {
            "workload": sweep.workload,
            "params": dict(sweep.params),
            "dtype": sweep.dtype,
            "axis": sweep.axis,
            "metric": sweep.metric,
            "unit": sweep.unit,
            "points": [vars(point) for point in sweep.points],
            "knee": None if sweep.knee is sweep.points[-1] else sweep.knee.at,
            "certain": sweep.is_certain,
        }
        for sweep in sweeps(run)
    ]


def _sweeps_of(
    workload: str, dtype: str, axis: str, group: pd.DataFrame, table: pd.DataFrame
) -> list[Sweep]:
    """The sweeps over one axis, one for each combination of the others."""
    alike: dict[str, tuple[dict[str, Param], list[tuple[int, str]]]] = {}
    for case in group.itertuples():
        at = case.params.get(axis)
        if isinstance(at, int) and not isinstance(at, bool):
            others = {name: value for name, value in case.params.items() if name != axis}
            alike.setdefault(json.dumps(others), (others, []))[1].append((at, case.case_id))
    found = []
    for others, members in alike.values():
        metric = next(
            (m for m in RATES if all(_has(table, case_id, m) for _, case_id in members)), None
        )
        metric = metric or next(
            (m for m in RATES if any(_has(table, case_id, m) for _, case_id in members)), None
        )
        points = [
            _point(table, at, case_id, metric)
            for at, case_id in sorted(members)
            if _has(table, case_id, metric)
        ]
        if metric and len(points) >= FEWEST_VALUES:
            unit = str(table[table.metric == metric].unit.iloc[0])
            found.append(Sweep(workload, others, dtype, axis, metric, unit, points))
    return found


def _has(table: pd.DataFrame, case_id: str, metric: str | None) -> bool:
    return bool(((table.case_id == case_id) & (table.metric == metric)).any())


def _point(table: pd.DataFrame, at: int, case_id: str, metric: str | None) -> Point:
    row = table[(table.case_id == case_id) & (table.metric == metric)].iloc[0]
    low, high = (None if pd.isna(end) else float(end) for end in (row.ci_low, row.ci_high))
    return Point(at, case_id, float(row.value), low, high)


def _sliced(run: RunTables) -> set[tuple[str, str]]:
    """The workloads and axes of which the run has slices."""
    rows = run.measurements[run.measurements.slice_of.notna()]
    return {
        (name, json.loads(text)["axis"])
        for name, text in zip(rows.workload, rows.slice_of, strict=True)
    }
