"""Joules and watts of each process, from what the meters said of its window: what a step and a
token take.

The device that a case runs on has the headline. Its scopes are the GPUs that it uses, or the
processor packages; the host beside a GPU, and memory beside a processor, are figures of their own,
and sums are made only where every part is known. Nothing is made of readings that are not there.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hwbench.analysis.once import once_a_run
from hwbench.tables.reader import RunTables
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
"""Scopes that do not contain each other; psys holds them all, and is never added."""


@once_a_run
def energy_of(run: RunTables) -> pd.DataFrame:
    """A row (ENERGY_COLUMNS) for each process and metric of ENERGY that is known.

    `source` names meters and methods, and of a sum over several kinds of parts the kinds, too: with
    memory and without it are not the same figure. `grade` is the worst of the parts, `uncertainty`
    (in the unit of the value) the sum of theirs. `energy_net_j` is without what the device takes at
    rest, measured once in the run.
    """
    readings = run.readings[run.readings.span == ""]
    if readings.empty:
        return pd.DataFrame(columns=ENERGY_COLUMNS)
    idle = _idle(readings, run)
    rows = []
    for measured in run.measured.to_dict("records"):
        own = readings[
            (readings.case_id == measured["case_id"]) & (readings.process == measured["process"])
        ]
        rows += _of_process(own, measured, _own_kind(run), idle)
    return pd.DataFrame(rows, columns=ENERGY_COLUMNS)


def _own_kind(run: RunTables) -> str:
    """The kind of scope that the run's device is. A command that was metered may use any: with a
    GPU it is that."""
    if run.device.kind not in ("cpu", "fake"):
        return "gpu"
    return (
        "gpu"
        if set(run.measurements.workload) == {"command"} and _is_of(run.readings, "gpu").any()
        else "package"
    )


def _idle(readings: pd.DataFrame, run: RunTables) -> tuple[float, float]:
    """What the device takes at rest in W, with its uncertainty; NaN where that was not measured."""
    at_rest = readings[(readings.quantity == "idle_power") & _is_of(readings, _own_kind(run))]
    if at_rest.empty:
        return math.nan, math.nan
    parts = (
        at_rest.groupby(KEY)[["value", "uncertainty"]]
        .agg(lambda found: found.sum(skipna=False))
        .median()
    )
    return float(parts.value), float(parts.uncertainty)


def _of_process(
    readings: pd.DataFrame, measured: Mapping[str, Any], kind: str, idle: tuple[float, float]
) -> list[dict[str, Any]]:
    energy = readings[readings.quantity == "energy"]
    own, others = (
        energy[_is_of(energy, kind)],
        energy[_is_of(energy, *PARTS) & ~_is_of(energy, kind)],
    )
    steps, tokens, window_s = measured["samples"], measured["tokens"], measured["window_s"]
    found = {
        "energy_j": _sum(own, 1 / steps),
        "power_w": _sum(own, 1 / window_s) if window_s else None,
    }
    found["energy_net_j"] = _less(found["energy_j"], *(watts * window_s / steps for watts in idle))
    if not pd.isna(tokens) and tokens:
        for name in ("energy_j", "energy_net_j"):
            found[f"{name}_per_token"] = _scaled(found[name], 1 / tokens)
    peaks = readings[(readings.quantity == "power_peak") & _is_of(readings, kind)]
    if len(peaks) == 1:  # peaks of several parts need not come at one time
        found["power_peak_w"] = _sum(peaks, 1.0)
    if len(others):
        found["host_energy_j"] = _sum(others, 1 / steps) if kind == "gpu" else None
        found["total_energy_j"] = _sum(pd.concat([own, others]), 1 / steps) if len(own) else None
    key = {name: measured[name] for name in KEY}
    return [
        key | {"metric": name, "unit": ENERGY[name]} | parts
        for name, parts in found.items()
        if parts
    ]


def _is_of(readings: pd.DataFrame, *kinds: str) -> pd.Series:
    return _kinds(readings).isin(kinds)


def _kinds(readings: pd.DataFrame) -> pd.Series:
    return readings.scope.str.split(":").str[0]


def _sum(parts: pd.DataFrame, scale: float) -> dict[str, Any] | None:
    """The parts together, None if there is none or one is not known."""
    if parts.empty or parts.value.isna().any():
        return None
    kinds = _kinds(parts)
    of_kind = [f" of {kind}" if kinds.nunique() > 1 else "" for kind in kinds]
    sources = sorted(
        {
            f"{row.meter} {row.method}{kind}"
            for row, kind in zip(parts.itertuples(), of_kind, strict=True)
        }
    )
    return {
        "value": float(parts.value.sum()) * scale,
        "source": ", ".join(sources),
        "uncertainty": float(parts.uncertainty.sum(skipna=False)) * scale,
        "grade": max(parts.grade),
    }


def _scaled(parts: dict[str, Any] | None, scale: float) -> dict[str, Any] | None:
    if parts is None:
        return None
    return parts | {name: parts[name] * scale for name in ("value", "uncertainty")}


def _less(parts: dict[str, Any] | None, taken: float, doubt: float) -> dict[str, Any] | None:
    """Without so much ± its doubt; None if that is not known, or if what is left is less than its
    own doubt."""
    if parts is None or math.isnan(taken):
        return None
    left = parts | {"value": parts["value"] - taken, "uncertainty": parts["uncertainty"] + doubt}
    return left if left["value"] > left["uncertainty"] else None


def why_unknown(run: RunTables) -> list[str]:
    """Why energy of the run's device is not known, each reason once, in one line; empty where it
    is."""
    energy = run.readings[(run.readings.quantity == "energy") & (run.readings.span == "")]
    lacking = energy[energy.value.isna() & _is_of(energy, _own_kind(run))]
    return [
        f"{row.scope}, by {row.meter}: {row.reason}"
        for row in lacking.drop_duplicates("reason").itertuples()
    ]
