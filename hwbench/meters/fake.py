"""A meter without hardware whose signals are functions of time, so results can be checked
exactly."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from hwbench.meters import EnergySource, Signal


class FakeMeter:
    """Shows `signals`, each with a question of its own: a function of the seconds on the clock
    `now_ns`. A function that returns None makes the reading fail."""

    name = "fake"

    def __init__(
        self,
        now_ns: Callable[[], int],
        signals: Mapping[Signal, Callable[[float], float | None]],
        energy: Sequence[EnergySource] = (),
    ) -> None:
        self.energy = energy
        self.failures: dict[Signal, str] = {}
        self._now_ns, self._signals = now_ns, signals

    def read(self) -> Iterator[Mapping[Signal, float]]:
        for signal, show in self._signals.items():
            value = show(self._now_ns() / 1e9)
            if value is None:
                self.failures[signal] = "the fake meter shows nothing"
            yield {} if value is None else {signal: value}

    def close(self) -> None:
        self._signals = {}
