"""What will be run: workloads × axes → cases, in rounds. Pure: it reads suite files and nothing else.

A plan is made before the device is known and settled when it is: `auto` becomes a format, and formats that the device
only emulates are left out unless they were asked for by name.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hwbench import formats
from hwbench.formats import AUTO
from hwbench.inputs import read_toml
from hwbench.records import Case, Param, Policy, UserError
from hwbench.workload import LARGEST, Workload, shortened, unknown

SUITES = Path(__file__).resolve().parents[2] / "workloads" / "suites"
MOST_CASES = 1000

Choice = tuple[Workload, Mapping[str, Sequence[Param]]]
"""A workload and the values of those axes that are not left at their defaults."""

LIMITS: dict[str, tuple[float, float]] = {
    "processes": (1, 1000),
    "max_processes": (1, 1000),
    "precision": (0.0001, 1),
    "min_time_s": (0, 86400),
    "max_time_s": (0.001, 86400),
    "min_samples": (1, 10_000_000),
    "timeout_s": (0.1, 7 * 86400),
    "seed": (0, 2**32 - 1),
    "tdp_w": (0.1, 1e6),
    "budget_s": (1, 7 * 86400),
}


@dataclass(frozen=True)
class Suite:
    """A named set of cases with the policy they are measured under."""

    name: str
    description: str
    policy: Policy
    cases: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Plan:
    """The cases of a run, each to be measured in `policy.processes` fresh processes or more (see rounds).

    By case_id: `searched` are those with an axis at `max`, with the axis, its least and its most value (see sizing);
    `formats` the choices of those whose dtype nobody asked for by name; `left_out` those that are not measured, with
    the reason. `remarks` say, a line each, what was not taken as its default.
    """

    cases: tuple[Case, ...]
    policy: Policy
    searched: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    formats: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        cases = [{**vars(case), "params": dict(case.params), "case_id": case.case_id} for case in self.cases]
        return {"policy": vars(self.policy), "cases": cases}


def suite_names() -> list[str]:
    return sorted(file.stem for file in SUITES.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """A suite by its name, or from a TOML file. UserError if it is neither, broken, or names nothing."""
    file = Path(name) if name.endswith(".toml") or "/" in name else SUITES / f"{name}.toml"
    if not file.is_file():
        raise UserError(f"{name}: no such suite file" if file == Path(name) else unknown("suite", name, suite_names()))
    content = read_toml(file)
    for key in content:
        if key not in ("description", "policy", "cases"):
            raise UserError(f"{file}: " + unknown("key", key, ("description", "policy", "cases")))
    cases, policy = content.get("cases"), content.get("policy", {})
    if not isinstance(cases, list) or not cases or not all(isinstance(case, dict) for case in cases):
        raise UserError(f"{file}: no cases in it; a suite has at least one [[cases]] with a workload")
    if not isinstance(policy, dict):
        raise UserError(f"{file}: policy is a table, [policy], of {', '.join(LIMITS)}")
    try:
        checked = checked_policy(Policy(), policy)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return Suite(file.stem, str(content.get("description", "")), checked, tuple(cases))


def checked_policy(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """`policy` with `changes`. UserError for a name that is not in it or a number that makes no sense."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise UserError(unknown("policy", name, LIMITS))
        low, high = LIMITS[name]
        whole = next(field.type for field in fields(Policy) if field.name == name) is int
        fits = isinstance(value, int) or (isinstance(value, float) and not whole)
        if isinstance(value, bool) or not fits or not low <= value <= high:  # no comparison holds for NaN
            kind = "a whole number" if whole else "a number"
            raise UserError(f"{name} = {shortened(value)}: expected {kind} from {low:g} to {high:g}")
    changed = _checked_processes(replace(policy, **changes), changes)
    if changed.min_time_s > changed.max_time_s:
        if "max_time_s" in changes and "min_time_s" not in changes:  # the user's bound beats the suite's wish
            return replace(changed, min_time_s=changed.max_time_s)
        if "min_time_s" in changes and "max_time_s" not in changes:
            return replace(changed, max_time_s=changed.min_time_s)
        raise UserError(f"min_time_s = {changed.min_time_s:g} is above max_time_s = {changed.max_time_s:g}")
    return changed


