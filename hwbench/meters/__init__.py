"""Sources of joules and watts, and of other telemetry: clocks, temperatures, memory, load.

One module a source: `nvml`, `rapl`, `perf`, `host`, `estimate`, `amdsmi`, `powermetrics`, and
`fake`, which needs no hardware. One thread reads the meters at short intervals (`recorder`). The
energy of a window is computed afterwards (`energy`), so a meter keeps no state between readings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Signal:
    """A quantity that a meter shows. `scope` as in records.Reading; `unit` is J, W, Hz, °C, B, s,
    or 1 for shares and counts."""

    meter: str
    scope: str
    quantity: str
    unit: str

    @property
    def index(self) -> int | None:
        """The number in the scope: 1 for gpu:1, None for psys."""
        number = self.scope.partition(":")[2]
        return int(number) if number.isdigit() else None


@dataclass(frozen=True)
class Counter:
    """A signal in joules that only grows, except that it wraps at `wraps_at` (None: never, or not
    known).

    `tick_s`: how often the hardware updates it (0: more often than it is read). `quantum`: its
    smallest step, in J. `gain`: its relative error as a whole; None where none is published.
    `limit_w`: more than such a device can take; a jump that means more is a fault of the counter.
    """

    signal: Signal
    wraps_at: float | None = None
    tick_s: float = 0.0
    quantum: float = 0.0
    gain: float | None = None
    limit_w: float = 5000.0


@dataclass(frozen=True)
class PowerSensor:
    """A signal in watts that is updated every `update_s` and is the mean over the `averaging_s`
    before.

    `quantum` in W, `gain` and `limit_w` as in a Counter. `error`: the relative error of a model
    that takes the place of a sensor.
    """

    signal: Signal
    update_s: float
    averaging_s: float
    quantum: float = 0.0
    gain: float | None = None
    error: float | None = None
    limit_w: float = 5000.0

    @property
    def is_estimate(self) -> bool:
        return self.error is not None


EnergySource = Counter | PowerSensor


class Meter(Protocol):
    """An open source. `read` is called from one thread, up to 50 times a second, and must be quick.

    `energy` lists its sources of energy, for each scope the best first. `failures` has, by signal,
    the reason why it shows nothing (any more), with the cure where there is one. `read` leaves out
    a signal whose reading fails and adds it to `failures`; it does not raise.
    """

    name: str
    energy: Sequence[EnergySource]
    failures: dict[Signal, str]

    def read(self) -> Iterator[Mapping[Signal, float]]:
        """Ask the questions one by one, energy first, each only when the caller asks for the next
        answer.

        Yields the answer of each question, empty if it failed, so the caller can stamp each by
        itself. Slow questions may be asked less often.
        """

    def close(self) -> None: ...


def read_all(meter: Meter) -> dict[Signal, float]:
    """The values of all signals of a meter now, where the exact time of each does not matter."""
    values: dict[Signal, float] = {}
    for answer in meter.read():
        values |= answer
    return values


@dataclass(frozen=True)
class Source:
    """A line of `hwbench meter --list`: what a meter measures on this machine; if it does not work,
    the reason and the cure.

    `signals` are names of scopes with their quantities, e.g. "package:0 energy".
    """

    meter: str
    works: bool
    signals: Sequence[str] = field(default_factory=tuple)
    reason: str = ""
    cure: str = ""
