"""judgement.judge_runs: a candidate against its baseline, verdict by verdict."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from runs import CASE, OTHER, around, run_of, with_measurements, with_precision

from hwbench.analysis import metrics
from hwbench.analysis.verdict import comparable, judgement
from hwbench.analysis.verdict.rules import Rule, Rules
from hwbench.stats import Change

STEP = Rules(("step_s_p50",), 0.02)


def judged(baseline, candidate, rules=STEP, **options):
    return judgement.judge_runs([baseline], candidate, rules, **options).to_dict("records")


def only_row(baseline, candidate, rules=STEP, **options):
    (row,) = judged(baseline, candidate, rules, **options)
    return row


class TestMemoryPeaks:
    """Peaks of the timed steps since schema 5, of all that a process did before."""

    def run(self, peak, build_peak):
        fields = {"memory_peak_bytes": peak, "memory_build_peak_bytes": build_peak}
        return with_measurements(run_of((CASE, around(1.0))), CASE, **fields)

    @pytest.mark.parametrize(
        ("older", "newer", "verdict"),
        [
            ((1000, None), (300, 1000), "same"),
            ((1000, None), (1000, 300), "same"),
            ((1000, None), (300, 500), "faster"),
            ((1000, 900), (300, 900), "faster"),
        ],
    )
    def test_peaks_of_an_older_run_are_compared_with_peaks_of_the_same_kind(
        self, older, newer, verdict
    ):
        row = only_row(self.run(*older), self.run(*newer), Rules(("memory_peak_bytes",)))
        assert row["verdict"] == verdict


class TestVerdict:
    @pytest.mark.parametrize(
        ("low", "ratio", "high", "expected"),
        [
            (0.99, 1.00, 1.01, "same"),
            (1.001, 1.010, 1.019, "same"),  # surely a change, surely a small one
            (1.01, 1.03, 1.05, "slower"),
            (0.95, 0.97, 0.99, "faster"),
            (0.99, 1.03, 1.07, "inconclusive"),  # no change is not left out
            (1.00, 1.03, 1.06, "inconclusive"),
            # the estimate is within the threshold, the interval is not
            (1.005, 1.015, 1.025, "inconclusive"),
            (0.90, 1.00, 1.10, "inconclusive"),
            (math.nan, 1.5, math.nan, "inconclusive"),
            (0.0, 1.0, math.inf, "inconclusive"),
        ],
    )
    def test_a_longer_time_is_slower(self, low, ratio, high, expected):
        assert (
            judgement.verdict(Change(ratio, low, high, 0.5), 0.02, higher_is_better=False)
            == expected
        )

    def test_a_higher_rate_is_faster(self):
        change = Change(1.03, 1.01, 1.05, 0.01)
        assert judgement.verdict(change, 0.02, higher_is_better=True) == "faster"
        assert (
            judgement.verdict(
                Change(1 / 1.03, 1 / 1.05, 1 / 1.01, 0.01), 0.02, higher_is_better=True
            )
            == "slower"
        )

    def test_swapping_the_sides_swaps_faster_and_slower(self):
        """A rate that falls by 1/(1 + t) is as large a change as a time that grows by 1 + t."""
        exactly = math.nextafter(1.02, 2)
        assert judgement.verdict(Change(exactly, 1.01, 1.03, 0.01), 0.02, False) == "slower"
        assert (
            judgement.verdict(Change(1 / exactly, 1 / 1.03, 1 / 1.01, 0.01), 0.02, True) == "slower"
        )

    @pytest.mark.parametrize(("ratio", "word"), [(1.9, "same"), (0.55, "same"), (2.2, "beyond")])
    @pytest.mark.parametrize("higher_is_better", [True, False])
    def test_a_threshold_of_100_percent_is_from_half_to_double(self, ratio, word, higher_is_better):
        change = Change(ratio, ratio * 0.99, ratio * 1.01, 0.01)
        for one in (change, Change(1 / ratio, 1 / change.high, 1 / change.low, 0.01)):
            beyond = "faster" if (one.ratio > 1) == higher_is_better else "slower"
            expected = word if word == "same" else beyond
            assert judgement.verdict(one, 1.0, higher_is_better) == expected

    def test_overall_is_the_worst_verdict(self):
        assert judgement.overall(["same", "faster", "slower", "missing"]) == "slower"
        assert judgement.overall(["same", "faster"]) == "faster"
        assert judgement.overall(["same"]) == "same"
        assert judgement.overall([]) == "missing"


class TestJudge:
    def test_a_row_has_the_exact_ratio_and_interval(self):
        """Medians 1 ms and 2 ms, e^±0.01 around them: Welch's t of the logs by hand."""
        sides = [[[s * math.exp(x)] * 4 for x in (-0.01, 0, 0.01)] for s in (0.001, 0.002)]
        row = only_row(run_of((CASE, sides[0])), run_of((CASE, sides[1])))
        half = 2.7764451051977987 * math.sqrt(2 * 0.01**2 / 3)  # t(0.975, 4)
        assert row["baseline"] == pytest.approx(0.001)
        assert row["candidate"] == pytest.approx(0.002)
        assert row["ratio"] == pytest.approx(2)
        assert row["ci_low"] == pytest.approx(2 * math.exp(-half))
        assert row["ci_high"] == pytest.approx(2 * math.exp(half))
        assert row["verdict"] == "slower"
        assert row["unit"] == "s"
        assert row["threshold"] == 0.02
        assert row["reason"] == ""
        assert row["label"] == str(CASE)

    @pytest.mark.parametrize(
        ("factor", "word"), [(1.0, "same"), (1.05, "slower"), (0.95, "faster")]
    )
    def test_verdicts_of_well_measured_changes(self, factor, word):
        assert (
            only_row(run_of((CASE, around(1.0))), run_of((CASE, around(factor))))["verdict"] == word
        )

    def test_sides_that_vary_too_much_are_inconclusive(self):
        noisy = around(1.0, cv=0.2)
        assert only_row(run_of((CASE, noisy)), run_of((CASE, noisy)))["verdict"] == "inconclusive"

    def test_a_change_below_the_noise_floor_is_inconclusive(self):
        pair = run_of((CASE, around(1.0))), run_of((CASE, around(1.05)))
        key = (CASE.case_id, "step_s_p50")
        row = only_row(*pair, floors={key: 0.001})
        assert (row["threshold"], row["floor"], row["verdict"], row["reason"]) == (
            0.02,
            0.001,
            "slower",
            "",
        )
        row = only_row(*pair, floors={key: 0.10})
        assert (row["threshold"], row["floor"], row["verdict"]) == (0.02, 0.10, "inconclusive")
        assert row["reason"] == "within this machine's noise of 10% (hwbench noise)"
        assert only_row(pair[0], pair[0], floors={key: 6.0})["verdict"] == "same"

    def test_a_change_lists_the_notes_of_both_runs(self):
        slow = with_measurements(
            run_of((CASE, around(1.1))), CASE, notes='["throttled: hot", "foreign_load: 10 %"]'
        )
        row = only_row(run_of((CASE, around(1.0))), slow)
        assert (row["verdict"], row["reason"]) == ("slower", "candidate: throttled, foreign_load")

    @pytest.mark.parametrize("factor", [1.0, 1.03, 1.5])
    @pytest.mark.parametrize("side", [0, 1])
    def test_a_wide_side_is_judged_like_a_valid_one_of_equal_values(self, factor, side):
        valid = [
            with_precision(run_of((CASE, around(value, cv=0.02))), 0.5) for value in (1.0, factor)
        ]
        pair = list(valid)
        pair[side] = with_precision(valid[side], 0.001)
        assert [set(metrics.summarize(run).validity) for run in (valid[side], pair[side])] == [
            {"valid"},
            {"wide"},
        ]
        pd.testing.assert_frame_equal(
            judgement.judge_runs(pair[:1], pair[1], STEP),
            judgement.judge_runs(valid[:1], valid[1], STEP),
        )

    def test_a_note_of_a_wide_interval_is_no_remark_on_a_verdict(self):
        notes = '["not_converged: 3 %", "throttled: hot"]'
        base, slow = run_of((CASE, around(1.0))), run_of((CASE, around(1.1)))
        assert (
            only_row(base, with_measurements(slow, CASE, notes=notes))["reason"]
            == "candidate: throttled"
        )
        assert (
            only_row(with_measurements(base, CASE, notes='["not_converged: 3 %"]'), slow)["reason"]
            == ""
        )

    def test_rates_of_different_work_are_incomparable(self):
        run = run_of((CASE, around(1.0)))
        sides = [with_measurements(run, CASE, tokens=tokens, flops=None) for tokens in (100, 200)]
        row = only_row(*sides, Rules(("tokens_per_s",)))
        assert row["verdict"] == "incomparable"
        assert row["reason"] == "another work of a step: tokens 100 against tokens 200"
        assert only_row(*sides)["verdict"] == "same"  # the time of a step

    def test_an_unknown_device_is_incomparable(self):
        runs = [run_of((CASE, around(1.0)), device="unknown CPU") for _ in range(2)]
        assert only_row(*runs)["verdict"] == "incomparable"

    def test_several_baseline_runs_are_judged_as_one(self):
        runs = [run_of((CASE, around(1.0))), run_of((CASE, around(1.2)))]
        (row,) = judgement.judge_runs(runs, run_of((CASE, around(1.1))), STEP).to_dict("records")
        assert row["baseline"] == pytest.approx(1.1, rel=0.1)
        assert row["verdict"] == "inconclusive"

    def test_rules_choose_threshold_and_metrics(self):
        rules = Rules((), 0.05, (Rule(0.5, "gpt/*"), Rule(0.3, "gpt/*", "step_s_p90")))
        rows = judged(
            run_of((CASE, around(1.0)), (OTHER, around(1.0))),
            run_of((CASE, around(1)), (OTHER, around(1))),
            rules,
        )
        assert [(r["workload"], r["metric"], r["threshold"]) for r in rows] == [
            ("gpt/train", "step_s_p50", 0.5),
            ("gpt/train", "step_s_p90", 0.3),
            ("gemm", "step_s_p50", 0.05),
        ]

    def test_zero_on_both_sides_is_no_change(self):
        runs = [
            with_measurements(run_of((CASE, around(1.0))), CASE, memory_peak_bytes=0)
            for _ in range(2)
        ]
        row = only_row(*runs, Rules(("memory_peak_bytes",)))
        assert (row["verdict"], row["reason"], row["baseline"]) == (
            "same",
            "zero on both sides",
            0.0,
        )

    @pytest.mark.parametrize("sides", [(0, 8), (8, 0)])
    def test_zero_on_one_side_has_no_ratio(self, sides):
        runs = [
            with_measurements(run_of((CASE, around(1.0))), CASE, memory_peak_bytes=size)
            for size in sides
        ]
        row = only_row(*runs, Rules(("memory_peak_bytes",)))
        assert row["verdict"] == "incomparable"
        assert "zero" in row["reason"]
        assert math.isnan(row["ratio"])

    def test_one_process_has_a_ratio_without_interval(self):
        row = only_row(run_of((CASE, around(1.0, processes=1))), run_of((CASE, around(2.0))))
        assert row["verdict"] == "inconclusive"
        assert row["ratio"] == pytest.approx(2)
        assert "--processes" in row["reason"]

    def test_times_that_do_not_vary_differ_exactly(self):
        row = only_row(run_of((CASE, [[1.0]] * 3)), run_of((CASE, [[1.1]] * 3)))
        assert (row["verdict"], row["p"]) == ("slower", 0.0)

    @pytest.mark.parametrize("side", [0, 1])
    def test_a_case_of_one_side_is_missing_on_the_other(self, side):
        runs = [run_of((CASE, around(1.0)), (OTHER, around(1.0))), run_of((CASE, around(1.0)))]
        rows = judged(*(runs if side else reversed(runs)))
        assert [row["verdict"] for row in rows if row["workload"] == "gemm"] == ["missing"]
        reason = next(row["reason"] for row in rows if row["workload"] == "gemm")
        assert reason == f"{('baseline', 'candidate')[side]}: not measured"

    def test_a_failed_case_is_missing_with_its_reason(self):
        broken = with_measurements(
            run_of((CASE, around(1.0))), CASE, outcome="oom", reason="no memory"
        )
        row = only_row(run_of((CASE, around(1.0))), broken)
        assert (row["verdict"], row["reason"]) == ("missing", "candidate: oom: no memory")
        assert row["baseline"] == pytest.approx(1.0)
        assert math.isnan(row["candidate"])

    def test_a_metric_that_neither_side_has_is_missing(self):
        row = only_row(
            run_of((CASE, around(1.0))), run_of((CASE, around(1.0))), Rules(("tokens_per_s",))
        )
        assert (row["verdict"], row["reason"]) == ("missing", "baseline: no such figure")

    def test_another_device_is_incomparable_unless_allowed(self):
        here, there = (
            run_of((CASE, around(1.0))),
            run_of((CASE, around(1.0)), device="Other device"),
        )
        row = only_row(there, here)
        assert row["verdict"] == "incomparable"
        assert row["reason"] == "another device: Other device against Fake device"
        assert math.isnan(row["ratio"])
        assert only_row(there, here, across_devices=True)["verdict"] == "same"

    def test_another_clock_is_incomparable(self):
        host = run_of((CASE, around(1.0)))
        events = with_measurements(host, CASE, timer_kind="device_event")
        assert only_row(host, events)["reason"] == "another clock: host against device_event"
        assert only_row(host, events, across_devices=True)["verdict"] == "same"

    def test_clocks_are_compared_case_by_case(self):
        both = run_of((CASE, around(1.0)), (OTHER, around(1.0)))
        baseline = with_measurements(both, CASE, timer_kind="device_event")
        candidate = with_measurements(both, OTHER, timer_kind="device_event")
        assert {row["verdict"] for row in judged(baseline, candidate)} == {"incomparable"}
        assert [row["verdict"] for row in judged(baseline, both)] == ["incomparable", "same"]

    def test_differences_between_environments_are_listed(self):
        sides = [
            run_of((CASE, around(1.0)), environment=json.dumps(environment))
            for environment in (
                {
                    "packages": {"torch": "2.12"},
                    "cpu": {"smt": "on"},
                    "variables": {"OMP_NUM_THREADS": "1"},
                },
                {"packages": {"torch": "2.13"}, "cpu": {}, "variables": {}},
            )
        ]
        found = ["torch: 2.12 against 2.13", "$OMP_NUM_THREADS: 1 against not set"]
        assert comparable.differences(*sides) == found
        assert comparable.differences(sides[0], sides[0]) == []

    @pytest.mark.parametrize("side", [0, 1])
    def test_invalid_figures_are_incomparable(self, side):
        runs = [run_of((CASE, around(1.0))), run_of((CASE, around(1.0)))]
        runs[side] = with_measurements(runs[side], CASE, notes='["loss_not_finite: nan"]')
        row = only_row(*runs)
        assert row["verdict"] == "incomparable"
        assert row["reason"] == f"{('baseline', 'candidate')[side]}: invalid: loss_not_finite"

    def test_values_hundreds_of_orders_apart_are_judged(self):
        """No overflow, whatever the spread."""
        row = only_row(run_of((CASE, [[1e-300], [1e300]])), run_of((CASE, [[1e300], [1e-300]])))
        assert row["verdict"] == "inconclusive"
        assert row["ci_high"] == math.inf

    def test_runs_without_cases_have_an_empty_table(self):
        assert judgement.judge_runs([run_of()], run_of()).empty

    @pytest.mark.slow
    def test_comparing_a_million_steps_takes_seconds(self):
        """Half a second, as a rule. On any machine it would take far longer to compare every step
        with every other."""
        import time

        generator = np.random.default_rng(1)
        times = 0.001 + generator.exponential(1e-5, (5, 200_000))
        runs = run_of((CASE, times)), run_of((CASE, times))
        began = time.process_time()
        judged(*runs, Rules())
        assert time.process_time() - began < 30
