"""The search for the shape that multiplies fastest on this device, in a few seconds.

Sides are powers of two, so that a step can be the same number of FLOPs whichever shape wins:
`step_flops` of the device's rate. Two processes that find two shapes then still do the same work in
a step, and can be compared.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Unsupported
from workloads.ceilings.products import Multiply, Shape, format_of

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
"""Squares, flat ones (small k) and deep ones (large k), from few FLOPs to many."""

STEP_FLOPS = (1 << 28, 1 << 34, 1 << 40, 1 << 46)
"""What a step may be: so far apart that a device seldom lies where one process takes one and the
next another."""

STEP_S = 0.2
"""How long a step is at most, and a product that is tried."""

SMALL_FLOPS = 1 << 31
"""Products of fewer FLOPs say more of starting threads than of multiplying: the rates of larger
ones do not follow."""

TRIALS = 5
"""Timed products of each shape, after one that is not: the kernel is chosen and loaded in that. The
fastest counts, since whatever disturbs a trial makes it slower; what the winner gives is measured
afterwards, by medians."""

BUDGET_S = 5.0
"""How long the search goes on."""

FLUSH = 2
"""How often the last cache is written over, or held in operands, for nothing of an earlier product
to be in it."""

UNKNOWN_CACHE_BYTES = 1 << 29
"""What the last cache is taken for where nothing tells of it: more than an accelerator has."""


@dataclass(frozen=True)
class Found:
    """The fastest shape, how many were tried, and the FLOPs of a step: a multiple of the
    shape's."""

    shape: Shape
    tried: int
    step_flops: int


def search(
    seconds_of: Callable[[Shape], float],
    fits: Callable[[Shape], bool],
    elapsed_s: Callable[[], float],
) -> Found:
    """The fastest of SHAPES for which a step has room: `seconds_of` times one product.

    The first is always tried; a later one if it fits into memory and, at the best rate so far, its
    trials end before `elapsed_s` is BUDGET_S and a product, unless it is small, takes no longer
    than STEP_S.
    """
    rates = {SHAPES[0]: SHAPES[0].flops / seconds_of(SHAPES[0])}
    for shape in SHAPES[1:]:
        expected_s = shape.flops / max(rates.values())
        is_wanted = expected_s <= STEP_S or shape.flops <= SMALL_FLOPS
        if is_wanted and elapsed_s() + (1 + TRIALS) * expected_s <= BUDGET_S and fits(shape):
            rates[shape] = shape.flops / seconds_of(shape)
    whole = step_flops(max(rates.values()))
    return Found(
        max((shape for shape in rates if shape.flops <= whole), key=rates.__getitem__),
        len(rates),
        whole,
    )


def step_flops(rate: float) -> int:
    """The most of STEP_FLOPS that take no longer than STEP_S at `rate` FLOP/s; at least the
    first."""
    return max((flops for flops in STEP_FLOPS if flops <= STEP_S * rate), default=STEP_FLOPS[0])


def search_on(device: TorchDevice, multiply: Multiply, dtype: str) -> Found:
    """`search` on a device: the fastest of TRIALS products, each with no operand in a cache."""
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
            device.require(dtype, FLUSH * stored.bytes_of(shape))
        except Unsupported:
            return False
        return True

    return search(seconds_of, fits, lambda: (device.now_ns() - begin) / 1e9)


def sets_beyond_cache(device: TorchDevice, set_bytes: int) -> int:
    """How many sets of operands hold FLUSH times the last cache: used in turn, none is there when
    its turn comes."""
    return math.ceil(FLUSH * last_cache_bytes(device) / set_bytes)


def last_cache_bytes(device: TorchDevice) -> int:
    return max(device.caches().values(), default=UNKNOWN_CACHE_BYTES)
