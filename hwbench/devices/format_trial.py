"""The rates of products in each number format that torch stores, measured in at most two
seconds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hwbench.devices.findings import Stopwatch
from hwbench.formats import Rates

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}
"""fp8 and tf32 need no trial: whether a device has them is known."""

SMALLEST, LARGEST = 256, 4096
"""The limits of the side of the square matrices."""

LONG_ENOUGH_S = 1e-4
"""A product in fp32 must take this long on a CPU, so that the cost of the call is a small part."""

LONG_ENOUGH_QUEUED_S = 1e-3
"""The same on a device with a queue: a product in a format ten times as fast must take longer than
a launch."""

TRIAL_S = 1.2
"""How long products take turns, after the first ones of each format."""

MOST_TURNS = 100


def measure_formats(
    watch: Stopwatch, place: torch.device, is_out_of_memory: Callable[[BaseException], bool]
) -> Rates:
    """FLOP/s of a product in each of FORMATS on `place`, the best of many tries; None where it
    fails.

    On a CPU it is the rate of one thread. Formats take turns. A slow format gets fewer turns: a try
    that would exceed TRIAL_S is left out. An error that means that memory ran out passes through:
    it is not about the format.
    """
    with watch:
        side = _side(watch, place)
        best = dict.fromkeys(FORMATS, math.inf)
        begin = time.monotonic()
        products = _first_tries(watch, side, place, is_out_of_memory)
        for _ in range(MOST_TURNS):
            for product in products:
                if time.monotonic() - begin + product.seconds < TRIAL_S:
                    product.seconds = min(product.seconds, watch.seconds(product.multiply))
    for product in products:
        best[product.name] = min(best[product.name], product.seconds)
    return {
        name: 2 * side**3 / seconds if math.isfinite(seconds) else None
        for name, seconds in best.items()
    }


@dataclass
class _Product:
    """A product in one format, and its best time so far."""

    name: str
    multiply: Callable[[], Tensor]
    seconds: float


def _side(watch: Stopwatch, place: torch.device) -> int:
    """The side of square matrices whose product in fp32 takes long enough to time it."""
    side = SMALLEST
    long_enough_s = LONG_ENOUGH_S if place.type == "cpu" else LONG_ENOUGH_QUEUED_S
    fp32, _ = _products("fp32", side, place)
    while min(watch.seconds(fp32) for _ in range(5)) < long_enough_s and side < LARGEST:
        side *= 2
        fp32, _ = _products("fp32", side, place)
    return side


def _first_tries(
    watch: Stopwatch,
    side: int,
    place: torch.device,
    is_out_of_memory: Callable[[BaseException], bool],
) -> list[_Product]:
    """The products that work, each tried once."""
    found = []
    for name in FORMATS:
        try:
            for multiply in _products(name, side, place):
                found.append(_Product(name, multiply, watch.seconds(multiply)))
        # backends raise different errors for a format that they lack
        except (RuntimeError, NotImplementedError, TypeError) as error:
            if is_out_of_memory(error):
                raise
            watch.require_device()
    return found


def _products(name: str, side: int, place: torch.device) -> list[Callable[[], Tensor]]:
    """Products of square matrices with the second one as stored and with it transposed as weights
    are: a format may have a fast kernel for only one of them. int8 has only the latter."""
    if name == "int8":
        a, b = (torch.ones(side, side, dtype=torch.int8, device=place) for _ in "ab")
        return [lambda: torch._int_mm(a, b.t())]
    x, y = (torch.full((side, side), 0.5, dtype=FORMATS[name], device=place) for _ in "xy")
    return [lambda: torch.mm(x, y), lambda: torch.mm(x, y.t())]
