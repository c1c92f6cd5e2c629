"""The rates of products in each number format that torch stores, measured on a device in at most
two seconds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hwbench.devices.findings import Stopwatch
from hwbench.formats import Rates

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}
"""fp8 and tf32 are a device's own or none, which the device knows without a trial."""

SMALLEST, LARGEST = 256, 4096
"""The sides of the square matrices that are tried."""

LONG_ENOUGH_S = 1e-4
"""A product in fp32 must take this long on a CPU, so that the call itself is a small part of it."""

LONG_ENOUGH_QUEUED_S = 1e-3
"""The same on a device with a queue, of which formats that are ten times as fast must fill what a
launch takes."""

TRIAL_S = 1.2
"""How long products are tried in turns, after the first ones of each format."""

MOST_TURNS = 100


def measure_formats(
    watch: Stopwatch, place: torch.device, is_out_of_memory: Callable[[BaseException], bool]
) -> Rates:
    """FLOP/s of a product in each of FORMATS on `place`, the best of many tries; None where it
    fails.

    On a CPU it is the rate of one thread. Formats take turns. A slow format gets fewer turns: a try
    is left out once it would pass the time. An error that says that memory ran out passes through:
    it says nothing of a format.
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
    """The side of square matrices whose product in fp32 takes long enough to be timed."""
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
        # each is some backend's word for "not here"
        except (RuntimeError, NotImplementedError, TypeError) as error:
            if is_out_of_memory(error):
                raise
            watch.require_device()
    return found


def _products(name: str, side: int, place: torch.device) -> list[Callable[[], Tensor]]:
    """Products of square matrices: the second one as it lies in memory, and transposed as weights
    are, since a format may have a fast kernel for one of the two only. int8 has the latter
    alone."""
    if name == "int8":
        a, b = (torch.ones(side, side, dtype=torch.int8, device=place) for _ in "ab")
        return [lambda: torch._int_mm(a, b.t())]
    x, y = (torch.full((side, side), 0.5, dtype=FORMATS[name], device=place) for _ in "xy")
    return [lambda: torch.mm(x, y), lambda: torch.mm(x, y.t())]
