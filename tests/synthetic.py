"""Runs as the store would read them back, made in memory of step times that a test chooses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from hwbench.datasheets import peaks
from hwbench.records import Case, Policy
from hwbench.records.profile import PROFILE_TABLES, Profile
from hwbench.tables.reader import RunTables
from hwbench.tables.schema import KEY, SCHEMAS

CASE = Case("gpt/train", {"size": "nano", "batch": 1}, "fp32")
OTHER = Case("gemm", {"n": 64}, "fp32")


def frame(table: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of a table as the store reads them; columns that they lack are null."""
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table]).to_pandas()


def whole(device: str) -> dict[str, Any]:
    """The environment of a run on all of a card of this name; empty of a device without a
    datasheet's peak."""
    row = peaks.table().get(peaks.MAKERS.sub("", device, count=1))
    return {"device": {"multiprocessors": int(row["units"])}} if row else {}


def run_of(
    *measured: tuple[Case, Any],
    run_id: str = "r",
    planned: list[Case] | None = None,
    device: str = "Fake device",
    **head,
) -> RunTables:
    """A run of cases with their step times in seconds, a row a process, none of them warm-up. No
    work is declared."""
    cases = planned if planned is not None else [case for case, _ in measured]
    plan = {"policy": vars(Policy()), "cases": [vars(c) | {"case_id": c.case_id} for c in cases]}
    told = {"environment": json.dumps(whole(device)), "argv": "[]", "plan": json.dumps(plan)}
    runs = [
        {"run_id": run_id, "started_at": "2026-11-24T08:00:00+00:00", "label": "", "device_kind": "fake"}
        | {"device_name": device} | told | head
    ]  # fmt: skip
    measurements, samples = [], []
    for case, processes in measured:
        for process, times in enumerate(processes):
            measurements.append(measurement(case, process, times, run_id=run_id))
            samples.append(samples_of(case, process, times, run_id))
    tables = [frame("runs", runs), frame("measurements", measurements)]
    tables.append(pd.concat(samples, ignore_index=True) if samples else frame("samples", []))
    return RunTables(Path(run_id), *tables, frame("spans", []))


def measurement(case: Case, process: int, times, **columns) -> dict:
    """A row of `measurements` that came out ok."""
    return {
        "case_id": case.case_id, "process": process, "workload": case.workload, "params": json.dumps(case.params),
        "dtype": case.dtype, "outcome": "ok", "reason": "", "warmup_steps": 0, "samples": len(times), "converged": True,
        "timer_kind": "host", "window_s": float(np.sum(times)), "notes": "[]",
    } | columns  # fmt: skip


def samples_of(case: Case, process: int, times, run_id: str = "r") -> pd.DataFrame:
    n = len(times)
    columns = {
        "run_id": [run_id] * n,
        "case_id": [case.case_id] * n,
        "process": process,
        "step": range(n),
    }
    columns |= {
        "warmup": [False] * n,
        "start_ns": 0,
        "step_s": np.asarray(times, np.float64),
        "flags": "",
    }
    return pd.DataFrame(columns, columns=SCHEMAS["samples"].names)


def with_measurements(run: RunTables, case: Case, **columns) -> RunTables:
    """The run with columns of a case's measurements changed; rows that did not come out ok lose
    their samples."""
    changed = run.measurements.copy()
    for name, value in columns.items():
        changed[name] = changed[name].astype(object)
        changed.loc[changed.case_id == case.case_id, name] = value
    good = changed[changed.outcome == "ok"][KEY]
    return RunTables(
        run.folder,
        run.runs,
        changed,
        run.samples.merge(good, on=KEY),
        run.spans,
        run.readings,
        run.telemetry,
    )


def with_precision(run: RunTables, precision: float) -> RunTables:
    """The run as one that asked for intervals of this relative half-width."""
    plan = json.loads(run.runs.plan.iloc[0])
    plan["policy"]["precision"] = precision
    return replace(run, runs=run.runs.assign(plan=json.dumps(plan)))


def profiled(run: RunTables, case: Case, profile: Profile, process: int = 0) -> RunTables:
    """The run with a profile of a case, as the store would read it back."""
    key = {"run_id": run.run_id, "case_id": case.case_id, "process": process}
    row = {name: value for name, value in vars(profile).items() if name not in PROFILE_TABLES}
    tables = {
        "profiles": frame("profiles", [key | row | {"unknown": json.dumps(dict(profile.unknown))}])
    }
    for table in PROFILE_TABLES:
        columns = vars(getattr(profile, table))
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        tables[table] = frame(table, [key | row for row in rows])
    joined = {
        name: pd.concat([getattr(run, name), rows], ignore_index=True)
        for name, rows in tables.items()
        if len(rows)
    }
    return replace(run, **joined)


def around(
    value: float, cv: float = 0.001, processes: int = 5, samples: int = 10
) -> list[list[float]]:
    """Step times whose processes' medians lie evenly around `value`, `cv` apart."""
    offsets = np.linspace(-1, 1, processes) * cv if processes > 1 else [0.0]
    return [[value * (1 + offset)] * samples for offset in offsets]
