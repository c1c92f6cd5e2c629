"""The questions to an NVIDIA GPU while it works, and the ways to ask them: a table.

Units and meaning of each call: NVIDIA's NVML API reference,
https://docs.nvidia.com/deploy/nvml-api.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hwbench.meters.nvml.library import Handle, NoAnswer, Nvml
from hwbench.meters.nvml.sharing import others

MILLI = 1e-3  # the counter shows mJ, the sensors show mW
MEGA = 1e6  # clocks are shown in MHz
NANO = 1e-9  # violations are shown in ns

Way = Callable[[Nvml, Handle], Sequence[float]]
"""Asks the driver about a GPU. Returns values in the order and the units of its question's
signals."""

EVENTS = {
    # slowdown by the hardware; for heat by the driver or the hardware; power brake
    "throttled": 0x08 | 0x20 | 0x40 | 0x80,
    "power_capped": 0x04,
    "idle": 0x01,
}
"""The bits of NVML's clocks event reasons (nvml.h, nvmlClocksEventReason…). All but idle mean that
clocks are slower than requested. Set clocks, sync boost and display are no faults."""


@dataclass(frozen=True)
class Question:
    """The quantities of an answer with their units, and the ways to ask, the best first.

    `slow`: the driver may take milliseconds, so it is asked less often. `never_zero`: 0 cannot be
    true for a GPU that is on.
    """

    signals: tuple[tuple[str, str], ...]
    ways: tuple[Way, ...]
    slow: bool = False
    never_zero: bool = False


def _single(
    quantity: str, unit: str, *asks: Callable[[Nvml, Handle], float], **traits: bool
) -> Question:
    """A question about one quantity."""
    ways = tuple(lambda nvml, gpu, ask=ask: [float(ask(nvml, gpu))] for ask in asks)
    return Question(((quantity, unit),), ways, **traits)


def _field(nvml: Nvml, gpu: Handle, field: int) -> float:
    answer = nvml.nvmlDeviceGetFieldValues(gpu, [field])[0]
    if answer.nvmlReturn:  # each field has an error of its own
        raise nvml.NVMLError(answer.nvmlReturn)
    return _number(answer.valueType, answer.value)


def _newest_power_sample(nvml: Nvml, gpu: Handle) -> float:
    kind, samples = nvml.nvmlDeviceGetSamples(gpu, nvml.NVML_TOTAL_POWER_SAMPLES, 0)
    if not samples:
        raise nvml.NVMLError(nvml.NVML_ERROR_NO_DATA)
    return _number(kind, max(samples, key=lambda sample: sample.timeStamp).sampleValue)


def _number(kind: int, value: object) -> float:
    """The member of an nvmlValue_t that `kind`, an nvmlValueType_t, names."""
    members = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    if kind not in range(len(members)):
        raise NoAnswer(f"the driver shows it as an unknown kind of number ({kind})")
    return float(getattr(value, members[kind]))


def _violation(nvml: Nvml, gpu: Handle, policy: int) -> float:
    """The seconds since the driver was loaded in which a policy has kept the clocks below those
    requested."""
    return float(nvml.nvmlDeviceGetViolationStatus(gpu, policy).violationTime) * NANO


def _others(nvml: Nvml, gpu: Handle) -> int:
    """The call has its version in its name: the one without raises no NVMLError where a driver
    lacks it."""
    return others(process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu))


def memory_v2(nvml: Nvml, gpu: Handle) -> Any:
    """The memory in bytes, with what the driver reserves apart from what is used."""
    return nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)


def _flags(events: int) -> list[float]:
    return [float(bool(events & bits)) for bits in EVENTS.values()]


ENERGY = _single(
    "energy",
    "J",
    lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) * MILLI,
    never_zero=True,
)
POWER = _single(
    "power",
    "W",
    lambda nvml, gpu: _field(nvml, gpu, nvml.NVML_FI_DEV_POWER_INSTANT) * MILLI,
    lambda nvml, gpu: _newest_power_sample(nvml, gpu) * MILLI,
    lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) * MILLI,
    never_zero=True,
)
INSTANT_POWER = POWER.ways[0]
QUESTIONS = (
    ENERGY,
    POWER,
    _single(
        "sm_clock",
        "Hz",
        lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM) * MEGA,
    ),
    _single(
        "memory_clock",
        "Hz",
        lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM) * MEGA,
    ),
    _single(
        "utilization", "1", lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100
    ),
    _single(
        "memory_used",
        "B",
        lambda nvml, gpu: memory_v2(nvml, gpu).used,
        # before driver 510; counts what the driver reserves for itself, too
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    Question(
        tuple((event, "1") for event in EVENTS),
        (
            lambda nvml, gpu: _flags(nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)),
            # before driver 535
            lambda nvml, gpu: _flags(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)),
        ),
    ),
    _single(
        "temperature",
        "°C",
        lambda nvml, gpu: nvml.nvmlDeviceGetTemperatureV(gpu, nvml.NVML_TEMPERATURE_GPU),
        # gone in CUDA 14
        lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
        slow=True,
    ),
    _single(
        "power_violation",
        "s",
        lambda nvml, gpu: _violation(nvml, gpu, nvml.NVML_PERF_POLICY_POWER),
        slow=True,
    ),
    _single(
        "thermal_violation",
        "s",
        lambda nvml, gpu: _violation(nvml, gpu, nvml.NVML_PERF_POLICY_THERMAL),
        slow=True,
    ),
    _single("other_processes", "1", _others, slow=True),
)
