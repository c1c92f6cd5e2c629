"""The answer of any source of energy for a window, and the uncertainties that all kinds share.

Uncertainties are half-widths with 95 % coverage and add as squares (GUM, JCGM 100:2008, 5.1.2). The
gain of a source is one unknown number within bounds, the same every time, so its effect is added
linearly.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwbench.meters import EnergySource
from hwbench.meters.recorder import Trace

Array = NDArray[np.float64]

LONG = 3
"""A gap this many times the usual one is no jitter: something was asleep, or readings were lost."""

HEADROOM = 4
"""How many times the power seen an unseen power may be: a busy device takes more than a quarter of
its maximum."""

FEWEST_SEEN = 0.5
"""The smallest share of a window that a source must have seen."""


class NoAnswer(Exception):
    """Why a source has no energy for a window. `implausible`: it showed what cannot be."""

    def __init__(self, reason: str, implausible: bool = False) -> None:
        super().__init__(reason)
        self.implausible = implausible


@dataclass(frozen=True)
class Answer:
    """The joules of a window from `source`, and the highest mean power (W) over one tick or one
    average of the source.

    `random_j` is an independent error in each window, `systematic_j` may be the same in all;
    `share` is the relative error of gain and model.
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
    """A source's readings in a window and shortly before it: seconds since its begin and values,
    both of shape (n,).

    `gap_s` is the median gap between two readings.
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
    is_near = (times_s >= -margin_s) & (times_s <= window_s)
    is_usable = np.isfinite(values) & (np.diff(times_s, prepend=-np.inf) > 0)
    times_s, values = times_s[is_near & is_usable], values[is_near & is_usable]
    inside = times_s >= 0
    if inside.sum() < 2:
        raise NoAnswer("fewer than two readings in this window: measure longer")
    return Readings(window_s, times_s, values, float(np.median(np.diff(times_s[inside]))))


def require_coverage(seen_s: float, window_s: float) -> None:
    """NoAnswer if a source has seen less than FEWEST_SEEN of a window."""
    if seen_s < FEWEST_SEEN * window_s:
        raise NoAnswer(f"seen for {seen_s:.2g} s of {window_s:.3g} s: measure longer")


def unseen_j(
    unseen_s: Array, spacing_s: float, mean_w: float, spread_w: float, step_s: float
) -> float:
    """The uncertainty (J) of unseen parts of a window, of lengths `unseen_s`, that are counted at
    the mean power.

    `spread_w` is the standard deviation of the means over `spacing_s`. A part of length u deviates
    from the mean by spread · √(spacing · u), as a sum of independent pieces does. Within `step_s`
    the power may swing faster, unseen: the energy of a square wave from 0 to any height exceeds
    that of its mean by at most mean · step / 2, at a duty of one half. Nothing is known of a part
    that is LONG: it may have taken nothing, or twice the mean.
    """
    deviation_j = 2 * spread_w * np.sqrt(spacing_s * unseen_s)
    swing_j = mean_w * min(step_s, spacing_s) / 2
    is_long = unseen_s > LONG * spacing_s
    each = np.where(is_long, mean_w * unseen_s, np.hypot(deviation_j, swing_j))
    return float(np.sqrt((each**2).sum()))
