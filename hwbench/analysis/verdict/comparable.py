"""Whether two sides can be compared at all: the device, the clock, the work of a step, figures that
mean something.

And what does not forbid it but may explain a difference: doubts about a side's figures, an
environment that differs.
"""

import json
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.energy import energy_of
from hwbench.analysis.metrics.summary import WORK_METRICS
from hwbench.analysis.metrics.validity import INVALIDATING, severity_of
from hwbench.tables.reader import RunTables

UNKNOWN_NAMES = ("", "unknown CPU")
"""Device names that say nothing: two of them may be two devices."""

CONDITIONS = {
    "packages": ("torch", "numpy"),
    "cpu": ("name", "logical_cores", "governor", "boost", "smt"),
    "container": ("cpu_quota",),
    "device": ("torch_threads", "cuda", "cudnn", "power_limit_w"),
    "variables": None,
}
"""What of the environment is held against each other, by its part; None takes all that is there."""


class Obstacles:
    """Why there can be no verdict on rows of a baseline, of one run or several, and a candidate."""

    def __init__(
        self, baseline: Sequence[RunTables], candidate: RunTables, across_devices: bool = False
    ) -> None:
        self._strange = "" if across_devices else _strange_device(baseline, candidate)
        self._invalid = _invalid_cases(baseline, candidate)
        self._clocks = (
            {} if across_devices else _differing(baseline, candidate, ["timer_kind"], "clock")
        )
        self._meters = _differing_meters(baseline, candidate)
        self._work = _differing(baseline, candidate, ["tokens", "flops", "bytes"], "work of a step")

    def of(self, case_id: str, metric: str) -> str:
        """The reason for this case and metric, in one line; empty if there is none."""
        work = self._work.get(case_id, "") if metric in WORK_METRICS else ""
        meter = self._meters.get((case_id, metric), "")
        return (
            self._strange
            or self._invalid.get(case_id, "")
            or self._clocks.get(case_id, "")
            or work
            or meter
        )


def with_one_kind_of_peak(runs: Sequence[RunTables]) -> list[RunTables]:
    """The runs, with peaks of memory that may be held against each other: where an older run has
    those of all that a process did, the others have theirs of that too, and not of the timed steps
    alone."""
    known = [run.measurements.memory_build_peak_bytes.notna() for run in runs]
    if all(map(any, known)) or not any(map(any, known)):
        return list(runs)
    return [_with_whole_peak(run) for run in runs]


def _with_whole_peak(run: RunTables) -> RunTables:
    rows = run.measurements
    whole = rows[["memory_peak_bytes", "memory_build_peak_bytes"]].astype("float64").max(axis=1)
    return replace(
        run, measurements=rows.assign(memory_peak_bytes=whole.where(rows.memory_peak_bytes.notna()))
    )


def invalid(run: RunTables) -> dict[str, str]:
    """By case_id, the code of the note for which a case's figures mean nothing."""
    found = {case_id: INVALIDATING & set(codes) for case_id, codes in _codes(run).items()}
    return {case_id: min(codes) for case_id, codes in found.items() if codes}


def doubts(baseline: Sequence[RunTables], candidate: RunTables) -> dict[str, str]:
    """By case_id, what was noted against the values of either side, in words: "candidate:
    throttled". That a side's interval is wide is no doubt of its value, and is in the interval of
    the ratio."""
    found: dict[str, list[str]] = {}
    for name, run in _named(baseline, candidate):
        for case_id, codes in _codes(run).items():
            if doubted := [code for code in codes if severity_of(code) != "wide"]:
                found.setdefault(case_id, []).append(f"{name}: {', '.join(doubted)}")
    return {case_id: "; ".join(dict.fromkeys(words)) for case_id, words in found.items()}


