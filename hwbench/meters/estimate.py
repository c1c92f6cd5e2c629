"""An estimate of the power of processors without a counter: thermal design power × how busy they
are.

Power = watts per thread × busy threads. The model is crude: it ignores idle power (it shows nothing
while nothing runs), clocks, the kind of work, and memory. Linear models of processor use go back to
Fan, Weber and Barroso, "Power provisioning for a warehouse-sized computer", ISCA 2007, who fit idle
power and peak for each machine. With the vendor's figure instead of a fit, as in CodeCarbon, such
models were 32 to 56 % off on four processors. So the error is stated as ±50 %, and any counter is
preferred.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from hwbench.datasheets.tdp import find
from hwbench.meters import EnergySource, PowerSensor, Signal, Source
from hwbench.meters.binding import one_line
from hwbench.meters.machine import Place, processors

ERROR = 0.5
UPDATE_S = 0.5
"""The kernel counts in ticks of 10 ms per processor, too coarse for shorter times."""

SIGNAL = Signal("estimate", "package:0", "power", "W")
"""All processors together: the model does not distinguish them."""

CURE = "say what all processors that show take together with `--tdp W`"


class EstimateMeter:
    """Shows the mean watts since the previous reading, every UPDATE_S, while anything runs on the
    machine."""

    name = "estimate"

    def __init__(
        self,
        watts_per_cpu: float,
        busy_s: Callable[[], float] = lambda: processors().busy_s,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # it cannot show more than its own figure for all processors, however many these are
        model = PowerSensor(SIGNAL, UPDATE_S, UPDATE_S, error=ERROR, limit_w=math.inf)
        self.energy: Sequence[EnergySource] = [model]
        self.failures: dict[Signal, str] = {}
        self._watts_per_cpu, self._busy_s, self._now_s = watts_per_cpu, busy_s, now_s
        self._before = (now_s(), busy_s())

    def read(self) -> Iterator[Mapping[Signal, float]]:
        now_s = self._now_s()
        seconds = now_s - self._before[0]
        if seconds < UPDATE_S:
            return
        try:
            busy_s = self._busy_s()
        except Exception as error:  # noqa: BLE001 - a container may hide /proc/stat or change it
            self.failures[SIGNAL] = f"the processors' use cannot be read: {one_line(error)}"
            return
        used, self._before = busy_s - self._before[1], (now_s, busy_s)
        if used > 0:
            yield {SIGNAL: self._watts_per_cpu * used / seconds}

    def close(self) -> None:
        pass


def open_meter(tdp_w: float | None = None, place: Place | None = None) -> EstimateMeter | None:
    """The meter; None if neither `tdp_w`, the watts of all processors together, nor a published
    figure gives the power, or if the processors' use cannot be read."""
    watts = watts_per_cpu(tdp_w, place or Place.here())
    if watts is None:
        return None
    try:
        return EstimateMeter(watts)
    except Exception:  # noqa: BLE001 - as in `read`
        return None


def sources(tdp_w: float | None = None, place: Place | None = None) -> list[Source]:
    """Whether the power can be estimated; if not, the reason and the cure."""
    place = place or Place.here()
    if open_meter(tdp_w, place):
        return [Source("estimate", True, [f"{SIGNAL.scope} power (a guess, ±{ERROR:.0%})"])]
    if watts_per_cpu(tdp_w, place):
        reason, cure = "the processors' use cannot be read", "let the container see /proc/stat"
        return [Source("estimate", False, (), reason, cure)]
    who = f"the thermal design power of {place.cpu!r}" if place.cpu else "what processor this is"
    return [Source("estimate", False, (), f"{who} is not known here", CURE)]


def watts_per_cpu(tdp_w: float | None, place: Place) -> float | None:
    """The watts of one logical processor: `tdp_w` over all of them, else the model's thermal design
    power over the model's threads. None if neither is known.

    The threads are the model's and not those visible here: a virtual machine sees only some of
    them, several sockets have more. With SMT switched off each visible thread has a core to itself.
    """
    if tdp_w is not None:
        return tdp_w / place.cpus
    tdp = find(place.cpu)
    if tdp is None:
        return None
    return tdp.watts / (tdp.threads / 2 if place.smt_off else tdp.threads)
