"""The kind of work of an operator and its common name: closed tables of torch's names.

The same work has many names: `aten::addmm`, `aten::mm` and `mkldnn::_linear_pointwise` are matrix
products, `aten::_scaled_dot_product_flash_attention_for_cpu` and `…_cudnn_attention` one attention.
A name is read without its namespace, its overload and the underscores around it.
"""

from functools import cache
from typing import Literal

Kind = Literal["matmul", "attention", "memory", "optimizer", "copy", "other"]

ARITHMETIC: frozenset[Kind] = frozenset({"matmul", "attention"})
"""The kinds whose FLOPs the matmul ceiling bounds; matrix units do not do the arithmetic of the
others."""

_MATMUL = """
    mm addmm bmm baddbmm addbmm mv addmv dot matmul linear scaled_mm grouped_mm scaled_grouped_mm
    int_mm mkl_linear mkldnn_linear weight_int4pack_mm weight_int8pack_mm
    convolution cudnn_convolution mkldnn_convolution lstm gru mkldnn_rnn_layer cudnn_rnn
"""
_ATTENTION = "scaled_dot_product flash_attention efficient_attention cudnn_attention flex_attention"
_OPTIMIZER = "fused_adam fused_adamw fused_sgd fused_adagrad foreach"
_COPY = "copy to_copy to clone contiguous to_dense to_mkldnn pin_memory memcpy"
_ELEMENTWISE = """
    add sub rsub mul div neg pow sqrt rsqrt reciprocal exp log abs sin cos
    sigmoid tanh relu gelu silu threshold clamp where masked_fill eq ne lt le gt ge
    addcmul addcdiv lerp dropout native_dropout bitwise_and bitwise_or logical_not
"""
_REDUCTIONS = """
    layer_norm native_layer_norm rms_norm fused_rms_norm batch_norm native_batch_norm
    softmax log_softmax nll_loss nll_loss2d cross_entropy_loss
    sum mean max min amax amin argmax var var_mean norm linalg_vector_norm cumsum logsumexp
    topk sort
"""
_MOVES_AND_FILLS = """
    embedding embedding_dense index index_select index_put index_copy index_add
    gather scatter scatter_add cat stack slice select tril triu
    fill zero zeros ones arange normal uniform random
"""
_VIEWS = ("slice", "select")  # as they are; their backward fills a tensor

_NAMES: dict[Kind, str] = {
    "matmul": _MATMUL,
    "attention": _ATTENTION,
    "optimizer": _OPTIMIZER,
    "copy": _COPY,
    "memory": _ELEMENTWISE + _REDUCTIONS + _MOVES_AND_FILLS,
}
KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""By the words that an operator's name begins with; the longest match counts."""

KERNELS: dict[str, Kind] = {
    "flash": "attention",
    "fmha": "attention",
    "sdpa": "attention",
    "gemm": "matmul",
    "gemv": "matmul",
    "nvjet": "matmul",
    "xmma": "matmul",
    "cutlass": "matmul",
    "triton_tem": "matmul",
    "extern_kernels": "matmul",
    "multi_tensor_apply": "optimizer",
    "memcpy": "copy",
    "direct_copy": "copy",
    "triton_": "memory",
    "cpp_fused": "memory",
    "memset": "memory",
    "elementwise": "memory",
    "reduce": "memory",
    "softmax": "memory",
    "norm": "memory",
    "embedding": "memory",
    "index": "memory",
}
"""By a part of the name of a kernel, or of what torch.compile made; the first match counts."""

COMMON = {"matmul": "matmul", "attention": "scaled_dot_product_attention", "copy": "copy"}
"""The name that all operators of a kind share, so that devices and versions of torch line up."""

NOT_COMMON = (
    "convolution",
    "cudnn_convolution",
    "mkldnn_convolution",
    "lstm",
    "gru",
    "mkldnn_rnn_layer",
    "cudnn_rnn",
)
"""Operators of those kinds that keep their own name."""

_MADE_BY = ("native_", "cudnn_", "mkldnn_", "miopen_", "fused_")
_DIRECTIONS = ("_backward_data", "_backward", "_forward", "_nd")


def short_name(name: str) -> str:
    """`aten::_fused_adamw_` as fused_adamw: without namespace, overload and underscores around."""
    return name.rpartition("::")[2].partition(".")[0].strip("_") or name


@cache
def kind_of(name: str) -> Kind:
    """The kind of an operator or a kernel, `other` where no table has it."""
    short = short_name(name)
    if short in _VIEWS:
        return "other"
    words = short.split("_")
    starts = ("_".join(words[:length]) for length in range(len(words), 0, -1))
    if known := next((start for start in starts if start in KINDS), None):
        return KINDS[known]
    part = next((part for part in KERNELS if part in name.lower()), None)
    return KERNELS[part] if part else "other"


@cache
def common_name(name: str) -> str:
    """The name of the operator on every device and in every version: that of its kind (COMMON), or
    its own without its backend and direction."""
    short, kind = short_name(name), kind_of(name)
    if kind in COMMON and not short.startswith(NOT_COMMON):
        return COMMON[kind]
    for direction in _DIRECTIONS:
        short = short.removesuffix(direction)
    for maker in _MADE_BY:
        short = short.removeprefix(maker)
    return short
