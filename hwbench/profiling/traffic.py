"""The bytes that one call of an operator must move if no cache holds anything: the tensors that it
reads and writes, each once. An operator that uses some rows of a tensor moves only these."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from hwbench.profiling.closed_forms import MOVES_NOTHING, Arguments, is_view, tensors_in

READS_ROWS = frozenset({"embedding", "_embedding_bag", "index_select", "gather", "index"})
"""Operators that read of their first tensor as many bytes as they return."""

WRITES_ROWS = frozenset({"index_copy_", "index_put_", "index_fill_", "scatter_"})
"""Operators that write into their first tensor as many bytes as the others hold."""

ADDS_ROWS = frozenset({"index_add_", "scatter_add_", "scatter_reduce_"})
"""The same, but they read those bytes first."""

HARDLY_READS = {"nll_loss_forward": "self", "nll_loss_backward": "self"}
"""By operator an argument of which it reads one element for each target, or only the sizes."""

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
        is_first = position == 0
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        # fused optimizers declare their gradients as written, but write only those they scale
        is_written = is_written and not (name.startswith("_fused_") and argument.name == "grads")
        if is_written:
            written += size
        is_output = argument.name == "out" or (is_first and name in ONLY_WRITES)
        hardly_read = is_first and name in READS_ROWS
        hardly_read = hardly_read or HARDLY_READS.get(name) == argument.name
        if not (is_written and is_output) and not hardly_read:
            read += size
    returns_new = any(result.alias_info is None for result in schema.returns)
    if returns_new:
        returned_bytes = sum(map(stored_bytes, tensors_in([returned])))
        written += returned_bytes
        read += returned_bytes if name in READS_ROWS else 0
    return read + written


def _rows(name: str, arguments: Arguments) -> int:
    """Bytes of an operator that writes rows of the largest other tensor, or one for each index,
    into `self`."""
    target = tensors_in([arguments.get("self")])
    tensors = tensors_in(list(arguments.values()))
    others = [tensor for tensor in tensors if all(tensor is not own for own in target)]
    rows = max((stored_bytes(tensor) for tensor in others), default=0)
    return sum(map(stored_bytes, others)) + rows * (2 if name in ADDS_ROWS else 1)


def stored_bytes(tensor: Tensor) -> int:
    """The bytes of a tensor's elements; elements that an expanded dimension repeats count once."""
    if tensor.layout is not torch.strided or not tensor.numel():
        return tensor.numel() * tensor.element_size()
    sizes = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    return prod(sizes) * tensor.element_size()
