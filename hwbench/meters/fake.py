"""A meter without hardware: what it shows is a function of time, so that what comes out can be checked exactly."""

from collections.abc import Callable, Mapping, Sequence

from hwbench.meters import EnergySource, Signal


class FakeMeter:
    """Shows `signals`, each a function of the seconds on the clock `now_ns`; None means that the reading fails."""

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

    def read(self) -> Mapping[Signal, float]:
        now_s = self._now_ns() / 1e9
        shown = {signal: show(now_s) for signal, show in self._signals.items()}
        self.failures |= {signal: "the fake meter shows nothing" for signal, value in shown.items() if value is None}
        return {signal: value for signal, value in shown.items() if value is not None}

    def close(self) -> None:
        self._signals = {}
