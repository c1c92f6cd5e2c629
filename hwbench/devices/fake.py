"""A device without hardware whose clock is a number, so measured times are exact.

It behaves like an accelerator: `launch(seconds)` submits work to a queue and returns at once,
events read the queue's clock, and only `synchronize` makes the host wait. `compute(seconds)` is
work of the host.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hwbench.devices.findings import Findings
from hwbench.devices.footprint import Tensors, require_predicted
from hwbench.devices.protocol import Device
from hwbench.devices.timers import EventTimer, HostTimer, Timer
from hwbench.meters import Counter, Meter, Signal
from hwbench.meters.fake import FakeMeter
from hwbench.records import TimerKind, Unsupported

ENERGY = Signal("fake", "package:0", "energy", "J")


class FakeEvent:
    def __init__(self, device: "FakeDevice") -> None:
        self._device = device
        self.at_ns = -1

    def record(self) -> None:
        self.at_ns = max(self._device.queue_ns, self._device.host_ns)

    def query(self) -> bool:
        return self.at_ns <= self._device.host_ns

    def synchronize(self) -> None:
        self._device.host_ns = max(self._device.host_ns, self.at_ns)

    def elapsed_time(self, later: "FakeEvent") -> float:
        return (later.at_ns - self.at_ns) / 1e6


class FakeStopwatch:
    """A stopwatch on the device's own clock."""

    def __init__(self, device: "FakeDevice") -> None:
        self._device = device

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

    def seconds(self, way: Callable[[], object]) -> float:
        self._device.synchronize()
        begin = self._device.host_ns
        way()
        self._device.synchronize()
        return (self._device.host_ns - begin) / 1e9

    def require_device(self) -> None:
        """Does nothing: the fake device does not fail."""


class FakeDevice:
    """`timer_kind` chooses between events and the host's clock; `memory_bytes` limits `allocate`
    and `require_memory`; `power_w` is what its meter always shows."""

    kind = "fake"
    energy_scope = "package"
    has_own_clock = True
    name = "Fake device"

    def __init__(
        self,
        timer_kind: TimerKind = "device_event",
        memory_bytes: int = 1 << 30,
        power_w: float | None = None,
    ) -> None:
        self.timer_kind = timer_kind
        self.memory_bytes = memory_bytes
        self.host_ns = 0
        self.queue_ns = 0  # when the queue will be empty
        self.syncs = 0
        self.peak_bytes = 0
        self.notes: list[str] = []
        self.power_w = power_w
        self.findings = Findings(FakeStopwatch(self), {"name": self.name}, self.is_out_of_memory)

    def compute(self, seconds: float) -> None:
        """Work of the host: its clock advances while the queue runs."""
        self.host_ns += round(seconds * 1e9)

    def launch(self, seconds: float) -> None:
        """Work of the device, which starts when the queue before it is done; the host does not
        wait."""
        self.queue_ns = max(self.queue_ns, self.host_ns) + round(seconds * 1e9)

    def allocate(self, size: int) -> None:
        """Use `size` bytes at once. MemoryError beyond the device's memory."""
        if size > self.memory_bytes:
            raise MemoryError(f"fake device out of memory: {size} of {self.memory_bytes} bytes")
        self.peak_bytes = max(self.peak_bytes, size)

    def now_ns(self) -> int:
        return self.host_ns

    def synchronize(self) -> None:
        self.syncs += 1
        self.host_ns = max(self.host_ns, self.queue_ns)

    def timer(self) -> Timer:
        if self.timer_kind == "device_event":
            return EventTimer(self.now_ns, lambda: FakeEvent(self), FakeEvent.synchronize)
        return HostTimer(self.now_ns, self.synchronize)

    def require(self, dtype: str, state_bytes: int = 0) -> None:
        if dtype == "fp8":
            raise Unsupported("the fake device has no fp8")

    def use_precision(self, dtype: str) -> None:
        """Does nothing: it has no products."""

    def footprint_bytes(
        self, tensor_bytes: int, kept: Tensors | None = None, gradients: Tensors | None = None
    ) -> int:
        return tensor_bytes

    def require_memory(self, predicted_bytes: int) -> None:
        require_predicted(predicted_bytes, self.memory_bytes, self.name)

    def guard_memory(self) -> None:
        """Does nothing: `allocate` refuses what does not fit."""

    def seed(self, seed: int) -> None:
        self.seeded = seed

    def reset_memory_peak(self) -> None:
        self.peak_bytes = 0

    def memory_peak_bytes(self) -> int | None:
        return self.peak_bytes

    def meters(self, tdp_w: float | None) -> list[Meter]:
        """An energy counter that rises by `power_w`; none if that is None."""
        if self.power_w is None:
            return []
        watts = self.power_w
        return [FakeMeter(self.now_ns, {ENERGY: lambda now_s: watts * now_s}, [Counter(ENERGY)])]

    def rest(self, seconds: float) -> None:
        self.compute(seconds)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def missing_operator(self, error: BaseException) -> str | None:
        """A line if a workload used what only a TorchDevice has."""
        if isinstance(error, AttributeError) and error.obj is self:
            return f"the fake device runs no torch workloads (it has no {error.name!r})"
        return None

    def describe(self) -> Mapping[str, Any]:
        return {"kind": self.kind, "name": self.name, "memory_bytes": self.memory_bytes}


def available(kind: str) -> dict[str, str]:
    """Nothing: the fake device is opened by name only."""
    return {}


def open_device(spec: str) -> Device:
    return FakeDevice()
