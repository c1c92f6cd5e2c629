"""Telemetry of the host: of a process with its descendants, and of the machine. It has no energy.

process cpu_use (1): processors kept busy since the previous reading
process rss (B): memory held now, the sum over the processes; what they share counts in each
process pss (B): the same, but what processes share is divided among them (a command's, on Linux)
process rss_peak (B): the largest of the processes' own peaks since their start (Linux)
process context_switches (1): so far; on Linux of the main threads, elsewhere of all threads
system cpu_use, steal (1): shares of processor time since the previous reading, busy and taken away
    by the hypervisor
system cpu_clock (Hz): mean over the processors
system temperature (°C): of the hottest processor package (Linux: coretemp, k10temp, zenpower)
system memory_used, swap_used (B)

What the platform lacks is left out. A process that started and ended between two readings is not
seen. The kernel counts time in ticks of 10 ms, so the error of a use is about 10 ms / QUICK_S per
process. To read a pss the kernel walks all pages of a process, so it is read of commands alone, and
as seldom as its cost demands. Source: psutil, proc(5).
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
from hwbench.system import files

QUICK_S = 0.25
SLOW_S = 1.0
SHARE = 0.001
"""The largest share of one processor's time for each kind of reading; those that are slow on a
machine are read less often there."""

COMMAND_SHARE = 0.01
"""The same for looking after a command's processes and their memory."""

UNITS = {
    **dict.fromkeys(("rss", "pss", "rss_peak", "memory_used", "swap_used"), "B"),
    "cpu_clock": "Hz",
    "temperature": "°C",
}
"""The units of quantities that are no shares or counts."""

Values = dict[str, float]


@dataclass
class Turn:
    """A kind of reading that is taken every `every_s`, or less often if it would take more than
    `share` of one processor's time."""

    scope: str
    read: Callable[[], Values]
    every_s: float
    share: float = SHARE
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
            self.due_s = now_s + max(self.every_s, (cost_s() - began) / self.share)


class HostMeter:
    """Shows the quantities above for process `pid` with its descendants, and for the machine.

    `is_command`: it is a command that this process started, and as its subreaper it also has the
    processes that leave the command.
    """

    name = "host"
    energy: Sequence[EnergySource] = ()

    def __init__(
        self,
        pid: int,
        now_s: Callable[[], float] = time.monotonic,
        cost_s: Callable[[], float] = time.thread_time,
        root: Path = Path("/"),
        is_command: bool = False,
    ) -> None:
        self.failures: dict[Signal, str] = {}
        self._now_s, self._cost_s = now_s, cost_s
        family = Family(pid, now_s, root / "proc", is_command and psutil.LINUX)
        machine = Machine(root / "sys/class/hwmon")
        if is_command:
            of_command = [
                Turn("process", family.find, QUICK_S, COMMAND_SHARE),
                Turn("process", family.pss, QUICK_S, COMMAND_SHARE),
            ]
        else:
            of_command = [Turn("process", family.find, SLOW_S)]
        self.family = family
        self._turns = [
            *of_command,
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
    """A process and its descendants; ended ones are skipped. `seen` has the numbers of all.

    `adopts`: it is all descendants of this process, which adopts those whose parents end.
    """

    def __init__(
        self, pid: int, now_s: Callable[[], float], proc: Path, adopts: bool = False
    ) -> None:
        self._pid, self._now_s, self._proc, self._adopts = pid, now_s, proc, adopts
        self.seen: set[int] = set()
        self._members: list[psutil.Process] = []
        self._before: tuple[float, dict[psutil.Process, float]] = (now_s(), {})

    def find(self) -> Values:
        """Look for new descendants. Shows nothing itself."""
        # if the process has ended, the next line raises, and nothing more is shown of it
        self._members = []
        root = psutil.Process(os.getpid() if self._adopts else self._pid)
        descendants = root.children(recursive=True)
        self._members = descendants if self._adopts else [root, *descendants]
        self.seen |= {process.pid for process in self._members}
        return {}

    def pss(self) -> Values:
        """Memory with each shared page counted once. Nothing if a process ended meanwhile: then its
        share may have been counted with it and, as another's, again."""
        before = self._living()
        found = []
        for pid in before:
            # none of a process of another user, and none in a kernel before 4.14
            rollup = files.read(f"{pid}/smaps_rollup", self._proc) or ""
            found += re.findall(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        if not found or self._living() != before:
            return {}
        return {"pss": sum(map(int, found)) * 1024}

    def _living(self) -> set[int]:
        """The numbers of the processes that hold memory: those that have ended hold none, even
        before somebody waits for them."""
        living = set()
        for process in self._members:
            with suppress(psutil.Error):
                if process.memory_info().rss:
                    living.add(process.pid)
        return living

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
                status = files.read(f"{process.pid}/status", self._proc) or ""
                found = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
                peaks += [int(peak) * 1024 for peak in found]
        values: Values = {}
        if switches:
            values["context_switches"] = sum(switches)
        if peaks:
            values["rss_peak"] = max(peaks)
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
        return {
            "temperature": max(int(file.read_text(encoding="utf-8")) for file in self._sensors)
            / 1000
        }


def open_meter(command: int | None = None) -> HostMeter:
    """The meter of this process, or of the command with this number, with its descendants. It works
    on every platform and shows what that has."""
    if command is None:
        return HostMeter(os.getpid())
    return HostMeter(command, is_command=True)


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
