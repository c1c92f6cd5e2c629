"""Numbers as people read them: a scale that fits, a unit, and a dash for what is unknown."""

import math
from datetime import UTC, datetime

from hwbench.printable import one_line

UNKNOWN = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"

SCALES: dict[str, list[tuple[float, str]]] = {
    "FLOP/s": [
        (1e12, "TFLOP/s"),
        (1e9, "GFLOP/s"),
        (1e6, "MFLOP/s"),
        (1e3, "kFLOP/s"),
        (1, "FLOP/s"),
    ],
    "B/s": [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")],
    "J": [(1e3, "kJ"), (1, "J"), (1e-3, "mJ"), (1e-6, "\N{MICRO SIGN}J")],
    "J/token": [(1, "J/token"), (1e-3, "mJ/token"), (1e-6, "\N{MICRO SIGN}J/token")],
    "W": [(1, "W"), (1e-3, "mW")],
    "s": [(1, "s"), (1e-3, "ms"), (1e-6, "\N{MICRO SIGN}s"), (1e-9, "ns")],
    "B": [(2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")],
    "1": [(0.01, "%")],
}
"""For each unit of the metrics table, its scales from the largest down."""

TINY = 1e-5
"""Smaller shares are printed as 0 %."""


def is_known(value: float | None) -> bool:
    """Whether there is a number to print: not None, NaN or infinite."""
    return value is not None and math.isfinite(value)


def plain(value: object) -> object:
    """Return a number as JSON takes it: null for what is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """Return the divisor and unit to print `value` with: the largest scale that leaves at least 1
    before the point."""
    scales = SCALES.get(unit, [(1, unit)])
    rounded = abs(value) * 1.00005  # what is printed as 1,000 of one scale is 1 of the next
    return next((s for s in scales if rounded >= s[0]), scales[-1]) if value else scales[-1]


def quantity(value: float | None, unit: str, digits: int = 4) -> str:
    """Return a metric's value with its unit, e.g. (1.234e12, "FLOP/s") as "1.234 TFLOP/s"; a dash
    where it is unknown."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    divisor, name = scale_of(value, unit)
    if not math.isfinite(value / divisor):
        return UNKNOWN
    whole = unit == "B" and divisor == 1  # there is no part of a byte
    return f"{number(value / divisor, 0 if whole else digits)} {name}".rstrip()


def number(value: float, digits: int = 4) -> str:
    """Return `value` with so many significant digits, but never rounded above the unit: 12,345 does
    not become 12,350. Very large and very small numbers have a power of ten."""
    if value == 0 or digits == 0:
        return f"{value:,.0f}"
    # after rounding, so that 9.9999 counts as 10
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if not -6 <= exponent < 15:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def ratio(value: float | None) -> str:
    """Return a ratio with a times sign; to the thousandth near 1, where small differences count."""
    if value is None or not math.isfinite(value):
        return "n.a."
    return f"{value:.3f}{TIMES}" if 0.9 < value < 1.1 else f"{number(value, 3)}{TIMES}"


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun, e.g. "1 case", "2 cases", "3 processes"."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{amount:,} {noun if amount == 1 else plural}"


def moment(iso: str) -> str:
    """Return an ISO time to the minute in UTC, e.g. "2026-11-24 08:00 UTC"; any other text stays as
    it is."""
    try:
        time = datetime.fromisoformat(iso)
        return f"{time.astimezone(UTC) if time.tzinfo else time:%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):  # in UTC it may lie in no year that there is
        return iso


def short(text: str, most: int = 72) -> str:
    """Return the text on one line, cut to a length."""
    text = one_line(text)
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


MOST_SHARE = 10.0
"""Larger uncertainties are printed as "> 1,000 %": the exact number says no more."""


def uncertainty(share: float | None) -> str:
    """Return half an interval as a share of its value, e.g. "0.8 %"; a dash where there is no
    interval."""
    if share is not None and share < TINY:
        return "0 %"
    if share is not None and MOST_SHARE < share < math.inf:
        return f"> {MOST_SHARE:,.0%}".replace("%", " %")
    return quantity(share, "1", 2)
