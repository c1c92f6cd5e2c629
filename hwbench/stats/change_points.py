"""Where the level of a noisy series changed: an array in, positions out.

Binary segmentation of the logarithms (Scott & Knott 1974; Vostrikova 1981), circular where no
single step is to be seen (Olshen, Venkatraman, Lucito & Wigler 2004): a level may end as it began,
as when a regression is mended. Permutation tests (Antoch & Hušková 2001) assume no distribution and
allow for the search over all places. How often this cries wolf, and what it finds, is measured by
tests/bench/change_points.py.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHORTEST = 3
"""Values that make a level: one bad run, or two, are none."""

LEVEL = 0.01
"""Of each of the two permutation tests that a series without any change is put to."""

PERMUTATIONS, EARLY = 999, 99
"""Of the test, and of a first look."""

LEAST = 0.02
"""The smallest change that counts, as a share, where nothing is said."""

FAR = 3.0
"""Standard deviations from its neighbours beyond which a value counts only as if it were that
far."""

TO_SIGMA = 1.4826  # the standard deviation of normal values over their median absolute deviation
SEED = 6


def change_points(values: Array, least: float = LEAST) -> dict[int, float]:
    """The first position of each new level of positive `values`, in order, with the p-value of the
    change.

    The step that divides the series best, by √(k(n − k)/n)·|difference of the mean logs|, is taken
    if fewer than LEVEL of the permuted series have one as large anywhere; else the stretch inside
    that differs the most from the rest, by the same test; then each part is searched in turn. Each
    change is placed and tested once more between its neighbours (Bai 1997), since the first were
    found with others still inside their sides. Of what is left, changes of the median by less than
    the ratio 1 + `least` are taken out, the smallest first. The seed is fixed: the same values have
    the same changes. Ten values or fewer have too few orders for any to be as rare as LEVEL.
    """
    logs = without_outliers(np.log(values))
    found = dict.fromkeys(_segmented(logs, 0, len(logs)), 1.0)
    while found := _settled(logs, found):
        medians = [float(np.median(logs[start:end])) for start, end in levels(found, len(logs))]
        steps = [abs(after - before) for before, after in pairwise(medians)]
        if min(steps) >= math.log1p(least):
            break
        del found[list(found)[int(np.argmin(steps))]]
    return found


def levels(changes: Mapping[int, float], n: int) -> list[tuple[int, int]]:
    """The levels that `change_points` of `n` values leave, as (start, end)."""
    return list(pairwise([0, *changes, n]))


def without_outliers(x: Array) -> Array:
    """`x` with every value that is further than FAR standard deviations from the median of itself
    and two neighbours on either side replaced by that median (Hampel 1974), since one value can
    outweigh a level. The deviation is a robust one, of the differences of neighbours, in which
    levels do not count. A step of SHORTEST values or more stays."""
    if len(x) < SHORTEST:
        return x
    sigma = TO_SIGMA * float(np.median(np.abs(np.diff(x)))) / math.sqrt(2)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, 2, mode="reflect"), 5)
    middle = np.median(windows, axis=1)
    return np.where(np.abs(x - middle) > FAR * sigma, middle, x)


def _segmented(x: Array, start: int, end: int) -> list[int]:
    """Where levels begin between two positions, in order: at a step, or else at the ends of a
    stretch."""
    part = x[start:end]
    n = len(part)
    if n < 2 * SHORTEST or np.ptp(part) < 1e-9:
        return []
    cut, p = _step(part)
    cuts = [cut] if p <= LEVEL else _stretch(part)
    ends = [start, *(start + cut for cut in cuts), end]
    inside = [cut for between in pairwise(ends) for cut in _segmented(x, *between)] if cuts else []
    return sorted([*ends[1:-1], *inside])


def _settled(x: Array, found: Mapping[int, float]) -> dict[int, float]:
    """Each change placed and tested anew between its neighbours; those that do not hold are
    gone."""
    settled = dict(found)
    for cut in found:
        del settled[cut]
        start = max((other for other in settled if other < cut), default=0)
        end = min((other for other in settled if other > cut), default=len(x))
        if end - start >= 2 * SHORTEST:
            again, p = _step(x[start:end])
            if p <= LEVEL:
                settled[start + again] = p
    return dict(sorted(settled.items()))


def _step(x: Array) -> tuple[int, float]:
    """The step that divides `x` best, and its p-value."""
    n = len(x)
    k = np.arange(SHORTEST, n - SHORTEST + 1)

    def contrasts(rows: Array) -> Array:
        return _contrast(_sums(rows)[:, k], n, k)

    own = contrasts(x[np.newaxis])[0]
    return SHORTEST + int(own.argmax()), _p(
        x, float(own.max()), lambda rows: contrasts(rows).max(axis=1)
    )


def _stretch(x: Array) -> list[int]:
    """The two ends of the stretch, reaching to neither end of `x`, that differs most from the rest;
    none if by chance.

    Its length is one of some, a fifth apart: where exactly it ends is settled later.
    """
    n = len(x)
    lengths = [SHORTEST]
    while lengths[-1] < n - 2 * SHORTEST:
        lengths.append(max(lengths[-1] + 1, lengths[-1] * 6 // 5))

    def contrasts(rows: Array) -> list[Array]:
        sums = _sums(rows)[:, SHORTEST : n - SHORTEST + 1]
        return [_contrast(sums[:, k:] - sums[:, :-k], n, k) for k in lengths if k < sums.shape[1]]

    own = [found[0] for found in contrasts(x[np.newaxis])]
    if not own:
        return []
    best = max(range(len(own)), key=lambda which: own[which].max())
    p = _p(
        x,
        float(own[best].max()),
        lambda rows: np.max([found.max(axis=1) for found in contrasts(rows)], axis=0),
    )
    start = SHORTEST + int(own[best].argmax())
    return [start, start + lengths[best]] if p <= LEVEL else []


def _p(x: Array, contrast: float, largest: Callable[[Array], Array]) -> float:
    """The share of permutations of `x` whose `largest` contrast is as large. Ends early where it
    will exceed LEVEL (Besag & Clifford 1991)."""
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
    """The sums of the first 0, 1, 2 … of each row, its mean taken away."""
    return np.pad((x - x.mean(axis=1, keepdims=True)).cumsum(axis=1), ((0, 0), (1, 0)))


def _contrast(total: Array, n: int, k: NDArray[np.int64] | int) -> Array:
    """|Mean of k values − mean of the other n − k|·√(k(n − k)/n), from their `total` where the mean
    of all is 0."""
    contrast: Array = np.abs(total) * np.sqrt(n / (k * (n - k)))
    return contrast
