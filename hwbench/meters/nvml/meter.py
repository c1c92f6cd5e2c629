"""NVIDIA GPUs, through the driver's NVML. Where the driver is silent, so is this, and says why;
nothing here raises.

Energy is the whole board's: the GPU, its memory and what feeds them. Of a MIG slice the energy is
not measured: the card's includes what it takes at rest and what runs in other slices, and nobody
knows how much of it is the slice's. It is null, with the reason, so that it cannot pass for the
slice's; rates and the rest of the case stand.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from hwbench.meters import Counter, EnergySource, PowerSensor, Signal, Source
from hwbench.meters.nvml.library import (
    Handle,
    NoAnswer,
    Nvml,
    answer,
    close_library,
    find,
    open_library,
)
from hwbench.meters.nvml.questions import ENERGY, INSTANT_POWER, POWER, QUESTIONS, Question, Way
from hwbench.meters.sensors import gain_of, sensor_of

COUNTER_TICK_S = 0.1
"""How often the energy counter moves on: about 100 ms, as several have measured; NVIDIA does not
say."""

QUANTUM = 1e-3
"""The smallest step of the counter, in J, and of the power, in W."""

ONLY_A_SLICE = (
    "only a MIG slice of the GPU is used, and the driver shows energy and power of the whole card alone; "
    "for energy take a card that is not in MIG mode (sudo nvidia-smi -i N -mig 0)"
)

SLOW_S = 1.0
"""How often slow questions are asked."""


def open_meter(gpus: Sequence[str] | None = None) -> "NvmlMeter | None":
    """A meter of `gpus`, or of all that the driver has; None where there is nothing to read
    (`sources` tells why).

    `gpus` are those that are used: UUIDs as torch gives them, with or without prefix, or PCI bus
    addresses. Only these are read. One that the driver does not know is named in the meter's
    `failures`.
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
    """A line for each GPU of the driver's with what it shows and, where something is missing, why;
    or one line with the reason and the cure why there is none."""
    try:
        meter = NvmlMeter(open_library(), None)
    except NoAnswer as why:
        return [Source("nvml", False, reason=why.reason, cure=why.cure)]
    meter.close()
    known = sorted(
        (*meter.signals, *meter.failures),
        key=lambda signal: -1 if signal.index is None else signal.index,
    )
    scopes = dict.fromkeys(signal.scope for signal in known)
    none = Source(
        "nvml",
        False,
        reason="the NVIDIA driver has no GPU",
        cure="look for it with lspci and nvidia-smi",
    )
    return [_source(meter, scope) for scope in scopes] or [none]


def _source(meter: "NvmlMeter", scope: str) -> Source:
    works = any(source.signal.scope == scope for source in meter.energy)
    shown = [f"{scope} {signal.quantity}" for signal in meter.signals if signal.scope == scope]
    missing: dict[str, list[str]] = {}
    for signal, why in meter.failures.items():
        if signal.scope == scope:
            missing.setdefault(why, []).append(signal.quantity)
    return Source(
        "nvml",
        works,
        shown,
        "; ".join(f"no {', '.join(names)}: {why}" for why, names in missing.items()),
    )


class NvmlMeter:
    """As `Meter`, of the GPUs `gpus` or all. `clock` tells the seconds for what is asked seldom."""

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
        """Ask the GPUs, one after the other; what changes slowly or takes long comes every
        SLOW_S."""
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
            return range(answer(self._nvml, self._nvml.nvmlDeviceGetCount))
        except NoAnswer as why:
            self._miss("gpu", why)
            return ()

    def _add(self, gpu: str | int) -> None:
        """Look for a GPU and read it, too; once, though several slices of it may be used."""
        try:
            index, handle, sliced = find(self._nvml, gpu)
        except NoAnswer as why:
            self._miss(f"gpu:{gpu}", why)
            return
        if index not in self._gpus:
            self._gpus[index] = Gpu(self._nvml, index, handle, self.failures, sliced)

    def _miss(self, scope: str, why: NoAnswer) -> None:
        self.failures[Signal("nvml", scope, "energy", "J")] = str(why)


class Gpu:
    """One GPU of the driver's, asked in the ways that it answers. What it does not show goes to
    `failures`.

    So do energy and power of one that is `sliced`.
    """

    def __init__(
        self, nvml: Nvml, index: int, handle: Handle, failures: dict[Signal, str], sliced: bool
    ) -> None:
        self._nvml, self._handle, self._failures = nvml, handle, failures
        self._scope = f"gpu:{index}"
        self._ways: dict[Question, Way] = {}
        self._lost: NoAnswer | None = None
        for question in QUESTIONS:
            if sliced and question in (ENERGY, POWER):
                self._fail(question, ONLY_A_SLICE)
            else:
                self._settle(question)

    @property
    def signals(self) -> list[Signal]:
        """What it shows."""
        return [signal for question in self._ways for signal in self._signals(question)]

    def energy(self) -> list[EnergySource]:
        """Its energy counter and its power sensor, as far as it has them.

        The counter adds up what the sensor shows, so the sensor's gain is taken to be the
        counter's, too.
        """
        gain, sensor = gain_of(self._board()), sensor_of(self._capability())
        found: list[EnergySource] = []
        if ENERGY in self._ways:
            (signal,) = self._signals(ENERGY)
            found.append(Counter(signal, tick_s=COUNTER_TICK_S, quantum=QUANTUM, gain=gain))
        if POWER in self._ways:
            (signal,) = self._signals(POWER)
            averaging_s = (
                sensor.instant_s if self._ways[POWER] is INSTANT_POWER else sensor.average_s
            )
            found.append(
                PowerSensor(signal, sensor.update_s, averaging_s, quantum=QUANTUM, gain=gain)
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

    def _settle(self, question: Question) -> None:
        """Find the first way that is answered. It is kept: a power that changes its averaging time
        is no power."""
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
        """NoAnswer as of `answer`, and for a zero that cannot be true. A lost GPU is not asked:
        that may take long."""
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
        """Do not ask again, unless that may help; of a lost GPU ask nothing again."""
        for each in list(self._ways) if why.lost else [question]:
            self._fail(each, str(why))
            if not why.again:
                self._ways.pop(each)

    def _fail(self, question: Question, reason: str) -> None:
        self._failures.update(dict.fromkeys(self._signals(question), reason))

    def _signals(self, question: Question) -> list[Signal]:
        return [Signal("nvml", self._scope, quantity, unit) for quantity, unit in question.signals]

    def _board(self) -> str:
        with suppress(NoAnswer):
            return str(answer(self._nvml, lambda: self._nvml.nvmlDeviceGetName(self._handle)))
        return ""

    def _capability(self) -> tuple[int, int] | None:
        with suppress(NoAnswer):
            major, minor = answer(
                self._nvml, lambda: self._nvml.nvmlDeviceGetCudaComputeCapability(self._handle)
            )
            return major, minor
        return None
