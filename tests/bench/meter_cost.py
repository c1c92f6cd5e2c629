"""The cost of the meters for a step: the same steps with their thread and without it, in turns, in
one process.

Run it as `python tests/bench/meter_cost.py [DEVICE] [PAIRS]`; `make bench` runs it under
pytest-benchmark. Where no counter is, the host's meter and an estimate are read; HWBENCH_POWERCAP
may name a folder that looks like one.
"""

import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import torch

from hwbench import devices
from hwbench.devices.protocol import TorchDevice
from hwbench.meters.recorder import Recorder

ROUND_S = 0.5
TARGET = 1.005
ANY_TDP_W = 100.0


def step_of(device: TorchDevice) -> Callable[[], None]:
    a = torch.randn(512, 512, device=device.torch)

    def step() -> None:
        a @ a

    return step


def round_s(device: TorchDevice, step: Callable[[], None], steps: int) -> float:
    device.synchronize()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    device.synchronize()
    return time.perf_counter() - began


def ratios(device: TorchDevice) -> Iterator[float]:
    """With meters over without, pair by pair, the order within a pair changing each time."""
    step, meters = step_of(device), device.meters(ANY_TDP_W)
    round_s(device, step, 100)
    steps = round(100 * ROUND_S / round_s(device, step, 100))

    def metered() -> float:
        with Recorder(meters, device.now_ns):
            return round_s(device, step, steps)

    while True:
        without, metered_s = round_s(device, step, steps), metered()
        yield metered_s / without
        metered_s, without = metered(), round_s(device, step, steps)
        yield metered_s / without


def report(device: TorchDevice, found: list[float]) -> str:
    names = ", ".join(meter.name for meter in device.meters(ANY_TDP_W))
    return (
        f"meters ({names}) on / off on {device.name}: "
        f"median {median(found):.5f} of {len(found)} pairs (target at most {TARGET})"
    )


if __name__ == "__main__":
    opened = devices.open_device(devices.resolve(sys.argv[1] if len(sys.argv) > 1 else "auto"))
    pairs = ratios(opened)
    found = [next(pairs) for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 100)]
    print(report(opened, found))
    print(f"meters_ratio: {median(found):.5f}")
