"""How NVIDIA's driver numbers a GPU. Where the driver is silent, so is this; nothing here raises."""

from collections.abc import Callable
from functools import cached_property
from typing import Any


class DriverView:
    """One GPU as NVML sees it, found by the `uuid` that torch has for it, without its prefix `GPU-`."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid

    @property
    def index(self) -> int | None:
        """The GPU's place in the driver's own list, which CUDA_VISIBLE_DEVICES does not change. None if unknown."""
        found = self._ask("nvmlDeviceGetIndex")
        return None if found is None else int(found)

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
