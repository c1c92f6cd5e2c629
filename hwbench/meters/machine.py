"""Facts about this machine that several meters of processors need: virtual or not, how busy, where
its sensors are."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hwbench.system import cpu, files

PACKAGE_SENSORS = ("coretemp", "k10temp", "zenpower")


@dataclass(frozen=True)
class Place:
    """Where this process runs. `cpu` is the processor's name, empty if unknown; `cpus` is the
    number of logical processors."""

    linux: bool = True
    virtual: bool = False
    container: bool = False
    cpu: str = ""
    cpus: int = 1
    smt_off: bool = False  # each core runs one thread though it could run two

    @classmethod
    def here(cls, root: Path = Path("/"), platform: str = sys.platform) -> "Place":
        """This machine, from the files under `root`."""
        smt = files.read("sys/devices/system/cpu/smt/control", root)
        has_mark = any((root / file).exists() for file in (".dockerenv", "run/.containerenv"))
        return cls(
            linux=platform.startswith("linux"),
            virtual="hypervisor" in cpu.flags(root),
            container=has_mark or "KUBERNETES_SERVICE_HOST" in os.environ,
            cpu=cpu.identify(root=root).name or "",
            cpus=os.cpu_count() or 1,
            smt_off=smt in ("off", "forceoff"),
        )

    def why_no_counter(self, hidden: str, kernel: str) -> tuple[str, str]:
        """Reason and cure if the processor's counter does not exist here.

        `hidden` is the cure in a container, `kernel` that on a bare machine with Linux.
        """
        if not self.linux:
            return "only Linux shows it", "on macOS use the meter powermetrics, as root"
        if self.virtual:
            return (
                "this is a virtual machine, and hosts normally show guests no energy counter",
                "measure on the bare machine, or take an estimate with `--tdp W`",
            )
        if self.container:
            return "this container does not show it", hidden
        return "the kernel shows no such counter", kernel


@dataclass(frozen=True)
class Processors:
    """Seconds since boot, summed over all processors: in total, with work, and taken away by the
    hypervisor."""

    total_s: float
    busy_s: float
    stolen_s: float


def processors(times: Callable[[], Any] = psutil.cpu_times) -> Processors:
    """The use of all processors up to now. Stolen time is 0 on a platform that does not count
    it."""
    spent = times()
    idle, stolen = spent.idle + getattr(spent, "iowait", 0.0), getattr(spent, "steal", 0.0)
    # a guest's time is in `user` already; a platform may lack some of the fields
    busy = sum(getattr(spent, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
    return Processors(idle + stolen + busy, busy, stolen)


def package_sensors(hwmon: Path) -> list[Path]:
    """The files with the temperature of each processor package, in thousandths of °C. AMD's Tctl
    may have an offset for the fans, so Tdie is preferred."""
    found: list[Path] = []
    for chip in sorted(hwmon.glob("hwmon*")):
        if files.read("name", chip) in PACKAGE_SENSORS:
            found += _sensors_of(chip)
    return found


def _sensors_of(chip: Path) -> list[Path]:
    by_label = {
        files.read(file.name, chip) or "": file for file in sorted(chip.glob("temp*_label"))
    }
    labels = [label for label in by_label if label.startswith("Package id")]
    labels += [label for label in ("Tdie", "Tctl") if label in by_label][:1]
    return [chip / by_label[label].name.replace("label", "input") for label in labels]
