"""Whether a baseline and a candidate can be compared: the same device, clock and work of a step,
and valid figures. And what may explain a difference: doubts about figures, a different environment.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.energy import energy_of
from hwbench.analysis.metrics.summary import WORK_METRICS
from hwbench.analysis.metrics.validity import INVALIDATING, severity_of
from hwbench.tables.run import RunTables

CONDITIONS = {
    "packages": ("torch", "numpy"),
    "cpu": ("name", "logical_cores", "governor", "boost", "smt"),
    "container": ("cpu_quota",),
    "device": ("torch_threads", "cuda", "cudnn", "power_limit_w"),
    "variables": None,
}
"""The facts of the environment that are compared, by its part; None: all that are known."""


class Obstacles:
    """Why cases of a baseline, of one run or several, and a candidate cannot be compared.

    With `across_devices` their devices and clocks may differ. On `one_machine` the runs are known
    to be of one device, whatever it is called.
    """

    def __init__(
        self,
        baseline: Sequence[RunTables],
        candidate: RunTables,
        across_devices: bool = False,
        one_machine: bool = False,
    ) -> None:
        self._device, self._clocks = "", {}
        if not (across_devices or one_machine):
            self._device = _device_difference(baseline, candidate)
        if not across_devices:
            self._clocks = _differences_of(baseline, candidate, ["timer_kind"], "clock")
        self._invalid = _invalid_cases(baseline, candidate)
        self._meters = _meter_differences(baseline, candidate)
        work = ["tokens", "flops", "bytes"]
        self._work = _differences_of(baseline, candidate, work, "work of a step")

    def of(self, case_id: str, metric: str) -> str:
        """The reason for this case and metric, in one line; empty if there is none."""
        reasons = [self._device, self._invalid.get(case_id), self._clocks.get(case_id)]
        if metric in WORK_METRICS:
            reasons.append(self._work.get(case_id))
        reasons.append(self._meters.get((case_id, metric)))
        return next(filter(None, reasons), "")


def with_one_kind_of_peak(runs: Sequence[RunTables]) -> list[RunTables]:
    """The runs, with peaks of memory that can be compared. A run of an older version has the peak
    of all that a process did; where one is among others, theirs becomes the peak of all, and not
    of the timed steps alone."""
    known = [bool(run.measurements.memory_build_peak_bytes.notna().any()) for run in runs]
    if len(set(known)) < 2:
        return list(runs)
    return [_with_whole_peak(run) for run in runs]


def _with_whole_peak(run: RunTables) -> RunTables:
    rows = run.measurements
    whole = rows[["memory_peak_bytes", "memory_build_peak_bytes"]].astype("float64").max(axis=1)
    peaks = whole.where(rows.memory_peak_bytes.notna())
    return replace(run, measurements=rows.assign(memory_peak_bytes=peaks))


def invalidating_codes(run: RunTables) -> dict[str, str]:
    """By case_id, the code of the note that makes a case invalid; of several the first by name."""
    invalid = {case_id: INVALIDATING & set(codes) for case_id, codes in _codes(run).items()}
    return {case_id: min(codes) for case_id, codes in invalid.items() if codes}


def doubts(baseline: Sequence[RunTables], candidate: RunTables) -> dict[str, str]:
    """By case_id, the notes against the values of either side, in words: "candidate: throttled". A
    wide interval is no doubt of the value, and is already in the interval of the ratio."""
    by_case: dict[str, list[str]] = {}
    for name, run in _named(baseline, candidate):
        for case_id, codes in _codes(run).items():
            doubtful = [code for code in codes if severity_of(code) != "wide"]
            if doubtful:
                by_case.setdefault(case_id, []).append(f"{name}: {', '.join(doubtful)}")
    return {case_id: "; ".join(dict.fromkeys(words)) for case_id, words in by_case.items()}


def differences(baseline: RunTables, candidate: RunTables) -> list[str]:
    """What of the environment differs: "torch: 2.12.0 against 2.13.0". Facts that only one side
    knows are left out; an environment variable that only one side has is a difference."""
    theirs, ours = _conditions(baseline), _conditions(candidate)
    differing = []
    for name in theirs | ours:
        is_known = name.startswith("$") or (name in theirs and name in ours)
        if is_known and theirs.get(name) != ours.get(name):
            values = f"{theirs.get(name, 'not set')} against {ours.get(name, 'not set')}"
            differing.append(f"{name}: {values}")
    return differing


def _named(baseline: Sequence[RunTables], candidate: RunTables) -> list[tuple[str, RunTables]]:
    return [*(("baseline", run) for run in baseline), ("candidate", candidate)]


def _codes(run: RunTables) -> dict[str, list[str]]:
    """By case_id, the codes of the notes of its measured processes."""
    by_case: dict[str, dict[str, None]] = {}
    for case_id, notes in zip(run.measured.case_id, run.measured.notes, strict=True):
        for note in notes:
            by_case.setdefault(case_id, {})[note.partition(":")[0]] = None
    return {case_id: list(codes) for case_id, codes in by_case.items()}


def _invalid_cases(baseline: Sequence[RunTables], candidate: RunTables) -> dict[str, str]:
    return {
        case_id: f"{name}: invalid: {code}"
        for name, run in reversed(_named(baseline, candidate))
        for case_id, code in invalidating_codes(run).items()
    }


def _device_difference(baseline: Sequence[RunTables], candidate: RunTables) -> str:
    """How the devices of the runs differ, or that they may. Empty if all are of one device."""
    ours = candidate.identity
    for run in baseline:
        theirs = run.identity
        if theirs.kind == ours.kind and (theirs.is_unknown or ours.is_unknown):
            names = " and ".join(dict.fromkeys((theirs.name, ours.name)))
            doubt = f"nothing identifies the device ({names or 'no name'}): it may be another"
            return f"{doubt}; --allow-cross-device compares all the same"
        if difference := theirs.difference(ours):
            return f"another device: {difference}"
    return ""


def _differences_of(
    baseline: Sequence[RunTables], candidate: RunTables, columns: list[str], what: str
) -> dict[str, str]:
    """By case_id, how `columns` of its measurements differ between the sides, where both have
    measured it."""
    theirs, ours = _values(baseline, columns), _values([candidate], columns)
    differing = {}
    for case_id in theirs.keys() & ours.keys():
        if theirs[case_id] != ours[case_id]:
            words = [_in_words(side[case_id], columns) for side in (theirs, ours)]
            differing[case_id] = f"another {what}: {' against '.join(words)}"
    return differing


def _meter_differences(
    baseline: Sequence[RunTables], candidate: RunTables
) -> dict[tuple[str, str], str]:
    """By case_id and metric, how the sources of an energy differ: an estimate and a counter cannot
    be compared."""
    theirs, ours = _sources(baseline), _sources([candidate])
    differing = {}
    for key in theirs.keys() & ours.keys():
        if theirs[key] != ours[key]:
            words = [" or ".join(sorted(side[key])) for side in (theirs, ours)]
            differing[key] = f"another meter: {' against '.join(words)}"
    return differing


def _sources(runs: Sequence[RunTables]) -> dict[tuple[str, str], set[str]]:
    """By case_id and metric, the sources of its energy in each process."""
    sources: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        for row in energy_of(run).itertuples():
            sources.setdefault((row.case_id, row.metric), set()).add(row.source)
    return sources


def _values(runs: Sequence[RunTables], columns: list[str]) -> dict[str, set[tuple[Any, ...]]]:
    """By case_id, the different values of `columns` in its processes, None for unknown."""
    measured = pd.concat([run.measured for run in runs])
    values: dict[str, set[tuple[Any, ...]]] = {}
    for case_id, *row in measured[["case_id", *columns]].itertuples(index=False):
        known = tuple(None if pd.isna(value) else value for value in row)
        values.setdefault(case_id, set()).add(known)
    return values


def _in_words(values: set[tuple[Any, ...]], columns: list[str]) -> str:
    """The values of several columns with their names, those of a single one without."""
    if len(columns) == 1:
        return ", ".join(sorted(str(value) for (value,) in values))
    alternatives = []
    for row in values:
        named = zip(columns, row, strict=True)
        words = [f"{name} {value:g}" for name, value in named if value is not None]
        alternatives.append(" ".join(words) or "none declared")
    return " or ".join(sorted(alternatives))


def _conditions(run: RunTables) -> dict[str, Any]:
    """By name, CONDITIONS as this run's environment has them; variables as $NAME."""
    conditions: dict[str, Any] = {}
    for part, names in CONDITIONS.items():
        facts = run.environment.get(part)
        if not isinstance(facts, dict):
            continue
        mark = "$" if names is None else ""
        for name in facts if names is None else names:
            if facts.get(name) is not None:
                conditions[f"{mark}{name}"] = facts[name]
    return conditions
