"""Joules of a window from a power sensor, whose every reading is the mean over a time before it.

A reading at t was made up to `update_s` before t, of the `averaging_s` before that. So only readings taken at least
`averaging_s + update_s` after the window's begin are of the window alone, and their mean, by time, is taken for all of
the window. That leaves out what the device did before and after, and is centred on the middle of the window whatever
the lag. What it costs is half the weight of the window's two ends, of `averaging_s + update_s` each.
"""

import math

import numpy as np

from hwbench.meters import PowerSensor
from hwbench.meters.answers import HEADROOM, LONG, Answer, Array, NoAnswer, Readings, check_seen, unseen_j
from hwbench.stats import effective_n

CLOCK_ERROR = 0.005
"""By which share a sensor's period may differ from what is published, or a step from its median: the two may keep the
same phase although their figures say otherwise."""

PHASES = 100
"""Into so many parts a step's cycle is divided."""


def sensor_answer(
    sensor: PowerSensor, readings: Readings, step_s: float | None = None, highest_w: float | None = None
) -> Answer:
    """Joules over the window. `highest_w`: what the sensor ever showed, where that was outside this window.

    NoAnswer if the window is too short for readings of nothing but the window, or too few were taken.
    """
    window_s, lag_s = readings.window_s, sensor.averaging_s + sensor.update_s
    times_s, powers_w, missing_s = _clean(sensor, readings)
    mean_w = _mean(times_s, powers_w)
    peak_w = float(powers_w.max())
    highest_w = max(peak_w, highest_w or 0.0)
    hidden_s = sensor.update_s if step_s is None else step_s
    share = math.hypot(sensor.gain or 0.0, sensor.error or 0.0)
    rounding_w = sensor.quantum / math.sqrt(3)  # twice the deviation of what is uniform within ± quantum/2
    random_w = math.hypot(_instants_w(times_s, powers_w), _unsampled_w(sensor, times_s, powers_w, step_s))
    ends_j = unseen_j(np.full(2, lag_s / 2), lag_s, mean_w, float(powers_w.std()), hidden_s)
    systematic_w = math.hypot(_unvisited_w(sensor, times_s, step_s, highest_w), rounding_w, share * mean_w)
    return Answer(
        source=sensor,
        window_s=window_s,
        joules=mean_w * window_s,
        peak_w=peak_w,
        random_j=math.hypot(random_w * window_s, missing_s * mean_w),
        systematic_j=math.hypot(systematic_w * window_s, ends_j),
        peak_error_w=math.hypot(share * peak_w, rounding_w),
    )


def _clean(sensor: PowerSensor, readings: Readings) -> tuple[Array, Array, float]:
    """Times and powers of the readings that are of the window alone, and for how long there should be more of them."""
    first_s, last_s = sensor.averaging_s + sensor.update_s, readings.window_s
    spacing_s = max(sensor.update_s, readings.gap_s)
    clean = readings.times_s >= first_s
    times_s = readings.times_s[clean]
    if last_s - first_s < spacing_s or len(times_s) < 2:
        raise NoAnswer(f"each reading is the mean of {sensor.averaging_s:g} s: measure longer")
    gaps_s = np.diff(times_s, prepend=first_s, append=last_s)
    missing_s = float(gaps_s[gaps_s > LONG * spacing_s].sum())
    check_seen(last_s - missing_s, last_s)
    return times_s, readings.values[clean], missing_s


def _mean(times_s: Array, powers_w: Array) -> float:
    """By time. A change came halfway between two readings as far as anyone knows, which is the trapezoidal rule."""
    lengths_s = np.diff(times_s)
    return float((powers_w[1:] + powers_w[:-1]) / 2 @ lengths_s / lengths_s.sum())


def _instants_w(times_s: Array, powers_w: Array) -> float:
    """What it matters that a change came at any instant between two readings: uniform, of variance length² / 12."""
    lengths_s = np.diff(times_s)
    return 2 * float(np.linalg.norm(np.diff(powers_w) * lengths_s) / math.sqrt(12) / lengths_s.sum())


def _unsampled_w(sensor: PowerSensor, times_s: Array, powers_w: Array, step_s: float | None) -> float:
    """What the time between the sensor's averages matters, none of which it sees, if the load does as it likes then.

    n averages of deviation s that see the share f of the window: 2 s √((1 − f) / n), as of a sample of a finite
    population (Cochran 1977, 2.12). Where the step is known, what comes and goes with it is `_unvisited_w`'s, and s is
    of neighbours (von Neumann 1941), because a slow change is seen well enough. Where it is not, a slow change may be
    the beat of a step with the sensor, seen for a part of it only: so many averages count as are independent.
    """
    _, last = np.unique(np.floor(times_s / sensor.update_s)[::-1], return_index=True)
    averages_w = powers_w[::-1][last]
    n = len(averages_w)
    unseen = 1 - min(1.0, n * sensor.averaging_s / float(times_s[-1] - times_s[0]))
    if n < 2:
        return float(averages_w[0]) * unseen
    if step_s is None:
        variance = float(averages_w.var(ddof=1)) / effective_n(averages_w)
    else:
        variance = float((np.diff(averages_w) ** 2).mean()) / 2 / n
    return 2 * math.sqrt(variance * unseen)


def _unvisited_w(sensor: PowerSensor, times_s: Array, step_s: float | None, highest_w: float) -> float:
    """By how much the mean may be off because the sensor sees some phases of the step more often than others.

    Where it sees the share w(φ) of its time at the phase φ, the bias is ∫ (w − 1) p dφ, at most ½ ∫ |w − 1| dφ times the
    range of the power p. Phases that it visits are known to be between 0 and `highest_w`; those it never visits, as
    where the period of the sensor is nearly a multiple of the step, may reach HEADROOM times that.
    """
    if step_s is None or sensor.averaging_s >= max(sensor.update_s, float(np.median(np.diff(times_s)))):
        return 0.0
    updates = np.unique(np.floor(times_s / sensor.update_s))
    length = sensor.averaging_s / step_s
    worst = 0.0
    for error in np.linspace(-CLOCK_ERROR, CLOCK_ERROR, 5):
        ends = updates * sensor.update_s * (1 + error) / step_s
        seen = visits(ends, length)
        uneven, unvisited = float(np.abs(seen - 1).mean() / 2), float((seen == 0).mean())
        worst = max(worst, unvisited * HEADROOM + max(0.0, uneven - unvisited))
    return worst * highest_w


def visits(ends: Array, length: float) -> Array:
    """How often each of PHASES phases of a cycle is seen, on average 1, by intervals of `length` cycles with `ends`."""
    phases = np.arange(PHASES) / PHASES
    counts = np.floor(ends[:, None] - phases) - np.floor(ends[:, None] - length - phases)
    return np.asarray(counts.sum(axis=0) / (len(ends) * length))
