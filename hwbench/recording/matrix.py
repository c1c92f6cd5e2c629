"""The matrix of cases: workloads × axes → the plan of a run. Pure: it reads no files.

A plan is made before the device is known and settled afterwards: `auto` becomes a format, and cases
in formats that the device only emulates are left out unless they were asked for by name.
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
"""A workload and the values of those of its axes that are not at their defaults."""


@dataclass(frozen=True)
class Plan:
    """The cases of a run, each to be measured in `policy.processes` fresh processes or more (see
    rounds).

    By case_id: `searched` has the cases with an axis at `max`, each with that axis, its least and
    its largest value (see sizing); `formats` the cases whose dtype nobody asked for by name, with
    the dtypes to choose from; `left_out` those that are not measured, with the reason. `remarks`
    are lines on axes that cannot have their defaults.
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
    """The workloads of these names, in this order. UserError suggests near names for an unknown
    one."""
    for name in names:
        if name not in workloads:
            raise UserError(unknown("workload", name, workloads))
    return [workloads[name] for name in names]


def parse_settings(settings: Sequence[str]) -> dict[str, list[str]]:
    """Parse words `AXIS=V[,V…]` into {axis: texts}. UserError for a word of another form or an axis
    that is given twice."""
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
    """The plan of every chosen workload: the product of its axes, whose values come from
    `settings`, the choice or the default.

    A setting goes to every workload that has the axis. UserError for an axis that none has, a value
    that the axis cannot have, or two axes of a case at `max`.
    """
    for axis in settings:
        if not any(axis in workload.axes for workload, _ in choices):
            known = {name for workload, _ in choices for name in workload.axes}
            problem = unknown("axis", axis, known)
            raise UserError(f"no chosen workload has this axis: {problem}")
    cases: dict[str, Case] = {}
    searched: dict[str, tuple[str, int, int]] = {}
    unnamed: dict[str, tuple[str, ...]] = {}
    remarks: dict[str, None] = {}
    for workload, chosen in choices:
        values = _values(workload, settings, chosen)
        total = len(cases) + math.prod(len(texts) for texts in values.values())
        if total > MOST_CASES:
            raise UserError(
                f"with {workload.name} there would be {total} cases; a run takes {MOST_CASES}"
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


def _values(
    workload: Workload, settings: Mapping[str, Sequence[str]], chosen: Mapping[str, Sequence[Param]]
) -> dict[str, Sequence[Param]]:
    """The values of each axis. UserError for an axis without any."""
    values: dict[str, Sequence[Param]] = {}
    for name, axis in workload.axes.items():
        if name in settings:
            values[name] = parse_values(workload, name, settings[name])
        else:
            values[name] = chosen.get(name, axis.defaults)
        if not values[name]:
            raise UserError(f"{workload.name}: axis {name} has no value")
    return values


def settle(plan: Plan, device: Mapping[str, Any]) -> Plan:
    """The plan for a device that describes itself as `device`: each `auto` becomes the fastest
    format of the device, and a case in an emulated format that nobody asked for by name is left
    out."""
    rates, of = device.get("formats") or {}, device.get("formats_of", "")
    cases: dict[str, Case] = {}
    searched: dict[str, tuple[str, int, int]] = {}
    left_out: dict[str, str] = {}
    for case in plan.cases:
        choices, search = plan.formats.get(case.case_id, ()), plan.searched.get(case.case_id)
        settled = case
        if case.dtype == AUTO:
            settled = replace(case, dtype=formats.fastest(choices, rates))
        if case.dtype != AUTO and choices and formats.is_emulated(case.dtype, rates):
            if search:  # a case that is left out needs no search; it keeps the least value
                axis, least, _ = search
                settled, search = replace(case, params={**case.params, axis: least}), None
            fast = "; fast is --dtype fp32" if "fp32" in choices else ""
            cure = f"--dtype {case.dtype} measures it anyway{fast}"
            left_out[settled.case_id] = f"{formats.slowness(case.dtype, rates, of)}; {cure}"
        if search:
            searched[settled.case_id] = search
        cases.setdefault(settled.case_id, settled)
    return replace(plan, cases=tuple(cases.values()), searched=searched, left_out=left_out)


def _fit_defaults(
    workload: Workload, params: Mapping[str, Param], named: Collection[str]
) -> dict[str, Param]:
    """The parameters, after the workload's `fit` has replaced defaults that do not go with the
    others. UserError if `fit` fails, or changes what it may not."""
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
                f"{workload.name}: its fit changes {axis}, which is not an axis at its default"
            )
        parse_values(workload, axis, [as_words(value)])
    return {**params, **changed}


def _describe_changes(
    workload: Workload, params: Mapping[str, Param], fitted: Mapping[str, Param]
) -> list[str]:
    """A line on each default that `fit` has replaced."""
    given = " ".join(f"{name}={params[name]}" for name in ("size", "model") if name in params)
    return [
        f"{workload.name} {given}: {axis}={value}; the default {params[axis]} is not possible here"
        for axis, value in fitted.items()
        if value != params[axis]
    ]


def _searched(workload: Workload, params: Mapping[str, Param]) -> tuple[str, int, int] | None:
    """The axis of a case that is at `max`, with its bounds; None if there is none. UserError if
    there are two."""
    names = [
        name for name, value in params.items() if workload.axes[name].largest and value == LARGEST
    ]
    if len(names) > 1:
        raise UserError(
            f"{workload.name}: {' and '.join(names)} cannot be {LARGEST} at once; give one a number"
        )
    if not names:
        return None
    axis = workload.axes[names[0]]
    return names[0], axis.minimum, axis.maximum


def parse_values(workload: Workload, axis: str, texts: Iterable[str]) -> list[Param]:
    """The values that `texts` stand for, each once. UserError for one that the axis cannot have."""
    try:
        return list(dict.fromkeys(workload.axes[axis].parse(axis, text) for text in texts))
    except UserError as error:
        raise UserError(f"{workload.name}: {error}") from error


def as_words(value: object) -> str:
    """A value from TOML or Python as it would be typed after --set."""
    return str(value).lower() if isinstance(value, bool) else str(value)
