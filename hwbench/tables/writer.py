"""Writes the records of a run to Parquet, one part a table for each case and process.

A part is `results/<run_id>/<table>/<part>.parquet` and never changes. It is written atomically, and
the part of `measurements` comes last. A run that dies at any moment keeps all parts that were
written; readers leave out rows that have no measurement. An import has one part a table.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import hwbench
from hwbench.files import atomic_write
from hwbench.printable import storable
from hwbench.privacy import without_places, without_secrets
from hwbench.records import Case, Measurement, Reading, Run, UserError, Window
from hwbench.records.profile import PROFILE_TABLES, Profile
from hwbench.tables.columns import OF_A_RUN, encode
from hwbench.tables.schema import (
    RAW,
    REFERENCE,
    RUN_ID,
    SCHEMA_VERSION,
    SCHEMAS,
    VERSION_KEY,
)


def require_free(results: Path, run_id: str) -> None:
    """UserError if a run of this id is in `results`, or if it is no plain name."""
    if run_id == REFERENCE:
        raise UserError(f"run id {REFERENCE} is the folder of the reference runs; choose another")
    if not RUN_ID.fullmatch(run_id):
        allowed = "use up to 100 letters, digits, '.', '_' and '-', no folders"
        raise UserError(f"run id {run_id!r}: {allowed}")
    if (results / run_id).is_dir():
        raise UserError(f"run {run_id} exists in {results}; choose another id or remove it")


class Writer:
    """Writes one run into `results/<run_id>/`. UserError if the id is taken or no plain name, or if
    the folder cannot be written.

    An OSError of a later write (a full disk, say) leaves the parts that were written as they are.
    """

    def __init__(self, results: Path, run: Run) -> None:
        require_free(results, run.run_id)
        self.folder = results / run.run_id
        self._run_id = run.run_id
        self._held: dict[str, list[pa.Table]] | None = None
        row = _checked_run_row(run)
        try:
            results.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir()
        except FileExistsError as error:
            require_free(results, run.run_id)  # another process was first
            file = results if results.is_file() else self.folder
            raise UserError(f"cannot write to {file}: it is a file") from error
        except OSError as error:
            raise _cannot_write(results, error) from error
        try:
            self._write("runs", "run", row)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise _cannot_write(results, error) from error

    def log(self, case: Case, process: int) -> Path:
        """The file for what a process prints. The caller removes it unless the case failed."""
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{case.case_id}-{process}.log"

    def add(self, case: Case, process: int, measurement: Measurement) -> None:
        """Store the outcome of `case` in one process. It is on disk when this returns."""
        key = {"run_id": self._run_id, "case_id": case.case_id, "process": process}
        part = f"{case.case_id}-{process}"
        try:
            if measurement.window:
                self._write("samples", part, _columns(key, vars(measurement.window.samples)))
                self._write("spans", part, _columns(key, vars(measurement.window.spans)))
            if measurement.readings:
                self._write("readings", part, _columns(key, _transpose(measurement.readings)))
            if measurement.telemetry.time_ns:
                self._write("telemetry", part, _columns(key, vars(measurement.telemetry)))
            if measurement.requests.request:
                self._write("requests", part, _columns(key, vars(measurement.requests)))
            if measurement.profile:
                self._write_profile(part, key, measurement.profile)
            self._write("measurements", part, _measurement_row(key, case, measurement))
        # other tools would count a part that has no measurement
        except OSError:
            for table in RAW[2:]:
                (self.folder / table / f"{part}.parquet").unlink(missing_ok=True)
            raise

    def _write_profile(self, part: str, key: Mapping[str, Any], profile: Profile) -> None:
        for table in PROFILE_TABLES:
            columns = vars(getattr(profile, table))
            if any(columns.values()):
                self._write(table, part, _columns(key, columns))
        row = {name: value for name, value in vars(profile).items() if name not in PROFILE_TABLES}
        row |= {"invalid": without_places(profile.invalid), "unknown": dict(profile.unknown)}
        self._write("profiles", part, _one_row({**key, **row}))

    def _write(self, table: str, part: str, columns: Mapping[str, list[Any]]) -> None:
        try:
            content = pa.table(dict(columns), schema=SCHEMAS[table])
        except UnicodeEncodeError:  # a name that is no UTF-8, of a kernel say
            texts = {name: _storable(values) for name, values in columns.items()}
            content = pa.table(texts, schema=SCHEMAS[table])
        if self._held is None:
            write_part(self.folder, table, part, content)
        else:
            self._held.setdefault(table, []).append(content)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Store what the block adds when it ends, as one part a table: for outcomes that are known
        already, of which thousands of parts would take minutes."""
        held: dict[str, list[pa.Table]] = {}
        self._held = held
        try:
            yield
        finally:
            self._held = None
        for table in sorted(held, key="measurements".__eq__):  # that comes last
            write_part(self.folder, table, "all", pa.concat_tables(held[table]))


