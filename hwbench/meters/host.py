"""Telemetry of the host: of a process with its descendants, and of the machine. It has no energy.

process cpu_use (1): processors kept busy since the previous reading
process rss (B): memory held now
process rss_peak (B): the sum of each process's own peak since its start (Linux)
process context_switches (1): so far; on Linux of the main threads, elsewhere of all threads
system cpu_use, steal (1): shares of processor time since the previous reading, busy and taken away
    by the hypervisor
system cpu_clock (Hz): mean over the processors
system temperature (°C): of the hottest processor package (Linux: coretemp, k10temp, zenpower)
system memory_used, swap_used (B)

What the platform lacks is left out. Memory that processes share counts in each. A process that
started and ended between two readings is not seen. The kernel counts time in ticks of 10 ms, so the
error of a use is about 10 ms / QUICK_S per process. Source: psutil, proc(5).
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
"""The largest share of one processor's time for each kind of reading; those that are slow on a
machine are read less often there."""

UNITS = {
    **dict.fromkeys(("rss", "rss_peak", "memory_used", "swap_used"), "B"),
    "cpu_clock": "Hz",
    "temperature": "°C",
}
"""The units of quantities that are no shares or counts."""

Values = dict[str, float]


@dataclass
class Turn:
    """A kind of reading that is taken every `every_s`, or less often if it would exceed SHARE."""

    scope: str
    read: Callable[[], Values]
    every_s: float
    due_s: float = 0.0

    def take(self, now_s: float, cost_s: Callable[[], float]) -> Values:
        """The values, if the reading is due and the platform shows them."""
        if now_s < self.due_s:
            return {}
        began = cost_s()
        try:
            return self.read()
        except Exception:  # noqa: BLE001 - psutil raises whatever its reading of /proc stumbles over
            return {}
        finally:
            self.due_s = now_s + max(self.every_s, (cost_s() - began) / SHARE)


class HostMeter:
    """Shows the quantities above for process `pid` with its descendants, and for the machine."""

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
    """A process and its descendants; ended ones are skipped."""

    def __init__(self, pid: int, now_s: Callable[[], float], proc: Path) -> None:
        self._pid, self._now_s, self._proc = pid, now_s, proc
        self._members: list[psutil.Process] = []
        self._before: tuple[float, dict[psutil.Process, float]] = (now_s(), {})

    def find(self) -> Values:
        """Look for new descendants. Shows nothing itself."""
        # if the process has ended, the next line raises, and nothing more is shown of it
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
        # a new process's time until now was not spent in this interval
        known = [process for process in spent if process in before]
        values: Values = {}
        if spent:
            values["rss"] = rss
        if known and now_s > before_s:
            used_s = sum(spent[process] - before[process] for process in known)
            values["cpu_use"] = used_s / (now_s - before_s)
        return values

    def history(self) -> Values:
        switches, peaks = [], []
        for process in self._members:
            with suppress(psutil.Error, OSError):
                switches.append(sum(process.num_ctx_switches()))
                status = (self._proc / str(process.pid) / "status").read_text()
                found = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
                peaks += [int(peak) * 1024 for peak in found]
        values: Values = {}
        if switches:
            values["context_switches"] = sum(switches)
        if peaks:
            values["rss_peak"] = sum(peaks)
        return values


class Machine:
    """The machine as far as this process sees it."""

    def __init__(self, hwmon: Path) -> None:
        self._before: Processors | None = None
        with suppress(Exception):  # a container may hide /proc/stat
            self._before = processors()
        self._sensors = package_sensors(hwmon)

    def load(self) -> Values:
        now = processors()
        before, self._before = self._before, now
        if before is None or now.total_s <= before.total_s:
            return {}
        total = now.total_s - before.total_s
        values: Values = {"cpu_use": (now.busy_s - before.busy_s) / total}
        if psutil.LINUX:
            values["steal"] = (now.stolen_s - before.stolen_s) / total
        return values

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
    """The meter of a process with its descendants, by default this one. It works on every platform
    and shows what that has."""
    return HostMeter(os.getpid() if pid is None else pid)


def sources(meter: HostMeter | None = None) -> list[Source]:
    """The quantities that the platform shows."""
    meter = meter or open_meter()
    values = read_all(meter)
    time.sleep(0.02)  # two ticks of the kernel's clock, for quantities that are changes
    for turn in meter._turns:
        turn.due_s = 0.0
    values |= read_all(meter)
    names = [f"{signal.scope} {signal.quantity}" for signal in values]
    return [Source("host", bool(names), names)]


def _signal(scope: str, quantity: str) -> Signal:
    return Signal("host", scope, quantity, UNITS.get(quantity, "1"))
