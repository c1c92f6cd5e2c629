"""What will be run: workloads × axes → cases. Pure: it reads no files.

A plan is made before the device is known and settled when it is: `auto` becomes a format, and
formats that the device only emulates are left out unless they were asked for by name.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hwbench import formats
from hwbench.formats import AUTO
from hwbench.inputs import shortened, unknown
from hwbench.records import Case, Param, Policy, UserError
from hwbench.workload import LARGEST, Workload

MOST_CASES = 1000


Choice = tuple[Workload, Mapping[str, Sequence[Param]]]
"""A workload and the values of those axes that are not left at their defaults."""


@dataclass(frozen=True)
class Plan:
    """The cases of a run, each to be measured in `policy.processes` fresh processes or more (see
    rounds).

    By case_id: `searched` are those with an axis at `max`, with the axis, its least and its most
    value (see sizing); `formats` the choices of those whose dtype nobody asked for by name;
    `left_out` those that are not measured, with the reason. `remarks` say, a line each, what was
    not taken as its default.
    """

    cases: tuple[Case, ...]
    policy: Policy
    searched: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    formats: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        cases = [
            {**vars(case), "params": dict(case.params), "case_id": case.case_id}
            for case in self.cases
        ]
        return {"policy": vars(self.policy), "cases": cases}


def named(workloads: Mapping[str, Workload], names: Iterable[str]) -> list[Workload]:
    """The workloads of these names, in this order. UserError suggests near names for one that is
    not there."""
    for name in names:
        if name not in workloads:
            raise UserError(unknown("workload", name, workloads))
    return [workloads[name] for name in names]


def parse_settings(settings: Sequence[str]) -> dict[str, list[str]]:
    """`AXIS=V[,V…]` words → {axis: texts}. UserError for a word of another form or an axis given
    twice."""
    parsed: dict[str, list[str]] = {}
    for word in settings:
        axis, equals, values = word.partition("=")
        texts = [value.strip() for value in values.split(",")]
        if not equals or not axis or "" in texts:
            raise UserError(f"--set {word}: expected AXIS=VALUE[,VALUE…], e.g. --set batch=1,4")
        if axis in parsed:
            raise UserError(
                f"--set {axis} is given twice; write its values in one list, {axis}=V,V"
            )
        parsed[axis] = texts
    return parsed


def make_plan(
    choices: Sequence[Choice], settings: Mapping[str, Sequence[str]], policy: Policy
) -> Plan:
    """The cases of every chosen workload: the product of its axes, each from `settings`, the choice
    or the default.

    A setting goes to every workload that has the axis. UserError for an axis that none has, a value
    not of it, or two axes of a case at `max`.
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
            name: parse_values(workload, name, settings[name])
            if name in settings
            else chosen.get(name, axis.defaults)
            for name, axis in workload.axes.items()
        }
        if empty := [name for name, chosen_values in values.items() if not chosen_values]:
            raise UserError(f"{workload.name}: axis {empty[0]} has no value")
        if (count := math.prod(len(v) for v in values.values())) + len(cases) > MOST_CASES:
            raise UserError(
                f"with {workload.name} there would be {count + len(cases)} cases; a run takes {MOST_CASES}"
            )
        for combination in itertools.product(*values.values()):
            params = dict(zip(values, combination, strict=True))
            fitted = _fit_defaults(workload, params, {*settings, *chosen})
            remarks |= dict.fromkeys(_describe_changes(workload, params, fitted))
            case = Case(workload.name, fitted, str(fitted.pop("dtype")))
            cases.setdefault(case.case_id, case)
            if case.dtype == AUTO or "dtype" not in settings:
                unnamed[case.case_id] = tuple(
                    name for name in workload.axes["dtype"].choices if name != AUTO
                )
            if open_axis := _searched(workload, params):
                searched[case.case_id] = open_axis
    return Plan(tuple(cases.values()), policy, searched, unnamed, remarks=tuple(remarks))


def settle(plan: Plan, device: Mapping[str, Any]) -> Plan:
    """The plan for a device that says this of itself: each `auto` is the fastest format that it
    has, and a case in an emulated format is left out where nobody asked for that format by name.
    """
    rates, of = device.get("formats") or {}, device.get("formats_of", "")
    cases: dict[str, Case] = {}
    searched: dict[str, tuple[str, int, int]] = {}
    left_out: dict[str, str] = {}
    for case in plan.cases:
        choices, search = plan.formats.get(case.case_id, ()), plan.searched.get(case.case_id)
        settled = (
            replace(case, dtype=formats.fastest(choices, rates)) if case.dtype == AUTO else case
        )
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


def _fit_defaults(
    workload: Workload, params: Mapping[str, Param], named: Collection[str]
) -> dict[str, Param]:
    """The parameters, with other values of those that are left at defaults which the rest of them
    cannot have. UserError if the workload's `fit` fails, or changes what it may not."""
    if workload.fit is None:
        return dict(params)
    try:
        changed = dict(workload.fit(dict(params), frozenset(named)))
    except Exception as error:
        raise UserError(
            f"{workload.name}: its fit failed: {type(error).__name__}: {shortened(error)}"
        ) from error
    for axis, value in changed.items():
        if axis not in workload.axes or axis in named or axis == "dtype":
            raise UserError(
                f"{workload.name}: its fit changes {axis}, which is no axis left at its default"
            )
        parse_values(workload, axis, [as_words(value)])
    return {**params, **changed}


def _describe_changes(
    workload: Workload, params: Mapping[str, Param], fitted: Mapping[str, Param]
) -> list[str]:
    """What of a case is not its default, a line each."""
    given = " ".join(f"{name}={params[name]}" for name in ("size", "model") if name in params)
    return [
        f"{workload.name} {given}: {axis}={value} instead of the default {params[axis]}, which it cannot have"
        for axis, value in fitted.items()
        if value != params[axis]
    ]


def _searched(workload: Workload, params: Mapping[str, Param]) -> tuple[str, int, int] | None:
    """The axis of a case that is at `max`, with its bounds; None if none is. UserError for two of
    them."""
    names = [
        name for name, value in params.items() if workload.axes[name].largest and value == LARGEST
    ]
    if len(names) > 1:
        raise UserError(
            f"{workload.name}: {' and '.join(names)} cannot be {LARGEST} at once; give one a number"
        )
    return (
        (names[0], workload.axes[names[0]].minimum, workload.axes[names[0]].maximum)
        if names
        else None
    )


def parse_values(workload: Workload, axis: str, texts: Iterable[str]) -> list[Param]:
    try:
        return list(dict.fromkeys(workload.axes[axis].parse(axis, text) for text in texts))
    except UserError as error:
        raise UserError(f"{workload.name}: {error}") from error


def as_words(value: object) -> str:
    """A TOML value as it would be typed after --set."""
    return str(value).lower() if isinstance(value, bool) else str(value)
