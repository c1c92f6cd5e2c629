"""What several meters of processors must know of this machine: where it runs, how busy it is, where
its sensors are."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PACKAGE_SENSORS = ("coretemp", "k10temp", "zenpower")


@dataclass(frozen=True)
class Place:
    """Where this runs. `cpu` is the processor's name, empty where nobody tells it; `cpus` are those
    that show."""

    linux: bool = True
    virtual: bool = False
    container: bool = False
    cpu: str = ""
    cpus: int = 1
    smt_off: bool = False  # each core does the work of one thread though it could do that of two

    @classmethod
    def here(cls, root: Path = Path("/"), platform: str = sys.platform) -> "Place":
        """This machine, as the files under `root` tell."""
        info = _text(root / "proc/cpuinfo")
        facts = {
            key.strip(): value.strip()
            for key, _, value in (line.partition(":") for line in info.splitlines())
        }
        return cls(
            linux=platform.startswith("linux"),
            virtual="hypervisor" in facts.get("flags", "").split(),
            container=any((root / file).exists() for file in (".dockerenv", "run/.containerenv"))
            or "KUBERNETES_SERVICE_HOST" in os.environ,
            cpu=facts.get("model name", ""),
            cpus=os.cpu_count() or 1,
            smt_off=_text(root / "sys/devices/system/cpu/smt/control").strip()
            in ("off", "forceoff"),
        )

    def why_no_counter(self, hidden: str, kernel: str) -> tuple[str, str]:
        """Reason and cure where the processor's counter is not there at all.

        `hidden` is the cure in a container, `kernel` the one on a bare machine with Linux.
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
    """Seconds since boot, summed over all processors: all, those in which anything ran, those the
    host took away."""

    total_s: float
    busy_s: float
    stolen_s: float


def processors(times: Callable[[], Any] = psutil.cpu_times) -> Processors:
    """The use of all processors up to now; a platform that does not count stolen time has none."""
    spent = times()
    idle, stolen = spent.idle + getattr(spent, "iowait", 0.0), getattr(spent, "steal", 0.0)
    # A guest's time is in `user` already; the fields of a platform that lacks one are simply
    # missing.
    busy = sum(getattr(spent, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
    return Processors(idle + stolen + busy, busy, stolen)


def package_sensors(hwmon: Path) -> list[Path]:
    """The files, in thousandths of °C, of each processor package's temperature. AMD's Tctl may have
    an offset for the fans, so Tdie goes before it."""
    found = []
    for chip in sorted(hwmon.glob("hwmon*")):
        with suppress(OSError, ValueError):
            if (chip / "name").read_text().strip() in PACKAGE_SENSORS:
                labels = {
                    file.read_text().strip(): file for file in sorted(chip.glob("temp*_label"))
                }
                ours = [labels[name] for name in labels if name.startswith("Package id")]
                ours += [labels[name] for name in ("Tdie", "Tctl") if name in labels][:1]
                found += [file.with_name(file.name.replace("label", "input")) for file in ours]
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
