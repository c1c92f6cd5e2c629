import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from hwbench import stats


def lognormal(generator, shape, cv):
    return np.exp(generator.normal(0, cv, shape))


def autoregressive(generator, n, rho, sd):
    noise = generator.normal(0, sd * math.sqrt(1 - rho**2), n)
    x = np.empty(n)
    x[0] = generator.normal(0, sd)
    for i in range(1, n):
        x[i] = rho * x[i - 1] + noise[i]
    return 1 + x


class TestMedianInterval:
    def test_by_hand(self):
        """Logs −1, 0, 1: mean 0, standard error 1/√3, t(0.975, 2) = 4.302653."""
        found = stats.median_interval([math.exp(-1), 1.0, math.e])
        half = 4.302652729911275 / math.sqrt(3)
        assert found.value == 1.0
        assert found.low == pytest.approx(math.exp(-half))
        assert found.high == pytest.approx(math.exp(half))
        assert found.n == 3

    def test_too_few_values_have_no_interval(self):
        assert math.isnan(stats.median_interval([2.0]).low)
        assert math.isnan(stats.median_interval([]).value)
        assert stats.median_interval([2.0, math.nan, math.inf]).n == 1
        assert stats.median_interval([2.0]).relative_half_width == math.inf

    def test_equal_values_have_an_interval_of_no_width(self):
        found = stats.median_interval([3.0] * 5)
        assert (found.low, found.value, found.high) == pytest.approx((3.0, 3.0, 3.0))

    def test_zeros_are_analysed_without_logs(self):
        assert stats.median_interval([0.0, 0.0, 3.0]).low < 0

    @pytest.mark.parametrize("n", [3, 5, 10])
    def test_the_interval_covers_as_often_as_it_claims(self, n):
        generator = np.random.default_rng(1)
        intervals = [stats.median_interval(x) for x in lognormal(generator, (2000, n), 0.01)]
        assert 0.93 <= np.mean([i.low <= 1 <= i.high for i in intervals]) <= 0.98
        assert all(i.low <= i.value <= i.high for i in intervals if i.n <= 5)


class TestChange:
    def test_agrees_with_welch(self):
        a, b = [1.0, 1.1, 0.9, 1.05], [1.2, 1.25, 1.31, 1.22, 1.4]
        found = stats.change(a, b)
        theirs = scipy_stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
        low, high = theirs.confidence_interval(0.95)
        assert found.p == pytest.approx(theirs.pvalue)
        assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
        assert stats.change(b, a).ratio == pytest.approx(1 / found.ratio)

    def test_paired_agrees_with_students_t_of_the_differences(self):
        a, b = [1.0, 2.0, 3.0, 4.0], [1.1, 2.3, 3.2, 4.5]
        theirs = scipy_stats.ttest_rel(np.log(b), np.log(a))
        assert stats.paired_change(a, b).p == pytest.approx(theirs.pvalue)
        with pytest.raises(ValueError, match="as many values"):
            stats.paired_change(a, b[:2])

    def test_pairs_cancel_a_drift_that_both_share(self):
        drift = np.linspace(1, 2, 8)
        assert stats.paired_change(drift, drift * 1.02).low == pytest.approx(1.02)
        assert stats.change(drift, drift * 1.02).low < 1

    @pytest.mark.parametrize(
        ("a", "b"), [([], [1.0]), ([0.0, 1.0], [1.0, 1.0]), ([-1.0, 1.0], [1.0, 2.0])]
    )
    def test_values_that_are_not_positive_have_no_ratio(self, a, b):
        assert math.isnan(stats.change(a, b).ratio)

    def test_one_process_has_a_ratio_and_no_interval(self):
        found = stats.change([1.0], [2.0, 2.0])
        assert found.ratio == pytest.approx(2.0)
        assert math.isnan(found.p)

    def test_sides_that_do_not_vary_differ_exactly_or_not_at_all(self):
        assert stats.change([2.0] * 3, [2.0] * 3).p == 1.0
        found = stats.change([2.0] * 3, [4.0] * 3)
        assert (found.p, found.low, found.high) == (0.0, pytest.approx(2.0), pytest.approx(2.0))


def test_an_interval_holds_its_own_median():
    """Six fast processes and four slow ones: the center lies between them, the median at the
    fast."""
    found = stats.median_interval([1.0] * 6 + [1.1] * 4)
    assert found.low == found.value == 1.0
    assert found.high == pytest.approx(1.0761, rel=1e-4)


class TestChangeFromRuns:
    def test_by_hand(self):
        """Runs with mean logs −1, 0 and 1 and no noise within; the candidate 2 above: s²(1 + 1/3),
        two degrees."""
        runs = [[math.exp(mean)] * 4 for mean in (-1, 0, 1)]
        found = stats.change_from_runs(runs, [math.exp(2)] * 4)
        half = 4.302652729911275 * math.sqrt(4 / 3)
        assert found.ratio == pytest.approx(math.exp(2))
        assert found.high == pytest.approx(math.exp(2 + half))
        assert found.p == pytest.approx(2 * scipy_stats.t.sf(2 / math.sqrt(4 / 3), 2))

    @pytest.mark.parametrize("runs", [[[1.0, 1.01]], [[1.0, 1.01], [1.02, 1.03]]])
    def test_fewer_than_three_runs_are_pooled(self, runs):
        assert stats.change_from_runs(runs, [1.1, 1.2]) == stats.change(
            np.concatenate(runs), [1.1, 1.2]
        )

    def test_runs_that_differ_by_day_rarely_give_false_alarms(self):
        """Five runs and a candidate that differ by 1 % from day to day: pooling their processes
        gives four times as many false alarms."""
        generator = np.random.default_rng(6)
        wrong = np.zeros(2)
        for _ in range(300):
            days = lognormal(generator, (6, 1), 0.01) * lognormal(generator, (6, 5), 0.005)
            found = (
                stats.change_from_runs(list(days[:5]), days[5]),
                stats.change(days[:5].ravel(), days[5]),
            )
            wrong += [one.p < 0.05 for one in found]
        assert wrong[0] / 300 <= 0.07
        assert wrong[1] / 300 >= 0.28

    def test_no_baseline_has_no_ratio(self):
        assert math.isnan(stats.change_from_runs([], [1.0, 2.0]).ratio)


