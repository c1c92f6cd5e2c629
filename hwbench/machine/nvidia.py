"""What NVIDIA's driver says of each GPU: its limits, clocks and settings. None where it does not
say."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hwbench.meters.nvml.library import Handle, NoAnswer, Nvml, answer, close_library, open_library
from hwbench.meters.nvml.sharing import foreign


def collect_gpus() -> list[dict[str, Any]] | None:
    """The facts of each NVIDIA GPU, by its place in the driver's list; None where there is no
    driver.

    A GPU that has fallen off the bus keeps its place, which checks.py looks up, but only its driver
    is known.
    """
    try:
        nvml = open_library()
    except NoAnswer:
        return None
    try:
        count = answer(nvml, nvml.nvmlDeviceGetCount)
        return [_facts(nvml, index) for index in range(count)]
    except NoAnswer:
        return None
    finally:
        close_library(nvml)


def _facts(nvml: Nvml, index: int) -> dict[str, Any]:
    handle = _answer_or_none(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(index))

    def ask(question: Callable[[Handle], Any]) -> Any:
        return None if handle is None else _answer_or_none(nvml, lambda: question(handle))

    return {
        "name": ask(lambda gpu: nvml.nvmlDeviceGetName(gpu)),
        "driver": _answer_or_none(nvml, lambda: nvml.nvmlSystemGetDriverVersion()),
        "memory_bytes": ask(lambda gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total),
        "power_limit_w": ask(lambda gpu: nvml.nvmlDeviceGetPowerManagementLimit(gpu) / 1000),
        "sm_clock_max_mhz": ask(
            lambda gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM)
        ),
        "sm_clock_application_mhz": ask(
            lambda gpu: nvml.nvmlDeviceGetApplicationsClock(gpu, nvml.NVML_CLOCK_SM)
        ),
        "compute_processes": ask(lambda gpu: _foreign_processes(nvml, gpu)),
        "persistence_mode": ask(lambda gpu: bool(nvml.nvmlDeviceGetPersistenceMode(gpu))),
        "ecc": ask(lambda gpu: bool(nvml.nvmlDeviceGetEccMode(gpu)[0])),
    }


def _foreign_processes(nvml: Nvml, gpu: Handle) -> int:
    """How many processes compute on the GPU besides this one, those that started it and those that
    it started.

    The call has its version in its name: the one without raises no NVMLError where a driver lacks
    it.
    """
    return foreign(process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu))


def _answer_or_none(nvml: Nvml, ask: Callable[[], Any]) -> Any:
    with suppress(NoAnswer):
        return answer(nvml, ask)
    return None
