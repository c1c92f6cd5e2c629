"""The cost of the harness for a step: beside a bare loop around the same work, interleaved in one
process.

Run it as `python tests/bench/harness_cost.py [DEVICE] [PAIRS]`; `make bench` runs it under
pytest-benchmark.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

from hwbench import devices
from hwbench.devices.protocol import TorchDevice
from hwbench.recording.harness import run_phase
from hwbench.recording.stopping import LOOK_BACK, Ended, PreciseWindow

STEPS = 20
STEP_S = 0.001
TARGET = 1.005


class Counting(PreciseWindow):
    """The stopping rule of a real window, ended after STEPS steps; by itself it would take more."""

    def is_finished(self, steps: int, elapsed_s: float, ended: Ended) -> bool:
        return steps == STEPS or super().is_finished(steps, elapsed_s, ended)


def look_s(steps: int) -> float:
    """Seconds for the stopping rule to look at so many steps; it looks at most at LOOK_BACK."""
    rule = PreciseWindow(0, 60, 1, 0.01)
    recent = random.Random(1).choices([0.001, 0.0011, 0.0012], k=steps)
    began = time.perf_counter()
    for looks in range(1, 11):
        rule.is_finished(3**looks, 10.0 * looks / 2, lambda most: recent)
    return (time.perf_counter() - began) / 10


def work_of_a_third(device: TorchDevice) -> Callable[[], None]:
    """Work that takes a third of STEP_S: a fixed amount, so that the cost of a mark cannot hide in
    a wait."""
    if device.kind == "cpu":
        unit, size = arithmetic, 200
    else:
        unit, size = products_on(device), 1
    unit(size)
    count = max(1, round(size * STEP_S / 3 / duration(device, lambda: unit(size))))
    return lambda: unit(count)


def arithmetic(rounds: int) -> None:
    x = 1.0
    for _ in range(rounds):
        x = x * 1.0000001 + 1e-9


def products_on(device: TorchDevice) -> Callable[[int], None]:
    """Runs a number of products, each of which takes less than a third of a step."""
    side = 1024
    while side > 64 and duration(device, products_of(side, device), calls=5) > STEP_S / 3:
        side //= 2
    product = products_of(side, device)

    def products(count: int) -> None:
        for _ in range(count):
            product()

    return products


def products_of(side: int, device: TorchDevice) -> Callable[[], object]:
    """A product of square matrices of this side."""
    import torch

    a = torch.randn(side, side, device=device.torch)
    return lambda: a @ a


def duration(device: TorchDevice, work: Callable[[], object], calls: int = 200) -> float:
    """Seconds of one call of `work` in a row of many."""
    device.synchronize()
    began = time.perf_counter()
    for _ in range(calls):
        work()
    device.synchronize()
    return (time.perf_counter() - began) / calls


def ratios(device: TorchDevice) -> Iterator[float]:
    """Harness over bare loop, pair by pair, the order within a pair changing each time."""
    third = work_of_a_third(device)

    def step(mark: Callable[[str], None]) -> None:
        third()
        mark("forward")
        third()
        mark("backward")
        third()
        mark("optimizer")

    def bare() -> float:
        device.synchronize()
        began = time.perf_counter()
        for _ in range(STEPS):
            third()
            third()
            third()
        device.synchronize()
        return time.perf_counter() - began

    def harnessed() -> float:
        return run_phase(
            step, device, Counting(0, 60, STEPS, 0.01), 0, is_warmup=False, steps_ahead=STEPS
        ).elapsed_s

    while True:
        before = bare()
        after = harnessed()
        yield after / before
        after = harnessed()
        before = bare()
        yield after / before


def report(device: TorchDevice, found: list[float]) -> str:
    return (
        f"harness / bare loop on {device.name}, {STEP_S * 1e3:g} ms step with three marks: "
        f"median {median(found):.5f} of {len(found)} pairs (target at most {TARGET})"
    )


if __name__ == "__main__":
    opened = devices.open_device(devices.resolve(sys.argv[1] if len(sys.argv) > 1 else "auto"))
    pairs = ratios(opened)
    short_ms, long_ms = (look_s(steps) * 1e3 for steps in (1000, LOOK_BACK))
    print(f"a look at 1,000 steps takes {short_ms:.2f} ms, at {LOOK_BACK:,} {long_ms:.2f} ms")
    found = [next(pairs) for _ in range(3 + (int(sys.argv[2]) if len(sys.argv) > 2 else 200))][3:]
    print(report(opened, found))
    print(f"harness_ratio: {median(found):.5f}")
