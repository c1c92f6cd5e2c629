"""What this machine is and what it runs: recorded with every run, so that two runs can be told
apart.

Nothing here names a person or a place: no host name, no user, no path. A fact that cannot be had is
None.
"""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from hwbench.machine.checks import check
from hwbench.machine.nvidia import collect_gpus

PACKAGES = ("torch", "triton", "numpy", "pandas", "pyarrow", "matplotlib", "psutil", "nvidia-ml-py")
VARIABLES = (
    "CUDA_",
    "HIP_",
    "ROCR_",
    "OMP_",
    "MKL_",
    "KMP_",
    "GOMP_",
    "ATEN_",
    "ONEDNN_",
    "DNNL_",
    "TORCH",
    "PYTORCH_",
    "NVIDIA_TF32",
    "CUBLAS",
    "CUDNN",
    "HIPBLASLT_",
    "ROCBLAS_",
    "MIOPEN_",
    "ZE_",
    "SYCL_",
    "TRITON_",
    "NCCL_",
    "MALLOC_",
)
"""Prefixes of environment variables that change what torch does."""
NO_VALUES = ("PATH", "HOME", "DIR", "ROOT", "FILE", "TOKEN", "KEY", "CACHE")
"""Variables with such a word in their name say where things lie, or are secret; they stay out."""

CPU_IDENTITY = {"vendor": "vendor_id", "family": "cpu family", "model": "model"}
"""What an x86 processor's architecture is told by, and how /proc/cpuinfo calls it."""


def collect(device: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a run on the device that `device` describes, and what `checks` finds in
    it, ready for JSON."""
    facts = {
        "device": dict(device),
        "cpu": _cpu(),
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "container": _container(),
        "load_average_1min": _or_none(lambda: round(os.getloadavg()[0], 2)),
        "python": platform.python_version(),
        "packages": {
            name: _or_none(partial(version, name), PackageNotFoundError) for name in PACKAGES
        },
        "nvidia": collect_gpus(),
        "git": _git(),
        "variables": {
            k: v
            for k, v in sorted(os.environ.items())
            if k.startswith(VARIABLES) and not _private(k)
        },
    }
    return facts | {"checks": [vars(found) for found in check(facts)]}


def _cpu() -> dict[str, Any]:
    info = _read("/proc/cpuinfo") or ""
    facts = dict(line.split("\t", 1) for line in info.splitlines() if "\t" in line)
    flags = facts.get("flags", "").split()
    return {
        "name": facts.get("model name", platform.processor()).lstrip("\t: "),
        **{
            name: facts[key].lstrip("\t: ") if key in facts else None
            for name, key in CPU_IDENTITY.items()
        },
        "cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_max_mhz": _or_none(lambda: psutil.cpu_freq().max or None),
        "boost": _boost(),
        "smt": _read("/sys/devices/system/cpu/smt/control"),
        "virtual": "hypervisor" in flags if flags else None,
        "vector_extensions": [f for f in flags if f.startswith(("avx", "amx"))] or None,
    }


def _boost() -> str | None:
    """A "1" where clocks may rise above the base clock, else a "0". Intel's driver says it the
    other way round."""
    no_turbo = _read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    if no_turbo is not None:
        return "0" if no_turbo == "1" else "1"
    return _read("/sys/devices/system/cpu/cpufreq/boost")


def _container() -> dict[str, Any]:
    """The limits that a container puts on this process, cgroup v2's and v1's alike; null where none
    can be read.

    `cpu_quota` is the microseconds of processor time in each period of so many microseconds, as in
    cgroup v2's cpu.max.
    """
    v1 = [_read(f"/sys/fs/cgroup/cpu/cpu.cfs_{word}_us") for word in ("quota", "period")]
    return {
        "cpu_quota": _read("/sys/fs/cgroup/cpu.max") or (" ".join(filter(None, v1)) or None),
        "memory_limit": _read("/sys/fs/cgroup/memory.max")
        or _read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    }


def _git() -> dict[str, Any] | None:
    """The commit of the working folder and whether it has changes; None outside a repository."""
    commit = _run("git", "rev-parse", "HEAD")
    if not commit:
        return None
    changes = _run("git", "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _read(file: str) -> str | None:
    try:
        return Path(file).read_text().strip()
    except OSError:
        return None


def _private(name: str) -> bool:
    return any(word in name for word in NO_VALUES)


def _or_none(question: Callable[[], Any], *errors: type[Exception]) -> Any:
    """The answer; None if the platform has none, or if it is one of `errors`."""
    try:
        return question()
    except (OSError, AttributeError, NotImplementedError):
        return None
    except errors:
        return None
