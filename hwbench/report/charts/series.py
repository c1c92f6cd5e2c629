"""Long series of numbers made short enough to draw."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def binned(at: Numbers, values: Numbers, bins: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return `values` in order, in `bins` groups as equal in number as can be: where each group
    begins, and its least, median and largest value."""
    groups = np.array_split(values, bins)
    firsts = at[np.cumsum([0, *map(len, groups[:-1])])]
    edges = np.array([(group.min(), np.median(group), group.max()) for group in groups])
    return firsts, edges[:, 0], edges[:, 1], edges[:, 2]


def steps_up_to(values: Numbers, most: int) -> tuple[Numbers, Numbers]:
    """Return the empirical distribution: the values, rising, and the percentage of them at or below
    each.

    At most `most` of its points, evenly spread from the least to the largest, after a first one at
    0 %.
    """
    ordered = np.sort(values)
    spread = np.linspace(0, len(ordered) - 1, min(len(ordered), most))
    picked = np.unique(spread.round().astype(int))
    drawn, shares = ordered[picked], 100 * (picked + 1) / len(ordered)
    return np.concatenate([drawn[:1], drawn]), np.concatenate([[0.0], shares])
