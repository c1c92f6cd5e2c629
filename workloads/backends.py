"""Which of torch's kernels computes attention: the one asked for, or the fastest in a trial.

`scaled_dot_product_attention` has several backends, which differ in speed and in what they support,
and takes the first of its own order that can run. A short trial on the device finds which order is
the fastest, or whether plain products are, and remembers it (`Device.findings`). Which backend then
runs is asked of torch, not assumed.
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

from hwbench.accounts.gpt import GPTConfig
from hwbench.devices.findings import Choice
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from hwbench.workload import axis
from workloads.models.attention import eager_attention
from workloads.tensors import compile_function

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
EAGER = "eager"
"""Plain matrix products instead of a backend of torch's (`models.attention.eager_attention`).
Transformers uses the same word."""

ATTENTION = axis(None, choices=(*BACKENDS, EAGER))

TORCH_ORDER = "torch"
"""The name, in a trial, of torch's own order of backends."""

UNTRIED = Choice(TORCH_ORDER)
"""The choice where there was no trial."""

MOST_SCORES_BYTES = 64 << 20
"""Plain products are tried if the scores of all heads of a batch, which they hold at once, take no
more."""

Called = TypeVar("Called", bound=Callable[..., object])

Call = dict[str, Any]
"""The arguments of one call of scaled_dot_product_attention, by name."""


@dataclass(frozen=True)
class Backends:
    """The backends that attention may run on."""

    order: tuple[SDPBackend, ...] | None  # the preferred one first; None: torch's own order
    runs: str | None  # which one runs, if known
    choice: Choice = UNTRIED  # of a trial, if there was one

    @property
    def choices(self) -> dict[str, str]:
        """The choice of attention, for `Declared.choices`."""
        return self.choice.as_choices("attention", self.runs)

    def within(self, function: Called) -> Called:
        """Make `function` run its attention on these.

        Put it around what torch.compile is given, not around its result. The key of torch's cache
        of compiled graphs does not include the setting: it would return a graph with another
        backend, even one of another process.
        """
        if self.order is None:
            return function
        order = list(self.order)

        def inside(*args: object) -> object:
            with sdpa_kernel(order, set_priority=True):
                return function(*args)

        return cast(Called, inside)

    def prepare(self, function: Called, device: TorchDevice, mode: bool | str) -> Called:
        """Compile `function` in `mode`, a value of COMPILE, with its attention on these.

        Not compiled it is returned as it is: `within` then goes around the whole step.
        """
        return compile_function(self.within(function), device, mode) if mode else function


def attention_backends(requested: str | None, call: Call, device: TorchDevice) -> Backends:
    """Choose the backend `requested`, else the fastest on `device`, for calls like `call`.

    Unsupported if the one asked for cannot run such a call here; the message names those that can.
    """
    if requested is None:
        return choose_by_trial(call, device)
    if requested == EAGER:
        if "attn_mask" in call:
            raise Unsupported(
                f"attention={EAGER} computes whole sequences, not one token at a time; use another "
                "or auto"
            )
        return Backends(None, EAGER)
    order = (BACKENDS[requested],)
    runs = ask_torch(order, call)
    if runs != requested:
        others = [name for name in BACKENDS if ask_torch((BACKENDS[name],), call) == name]
        if "attn_mask" not in call:
            others.append(EAGER)
        dtype = str(call["query"].dtype).removeprefix("torch.")
        raise Unsupported(
            f"attention={requested} cannot run this in {dtype} here; "
            f"use {' or '.join(others) or 'auto'}"
        )
    return Backends(order, runs)


def choose_by_trial(call: Call, device: TorchDevice) -> Backends:
    """Find the fastest of `orders_of` on `device`, by a trial of one layer's attention with random
    numbers."""
    orders = orders_of(call)
    if len(orders) == 1:
        return Backends(None, ask_torch(None, call))
    arguments = {name: _draw_like(value) for name, value in call.items()}
    ways = {
        name: partial(attend_once, arguments, order, name == EAGER)
        for name, order in orders.items()
    }
    choice = device.findings.choose(f"attention {_question(call)}", ways)
    if choice.name == EAGER:
        return Backends(None, EAGER, choice)
    order = orders[choice.name]
    return Backends(order, ask_torch(order, call), choice)


