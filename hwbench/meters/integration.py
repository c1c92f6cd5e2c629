"""Joules of a window from a power sensor, each of whose readings is the mean over a time before it.

A reading at t was made up to `update_s` before t, over the `averaging_s` before that. So only
readings at least `averaging_s + update_s` after the window's begin are of the window alone. Their
mean, weighted by time, stands for the whole window: it excludes what the device did before and
after, and is centred on the middle of the window for any lag. In exchange the window's two ends, of
`averaging_s + update_s` each, count only half.
"""

import math

import numpy as np

from hwbench.meters import PowerSensor
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
from hwbench.stats import effective_n

CLOCK_ERROR = 0.005
"""The relative error of a sensor's published period, or of a step against its median: within it the
two may keep the same phase although their figures differ."""

FEW = 3
"""The deviation of n independent averages is multiplied by √(1 + 3 / n): a few smooth averages show
too little of it."""

PHASES = 100
"""The number of parts into which a step's cycle is divided."""

SCATTER = 2
"""n averages at random phases of the step leave gaps of about 1/n, rarely longer than this many
times 1/n. Missing such a gap is a sampling error, not a bias."""


def sensor_answer(
    sensor: PowerSensor,
    readings: Readings,
    step_s: float | None = None,
    highest_w: float | None = None,
) -> Answer:
    """Joules over the window. `highest_w`: the most that the sensor ever showed, also outside this
    window.

    NoAnswer if no reading can be of the window alone, if there are too few of them, or if one is
    implausible.
    """
    window_s, lag_s = readings.window_s, sensor.averaging_s + sensor.update_s
    _require_plausible(sensor, readings.values)
    times_s, powers_w, missing_s = _clean(sensor, readings)
    mean_w = _mean(times_s, powers_w)
    peak_w = float(powers_w.max())
    highest_w = max(peak_w, highest_w or 0.0)
    hidden_s = sensor.update_s if step_s is None else step_s
    share = (sensor.gain or 0.0) + (sensor.error or 0.0)
    # twice the standard deviation of a value uniform within ± quantum/2
    rounding_w = sensor.quantum / math.sqrt(3)
    spread_w = float(powers_w.std()) * math.sqrt(1 + FEW * lag_s / (window_s - lag_s))
    unsampled_w = _unsampled_w(sensor, times_s, powers_w, step_s)
    random_w = math.hypot(_instants_w(times_s, powers_w), unsampled_w)
    ends_j = unseen_j(np.full(2, lag_s / 2), lag_s, mean_w, spread_w, hidden_s)
    systematic_w = math.hypot(_unvisited_w(sensor, times_s, step_s, highest_w), rounding_w)
    return Answer(
        source=sensor,
        window_s=window_s,
        joules=mean_w * window_s,
        peak_w=peak_w,
        random_j=math.hypot(random_w * window_s, missing_s * mean_w),
        systematic_j=math.hypot(systematic_w * window_s, ends_j),
        peak_error_w=share * peak_w + rounding_w,
        share=share,
    )


def _clean(sensor: PowerSensor, readings: Readings) -> tuple[Array, Array, float]:
    """Times and powers of the readings that are of the window alone, and the seconds in which
    readings are missing."""
    first_s, last_s = sensor.averaging_s + sensor.update_s, readings.window_s
    spacing_s = max(sensor.update_s, readings.gap_s)
    clean = readings.times_s >= first_s
    times_s = readings.times_s[clean]
    if len(times_s) < 2 or last_s - first_s < spacing_s:
        raise NoAnswer(f"each reading is the mean of {sensor.averaging_s:g} s: measure longer")
    if readings.values[clean].max() <= 0:
        # a device that is on takes more: the sensor is broken or asleep
        raise NoAnswer("the sensor shows 0 W")
    gaps_s = np.diff(times_s, prepend=first_s, append=last_s)
    missing_s = float(gaps_s[gaps_s > LONG * spacing_s].sum())
    require_coverage(last_s - missing_s, last_s)
    return times_s, readings.values[clean], missing_s


def _require_plausible(sensor: PowerSensor, powers_w: Array) -> None:
    """NoAnswer if a reading is of no such device. One is enough: who shows it may have shown others
    that are wrong and look right."""
    wrong = (powers_w < 0) | (powers_w > sensor.limit_w)
    if wrong.any():
        shown = f"the sensor showed {powers_w[wrong][0]:.3g} W"
        raise NoAnswer(f"{shown}, and this takes 0 to {sensor.limit_w:g} W", implausible=True)


