"""Conditions in a window that make its figures doubtful, from the meters: slowed clocks, foreign
processes on the GPU."""

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import Signal
from hwbench.meters.recorder import Trace

SHARE = 0.05
"""The share of the window's readings with slowed clocks that is noted; less has little effect."""

DRIFT = 0.03
"""The change of the median clock from the first to the last quarter of a window that is noted."""

SLOWED = {
    "throttled": "slowed for heat or by an alarm",
    "power_capped": "at its power limit",
}
"""Signals that are 1 while the clocks are slowed, and the reason."""


def conditions(trace: Trace, begin_ns: int, end_ns: int) -> list[str]:
    """Notes, `code: what happened`, on the signals between the two times; empty if there is nothing
    to note."""
    notes = []
    for signal in trace.signals:
        times, values = trace.series(signal)
        within = values[(times >= begin_ns) & (times <= end_ns)]
        if signal.quantity == "other_processes" and not len(within):
            # read once a second: a window may lie between two readings
            within = values[times < begin_ns][-1:]
        if len(within):
            notes += _notes(signal, within)
    return notes


def _notes(signal: Signal, values: NDArray[np.float64]) -> list[str]:
    if signal.quantity in SLOWED:
        return _slowed_notes(signal, float(values.mean()))
    if signal.quantity == "other_processes":
        return _sharing_notes(signal, round(float(values.max())))
    if signal.quantity == "sm_clock":
        return _drift_notes(signal, values)
    return []


def _slowed_notes(signal: Signal, share: float) -> list[str]:
    if share <= SHARE:
        return []
    state = f"{signal.scope} {SLOWED[signal.quantity]}"
    return [f"{signal.quantity}: {state} in {share:.0%} of the window"]


def _sharing_notes(signal: Signal, count: int) -> list[str]:
    if count == 0:
        return []
    processes = f"{count} other process{'es' if count > 1 else ''}"
    return [f"gpu_shared: {processes} on {signal.scope} during the window"]


def _drift_notes(signal: Signal, values: NDArray[np.float64]) -> list[str]:
    quarter = len(values) // 4
    if quarter < 2:
        return []
    first, last = float(np.median(values[:quarter])), float(np.median(values[-quarter:]))
    change = last / first - 1 if first else 0.0
    if abs(change) <= DRIFT:
        return []
    times = "from the first quarter to the last"
    return [f"clock_drift: {signal.scope}'s clock changed by {change:+.0%} {times}"]
