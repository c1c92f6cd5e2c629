"""Round numbers for axes."""

import math

LEAST, MOST = 1e-290, 1e290
"""The ends of the numbers that an axis can show; no machine has others."""

DECADES = 2
"""From so many powers of ten between ratios on, only these are ticks."""

FEW_TIMES = 2.5
"""Up to this factor between the least and the largest ratio the ticks are equally far apart."""


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Return at most `most` + 1 round numbers between two limits: 1, 2 or 5 times a power of ten
    apart; none between limits that no machine has."""
    raw = (high - low) / most
    if not LEAST < raw < MOST:
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") + 0.0 for number in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Return powers of ten between two positive limits, of many every second, third, …; where there
    are fewer than two, also 2 and 5 times a power, or else round numbers."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 1:
        apart = -(-(last - first + 1) // most)
        return [10.0**power for power in range(first, last + 1, apart)]
    numbers = _one_two_five(low, high)
    return numbers if len(numbers) > 1 else [tick for tick in ticks(low, high) if tick > 0]


def ratio_ticks(low: float, high: float) -> list[float]:
    """Return ticks for log10 limits: decades where there are several, else round ratios between
    them."""
    if high - low >= DECADES:
        every = range(math.ceil(low), math.floor(high) + 1)
        apart = -(-len(every) // 4)
        return [10.0**power for power in every if power % apart == 0]
    if high - low > math.log10(FEW_TIMES):
        return _one_two_five(10**low, 10**high)
    return [tick for tick in ticks(10**low, 10**high, 3) if tick > 0] or [1.0]


def _one_two_five(low: float, high: float) -> list[float]:
    """The numbers between two positive limits that are 1, 2 or 5 times a power of ten."""
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    every = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
    return [number for number in every if low <= number <= high]