def _mean(times_s: Array, powers_w: Array) -> float:
    """The mean power over time by the trapezoidal rule: a change counts from halfway between two
    readings."""
    lengths_s = np.diff(times_s)
    return float((powers_w[1:] + powers_w[:-1]) / 2 @ lengths_s / lengths_s.sum())


def _instants_w(times_s: Array, powers_w: Array) -> float:
    """The uncertainty from the unknown instant of each change between two readings: uniform, with
    variance length² / 12."""
    lengths_s = np.diff(times_s)
    changes_j = np.linalg.norm(np.diff(powers_w) * lengths_s)
    return 2 * float(changes_j / math.sqrt(12) / lengths_s.sum())


def _unsampled_w(
    sensor: PowerSensor, times_s: Array, powers_w: Array, step_s: float | None
) -> float:
    """The uncertainty from the time between the sensor's averages, which it does not see.

    n averages of deviation s that cover the share f of the window: 2 s √((1 − f) / n), as for a
    sample from a finite population (Cochran 1977, ch. 2). If no step is known, a slow change may be
    the beat of an unknown step with the sensor, of which too little was seen; then n is the number
    of averages that are independent of each other.
    """
    _, last = np.unique(np.floor(times_s / sensor.update_s)[::-1], return_index=True)
    averages_w = powers_w[::-1][last]
    n = len(averages_w)
    unseen = 1 - min(1.0, n * sensor.averaging_s / float(times_s[-1] - times_s[0]))
    if n < 2:
        return float(averages_w[0]) * unseen
    independent = effective_n(averages_w) if step_s is None else n
    return 2 * math.sqrt(float(averages_w.var(ddof=1)) * unseen / independent)


def _unvisited_w(
    sensor: PowerSensor, times_s: Array, step_s: float | None, highest_w: float
) -> float:
    """The largest bias of the mean if the sensor sees some phases of the step more often than
    others, or never.

    That happens if its period is nearly a multiple of the step or of a simple fraction of it. An
    average longer than the step sees every phase, but the phases of the remainder beyond whole
    steps once more than the others.
    """
    spacing_s = max(sensor.update_s, float(np.median(np.diff(times_s))))
    if step_s is None or sensor.averaging_s >= spacing_s:
        return 0.0
    updates = np.unique(np.floor(times_s / sensor.update_s))
    turns = sensor.averaging_s / step_s
    remainder = turns % 1
    length = max(remainder, SCATTER / len(updates))
    by_luck = 1 / math.sqrt(2 * math.pi * len(updates) * length)
    beyond = HEADROOM if turns < 1 else 1
    clocks_s = np.linspace(1 - CLOCK_ERROR, 1 + CLOCK_ERROR, 5) * sensor.update_s
    cycles = [updates * clock_s / step_s for clock_s in clocks_s]
    worst = max(_bias(visits(ends, length), by_luck, beyond) for ends in cycles)
    return worst * remainder / turns * highest_w


def _bias(seen: Array, by_luck: float, beyond: float) -> float:
    """The largest bias of a mean in units of the highest power seen, if each phase is seen `seen`
    times.

    The bias is ∫ (seen − 1) p dφ, at most ½ ∫ |seen − 1| dφ times the range of the power p: from 0
    to the highest for phases that are seen, to `beyond` times that for the others. Random phases
    give `by_luck` of it, √(2 / π) of the standard deviation of the visits; that part is a sampling
    error and is in `_unsampled_w`.
    """
    unvisited = float((seen == 0).mean())
    uneven = float(np.abs(seen - 1).mean()) / 2 - by_luck
    return unvisited * beyond + max(0.0, uneven - unvisited)


def visits(ends: Array, length: float) -> Array:
    """How often each of PHASES phases of a cycle is seen by intervals of `length` cycles with these
    `ends`, scaled to a mean of 1."""
    phases = np.arange(PHASES) / PHASES
    counts = np.floor(ends[:, None] - phases) - np.floor(ends[:, None] - length - phases)
    return np.asarray(counts.sum(axis=0) / (len(ends) * length))
