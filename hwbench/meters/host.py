"""How the host fares: a process with its descendants, and the machine as a whole. No source of
energy.

| scope | quantity | unit | |
|---|---|---|---|
| process | cpu_use | 1 | processors kept busy since the reading before |
| process | rss, rss_peak | B | memory held now; the sum of each process's own peak since its start (Linux) |
| process | context_switches | 1 | so far; on Linux of each process's main thread, elsewhere of all threads |
| system | cpu_use, steal | 1 | shares of processor time since the reading before: busy, taken by the host |
| system | cpu_clock | Hz | mean over the processors |
| system | temperature | °C | of the hottest processor package (Linux: coretemp, k10temp, zenpower) |
| system | memory_used, swap_used | B | |

What the platform lacks is left out. Memory that processes share counts in each; one that came and
went between two readings is not seen. Times come in the kernel's ticks of 10 ms, so that a use is
good to about 10 ms / QUICK_S for each process. Source: psutil, proc(5).
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from hwbench.meters import EnergySource, Signal, Source, read_all
from hwbench.meters.machine import Processors, package_sensors, processors

QUICK_S = 0.25
SLOW_S = 1.0
SHARE = 0.001
"""Of one processor's time each kind of reading may take; what is dear on a machine comes less often
there."""

LACKING = (OSError, psutil.Error, AttributeError, NotImplementedError, ValueError, RuntimeWarning)
"""What psutil and /proc answer where a platform or a container does not tell something."""

Values = dict[str, float]


@dataclass
class Turn:
    """A kind of reading that comes every `every_s`, or less often so as to stay within its share of
    time."""

    scope: str
    read: Callable[[], Values]
    every_s: float
    due_s: float = 0.0

    def take(self, now_s: float, cost_s: Callable[[], float]) -> Values:
        """Its values if it is due and the platform tells them."""
        if now_s < self.due_s:
            return {}
        began = cost_s()
        try:
            return self.read()
        except LACKING:
            return {}
        finally:
            self.due_s = now_s + max(self.every_s, (cost_s() - began) / SHARE)


class HostMeter:
    """Shows the quantities above of process `pid` with its descendants, and of the machine."""

    name = "host"
    energy: Sequence[EnergySource] = ()

    def __init__(
        self,
        pid: int,
        now_s: Callable[[], float] = time.monotonic,
        cost_s: Callable[[], float] = time.thread_time,
        root: Path = Path("/"),
    ) -> None:
        self.failures: dict[Signal, str] = {}
        self._now_s, self._cost_s = now_s, cost_s
        family, machine = Family(pid, now_s, root / "proc"), Machine(root / "sys/class/hwmon")
        self._turns = [
            Turn("process", family.find, SLOW_S),
            Turn("process", family.load, QUICK_S),
            Turn("process", family.history, SLOW_S),
            Turn("system", machine.load, QUICK_S),
            Turn("system", machine.memory, SLOW_S),
            Turn("system", machine.swap, SLOW_S),
            Turn("system", machine.clock, SLOW_S),
            Turn("system", machine.temperature, SLOW_S),
        ]

    def read(self) -> Iterator[Mapping[Signal, float]]:
        now_s = self._now_s()
        for turn in self._turns:
            values = turn.take(now_s, self._cost_s)
            yield {_signal(turn.scope, quantity): value for quantity, value in values.items()}

    def close(self) -> None:
        self._turns = []


class Family:
    """A process and its descendants; those that have ended are passed over."""

    def __init__(self, pid: int, now_s: Callable[[], float], proc: Path) -> None:
        self._pid, self._now_s, self._proc = pid, now_s, proc
        self._members: list[psutil.Process] = []
        self._before: tuple[float, dict[psutil.Process, float]] = (now_s(), {})

    def find(self) -> Values:
        """Look for new descendants; shows nothing itself."""
        # also where the process has ended: then nothing is shown of it any longer
        self._members = []
        root = psutil.Process(self._pid)
        self._members = [root, *root.children(recursive=True)]
        return {}

    def load(self) -> Values:
        now_s, spent, rss = self._now_s(), {}, 0
        for process in self._members:
            with suppress(psutil.Error):
                spent[process] = sum(process.cpu_times()[:2])  # user and system, without children's
                rss += process.memory_info().rss
        (before_s, before), self._before = self._before, (now_s, spent)
        # Only who was there before too: a newcomer's time until now was not spent in this interval.
        used = [
            seconds - before[process] for process, seconds in spent.items() if process in before
        ]
        shown: Values = {"rss": rss} if spent else {}
        return shown | (
            {"cpu_use": sum(used) / (now_s - before_s)} if used and now_s > before_s else {}
        )

    def history(self) -> Values:
        switches, peaks = [], []
        for process in self._members:
            with suppress(psutil.Error, OSError):
                switches.append(sum(process.num_ctx_switches()))
                status = (self._proc / str(process.pid) / "status").read_text()
                peaks += [
                    int(peak) * 1024
                    for peak in re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
                ]
        shown: Values = {"context_switches": sum(switches)} if switches else {}
        return shown | ({"rss_peak": sum(peaks)} if peaks else {})


class Machine:
    """All of the machine that shows."""

    def __init__(self, hwmon: Path) -> None:
        self._before: Processors | None = None
        with suppress(*LACKING):  # a container may hide /proc/stat
            self._before = processors()
        self._sensors = package_sensors(hwmon)

    def load(self) -> Values:
        now = processors()
        before, self._before = self._before, now
        if before is None or now.total_s <= before.total_s:
            return {}
        total = now.total_s - before.total_s
        shown: Values = {"cpu_use": (now.busy_s - before.busy_s) / total}
        return shown | ({"steal": (now.stolen_s - before.stolen_s) / total} if psutil.LINUX else {})

    def memory(self) -> Values:
        return {"memory_used": psutil.virtual_memory().used}

    def swap(self) -> Values:
        return {"swap_used": psutil.swap_memory().used}

    def clock(self) -> Values:
        megahertz = psutil.cpu_freq().current
        return {"cpu_clock": megahertz * 1e6} if megahertz else {}

    def temperature(self) -> Values:
        return {"temperature": max(int(file.read_text()) for file in self._sensors) / 1000}


def open_meter(pid: int | None = None) -> HostMeter:
    """The meter of a process with its descendants, by default this one. It works everywhere,
    showing what there is."""
    return HostMeter(os.getpid() if pid is None else pid)


def sources(meter: HostMeter | None = None) -> list[Source]:
    """What the platform shows."""
    meter = meter or open_meter()
    shown = read_all(meter)
    time.sleep(0.02)  # two ticks of the kernel's clock, for what is told as a change
    for turn in meter._turns:
        turn.due_s = 0.0
    shown = {**shown, **read_all(meter)}
    return [Source("host", bool(shown), [f"{signal.scope} {signal.quantity}" for signal in shown])]


def _signal(scope: str, quantity: str) -> Signal:
    units = {
        "rss": "B",
        "rss_peak": "B",
        "memory_used": "B",
        "swap_used": "B",
        "cpu_clock": "Hz",
        "temperature": "°C",
    }
    return Signal("host", scope, quantity, units.get(quantity, "1"))
