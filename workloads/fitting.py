"""Defaults that give way: what a chosen size cannot have is shortened where nobody asked for it by
name."""

from collections.abc import Callable, Collection, Mapping

from hwbench.records import Param
from hwbench.workload import Fit

Positions = Callable[[Mapping[str, Param], Collection[str]], int | None]
"""Parameters of a case, and which of them were asked for → the longest sequence of its model; None
if not known."""


def sequence_within(positions_of: Positions, sequence: str, more: str | None = None) -> Fit:
    """Cut the axis `sequence` to the model's positions, less those of the axis `more`, which follow
    it; or cut `more`, where `sequence` was asked for. What cannot be made to fit stays, and is
    refused as it is built."""

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
    """Enlarge the axis `batch` to a multiple of the parts that `accumulate` cuts it into."""
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
    """Several at once; each has axes of its own."""

    def fit(params: Mapping[str, Param], named: Collection[str]) -> dict[str, Param]:
        return {axis: value for one in fits for axis, value in one(params, named).items()}

    return fit
