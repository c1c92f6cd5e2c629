"""Suites: TOML files that name workloads, values of their axes and a policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.inputs import read_toml, unknown
from hwbench.recording.matrix import Choice, as_words, named, parse_values
from hwbench.recording.policy import LIMITS, checked_policy
from hwbench.records import Policy, UserError
from hwbench.workload import Workload

SUITES = Path(__file__).resolve().parents[2] / "workloads" / "suites"


@dataclass(frozen=True)
class Suite:
    """A named set of cases with the policy they are measured under."""

    name: str
    description: str
    policy: Policy
    cases: tuple[Mapping[str, Any], ...]


def suite_names() -> list[str]:
    return sorted(file.stem for file in SUITES.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """A suite by its name, or from a TOML file. UserError if it is neither, broken, or names
    nothing."""
    file = Path(name) if name.endswith(".toml") or "/" in name else SUITES / f"{name}.toml"
    if not file.is_file():
        raise UserError(
            f"{name}: no such suite file"
            if file == Path(name)
            else unknown("suite", name, suite_names())
        )
    content = read_toml(file)
    for key in content:
        if key not in ("description", "policy", "cases"):
            raise UserError(f"{file}: " + unknown("key", key, ("description", "policy", "cases")))
    cases, policy = content.get("cases"), content.get("policy", {})
    if (
        not isinstance(cases, list)
        or not cases
        or not all(isinstance(case, dict) for case in cases)
    ):
        raise UserError(
            f"{file}: no cases in it; a suite has at least one [[cases]] with a workload"
        )
    if not isinstance(policy, dict):
        raise UserError(f"{file}: policy is a table, [policy], of {', '.join(LIMITS)}")
    try:
        checked = checked_policy(Policy(), policy)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return Suite(file.stem, str(content.get("description", "")), checked, tuple(cases))


def from_suite(
    suite: Suite, workloads: Mapping[str, Workload], only: Sequence[str] = ()
) -> list[Choice]:
    """The suite's workloads with the values it sets; with `only`, just these. UserError names what
    is unknown."""
    choices: list[Choice] = []
    for case in suite.cases:
        name = str(case.get("workload", ""))
        declared = named(workloads, [name])[0]
        values = {
            axis: value if isinstance(value, list) else [value] for axis, value in case.items()
        }
        del values["workload"]
        for axis in values:
            if axis not in declared.axes:
                raise UserError(
                    f"suite {suite.name}: {name}: " + unknown("axis", axis, declared.axes)
                )
        choices.append(
            (
                declared,
                {
                    axis: parse_values(declared, axis, map(as_words, v))
                    for axis, v in values.items()
                },
            )
        )
    if missing := [name for name in only if name not in {choice[0].name for choice in choices}]:
        raise UserError(
            f"suite {suite.name} has no {missing[0]}; it has {', '.join(sorted({c[0].name for c in choices}))}"
        )
    return [choice for choice in choices if not only or choice[0].name in only]
