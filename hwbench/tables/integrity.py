"""What the tables of a run must hold for its figures to be its own: anything else is damage, and
said in one line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hwbench.records import OUTCOMES, UserError
from hwbench.tables.schema import KEY


def check_run(
    folder: Path,
    runs: pd.DataFrame,
    measurements: pd.DataFrame,
    samples: pd.DataFrame,
    spans: pd.DataFrame,
    requests: pd.DataFrame,
) -> None:
    """UserError, which names the run's `folder`, for what no run of ours holds."""
    for column, kind in (("plan", dict), ("environment", dict), ("argv", list)):
        _check_json(folder, "runs", column, runs[column], kind)
    _check_plan(folder, json.loads(runs.plan.iloc[0]))
    _check_json(folder, "measurements", "notes", measurements.notes, list)
    _check_json(folder, "measurements", "params", measurements.params, dict)
    for column in ("choices", "span_work"):
        _check_json(folder, "measurements", column, measurements[column].dropna(), dict)
    if any(
        not all(isinstance(note, str) for note in json.loads(notes)) for notes in measurements.notes
    ):
        raise UserError(f"{folder}: column 'notes' of table 'measurements' is damaged")
    if measurements.duplicated(KEY).any():
        raise UserError(f"{folder}: two measurements of the same case and process")
    if strange := set(measurements.outcome) - set(OUTCOMES):
        raise UserError(
            f"{folder}: a measurement with the outcome {strange.pop()!r}, which there is not"
        )
    tables = {
        "measurements": measurements,
        "samples": samples,
        "spans": spans,
        "requests": requests,
    }
    for table, content in tables.items():
        if others := set(content.run_id) - {runs.run_id.iloc[0]}:
            raise UserError(f"{folder}: table {table!r} has rows of another run, {others.pop()}")
    _check_times(folder, measurements, samples, spans)
    _check_samples(folder, measurements, samples)
    _check_requests(folder, requests)


def _check_json(folder: Path, table: str, column: str, texts: pd.Series, kind: type) -> None:
    for text in texts:
        try:
            fits = isinstance(json.loads(text), kind)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise UserError(f"{folder}: column {column!r} of table {table!r} is damaged")


def _check_plan(folder: Path, plan: Mapping[str, Any]) -> None:
    """The plan must name its cases, each once, and its processes: else nothing can be said to be
    missing."""
    try:
        policy, cases = plan["policy"], plan["cases"]
        fits = isinstance(policy["processes"], int) and isinstance(
            policy.get("precision", 0.01), int | float
        )
        fits = fits and all(_is_case(case) for case in cases)
        fits = fits and len({case["case_id"] for case in cases}) == len(cases)
    except (KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise UserError(f"{folder}: column 'plan' of table 'runs' is damaged")


def _is_case(case: Mapping[str, Any]) -> bool:
    names = all(
        isinstance(case[name], str) and case[name] for name in ("case_id", "workload", "dtype")
    )
    return names and isinstance(case["params"], dict)


def check_profiles(
    folder: Path, profiles: pd.DataFrame, tables: Mapping[str, pd.DataFrame]
) -> None:
    """UserError for a profile with a figure that none has: a null where there is always one, or a
    time below zero."""
    _check_json(folder, "profiles", "unknown", profiles.unknown, dict)
    for table, content in {"profiles": profiles[["clean_step_s"]], **tables}.items():
        must = content.drop(columns=["flops", "bytes"], errors="ignore")
        numbers = must.select_dtypes("number")
        if must.isna().any(axis=None) or not numbers.map(
            lambda value: 0 <= value < float("inf")
        ).all(axis=None):
            raise UserError(
                f"{folder}: table {table!r} has a figure that is missing, negative or not a number"
            )


def _check_times(
    folder: Path, measurements: pd.DataFrame, samples: pd.DataFrame, spans: pd.DataFrame
) -> None:
    windows = measurements.window_s[measurements.outcome == "ok"]
    if windows.le(0).any():
        raise UserError(f"{folder}: table 'measurements' has a window of no length")
    for table, seconds in (
        ("samples", samples.step_s),
        ("spans", spans.span_s),
        ("measurements", windows),
    ):
        if not (seconds.between(0, float("inf"), inclusive="left")).all():
            raise UserError(
                f"{folder}: table {table!r} has a time that is negative or not a number"
            )


def _check_samples(folder: Path, measurements: pd.DataFrame, samples: pd.DataFrame) -> None:
    """Every step that a measurement counts must be there: figures of the rest would pass for those
    of all."""
    counted = measurements[measurements.outcome == "ok"].set_index(KEY).samples
    stored = (
        samples[~samples.warmup.astype(bool)]
        .groupby(KEY)
        .size()
        .reindex(counted.index, fill_value=0)
    )
    for (case_id, process), there in stored.items():
        if there != counted[case_id, process]:
            what = (
                f"{there} of {counted[case_id, process]} steps of case {case_id}, process {process}"
            )
            raise UserError(f"{folder}: table 'samples' is damaged: it has {what}")


def _check_requests(folder: Path, requests: pd.DataFrame) -> None:
    """No request is done, or has its first token, before it was to arrive, and none lacks these
    times."""
    first = requests.first_token_ns.fillna(requests.done_ns)
    if not (requests.scheduled_ns.le(first) & first.le(requests.done_ns)).all():
        raise UserError(f"{folder}: table 'requests' has a time that cannot be")
