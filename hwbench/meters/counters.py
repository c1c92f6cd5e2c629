"""Joules of a window from a counter: unwrapped, checked, and read at the counter's ticks instead of
the window's ends.

A window begins and ends between two ticks. What the counter shows at the next tick belongs partly
to the time before or after the window, often of an idle device. So the energy is measured between
the first and the last tick in the window; the rest, less than a tick at either end, is added at the
mean power.
"""

import math

import numpy as np

from hwbench.meters import Counter
from hwbench.meters.uncertainty import (
    HEADROOM,
    LONG,
    Answer,
    Array,
    NoAnswer,
    Readings,
    require_coverage,
    unseen_j,
)

OFTEN = 0.1
"""A tick of at most this share of the gap between readings counts as far shorter than the gap."""


def counter_answer(counter: Counter, readings: Readings, step_s: float | None = None) -> Answer:
    """Joules over the window. NoAnswer if the counter is faulty, may have wrapped unseen, or hardly
    moved."""
    joules = unwrap(counter, readings.times_s, readings.values)
    ticks_s, at_tick, half_s = _ticks(counter, readings, joules)
    seen_s, seen_j = float(ticks_s[-1] - ticks_s[0]), float(at_tick[-1] - at_tick[0])
    require_coverage(seen_s, readings.window_s)
    mean_w, scale = seen_j / seen_s, readings.window_s / seen_s
    if mean_w > counter.limit_w:
        means = f"the counter means {mean_w:.3g} W"
        raise NoAnswer(f"{means}, and this takes 0 to {counter.limit_w:g} W", implausible=True)
    lengths_s = _lengths(counter, readings, ticks_s)
    powers_w = np.diff(at_tick) / lengths_s
    spacing_s = max(counter.tick_s, readings.gap_s)
    ends_s = np.maximum(0, [ticks_s[0], readings.window_s - ticks_s[-1]])
    # the time of each tick is uniform within ± half_s
    timing_j = 2 * mean_w * math.hypot(half_s[0], half_s[-1]) / math.sqrt(3)
    rounding_j = 2 * counter.quantum / math.sqrt(6)  # two readings, each uniform within ± quantum/2
    peak_w = float(powers_w[lengths_s >= spacing_s / 2].max(initial=mean_w))
    # a tick that is late adds its energy to the next interval
    late_w = peak_w * counter.tick_s / spacing_s if counter.tick_s <= readings.gap_s else 0.0
    share = counter.gain or 0.0
    return Answer(
        source=counter,
        window_s=readings.window_s,
        joules=mean_w * readings.window_s,
        peak_w=peak_w,
        random_j=scale * math.hypot(timing_j, rounding_j),
        systematic_j=unseen_j(
            ends_s, spacing_s, mean_w, _spread(powers_w, lengths_s), step_s or math.inf
        ),
        peak_error_w=share * peak_w + rounding_j / spacing_s + late_w,
        share=share,
    )


def unwrap(counter: Counter, times_s: Array, values: Array) -> Array:
    """Joules since the first reading, shape (n,). Each decrease is taken as one wrap.

    NoAnswer if the counter went back, if it jumped further than `limit_w` allows, or if a gap
    between readings is so long that it could have wrapped unseen: at HEADROOM times the mean power
    of the usual gaps, or at `limit_w`.
    """
    gaps_s, steps_j = np.diff(times_s), np.diff(values)
    if counter.wraps_at is None and (steps_j < 0).any():
        raise NoAnswer("the counter went back", implausible=True)
    steps_j = np.where(steps_j < 0, steps_j + (counter.wraps_at or 0.0), steps_j)
    # two ticks can come at once if one is late
    possible_j = counter.limit_w * (gaps_s + 2 * counter.tick_s) + counter.quantum
    wrong = (steps_j < 0) | (steps_j > possible_j)
    if wrong.any():
        went_back = np.diff(values)[wrong][0] < 0
        event = "went back: as a wrap it" if went_back else "jumped: it"
        raise NoAnswer(f"the counter {event} would mean more than {counter.limit_w:g} W", True)
    if counter.wraps_at is not None:
        _require_short_gaps(counter, gaps_s, steps_j, counter.wraps_at)
    return np.concatenate([[0.0], steps_j.cumsum()])


def _require_short_gaps(counter: Counter, gaps_s: Array, steps_j: Array, wraps_at: float) -> None:
    """NoAnswer if the counter could have wrapped unseen in the longest gap."""
    usual = gaps_s <= LONG * np.median(gaps_s)
    seen_w = float(steps_j[usual].sum() / gaps_s[usual].sum())
    possible_w = counter.limit_w
    if usual.sum() > 1 and seen_w > 0:
        possible_w = min(possible_w, HEADROOM * seen_w)
    longest_s = gaps_s.max()
    if longest_s * possible_w >= wraps_at:
        raise NoAnswer(f"readings are missing for {longest_s:.3g} s: a wrap could have been missed")


def _ticks(counter: Counter, readings: Readings, joules: Array) -> tuple[Array, Array, Array]:
    """The ticks seen in the window: their times, the joules after each, and the errors of the times
    (±).

    The tick of a change lies between the previous reading and the one that shows it, and no longer
    ago than one tick. A counter that ticks far more often than it is read has ticked before every
    reading, also before the first.
    """
    times_s = readings.times_s
    changed = np.flatnonzero(np.diff(joules) > 0) + 1
    after_s = np.maximum(times_s[changed - 1], times_s[changed] - counter.tick_s)
    if len(changed) and counter.tick_s <= OFTEN * readings.gap_s and times_s[0] >= 0:
        changed, after_s = np.append(0, changed), np.append(times_s[0] - counter.tick_s, after_s)
    inside = (after_s >= 0) | (changed == 0)
    changed, after_s = changed[inside], after_s[inside]
    if len(changed) < 2:
        moved = "moved once" if len(changed) else "did not move"
        raise NoAnswer(f"the counter {moved} in this window: measure longer")
    return (times_s[changed] + after_s) / 2, joules[changed], (times_s[changed] - after_s) / 2


def _lengths(counter: Counter, readings: Readings, ticks_s: Array) -> Array:
    """Seconds between ticks. If ticks are further apart than readings, multiples of the tick: the
    times of single ticks are too uncertain."""
    lengths_s = np.diff(ticks_s)
    if counter.tick_s <= readings.gap_s:
        return lengths_s
    whole = np.maximum(1, np.round(lengths_s / counter.tick_s))
    return np.asarray(whole * lengths_s.sum() / whole.sum())


def _spread(powers_w: Array, lengths_s: Array) -> float:
    """The standard deviation of the power of single ticks, weighted by time."""
    mean_w = np.average(powers_w, weights=lengths_s)
    return float(np.sqrt(np.average((powers_w - mean_w) ** 2, weights=lengths_s)))
