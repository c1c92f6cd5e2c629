"""Runs that a test chooses every figure of: in memory as the reader would give them, or stored."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from hwbench.datasheets import peaks
from hwbench.devices.fake import FakeDevice
from hwbench.recording.harness import measure
from hwbench.recording.stopping import FixedWindow
from hwbench.records import Case, Measurement, Policy, Run, Samples, Spans, Window, Work
from hwbench.records.profile import PROFILE_TABLES, Profile
from hwbench.tables.reader import read_run
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY, SCHEMAS
from hwbench.tables.writer import Writer
from hwbench.workload import Mark

CASE = Case("gpt/train", {"size": "nano", "batch": 1}, "fp32")
OTHER = Case("gemm", {"n": 64}, "fp32")


def run_of(
    *results: tuple[Case, Any],
    run_id: str = "r",
    planned: list[Case] | None = None,
    policy: Policy | None = None,
    device: str = "Fake device",
    folder: Path | None = None,
    **head: str,
) -> RunTables:
    """A run of cases, each with a list of what its processes came to.

    A process is its step times in seconds, none of them warm-up and no work declared, or a
    Measurement. `planned` are the cases of the plan where they are others; `head` are columns of
    the table `runs`. With `folder`, the run is stored in it (`folder/run_id`) and read back.
    """
    cases = planned if planned is not None else [case for case, _ in results]
    row = _head(run_id, plan_of(cases, policy or Policy()), device) | head
    if folder:
        return _stored(folder, row, results)
    if any(isinstance(one, Measurement) for _, processes in results for one in processes):
        with TemporaryDirectory() as scratch:
            return _stored(Path(scratch), row, results)
    return _in_memory(row, results)


def plan_of(cases: Sequence[Case], policy: Policy) -> dict[str, Any]:
    """The plan of a run of `cases`, as the run's row holds it."""
    return {
        "policy": vars(policy),
        "cases": [vars(case) | {"case_id": case.case_id} for case in cases],
    }


def make_run(
    results: Path,
    run_id: str,
    cases: list[Case],
    device_kind: str = "fake",
    policy: Policy | None = None,
) -> Writer:
    """An empty run of `cases` in the folder `results`, for tests that add to it themselves."""
    plan = plan_of(cases, policy or Policy(processes=2))
    return _writer(results, _head(run_id, plan, "Fake device") | {"device_kind": device_kind})


def measured(
    step_s: float = 0.003,
    steps: int = 10,
    work: Work | None = None,
    memory_peak_bytes: int | None = None,
    **fields: Any,
) -> Measurement:
    """What the harness makes of `steps` fake steps of `step_s` seconds, a third of it forward, the
    rest backward."""
    device = FakeDevice()
    step = fake_step(device, step_s / 3, 2 * step_s / 3)
    warmup, rule = FixedWindow(0.0, 1e9, 1), FixedWindow(0.0, 1e9, steps)
    window, _ = measure(step, device, warmup, rule)
    window = replace(window, memory_peak_bytes=memory_peak_bytes)
    work = work or Work(tokens=30, flops=6000, bytes=900)
    return Measurement("ok", work=work, window=window, **fields)


def fake_step(device: FakeDevice, forward_s: float = 0.001, backward_s: float = 0.002):
    """A step of known duration on the fake device: two spans, launched without waiting."""

    def step(mark: Mark) -> float:
        device.launch(forward_s)
        mark("forward")
        device.launch(backward_s)
        mark("backward")
        return 1.0

    return step


def window_of(times: Sequence[float], spans: Sequence[tuple[str, float]] = (), warmup: int = 0):
    """A window of steps of these seconds, each with these (name, seconds) spans; the first `warmup`
    are warm-up."""
    n = len(times)
    marks = [(step, position, *span) for step in range(n) for position, span in enumerate(spans)]
    return Window(
        "host",
        Samples(list(range(n)), [i < warmup for i in range(n)], [0] * n, list(times), [""] * n),
        Spans(
            step=[mark[0] for mark in marks],
            name=[mark[2] for mark in marks],
            position=[mark[1] for mark in marks],
            span_s=[mark[3] for mark in marks],
        ),
        window_s=float(np.sum(times[warmup:])),
        converged=True,
    )


def _head(run_id: str, plan: dict[str, Any], device: str) -> dict[str, str]:
    """The row of `runs`."""
    return {
        "run_id": run_id,
        "started_at": "2026-11-24T08:00:00+00:00",
        "label": "",
        "device_kind": "fake",
        "device_name": device,
        "environment": json.dumps(whole(device)),
        "argv": json.dumps(["hwbench", "run"]),
        "plan": json.dumps(plan),
    }


def _writer(folder: Path, head: dict[str, str]) -> Writer:
    parsed = {name: json.loads(head[name]) for name in ("environment", "argv", "plan")}
    return Writer(folder, Run(**head | parsed))


def _stored(folder: Path, head: dict[str, str], results: Sequence[tuple[Case, Any]]) -> RunTables:
    writer = _writer(folder, head)
    for case, processes in results:
        for process, one in enumerate(processes):
            if not isinstance(one, Measurement):
                one = Measurement("ok", window=window_of(one))
            writer.add(case, process, one)
    return read_run(writer.folder)


def _in_memory(head: dict[str, str], results: Sequence[tuple[Case, Any]]) -> RunTables:
    run_id = head["run_id"]
    measurements, samples = [], []
    for case, processes in results:
        for process, times in enumerate(processes):
            measurements.append(measurement(case, process, times, run_id=run_id))
            samples.append(samples_of(case, process, times, run_id))
    return RunTables(
        Path(run_id),
        frame("runs", [head]),
        frame("measurements", measurements),
        pd.concat(samples, ignore_index=True) if samples else frame("samples", []),
        frame("spans", []),
    )


def frame(table: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of a table as the store reads them; columns that they lack are null."""
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table]).to_pandas()


def whole(device: str) -> dict[str, Any]:
    """The environment of a run on all of a card of this name; empty of a device without a
    datasheet's peak."""
    row = peaks.table().get(peaks.MAKERS.sub("", device, count=1))
    return {"device": {"multiprocessors": int(row["units"])}} if row else {}


def measurement(case: Case, process: int, times, **columns) -> dict:
    """A row of `measurements` that came out ok."""
    row = {
        "case_id": case.case_id,
        "process": process,
        "workload": case.workload,
        "params": json.dumps(case.params),
        "dtype": case.dtype,
        "outcome": "ok",
        "reason": "",
        "warmup_steps": 0,
        "samples": len(times),
        "converged": True,
        "timer_kind": "host",
        "span_work": "{}",
        "choices": "{}",
        "window_s": float(np.sum(times)),
        "notes": "[]",
    }
    return row | columns


def samples_of(case: Case, process: int, times, run_id: str = "r") -> pd.DataFrame:
    """The rows of `samples` of one process."""
    columns = {
        "run_id": [run_id] * len(times),
        "case_id": case.case_id,
        "process": np.int32(process),
        "step": range(len(times)),
        "warmup": False,
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
    return replace(run, measurements=changed, samples=run.samples.merge(good, on=KEY))


def with_precision(run: RunTables, precision: float) -> RunTables:
    """The run as one that asked for intervals of this relative half-width."""
    plan = run.plan | {"policy": run.plan["policy"] | {"precision": precision}}
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
