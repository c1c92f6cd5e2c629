"""What one source says of one window, whichever kind of source it is, and the doubts that all kinds
share.

Uncertainties are half-widths that hold the truth 19 times in 20, and add as squares (GUM, JCGM
100:2008, 5.1.2); but a source's gain is one unknown number within bounds, not drawn anew, so what
it may matter is added as it is.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import EnergySource
from hwbench.meters.recorder import Trace

Array = NDArray[np.float64]

LONG = 3
"""So many times the usual distance without a reading is no jitter: something was asleep, or a
signal was lost."""

HEADROOM = 4
"""What is busy takes more than a quarter of what it can take: the most that it may have taken
unseen."""

FEWEST_SEEN = 0.5
"""Of less than this share of a window, a source says nothing of the window."""


class NoAnswer(Exception):
    """Why a source does not say what was used."""


@dataclass(frozen=True)
class Answer:
    """Joules over a window and the highest mean power (W) over one tick, or one average, of the
    source.

    `random_j` is drawn anew in each window, `systematic_j` may be the same in all of them, and
    `share` of the value is what gain and model may be off. `source` gave it.
    """

    source: EnergySource
    window_s: float
    joules: float
    peak_w: float
    random_j: float
    systematic_j: float
    peak_error_w: float
    share: float

    @property
    def uncertainty_j(self) -> float:
        return math.hypot(self.random_j, self.systematic_j) + self.share * self.joules


@dataclass(frozen=True)
class Readings:
    """A source's readings in a window and a little around it: seconds since its begin and values,
    both of shape (n,).

    `gap_s` is the usual distance of two readings.
    """

    window_s: float
    times_s: Array
    values: Array
    gap_s: float


def readings_around(
    trace: Trace, source: EnergySource, begin_ns: int, end_ns: int, margin_s: float
) -> Readings:
    """The readings from `margin_s` before the window to its end; NoAnswer if fewer than two lie in
    the window."""
    times_ns, values = trace.series(source.signal)
    times_s, window_s = (times_ns - begin_ns) / 1e9, (end_ns - begin_ns) / 1e9
    kept = (
        (times_s >= -margin_s)
        & (times_s <= window_s)
        & np.isfinite(values)
        & (np.diff(times_s, prepend=-np.inf) > 0)
    )
    times_s, values = times_s[kept], values[kept]
    inside = times_s >= 0
    if inside.sum() < 2:
        raise NoAnswer("fewer than two readings in this window: measure longer")
    return Readings(window_s, times_s, values, float(np.median(np.diff(times_s[inside]))))


def check_seen(seen_s: float, window_s: float) -> None:
    if seen_s < FEWEST_SEEN * window_s:
        raise NoAnswer(f"seen for {seen_s:.2g} s of {window_s:.3g} s: measure longer")


def unseen_j(
    unseen_s: Array, spacing_s: float, mean_w: float, spread_w: float, step_s: float
) -> float:
    """The uncertainty (J) of parts of a window that were not seen, of lengths `unseen_s`, taken at
    the mean power.

    `spread_w` is the standard deviation of the means over `spacing_s`. A part of length u strays
    from the mean by spread · √(spacing · u), as the sum of independent pieces does. Faster than
    that the power may swing unseen, within `step_s`: the energy of a square wave from 0 to any
    height gets ahead of its mean by at most mean · step / 2 at a duty of one half. Of a part that
    is LONG nothing is known: it may have taken nothing, or twice the mean.
    """
    strayed = 2 * spread_w * np.sqrt(spacing_s * unseen_s)
    swung = mean_w * min(step_s, spacing_s) / 2
    each = np.where(unseen_s > LONG * spacing_s, mean_w * unseen_s, np.hypot(strayed, swung))
    return float(np.sqrt((each**2).sum()))
