"""A plan made of what a user names: workloads or a suite, values of axes, changes of the policy."""

from collections.abc import Mapping, Sequence
from typing import Any

from hwbench.discovery import discover
from hwbench.recording.matrix import Choice, Plan, as_words, make_plan, named
from hwbench.recording.policy import checked_policy
from hwbench.recording.suites import from_suite, load_suite
from hwbench.records import Policy, UserError

DEFAULT_SUITE = "quick"
"""What is measured where neither a workload nor a suite is named."""


def plan_for(
    workloads: Sequence[str] = (),
    *,
    suite: str | None = None,
    settings: Mapping[str, Sequence[Any]] | None = None,
    policy: Mapping[str, Any] | None = None,
    files: Sequence[str] = (),
    may_search: bool = False,
) -> Plan:
    """The plan for `workloads`, or for those of `suite` (a name or a TOML file; then `workloads`
    narrows it).

    `settings` are values by axis, as texts or as Python values; `policy` changes fields of the
    suite's or the default policy; `files` declare more workloads. UserError names what is unknown
    or out of its limits, and an axis at `max` unless `may_search`.
    """
    known = discover(files, workloads if suite is None else ())
    chosen_workloads = named(known, workloads)
    base_policy = Policy()
    choices: list[Choice] = [(workload, {}) for workload in chosen_workloads]
    if suite is not None or not workloads:
        loaded = load_suite(DEFAULT_SUITE if suite is None else suite)
        base_policy = loaded.policy
        choices = from_suite(loaded, known, workloads)
    texts = {
        axis: [as_words(value) for value in values] for axis, values in (settings or {}).items()
    }
    plan = make_plan(choices, texts, checked_policy(base_policy, policy or {}))
    if plan.searched and not may_search:
        axis = next(iter(plan.searched.values()))[0]
        raise UserError(
            f"{axis}=max is for `hwbench run`, which searches for the largest value that fits; "
            f"give {axis} a number here"
        )
    return plan
