"""Attention alone: the part of a transformer that is not a product with weights."""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from hwbench.accounts.attention import AttentionShape
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.backends import Backends, ask_torch
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
    """Causal attention of random queries over keys and values, with its gradients if `backward`.

    Queries are (B, H, T, D), keys and values (B, K, T, D), by the symbols of `accounts.attention`,
    which counts the work. K is `kv_heads`: by default H; fewer is grouped-query attention. The
    choice `attention` records which kernel torch takes.
    """
    dtype, kv_heads = torch_dtype(p.dtype), p.kv_heads or p.heads
    if p.heads % kv_heads:
        raise Unsupported(
            f"{p.heads} heads cannot share {kv_heads} heads of keys and values evenly"
        )
    shape = AttentionShape(p.batch, p.heads, kv_heads, p.seq, p.head_width)
    forward = shape.forward_work(p.dtype)
    device.require(p.dtype, forward.bytes or 0)

    def draw(heads: int) -> torch.Tensor:
        size = (p.batch, heads, p.seq, p.head_width)
        return torch.randn(size, device=device.torch, dtype=dtype)

    q, k, v = (draw(heads).requires_grad_(p.backward) for heads in (p.heads, kv_heads, kv_heads))
    is_grouped = kv_heads != p.heads
    call = {"query": q, "key": k, "value": v, "is_causal": True, "enable_gqa": is_grouped}
    choices = Backends(None, ask_torch(None, call)).choices

    def attend(mark: Mark) -> torch.Tensor:
        out = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)
        mark("forward")
        return out

    if not p.backward:
        return Built(attend, forward, declared=Declared(choices=choices))
    gradient = draw(p.heads)

    def step(mark: Mark) -> None:
        torch.autograd.grad(attend(mark), (q, k, v), gradient)
        mark("backward")

    backward = shape.backward_work(p.dtype)
    spans = {"forward": forward, "backward": backward}
    return Built(step, _add(forward, backward), declared=Declared(spans, choices))


def _add(one: Work, other: Work) -> Work:
    """Add all counts but tokens, of which attention has none."""
    counts = {name: count for name, count in vars(one).items() if name != "tokens"}
    return Work(**{name: count + getattr(other, name) for name, count in counts.items()})
