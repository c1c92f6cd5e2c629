"""From slices of a model that is too big for a machine to a step of the whole: a line through their
layers.

A step of `n` equal layers takes a + bn: what is there once (embedding, head, loss), and each layer.
So do its bytes. Cases that differ in nothing but their layers, and say what they are slices of, are
fitted together and the line is read off at the whole. What comes out is no measurement: it has a
table of its own, is marked `extrapolated`, and is never compared, gated or stored among metrics.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hwbench.analysis.metrics.summary import per_process, summarize
from hwbench.analysis.metrics.validity import Validity, validity_of
from hwbench.analysis.once import once_a_run
from hwbench.records import Param, case_label
from hwbench.stats import CONFIDENCE, Interval
from hwbench.tables.reader import RunTables
from hwbench.tables.schema import KEY

METHOD = "extrapolated"

FEWEST_FOR_INTERVAL = 3
"""Through two slices a line always goes: they say nothing of how well it fits."""

MISFIT = 0.01
"""The fit is doubted where noise alone would leave the slices so far off the line in fewer than one
of so many."""

ROUNDING = 1e-20
"""Relative squares below this are those of a float's last digits."""

RATES = {"tokens": ("tokens_per_s", "tokens/s"), "flops": ("flops_per_s", "FLOP/s")}
"""The rates of the whole, from the work that is declared for it."""


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
    # the groups of points with equal x are further off the line than their own noise explains
    misfit: bool

    def at(self, x: float, processes: int) -> Interval:
        """ŷ and the interval that holds the mean of so many further points at x, 95 times in 100.

        ŷ ± t · s · √(ŷ²/m + vᵀ(XᵀWX)⁻¹v) with v = (1, x), m further points, Student's t of `df`
        degrees of freedom: the prediction interval of weighted regression (Draper and Smith 1998,
        section 9.2). None (NaN) without `df`.
        """
        value, v = self.a + self.b * x, np.array([1.0, x])
        if not self.df:
            return Interval(value, math.nan, math.nan, 0)
        t = float(special.stdtrit(self.df, (1 + CONFIDENCE) / 2))
        half = t * self.scale * math.sqrt(value**2 / processes + float(v @ self.inverse @ v))
        return Interval(value, value - half, value + half, self.df)


def fit(groups: Sequence[tuple[float, Sequence[float]]]) -> Line:
    """The line through groups of positive points, each (x, its ys, a process each), at two or more
    different x.

    From three x on it has an interval. Its noise is that of all points about the line; where the
    groups lie off it by more than their own spread explains (the F-test for lack of fit), it is
    that of the groups about the line, which has k - 2 degrees of freedom for k groups.
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
    misfit = (
        n > k
        and lack > ROUNDING
        and _by_chance(lack / (k - 2), k - 2, noise / (n - k), n - k) < MISFIT
    )
    squares, df = (lack, k - 2) if misfit else (noise + lack, n - 2)
    return Line(float(a), float(b), inverse, math.sqrt(squares / df), df, misfit)


@once_a_run
def extrapolate(run: RunTables) -> pd.DataFrame:
    """The wholes that a run has slices of, a row a whole and metric: workload, params (with the
    axis at its full value), dtype, label, axis, whole, slices (the values measured), metric, value,
    ci_low, ci_high, unit, n (processes of all slices), method, validity, reasons.

    Metrics are step_s_p50, the rates of the whole's declared work and memory_peak_bytes. Two slices
    give a value, three or more its 95 % interval. An interval that reaches zero says that the
    slices lie on no line: there is none, and the rows are suspect. So are those of two slices that
    are wide, as no interval tells how far off the whole may be. A case with a slice that is invalid
    has no rows.
    """
    columns = [
        "workload",
        "params",
        "dtype",
        "label",
        "axis",
        "whole",
        "slices",
        "metric",
        "value",
        "ci_low",
        "ci_high",
    ]
    columns += ["unit", "n", "method", "validity", "reasons"]
    rows = [row for group in _groups(run) for row in _rows_of(run, *group)]
    return pd.DataFrame(rows, columns=columns)


def label_of(
    workload: str, params: dict[str, Param], dtype: str, axis: str, slices: Sequence[int]
) -> str:
    """`gpt/train size=175b bf16 (all 96 layers, extrapolated from 1, 2, 3)`."""
    said = case_label(
        workload, {name: value for name, value in params.items() if name != axis}, dtype
    )
    return f"{said} (all {params[axis]} {axis}, {METHOD} from {', '.join(map(str, slices))})"


def _groups(run: RunTables) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """The wholes with the measured processes of two or more slices of each: what the whole is, and
    their rows of `measurements` with the column `at`, the slice's value."""
    measured = run.measured[run.measured.slice_of.notna()]
    found: dict[str, list[tuple[int, pd.Series]]] = {}
    for _, row in measured.iterrows():
        params, whole = json.loads(row.params), json.loads(row.slice_of)
        at, params[whole["axis"]] = params[whole["axis"]], whole["value"]
        key = json.dumps(
            {"workload": row.workload, "params": params, "dtype": row["dtype"], **whole}
        )
        found.setdefault(key, []).append((at, row))
    groups = []
    for key, slices in found.items():
        rows = pd.DataFrame([row for _, row in slices]).assign(at=[at for at, _ in slices])
        if rows["at"].nunique() > 1:
            groups.append((json.loads(key), rows.sort_values(["at", "process"])))
    return groups


