"""The noise floor of this machine: how much two measurements of the same thing differ.

An A/A run measures each case in processes that belong to two halves in turns, A B B A A B B A …;
the difference between the halves is noise. A difference below the floor, between two runs of as
many processes, says nothing about what was changed, however small its interval.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from hwbench import stats
from hwbench.analysis.metrics.summary import per_process
from hwbench.tables.reader import Warn, read_heads, read_noise
from hwbench.tables.run import RunTables
from hwbench.tables.schema import SCHEMAS

NOISE_COLUMNS = SCHEMAS["noise"].names

TURNS = np.array([0, 1, 1, 0])
"""The half of each process, over and over."""


def measure_floors(run: RunTables) -> pd.DataFrame:
    """The `noise` table of an A/A run: for each case and metric the floor, a share of the value.

    With the halves' ratio r and its 95 % interval (Welch's t on logs, as in `compare`), the floor
    is e^x − 1 with x the larger of the interval's half-width in logs and |ln r|. Where noise is
    log-normal, two runs of the same thing with `n` processes each, as a half has, differ by more
    than the floor in fewer than 5 of 100 comparisons. A case with fewer than two processes in a
    half, or with a value that is not positive, has no floor.
    """
    head = run.runs.iloc[0][["run_id", "started_at", "device_kind", "device_name"]].to_dict()
    rows = []
    for (case_id, metric), group in per_process(run).groupby(["case_id", "metric"], sort=False):
        half = TURNS[group.process.to_numpy() % len(TURNS)]
        values = [group.value.to_numpy()[half == side] for side in (0, 1)]
        floor = floor_of(stats.change(*values))
        if math.isfinite(floor):
            row = {"case_id": case_id, "metric": metric, "floor": floor}
            rows.append(head | row | {"n": min(map(len, values))})
    return pd.DataFrame(rows, columns=NOISE_COLUMNS)


def floor_of(change: stats.Change) -> float:
    """The floor that an A/A comparison shows (see `measure_floors`); NaN where it has no
    interval."""
    half_width = (math.log(change.high) - math.log(change.low)) / 2
    return math.expm1(max(half_width, abs(math.log(change.ratio))))


def floors(results: Path, run: RunTables, warn: Warn) -> dict[tuple[str, str], float]:
    """By case_id and metric, the newest floor stored in `results` for the device of `run` (kind and
    name); none for a device that is unknown."""
    if run.identity.is_unknown:
        return {}
    stored, device = read_noise(results, warn), run.device
    here = stored[(stored.device_kind == device.kind) & (stored.device_name == device.name)]
    by_age = here.sort_values("started_at", kind="stable")
    newest = by_age.drop_duplicates(["case_id", "metric"], keep="last")
    known = newest[np.isfinite(newest.floor) & (newest.floor > 0)]
    return {(row.case_id, row.metric): float(row.floor) for row in known.itertuples()}


def newest(results: Path, warn: Warn) -> Path | None:
    """The folder of the newest A/A run in `results`; None if there is none."""
    heads = read_heads(results, warn)
    with_floors = heads[[any(folder.glob("noise/*.parquet")) for folder in heads.folder]]
    if with_floors.empty:
        return None
    folder: Path = with_floors.sort_values("started_at", kind="stable").folder.iloc[-1]
    return folder
