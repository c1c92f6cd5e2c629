"""Whether the event clock of an accelerator can be trusted: compared with the host's clock on a
known load when the device is opened."""

import math
import time
from collections.abc import Callable

import torch

from hwbench.devices import _torch

CHECK_S = 0.02
"""How long the load is on which the two clocks are compared."""

CHECKS = 5
"""The most comparisons: one that fails may be due to a busy host."""

CHECK_SIZE = 1024
"""The side of the square matrices whose products are the load."""

CLOCK_TOLERANCE = 0.05
"""How much the clocks may differ: to launch and to wait take the host tens of microseconds."""

NewEvent = Callable[[], torch.Event]


def make_load(place: torch.device) -> torch.Tensor:
    """A matrix on the device whose product with itself is the load."""
    return torch.randn(CHECK_SIZE, CHECK_SIZE, device=place)


def find_clock_fault(
    load: torch.Tensor, new_event: NewEvent, synchronize: Callable[[], None]
) -> str | None:
    """Why events of the device that holds `load` cannot time steps, as a note `code: what
    happened`; None if they agree with the host's clock over CHECK_S of matrix products.

    Errors that mean that memory ran out pass through.
    """

    def time_products(count: int) -> tuple[float, float]:
        """Seconds of `count` products in a row, by the host's clock and by the device's events."""
        begin, end = new_event(), new_event()
        synchronize()
        host_begin = time.perf_counter()
        begin.record()
        for _ in range(count):
            load @ load
        end.record()
        synchronize()
        host_s = time.perf_counter() - host_begin
        return host_s, begin.elapsed_time(end) / 1e3

    try:
        time_products(3)  # the first ones load libraries and raise the clocks
        count = max(3, math.ceil(CHECK_S / (time_products(3)[0] / 3)))
        for _ in range(CHECKS):
            host_s, event_s = time_products(count)
            if abs(event_s / host_s - 1) <= CLOCK_TOLERANCE:
                return None
    except (RuntimeError, NotImplementedError) as error:
        if _torch.is_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
        return f"clock_fallback: no event clock ({reason}); timed by the host's clock"
    times = f"{event_s * 1e3:.2f} ms by the device's events, {host_s * 1e3:.2f} ms by the host"
    return f"clock_disagreement: {times}; timed by the host's clock"
