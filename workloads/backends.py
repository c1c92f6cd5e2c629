"""Which of torch's kernels computes attention: asked for or preferred, and found out rather than assumed.

`scaled_dot_product_attention` has several backends with other speeds and needs, and takes the first of its own order
that can. Where a device has a better order than torch's, that is set; what then runs is asked of torch itself.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from hwbench.devices import Device
from hwbench.records import Unsupported
from hwbench.workload import axis
from workloads.models.config import GPTConfig

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
EAGER = "eager"
"""No backend of torch's but plain matrix products (`models.attention.eager_attention`), as Transformers calls them."""

ATTENTION = axis(None, choices=(*BACKENDS, EAGER))

F = TypeVar("F", bound=Callable[..., object])

Call = dict[str, Any]
"""The arguments of one call of scaled_dot_product_attention, by their names."""


@dataclass(frozen=True)
class Backends:
    """Those that attention may run on, the preferred one first, None for torch's own; and which one does, if known."""

    order: tuple[SDPBackend, ...] | None
    runs: str | None

    @property
    def choices(self) -> dict[str, str]:
        """For `Declared.choices`."""
        return {} if self.runs is None else {"attention": self.runs}

    def within(self, function: F) -> F:
        """`function` with attention on these.

        Put it around what torch.compile is given, not around its result: torch's cache of compiled graphs knows nothing
        of the setting around them, and would hand out a graph with another backend, even one of another process.
        """
        if self.order is None:
            return function
        order = list(self.order)

        def inside(*args: object) -> object:
            with sdpa_kernel(order, set_priority=True):
                return function(*args)

        return cast(F, inside)


def attention_backends(asked: str | None, call: Call, device: Device) -> Backends:
    """The one `asked` for, else those that suit `device` best, for calls like `call`.

    Unsupported if the one asked for cannot do it here; it says which can.
    """
    if asked == EAGER or (asked is None and is_eager_faster(call, device)):
        if "attn_mask" in call:
            raise Unsupported(f"attention={EAGER} is for whole sequences; one token at a time takes the others or auto")
        return Backends(None, EAGER)
    order = (BACKENDS[asked],) if asked else preferred(device)
    runs = chosen(order, call)
    if asked and runs != asked:
        able = [name for name, backend in BACKENDS.items() if chosen((backend,), call) == name]
        able += [EAGER] if "attn_mask" not in call else []
        kind = str(call["query"].dtype).removeprefix("torch.")
        raise Unsupported(f"attention={asked} cannot run this in {kind} here; use {' or '.join(able) or 'auto'}")
    return Backends(order, runs)


def is_eager_faster(call: Call, device: Device) -> bool:
    """Whether plain products in 16 bits over so short a sequence are what suits `device` best."""
    query, over_sequence = call["query"], call.get("is_causal", False)
    return bool(over_sequence and query.dtype.itemsize == 2 and query.shape[2] <= device.eager_attention_up_to)


def preferred(device: Device) -> tuple[SDPBackend, ...] | None:
    """All backends in an order that suits `device`; None for torch's own order."""
    if not device.prefers_cudnn_attention:
        return None
    return BACKENDS["cudnn"], BACKENDS["flash"], BACKENDS["efficient"], BACKENDS["math"]


def chosen(order: tuple[SDPBackend, ...] | None, call: Call) -> str | None:
    """The backend that torch takes for such a call if it may take those of `order`; None if none or not told."""
    among = nullcontext() if order is None else sdpa_kernel(list(order), set_priority=True)
    with among, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where none can, torch warns of each one's reasons
        try:
            number = torch._fused_sdp_choice(**call)
        except RuntimeError:
            return None
    return next((name for name, backend in BACKENDS.items() if backend == SDPBackend(number)), None)


def call_over_sequence(
    config: GPTConfig, batch: int, seq: int, dtype: torch.dtype, device: Device, trained: bool = False
) -> Call:
    """What `Attention` calls for over `seq` tokens at once, as `scaled_dot_product_attention` takes it."""

    def heads(count: int) -> torch.Tensor:
        made = torch.empty(batch, seq, count, config.head_width, dtype=dtype, device=device.torch)
        return made.transpose(1, 2).requires_grad_(trained)

    q, k, v = heads(config.heads), heads(config.key_heads), heads(config.key_heads)
    return {"query": q, "key": k, "value": v, "is_causal": True, "enable_gqa": config.key_heads < config.heads}


def call_on_cache(config: GPTConfig, batch: int, length: int, dtype: torch.dtype, device: Device) -> Call:
    """What `Attention` calls for to extend a cache of `length` by one token."""
    shape = (batch, config.key_heads, config.heads // config.key_heads, config.head_width)
    q = torch.empty(shape, dtype=dtype, device=device.torch)
    k, v = torch.empty(2, batch, config.key_heads, length, config.head_width, dtype=dtype, device=device.torch)
    return {"query": q, "key": k, "value": v, "attn_mask": torch.empty(1, 1, 1, length, device=device.torch) > 0}
