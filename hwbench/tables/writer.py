"""Records → Parquet, a part for each case and process.

`results/<run_id>/<table>/<part>.parquet`, immutable parts. A part is written under a name that no
reader takes for a result, synced and renamed, its `measurements` row last: a run that dies at any
moment keeps every part already written, and rows without a measurement are not yet part of it.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import hwbench
from hwbench.files import atomic_write
from hwbench.records import Case, Measurement, Reading, Run, UserError, Window
from hwbench.records.profile import PROFILE_TABLES, Profile
from hwbench.tables.schema import (
    RAW,
    REFERENCE,
    RUN_ID,
    SCHEMA_VERSION,
    SCHEMAS,
    VERSION_KEY,
)


class Writer:
    """Writes one run into `results/<run_id>/`. UserError if the id is taken, not a plain name, or
    cannot be written.

    OSError from a later write (a full disk, say) leaves the parts already written as they are.
    """

    def __init__(self, results: Path, run: Run) -> None:
        if run.run_id == REFERENCE:
            raise UserError(f"run id {REFERENCE} is where the reference runs lie; choose another")
        if not RUN_ID.fullmatch(run.run_id):
            raise UserError(
                f"run id {run.run_id!r}: use up to 100 letters, digits, '.', '_' and '-', no folders"
            )
        self.folder = results / run.run_id
        self._run_id = run.run_id
        try:
            results.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir()
        except FileExistsError as error:
            if self.folder.is_dir():
                raise UserError(
                    f"run {run.run_id} exists in {results}; choose another id or remove it"
                ) from error
            raise UserError(f"cannot write to {results}: there is a file in its place") from error
        except OSError as error:
            raise UserError(
                f"cannot write to {results}: {error.strerror}; name a folder with --output"
            ) from error
        try:
            self._write("runs", "run", _run_row(run))
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise UserError(
                f"cannot write to {results}: {error.strerror}; name a folder with --output"
            ) from error

    def log(self, case: Case, process: int) -> Path:
        """The file for what a process prints; whoever runs it keeps the file only where the case
        failed."""
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{case.case_id}-{process}.log"

    def add(self, case: Case, process: int, measurement: Measurement) -> None:
        """Store the outcome of `case` in one process; after this returns it survives whatever
        happens."""
        key = {"run_id": self._run_id, "case_id": case.case_id, "process": process}
        part = f"{case.case_id}-{process}"
        try:
            if measurement.window:
                self._write("samples", part, _columns(key, vars(measurement.window.samples)))
                self._write("spans", part, _columns(key, vars(measurement.window.spans)))
            if measurement.readings:
                self._write("readings", part, _columns(key, _turned(measurement.readings)))
            if measurement.telemetry.time_ns:
                self._write("telemetry", part, _columns(key, vars(measurement.telemetry)))
            if measurement.requests.request:
                self._write("requests", part, _columns(key, vars(measurement.requests)))
            if measurement.profile:
                self._write_profile(part, key, measurement.profile)
            self._write("measurements", part, _measurement_row(key, case, measurement))
        # without its measurement a part would count for other tools, and not for us
        except OSError:
            for table in RAW[2:]:
                (self.folder / table / f"{part}.parquet").unlink(missing_ok=True)
            raise

    def _write_profile(self, part: str, key: Mapping[str, Any], profile: Profile) -> None:
        for table in PROFILE_TABLES:
            if columns := _filled(vars(getattr(profile, table))):
                self._write(table, part, _columns(key, columns))
        row = {name: value for name, value in vars(profile).items() if name not in PROFILE_TABLES}
        row["unknown"] = json.dumps(dict(profile.unknown))
        self._write("profiles", part, {name: [value] for name, value in (dict(key) | row).items()})

    def _write(self, table: str, part: str, columns: Mapping[str, list[Any]]) -> None:
        write_part(self.folder, table, part, pa.table(dict(columns), schema=SCHEMAS[table]))


def write_part(folder: Path, table: str, part: str, content: pa.Table) -> None:
    """Write one part so that it is there whole or not at all, and stays after a crash of the
    machine."""
    target = folder / table / f"{part}.parquet"
    target.parent.mkdir(exist_ok=True)
    stamped = content.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()})
    # Arrow's own errors for a path have no `strerror` that a user could read
    with atomic_write(target) as temporary, temporary.open("wb") as file:
        pq.write_table(stamped, file, compression="zstd")


def write_derived(folder: Path, table: str, frame: pd.DataFrame) -> None:
    """Store a derived table ("metrics", "span_metrics", "noise") of the run in `folder`. It replaces
    what an earlier summary left there."""
    content = pa.Table.from_pandas(frame, schema=SCHEMAS[table], preserve_index=False)
    write_part(folder, table, table, content)


def _columns(key: Mapping[str, Any], columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    rows = len(next(iter(columns.values())))
    return {name: [value] * rows for name, value in key.items()} | dict(columns)


def _filled(columns: Mapping[str, list[Any]]) -> Mapping[str, list[Any]]:
    """The columns, if they have a row."""
    return columns if any(columns.values()) else {}


def _turned(readings: Sequence[Reading]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [getattr(reading, name) for reading in readings] for name in vars(readings[0])}


def _run_row(run: Run) -> dict[str, list[Any]]:
    row = vars(run) | {
        "hwbench_version": hwbench.__version__,
        "schema_version": SCHEMA_VERSION,
        "environment": json.dumps(run.environment),
        "argv": json.dumps(run.argv),
        "plan": json.dumps(run.plan),
    }
    return {name: [value] for name, value in row.items()}


def _measurement_row(
    key: Mapping[str, Any], case: Case, measured: Measurement
) -> dict[str, list[Any]]:
    row = {
        **key,
        "workload": case.workload,
        "params": json.dumps(dict(case.params)),
        "dtype": case.dtype,
        "outcome": measured.outcome,
        "reason": measured.reason,
        **_window_columns(measured.window),
        **vars(measured.work),
        "span_work": json.dumps(
            {name: vars(work) for name, work in measured.declared.spans.items()}
        ),
        "choices": json.dumps(dict(measured.declared.choices)),
        "memory_base_bytes": measured.memory_base_bytes,
        "memory_predicted_bytes": measured.declared.memory_bytes,
        "slice_of": json.dumps(asdict(measured.declared.slice_of))
        if measured.declared.slice_of
        else None,
        "compile_s": measured.compile_s,
        "loss": measured.loss,
        "notes": json.dumps(measured.notes),
    }
    return {name: [value] for name, value in row.items()}


def _window_columns(window: Window | None) -> dict[str, Any]:
    return {
        "warmup_steps": window.warmup_steps if window else None,
        "samples": window.timed_steps if window else None,
        "converged": window.converged if window else None,
        "timer_kind": window.timer_kind if window else None,
        "window_s": window.window_s if window else None,
        "memory_peak_bytes": window.memory_peak_bytes if window else None,
        "memory_build_peak_bytes": window.memory_build_peak_bytes if window else None,
    }
