"""The memory of one step: which storages of tensors exist after each operator, by kind.

A storage counts from the operator that made it until torch frees it. Weights and gradients are the
model's; activations are what autograd saved for backward; the optimizer's storages existed before
the step and were first used by an optimizer's step. What else the step made is temporary. An
operator's own workspace is not seen.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from hwbench.profiling.tables import add_row
from hwbench.records.profile import MemoryUse

KINDS = ("weights", "gradients", "optimizer", "activations", "temporary", "other")
MOST_ROWS = 2_000
"""The most rows of the timeline: with more operators, each row is the moment with the most bytes
among several operators."""


@dataclass
class Storage:
    """The memory of one or more tensors.

    `born` and `freed` are positions of operators in the step. `born` is None for a storage that
    existed before, `freed` for one that exists after it.
    """

    size: int
    born: int | None
    used: bool = False
    freed: int | None = None
    kind: str = ""


@dataclass
class Storages:
    """All storages seen so far; `position` is that of the operator that is now called."""

    position: int = 0
    found: list[Storage] = field(default_factory=list)
    _living: dict[int, Storage] = field(default_factory=dict)

    def see(self, tensor: Tensor, born: bool) -> Storage | None:
        """The storage of a tensor. `born` says whether a new one was made by the current operator.
        None for a tensor without storage (a packed one)."""
        try:
            storage: Any = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            return None
        known = self._living.get(storage._cdata)
        if known is None:
            known = Storage(storage.nbytes(), self.position if born else None)
            self._living[storage._cdata] = known
            self.found.append(known)
            weakref.finalize(storage, self._free, storage._cdata).atexit = False
        return known

    def use(self, tensors: Iterable[Tensor], is_update: bool) -> None:
        """Record tensors as inputs of the current operator; `is_update`: it is part of an
        optimizer's step."""
        for tensor in tensors:
            storage = self.see(tensor, born=False)
            if storage and not storage.used:
                storage.used = True
                if is_update and storage.born is None and not storage.kind:
                    storage.kind = "optimizer"

    def mark(self, tensors: Iterable[Tensor], kind: str) -> None:
        """Set the kind of the tensors' storages where it is not known yet."""
        for tensor in tensors:
            storage = self.see(tensor, born=False)
            if storage and not storage.kind:
                storage.kind = kind

    def _free(self, key: int) -> None:
        self._living.pop(key).freed = self.position


def timeline(storages: Storages, operators: list[tuple[str, str]]) -> MemoryUse:
    """The bytes of each kind after each of `operators`, as (span, name)."""
    changes = [dict.fromkeys(KINDS, 0) for _ in range(len(operators) + 1)]
    for storage in storages.found:
        kind = storage.kind or ("other" if storage.born is None else "temporary")
        changes[storage.born or 0][kind] += storage.size
        if storage.freed is not None:
            changes[min(storage.freed + 1, len(operators))][kind] -= storage.size
    rows, now = [], dict.fromkeys(KINDS, 0)
    for change in changes[: len(operators)]:
        now = {kind: now[kind] + change[kind] for kind in KINDS}
        rows.append(now)
    table = MemoryUse()
    for position in _fullest(rows):
        span, name = operators[position]
        sizes = {f"{kind}_bytes": rows[position][kind] for kind in KINDS}
        add_row(table, position=position, span=span, name=name, **sizes)
    return table


def _fullest(rows: list[dict[str, int]]) -> list[int]:
    """The positions of the rows to keep: in each group of neighbours the one with the most
    bytes."""
    width = -(-len(rows) // MOST_ROWS) or 1
    groups = (range(start, min(start + width, len(rows))) for start in range(0, len(rows), width))
    return [max(group, key=lambda position: sum(rows[position].values())) for group in groups]
