"""Energy and power of each process, from the meters' readings of its window: joules a step and a
token, watts.

The first figures are those of the device that a case runs on: the GPUs that it uses, or the
processor packages. The host beside a GPU and the memory beside a processor have figures of their
own. Sums are made only where every part is known; a missing reading is never taken for zero.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hwbench.analysis.once import once_a_run
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

ENERGY = {
    "energy_j": "J",
    "energy_j_per_token": "J/token",
    "energy_net_j": "J",
    "energy_net_j_per_token": "J/token",
    "power_w": "W",
    "power_peak_w": "W",
    "host_energy_j": "J",
    "total_energy_j": "J",
}
"""The metrics and their units. All energies but those per token are of a step."""

ENERGY_COLUMNS = [*KEY, "metric", "unit", "value", "source", "uncertainty", "grade"]
PARTS = ("gpu", "package", "dram")
"""Scopes that can be added. `psys` contains them all and is never added."""


@once_a_run
def energy_of(run: RunTables) -> pd.DataFrame:
    """A row (ENERGY_COLUMNS) for each process and metric of ENERGY that is known.

    `source` names meters and methods, and for a sum over several kinds of parts also the kinds:
    energy with memory and without it is not the same figure. `grade` is the worst of the parts,
    `uncertainty` (in the unit of the value) the sum of theirs. `energy_net_j` is without the
    device's power at rest, which is measured once a run.
    """
    readings = run.readings[run.readings.span == ""]
    if readings.empty:
        return pd.DataFrame(columns=ENERGY_COLUMNS)
    idle = _idle(readings, run)
    kind, rows = _own_kind(run), []
    for process in run.measured.to_dict("records"):
        of_case = readings[readings.case_id == process["case_id"]]
        own = of_case[of_case.process == process["process"]]
        rows += _rows_of(own, process, kind, idle)
    return pd.DataFrame(rows, columns=ENERGY_COLUMNS)


def _own_kind(run: RunTables) -> str:
    """The kind of scope that the run's device is. A command that was metered may use any device: if
    a GPU was metered, it is that."""
    is_command = set(run.measurements.workload) == {"command"}
    if run.device.kind not in ("cpu", "fake"):
        return "gpu"
    return "gpu" if is_command and _is_of(run.readings, "gpu").any() else "package"


def _idle(readings: pd.DataFrame, run: RunTables) -> tuple[float, float]:
    """The device's power at rest in W and its uncertainty; NaN where that was not measured."""
    at_rest = readings[(readings.quantity == "idle_power") & _is_of(readings, _own_kind(run))]
    if at_rest.empty:
        return math.nan, math.nan
    by_process = at_rest.groupby(KEY)[["value", "uncertainty"]]
    middle = by_process.agg(lambda parts: parts.sum(skipna=False)).median()
    return float(middle.value), float(middle.uncertainty)


def _rows_of(
    readings: pd.DataFrame, process: Mapping[str, Any], kind: str, idle: tuple[float, float]
) -> list[dict[str, Any]]:
    """The rows of one process, a row of `run.measured`. `kind` is the device's kind of scope,
    `idle` its power at rest in W with its uncertainty."""
    energy = readings[readings.quantity == "energy"]
    is_own = _is_of(energy, kind)
    own, others = energy[is_own], energy[_is_of(energy, *PARTS) & ~is_own]
    steps, tokens, window_s = process["samples"], process["tokens"], process["window_s"]
    idle_j = [watts * window_s / steps for watts in idle]
    figures = {
        "energy_j": _sum(own, 1 / steps),
        "power_w": _sum(own, 1 / window_s) if window_s else None,
    }
    figures["energy_net_j"] = _subtract(figures["energy_j"], *idle_j)
    if not pd.isna(tokens) and tokens:
        for name in ("energy_j", "energy_net_j"):
            figures[f"{name}_per_token"] = _scale(figures[name], 1 / tokens)
    peaks = readings[(readings.quantity == "power_peak") & _is_of(readings, kind)]
    if len(peaks) == 1:  # peaks of several parts need not come at one time
        figures["power_peak_w"] = _sum(peaks, 1.0)
    if len(others):
        figures["host_energy_j"] = _sum(others, 1 / steps) if kind == "gpu" else None
        figures["total_energy_j"] = _sum(pd.concat([own, others]), 1 / steps) if len(own) else None
    key = {name: process[name] for name in KEY}
    known = {name: columns for name, columns in figures.items() if columns}
    return [key | {"metric": name, "unit": ENERGY[name]} | known[name] for name in known]


def _is_of(readings: pd.DataFrame, *kinds: str) -> pd.Series:
    return _kinds(readings).isin(kinds)


def _kinds(readings: pd.DataFrame) -> pd.Series:
    return readings.scope.str.split(":").str[0]


def _sum(parts: pd.DataFrame, scale: float) -> dict[str, Any] | None:
    """The columns of the sum of readings, times `scale`; None if there is none or one has no
    value."""
    if parts.empty or parts.value.isna().any():
        return None
    kinds = _kinds(parts)
    several = kinds.nunique() > 1
    named = zip(parts.meter, parts.method, kinds, strict=True)
    sources = {f"{meter} {method}{f' of {kind}' * several}" for meter, method, kind in named}
    return {
        "value": float(parts.value.sum()) * scale,
        "source": ", ".join(sorted(sources)),
        "uncertainty": float(parts.uncertainty.sum(skipna=False)) * scale,
        "grade": max(parts.grade),
    }


def _scale(figure: dict[str, Any] | None, scale: float) -> dict[str, Any] | None:
    if figure is None:
        return None
    return figure | {name: figure[name] * scale for name in ("value", "uncertainty")}


def _subtract(
    figure: dict[str, Any] | None, taken: float, uncertainty: float
) -> dict[str, Any] | None:
    """The figure less `taken` ± its uncertainty; None if either is unknown, or if less is left than
    its own uncertainty."""
    if figure is None or math.isnan(taken):
        return None
    value, total = figure["value"] - taken, figure["uncertainty"] + uncertainty
    return figure | {"value": value, "uncertainty": total} if value > total else None


def why_unknown(run: RunTables) -> list[str]:
    """Why the energy of the run's device is unknown, a line for each reason; empty where it is
    known."""
    energy = run.readings[(run.readings.quantity == "energy") & (run.readings.span == "")]
    unknown = energy[energy.value.isna() & _is_of(energy, _own_kind(run))]
    rows = unknown.drop_duplicates("reason").itertuples()
    return [f"{row.scope}, by {row.meter}: {row.reason}" for row in rows]
