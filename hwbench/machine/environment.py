"""Facts about the machine and its software, recorded with every run to tell runs apart.

Nothing here names a person or a place: no host name, no user, no path. An unknown fact is None.
"""

import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from hwbench.machine.checks import check
from hwbench.machine.nvidia import collect_gpus
from hwbench.system import cgroups, commands, cpu, files, memory, variables

PACKAGES = ("torch", "triton", "numpy", "pandas", "pyarrow", "matplotlib", "psutil", "nvidia-ml-py")


def collect(device: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a run on the device that `device` describes, with the findings of
    `checks`, ready for JSON."""
    facts = {
        "device": dict(device),
        "cpu": _cpu(),
        "memory_bytes": memory.total_bytes(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "container": _container(),
        "load_average_1min": _or_none(lambda: round(os.getloadavg()[0], 2)),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "nvidia": collect_gpus(),
        "git": _git(),
        "variables": variables.known(),
    }
    return facts | {"checks": [vars(found) for found in check(facts)]}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except (PackageNotFoundError, OSError, AttributeError):  # or its metadata is damaged
        return None


def _cpu() -> dict[str, Any]:
    flags = cpu.flags()
    return {
        **vars(cpu.identify()),
        "architecture": platform.machine() or None,
        "cores": cpu.physical_cores(),
        "logical_cores": psutil.cpu_count(),
        "allowed_cores": cpu.allowed_cores(),
        "governor": files.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_max_mhz": _or_none(lambda: psutil.cpu_freq().max or None),
        "boost": _boost(),
        "smt": files.read("sys/devices/system/cpu/smt/control"),
        "virtual": "hypervisor" in flags if flags else None,
        "vector_extensions": [f for f in flags if f.startswith(("avx", "amx"))] or None,
    }


def _boost() -> str | None:
    """A "1" if clocks may rise above the base clock, else a "0"; None if unknown. Intel's driver
    shows the opposite."""
    no_turbo = files.read("sys/devices/system/cpu/intel_pstate/no_turbo")
    if no_turbo is not None:
        return "0" if no_turbo == "1" else "1"
    return files.read("sys/devices/system/cpu/cpufreq/boost")


def _container() -> dict[str, Any]:
    """The least limits of this process's control groups, as a container, a Slurm step or a systemd
    scope has them; None where there are none. `cpu_quota` is that of cgroups.cpu_quota."""
    limit = cgroups.memory_limit_bytes()
    return {
        "cpu_quota": cgroups.cpu_quota(),
        "memory_limit": None if limit is None else str(limit),
    }


def _git() -> dict[str, Any] | None:
    """The commit of the working folder and whether it has changes; None outside a repository."""
    commit = commands.output("git", "rev-parse", "HEAD")
    if not commit:
        return None
    changes = commands.output("git", "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _or_none(question: Callable[[], Any]) -> Any:
    """The answer; None if the platform has none."""
    try:
        return question()
    except (*cpu.FAILURES, AttributeError):
        return None
