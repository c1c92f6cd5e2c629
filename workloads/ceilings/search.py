"""The search for the shape that multiplies fastest on this device, in a few seconds.

Sides are powers of two. A step can therefore be the same number of FLOPs whichever shape wins
(`step_flops` of the device's rate), and two processes that find two shapes can be compared.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hwbench.accounts.matmul import Shape
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from workloads.ceilings.products import Multiply, format_of

SHAPES = tuple(
    Shape(*sides)
    for sides in (
        (256, 256, 256),
        (512, 512, 512),
        (1024, 1024, 1024),
        (2048, 2048, 2048),
        (4096, 4096, 512),
        (1024, 1024, 8192),
        (4096, 4096, 4096),
        (8192, 8192, 1024),
        (2048, 2048, 16384),
        (16384, 1024, 4096),
        (8192, 8192, 8192),
        (16384, 16384, 2048),
        (4096, 4096, 32768),
        (16384, 8192, 8192),
        (16384, 16384, 16384),
    )
)
"""Square, flat (small k) and deep (large k) products, from few FLOPs to many."""

STEP_FLOPS = (1 << 28, 1 << 34, 1 << 40, 1 << 46)
"""The FLOPs that a step may have: so far apart that two processes on one device seldom differ."""

STEP_S = 0.2
"""The longest step, and the longest product that is tried."""

SMALL_FLOPS = 1 << 31
"""Products of fewer FLOPs are tried whatever the rate so far: starting threads takes most of their
time, so it does not predict the rates of larger ones."""

TRIALS = 5
"""Timed products of each shape, after an untimed one in which the kernel is chosen and loaded. The
fastest counts, as any disturbance makes a trial slower; the winner is measured afterwards, by
medians."""

BUDGET_S = 5.0
"""The longest search."""

FLUSH = 2
"""How many times the last cache is overwritten, or filled with operands: it then holds nothing of
an earlier product."""

UNKNOWN_CACHE_BYTES = 1 << 29
"""Assumed size of the last cache where it is not known: more than an accelerator has."""


@dataclass(frozen=True)
class Best:
    """The fastest shape, how many were tried, and the FLOPs of a step: a multiple of the
    shape's."""

    shape: Shape
    tried: int
    step_flops: int


def search(
    seconds_of: Callable[[Shape], float],
    fits: Callable[[Shape], bool],
    elapsed_s: Callable[[], float],
) -> Best:
    """Find the fastest of SHAPES that is no larger than a step: `seconds_of` times one product.

    The first is always tried. A later one is tried if it fits into memory and if, at the best rate
    so far, its trials end before `elapsed_s` reaches BUDGET_S and a product takes no longer than
    STEP_S, unless it is small.
    """
    rates = {SHAPES[0]: SHAPES[0].flops / seconds_of(SHAPES[0])}
    for shape in SHAPES[1:]:
        expected_s = shape.flops / max(rates.values())
        is_wanted = expected_s <= STEP_S or shape.flops <= SMALL_FLOPS
        if is_wanted and elapsed_s() + (1 + TRIALS) * expected_s <= BUDGET_S and fits(shape):
            rates[shape] = shape.flops / seconds_of(shape)
    flops = step_flops(max(rates.values()))
    small_enough = [shape for shape in rates if shape.flops <= flops]
    return Best(max(small_enough, key=rates.__getitem__), len(rates), flops)


def step_flops(rate: float) -> int:
    """Choose the most of STEP_FLOPS that take no longer than STEP_S at `rate` FLOP/s.

    At least the first.
    """
    return max((flops for flops in STEP_FLOPS if flops <= STEP_S * rate), default=STEP_FLOPS[0])


def search_on(device: TorchDevice, multiply: Multiply, dtype: str) -> Best:
    """Search on a device. A shape's time is the fastest of TRIALS, with no operand in a cache."""
    begin, stored = device.now_ns(), format_of(dtype, device)
    flush = torch.zeros(FLUSH * last_cache_bytes(device), device=device.torch, dtype=torch.uint8)

    def seconds_of(shape: Shape) -> float:
        operands = stored.draw(shape, device)
        multiply(operands)
        times = []
        for _ in range(TRIALS):
            flush.add_(1)
            device.synchronize()
            start = device.now_ns()
            multiply(operands)
            device.synchronize()
            times.append((device.now_ns() - start) / 1e9)
        return min(times)

    def fits(shape: Shape) -> bool:
        try:
            device.require(dtype, FLUSH * shape.bytes(dtype))
        except Unsupported:
            return False
        return True

    return search(seconds_of, fits, lambda: (device.now_ns() - begin) / 1e9)


def sets_beyond_cache(device: TorchDevice, set_bytes: int) -> int:
    """Count the sets of operands that hold FLUSH times the last cache.

    Used in turn, no set is in the cache when its turn comes.
    """
    return math.ceil(FLUSH * last_cache_bytes(device) / set_bytes)


def last_cache_bytes(device: TorchDevice) -> int:
    """Look up the bytes of the largest cache, or assume UNKNOWN_CACHE_BYTES."""
    return max(device.caches().values(), default=UNKNOWN_CACHE_BYTES)
