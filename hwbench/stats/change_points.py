"""The positions at which the level of a noisy series changed.

Binary segmentation of the logarithms (Scott & Knott 1974; Vostrikova 1981). Where it finds no
single step it is circular (Olshen, Venkatraman, Lucito & Wigler 2004), for a level that later
returns to what it was, as when a regression is mended. Permutation tests (Antoch & Hušková 2001)
assume no distribution and allow for the search over all positions. Its false alarms and its power
are measured by tests/bench/change_points.py.
"""

import math
from collections.abc import Callable, Mapping
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHORTEST = 3
"""The fewest values of a level: one bad run, or two, are no level."""

LEVEL = 0.01
"""The level of each of the two permutation tests of a series."""

PERMUTATIONS, EARLY = 999, 99
"""The permutations of a test, and those after which it may end early."""

LEAST = 0.02
"""The smallest change that counts by default, as a share."""

FAR = 3.0
"""A value further than so many standard deviations from its neighbours is an outlier."""

TO_SIGMA = 1.4826  # the standard deviation of normal values over their median absolute deviation
SEED = 6


def change_points(values: Array, least: float = LEAST) -> dict[int, float]:
    """Find where the level of positive `values` changed: the first position of each new level, in
    order, with the p-value of the change.

    1. The step that divides the series best, by √(k(n − k)/n)·|difference of the mean logs|, is a
       change if a share of less than LEVEL of the permuted series has one as large anywhere; else
       the stretch inside that differs most from the rest, by the same test. Each part is then
       searched in turn.
    2. Each change is placed and tested again between its neighbours (Bai 1997), since the first
       ones were found with others still inside their sides.
    3. Changes of the median by less than the ratio 1 + `least` are removed, the smallest first.

    The seed is fixed: the same values have the same changes. Ten values or fewer have too few
    orders for a p-value below LEVEL.
    """
    logs = replace_outliers(np.log(values))
    changes = dict.fromkeys(_segment(logs, 0, len(logs)), 1.0)
    while changes := _place_again(logs, changes):
        medians = [float(np.median(logs[start:end])) for start, end in levels(changes, len(logs))]
        steps = [abs(after - before) for before, after in pairwise(medians)]
        if min(steps) >= math.log1p(least):
            break
        del changes[list(changes)[int(np.argmin(steps))]]
    return changes


def levels(changes: Mapping[int, float], n: int) -> list[tuple[int, int]]:
    """The levels between `changes` of `n` values, as (start, end)."""
    return list(pairwise([0, *changes, n]))


def replace_outliers(x: Array) -> Array:
    """Replace each value that is further than FAR standard deviations from the median of itself
    and two neighbours on either side by that median (Hampel 1974).

    One value could outweigh a level. The deviation is a robust one, of the differences of
    neighbours, which levels do not affect. A step of SHORTEST values or more stays.
    """
    if len(x) < SHORTEST:
        return x
    sigma = TO_SIGMA * float(np.median(np.abs(np.diff(x)))) / math.sqrt(2)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, 2, mode="reflect"), 5)
    middle = np.median(windows, axis=1)
    return np.where(np.abs(x - middle) > FAR * sigma, middle, x)


def _segment(x: Array, start: int, end: int) -> list[int]:
    """The positions between `start` and `end` at which levels begin, in order: a step, or the ends
    of a stretch."""
    part = x[start:end]
    n = len(part)
    if n < 2 * SHORTEST or np.ptp(part) < 1e-9:
        return []
    cut, p = _step(part)
    cuts = [cut] if p <= LEVEL else _stretch(part)
    if not cuts:
        return []
    ends = [start, *(start + cut for cut in cuts), end]
    inside = [_segment(x, *part_ends) for part_ends in pairwise(ends)]
    return sorted([*ends[1:-1], *chain.from_iterable(inside)])


def _place_again(x: Array, changes: Mapping[int, float]) -> dict[int, float]:
    """Place and test each change again between its neighbours; those that are not significant are
    dropped."""
    placed = dict(changes)
    for cut in changes:
        del placed[cut]
        start = max((other for other in placed if other < cut), default=0)
        end = min((other for other in placed if other > cut), default=len(x))
        if end - start >= 2 * SHORTEST:
            again, p = _step(x[start:end])
            if p <= LEVEL:
                placed[start + again] = p
    return dict(sorted(placed.items()))


def _step(x: Array) -> tuple[int, float]:
    """The step that divides `x` best, and its p-value."""
    n = len(x)
    k = np.arange(SHORTEST, n - SHORTEST + 1)

    def contrasts(rows: Array) -> Array:
        return _contrast(_sums(rows)[:, k], n, k)

    own = contrasts(x[np.newaxis])[0]
    p = _p(x, float(own.max()), lambda rows: contrasts(rows).max(axis=1))
    return SHORTEST + int(own.argmax()), p


def _stretch(x: Array) -> list[int]:
    """The two ends of the stretch within `x` that differs most from the rest; none if it is not
    significant.

    Only lengths a fifth apart are tried: the exact ends are placed later.
    """
    n = len(x)
    lengths = [SHORTEST]
    while lengths[-1] < n - 2 * SHORTEST:
        lengths.append(max(lengths[-1] + 1, lengths[-1] * 6 // 5))

    def contrasts(rows: Array) -> list[Array]:
        sums = _sums(rows)[:, SHORTEST : n - SHORTEST + 1]
        return [_contrast(sums[:, k:] - sums[:, :-k], n, k) for k in lengths if k < sums.shape[1]]

    def largest(rows: Array) -> Array:
        by_length: Array = np.max([values.max(axis=1) for values in contrasts(rows)], axis=0)
        return by_length

    own = [values[0] for values in contrasts(x[np.newaxis])]
    if not own:
        return []
    best = max(range(len(own)), key=lambda length: own[length].max())
    p = _p(x, float(own[best].max()), largest)
    start = SHORTEST + int(own[best].argmax())
    return [start, start + lengths[best]] if p <= LEVEL else []


def _p(x: Array, contrast: float, largest: Callable[[Array], Array]) -> float:
    """The share of permutations of `x` whose `largest` contrast is as large. Ends early if it will
    exceed LEVEL (Besag & Clifford 1991)."""
    generator = np.random.default_rng(SEED)
    as_large = done = 0
    for size in (EARLY, PERMUTATIONS - EARLY):
        rows = generator.permuted(np.tile(x, (size, 1)), axis=1)
        as_large += int((largest(rows) >= contrast * (1 - 1e-9)).sum())
        done += size
        if 1 + as_large > LEVEL * (1 + PERMUTATIONS):
            break
    return (1 + as_large) / (1 + done)


def _sums(x: Array) -> Array:
    """The sums of the first 0, 1, 2 … values of each row, less its mean."""
    return np.pad((x - x.mean(axis=1, keepdims=True)).cumsum(axis=1), ((0, 0), (1, 0)))


def _contrast(total: Array, n: int, k: NDArray[np.int64] | int) -> Array:
    """|Mean of k values − mean of the other n − k|·√(k(n − k)/n), from their `total` where the mean
    of all is 0."""
    contrast: Array = np.abs(total) * np.sqrt(n / (k * (n - k)))
    return contrast
