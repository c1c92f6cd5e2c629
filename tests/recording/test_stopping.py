"""The rules on known rows of steps, and on simulated noise: they stop when they may, and not
earlier."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hwbench import stats
from hwbench.devices.fake import FakeDevice
from hwbench.recording.harness import measure, run_phase
from hwbench.recording.stopping import (
    FEWEST_TO_SETTLE,
    LOOK_BACK,
    MOST_STEPS,
    WARMUP_S,
    FixedWindow,
    PreciseWindow,
    SteadyWarmup,
    is_steady,
    late_change,
    warmup_rule,
    window_rule,
)
from hwbench.records import Policy


def ar1(rng, n, cv, rho=0.5, mean=0.001):
    """Step times with a coefficient of variation `cv` and first-order autocorrelation `rho`."""
    shocks = rng.standard_normal(n) * np.sqrt(1 - rho**2)
    shocks[0] /= np.sqrt(1 - rho**2)
    return mean * np.exp(cv * lfilter([1.0], [1.0, -rho], shocks))


def drive(rule, step_s):
    """Ask the rule before each step, as the harness does, where steps end as they are submitted.
    Returns how many ran and at which counts the rule looked at them."""
    looks, total = [], 0.0

    def ended(most):
        looks.append(steps)
        return step_s[max(0, steps - most) : steps]

    for steps in range(len(step_s) + 1):
        if rule.is_finished(steps, total, ended):
            return steps, looks
        total += step_s[steps]
    raise AssertionError("the rule never stopped")


class TestFixedWindow:
    def test_ends_with_both_time_and_samples(self):
        rule = FixedWindow(2.0, 10.0, 5)
        assert not rule.is_finished(100, 1.9, None)
        assert not rule.is_finished(4, 2.0, None)
        assert rule.is_finished(5, 2.0, None)
        assert rule.is_satisfied([0.4] * 5, 2.0)

    def test_is_not_satisfied_when_time_is_up(self):
        rule = FixedWindow(2.0, 10.0, 5)
        assert rule.is_finished(1, 10.0, None)
        assert not rule.is_satisfied([10.0], 10.0)

    def test_always_takes_one_step(self):
        assert not FixedWindow(0.0, 0.001, 5).is_finished(0, 1.0, None)

    def test_ends_even_if_steps_take_no_time(self):
        assert FixedWindow(1.0, 2.0, 3).is_finished(MOST_STEPS, 0.1, None)


class TestPreciseWindow:
    def test_a_row_without_noise_ends_at_the_least_time(self):
        rule = PreciseWindow(2.0, 30.0, 10, 0.01)
        assert drive(rule, [0.01] * 5000) == (200, [200])
        assert rule.is_satisfied([0.01] * 200, 2.0)

    def test_a_row_without_noise_ends_at_the_fewest_samples_if_they_take_longer(self):
        assert drive(PreciseWindow(2.0, 30.0, 10, 0.01), [1.0] * 50) == (10, [10])

    def test_looks_become_rarer_until_the_time_is_up(self):
        """Steps of 1 s that alternate between 1 and 3 s are known to no percent."""
        rule = PreciseWindow(2.0, 200.0, 10, 0.01)
        step_s = [1.0, 3.0] * 100
        steps, looks = drive(rule, step_s)
        assert (steps, looks) == (100, [10, 15, 23, 35, 53, 80])
        assert not rule.is_satisfied(step_s[:100], 200.0)

    def test_looks_have_a_least_distance_in_time(self):
        """Of steps of 0.1 ms, half as many again are over in no time."""
        _, looks = drive(PreciseWindow(0.0, 1.0, 10, 0.01), [0.0001, 0.0003] * 5000)
        assert np.diff(np.array(looks) * 0.0002).min() >= 0.05

    def test_ends_at_most_steps_and_never_before_one(self):
        rule = PreciseWindow(1.0, 2.0, 3, 0.01)
        assert rule.is_finished(MOST_STEPS, 0.1, None)
        assert not rule.is_finished(0, 5.0, lambda most: [])

    def test_is_satisfied_if_precise_when_the_time_is_up(self):
        rule = PreciseWindow(2.0, 5.0, 10, 0.01)
        assert rule.is_finished(6, 5.0, lambda most: [])
        assert not rule.is_satisfied([1.0] * 6, 6.0)  # fewer samples than asked for
        assert rule.is_satisfied([0.5] * 10, 5.0)

    def test_looks_at_the_last_steps_only(self):
        rule, asked = PreciseWindow(0.0, 9.0, 5, 0.01), []
        rule.is_finished(50_000, 5.0, lambda most: asked.append(most) or [])
        assert asked == [LOOK_BACK]

    @pytest.mark.parametrize(
        ("cv", "rho"), [(0.05, 0.5), (0.05, 0.0), pytest.param(0.1, 0.8, marks=pytest.mark.slow)]
    )
    def test_interval_at_the_stop_keeps_its_coverage(self, cv, rho):
        """The interval at the stop holds the true median in 93 to 98 % of windows, though the rule
        looks for a narrow one again and again and the noise is autocorrelated. No window is much
        longer than it must be."""
        rng, held, lengths = np.random.default_rng(7), 0, []
        for _ in range(1000):
            steps = ar1(rng, 20_000, cv, rho)
            count, _ = drive(PreciseWindow(0.05, 60.0, 10, 0.01), steps)
            interval = stats.quantile_interval(steps[:count], 0.5)
            held += interval.low <= 0.001 <= interval.high
            lengths.append(count)
        needed = (1.2533 * 1.96 * cv / 0.01) ** 2 * (1 + rho) / (1 - rho)
        length = f"{np.median(lengths):.0f} of {needed:.0f}"
        print(f"cv {cv} rho {rho}: coverage {held / 1000:.3f}, median length {length}")
        assert 930 <= held <= 980
        assert 0.7 * needed < np.median(lengths) < 2 * needed


class TestSteady:
    def test_too_few_steps_give_none(self):
        assert is_steady([1.0, 9.0] * (FEWEST_TO_SETTLE // 2 - 1), 0.01) is None

    def test_steps_that_do_not_vary_are_steady(self):
        assert is_steady([0.1 + 1e-17 * i for i in range(100)], 0.01)

    def test_transient_in_the_first_half_is_steady(self):
        assert is_steady([2.0] * 20 + [1.0, 1.001] * 40, 0.01)

    def test_change_in_the_second_half_is_not_steady(self):
        assert is_steady([1.0, 1.001] * 40 + [1.2, 1.201] * 15, 0.01) is False

    def test_a_few_steps_must_change_by_more(self):
        assert is_steady([1.0, 1.05] * 7 + [1.1, 1.15] * 3, 0.01)
        assert is_steady([1.0, 1.05] * 7 + [1.4, 1.45] * 3, 0.01) is False

    def test_drift_is_not_steady(self):
        rng = np.random.default_rng(1)
        assert (
            is_steady(np.linspace(1.0, 1.2, 200) * (1 + 0.003 * rng.standard_normal(200)), 0.01)
            is False
        )

    def test_drift_within_the_precision_is_steady(self):
        assert is_steady(np.linspace(1.0, 1.005, 200), 0.01)

    @pytest.mark.parametrize(("rho", "most"), [(0.0, 0.01), (0.5, 0.03)])
    @pytest.mark.parametrize("n", [FEWEST_TO_SETTLE, 30, 80, 1000])
    def test_noise_alone_is_seldom_taken_for_a_trend(self, n, rho, most):
        rng = np.random.default_rng(3)
        alarms = sum(is_steady(ar1(rng, n, 0.03, rho), 0.01) is False for _ in range(1000))
        print(f"n {n} rho {rho}: {alarms / 10:.1f} % false alarms")
        assert alarms <= 1000 * most

    def test_the_late_change_is_a_share_of_the_first_half(self):
        change, spread = late_change([1.0] * 10 + [1.5] * 10)
        assert (change, spread) == (0.5, 0.0)
        assert late_change([0.0] * 20) == (0.0, 0.0)


class TestWarmup:
    def test_it_goes_on_until_the_steps_have_settled(self):
        """Steps that fall from 30 to 10 ms over the first second: half a second of warm-up would
        end among them."""
        falling = [0.03 - 0.02 * i / 50 for i in range(50)]
        rule = SteadyWarmup(0.5, 30.0, 1, 0.01)
        steps, looks = drive(rule, falling + [0.01] * 1000)
        assert looks[0] < 50
        assert steps == looks[-1] > 2 * 50

    def test_too_few_steps_to_tell_end_it_at_its_least_time(self):
        assert drive(SteadyWarmup(0.5, 30.0, 1, 0.01), [0.1, 0.2] * 20)[0] == 4

    def test_it_ends_when_its_time_is_up(self):
        steps, _ = drive(SteadyWarmup(0.5, 3.0, 1, 0.01), [0.01 * 1.02**i for i in range(200)])
        assert sum(0.01 * 1.02**i for i in range(steps)) == pytest.approx(3.0, abs=0.1)

    def test_it_is_never_longer_than_a_window_may_be(self):
        rule = warmup_rule(Policy(max_time_s=0.2))
        assert (rule.min_time_s, rule.max_time_s) == (0.2, 0.2)
        assert warmup_rule(Policy()).min_time_s == WARMUP_S


class TestOnTheFakeDevice:
    def steps_of(self, device, durations):
        left = iter(durations)
        return lambda mark: device.launch(next(left))

    @pytest.mark.parametrize("timer_kind", ["device_event", "host"])
    def test_a_noisy_window_lasts_until_its_median_is_known(self, timer_kind):
        device = FakeDevice(timer_kind=timer_kind)
        noisy = ar1(np.random.default_rng(5), 20_000, 0.05)
        policy = Policy(min_time_s=0.05, max_time_s=30.0)
        window, _ = measure(
            self.steps_of(device, noisy), device, warmup_rule(policy), window_rule(policy)
        )
        assert window.converged
        assert (
            stats.quantile_interval(window.timed_s, 0.5).relative_half_width < 0.02
        )  # a few steps ended after the last look
        assert 150 < window.timed_steps < 1500

    def test_a_look_does_not_wait_for_queued_steps(self):
        """The rule looks while steps are outstanding: not one synchronisation more than at the two
        ends."""
        device = FakeDevice()
        run_phase(
            self.steps_of(device, [0.001, 0.002] * 5000),
            device,
            PreciseWindow(0.0, 5.0, 10, 0.01),
            0,
            False,
            30,
        )
        assert device.syncs == 2

    def test_window_cut_by_time_is_not_converged(self):
        device = FakeDevice()
        policy = Policy(min_time_s=0.05, max_time_s=0.5)
        window, _ = measure(
            self.steps_of(device, [0.001, 0.002] * 5000),
            device,
            warmup_rule(policy),
            window_rule(policy),
        )
        assert not window.converged
