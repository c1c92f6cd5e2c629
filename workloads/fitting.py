"""Adjust default values that do not go together, such as a sequence that is longer than a model's
positions.

A value that was asked for by name is never changed.
"""

from collections.abc import Callable, Collection, Mapping

from hwbench.records import Param
from hwbench.workload import Fit

Positions = Callable[[Mapping[str, Param], Collection[str]], int | None]
"""Parameters of a case, and the names of those asked for → its model's longest sequence, or None
if not known."""


def sequence_within(positions_of: Positions, sequence: str, more: str | None = None) -> Fit:
    """Make a fit that cuts the axis `sequence` to the model's positions.

    The tokens of the axis `more` follow it and take positions too; if `sequence` was asked for,
    `more` is cut instead. What cannot be made to fit stays, and is refused when it is built.
    """

    def fit(params: Mapping[str, Param], named: Collection[str]) -> dict[str, Param]:
        most = positions_of(params, named)
        length, following = params[sequence], params[more] if more else 0
        if most is None or not isinstance(length, int) or not isinstance(following, int):
            return {}
        if sequence not in named:
            return {sequence: min(length, most - following)} if most > following else {}
        if more and more not in named:
            return {more: min(following, most - length)} if most > length else {}
        return {}

    return fit


def batch_of_parts(params: Mapping[str, Param], named: Collection[str]) -> dict[str, Param]:
    """Enlarge the axis `batch` to a multiple of `accumulate`, which cuts it into equal parts."""
    batch, parts = params["batch"], params["accumulate"]
    if "batch" in named or not isinstance(batch, int) or not isinstance(parts, int):
        return {}
    return {"batch": -(-batch // parts) * parts}


def heads_of_groups(params: Mapping[str, Param], named: Collection[str]) -> dict[str, Param]:
    """Enlarge the axis `heads` to a multiple of `kv_heads`, which share them evenly."""
    heads, groups = params["heads"], params["kv_heads"]
    if "heads" in named or not isinstance(heads, int) or not isinstance(groups, int):
        return {}
    return {"heads": -(-heads // groups) * groups}


def all_of(*fits: Fit) -> Fit:
    """Combine several fits, which change different axes."""

    def fit(params: Mapping[str, Param], named: Collection[str]) -> dict[str, Param]:
        return {axis: value for one in fits for axis, value in one(params, named).items()}

    return fit
