import math

import pytest

from hwbench.report import numbers


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (10_000.0, "tokens/s", "10,000 tokens/s"),
        (123_456.7, "tokens/s", "123,457 tokens/s"),
        (7.124e14, "FLOP/s", "712.4 TFLOP/s"),
        (2e6, "FLOP/s", "2.000 MFLOP/s"),
        (3.35e12, "B/s", "3,350 GB/s"),
        (0.003, "s", "3.000 ms"),
        (4.25e-5, "s", "42.50 \N{MICRO SIGN}s"),
        (12.0, "s", "12.00 s"),
        (80 * 2**30, "B", "80.00 GiB"),
        (3 * 2**19, "B", "1.500 MiB"),
        (900, "B", "900 B"),
        (0, "B", "0 B"),
        (0.487, "1", "48.70 %"),
        (99.996, "x/s", "100.0 x/s"),
        (0.99999, "s", "1.000 s"),
        (0.9999, "s", "999.9 ms"),
        (3.1e-300, "s", "3.100e-291 ns"),
        (1.5e40, "tokens/s", "1.500e+40 tokens/s"),
    ],
)
def test_a_quantity_has_the_scale_that_fits(value, unit, text):
    assert numbers.quantity(value, unit) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_unknown_values_are_a_dash(value):
    assert numbers.quantity(value, "s") == numbers.UNKNOWN
    assert numbers.ratio(value) == "n.a."


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3.00"), (1177.4, "1,177"), (1.0025, "1.002"), (0.0625, "0.0625"), (1.0, "1.000")],
)
def test_a_ratio_shows_small_differences_near_one(value, text):
    assert numbers.ratio(value) == text + numbers.TIMES


def test_moments_are_given_in_utc():
    assert numbers.moment("2026-11-24T09:30:59+01:00") == "2026-11-24 08:30 UTC"
    assert numbers.moment("yesterday") == "yesterday"
    assert numbers.moment("9999-12-31T23:59:59-23:59") == "9999-12-31T23:59:59-23:59"


def test_counts_are_grammatical():
    assert [
        numbers.count(n, noun) for n, noun in ((1, "case"), (2, "case"), (1000, "process"))
    ] == [
        "1 case",
        "2 cases",
        "1,000 processes",
    ]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0084, "0.84 %"), (1e-16, "0 %"), (0.0, "0 %"), (5.7e9, "> 1,000 %"), (None, "–")],
)
def test_an_uncertainty_is_a_percentage(share, text):
    assert numbers.uncertainty(share) == text