def _checked_processes(changed: Policy, changes: Mapping[str, Any]) -> Policy:
    """A number of processes given alone is the number: no fewer, no more, and no suite's budget cuts it. Only two that
    cross are refused."""
    if "budget_s" not in changes and changes.keys() & {"processes", "max_processes"}:
        changed = replace(changed, budget_s=None)
    if "max_processes" not in changes and "processes" in changes:
        return replace(changed, max_processes=changed.processes)
    if changed.processes <= changed.max_processes:
        return changed
    if "processes" not in changes:
        return replace(changed, processes=changed.max_processes)
    raise UserError(f"processes = {changed.processes} is above max_processes = {changed.max_processes}")


def from_suite(suite: Suite, workloads: Mapping[str, Workload], only: Sequence[str] = ()) -> list[Choice]:
    """The suite's workloads with the values it sets; with `only`, just these. UserError names what is unknown."""
    choices: list[Choice] = []
    for case in suite.cases:
        name = str(case.get("workload", ""))
        declared = named(workloads, [name])[0]
        values = {axis: value if isinstance(value, list) else [value] for axis, value in case.items()}
        del values["workload"]
        for axis in values:
            if axis not in declared.axes:
                raise UserError(f"suite {suite.name}: {name}: " + unknown("axis", axis, declared.axes))
        choices.append((declared, {axis: _parsed(declared, axis, map(_text, v)) for axis, v in values.items()}))
    if missing := [name for name in only if name not in {choice[0].name for choice in choices}]:
        raise UserError(
            f"suite {suite.name} has no {missing[0]}; it has {', '.join(sorted({c[0].name for c in choices}))}"
        )
    return [choice for choice in choices if not only or choice[0].name in only]


def named(workloads: Mapping[str, Workload], names: Iterable[str]) -> list[Workload]:
    """The workloads of these names, in this order. UserError suggests near names for one that is not there."""
    for name in names:
        if name not in workloads:
            raise UserError(unknown("workload", name, workloads))
    return [workloads[name] for name in names]


def parse_settings(settings: Sequence[str]) -> dict[str, list[str]]:
    """`AXIS=V[,V…]` words → {axis: texts}. UserError for a word of another form or an axis given twice."""
    parsed: dict[str, list[str]] = {}
    for word in settings:
        axis, equals, values = word.partition("=")
        texts = [value.strip() for value in values.split(",")]
        if not equals or not axis or "" in texts:
            raise UserError(f"--set {word}: expected AXIS=VALUE[,VALUE…], e.g. --set batch=1,4")
        if axis in parsed:
            raise UserError(f"--set {axis} is given twice; write its values in one list, {axis}=V,V")
        parsed[axis] = texts
    return parsed


def make_plan(choices: Sequence[Choice], settings: Mapping[str, Sequence[str]], policy: Policy) -> Plan:
    """The cases of every chosen workload: the product of its axes, each from `settings`, the choice or the default.

    A setting goes to every workload that has the axis. UserError for an axis that none has, a value not of it, or two
    axes of a case at `max`.
    """
    for axis in settings:
        if not any(axis in workload.axes for workload, _ in choices):
            known = {name for workload, _ in choices for name in workload.axes}
            raise UserError("none of the chosen workloads has it: " + unknown("axis", axis, known))
    cases: dict[str, Case] = {}
    searched: dict[str, tuple[str, int, int]] = {}
    unnamed: dict[str, tuple[str, ...]] = {}
    remarks: dict[str, None] = {}
    for workload, chosen in choices:
        values = {
            name: _parsed(workload, name, settings[name]) if name in settings else chosen.get(name, axis.defaults)
            for name, axis in workload.axes.items()
        }
        if empty := [name for name, chosen_values in values.items() if not chosen_values]:
            raise UserError(f"{workload.name}: axis {empty[0]} has no value")
        if (count := math.prod(len(v) for v in values.values())) + len(cases) > MOST_CASES:
            raise UserError(f"with {workload.name} there would be {count + len(cases)} cases; a run takes {MOST_CASES}")
        for combination in itertools.product(*values.values()):
            params = dict(zip(values, combination, strict=True))
            fitted = _fit_defaults(workload, params, {*settings, *chosen})
            remarks |= dict.fromkeys(_describe_changes(workload, params, fitted))
            case = Case(workload.name, fitted, str(fitted.pop("dtype")))
            cases.setdefault(case.case_id, case)
            if case.dtype == AUTO or "dtype" not in settings:
                unnamed[case.case_id] = tuple(name for name in workload.axes["dtype"].choices if name != AUTO)
            if open_axis := _searched(workload, params):
                searched[case.case_id] = open_axis
    return Plan(tuple(cases.values()), policy, searched, unnamed, remarks=tuple(remarks))


