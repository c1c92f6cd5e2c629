"""Suites: TOML files that name workloads, values of their axes and a policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwbench.documents import read_toml
from hwbench.inputs import unknown
from hwbench.recording.matrix import Choice, as_words, named, parse_values
from hwbench.recording.policy import LIMITS, checked_policy
from hwbench.records import Param, Policy, UserError
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
    """The suite of this name, or from this TOML file. UserError if there is none, or if it is
    broken or empty."""
    is_file = name.endswith(".toml") or "/" in name
    file = Path(name) if is_file else SUITES / f"{name}.toml"
    if not file.is_file():
        message = f"{name}: no such suite file"
        raise UserError(message if is_file else unknown("suite", name, suite_names()))
    content = read_toml(file)
    for key in content:
        if key not in ("description", "policy", "cases"):
            raise UserError(f"{file}: " + unknown("key", key, ("description", "policy", "cases")))
    cases, policy = content.get("cases"), content.get("policy", {})
    has_cases = isinstance(cases, list) and all(isinstance(case, dict) for case in cases)
    if not cases or not has_cases:
        raise UserError(f"{file}: no cases in it; add at least one [[cases]] with a workload")
    if not isinstance(policy, dict):
        names = ", ".join(LIMITS)
        raise UserError(f"{file}: policy must be a table, [policy], of {names}")
    try:
        checked = checked_policy(Policy(), policy)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return Suite(file.stem, str(content.get("description", "")), checked, tuple(cases))


def from_suite(
    suite: Suite, workloads: Mapping[str, Workload], only: Sequence[str] = ()
) -> list[Choice]:
    """The suite's workloads with the values it sets, or just those in `only`. UserError names what
    is unknown."""
    choices: list[Choice] = []
    for case in suite.cases:
        name = str(case.get("workload", ""))
        (declared,) = named(workloads, [name])
        values: dict[str, list[Param]] = {}
        for axis, value in case.items():
            if axis == "workload":
                continue
            if axis not in declared.axes:
                problem = unknown("axis", axis, declared.axes)
                raise UserError(f"suite {suite.name}: {name}: {problem}")
            texts = map(as_words, value if isinstance(value, list) else [value])
            values[axis] = parse_values(declared, axis, texts)
        choices.append((declared, values))
    names = {workload.name for workload, _ in choices}
    for name in only:
        if name not in names:
            listed = ", ".join(sorted(names))
            raise UserError(f"suite {suite.name} has no {name}; it has {listed}")
    return [choice for choice in choices if not only or choice[0].name in only]
