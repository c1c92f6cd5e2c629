"""The meter of NVIDIA GPUs, through the driver's NVML. What the driver does not show is missing,
with the reason; nothing here raises.

Energy is that of the whole board: the GPU, its memory and its power supply. A MIG slice has no
energy: the card's energy includes its idle power and the other slices, and the slice's part is not
known. It is null with the reason, so that it cannot be taken for the slice's; the other results of
the case stay valid.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from hwbench.meters import Counter, EnergySource, PowerSensor, Signal, Source
from hwbench.meters.listing import lines_of
from hwbench.meters.nvml.library import (
    Handle,
    NoAnswer,
    Nvml,
    answer,
    close_library,
    find,
    list_gpus,
    open_library,
    text,
)
from hwbench.meters.nvml.queries import ENERGY, INSTANT_POWER, POWER, QUESTIONS, Question, Way
from hwbench.meters.sensors import gain_of, sensor_of

COUNTER_TICK_S = 0.1
"""The update interval of the energy counter: about 100 ms, as several have measured; NVIDIA does
not publish it."""

MOST_W = 3000.0
"""More than any board takes: 1400 W is the most that was sold."""

TRANSIENT = 2.0
"""A board may exceed its limit until the driver has lowered its clocks, and more in a mean over
25 ms than in one over a second."""

QUANTUM = 1e-3
"""The smallest step of the counter, in J, and of the power, in W."""

ONLY_A_SLICE = (
    "only a MIG slice of the GPU is used, and the driver shows energy and power of the whole card "
    "alone; for energy take a card that is not in MIG mode (sudo nvidia-smi -i N -mig 0)"
)

SLOW_S = 1.0
"""The interval of slow questions."""


def open_meter(gpus: Sequence[str] | None = None) -> "NvmlMeter | None":
    """A meter of `gpus`, or of all GPUs of the driver; None if there is nothing to read (`sources`
    has the reason).

    `gpus` are the GPUs in use: UUIDs as torch gives them, with or without prefix, or PCI bus
    addresses. Only these are read. One that the driver does not know is in the meter's `failures`.
    """
    if gpus is not None and not gpus:
        return None
    try:
        meter = NvmlMeter(open_library(), gpus)
    except NoAnswer:
        return None
    if meter.signals or meter.failures:
        return meter
    meter.close()
    return None


def sources() -> list[Source]:
    """A line for each GPU of the driver: what it shows, and why something is missing. Without GPUs
    one line with the reason and the cure."""
    try:
        meter = NvmlMeter(open_library(), None)
    except NoAnswer as why:
        return [Source("nvml", False, reason=why.reason, cure=why.cure)]
    meter.close()
    if not meter.signals and not meter.failures:
        reason, cure = "the NVIDIA driver has no GPU", "look for it with lspci and nvidia-smi"
        return [Source("nvml", False, reason=reason, cure=cure)]
    return lines_of(meter, meter.signals)


class NvmlMeter:
    """A `Meter` of `gpus`, or of all GPUs. `clock` gives the seconds for slow questions."""

    name = "nvml"

    def __init__(
        self, nvml: Nvml, gpus: Sequence[str] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.failures: dict[Signal, str] = {}
        self._nvml, self._clock, self._asked_slow_at = nvml, clock, float("-inf")
        self._gpus: dict[int, Gpu] = {}
        self._open = True
        for gpu in self._all() if gpus is None else gpus:
            self._add(gpu)
        self.signals = [signal for gpu in self._gpus.values() for signal in gpu.signals]
        self.energy: Sequence[EnergySource] = [
            source for gpu in self._gpus.values() for source in gpu.energy()
        ]

    def read(self) -> Iterator[Mapping[Signal, float]]:
        """Ask the GPUs one by one; slow questions only every SLOW_S."""
        now = self._clock()
        slow = now - self._asked_slow_at >= SLOW_S
        if slow:
            self._asked_slow_at = now
        for gpu in self._gpus.values():
            yield from gpu.read(slow)

    def close(self) -> None:
        """Ask no GPU any more and close the library, once."""
        self._gpus = {}
        if self._open:
            self._open = False
            close_library(self._nvml)

    def _all(self) -> Sequence[int]:
        try:
            return list_gpus(self._nvml)
        except NoAnswer as why:
            self._miss("gpu", why)
            return ()

    def _add(self, gpu: str | int) -> None:
        """Find a GPU and read it from now on; once, even if several of its slices are in use."""
        try:
            index, handle, is_slice = find(self._nvml, gpu)
        except NoAnswer as why:
            self._miss(f"gpu:{gpu}", why)
            return
        if index not in self._gpus:
            self._gpus[index] = Gpu(self._nvml, index, handle, self.failures, is_slice)

    def _miss(self, scope: str, why: NoAnswer) -> None:
        self.failures[Signal("nvml", scope, "energy", "J")] = str(why)


class Gpu:
    """One GPU of the driver, asked in the ways that it answers. What it does not show goes to
    `failures`; so do energy and power if only a slice of it is in use (`is_slice`).
    """

    def __init__(
        self, nvml: Nvml, index: int, handle: Handle, failures: dict[Signal, str], is_slice: bool
    ) -> None:
        self._nvml, self._handle, self._failures = nvml, handle, failures
        self._scope = f"gpu:{index}"
        self._ways: dict[Question, Way] = {}
        self._lost: NoAnswer | None = None
        for question in QUESTIONS:
            if is_slice and question in (ENERGY, POWER):
                self._fail(question, ONLY_A_SLICE)
            else:
                self._choose_way(question)

    @property
    def signals(self) -> list[Signal]:
        """The signals that it shows."""
        return [signal for question in self._ways for signal in self._signals(question)]

    def energy(self) -> list[EnergySource]:
        """Its energy counter and its power sensor, as far as it has them.

        The counter adds up what the sensor shows, so it has the sensor's gain.
        """
        gain, sensor = gain_of(self._board()), sensor_of(self._capability())
        limit_w = self._limit_w()
        found: list[EnergySource] = []
        if ENERGY in self._ways:
            (signal,) = self._signals(ENERGY)
            found.append(Counter(signal, None, COUNTER_TICK_S, QUANTUM, gain, limit_w))
        if POWER in self._ways:
            (signal,) = self._signals(POWER)
            is_instant = self._ways[POWER] is INSTANT_POWER
            averaging_s = sensor.instant_s if is_instant else sensor.average_s
            found.append(
                PowerSensor(signal, sensor.update_s, averaging_s, QUANTUM, gain, limit_w=limit_w)
            )
        return found

    def read(self, slow: bool) -> Iterator[dict[Signal, float]]:
        """Ask its questions in the order of QUESTIONS, slow ones only if `slow`."""
        for question, way in list(self._ways.items()):
            if question.slow and not slow:
                continue
            try:
                values = self._ask(question, way)
            except NoAnswer as why:
                self._give_up(question, why)
                yield {}
            else:
                yield dict(zip(self._signals(question), values, strict=True))

    def _choose_way(self, question: Question) -> None:
        """Choose the first way that is answered, for good: a power must not change its averaging
        time."""
        reasons = []
        for way in question.ways:
            try:
                self._ask(question, way)
            except NoAnswer as why:
                reasons.append(str(why))
            else:
                self._ways[question] = way
                return
        self._fail(question, "; ".join(dict.fromkeys(reasons)))

    def _ask(self, question: Question, way: Way) -> Sequence[float]:
        """The values of a question. NoAnswer as in `answer`, and for a zero that cannot be true. A
        lost GPU is not asked again: that may take long."""
        if self._lost:
            raise self._lost
        try:
            values = answer(self._nvml, lambda: way(self._nvml, self._handle))
        except NoAnswer as why:
            self._lost = why if why.lost else None
            raise
        if question.never_zero and not all(values):
            raise NoAnswer("the driver shows 0, which is no reading", again=True)
        return values

    def _give_up(self, question: Question, why: NoAnswer) -> None:
        """Stop asking a question that will not be answered later; stop asking a lost GPU at all."""
        for each in list(self._ways) if why.lost else [question]:
            self._fail(each, str(why))
            if not why.again:
                self._ways.pop(each)

    def _fail(self, question: Question, reason: str) -> None:
        self._failures.update(dict.fromkeys(self._signals(question), reason))

    def _signals(self, question: Question) -> list[Signal]:
        return [Signal("nvml", self._scope, quantity, unit) for quantity, unit in question.signals]

    def _limit_w(self) -> float:
        """More than the board can take: TRANSIENT times the highest limit that may be set."""
        with suppress(NoAnswer):
            limit_w = answer(self._nvml, self._highest_limit_w)
            if limit_w > 0:
                return min(MOST_W, TRANSIENT * limit_w)
        return MOST_W

    def _highest_limit_w(self) -> float:
        _, highest = self._nvml.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)
        return float(highest) / 1000

    def _board(self) -> str:
        with suppress(NoAnswer):
            return text(self._nvml, lambda: self._nvml.nvmlDeviceGetName(self._handle))
        return ""

    def _capability(self) -> tuple[int, int] | None:
        with suppress(NoAnswer):
            return answer(self._nvml, self._major_and_minor)
        return None

    def _major_and_minor(self) -> tuple[int, int]:
        major, minor = self._nvml.nvmlDeviceGetCudaComputeCapability(self._handle)
        return int(major), int(minor)
