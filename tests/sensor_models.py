"""Power over time with a known integral, and models of the sensors and counters that watch it.

Times are seconds from the begin of a window, powers W, energies J.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwbench.meters import Counter, EnergySource, PowerSensor, Signal
from hwbench.meters.recorder import Trace

RESOLUTION_S = 0.0005
BEFORE_S, AFTER_S = 2.0, 0.3
IDLE_W = 60.0
READ_EVERY_S = 0.05

BEGIN_NS = 5_000_000_000


class Load:
    """Power in steps of RESOLUTION_S, from BEFORE_S before a window until AFTER_S after it."""

    def __init__(self, powers_w: np.ndarray) -> None:
        self._energies_j = np.concatenate([[0.0], powers_w.cumsum() * RESOLUTION_S])

    def joules(self, times_s):
        """The joules from the begin of the load to these times."""
        position = (np.asarray(times_s) + BEFORE_S) / RESOLUTION_S
        whole = np.clip(position.astype(int), 0, len(self._energies_j) - 2)
        before_j, after_j = self._energies_j[whole], self._energies_j[whole + 1]
        return before_j + (position - whole) * (after_j - before_j)


def times_of(window_s: float) -> np.ndarray:
    return np.arange(-BEFORE_S, window_s + AFTER_S, RESOLUTION_S) + RESOLUTION_S / 2


Shape = Callable[[np.random.Generator, np.ndarray], tuple[np.ndarray, float | None]]
"""From a generator and times to the power at these times and the period of the step, or None."""


def constant(generator, times_s):
    return np.full(len(times_s), generator.uniform(80, 600)), None


def square(generator, times_s):
    """Periods of 10 to 500 ms; half of them are within 3 % of 25, 50 or 100 ms, in phase with
    sensors."""
    near = generator.choice([0.025, 0.05, 0.1]) * generator.uniform(0.97, 1.03)
    step_s = near if generator.random() < 0.5 else 10 ** generator.uniform(-2, np.log10(0.5))
    low, high = generator.uniform(60, 200), generator.uniform(200, 600)
    phase = (times_s / step_s + generator.random()) % 1
    return np.where(phase < generator.uniform(0.2, 0.8), high, low), step_s


def square_of_unknown_step(generator, times_s):
    return square(generator, times_s)[0], None


def bursts(generator, times_s):
    """Busy and idle times of random length, 20 to 300 ms on average."""
    count = 4 + int(8 * len(times_s) * RESOLUTION_S / 0.02)
    edges = generator.exponential(generator.uniform(0.02, 0.3), size=count)
    busy = np.searchsorted(edges.cumsum() - BEFORE_S, times_s) % 2
    return np.where(busy, generator.uniform(300, 600), generator.uniform(60, 200)), None


def ramp(generator, times_s):
    first, last = generator.uniform(80, 600, size=2)
    return np.interp(times_s, [0, times_s[-1]], [first, last]), None


def walk(generator, times_s):
    """A random walk that returns to its mean within about two seconds."""
    every = 20
    shocks = generator.normal(size=len(times_s) // every + 1)
    keep = np.exp(-every * RESOLUTION_S / 2)
    level = np.empty(len(shocks))
    now = generator.normal()
    for i, shock in enumerate(shocks * np.sqrt(1 - keep**2)):
        level[i] = now = keep * now + shock
    return np.clip(300 + 60 * np.repeat(level, every)[: len(times_s)], 50, None), None


def training(generator, times_s):
    """Steps of a known length with a pause in each, at the level of a random walk."""
    level, _ = walk(generator, times_s)
    step_s = 10 ** generator.uniform(-2, np.log10(0.5))
    busy = (times_s / step_s + generator.random()) % 1 < 0.8
    return np.where(busy, level, 0.5 * level), step_s


SHAPES: dict[str, Shape] = {
    shape.__name__: shape for shape in (constant, square, bursts, ramp, walk, training)
}


def draw(
    shape: Shape, generator: np.random.Generator, window_s: float
) -> tuple[Load, float | None]:
    """A load and its step. In half of them the device is idle before the window, in half after
    it."""
    times_s = times_of(window_s)
    powers_w, step_s = shape(generator, times_s)
    idle_before = (times_s < 0) & (generator.random() < 0.5)
    idle_after = (times_s >= window_s) & (generator.random() < 0.5)
    return Load(np.where(idle_before | idle_after, IDLE_W, powers_w)), step_s


def reading_times(generator: np.random.Generator, window_s: float) -> np.ndarray:
    """Times every 50 ms and a little more; 2 % are late by up to 50 ms."""
    n = int((window_s + 1 + AFTER_S) / READ_EVERY_S)
    gaps = READ_EVERY_S + generator.exponential(0.0005, size=n)
    gaps += (generator.random(n) < 0.02) * generator.random(n) / 20
    times = gaps.cumsum() - 1 + generator.random() * READ_EVERY_S
    return times[times < window_s + AFTER_S]


@dataclass(frozen=True)
class Model:
    """A sensor as it really is; `source` is what hwbench knows of it. `clock_error` is the relative
    error of its period."""

    source: EnergySource
    clock_error: float = 0.0
    lag_s: float = 0.0
    gain: float = 1.0
    offset_w: float = 0.0

    def read(self, load: Load, times_s: np.ndarray, phase: float) -> np.ndarray:
        source = self.source
        period = source.tick_s if isinstance(source, Counter) else source.update_s
        period *= 1 + self.clock_error
        updates_s = np.floor(times_s / period - phase) * period + phase * period - self.lag_s
        if isinstance(source, Counter):
            shown = load.joules(updates_s) * self.gain + self.offset_w * (updates_s + BEFORE_S)
        else:
            joules = load.joules(updates_s) - load.joules(updates_s - source.averaging_s)
            shown = joules / source.averaging_s * self.gain + self.offset_w
        return np.floor(shown / source.quantum) * source.quantum if source.quantum else shown


def sensor(name: str, update_s: float, averaging_s: float, **more) -> PowerSensor:
    signal = Signal(name, "gpu:0", "power", "W")
    return PowerSensor(signal, update_s, averaging_s, quantum=0.001, **more)


NVML = Counter(Signal("nvml", "gpu:0", "energy", "J"), tick_s=0.1, quantum=0.001)
RAPL = Counter(
    Signal("rapl", "package:0", "energy", "J"), wraps_at=262144.0, tick_s=0.001, quantum=2**-14
)

MODELS: dict[str, Model] = {
    "Volta 20/10": Model(sensor("nvml", 0.02, 0.01)),
    "Turing 100/100": Model(sensor("nvml", 0.1, 0.1)),
    "A100 100/25": Model(sensor("nvml", 0.1, 0.025)),
    "Ada average 100/1000": Model(sensor("nvml", 0.1, 1.0)),
    "Hopper instant 100/25": Model(sensor("nvml", 0.1, 0.025), clock_error=0.002, lag_s=0.005),
    "NVML counter 100": Model(NVML),
    "RAPL 1": Model(RAPL),
    "100/100, 3 % and 1 W too high": Model(
        sensor("nvml", 0.1, 0.1, gain=0.05), gain=1.03, offset_w=1
    ),
    "counter 100, 4 % too low": Model(replace(NVML, gain=0.05), clock_error=-0.02, gain=0.96),
}


def make_trace(readings: dict[EnergySource, tuple[np.ndarray, np.ndarray]]) -> Trace:
    """A trace of sources: times in seconds from the begin of the window, and values."""
    trace = Trace()
    for source, (times_s, values) in readings.items():
        for time_s, value in zip(times_s.tolist(), values.tolist(), strict=True):
            trace.add(BEGIN_NS + round(time_s * 1e9), source.signal, value)
    return trace
