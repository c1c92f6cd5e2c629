"""What NVIDIA's driver says of each GPU: its limits, clocks and settings. None where it does not
say."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from hwbench.meters.nvml.library import (
    NOT_SUPPORTED,
    Handle,
    NoAnswer,
    Nvml,
    answer,
    close_library,
    list_gpus,
    open_library,
    text,
)
from hwbench.meters.nvml.queries import memory_v2
from hwbench.meters.nvml.sharing import foreign


def collect_gpus() -> list[dict[str, Any]] | None:
    """The facts of each NVIDIA GPU, by its place in the driver's list; None where there is no
    driver.

    A GPU that has fallen off the bus keeps its place, which checks.py looks up, but only its driver
    is known. `problem` has the reasons of what is unknown, except for what a GPU does not have.
    """
    try:
        nvml = open_library()
    except NoAnswer:
        return None
    try:
        return [_facts(nvml, index) for index in list_gpus(nvml)]
    except NoAnswer:
        return None
    finally:
        close_library(nvml)


def _foreign_processes(nvml: Nvml, gpu: Handle) -> int:
    """How many processes compute on the GPU besides this one, those that started it and those that
    it started.

    The call has its version in its name: the one without raises no NVMLError where a driver lacks
    it.
    """
    return foreign(process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu))


def _memory_bytes(nvml: Nvml, gpu: Handle) -> int:
    try:
        return answer(nvml, lambda: int(memory_v2(nvml, gpu).total))
    except NoAnswer:  # before driver 510
        return int(nvml.nvmlDeviceGetMemoryInfo(gpu).total)


def _driver(nvml: Nvml) -> str:
    return text(nvml, lambda: nvml.nvmlSystemGetDriverVersion())


FACTS: dict[str, Callable[[Nvml, Handle], Any]] = {
    "name": lambda nvml, gpu: text(nvml, lambda: nvml.nvmlDeviceGetName(gpu)),
    "driver": lambda nvml, gpu: _driver(nvml),
    "memory_bytes": lambda nvml, gpu: _memory_bytes(nvml, gpu),
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementLimit(gpu) / 1000,
    "sm_clock_max_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "sm_clock_application_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetApplicationsClock(
        gpu, nvml.NVML_CLOCK_SM
    ),
    "compute_processes": _foreign_processes,
    "persistence_mode": lambda nvml, gpu: bool(nvml.nvmlDeviceGetPersistenceMode(gpu)),
    "ecc": lambda nvml, gpu: bool(nvml.nvmlDeviceGetEccMode(gpu)[0]),
}
"""The facts of a GPU and how the driver is asked for each."""


def _facts(nvml: Nvml, index: int) -> dict[str, Any]:
    try:
        handle = answer(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    except NoAnswer as lost:
        facts = dict.fromkeys(FACTS) | _ask(nvml, None, ["driver"])[0]
        return facts | {"problem": str(lost)}
    facts, unknown = _ask(nvml, handle, FACTS)
    reasons = [f"no {', '.join(names)}: {why}" for why, names in unknown.items()]
    return facts | ({"problem": "; ".join(reasons)} if reasons else {})


def _ask(
    nvml: Nvml, gpu: Handle, names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The facts of these names, and the names of the unknown ones by the reason why."""
    facts: dict[str, Any] = {}
    unknown: dict[str, list[str]] = {}
    for name in names:
        try:
            facts[name] = answer(nvml, partial(FACTS[name], nvml, gpu))
        except NoAnswer as why:
            facts[name] = None
            if why.code != NOT_SUPPORTED:
                unknown.setdefault(str(why), []).append(name)
    return facts, unknown
