"""Energy of processors and their memory from RAPL through perf_event_open, for users who may not
read powercap.

The kernel's `power` PMU reads the same hardware as `rapl`, unwrapped, in steps of 2^-32 J; to open
both would only measure it twice. It counts for a whole package, so one event per package is opened,
on the processors in its `cpumask`. Sources: perf_event_open(2); arch/x86/events/rapl.c in the
kernel. Neither states an error, so `gain` is None.
"""

import ctypes
import errno
import os
import platform
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench.meters import Counter, EnergySource, Signal, Source
from hwbench.meters.binding import one_line
from hwbench.meters.machine import Place
from hwbench.meters.rapl import LIMIT_W, QUANTUM_J, TICK_S

POWER = Path("/sys/bus/event_source/devices/power")
CPUS = Path("/sys/devices/system/cpu")
SYSCALL = {"x86_64": 298, "i686": 336}
"""The number of perf_event_open; other machines have no `power` PMU."""

KINDS = {"energy-pkg": "package", "energy-ram": "dram", "energy-psys": "psys"}
HIDDEN = "start it with `-v /sys/bus/event_source:/sys/bus/event_source:ro --cap-add PERFMON`"
KERNEL = "`sudo modprobe rapl` (CONFIG_PERF_EVENTS_INTEL_RAPL; AMD since Linux 5.8)"
REFUSED = (
    "permission denied: kernel.perf_event_paranoid keeps users from counting for whole processors",
    "for now `sudo sysctl kernel.perf_event_paranoid=0`; for good that line in /etc/sysctl.d; "
    "in a container `--cap-add PERFMON` and a seccomp profile that lets perf_event_open pass",
)

Open = Callable[[int, int, int], int]
"""From the PMU's type, the event and the processor to a file that counts; raises OSError."""


@dataclass(frozen=True)
class Event:
    counter: Counter
    config: int
    cpu: int
    joules: float  # of one count


class PerfMeter:
    """Shows joules since it was opened."""

    name = "perf"

    def __init__(self, kind: int, events: Sequence[Event], opener: Open) -> None:
        self.energy: Sequence[EnergySource] = [event.counter for event in events]
        self.failures: dict[Signal, str] = {}
        self.refused: list[Exception] = []
        self._files: dict[Event, int] = {}
        for event in events:
            try:
                self._files[event] = opener(kind, event.config, event.cpu)
            except Exception as error:  # noqa: BLE001 - of ctypes and struct, too
                self.refused.append(error)
                self.failures[event.counter.signal] = "; ".join(filter(None, _why(error)))

    def read(self) -> Iterator[Mapping[Signal, float]]:
        for event, file in self._files.items():
            try:
                (count,) = struct.unpack("=Q", os.read(file, 8))
            except (OSError, struct.error) as error:
                why = f"the event no longer counts: {one_line(error)}"
                self.failures[event.counter.signal] = why
                yield {}
            else:
                yield {event.counter.signal: count * event.joules}

    @property
    def works(self) -> list[Signal]:
        return [event.counter.signal for event in self._files]

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files = {}


def perf_event_open(kind: int, config: int, cpu: int) -> int:
    """perf_event_open(2) for all processes on a processor; raises OSError."""
    number = SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    # the first version of perf_event_attr: type, size, config, and zeros up to its 64 bytes
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ48x", kind, 64, config), 64)
    everyone, no_group, close_on_exec = ctypes.c_int(-1), ctypes.c_int(-1), ctypes.c_ulong(8)
    libc = ctypes.CDLL(None, use_errno=True)
    file: int = libc.syscall(
        number, attributes, everyone, ctypes.c_int(cpu), no_group, close_on_exec
    )
    if file < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return file


def open_meter(
    pmu: Path = POWER, cpus: Path = CPUS, opener: Open = perf_event_open
) -> PerfMeter | None:
    """The meter; None if there is no such PMU or no event can be opened. `sources` says why."""
    meter = _meter(pmu, cpus, opener)
    return meter if meter and meter.works else None


def sources(
    pmu: Path = POWER, cpus: Path = CPUS, opener: Open = perf_event_open, place: Place | None = None
) -> list[Source]:
    """The events that can be counted, or the reason why there are none."""
    meter = _meter(pmu, cpus, opener)
    if not meter:
        return [Source("perf", False, (), *(place or Place.here()).why_no_counter(HIDDEN, KERNEL))]
    names = [f"{signal.scope} energy" for signal in meter.works]
    meter.close()
    if names:
        return [Source("perf", True, names)]
    refused = [f"{signal.scope} energy" for signal in meter.failures]
    return [Source("perf", False, refused, *_why(meter.refused[0]))]


def _meter(pmu: Path, cpus: Path, opener: Open) -> PerfMeter | None:
    """All events of the PMU, opened as far as possible; None if it has none."""
    try:
        kind = int((pmu / "type").read_text(encoding="utf-8"))
        packages = _number_packages(
            _parse_list((pmu / "cpumask").read_text(encoding="utf-8")), cpus
        )
        events = list(_events(pmu / "events", packages))
    except (OSError, ValueError):
        return None
    return PerfMeter(kind, events, opener) if events else None


def _events(folder: Path, packages: Mapping[int, int]) -> Iterator[Event]:
    """The events of each kind, one for each package of {processor: package}."""
    for name, kind in KINDS.items():
        if not (folder / name).exists():
            continue
        code = re.search(r"event=(0x[0-9a-f]+|\d+)", (folder / name).read_text(encoding="utf-8"))
        joules = float((folder / f"{name}.scale").read_text(encoding="utf-8"))
        if not code:
            continue
        # the board has one counter, which every package shows
        counted = list(packages.items())[: 1 if kind == "psys" else None]
        for cpu, package in counted:
            scope = kind if kind == "psys" else f"{kind}:{package}"
            signal = Signal("perf", scope, "energy", "J")
            counter = Counter(signal, None, TICK_S, QUANTUM_J[kind], None, LIMIT_W[kind])
            yield Event(counter, int(code[1], 0), cpu, joules)


def _number_packages(cpus: Sequence[int], folder: Path) -> dict[int, int]:
    """The package of each processor. If the dies of a package have a counter each, the dies are
    numbered instead."""
    try:
        files = {cpu: folder / f"cpu{cpu}/topology/physical_package_id" for cpu in cpus}
        packages = {cpu: int(file.read_text(encoding="utf-8")) for cpu, file in files.items()}
    except (OSError, ValueError):
        packages = {}
    if len(set(packages.values())) == len(cpus):
        return packages
    return {cpu: number for number, cpu in enumerate(cpus)}


def _parse_list(text: str) -> list[int]:
    """The numbers of a kernel's list like 0,18 or 0-3."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _why(error: Exception) -> tuple[str, str]:
    """Reason and cure of an event that could not be opened."""
    if isinstance(error, PermissionError):  # EACCES and EPERM
        return REFUSED
    message = error.strerror if isinstance(error, OSError) else None
    return f"perf_event_open failed: {message or one_line(error, named=True)}", ""
