"""Attention alone: the part of a transformer that is no product with weights, by whichever kernel
torch takes for it.

The symbols: B batch, H heads, K heads of keys and values, T tokens, D width of a head, e bytes an
element.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.backends import Backends, chosen
from workloads.fitting import heads_of_groups
from workloads.tensors import TORCH_DTYPES, torch_dtype


@workload(
    "attention",
    fit=heads_of_groups,
    batch=axis(4),
    heads=axis(16),
    kv_heads=axis(None, kind=int),
    seq=axis(1024),
    head_width=axis(64),
    backward=axis(False),
    dtype=axis("auto", choices=tuple(TORCH_DTYPES)),
)
def attention(p: Any, device: TorchDevice) -> Built:
    """Causal attention of random queries (B, H, T, D) over keys and values (B, K, T, D), with
    `backward` its gradients.

    kv_heads: fewer than heads is grouped-query attention; by default each head has its own. Which kernel torch takes is
    recorded as the choice `attention`. FLOPs: see `forward_work` and `backward_work`.
    """
    dtype, kv_heads = torch_dtype(p.dtype), p.kv_heads or p.heads
    if p.heads % kv_heads:
        raise Unsupported(
            f"{p.heads} heads cannot share {kv_heads} heads of keys and values evenly"
        )
    shapes = [(p.batch, heads, p.seq, p.head_width) for heads in (p.heads, kv_heads, kv_heads)]
    forward = forward_work(p, kv_heads, dtype.itemsize)
    device.require(p.dtype, forward.bytes or 0)
    q, k, v = (
        torch.randn(s, device=device.torch, dtype=dtype, requires_grad=p.backward) for s in shapes
    )
    is_grouped = kv_heads != p.heads
    call = {"query": q, "key": k, "value": v, "is_causal": True, "enable_gqa": is_grouped}
    choices = Backends(None, chosen(None, call)).choices

    def attend(mark: Mark) -> torch.Tensor:
        out = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)
        mark("forward")
        return out

    if not p.backward:
        return Built(attend, forward, declared=Declared(choices=choices))
    gradient = torch.randn(shapes[0], device=device.torch, dtype=dtype)

    def step(mark: Mark) -> None:
        torch.autograd.grad(attend(mark), (q, k, v), gradient)
        mark("backward")

    backward = backward_work(p, kv_heads, dtype.itemsize)
    spans = {"forward": forward, "backward": backward}
    return Built(step, _sum(forward, backward), declared=Declared(spans, choices))


def forward_work(p: Any, kv_heads: int, itemsize: int) -> Work:
    """Two matmuls, QKᵀ and its product with V, of 2D FLOPs a pair of tokens: 4BHD · T(T+1)/2, or T²
    in full.

    Bytes: Q, K and V read, the output written, e · 2BTD(H + K).
    """
    flops, full = (
        4 * p.batch * p.heads * p.head_width * p.seq * (p.seq + 1) // 2,
        4 * _pairs_in_full(p),
    )
    return Work(
        flops=flops,
        hardware_flops=flops,
        flops_full_attention=full,
        bytes=2 * _arrays(p, kv_heads, itemsize),
    )


def backward_work(p: Any, kv_heads: int, itemsize: int) -> Work:
    """Four matmuls, the gradients of V, P, Q and K: twice forward's model FLOPs.

    FlashAttention counts five (Dao 2023, "FlashAttention-2", section 4.1: backward is 2.5 times
    forward), QKᵀ once more since it keeps no P; that is `hardware_flops`. Bytes: Q, K, V, the
    output and its gradient read, three gradients written, e · 4BTD(H + K).
    """
    forward = forward_work(p, kv_heads, itemsize)
    assert forward.flops is not None
    return Work(
        flops=2 * forward.flops,
        hardware_flops=5 * forward.flops // 2,
        flops_full_attention=8 * _pairs_in_full(p),
        bytes=4 * _arrays(p, kv_heads, itemsize),
    )


def _pairs_in_full(p: Any) -> int:
    """Pairs of tokens times the width, over all heads: BHDT²."""
    return int(p.batch * p.heads * p.head_width * p.seq**2)


def _arrays(p: Any, kv_heads: int, itemsize: int) -> int:
    """Bytes of one array of all heads and one of those of keys."""
    return int(itemsize * p.batch * p.seq * p.head_width * (p.heads + kv_heads))


def _sum(one: Work, other: Work) -> Work:
    return Work(
        **{
            name: value + getattr(other, name)
            for name, value in vars(one).items()
            if name != "tokens"
        }
    )
