"""Integrity checks of a run's tables: a run that fails one is damaged, and its figures would be
another run's or only a part of it."""

from pathlib import Path

import pandas as pd

from hwbench.inputs import shortened
from hwbench.records import OUTCOMES, UserError
from hwbench.records.profile import PROFILE_TABLES
from hwbench.tables import columns
from hwbench.tables.columns import damaged
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

INFINITE = float("inf")


def check_run(run: RunTables) -> None:
    """UserError, one line that names the run's folder and the table, if the run is damaged."""
    _check_json(run)
    _check_plan(run)
    _check_slices(run)
    _check_keys(run)
    _check_times(run)
    _check_samples(run)
    _check_requests(run)


def check_profiles(run: RunTables) -> None:
    """UserError for a profile with a null where there is always a figure, or with a figure below
    zero."""
    _check_figures(run.folder, "profiles", run.profiles[["clean_step_s"]])
    for table in PROFILE_TABLES:
        content = getattr(run, table).drop(columns=["flops", "bytes"], errors="ignore")
        _check_figures(run.folder, table, content)


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
            axis = shortened(slice_of.axis)
            raise damaged(run.folder, "measurements", "slice_of", f"the case has no such {axis}")


def _check_keys(run: RunTables) -> None:
    """Each row must belong to this run, and each process must have one measurement."""
    if run.measurements.duplicated(KEY).any():
        raise UserError(f"{run.folder}: two measurements of the same case and process")
    if unknown := set(run.measurements.outcome) - set(OUTCOMES):
        raise UserError(f"{run.folder}: a measurement has the unknown outcome {unknown.pop()!r}")
    for table in ("measurements", "samples", "spans", "requests"):
        if others := set(getattr(run, table).run_id) - {run.run_id}:
            raise UserError(
                f"{run.folder}: table {table!r} has rows of another run, {others.pop()}"
            )


def _check_figures(folder: Path, table: str, content: pd.DataFrame) -> None:
    numbers = content.select_dtypes("number")
    are_sound = numbers.map(lambda value: 0 <= value < INFINITE).all(axis=None)
    if content.isna().any(axis=None) or not are_sound:
        raise UserError(
            f"{folder}: table {table!r} has a figure that is missing, negative or not a number"
        )


def _check_times(run: RunTables) -> None:
    windows = run.measured.window_s
    if windows.le(0).any():
        raise UserError(f"{run.folder}: table 'measurements' has a window of zero length")
    columns = {
        "samples": run.samples.step_s,
        "spans": run.spans.span_s,
        "measurements": windows,
    }
    for table, seconds in columns.items():
        if not seconds.between(0, INFINITE, inclusive="left").all():
            raise UserError(
                f"{run.folder}: table {table!r} has a time that is negative or not a number"
            )


def _check_samples(run: RunTables) -> None:
    """Every step that a measurement counts must be there: figures of the others would pass for
    figures of all."""
    expected = run.measured.set_index(KEY).samples
    timed = run.samples[~run.samples.warmup.astype(bool)]
    stored = timed.groupby(KEY).size().reindex(expected.index, fill_value=0)
    for (case_id, process), count in stored.items():
        if count != expected[case_id, process]:
            raise UserError(
                f"{run.folder}: table 'samples' is damaged: it has {count} of"
                f" {expected[case_id, process]} steps of case {case_id}, process {process}"
            )


def _check_requests(run: RunTables) -> None:
    """No request may be done, or have its first token, before it was to arrive, and none may lack
    these times."""
    requests = run.requests
    first = requests.first_token_ns.fillna(requests.done_ns)
    if not (requests.scheduled_ns.le(first) & first.le(requests.done_ns)).all():
        raise UserError(f"{run.folder}: table 'requests' has times in the wrong order")
