"""Bytes of one call of an operator: of the tensors read and written, each once. What it must move
if no cache holds anything; an operator that touches some rows of a tensor moves these and not the
whole."""

from typing import Any

import torch
from torch import Tensor

from hwbench.profiling.closed_forms import MOVES_NOTHING, Arguments, is_view, tensors_in

READS_ROWS = frozenset({"embedding", "_embedding_bag", "index_select", "gather", "index"})
"""Operators that read as much of their first tensor as they return."""

WRITES_ROWS = frozenset({"index_copy_", "index_put_", "index_fill_", "scatter_"})
"""Operators that write into their first tensor as much as the others hold."""

ADDS_ROWS = frozenset({"index_add_", "scatter_add_", "scatter_reduce_"})
"""The same, and read it before."""

HARDLY_READS = {"nll_loss_forward": "self", "nll_loss_backward": "self"}
"""Operators that read of an argument one element for each target, or only its sizes."""

ONLY_WRITES = frozenset(
    {"copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_"}
)
"""Operators that change their first tensor without reading it."""


def bytes_of(func: Any, arguments: Arguments, returned: Any) -> int:
    """Bytes that a call of `func` must move."""
    schema = func._schema
    name = schema.name.partition("::")[2]
    if is_view(func) or name in MOVES_NOTHING:
        return 0
    if name in WRITES_ROWS | ADDS_ROWS:
        return _rows(name, arguments)
    read = written = 0
    for position, argument in enumerate(schema.arguments):
        size = sum(map(stored_bytes, tensors_in([arguments.get(argument.name)])))
        changed = argument.alias_info is not None and argument.alias_info.is_write
        # scaled ones alone are
        changed = changed and not (name.startswith("_fused_") and argument.name == "grads")
        written += size if changed else 0
        only_written = changed and (
            argument.name == "out" or (name in ONLY_WRITES and position == 0)
        )
        hardly_read = (name in READS_ROWS and position == 0) or HARDLY_READS.get(
            name
        ) == argument.name
        read += 0 if only_written or hardly_read else size
    fresh = [r for r in schema.returns if r.alias_info is None]
    if fresh:
        returned_bytes = sum(map(stored_bytes, tensors_in([returned])))
        written += returned_bytes
        read += returned_bytes if name in READS_ROWS else 0
    return read + written


def _rows(name: str, arguments: Arguments) -> int:
    """Into `self` go the rows of the largest of the other tensors, or as many as there are
    indices."""
    into = tensors_in([arguments.get("self")])
    others = [t for t in tensors_in(list(arguments.values())) if all(t is not own for own in into)]
    rows = max((stored_bytes(tensor) for tensor in others), default=0)
    return sum(map(stored_bytes, others)) + rows * (2 if name in ADDS_ROWS else 1)


def stored_bytes(tensor: Tensor) -> int:
    """The bytes of a tensor's elements; those that an expanded dimension repeats count once."""
    if tensor.layout is not torch.strided:
        return tensor.numel() * tensor.element_size()
    kept = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    count = 1 if tensor.numel() else 0
    for size in kept:
        count *= size
    return count * tensor.element_size()
