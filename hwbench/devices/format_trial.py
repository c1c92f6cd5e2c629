"""The rates of products in each number format that torch stores, measured on a device in at most two seconds."""

import itertools
import time
from collections.abc import Callable

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

LONG_ENOUGH_QUEUED_S = 2e-3
"""The same on a device with a queue, where the host's launch and wait are part of the time too."""

TRIAL_S = 1.2
"""How long products are tried in turns, after the first ones of each format."""

MOST_TURNS = 100


def measure_formats(watch: Stopwatch, place: torch.device) -> Rates:
    """FLOP/s of a product in each of FORMATS on `place`, the best of many tries; None where it fails.

    On a CPU it is the rate of one thread. Formats take turns. A slow format gets fewer turns: a try is left out once it
    would pass the time.
    """
    with watch:
        side, best = _measure(watch, place)
    return {name: 2 * side**3 / best[name] if name in best else None for name in FORMATS}


def _measure(watch: Stopwatch, place: torch.device) -> tuple[int, dict[str, float]]:
    """The side of the matrices, and the best seconds of each format that works."""
    side = SMALLEST
    long_enough_s = LONG_ENOUGH_S if place.type == "cpu" else LONG_ENOUGH_QUEUED_S
    fp32 = _product("fp32", side, place)
    while min(watch.seconds(fp32) for _ in range(5)) < long_enough_s and side < LARGEST:
        side *= 2
        fp32 = _product("fp32", side, place)
    begin = time.monotonic()
    products: dict[tuple[str, bool], Callable[[], Tensor]] = {}
    seconds: dict[tuple[str, bool], float] = {}
    for key in itertools.product(FORMATS, (True, False)):  # a format may have a fast kernel for one of the two only
        try:
            products[key] = _product(key[0], side, place, as_it_is=key[1])
            seconds[key] = watch.seconds(products[key])
        except (RuntimeError, NotImplementedError, TypeError):  # each is some backend's word for "not here"
            products.pop(key, None)
    for _ in range(MOST_TURNS):
        for key, product in products.items():
            if time.monotonic() - begin + seconds[key] < TRIAL_S:
                seconds[key] = min(seconds[key], watch.seconds(product))
    best = {name: min(s for (of, _), s in seconds.items() if of == name) for name, _ in seconds}
    return side, best


def _product(name: str, side: int, place: torch.device, as_it_is: bool = True) -> Callable[[], Tensor]:
    """A product of square matrices, the second one as it lies in memory, or transposed as weights are."""
    if name == "int8":
        a, b = (torch.ones(side, side, dtype=torch.int8, device=place) for _ in "ab")
        return lambda: torch._int_mm(a, b.t())
    x, y = (torch.full((side, side), 0.5, dtype=FORMATS[name], device=place) for _ in "xy")
    return lambda: torch.mm(x, y if as_it_is else y.t())
