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


TYPES = {field.name: field.type for field in fields(Policy)}


def checked_policy(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """`policy` with `changes`. UserError for an unknown name or a number outside its limits."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise UserError(unknown("policy", name, LIMITS))
        low, high = LIMITS[name]
        is_whole = TYPES[name] is int
        has_type = isinstance(value, int) or (isinstance(value, float) and not is_whole)
        # no comparison holds for NaN
        if isinstance(value, bool) or not has_type or not low <= value <= high:
            kind = "a whole number" if is_whole else "a number"
            expected = f"expected {kind} from {low:.10g} to {high:.10g}"
            raise UserError(f"{name} = {shortened(value)}: {expected}")
    changed = _checked_processes(replace(policy, **changes), changes)
    if changed.min_time_s > changed.max_time_s:
        # the bound that was given beats the other one, a suite's or the default
        if "max_time_s" in changes and "min_time_s" not in changes:
            return replace(changed, min_time_s=changed.max_time_s)
        if "min_time_s" in changes and "max_time_s" not in changes:
            return replace(changed, max_time_s=changed.min_time_s)
        raise UserError(
            f"min_time_s = {changed.min_time_s:g} is above max_time_s = {changed.max_time_s:g}"
        )
    return changed


def _checked_processes(changed: Policy, changes: Mapping[str, Any]) -> Policy:
    """Let `processes` given alone mean exactly so many, which no suite's budget cuts. UserError if
    both numbers are given and the smaller one is above the larger."""
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
