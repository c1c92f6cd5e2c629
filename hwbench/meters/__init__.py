"""Where joules and watts come from, and whatever else tells how a machine fares while it works.

One module a source: `nvml`, `rapl`, `perf`, `host`, `estimate`, `amdsmi`, `powermetrics`, and
`fake`, which needs no hardware. A meter is read at short intervals by one thread (`recorder`); what
its signals come to over a window is worked out afterwards (`energy`), so that a meter holds no
state between readings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Signal:
    """One thing that a meter shows. `scope` as in records.Reading; `unit` J, W, Hz, °C, B, s or 1
    (shares, counts)."""

    meter: str
    scope: str
    quantity: str
    unit: str

    @property
    def index(self) -> int | None:
        """The number in the scope: 1 of gpu:1; None of psys."""
        number = self.scope.partition(":")[2]
        return int(number) if number.isdigit() else None


@dataclass(frozen=True)
class Counter:
    """A signal in joules that only grows, but for the wrap at `wraps_at` (None: not known, or
    never).

    `tick_s`: how often the hardware brings it up to date (0: more often than anyone reads it).
    `quantum`: its smallest step, in J. `gain`: by which share it may be off as a whole; None where
    nobody has published it. `limit_w`: no such thing takes more, so that a jump that means more is
    a fault of the counter.
    """

    signal: Signal
    wraps_at: float | None = None
    tick_s: float = 0.0
    quantum: float = 0.0
    gain: float | None = None
    limit_w: float = 5000.0


@dataclass(frozen=True)
class PowerSensor:
    """A signal in watts that is brought up to date every `update_s` and is the mean over the
    `averaging_s` before.

    `quantum` in W, `gain` as of a Counter. `error` is for a model instead of a sensor: by which
    share it may be wrong.
    """

    signal: Signal
    update_s: float
    averaging_s: float
    quantum: float = 0.0
    gain: float | None = None
    error: float | None = None

    @property
    def is_estimate(self) -> bool:
        return self.error is not None


EnergySource = Counter | PowerSensor


class Meter(Protocol):
    """A source that is open. `read` is called from one thread, up to 50 times a second, and must be
    quick.

    `energy` lists its sources of energy, for each scope the best first. `failures` says, by signal,
    why one that was promised shows nothing (any longer), with the cure where there is one. A signal
    whose reading fails is left out of what `read` yields and is named in `failures`; `read` does
    not raise.
    """

    name: str
    energy: Sequence[EnergySource]
    failures: dict[Signal, str]

    def read(self) -> Iterator[Mapping[Signal, float]]:
        """Ask one question after the other, energy first, each when the next answer is asked for.

        Yields once a question: what it answered, empty if it failed. So whoever reads can stamp
        each by itself. Slow ones may come less often.
        """

    def close(self) -> None: ...


def read_all(meter: Meter) -> dict[Signal, float]:
    """Return what all signals of a meter show now, where it does not matter when each was asked."""
    return {signal: value for answered in meter.read() for signal, value in answered.items()}


@dataclass(frozen=True)
class Source:
    """A line of `hwbench meter --list`: what a meter could measure here, whether it does, and if
    not why and the cure.

    `signals` are names of scopes with what is measured, e.g. "package:0 energy".
    """

    meter: str
    works: bool
    signals: Sequence[str] = field(default_factory=tuple)
    reason: str = ""
    cure: str = ""
