"""The limits of a policy, and a policy with changes."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from hwbench.inputs import shortened, unknown
from hwbench.records import Policy, UserError

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


def checked_policy(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """`policy` with `changes`. UserError for a name that is not in it or a number that makes no
    sense."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise UserError(unknown("policy", name, LIMITS))
        low, high = LIMITS[name]
        whole = next(field.type for field in fields(Policy) if field.name == name) is int
        fits = isinstance(value, int) or (isinstance(value, float) and not whole)
        # no comparison holds for NaN
        if isinstance(value, bool) or not fits or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise UserError(
                f"{name} = {shortened(value)}: expected {kind} from {low:g} to {high:g}"
            )
    changed = _checked_processes(replace(policy, **changes), changes)
    if changed.min_time_s > changed.max_time_s:
        # the user's bound beats the suite's wish
        if "max_time_s" in changes and "min_time_s" not in changes:
            return replace(changed, min_time_s=changed.max_time_s)
        if "min_time_s" in changes and "max_time_s" not in changes:
            return replace(changed, max_time_s=changed.min_time_s)
        raise UserError(
            f"min_time_s = {changed.min_time_s:g} is above max_time_s = {changed.max_time_s:g}"
        )
    return changed


def _checked_processes(changed: Policy, changes: Mapping[str, Any]) -> Policy:
    """A number of processes given alone is the number: no fewer, no more, and no suite's budget
    cuts it. Only two that cross are refused."""
    if "budget_s" not in changes and changes.keys() & {"processes", "max_processes"}:
        changed = replace(changed, budget_s=None)
    if "max_processes" not in changes and "processes" in changes:
        return replace(changed, max_processes=changed.processes)
    if changed.processes <= changed.max_processes:
        return changed
    if "processes" not in changes:
        return replace(changed, processes=changed.max_processes)
    raise UserError(
        f"processes = {changed.processes} is above max_processes = {changed.max_processes}"
    )
