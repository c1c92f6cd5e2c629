"""What speaks against figures of a window, by what the meters showed in it: slowed clocks, others
on the same GPU."""

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import Signal
from hwbench.meters.recorder import Trace

SHARE = 0.05
"""Of the window's readings; a clock that is slowed for less than that changes little."""

DRIFT = 0.03
"""By how much the clocks of the last quarter of a window may lie below or above those of the
first."""

SLOWED = {
    "throttled": "slowed for heat or by an alarm",
    "power_capped": "at its power limit",
}
"""Signals that are 1 while the device says so, and what that means."""


def conditions(trace: Trace, begin_ns: int, end_ns: int) -> list[str]:
    """Notes, `code: what happened`, for what was seen between the two times; empty where nothing
    tells."""
    notes = []
    for signal in trace.signals:
        times, values = trace.series(signal)
        within = values[(times >= begin_ns) & (times <= end_ns)]
        if signal.quantity == "other_processes" and not len(within):
            # asked once a second: a window may lie between two readings
            within = values[times < begin_ns][-1:]
        if len(within) and (note := _note(signal, within)):
            notes.append(note)
    return notes


def _note(signal: Signal, values: NDArray[np.float64]) -> str:
    if signal.quantity in SLOWED and (share := float(values.mean())) > SHARE:
        return f"{signal.quantity}: {signal.scope} {SLOWED[signal.quantity]} in {share:.0%} of the window"
    if signal.quantity == "other_processes" and values.max() > 0:
        most = round(float(values.max()))
        return f"gpu_shared: {most} other process{'es' if most > 1 else ''} on {signal.scope} during the window"
    if signal.quantity == "sm_clock" and len(values) >= 8:
        quarter = len(values) // 4
        first, last = float(np.median(values[:quarter])), float(np.median(values[-quarter:]))
        change = last / first - 1 if first else 0.0
        if abs(change) > DRIFT:
            return f"clock_drift: {signal.scope}'s clock changed by {change:+.0%} from the first quarter to the last"
    return ""
