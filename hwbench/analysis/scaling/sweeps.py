"""Sweeps: cases that differ in one number, how their rate depends on it, and its knee.

The knee is the smallest value whose rate is at least 95 % of the best rate of the sweep: larger
values gain less than 5 %. It needs no model of the curve, and one noisy value moves it by a step at
most. A knee is certain if the intervals agree: those of all smaller values lie below that line, and
its own above.
"""

import functools
import hashlib
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.rates import RATES
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.once import once_a_run
from hwbench.analysis.outcomes import cases
from hwbench.records import Param, case_label
from hwbench.tables.run import RunTables

FEWEST_VALUES = 3
"""Two values are a ratio, not a curve."""

ENOUGH = 0.95
"""A rate of at least this share of the best counts as good as the best."""


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

    `metric` is their rate, in `unit`.
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
        """The knee in a sentence for the caption of a curve."""
        knee, first, last = self.knee, self.points[0], self.points[-1]
        if knee is last:
            return f"no knee: the rate still rises at {self.axis}={last.at}"
        where = f"{self.axis}={knee.at}" if knee is not first else f"{self.axis}={knee.at} or below"
        doubt = "" if self.is_certain else ", within the intervals' doubt"
        share = 100 * knee.rate / self.best.rate
        return f"knee at {where}: {share:.0f} % of the best rate{doubt}"


@once_a_run
def sweeps(run: RunTables) -> list[Sweep]:
    """The sweeps of a run: every axis of whole numbers of which at least FEWEST_VALUES have a rate
    that is not invalid, all else being equal. An axis that cases are slices of is not swept: fewer
    layers are another model."""
    planned = cases(run)
    table = summarize(run)
    table = table[table.validity != "invalid"]
    sliced = _sliced(run)
    sweeps = []
    for (workload, dtype), group in planned.groupby(["workload", "dtype"], sort=False):
        fingerprinted = [
            _Fingerprinted(case_id, params)
            for case_id, params in zip(group.case_id, group.params, strict=True)
        ]
        for axis in _axes_of(fingerprinted):
            if (workload, axis) not in sliced:
                sweeps += _sweeps_of(str(workload), str(dtype), axis, fingerprinted, table)
    return sweeps


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


class _Fingerprinted:
    """A case with a number for its parameters, from which those without any one of them follow at
    once: an import may have thousands."""

    def __init__(self, case_id: str, params: Mapping[str, Param]) -> None:
        self.case_id, self.params = case_id, params
        self._of_each = {name: _fingerprint(name, value) for name, value in params.items()}
        self._of_all = functools.reduce(operator.xor, self._of_each.values(), 0)

    def without(self, axis: str) -> int:
        return self._of_all ^ self._of_each[axis]


def _fingerprint(name: str, value: Param) -> int:
    return int.from_bytes(
        hashlib.blake2b(json.dumps([name, value]).encode(), digest_size=16).digest()
    )


def _axes_of(group: Sequence[_Fingerprinted]) -> list[str]:
    """The axes with enough whole numbers for a sweep."""
    values: dict[str, set[int]] = {}
    for case in group:
        for name, value in case.params.items():
            if type(value) is int:
                values.setdefault(name, set()).add(value)
    return [name for name, numbers in values.items() if len(numbers) >= FEWEST_VALUES]


def _sweeps_of(
    workload: str, dtype: str, axis: str, group: Sequence[_Fingerprinted], table: pd.DataFrame
) -> list[Sweep]:
    """The sweeps over one axis, one for each combination of the others."""
    alike: dict[int, list[tuple[int, str]]] = {}
    params = {case.case_id: case.params for case in group}
    for case in group:
        if type(at := case.params.get(axis)) is int:
            alike.setdefault(case.without(axis), []).append((at, case.case_id))
    sweeps = []
    for members in alike.values():
        if len(members) < FEWEST_VALUES:
            continue
        others = {name: value for name, value in params[members[0][1]].items() if name != axis}
        case_ids = {case_id for _, case_id in members}
        rows = table[table.case_id.isin(case_ids)]
        metric = _common_rate(rows, len(case_ids))
        of_metric = rows[rows.metric == metric].set_index("case_id")
        measured = [member for member in sorted(members) if member[1] in of_metric.index]
        points = [_point(at, of_metric.loc[case_id]) for at, case_id in measured]
        if metric and len(points) >= FEWEST_VALUES:
            unit = str(of_metric.unit.iloc[0])
            sweeps.append(Sweep(workload, others, dtype, axis, metric, unit, points))
    return sweeps


def _common_rate(rows: pd.DataFrame, n_cases: int) -> str | None:
    """The first rate that all cases have, or else any; None if there is none."""
    counts = rows.drop_duplicates(["case_id", "metric"]).metric.value_counts()
    of_all = [rate for rate in RATES if counts.get(rate, 0) == n_cases]
    of_any = [rate for rate in RATES if rate in counts]
    return next(iter([*of_all, *of_any]), None)


def _point(at: int, row: pd.Series) -> Point:
    low, high = (None if pd.isna(end) else float(end) for end in (row.ci_low, row.ci_high))
    return Point(at, str(row.name), float(row.value), low, high)


def _sliced(run: RunTables) -> set[tuple[str, str]]:
    """The workloads and axes of which the run has slices."""
    rows = run.decoded[run.decoded.slice_of.notna()]
    slices = zip(rows.workload, rows.slice_of, strict=True)
    return {(workload, slice_of.axis) for workload, slice_of in slices}
