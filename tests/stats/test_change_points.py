"""Changes are found at their positions and nowhere else; tests/bench/change_points.py measures how
often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.stats.change_points import LEVEL, PERMUTATIONS, change_points, levels, replace_outliers


def noise(runs: int, seed: int = 0) -> np.ndarray:
    return np.exp(0.02 * np.random.default_rng(seed).normal(size=runs))


def zigzag(*spans: tuple[int, float]) -> np.ndarray:
    """Levels of so many values each, alternating by a thousandth around their value."""
    values = np.concatenate([np.full(n, value) for n, value in spans])
    return values * (1 + 0.001 * (-1.0) ** np.arange(len(values)))


def test_a_clear_step_is_found_with_the_smallest_p_value():
    assert change_points(zigzag((20, 1.0), (20, 1.05))) == {20: 1 / (1 + PERMUTATIONS)}


@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e30])
def test_changes_do_not_depend_on_the_unit(factor):
    assert list(change_points(factor * zigzag((15, 1.0), (15, 0.9)))) == [15]


def test_noise_has_no_changes():
    assert [seed for seed in range(20) if change_points(noise(40, seed))] == []


def test_a_level_that_ends_as_it_began_is_two_changes():
    assert list(change_points(zigzag((15, 1.0), (10, 1.05), (15, 1.0)))) == [15, 25]


def test_a_staircase_has_all_its_steps():
    assert list(change_points(zigzag((12, 1.0), (12, 1.1), (12, 1.3), (12, 0.8)))) == [12, 24, 36]


@pytest.mark.parametrize("at", [0, 1, 20, 38, 39])
@pytest.mark.parametrize("size", [1e-3, 0.7, 10.0])
def test_one_bad_run_is_no_change(at, size):
    values = zigzag((40, 1.0))
    values[at] *= size
    assert change_points(values) == {}


def test_three_bad_runs_in_a_row_are_a_change_and_two_are_not():
    def slow(runs: int) -> np.ndarray:
        return zigzag((20, 1.0), (runs, 0.5), (20, 1.0))

    assert change_points(slow(2)) == {}
    assert list(change_points(slow(3))) == [20, 23]


def test_a_bad_run_does_not_hide_a_change():
    values = zigzag((20, 1.0), (20, 1.05))
    values[8] *= 100
    assert list(change_points(values)) == [20]


def test_steps_below_the_least_change_are_dropped():
    values = zigzag((20, 1.0), (20, 1.03))
    assert list(change_points(values, least=0.025)) == [20]
    assert change_points(values, least=0.035) == {}
    assert change_points(zigzag((20, 1.0), (20, 1.015))) == {}


def test_small_steps_are_dropped_before_large_ones():
    values = zigzag((15, 1.0), (15, 1.01), (15, 1.5))
    assert list(change_points(values, least=0.1)) == [30]


@pytest.mark.parametrize("runs", range(10))
def test_too_few_values_have_no_changes(runs):
    assert change_points(zigzag((runs // 2, 1.0), (runs - runs // 2, 2.0))) == {}


def test_eleven_values_are_enough_for_a_clear_step():
    assert list(change_points(zigzag((5, 1.0), (6, 2.0)))) == [5]


def test_equal_values_have_no_changes():
    assert change_points(np.full(50, 3.0)) == {}


def test_the_same_values_have_the_same_changes():
    values = np.concatenate([noise(20), 1.03 * noise(20, 1)])
    assert change_points(values) == change_points(values.copy())


def test_levels_are_the_stretches_between_changes():
    assert levels({3: 0.01, 7: 0.01}, 12) == [(0, 3), (3, 7), (7, 12)]
    assert levels({}, 4) == [(0, 4)]


def test_outliers_become_the_median_around_them_and_steps_stay():
    x = np.array([0.0, 0.1, 9.0, 0.0, 0.1, 0.0, 1.0, 1.1, 1.0])
    assert list(replace_outliers(x)) == [0.0, 0.1, 0.1, 0.0, 0.1, 0.0, 1.0, 1.1, 1.0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-300, 1e300), max_size=60))
def test_any_levels_are_long_enough_and_any_changes_significant(values):
    found = change_points(np.array(values))
    assert all(end - start >= 3 for start, end in levels(found, len(values)) if found)
    assert list(found) == sorted(found)
    assert all(0 < p <= LEVEL for p in found.values())
