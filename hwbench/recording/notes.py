"""The notes on one measured process: `code: what happened`, for figures that need a caution.

Each function returns one note or none. What a code means for the validity of a result says
`analysis/metrics/validity`.
"""

import math
from collections.abc import Sequence

from hwbench.formats import Rates, is_emulated, slowness
from hwbench.recording.stopping import is_steady, late_change
from hwbench.records import Policy, Window

CLOCK_SHARE, CLOCK_S = 0.05, 0.05
"""How far a window may be from the sum of its steps: such a share of it, and what a busy host may
take to wake up."""


def emulated_dtype(dtype: str, rates: Rates) -> list[str]:
    """Where the device only emulates the format that was measured."""
    return [f"emulated_dtype: {slowness(dtype, rates)}"] if is_emulated(dtype, rates) else []


def clock_jump(window: Window) -> list[str]:
    """Where the steps by the device's events do not add up to the window by the host's clock."""
    events_s = sum(window.timed_s)
    tolerance_s = CLOCK_SHARE * window.window_s + CLOCK_S
    if window.timer_kind != "device_event" or abs(events_s - window.window_s) <= tolerance_s:
        return []
    times = f"{events_s:.3g} s by the device's events, to {window.window_s:.3g} s by the host"
    return [f"clock_jump: the steps add up to {times}"]


def cut_short(window: Window, policy: Policy) -> list[str]:
    """Where the time limit has ended the window."""
    if not window.cut_short:
        return []
    steps = f"{window.timed_steps} step{'s' if window.timed_steps > 1 else ''}"
    done = f"{steps} of {window.window_s:.3g} s"
    return [f"cut_short: ended after {done}: the limit is {policy.timeout_s:g} s"]


def no_steady_state(step_s: Sequence[float], precision: float) -> list[str]:
    """Where the steps of the window still change as it ends."""
    if is_steady(step_s, precision) is not False:
        return []
    change, _ = late_change(step_s)
    where = "above" if change > 0 else "below"
    share = f"{abs(change):.1%} {where} the first half's"
    return [f"no_steady_state: the last quarter's median step is {share}"]


def loss_not_finite(loss: float | None) -> list[str]:
    """Where the last step's loss is no number."""
    if loss is None or math.isfinite(loss):
        return []
    return [f"loss_not_finite: the last step returned {loss}"]