def orders_of(call: Call) -> dict[str, tuple[SDPBackend, ...] | None]:
    """List the orders of backends, by name, that may be the fastest for such a call.

    They are torch's own (None); each other backend that can run it, with the rest behind it; and
    plain products (None too) where they fit.
    """
    ways: dict[str, tuple[SDPBackend, ...] | None] = {TORCH_ORDER: None}
    first = ask_torch(None, call)
    for name in ("flash", "cudnn", "efficient"):
        if name != first and ask_torch((BACKENDS[name],), call) == name:
            others = [backend for other, backend in BACKENDS.items() if other != name]
            ways[name] = (BACKENDS[name], *others)
    batch, heads, seq, _ = call["query"].shape
    scores_bytes = batch * heads * seq * call["key"].shape[2] * call["query"].dtype.itemsize
    if call.get("is_causal", False) and scores_bytes <= MOST_SCORES_BYTES:
        ways[EAGER] = None
    return ways


def attend_once(call: Call, order: tuple[SDPBackend, ...] | None, eager: bool) -> None:
    """Compute attention for a call, with gradients if its arguments require them."""
    attend = eager_attention if eager else F.scaled_dot_product_attention
    names = {"query": "q", "key": "k", "value": "v"} if eager else {}
    with nullcontext() if order is None else sdpa_kernel(list(order), set_priority=True):
        out = attend(**{names.get(name, name): value for name, value in call.items()})
        if out.requires_grad:
            torch.autograd.grad(out, [call[name] for name in ("query", "key", "value")], out)


def _draw_like(value: Any) -> Any:
    """Draw random numbers like a tensor of numbers, laid out alike; anything else stays."""
    if not isinstance(value, torch.Tensor) or value.dtype == torch.bool:
        return value
    # a generator of its own: the trial does not change the numbers of the model and its data
    own = torch.Generator(value.device).manual_seed(0)
    return torch.empty_like(value).normal_(generator=own).requires_grad_(value.requires_grad)


def _question(call: Call) -> str:
    """Describe the shape of a call, as the key under which its trial is remembered."""
    query, key = call["query"], call["key"]
    kind = "over a sequence" if call.get("is_causal", False) else "on a cache"
    dtype = str(query.dtype).removeprefix("torch.")
    trained = ", trained" if query.requires_grad else ""
    return f"{kind}: q {tuple(query.shape)}, k {tuple(key.shape)}, {dtype}{trained}"


def ask_torch(order: tuple[SDPBackend, ...] | None, call: Call) -> str | None:
    """Ask torch which backend it takes for such a call, among those of `order`.

    None if it takes none of them, or does not tell.
    """
    key = torch._C._dispatch_key_for_device(call["query"].device.type)
    if not torch._C._dispatch_has_kernel_for_dispatch_key("aten::_fused_sdp_choice", key):
        return None  # torch would answer for the device to which the operator falls back
    among = nullcontext() if order is None else sdpa_kernel(list(order), set_priority=True)
    with among, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # if none can, torch warns with the reason of each
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
    """Make the call of attention over `seq` tokens at once, as `Attention` does.

    It is for trials and questions: the whole batch might not fit beside the model. So it has as
    many sequences as keep the scores within MOST_SCORES_BYTES, at least one.
    """
    batch = min(batch, max(1, MOST_SCORES_BYTES // (config.heads * seq * seq * dtype.itemsize)))

    def allocate(heads: int) -> torch.Tensor:
        x = torch.empty(batch, seq, heads, config.head_width, dtype=dtype, device=device.torch)
        return x.transpose(1, 2).requires_grad_(trained)

    q, k, v = (allocate(heads) for heads in (config.heads, config.key_heads, config.key_heads))
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
    """Make the call of attention that extends a cache of `length` by one token, as `Attention`
    does."""
    shared = config.heads // config.key_heads

    def allocate(rows: int) -> torch.Tensor:
        shape = (batch, config.key_heads, rows, config.head_width)
        return torch.empty(shape, dtype=dtype, device=device.torch)

    return {
        "query": allocate(shared),
        "key": allocate(length),
        "value": allocate(length),
        "attn_mask": torch.empty(1, 1, 1, length, device=device.torch) > 0,
    }
