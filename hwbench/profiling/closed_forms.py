"""FLOPs of one call of an operator, from its arguments and what it returned.

Matrix products are 2·m·k·n FLOPs; convolutions are what torch's own counter says. Attention counts
the pairs of tokens that a causal mask leaves (half of them and the diagonal): two products a pair
forward, five backward (Dao 2022: the scores are computed again). torch's counter counts all pairs,
and on a CPU none (pytorch issue 195460). Everything else counts one FLOP for each element of its
largest tensor, a lower bound; moving data counts none.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import flop_registry

Arguments = Mapping[str, Any]

MOVES = frozenset(
    {
        *("copy_", "_to_copy", "clone", "cat", "stack", "repeat", "roll", "flip"),
        *("constant_pad_nd", "embedding", "index_select", "index", "gather", "scatter"),
        *("index_copy_", "index_put_", "masked_fill", "masked_fill_", "select_backward"),
        *("slice_backward", "fill_", "zero_", "zeros", "ones", "full", "arange"),
        *("zeros_like", "ones_like", "full_like", "new_zeros", "scalar_tensor", "randint"),
    }
)
"""Operators that compute nothing."""

MOVES_NOTHING = frozenset(
    {
        *("empty", "empty_like", "empty_strided", "new_empty", "resize_"),
        *("transpose_", "t_", "squeeze_", "unsqueeze_", "detach_", "set_"),
        *("unsafe_split", "unsafe_chunk"),
        *("_reshape_alias", "_unsafe_view", "as_strided", "_local_scalar_dense"),
    }
)
"""Operators that touch no element, or a single one."""

UNCOUNTED = (
    *("addbmm", "_grouped_mm", "_scaled_grouped_mm", "_weight_int4pack_mm"),
    *("_weight_int8pack_mm", "addr", "ger", "miopen_rnn", "_thnn_fused", "lstm", "gru"),
    *("einsum", "cdist", "linalg_", "fft", "_flex_attention"),
)
"""Beginnings of the names of operators that do products, or more, for which there is no formula
here."""


def flops_of(func: Any, arguments: Arguments, returned: Any) -> int | None:
    """FLOPs of a call of `func`, an operator of torch's dispatcher, with its arguments by name.
    None if there is no formula for them."""
    name = func._schema.name.partition("::")[2]
    if counted := _KNOWN.get(name):
        return counted(arguments)
    if "scaled_dot_product" in name:
        return _attention(arguments, _attention_products(name))
    if counted := flop_registry.get(func.overloadpacket):
        return int(counted(*arguments.values(), out_val=returned))
    if name in MOVES or name in MOVES_NOTHING or is_view(func):
        return 0
    if name.startswith(UNCOUNTED):
        return None
    if name.startswith(("_fused_", "_foreach_")):
        return sum(tensor.numel() for tensor in tensors_in([arguments.get("self")]))
    return max(
        (tensor.numel() for tensor in tensors_in([*arguments.values(), returned])), default=0
    )


def product_of_sizes(
    name: str, shapes: Sequence[tuple[int, ...]], item_bytes: int | None
) -> tuple[int, int | None] | None:
    """FLOPs and bytes of a matrix product from the sizes of its tensors; None for other
    operators."""
    first = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}.get(name)
    if first is None or len(shapes) < first + 2:
        return None
    left, right = shapes[first : first + 2]
    returned = prod(left[:-1]) * right[-1]
    elements = returned + sum(prod(shape) for shape in shapes[: first + 2])
    return 2 * returned * left[-1], None if item_bytes is None else item_bytes * elements


def is_view(func: Any) -> bool:
    """Whether an operator only returns another view of a tensor."""
    arguments, returns = func._schema.arguments, func._schema.returns
    writes = any(a.alias_info is not None and a.alias_info.is_write for a in arguments)
    return bool(returns) and not writes and all(r.alias_info is not None for r in returns)


def tensors_in(values: Sequence[Any]) -> list[Tensor]:
    """All tensors among the values, also those within lists."""
    nested = (tensors_in(value) if isinstance(value, list | tuple) else [value] for value in values)
    return [value for value in chain.from_iterable(nested) if isinstance(value, Tensor)]


def _matmul(left: Tensor, right: Tensor) -> int:
    return 2 * left.numel() * right.shape[-1]


def _linear(arguments: Arguments) -> int:
    """x [*, k] times a weight [n, k]; a packed weight has its sizes, too."""
    x, weight = tensors_in(list(arguments.values()))[:2]
    return 2 * x.numel() * weight.shape[0]


def _rnn(arguments: Arguments) -> int:
    """A layer of oneDNN's LSTM over x [T, B, input]: for each step and sequence the input is
    multiplied by [4·hidden, input] and the state by [4·hidden, hidden]."""
    x, weights, recurrent = tensors_in(list(arguments.values()))[:3]
    return 2 * x.shape[0] * x.shape[1] * (weights.numel() + recurrent.numel())


def _cudnn_rnn(arguments: Arguments) -> int:
    """All layers and directions of cuDNN's LSTM over [T, B, input]: each step and sequence is
    multiplied by every matrix."""
    steps = arguments["input"].shape[0] * arguments["input"].shape[1]
    matrices = [tensor for tensor in tensors_in([arguments["weight"]]) if tensor.dim() == 2]
    return 2 * int(steps) * sum(tensor.numel() for tensor in matrices)


def _convolution_backward(arguments: Arguments) -> int:
    """As many FLOPs as forward for each gradient that is asked for, of the input and of the weight:
    every element of the output (transposed: of the input) is multiplied by a filter [channels of a
    group, kernel]."""
    weight, is_transposed = arguments["weight"], arguments["transposed"]
    filtered = arguments["input"] if is_transposed else arguments["grad_output"]
    forward = 2 * filtered.numel() * weight.numel() // weight.shape[0]
    return int(forward) * sum(map(bool, arguments["output_mask"][:2]))


_KNOWN: dict[str, Callable[[Arguments], int]] = {
    "mm": lambda a: _matmul(a["self"], a["mat2"]),
    "bmm": lambda a: _matmul(a["self"], a["mat2"]),
    "addmm": lambda a: _matmul(a["mat1"], a["mat2"]),
    "baddbmm": lambda a: _matmul(a["batch1"], a["batch2"]),
    "_scaled_mm": lambda a: _matmul(a["self"], a["mat2"]),
    "_linear_pointwise": _linear,
    "mkldnn_linear": _linear,
    "_int_mm": lambda a: _matmul(a["self"], a["mat2"]),
    "mv": lambda a: 2 * int(a["self"].numel()),
    "addmv": lambda a: 2 * int(a["mat"].numel()),
    "dot": lambda a: 2 * int(a["self"].numel()),
    "convolution_backward": _convolution_backward,
    "_cudnn_rnn": _cudnn_rnn,
    "_cudnn_rnn_backward": lambda a: 2 * _cudnn_rnn(a),
    "embedding_dense_backward": lambda a: int(a["grad_output"].numel()),
    "mkldnn_rnn_layer": _rnn,
    "nll_loss_forward": lambda a: int(a["target"].numel()),
    "nll_loss_backward": lambda a: int(a["target"].numel()),
    "mkldnn_rnn_layer_backward": lambda a: 2 * _rnn(a),
}


def _attention_products(name: str) -> int:
    """Products of [T, T] with head dimensions: scores and output forward; backward their gradients
    and the scores again."""
    return 5 if name.endswith("_backward") else 2


def _attention(arguments: Arguments, products: int) -> int:
    """Queries [B, H, T, d] and keys [B, H', S, d]: products · 2·d FLOPs for each pair of tokens
    that the mask leaves."""
    query, key = arguments["query"], arguments["key"]
    batch, heads, length, width = query.shape
    keys = key.shape[-2]
    pairs = length * keys
    if arguments.get("is_causal"):
        pairs = sum(min(keys, row + 1) for row in range(length))
    return int(products * 2 * batch * heads * pairs * width)