def _rows_of(run: RunTables, whole: dict, rows: pd.DataFrame) -> list[dict[str, object]]:  # type: ignore[type-arg]  # JSON
    table = summarize(run)
    judged = table[table.case_id.isin(rows.case_id)]
    if (judged.validity == "invalid").any():
        return []
    slices = [int(at) for at in rows["at"].unique()]
    medians = per_process(run).query("metric == 'step_s_p50'")
    medians = rows[[*KEY, "at"]].merge(medians, on=KEY)
    step, mean = _fit(medians["at"], medians.value), _fit(rows["at"], rows.window_s / rows.samples)
    processes = int(rows.groupby("at").size().median())
    found = {"step_s_p50": (step.at(whole["value"], processes), "s")}
    for work, (metric, unit) in RATES.items():
        if (amount := whole["work"][work]) is not None:
            found[metric] = (_rate(amount, mean.at(whole["value"], processes)), unit)
    peaks = rows.dropna(subset="memory_peak_bytes").groupby("at").memory_peak_bytes.median()
    if len(peaks) == len(slices):
        found["memory_peak_bytes"] = (
            _fit(pd.Series(peaks.index), peaks).at(whole["value"], 1),
            "B",
        )
    codes = sorted({code for words in judged.reasons for code in json.loads(words)})
    reaches_zero = any(one.low <= 0 for one, _ in found.values())
    codes += ["not_linear"] if step.misfit or mean.misfit or reaches_zero else []
    common = {
        "workload": whole["workload"],
        "params": whole["params"],
        "dtype": whole["dtype"],
        "label": label_of(
            whole["workload"], whole["params"], whole["dtype"], whole["axis"], slices
        ),
        "axis": whole["axis"],
        "whole": whole["value"],
        "slices": slices,
        "n": len(rows),
        "method": METHOD,
        "validity": _validity(codes, len(slices)),
        "reasons": codes,
    }
    return [
        {
            **common,
            "metric": metric,
            "value": one.value,
            "ci_low": low,
            "ci_high": high,
            "unit": unit,
        }
        for metric, (one, unit) in found.items()
        for low, high in [(one.low, one.high) if one.low > 0 else (math.nan, math.nan)]
        if one.value > 0
    ]


def _validity(codes: Sequence[str], slices: int) -> Validity:
    word = validity_of(codes)
    return "suspect" if word == "wide" and slices < FEWEST_FOR_INTERVAL else word


def _fit(at: pd.Series, values: pd.Series) -> Line:
    pairs = pd.DataFrame({"at": at.to_numpy(), "value": values.to_numpy("float64")})
    return fit([(float(x), group.value.to_list()) for x, group in pairs.groupby("at")])


def _rate(amount: int, step: Interval) -> Interval:
    """Work over a step's time; a step that may take no time at all has no fastest rate."""
    high = amount / step.low if step.low > 0 else math.nan
    low = amount / step.high if step.low > 0 else math.nan
    return Interval(amount / step.value if step.value > 0 else math.nan, low, high, step.n)


def _by_chance(lack: float, lack_df: int, noise: float, noise_df: int) -> float:
    """How often noise alone makes a mean square of lack of fit as large: the upper tail of F."""
    return float(special.fdtrc(lack_df, noise_df, lack / noise)) if noise else 0.0
