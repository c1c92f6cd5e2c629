"""How NVIDIA's driver numbers a GPU. Where the driver is silent, so is this; nothing here
raises."""

from contextlib import suppress

from hwbench.meters.nvml.library import NoAnswer, answer, find, open_library


class DriverView:
    """A GPU, or a MIG slice of one, as NVML sees it, found by the `uuid` that torch has for it,
    without its prefix."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid

    @property
    def index(self) -> int | None:
        """The place of the GPU, of a slice that of its card, in the driver's own list, which
        CUDA_VISIBLE_DEVICES does not change. None if unknown."""
        with suppress(NoAnswer):
            nvml = open_library()
            try:
                return find(nvml, self._uuid)[0]
            finally:
                answer(nvml, nvml.nvmlShutdown)
        return None
