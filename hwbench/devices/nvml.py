"""What NVIDIA's driver says of a GPU while it works. Where the driver is silent, so is this; nothing here raises."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

SLOWED = {
    0x04: ("power_capped", "at its power limit"),
    0x08: ("throttled", "slowed by the hardware"),
    0x20: ("throttled", "too hot, slowed by the driver"),
    0x40: ("throttled", "too hot, slowed by the hardware"),
    0x80: ("throttled", "slowed by an alarm of the power supply"),
}
"""The bits of NVML's clocks event reasons (nvml.h, nvmlClocksEventReason…) that mean slower clocks than asked for."""


class DriverView:
    """One GPU as NVML sees it, found by the `uuid` that torch has for it, without its prefix `GPU-`."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid

    @property
    def index(self) -> int | None:
        """The GPU's place in the driver's own list, which CUDA_VISIBLE_DEVICES does not change. None if unknown."""
        found = self._ask("nvmlDeviceGetIndex")
        return None if found is None else int(found)

    def conditions(self) -> list[str]:
        """As `Device.conditions`: slowed clocks, and other processes that compute on it."""
        mask = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if mask is None:  # a driver from before 535 has the older name alone
            mask = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        found: dict[str, list[str]] = {}
        for bit, (code, words) in SLOWED.items():
            if mask & bit:
                found.setdefault(code, []).append(words)
        notes = [f"{code}: {', '.join(words)} at the end of a window" for code, words in found.items()]
        others = len(self._ask("nvmlDeviceGetComputeRunningProcesses") or ()) - 1
        if others > 0:  # one is this one, whose number in a container is not the driver's
            notes.append(f"gpu_shared: {others} other process{'es' if others > 1 else ''} on it at the end of a window")
        return notes

    @cached_property
    def _found(self) -> tuple[Any, Any] | None:
        """NVML and its handle of the GPU; None where there is no such driver or no such GPU."""
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{self._uuid}")
        except pynvml.NVMLError:
            return None

    def _ask(self, question: str) -> Any:
        """The driver's answer; None where it has none."""
        if not self._found:
            return None
        nvml, handle = self._found
        try:
            ask: Callable[[Any], Any] = getattr(nvml, question)
            return ask(handle)
        except (AttributeError, nvml.NVMLError):
            return None
