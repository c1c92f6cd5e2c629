"""Checks for what makes a machine's figures worse or less steady than they could be.

Pure functions of the facts that `environment` collects. An unknown fact raises no check.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwbench.datasheets import peaks
from hwbench.system.cgroups import processors

Severity = Literal["warning", "info"]

BUSY = 0.5
"""A load average above this many per processor means that something else runs. The average includes
what ran in the minute before, such as an earlier run, so the limit is not low."""

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """A finding in one line, and its cure in another. An `info` explains figures and needs no
    cure."""

    code: str
    severity: Severity
    finding: str
    cure: str = ""


def check(environment: Facts) -> list[Check]:
    """The findings about an environment (see environment.collect), processors first."""
    device = environment.get("device") or {}
    found = [
        *_processors(environment.get("cpu") or {}, device),
        *_limits(environment, device),
        *_load(environment),
    ]
    return [*found, *_gpu(_used_gpu(environment, device)), *_partition(environment, device)]


def _processors(cpu: Facts, device: Facts) -> Iterator[Check]:
    governor, cores, logical = cpu.get("governor"), cpu.get("cores"), cpu.get("logical_cores")
    if governor not in (None, "performance"):
        yield Check(
            "governor",
            "warning",
            f"the clock governor is {governor}: clocks follow the load, late",
            "cpupower frequency-set -g performance",
        )
    if cpu.get("boost") == "1":
        yield Check(
            "turbo",
            "warning",
            "turbo is on: clocks depend on heat and on how many cores work",
            "turn it off to compare runs (0 into /sys/devices/system/cpu/cpufreq/boost, "
            "or 1 into intel_pstate/no_turbo)",
        )
    if cpu.get("smt") == "on" or (cores and logical and logical > cores):
        finding = f"SMT is on: {logical} logical processors on {cores} cores"
        threads = device.get("torch_threads")
        if threads and cores and threads > cores:
            finding = f"{finding}, and torch runs {threads} threads on them"
            yield Check("smt", "warning", finding, f"OMP_NUM_THREADS={cores}, or turn SMT off")
        else:
            yield Check("smt", "info", finding)


def _limits(environment: Facts, device: Facts) -> Iterator[Check]:
    container, cpu = environment.get("container") or {}, environment.get("cpu") or {}
    allowed = cpu.get("allowed_cores") or device.get("usable_cores") or cpu.get("logical_cores")
    quota = processors(container.get("cpu_quota"))
    if quota and allowed and quota < allowed:
        yield Check(
            "cpu_quota",
            "warning",
            f"a quota allows {quota:g} of {allowed} processors: "
            "threads beyond that are stopped in mid-work",
            f"OMP_NUM_THREADS={max(1, int(quota))}, or give it whole processors (--cpuset-cpus)",
        )
    limit, memory = str(container.get("memory_limit")), environment.get("memory_bytes")
    if limit.isdigit() and memory and int(limit) < memory:
        sizes = f"{int(limit) / 2**30:.1f} of {memory / 2**30:.1f} GiB"
        yield Check("memory_limit", "info", f"a limit allows {sizes} of memory")


def _load(environment: Facts) -> Iterator[Check]:
    load = environment.get("load_average_1min")
    cores = (environment.get("cpu") or {}).get("logical_cores")
    if load is not None and cores and load > BUSY * cores:
        yield Check(
            "load",
            "warning",
            f"the load average is {load:g} on {cores} processors: "
            "something else runs, or has just ended",
            "stop what else runs, or wait a minute",
        )


def _gpu(gpu: Facts) -> Iterator[Check]:
    clock, highest = gpu.get("sm_clock_application_mhz"), gpu.get("sm_clock_max_mhz")
    if gpu.get("persistence_mode") is False:
        yield Check(
            "persistence_mode",
            "warning",
            "the GPU's persistence mode is off: "
            "its driver starts anew for each process, with low clocks",
            "nvidia-smi -pm 1",
        )
    if clock and highest and clock < highest:
        yield Check(
            "application_clocks",
            "info",
            f"the GPU's application clock is {clock} MHz of at most {highest} MHz",
            "nvidia-smi -rac",
        )
    others = gpu.get("compute_processes") or 0
    if others > 0:
        subject = "other processes compute" if others > 1 else "other process computes"
        yield Check(
            "gpu_processes",
            "warning",
            f"{others} {subject} on the GPU",
            "end it (nvidia-smi lists it), or choose another GPU with --device cuda:N",
        )
    if gpu.get("ecc") is not None:
        yield Check("ecc", "info", f"the GPU's ECC is {'on' if gpu['ecc'] else 'off'}")


def _partition(environment: Facts, device: Facts) -> Iterator[Check]:
    reason = peaks.why_unknown(str(device.get("name", "")), environment)
    if reason:
        yield Check("partition", "info", reason)


def _used_gpu(environment: Facts, device: Facts) -> Facts:
    """The driver's facts about the GPU that is measured; empty if it is not NVIDIA's or not known
    which one it is."""
    gpus, index = environment.get("nvidia") or [], device.get("nvml_index")
    if device.get("kind") != "cuda" or not gpus:
        return {}
    if index is None:
        return dict(gpus[0]) if len(gpus) == 1 else {}
    return dict(gpus[index]) if index < len(gpus) else {}
