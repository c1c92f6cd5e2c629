"""Which of torch's kernels computes attention: asked for or preferred, and found out rather than
assumed.

`scaled_dot_product_attention` has several backends with other speeds and needs, and takes the first
of its own order that can. Which order is the fastest, or plain products, is found by a short trial
on the device itself and remembered (`Device.findings`); what then runs is asked of torch.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from hwbench.devices.findings import Choice
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from hwbench.workload import axis
from workloads.models.attention import eager_attention
from workloads.models.config import GPTConfig

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
EAGER = "eager"
"""No backend of torch's but plain matrix products (`models.attention.eager_attention`), as
Transformers calls them."""

ATTENTION = axis(None, choices=(*BACKENDS, EAGER))

TORCH_ORDER = "torch"
"""The way of a trial in which torch takes the first of its own order."""

UNTRIED = Choice(TORCH_ORDER)
"""What there is to say of a trial where there was none."""

MOST_SCORES_BYTES = 64 << 20
"""Plain products are tried where the scores of all heads of a batch take no more: they are held at
once."""

Called = TypeVar("Called", bound=Callable[..., object])

Call = dict[str, Any]
"""The arguments of one call of scaled_dot_product_attention, by their names."""


@dataclass(frozen=True)
class Backends:
    """Those that attention may run on, the preferred one first, None for torch's own; which one
    does, if known; and the choice that a trial made, if there was one."""

    order: tuple[SDPBackend, ...] | None
    runs: str | None
    choice: Choice = UNTRIED

    @property
    def choices(self) -> dict[str, str]:
        """For `Declared.choices`."""
        return self.choice.as_choices("attention", self.runs)

    def within(self, function: Called) -> Called:
        """`function` with attention on these.

        Put it around what torch.compile is given, not around its result: torch's cache of compiled
        graphs knows nothing of the setting around them, and would hand out a graph with another
        backend, even one of another process.
        """
        if self.order is None:
            return function
        order = list(self.order)

        def inside(*args: object) -> object:
            with sdpa_kernel(order, set_priority=True):
                return function(*args)

        return cast(Called, inside)


def attention_backends(asked: str | None, call: Call, device: TorchDevice) -> Backends:
    """The one `asked` for, else those that suit `device` best, for calls like `call`.

    Unsupported if the one asked for cannot do it here; it says which can.
    """
    if asked is None:
        return fastest(call, device)
    if asked == EAGER:
        if "attn_mask" in call:
            raise Unsupported(
                f"attention={EAGER} is for whole sequences; one token at a time takes the others or auto"
            )
        return Backends(None, EAGER)
    order = (BACKENDS[asked],)
    runs = chosen(order, call)
    if runs != asked:
        able = [name for name, backend in BACKENDS.items() if chosen((backend,), call) == name]
        able += [EAGER] if "attn_mask" not in call else []
        kind = str(call["query"].dtype).removeprefix("torch.")
        raise Unsupported(
            f"attention={asked} cannot run this in {kind} here; use {' or '.join(able) or 'auto'}"
        )
    return Backends(order, runs)


def fastest(call: Call, device: TorchDevice) -> Backends:
    """The backends of the fastest of `ways_of` on `device`, in a trial of a layer's attention with
    random numbers."""
    orders = ways_of(call)
    if len(orders) == 1:
        return Backends(None, chosen(None, call))
    arguments = {name: _draw_like(value) for name, value in call.items()}
    ways = {
        name: partial(attend_once, arguments, order, name == EAGER)
        for name, order in orders.items()
    }
    choice = device.findings.choose(f"attention {_question(call)}", ways)
    if choice.name == EAGER:
        return Backends(None, EAGER, choice)
    order = orders[choice.name]
    return Backends(order, chosen(order, call), choice)


def ways_of(call: Call) -> dict[str, tuple[SDPBackend, ...] | None]:
    """The ways to compute such a call that may be the fastest, as orders of backends: torch's own;
    each backend that can and comes later in that order, with all others behind it; and plain
    products where they fit."""
    ways: dict[str, tuple[SDPBackend, ...] | None] = {TORCH_ORDER: None}
    first = chosen(None, call)
    for name in ("flash", "cudnn", "efficient"):
        if name != first and chosen((BACKENDS[name],), call) == name:
            ways[name] = (
                BACKENDS[name],
                *(backend for other, backend in BACKENDS.items() if other != name),
            )
    batch, heads, seq, _ = call["query"].shape
    scores_bytes = batch * heads * seq * call["key"].shape[2] * call["query"].dtype.itemsize
    if call.get("is_causal", False) and scores_bytes <= MOST_SCORES_BYTES:
        ways[EAGER] = None
    return ways


def attend_once(call: Call, order: tuple[SDPBackend, ...] | None, eager: bool) -> None:
    """Attention of such a call one way, with its gradients where they are wanted."""
    attend = eager_attention if eager else F.scaled_dot_product_attention
    names = {"query": "q", "key": "k", "value": "v"} if eager else {}
    with nullcontext() if order is None else sdpa_kernel(list(order), set_priority=True):
        out = attend(**{names.get(name, name): value for name, value in call.items()})
        if out.requires_grad:
            torch.autograd.grad(out, [call[name] for name in ("query", "key", "value")], out)


def _draw_like(value: Any) -> Any:
    """A tensor of random numbers like `value`, laid out alike; what is no tensor of numbers
    stays."""
    if not isinstance(value, torch.Tensor) or value.dtype == torch.bool:
        return value
    # a trial leaves the numbers of the model and its data alone
    own = torch.Generator(value.device).manual_seed(0)
    return torch.empty_like(value).normal_(generator=own).requires_grad_(value.requires_grad)


def _question(call: Call) -> str:
    """The shape of a call in words, for a trial to be remembered by."""
    query, key = call["query"], call["key"]
    kind = "over a sequence" if call.get("is_causal", False) else "on a cache"
    trained = ", trained" if query.requires_grad else ""
    return f"{kind}: q {tuple(query.shape)}, k {tuple(key.shape)}, {str(query.dtype).removeprefix('torch.')}{trained}"


def chosen(order: tuple[SDPBackend, ...] | None, call: Call) -> str | None:
    """The backend that torch takes for such a call if it may take those of `order`; None if none or
    not told."""
    key = torch._C._dispatch_key_for_device(call["query"].device.type)
    if not torch._C._dispatch_has_kernel_for_dispatch_key("aten::_fused_sdp_choice", key):
        return None  # torch would answer for the device to which the operator falls back
    among = nullcontext() if order is None else sdpa_kernel(list(order), set_priority=True)
    with among, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where none can, torch warns of each one's reasons
        try:
            number = torch._fused_sdp_choice(**call)
        except RuntimeError:
            return None
    return next((name for name, backend in BACKENDS.items() if backend == SDPBackend(number)), None)


def call_over_sequence(
    config: GPTConfig,
    batch: int,
    seq: int,
    dtype: torch.dtype,
    device: TorchDevice,
    trained: bool = False,
) -> Call:
    """What `Attention` calls for over `seq` tokens at once, as `scaled_dot_product_attention` takes
    it.

    Of a batch whose scores would take more than MOST_SCORES_BYTES, so many sequences as stay
    within, at least one: the call is for trials and questions, and the whole batch might not fit
    beside the model.
    """
    batch = min(batch, max(1, MOST_SCORES_BYTES // (config.heads * seq * seq * dtype.itemsize)))

    def heads(count: int) -> torch.Tensor:
        made = torch.empty(batch, seq, count, config.head_width, dtype=dtype, device=device.torch)
        return made.transpose(1, 2).requires_grad_(trained)

    q, k, v = heads(config.heads), heads(config.key_heads), heads(config.key_heads)
    return {
        "query": q,
        "key": k,
        "value": v,
        "is_causal": True,
        "enable_gqa": config.key_heads < config.heads,
    }


def call_on_cache(
    config: GPTConfig, batch: int, length: int, dtype: torch.dtype, device: TorchDevice
) -> Call:
    """What `Attention` calls for to extend a cache of `length` by one token."""
    shape = (batch, config.key_heads, config.heads // config.key_heads, config.head_width)
    q = torch.empty(shape, dtype=dtype, device=device.torch)
    k, v = torch.empty(
        2, batch, config.key_heads, length, config.head_width, dtype=dtype, device=device.torch
    )
    return {
        "query": q,
        "key": k,
        "value": v,
        "attn_mask": torch.empty(1, 1, 1, length, device=device.torch) > 0,
    }
