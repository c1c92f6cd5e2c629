"""From slices of a model that is too large for a machine to a step of the whole: a line through
the number of layers.

A step of `n` equal layers takes a + bn: a for what is there once (embedding, head, loss), b for
each layer. So does its memory. Cases that differ only in their layers, and declare what they are
slices of, are fitted together; the line gives the value of the whole. That is not a measurement: it
has a table of its own, is marked `extrapolated`, and is never compared, gated or stored among
metrics.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hwbench.analysis.metrics.summary import per_process, summarize
from hwbench.analysis.metrics.validity import Validity, validity_of
from hwbench.analysis.once import once_a_run
from hwbench.records import Param, case_label
from hwbench.stats import CONFIDENCE, Interval
from hwbench.tables.columns import Work
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

METHOD = "extrapolated"

FEWEST_FOR_INTERVAL = 3
"""A line fits any two slices: they do not show how well it fits."""

MISFIT = 0.01
"""The p-value of the test for lack of fit below which the slices do not lie on a line."""

ROUNDING = 1e-20
"""Relative squared deviations below this are rounding errors."""

RATES = {"tokens": ("tokens_per_s", "tokens/s"), "flops": ("flops_per_s", "FLOP/s")}
"""The rates of the whole, by the declared work that they follow from."""


@dataclass(frozen=True)
class Line:
    """y = a + bx by weighted least squares, from points with noise that grows with y.

    `scale` is the noise as a share of y, with `df` degrees of freedom; `inverse` is (XᵀWX)⁻¹ for
    weights 1/ŷ².
    """

    a: float
    b: float
    inverse: NDArray[np.float64]
    scale: float
    df: int
    misfit: bool  # the groups of points lie further off the line than their own noise explains

    def at(self, x: float, processes: int) -> Interval:
        """ŷ and the interval that holds the mean of `processes` further points at x, 95 times in
        100; NaN without degrees of freedom.

        ŷ ± t · s · √(ŷ²/m + vᵀ(XᵀWX)⁻¹v) with v = (1, x), m further points, Student's t of `df`
        degrees of freedom: the prediction interval of weighted regression (Draper and Smith 1998,
        section 9.2).
        """
        value, v = self.a + self.b * x, np.array([1.0, x])
        if not self.df:
            return Interval(value, math.nan, math.nan, 0)
        t = float(special.stdtrit(self.df, (1 + CONFIDENCE) / 2))
        half = t * self.scale * math.sqrt(value**2 / processes + float(v @ self.inverse @ v))
        return Interval(value, value - half, value + half, self.df)


def fit(groups: Sequence[tuple[float, Sequence[float]]]) -> Line:
    """Fit a line to groups of positive points, each (x, the ys of its processes), at two or more
    different x.

    With three x or more it has an interval. Its noise is that of all points about the line. Where
    the groups lie off it by more than their own spread explains (the F-test for lack of fit), it is
    the noise of the groups about the line, with k - 2 degrees of freedom for k groups.
    """
    x = np.concatenate([np.full(len(ys), at, np.float64) for at, ys in groups])
    y = np.concatenate([np.asarray(ys, np.float64) for _, ys in groups])
    design = np.column_stack([np.ones_like(x), x])
    fitted = y
    for _ in range(3):  # the weights follow from the fit, which hardly moves after the first
        w = 1 / fitted**2
        inverse = np.asarray(np.linalg.inv(design.T @ (design * w[:, None])), np.float64)
        a, b = inverse @ (design.T @ (w * y))
        fitted = np.where(a + b * x > 0, a + b * x, y)
    k, n = len(groups), len(y)
    if k < FEWEST_FOR_INTERVAL:
        return Line(float(a), float(b), inverse, math.nan, 0, False)
    means = np.concatenate([np.full(len(ys), np.mean(ys)) for _, ys in groups])
    noise, lack = float((w * (y - means) ** 2).sum()), float((w * (means - a - b * x) ** 2).sum())
    misfit = False
    if n > k and lack > ROUNDING:
        misfit = _by_chance(lack / (k - 2), k - 2, noise / (n - k), n - k) < MISFIT
    squares, df = (lack, k - 2) if misfit else (noise + lack, n - 2)
    return Line(float(a), float(b), inverse, math.sqrt(squares / df), df, misfit)


@dataclass(frozen=True)
class Extrapolated:
    """A metric of a whole: `params` with `axis` at its full value `whole`, `slices` the values of
    the axis that were measured, `n` the processes of all slices."""

    workload: str
    params: dict[str, Param]
    dtype: str
    label: str
    axis: str
    whole: int
    slices: list[int]
    metric: str
    value: float
    ci_low: float
    ci_high: float
    unit: str
    n: int
    method: str
    validity: Validity
    reasons: list[str]


@once_a_run
def extrapolate(run: RunTables) -> pd.DataFrame:
    """The wholes that a run has slices of: a row (Extrapolated) for each whole and metric.

    Metrics are step_s_p50, the rates of the whole's declared work and memory_peak_bytes. Two slices
    give a value, three or more its 95 % interval. An interval that reaches zero means that the
    slices do not lie on a line: it is dropped, and the rows are suspect. Two slices that are wide
    are suspect too, as no interval shows how far off the whole may be. A whole with an invalid
    slice has no rows.
    """
    rows = [row for group in _groups(run) for row in _rows_of(run, *group)]
    return pd.DataFrame(rows, columns=[column.name for column in fields(Extrapolated)])


def label_of(
    workload: str, params: dict[str, Param], dtype: str, axis: str, slices: Sequence[int]
) -> str:
    """`gpt/train size=175b bf16 (all 96 layers, extrapolated from 1, 2, 3)`."""
    others = {name: value for name, value in params.items() if name != axis}
    label = case_label(workload, others, dtype)
    return f"{label} (all {params[axis]} {axis}, {METHOD} from {', '.join(map(str, slices))})"


@dataclass(frozen=True)
class _Whole:
    """What slices are of: `params` with `axis` at its full `value`, `work` of a whole step."""

    workload: str
    params: dict[str, Param]
    dtype: str
    axis: str
    value: int
    work: Work


def _groups(run: RunTables) -> list[tuple[_Whole, pd.DataFrame]]:
    """The wholes of which two or more slices were measured, with the rows of `run.measured` of
    these slices and the column `at`, the slice's value of the axis."""
    by_whole: dict[str, tuple[_Whole, list[tuple[int, pd.Series]]]] = {}
    for _, row in run.measured[run.measured.slice_of.notna()].iterrows():
        axis, value = row.slice_of.axis, row.slice_of.value
        at, params = row.params[axis], row.params | {axis: value}
        whole = _Whole(row.workload, params, row["dtype"], axis, value, row.slice_of.work)
        by_whole.setdefault(repr(whole), (whole, []))[1].append((at, row))
    groups = []
    for whole, slices in by_whole.values():
        rows = pd.DataFrame([row for _, row in slices]).assign(at=[at for at, _ in slices])
        if rows["at"].nunique() > 1:
            groups.append((whole, rows.sort_values(["at", "process"])))
    return groups