def differences(baseline: RunTables, candidate: RunTables) -> list[str]:
    """What of the environment differs, "torch: 2.12.0 against 2.13.0"; whatever a side does not
    know is left out."""
    sides = [_conditions(run) for run in (baseline, candidate)]
    names = [
        name
        for name in sides[0] | sides[1]
        if name.startswith("$") or name in sides[0].keys() & sides[1].keys()
    ]
    return [
        f"{name}: {sides[0].get(name, 'not set')} against {sides[1].get(name, 'not set')}"
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def _named(baseline: Sequence[RunTables], candidate: RunTables) -> list[tuple[str, RunTables]]:
    return [*(("baseline", run) for run in baseline), ("candidate", candidate)]


def _codes(run: RunTables) -> dict[str, list[str]]:
    """By case_id, the codes of the notes of its measured processes."""
    found: dict[str, dict[str, None]] = {}
    for case_id, notes in zip(run.measured.case_id, run.measured.notes, strict=True):
        for note in json.loads(notes):
            found.setdefault(case_id, {})[str(note).partition(":")[0]] = None
    return {case_id: list(codes) for case_id, codes in found.items()}


def _invalid_cases(baseline: Sequence[RunTables], candidate: RunTables) -> dict[str, str]:
    return {
        case_id: f"{name}: invalid: {code}"
        for name, run in reversed(_named(baseline, candidate))
        for case_id, code in invalid(run).items()
    }


def _strange_device(baseline: Sequence[RunTables], candidate: RunTables) -> str:
    """Why the runs are of different devices, or may be. Empty if they are of one."""
    for run in baseline:
        for theirs, ours in zip(astuple(run.device), astuple(candidate.device), strict=True):
            if theirs != ours:
                return f"another device: {theirs} against {ours}"
            if theirs in UNKNOWN_NAMES:
                return "the device is unknown on both sides: it may be another"
    return ""


def _differing(
    baseline: Sequence[RunTables], candidate: RunTables, columns: list[str], what: str
) -> dict[str, str]:
    """By case_id, how `columns` of its measurements differ between the sides, where both have
    measured it."""
    theirs, ours = _values(baseline, columns), _values([candidate], columns)
    return {
        case_id: f"another {what}: {_in_words(theirs[case_id], columns)} against {_in_words(ours[case_id], columns)}"
        for case_id in theirs.keys() & ours.keys()
        if theirs[case_id] != ours[case_id]
    }


def _differing_meters(
    baseline: Sequence[RunTables], candidate: RunTables
) -> dict[tuple[str, str], str]:
    """By case_id and metric, how the sources of an energy differ: an estimate and a counter have no
    ratio."""
    theirs, ours = _sources(baseline), _sources([candidate])
    return {
        key: f"another meter: {' or '.join(sorted(theirs[key]))} against {' or '.join(sorted(ours[key]))}"
        for key in theirs.keys() & ours.keys()
        if theirs[key] != ours[key]
    }


def _sources(runs: Sequence[RunTables]) -> dict[tuple[str, str], set[str]]:
    """By case_id and metric, the sources of its energy in each process."""
    found: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        for row in energy_of(run).itertuples():
            found.setdefault((row.case_id, row.metric), set()).add(row.source)
    return found


def _values(runs: Sequence[RunTables], columns: list[str]) -> dict[str, set[tuple[Any, ...]]]:
    measured = pd.concat([run.measured for run in runs])
    found: dict[str, set[tuple[Any, ...]]] = {}
    for row in measured[["case_id", *columns]].itertuples(index=False):
        found.setdefault(row[0], set()).add(
            tuple(None if pd.isna(value) else value for value in row[1:])
        )
    return found


def _in_words(values: set[tuple[Any, ...]], columns: list[str]) -> str:
    """One of several columns is named, a single one needs no name."""
    if len(columns) == 1:
        return ", ".join(sorted(str(value) for (value,) in values))
    named = [
        " ".join(
            f"{name} {value:g}"
            for name, value in zip(columns, row, strict=True)
            if value is not None
        )
        for row in values
    ]
    return " or ".join(sorted(words or "none declared" for words in named))


def _conditions(run: RunTables) -> dict[str, Any]:
    """By name, CONDITIONS as this run's environment has them; variables as $NAME."""
    found: dict[str, Any] = {}
    for part, names in CONDITIONS.items():
        facts = run.environment.get(part)
        if isinstance(facts, dict):
            mark = "$" if names is None else ""
            known = {
                f"{mark}{name}": facts.get(name) for name in (facts if names is None else names)
            }
            found.update({name: value for name, value in known.items() if value is not None})
    return found
