"""FLOPs and bytes of one call of an operator, from its arguments and what it returned.

FLOPs of matrix products are 2·m·k·n, of convolutions those of torch's own counter. Attention counts the pairs of tokens
that a causal mask leaves, half of them and the diagonal, forward two products a pair, backward five (Dao 2022: the
scores are computed again); torch's counter counts all pairs, and on a CPU none at all (pytorch issue 195460).
Everything else is counted as one FLOP for each element of its largest tensor, which is the least it can be; moving
data is none.

Bytes are those of the tensors read and written, each once: what the operator must move if no cache holds anything.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

Arguments = Mapping[str, Any]

MOVES = frozenset(
    {
        *("copy_", "_to_copy", "clone", "cat", "stack", "repeat", "roll", "flip", "constant_pad_nd"),
        *("embedding", "index_select", "index", "gather", "scatter", "index_copy_", "index_put_", "masked_fill"),
        *("masked_fill_", "select_backward", "slice_backward", "fill_", "zero_", "zeros", "ones", "full", "arange"),
        *("zeros_like", "ones_like", "full_like", "new_zeros", "scalar_tensor", "randint"),
    }
)
"""Operators that compute nothing."""

READS_ROWS = frozenset({"embedding", "index_select", "gather", "index"})
"""Operators that read as much of their first tensor as they return."""

HARDLY_READS = {"nll_loss_forward": "self", "nll_loss_backward": "self"}
"""Operators that read of an argument one element for each target, or only its sizes."""

ONLY_WRITES = frozenset({"copy_", "fill_", "zero_"})
"""Operators that change their first tensor without reading it."""

MOVES_NOTHING = frozenset(
    {
        *("empty", "empty_like", "empty_strided", "new_empty", "resize_"),
        *("_reshape_alias", "_unsafe_view", "as_strided", "_local_scalar_dense"),
    }
)
"""Operators that touch no element, or a single one."""


def flops_of(func: Any, arguments: Arguments, returned: Any) -> int:
    """FLOPs of a call of `func`, an operator of torch's dispatcher, with arguments by name."""
    name = func._schema.name.partition("::")[2]
    if counted := _KNOWN.get(name):
        return counted(arguments)
    if "scaled_dot_product" in name and (products := _attention_products(name)):
        return _attention(arguments, products)
    if counted := flop_registry.get(func.overloadpacket):
        return int(counted(*arguments.values(), out_val=returned))
    if name in MOVES | MOVES_NOTHING or is_view(func):
        return 0
    return max((tensor.numel() for tensor in tensors_in([*arguments.values(), returned])), default=0)


def bytes_of(func: Any, arguments: Arguments, returned: Any) -> int:
    """Bytes that a call of `func` must move."""
    schema = func._schema
    name = schema.name.partition("::")[2]
    if is_view(func) or name in MOVES_NOTHING:
        return 0
    read = written = 0
    for position, argument in enumerate(schema.arguments):
        size = sum(map(stored_bytes, tensors_in([arguments.get(argument.name)])))
        changed = argument.alias_info is not None and argument.alias_info.is_write
        changed = changed and not (name.startswith("_fused_") and argument.name == "grads")  # scaled ones alone are
        written += size if changed else 0
        only_written = changed and (argument.name == "out" or (name in ONLY_WRITES and position == 0))
        hardly_read = (name in READS_ROWS and position == 0) or HARDLY_READS.get(name) == argument.name
        read += 0 if only_written or hardly_read else size
    fresh = [r for r in schema.returns if r.alias_info is None]
    if fresh:
        returned_bytes = sum(map(stored_bytes, tensors_in([returned])))
        written += returned_bytes
        read += returned_bytes if name in READS_ROWS else 0
    return read + written


def product_of_sizes(
    name: str, shapes: Sequence[tuple[int, ...]], item_bytes: int | None
) -> tuple[int, int | None] | None:
    """FLOPs and bytes of a matrix product that nobody saw the tensors of, from their sizes; None of anything else."""
    place = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}.get(name)
    if place is None or len(shapes) < place + 2:
        return None
    left, right = shapes[place : place + 2]
    returned = prod(left[:-1]) * right[-1]
    elements = returned + sum(prod(shape) for shape in shapes[: place + 2])
    return 2 * returned * left[-1], None if item_bytes is None else item_bytes * elements


def is_view(func: Any) -> bool:
    """Whether it only looks at a tensor in another way."""
    arguments, returns = func._schema.arguments, func._schema.returns
    writes = any(a.alias_info is not None and a.alias_info.is_write for a in arguments)
    return bool(returns) and not writes and all(r.alias_info is not None for r in returns)


def tensors_in(values: Sequence[Any]) -> list[Tensor]:
    """All tensors among the values, also those within lists."""
    nested = (tensors_in(value) if isinstance(value, list | tuple) else [value] for value in values)
    return [value for value in chain.from_iterable(nested) if isinstance(value, Tensor)]


def stored_bytes(tensor: Tensor) -> int:
    """The bytes of a tensor's elements; those that an expanded dimension repeats count once."""
    if tensor.layout is not torch.strided:
        return tensor.numel() * tensor.element_size()
    kept = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    count = 1 if tensor.numel() else 0
    for size in kept:
        count *= size
    return count * tensor.element_size()


def _matmul(left: Tensor, right: Tensor) -> int:
    return 2 * left.numel() * right.shape[-1]


def _linear(arguments: Arguments) -> int:
    """x [*, k] times a weight [n, k]; a packed weight still tells its sizes."""
    given, weight = tensors_in(list(arguments.values()))[:2]
    return 2 * given.numel() * weight.shape[0]


def _rnn(arguments: Arguments) -> int:
    """A layer of oneDNN's LSTM over [T, B, input]: at each step and sequence the input and the state meet their
    matrices, [4·hidden, input] and [4·hidden, hidden]."""
    given, weights, recurrent = tensors_in(list(arguments.values()))[:3]
    return 2 * given.shape[0] * given.shape[1] * (weights.numel() + recurrent.numel())


_KNOWN: dict[str, Callable[[Arguments], int]] = {
    "mm": lambda a: _matmul(a["self"], a["mat2"]),
    "bmm": lambda a: _matmul(a["self"], a["mat2"]),
    "addmm": lambda a: _matmul(a["mat1"], a["mat2"]),
    "baddbmm": lambda a: _matmul(a["batch1"], a["batch2"]),
    "_scaled_mm": lambda a: _matmul(a["self"], a["mat2"]),
    "_linear_pointwise": _linear,
    "mkldnn_linear": _linear,
    "mkldnn_rnn_layer": _rnn,
    "nll_loss_forward": lambda a: int(a["target"].numel()),
    "nll_loss_backward": lambda a: int(a["target"].numel()),
    "mkldnn_rnn_layer_backward": lambda a: 2 * _rnn(a),
}


def _attention_products(name: str) -> int:
    """Products of [T, T] with head dimensions: scores and output, and their gradients with the scores once more."""
    return 5 if name.endswith("_backward") else 2


def _attention(arguments: Arguments, products: int) -> int:
    """Over queries [B, H, T, d] and keys [B, H', S, d]: products · 2·d for each pair that is seen."""
    query, key = arguments["query"], arguments["key"]
    batch, heads, length, width = query.shape
    seen = key.shape[-2]
    pairs = length * seen
    if arguments.get("is_causal"):
        pairs = sum(min(seen, row + 1) for row in range(length))
    return int(products * 2 * batch * heads * pairs * width)