def write_part(folder: Path, table: str, part: str, content: pa.Table) -> None:
    """Write one part of a table atomically. It survives a crash of the machine. UserError for a
    table's folder that is a link: what somebody else stored must not say where hwbench writes."""
    target = folder / table / f"{part}.parquet"
    if target.parent.is_symlink():
        raise UserError(f"{target.parent}: is a link, and is not written into; remove it")
    target.parent.mkdir(exist_ok=True)
    stamped = content.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()})
    # Arrow's own errors for a path have no `strerror` that a user could read
    with atomic_write(target) as temporary, temporary.open("wb") as file:
        pq.write_table(stamped, file, compression="zstd", write_page_checksum=True)


def write_derived(folder: Path, table: str, frame: pd.DataFrame) -> None:
    """Store a derived table ("metrics", "span_metrics", "noise") of the run in `folder`. An earlier
    one is replaced."""
    content = pa.Table.from_pandas(frame, schema=SCHEMAS[table], preserve_index=False)
    write_part(folder, table, table, content)


def _cannot_write(results: Path, error: OSError) -> UserError:
    return UserError(f"cannot write to {results}: {error.strerror}; name a folder with --output")


def _columns(key: Mapping[str, Any], columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns with the key repeated in each row."""
    rows = len(next(iter(columns.values())))
    return {name: [value] * rows for name, value in key.items()} | dict(columns)


def _transpose(readings: Sequence[Reading]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [getattr(reading, name) for reading in readings] for name in vars(readings[0])}


def _one_row(row: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns of a table with one row. Dictionaries and lists become JSON."""
    return {
        name: [encode(value) if isinstance(value, dict | list) else value]
        for name, value in row.items()
    }


def _storable(values: list[Any]) -> list[Any]:
    return [storable(value) if isinstance(value, str) else value for value in values]


def _checked_run_row(run: Run) -> dict[str, list[Any]]:
    """The row of `runs`. UserError if its JSON could not be read back, so that nothing is measured
    for it."""
    versions = {"hwbench_version": hwbench.__version__, "schema_version": SCHEMA_VERSION}
    row = _one_row({**vars(run), "argv": without_secrets(run.argv), **versions})
    for name, decode in OF_A_RUN.items():
        try:
            decode(row[name][0])
        except ValueError as error:
            raise UserError(f"run {run.run_id} cannot be stored: its {name}: {error}") from error
    return row


OWN_COLUMNS = ("outcome", "reason", "memory_base_bytes", "compile_s", "loss", "notes")
"""Columns of `measurements` that are fields of the record."""

WINDOW_COLUMNS = {
    "warmup_steps": "warmup_steps",
    "samples": "timed_steps",
    "converged": "converged",
    "timer_kind": "timer_kind",
    "window_s": "window_s",
    "memory_peak_bytes": "memory_peak_bytes",
    "memory_build_peak_bytes": "memory_build_peak_bytes",
}
"""Columns of `measurements` that are of the window, and what each is there."""


def _measurement_row(
    key: Mapping[str, Any], case: Case, measurement: Measurement
) -> dict[str, list[Any]]:
    declared = measurement.declared
    return _one_row(
        {
            **key,
            **vars(case),
            **{name: getattr(measurement, name) for name in OWN_COLUMNS},
            "reason": without_places(measurement.reason),
            "notes": [without_places(note) for note in measurement.notes],
            **_window_columns(measurement.window),
            **vars(measurement.work),
            "params": dict(case.params),
            "span_work": {name: vars(work) for name, work in declared.spans.items()},
            "choices": dict(declared.choices),
            "memory_predicted_bytes": declared.memory_bytes,
            "slice_of": asdict(declared.slice_of) if declared.slice_of else None,
        }
    )


def _window_columns(window: Window | None) -> dict[str, Any]:
    return {
        column: getattr(window, name) if window else None for column, name in WINDOW_COLUMNS.items()
    }
