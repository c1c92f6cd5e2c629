"""Statistics of a series of samples: autocorrelation, variation, outliers, steady state."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

# its functions alone: scipy.stats takes a second to import, in every process
from scipy import special

Array = NDArray[np.float64]
Numbers = Sequence[float] | Array

TERMS = 200
"""Of a sum whose terms fall as m^(−5/2)."""

LONG = 50_000
"""A series of more samples has its autocorrelation by Fourier transform."""


def lag1(samples: Numbers) -> float:
    """The lag-1 autocorrelation, corrected for its small-sample bias −(1 + 4ρ)/n (Kendall 1954);
    NaN where nothing varies."""
    x = finite(samples)
    n = len(x)
    if n < 3 or not varies(x):
        return math.nan
    d = x - x.mean()
    total = float(d @ d)
    if not total:  # squares too small for a float
        return math.nan
    r = float(d[:-1] @ d[1:]) / total
    return min(1.0, (n * r + 1) / (n - 4)) if n > 4 else r


def effective_n(samples: Numbers) -> float:
    """The number of independent samples with as much information: n(1 − ρ)/(1 + ρ) for a
    first-order process, at most n."""
    n, rho = len(finite(samples)), lag1(samples)
    if not rho > 0:  # also where nothing varies
        return float(n)
    return max(1.0, n * (1 - rho) / (1 + rho))


def variation(samples: Numbers) -> float:
    """The coefficient of variation, standard deviation over mean; NaN for fewer than two samples or
    a mean of 0."""
    x = finite(samples)
    return float(x.std(ddof=1) / x.mean()) if len(x) > 1 and x.mean() else math.nan


def outliers(samples: Numbers) -> int:
    """The number of samples outside Tukey's fences, 1.5 interquartile ranges beyond the
    quartiles."""
    x = finite(samples)
    if not varies(x):
        return 0
    low, high = np.quantile(x, [0.25, 0.75])
    reach = 1.5 * (high - low)
    return int(((x < low - reach) | (x > high + reach)).sum())


def steady_from(samples: Numbers) -> int | None:
    """The first step of the steady state by MSER (White 1997): cutting there leaves the smallest
    standard error.

    Only the first half is searched, since the error of a few last steps means little. None if
    cutting more would still help at its end: the series did not settle, or is too short to tell.
    """
    x = finite(samples)
    n, half = len(x), len(x) // 2
    if n < 4:
        return None
    left = np.arange(n, 0, -1)  # samples left if the first 0, 1, 2 … are cut
    x = x - x.mean()
    sums, squares = x[::-1].cumsum()[::-1], (x**2)[::-1].cumsum()[::-1]
    errors = np.maximum(squares - sums**2 / left, 0) / left.astype(np.float64) ** 2
    cut = int(errors[: half + 1].argmin())
    return cut if cut < 0.9 * half else None


def effective_n_below(x: Array, value: float) -> float:
    """As `effective_n`, for the share of samples at or below `value`: n over the sum of the
    autocorrelations of the series "is at or below `value`", truncated by Geyer's initial positive
    sequence (1992)."""
    below = (x <= value).astype(np.float64)
    d = below - below.mean()
    n, total = len(d), float(d @ d)
    if n < 4 or not varies(x) or total == 0:
        return float(n)
    time, products = -1.0, _lagged_products(d)
    for lag in range(0, n // 2, 2):
        pair = (products(lag) + products(lag + 1)) / total
        if pair <= 0:
            break
        time += 2 * pair
    return n / max(time, 1.0)


def _lagged_products(d: Array) -> Callable[[int], float]:
    """The sum of products of the series with itself `lag` later, as a function of `lag`.

    A long series has them all computed at once, by the Wiener-Khinchin theorem: one by one they
    took half a minute for a million steps.
    """
    n = len(d)
    if n <= LONG:
        return lambda lag: float(d[: n - lag] @ d[lag:])
    spectrum = np.fft.rfft(d, 2 * n)
    products = np.fft.irfft(np.square(np.abs(spectrum)), 2 * n)
    return lambda lag: float(products[lag])


def inflation(rho: float, q: float) -> float:
    """By how much autocorrelation increases the variance of the share of samples below the
    q-quantile, for normal samples of a first-order process with lag-1 autocorrelation `rho`.

    It is the sum of the autocorrelations of the series "is below the quantile", in closed form by
    Mehler's expansion in Hermite polynomials. It complements `effective_n_below`, as a short series
    shows too little of its own autocorrelation.
    """
    if not rho > 0:  # also where nothing varies
        return 1.0
    z, rho = float(special.ndtri(q)), min(rho, 0.999)
    h = [1.0, z]  # the polynomials over √m!
    for m in range(2, TERMS):
        h.append((z * h[-1] - math.sqrt(m - 1) * h[-2]) / math.sqrt(m))
    lags = np.arange(1, TERMS + 1)
    density = math.exp(-(z**2)) / (2 * math.pi)
    terms = np.square(h) / lags * rho**lags / (1 - rho**lags)
    return 1 + 2 * density / (q * (1 - q)) * float(terms.sum())


def varies(x: Array) -> bool:
    """Whether the values differ by more than their last digits."""
    return bool(len(x)) and float(np.ptp(x)) > 1e-9 * float(np.abs(x).max())


def finite(values: Numbers) -> Array:
    """The finite values."""
    x = np.asarray(values, dtype=np.float64)
    return x[np.isfinite(x)]