def _rows_of(run: RunTables, whole: _Whole, rows: pd.DataFrame) -> list[Extrapolated]:
    """The rows of one whole, from those of its slices."""
    metrics = summarize(run)
    of_slices = metrics[metrics.case_id.isin(rows.case_id)]
    if (of_slices.validity == "invalid").any():
        return []
    slices = [int(at) for at in rows["at"].unique()]
    values = per_process(run).query("metric == 'step_s_p50'")
    medians = rows[[*KEY, "at"]].merge(values, on=KEY)
    step, mean = _fit(medians["at"], medians.value), _fit(rows["at"], rows.window_s / rows.samples)
    intervals = _intervals(whole, rows, step, mean)
    codes = sorted({code for text in of_slices.reasons for code in json.loads(text)})
    reaches_zero = any(interval.low <= 0 for interval, _ in intervals.values())
    if step.misfit or mean.misfit or reaches_zero:
        codes.append("not_linear")
    extrapolated = []
    for metric, (interval, unit) in intervals.items():
        if not interval.value > 0:
            continue
        has_interval = interval.low > 0
        extrapolated.append(
            Extrapolated(
                workload=whole.workload,
                params=whole.params,
                dtype=whole.dtype,
                label=label_of(whole.workload, whole.params, whole.dtype, whole.axis, slices),
                axis=whole.axis,
                whole=whole.value,
                slices=slices,
                metric=metric,
                value=interval.value,
                ci_low=interval.low if has_interval else math.nan,
                ci_high=interval.high if has_interval else math.nan,
                unit=unit,
                n=len(rows),
                method=METHOD,
                validity=_validity(codes, len(slices)),
                reasons=codes,
            )
        )
    return extrapolated


def _intervals(
    whole: _Whole, rows: pd.DataFrame, step: Line, mean: Line
) -> dict[str, tuple[Interval, str]]:
    """By metric, the value of the whole and its unit. `step` is the line of median steps, `mean`
    that of mean steps, from which rates follow."""
    processes = int(rows.groupby("at").size().median())
    intervals = {"step_s_p50": (step.at(whole.value, processes), "s")}
    for work, (metric, unit) in RATES.items():
        if (amount := getattr(whole.work, work)) is not None:
            intervals[metric] = (_rate(amount, mean.at(whole.value, processes)), unit)
    peaks = rows.dropna(subset="memory_peak_bytes").groupby("at").memory_peak_bytes.median()
    if len(peaks) == rows["at"].nunique():
        line = _fit(pd.Series(peaks.index), peaks)
        intervals["memory_peak_bytes"] = (line.at(whole.value, 1), "B")
    return intervals


def _validity(codes: Sequence[str], slices: int) -> Validity:
    validity = validity_of(codes)
    return "suspect" if validity == "wide" and slices < FEWEST_FOR_INTERVAL else validity


def _fit(at: pd.Series, values: pd.Series) -> Line:
    pairs = pd.DataFrame({"at": at.to_numpy(), "value": values.to_numpy("float64")})
    return fit([(float(x), group.value.to_list()) for x, group in pairs.groupby("at")])


def _rate(amount: int, step: Interval) -> Interval:
    """Work over a step's time; without an interval where that of the step reaches zero."""
    high = amount / step.low if step.low > 0 else math.nan
    low = amount / step.high if step.low > 0 else math.nan
    return Interval(amount / step.value if step.value > 0 else math.nan, low, high, step.n)


def _by_chance(lack: float, lack_df: int, noise: float, noise_df: int) -> float:
    """The p-value of the F-test for lack of fit: how often noise alone makes its mean square as
    large."""
    return float(special.fdtrc(lack_df, noise_df, lack / noise)) if noise else 0.0
