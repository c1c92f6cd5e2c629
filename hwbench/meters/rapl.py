"""Energy of processors and their memory from RAPL, as Linux shows it in the powercap folder.

Intel and AMD share the driver. A zone `intel-rapl:N` is a package, `intel-rapl:N:M` a part of it:
`dram` is outside its package and a source of its own; `core` and `uncore` are inside and would
count twice. `psys` is the whole board with its packages, so it is never added to them.
`intel-rapl-mmio:N` is the same counter read in another way. Source:
docs.kernel.org/power/powercap/powercap.html; Intel SDM vol. 3B, "Platform Specific Power Management
Support". Neither vendor states an error, so `gain` is None.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hwbench.meters import Counter, EnergySource, Signal, Source, read_all
from hwbench.meters.machine import Place

TICK_S = 0.001
"""The counters are updated about once a millisecond (Intel SDM, as above; the kernel's
amd_energy)."""

QUANTUM_J = {"package": 1e-4, "dram": 1e-4, "psys": 1.0}
"""The smallest steps. Units are 61 µJ or 15.3 µJ; for psys whole joules are assumed, the unit on
Sapphire Rapids (see psys_domain_energy_unit in the kernel's intel_rapl_common)."""

LIMIT_W = {"package": 2000.0, "dram": 1000.0, "psys": 20000.0}
"""More than any takes."""

TRANSIENT = 10.0
"""How many times the largest of its sustained limits (max_power_uw) a zone may take: a 15 W
processor has 64 W for half a minute, and more for milliseconds."""

MIRROR_J = 1.0
"""Two zones that differ by no more show one counter, read at two moments. It counts to 65 kJ, so
counters of their own are as close once in ten thousand times."""

CONSTRAINTS = 3
"""Long term, short term and peak power."""

PERMISSION = (
    "permission denied: since CVE-2020-8694 only root may read energy_uj",
    "on the host, for now `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj`; for good "
    'the udev rule `ACTION=="add", SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", '
    'RUN+="/bin/chmod a+r /sys%p/energy_uj"` in /etc/udev/rules.d/70-rapl.rules',
)
# Docker covers /sys/devices/virtual/powercap, the target of the links, with an empty folder,
# however it is mounted.
HIDDEN = (
    "start it with `-v /sys/devices/virtual/powercap/intel-rapl:/powercap:ro "
    "-e HWBENCH_POWERCAP=/powercap` (the links in a mount of /sys/class/powercap lead nowhere), "
    "as root or with the files readable on the host"
)
KERNEL = "`sudo modprobe intel_rapl_msr` (Intel since Sandy Bridge, AMD since Zen with Linux 5.11)"

Read = Callable[[Path], str]


@dataclass(frozen=True)
class Zone:
    counter: Counter
    file: Path  # in µJ


def text_of(file: Path) -> str:
    """The text of a small file, with three system calls: Path.read_text takes five times as
    long."""
    handle = os.open(file, os.O_RDONLY)
    try:
        return os.read(handle, 256).decode(errors="replace")
    finally:
        os.close(handle)


class RaplMeter:
    """Shows the joules of the counters, which are not unwrapped."""

    name = "rapl"

    def __init__(self, zones: Sequence[Zone], read: Read = text_of) -> None:
        self.energy: Sequence[EnergySource] = [zone.counter for zone in zones]
        self.failures: dict[Signal, str] = {}
        self._zones, self._read = zones, read

    def read(self) -> Iterator[Mapping[Signal, float]]:
        for zone in self._zones:
            try:
                joules = _joules(self._read(zone.file))
            except (OSError, ValueError) as error:
                self.failures[zone.counter.signal] = "; ".join(filter(None, _why(zone.file, error)))
                yield {}
            else:
                yield {zone.counter.signal: joules}

    def close(self) -> None:
        self._zones = []


def open_meter(folder: Path | None = None, read: Read = text_of) -> RaplMeter | None:
    """The meter on `folder`; None if no counter can be read. `sources` says why."""
    meter = RaplMeter(zones(folder or powercap(), read), read)
    return meter if read_all(meter) else None


def sources(
    folder: Path | None = None, place: Place | None = None, read: Read = text_of
) -> list[Source]:
    """The counters that can be read, and those that cannot, by reason."""
    names: dict[tuple[str, str], list[str]] = {}
    for zone in zones(folder or powercap(), read):
        names.setdefault(_trouble(zone, read), []).append(f"{zone.counter.signal.scope} energy")
    if not names:
        return [Source("rapl", False, (), *(place or Place.here()).why_no_counter(HIDDEN, KERNEL))]
    return [Source("rapl", not why[0], shown, *why) for why, shown in names.items()]


def powercap() -> Path:
    """The folder of the zones: the system's, or the one in the environment variable
    HWBENCH_POWERCAP."""
    return Path(os.environ.get("HWBENCH_POWERCAP") or "/sys/class/powercap")


def zones(folder: Path, read: Read = text_of) -> list[Zone]:
    """The sources of energy in `folder`: packages with their memory first, then the board."""
    named = {top: _name(top, read) for top in _zones_in(folder, "intel-rapl")}
    tops = _without_mirrors(named, read)
    found = []
    for top, number in _number_packages(tops).items():
        found.append(_zone(top, "package", number, read))
        for part in _zones_in(top, top.name):
            if _name(part, read) == "dram":
                found.append(_zone(part, "dram", number, read))
    return found + [_zone(top, "psys", None, read) for top, name in tops.items() if name == "psys"]


def _without_mirrors(tops: Mapping[Path, str], read: Read) -> dict[Path, str]:
    """The zones without the dies of a package that show the counter of an earlier one: AMD's Zen 1
    and 2 have one counter a package, and a zone for each die (mlco2/codecarbon issue 1274)."""
    kept: dict[Path, str] = {}
    shown: dict[str, list[float]] = {}
    for top, name in tops.items():
        package, is_die, _ = name.partition("-die-")
        with suppress(OSError, ValueError):
            joules = _joules(read(top / "energy_uj"))
            others = shown.setdefault(package, [])
            if is_die and joules and any(abs(joules - other) <= MIRROR_J for other in others):
                continue
            others.append(joules)
        kept[top] = name
    return kept


def _zones_in(folder: Path, prefix: str) -> list[Path]:
    pattern = re.compile(re.escape(prefix) + r":\d+")
    found = [zone for zone in folder.glob(f"{prefix}:*") if pattern.fullmatch(zone.name)]
    return sorted(found, key=lambda zone: int(zone.name.rpartition(":")[2]))


def _number_packages(tops: Mapping[Path, str]) -> dict[Path, int]:
    """The packages with the numbers in their names. If each die has a counter, the dies are
    numbered instead."""
    names = {top: re.fullmatch(r"package-(\d+)(-die-\d+)?", name) for top, name in tops.items()}
    numbers = {top: int(match[1]) for top, match in names.items() if match}
    if len(set(numbers.values())) == len(numbers):
        return numbers
    return {top: number for number, top in enumerate(numbers)}


def _zone(folder: Path, kind: str, number: int | None, read: Read) -> Zone:
    scope = kind if number is None else f"{kind}:{number}"
    signal = Signal("rapl", scope, "energy", "J")
    try:
        wraps_at = _joules(read(folder / "max_energy_range_uj")) or None
    except (OSError, ValueError):
        wraps_at = None
    limit_w = min(LIMIT_W[kind], TRANSIENT * (_largest_limit_w(folder, read) or math.inf))
    counter = Counter(signal, wraps_at, TICK_S, QUANTUM_J[kind], None, limit_w)
    return Zone(counter, folder / "energy_uj")


def _largest_limit_w(zone: Path, read: Read) -> float:
    """The largest constraint that the zone states for its power; 0 if there is none, as on AMD."""
    limits = [0.0]
    for constraint in range(CONSTRAINTS):
        with suppress(OSError, ValueError):
            limits.append(_joules(read(zone / f"constraint_{constraint}_max_power_uw")))
    return max(limits)


def _name(zone: Path, read: Read) -> str:
    """The zone's name; empty if it cannot be read, as behind a link that leads nowhere."""
    try:
        return read(zone / "name").strip()
    except (OSError, ValueError):
        return ""


def _joules(text: str) -> float:
    microjoules = int(text)
    if microjoules < 0:
        raise ValueError(f"a negative energy: {microjoules}")
    return microjoules / 1e6


def _trouble(zone: Zone, read: Read) -> tuple[str, str]:
    """Why the zone cannot be read and the cure; both empty if it can."""
    try:
        _joules(read(zone.file))
    except (OSError, ValueError) as error:
        return _why(zone.file, error)
    return "", ""


def _why(file: Path, error: Exception) -> tuple[str, str]:
    place = f"{file.parent.name}/{file.name}"
    if isinstance(error, PermissionError):
        return PERMISSION
    if isinstance(error, FileNotFoundError):
        return f"{place} is not there", KERNEL
    if isinstance(error, OSError):
        return f"{place} cannot be read: {error.strerror or error}", ""
    return f"{place} does not hold a number of microjoules", ""