class TestQuantileInterval:
    @pytest.mark.parametrize(("q", "least"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
    def test_no_interval_below_the_smallest_n(self, q, least):
        """The smallest n for which the extremes of independent samples enclose the quantile 19
        times in 20."""
        samples = np.arange(float(least))
        # any order without runs will do
        up_and_down = np.concatenate([samples[::2], samples[1::2][::-1]])
        generator = np.random.default_rng(3)
        found = [stats.quantile_interval(generator.permutation(up_and_down), q) for _ in range(20)]
        assert any(math.isfinite(interval.low) for interval in found)
        fewer = [
            stats.quantile_interval(generator.permutation(up_and_down[:-1]), q) for _ in range(20)
        ]
        assert all(math.isnan(interval.low) for interval in fewer)

    @pytest.mark.parametrize(("q", "n"), [(0.5, 36), (0.9, 216), (0.95, 432)])
    def test_reported_intervals_need_more_samples(self, q, n):
        samples = np.random.default_rng(5).permutation(np.arange(float(n)))
        assert math.isfinite(stats.quantile_interval(samples, q, times=6).low)
        assert math.isnan(stats.quantile_interval(samples[: n - 6], q, times=6).low)

    @pytest.mark.parametrize("rho", [0.0, 0.5])
    @pytest.mark.parametrize(("q", "n"), [(0.5, 50), (0.9, 200), (0.95, 400)])
    def test_the_interval_covers_as_often_as_it_claims(self, rho, q, n):
        generator = np.random.default_rng(2)
        true = 1 + 0.01 * scipy_stats.norm.ppf(q)
        found = [
            stats.quantile_interval(autoregressive(generator, n, rho, 0.01), q) for _ in range(500)
        ]
        known = [i for i in found if math.isfinite(i.low)]
        assert len(known) > 400
        assert 0.92 <= np.mean([i.low <= true <= i.high for i in known]) <= 0.985


def test_lag_1_and_the_effective_n():
    generator = np.random.default_rng(4)
    x = autoregressive(generator, 20_000, 0.5, 1.0)
    assert stats.lag1(x) == pytest.approx(0.5, abs=0.03)
    assert stats.effective_n(x) == pytest.approx(20_000 / 3, rel=0.1)
    assert stats.effective_n([1.0, 1.0, 1.0]) == 3
    assert math.isnan(stats.lag1([1.0, 1.0, 1.0]))
    assert math.isnan(stats.lag1([1.0, 2.0]))


def test_outliers_lie_outside_tukeys_fences():
    assert stats.outliers([1.0, 2.0, 3.0, 4.0, 5.0, 100.0, -100.0]) == 2
    assert stats.outliers([]) == 0


def test_the_coefficient_of_variation_by_hand():
    assert stats.variation([1.0, 3.0]) == pytest.approx(math.sqrt(2) / 2)
    assert math.isnan(stats.variation([1.0]))


class TestSteadyState:
    def test_a_slow_start_is_cut(self):
        generator = np.random.default_rng(5)
        x = 1 + generator.normal(0, 0.01, 100)
        x[:12] += np.linspace(1, 0.1, 12)
        assert 11 <= stats.steady_from(x) <= 20

    def test_a_steady_series_is_not_cut(self):
        generator = np.random.default_rng(6)
        assert stats.steady_from(1 + generator.normal(0, 0.01, 200)) <= 40

    def test_a_series_that_does_not_settle_has_no_steady_state(self):
        assert stats.steady_from(np.linspace(1, 2, 100)) is None
        assert stats.steady_from([1.0, 1.0]) is None


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.9]).tolist() == [1.0, 1.0]


def test_a_share_has_the_clopper_pearson_interval():
    theirs = scipy_stats.binomtest(3, 100).proportion_ci(method="exact")
    found = stats.share_interval(3, 100)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert stats.share_interval(0, 10).low == 0.0
    assert stats.share_interval(10, 10).high == 1.0


def test_squares_that_underflow_have_no_autocorrelation():
    assert math.isnan(stats.lag1([1e-171, 2e-171, 1e-171, 3e-171]))


def test_effective_n_of_a_long_series_is_that_of_its_parts(monkeypatch):
    from hwbench.stats import series

    generator = np.random.default_rng(3)
    x = np.convolve(generator.normal(size=4000), np.ones(30), "valid")
    one_by_one = series.effective_n_below(x, float(np.median(x)))
    monkeypatch.setattr(series, "LONG", 100)
    assert series.effective_n_below(x, float(np.median(x))) == pytest.approx(one_by_one, rel=1e-9)
    assert one_by_one < len(x) / 5
