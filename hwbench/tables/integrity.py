"""Integrity checks of a run's tables: a run that fails one is damaged, and its figures would be
another run's or only a part of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from hwbench.inputs import shortened
from hwbench.printable import one_line
from hwbench.records import OUTCOMES, UserError
from hwbench.records.measurement import Grade, Method, TimerKind
from hwbench.records.profile import GapCause, Level
from hwbench.tables import columns
from hwbench.tables.columns import LARGEST, LONGEST_S, OF_A_RUN, damaged
from hwbench.tables.run import DECODED, RunTables
from hwbench.tables.schema import KEY, SCHEMAS

LATEST_NS = 2**62
"""Of a clock in nanoseconds, so that a difference of two times fits into a column."""

LONGEST_TEXT = 100_000
"""Letters of a text that is no JSON."""

JSON = {*OF_A_RUN, *DECODED, "unknown", "shapes"}
"""The columns of texts that have a shape; see columns."""

SIGNED = {"value", "loss"}
"""Figures that may be below zero, or unknown: not a number. A loss may be infinite."""

LARGEST_VALUE = 1e18
"""Of a meter's, in any unit."""

WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("measurements", "outcome"): OUTCOMES,
    ("measurements", "timer_kind"): get_args(TimerKind),
    ("readings", "method"): get_args(Method),
    ("readings", "grade"): get_args(Grade),
    ("ops", "level"): get_args(Level),
    ("gaps", "cause"): get_args(GapCause),
}
"""The columns that hold one of a few words."""

NAMES = {"case_id", "workload", "device_kind"}
"""The columns whose texts are never empty."""

UNITS = {
    "energy": "J",
    "energy_residual": "J",
    "power": "W",
    "power_peak": "W",
    "idle_power": "W",
}
"""The units of the quantities that figures are made of."""

UNIQUE = {
    "samples": [*KEY, "step"],
    "spans": [*KEY, "step", "position"],
    "readings": [*KEY, "meter", "scope", "quantity", "span"],
    "requests": [*KEY, "request"],
    "profiles": KEY,
    "memory": [*KEY, "position"],
}
"""The columns that tell the rows of a table apart. A row that is there twice counts twice."""


def check_table(folder: Path, table: str, content: pd.DataFrame) -> None:
    """UserError, one line that names the folder, the table and the column, if a column holds a
    value that it cannot have."""
    for column in SCHEMAS[table]:
        values = content[column.name]
        if why := _why_damaged(table, column, values):
            raise damaged(folder, table, column.name, why)
    if table in ("readings", "telemetry"):
        units = content.quantity.map(UNITS)
        if not (content.unit.eq(units) | units.isna()).all():
            raise damaged(folder, table, "unit", "not the unit of its quantity")


def _why_damaged(table: str, column: pa.Field, values: pd.Series) -> str:
    """What is wrong with the values of a column, in a few words; empty if nothing is."""
    if column.type in (pa.int32(), pa.int64(), pa.float64()):
        return _why_no_figures(column, values)
    if column.type == pa.string() and column.name not in JSON:
        longest = values.str.len().max()
        if longest > LONGEST_TEXT:
            return f"a text of {longest:,} letters"
    if words := WORDS.get((table, column.name)):
        others = set(values.dropna().unique()) - set(words)
        return f"the unknown {column.name} {shortened(min(others))!r}" if others else ""
    if column.name in NAMES:
        return "an empty text" if values.eq("").any() else ""
    if column.name == "started_at":
        return "" if values.map(_is_time).all() else "not a time of ISO 8601"
    return ""


def _why_no_figures(column: pa.Field, values: pd.Series) -> str:
    numbers = values.to_numpy("float64", na_value=np.nan)
    if column.name in SIGNED:
        beyond = (np.abs(numbers) > LARGEST_VALUE).any() and column.name != "loss"
        return "a figure that is too large" if beyond else ""
    what, most = "a figure", float(LATEST_NS if column.name.endswith("_ns") else LARGEST)
    if column.name.endswith("_s"):
        what, most = "a time", LONGEST_S
    if column.nullable:
        numbers = numbers[~np.isnan(numbers)]
    if not ((numbers >= 0) & (numbers < np.inf)).all():
        return f"{what} that is negative or not a number"
    return "" if (numbers <= most).all() else f"{what} above {most:g}"