def settle(plan: Plan, device: Mapping[str, Any]) -> Plan:
    """The plan for a device that says this of itself: each `auto` is the fastest format that it has, and a case in an
    emulated format is left out where nobody asked for that format by name.
    """
    rates, of = device.get("formats") or {}, device.get("formats_of", "")
    cases: dict[str, Case] = {}
    searched: dict[str, tuple[str, int, int]] = {}
    left_out: dict[str, str] = {}
    for case in plan.cases:
        choices, search = plan.formats.get(case.case_id, ()), plan.searched.get(case.case_id)
        settled = replace(case, dtype=formats.fastest(choices, rates)) if case.dtype == AUTO else case
        if case.dtype != AUTO and choices and formats.is_emulated(case.dtype, rates):
            if search:  # for nothing: it keeps the least value
                axis, least, _ = search
                settled, search = replace(case, params={**case.params, axis: least}), None
            fast = "; fast is --dtype fp32" if "fp32" in choices else ""
            cure = f"--dtype {case.dtype} measures it all the same{fast}"
            left_out[settled.case_id] = f"{formats.slowness(case.dtype, rates, of)}; {cure}"
        if search:
            searched[settled.case_id] = search
        cases.setdefault(settled.case_id, settled)
    return replace(plan, cases=tuple(cases.values()), searched=searched, left_out=left_out)


def _fit_defaults(workload: Workload, params: Mapping[str, Param], named: Collection[str]) -> dict[str, Param]:
    """The parameters, with other values of those that are left at defaults which the rest of them cannot have.
    UserError if the workload's `fit` fails, or changes what it may not."""
    if workload.fit is None:
        return dict(params)
    try:
        changed = dict(workload.fit(dict(params), frozenset(named)))
    except Exception as error:
        raise UserError(f"{workload.name}: its fit failed: {type(error).__name__}: {shortened(error)}") from error
    for axis, value in changed.items():
        if axis not in workload.axes or axis in named or axis == "dtype":
            raise UserError(f"{workload.name}: its fit changes {axis}, which is no axis left at its default")
        _parsed(workload, axis, [_text(value)])
    return {**params, **changed}


def _describe_changes(workload: Workload, params: Mapping[str, Param], fitted: Mapping[str, Param]) -> list[str]:
    """What of a case is not its default, a line each."""
    given = " ".join(f"{name}={params[name]}" for name in ("size", "model") if name in params)
    return [
        f"{workload.name} {given}: {axis}={value} instead of the default {params[axis]}, which it cannot have"
        for axis, value in fitted.items()
        if value != params[axis]
    ]


def _searched(workload: Workload, params: Mapping[str, Param]) -> tuple[str, int, int] | None:
    """The axis of a case that is at `max`, with its bounds; None if none is. UserError for two of them."""
    names = [name for name, value in params.items() if workload.axes[name].largest and value == LARGEST]
    if len(names) > 1:
        raise UserError(f"{workload.name}: {' and '.join(names)} cannot be {LARGEST} at once; give one a number")
    return (names[0], workload.axes[names[0]].minimum, workload.axes[names[0]].maximum) if names else None


def _parsed(workload: Workload, axis: str, texts: Iterable[str]) -> list[Param]:
    try:
        return list(dict.fromkeys(workload.axes[axis].parse(axis, text) for text in texts))
    except UserError as error:
        raise UserError(f"{workload.name}: {error}") from error


def _text(value: object) -> str:
    """A TOML value as it would be typed after --set."""
    return str(value).lower() if isinstance(value, bool) else str(value)
