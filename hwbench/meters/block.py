"""Meters over a block of code: opened before it, read beside it, closed after it."""

from collections.abc import Callable
from types import TracebackType

from hwbench.meters import Meter
from hwbench.meters.agreement import disagreements
from hwbench.meters.energy import readings_of
from hwbench.meters.recorder import Recorder, Trace
from hwbench.meters.throttling import conditions
from hwbench.records import Reading


class MeteredBlock:
    """Reads `meters`, and those added to the list meanwhile, while the block of `with` runs.

    `now_ns` is the clock of the window. It begins before the first reading and ends after the last
    one, so that both count. `wait` is called at both ends: it waits for work that was queued.
    """

    def __init__(
        self,
        meters: list[Meter],
        now_ns: Callable[[], int],
        wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.meters = meters
        self._now_ns, self._wait = now_ns, wait
        self._recorder = Recorder(meters, now_ns)
        self.begin_ns = self.end_ns = 0

    def __enter__(self) -> "MeteredBlock":
        self._wait()
        self.begin_ns = self._now_ns()
        self._recorder.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._wait()
        finally:
            ended_ns = self._now_ns()
            self._recorder.__exit__(kind, error, trace)
            self.end_ns = ended_ns if self._recorder.hangs else self._now_ns()
            for meter in self._recorder.answering:
                meter.close()

    @property
    def elapsed_s(self) -> float:
        return (self.end_ns - self.begin_ns) / 1e9

    @property
    def trace(self) -> Trace:
        return self._recorder.trace

    def readings(self) -> list[Reading]:
        """Energy and power by scope, or the reason why there is none."""
        sources = [source for meter in self.meters for source in meter.energy]
        failures = {signal: why for meter in self.meters for signal, why in meter.failures.items()}
        return readings_of(self.trace, sources, self.begin_ns, self.end_ns, failures)

    def notes(self) -> list[str]:
        """What may disturb the figures, `code: what happened`."""
        conditions_met = conditions(self.trace, self.begin_ns, self.end_ns)
        return [*conditions_met, *disagreements(self.readings())]