def _is_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError, OSError):  # beyond the years that there are
        return False


def check_run(run: RunTables) -> None:
    """UserError, one line that names the run's folder and the table, if the run is damaged: its
    JSON, or what its tables say of one another."""
    _check_json(run)
    _check_plan(run)
    _check_slices(run)
    _check_keys(run)
    _check_windows(run)
    _check_steps(run)
    _check_requests(run)


def _check_json(run: RunTables) -> None:
    """Decode every column that holds JSON, so that a user of the run meets no damage."""
    decoded = (run.plan, run.planned, run.environment, run.argv, run.decoded, run.unknown)
    assert all(content is not None for content in decoded)
    try:
        for text in run.ops.shapes.unique():
            columns.decode(text, columns.Shapes)
    except ValueError as error:
        raise damaged(run.folder, "ops", "shapes", str(error)) from error


def _check_plan(run: RunTables) -> None:
    """The plan must name each of its cases once: without it nobody could say what is missing."""
    cases = run.planned.cases
    if not all(case.case_id and case.workload and case.dtype for case in cases):
        raise damaged(run.folder, "runs", "plan", "a case without a name")
    if len({case.case_id for case in cases}) < len(cases):
        raise damaged(run.folder, "runs", "plan", "a case is there twice")


def _check_slices(run: RunTables) -> None:
    """A slice must have a whole number of what it is a slice of."""
    slices = run.decoded[run.decoded.slice_of.notna()]
    for params, slice_of in zip(slices.params, slices.slice_of, strict=True):
        at = params.get(slice_of.axis)
        if type(at) is not int or at < 1:
            axis = one_line(shortened(slice_of.axis))
            raise damaged(run.folder, "measurements", "slice_of", f"the case has no such {axis}")


def _check_keys(run: RunTables) -> None:
    """No row may be there twice."""
    if run.measurements.duplicated(KEY).any():
        raise UserError(f"{run.folder}: two measurements of the same case and process")
    for table, key in UNIQUE.items():
        if getattr(run, table).duplicated(key).any():
            raise UserError(f"{run.folder}: table {table!r} has two rows of one {key[-1]}")


def _check_windows(run: RunTables) -> None:
    """A process that came out ok has a window and its steps."""
    for name in ("warmup_steps", "samples", "converged", "timer_kind", "window_s"):
        if run.measured[name].isna().any():
            raise damaged(run.folder, "measurements", name, "a measured process has none")
    if run.measured.window_s.le(0).any():
        raise UserError(f"{run.folder}: table 'measurements' has a window of zero length")


def _check_steps(run: RunTables) -> None:
    """Every step that a measurement counts must be there, in order: figures of the others would
    pass for figures of all."""
    expected = run.measured.set_index(KEY)
    steps = run.samples.groupby(KEY)
    timed = run.samples[~run.samples.warmup.astype(bool)]
    stored = timed.groupby(KEY).size().reindex(expected.index, fill_value=0)
    for (case_id, process), count in stored.items():
        if count != expected.samples[case_id, process]:
            raise UserError(
                f"{run.folder}: table 'samples' is damaged: it has {count} of"
                f" {expected.samples[case_id, process]:.0f} steps of case {case_id}, process"
                f" {process}"
            )
    if (steps.step.max() + 1).ne(steps.size()).any():
        raise damaged(run.folder, "samples", "step", "the numbers of a process have a gap")
    first = expected.warmup_steps.astype("int64").rename("first").reset_index()
    counted = run.samples.merge(first, on=KEY)
    if counted.warmup.ne(counted.step < counted["first"]).any():
        raise damaged(run.folder, "samples", "warmup", "not the steps that the measurement counts")
    last = run.spans.groupby(KEY).step.max()
    if last.ge(steps.size().reindex(last.index, fill_value=0)).any():
        raise damaged(run.folder, "spans", "step", "a step that table 'samples' does not have")


def _check_requests(run: RunTables) -> None:
    """No request may be done, or have its first token, before it was to arrive, and none may lack
    these times."""
    requests = run.requests
    first = requests.first_token_ns.fillna(requests.done_ns)
    if not (requests.scheduled_ns.le(first) & first.le(requests.done_ns)).all():
        raise UserError(f"{run.folder}: table 'requests' has times in the wrong order")
