import json
import math

import numpy as np
import pytest
from runs import around, run_of, with_measurements

from hwbench.analysis.scaling.extrapolate import extrapolate, fit, label_of
from hwbench.records import Case

WHOLE = {"axis": "layers", "value": 12, "work": {"tokens": 512, "flops": 10**9, "bytes": None}}


def slice_case(layers: int) -> Case:
    return Case("gpt/train", {"size": "124m", "batch": 1, "layers": layers}, "fp32")


def run_of_slices(times: dict, whole=WHOLE, memory=None):
    """A run whose slices have the step times given, {layers: times of each process}."""
    run = run_of(*((slice_case(layers), processes) for layers, processes in times.items()))
    for layers in times:
        peak = memory(layers) if memory else None
        run = with_measurements(
            run, slice_case(layers), slice_of=json.dumps(whole), memory_peak_bytes=peak
        )
    return run


def by_metric(run):
    return {row["metric"]: row for row in extrapolate(run).to_dict("records")}


def test_slices_on_a_line_give_the_whole_to_the_last_digit():
    rows = by_metric(
        run_of_slices(
            {n: around(1 + 0.5 * n, cv=0) for n in (1, 2, 3)}, memory=lambda n: 100 + 10 * n
        )
    )
    assert rows["step_s_p50"]["value"] == pytest.approx(7.0)
    assert rows["tokens_per_s"]["value"] == pytest.approx(512 / 7)
    assert rows["flops_per_s"]["value"] == pytest.approx(1e9 / 7)
    assert rows["memory_peak_bytes"]["value"] == pytest.approx(220)
    assert set(rows) == {"step_s_p50", "tokens_per_s", "flops_per_s", "memory_peak_bytes"}
    step = rows["step_s_p50"]
    assert (step["ci_low"], step["ci_high"]) == pytest.approx((7, 7))
    assert (step["method"], step["validity"], step["n"], step["slices"]) == (
        "extrapolated",
        "valid",
        15,
        [1, 2, 3],
    )
    assert (
        step["label"]
        == "gpt/train size=124m batch=1 fp32 (all 12 layers, extrapolated from 1, 2, 3)"
    )


def test_two_slices_give_a_value_without_an_interval():
    step = by_metric(run_of_slices({n: around(1 + 0.5 * n) for n in (1, 2)}))["step_s_p50"]
    assert step["value"] == pytest.approx(7.0, rel=0.01)
    assert math.isnan(step["ci_low"])
    assert math.isnan(step["ci_high"])


def test_the_interval_is_that_of_weighted_regression():
    groups = [(1, [1.01, 0.99]), (2, [2.02, 1.98]), (3, [3.03, 2.97])]
    line = fit(groups)
    assert (line.a, line.b) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    assert line.df == 4
    s = math.sqrt(6 * 0.01**2 / 4)
    x, w = np.repeat([1, 2, 3], 2), 1 / np.repeat([1.0, 2, 3], 2) ** 2
    design = np.column_stack([np.ones(6), x])
    v = np.array([1, 12])
    error = s * math.sqrt(144 / 2 + v @ np.linalg.inv(design.T @ np.diag(w) @ design) @ v)
    interval = line.at(12, processes=2)
    # t of 4 degrees of freedom
    assert interval.high - interval.value == pytest.approx(2.7764451 * error, rel=1e-6)


@pytest.mark.parametrize("processes", [1, 3, 5])
def test_intervals_cover_the_truth_as_often_as_they_claim(processes):
    """Noise of one part in a hundred that grows with the step, on a line: 95 % of intervals hold a
    later measurement of as many processes."""
    random, covered, trials, doubted = np.random.default_rng(7), 0, 800, 0
    for _ in range(trials):
        noise = random.normal(1, 0.01, (4, processes))
        line = fit([(n, list((0.3 + 0.1 * n) * noise[i])) for i, n in enumerate((1, 2, 3))])
        later = (0.3 + 0.1 * 12) * noise[3].mean()
        interval = line.at(12, processes)
        covered += interval.low <= later <= interval.high
        doubted += line.misfit
    assert covered / trials == pytest.approx(0.95, abs=0.02)
    assert doubted / trials < 0.025


def test_slices_off_a_line_are_suspect():
    rows = by_metric(run_of_slices({1: around(1), 2: around(2), 3: around(3.5)}))
    assert rows["step_s_p50"]["validity"] == "suspect"
    assert "not_linear" in rows["step_s_p50"]["reasons"]


def test_an_interval_that_reaches_zero_is_dropped_and_suspect():
    rows = by_metric(
        run_of_slices({1: around(1.8, processes=1), 2: around(3.4, processes=1), 3: [[22.1] * 10]})
    )
    assert math.isnan(rows["step_s_p50"]["ci_low"])
    assert math.isnan(rows["tokens_per_s"]["ci_high"])
    assert "not_linear" in rows["step_s_p50"]["reasons"]


def test_a_whole_has_the_reasons_of_its_slices():
    run = run_of_slices({n: around(1 + 0.5 * n) for n in (1, 2, 3)})
    hot = with_measurements(run, slice_case(2), notes='["throttled: for heat"]')
    assert by_metric(hot)["step_s_p50"]["reasons"] == ["throttled"]
    wrong = with_measurements(run, slice_case(2), notes='["loss_not_finite: nan"]')
    assert extrapolate(wrong).empty


def test_a_whole_of_wide_slices_is_wide_by_the_interval_that_it_has():
    step = by_metric(run_of_slices({n: around(1 + 0.5 * n, cv=0.1) for n in (1, 2, 3)}))[
        "step_s_p50"
    ]
    assert (step["validity"], step["reasons"]) == ("wide", ["not_converged"])
    assert step["ci_low"] < step["value"] < step["ci_high"]


def test_a_whole_of_two_wide_slices_has_no_interval_and_is_suspect():
    step = by_metric(run_of_slices({n: around(1 + 0.5 * n, cv=0.1) for n in (1, 2)}))["step_s_p50"]
    assert math.isnan(step["ci_low"])
    assert (step["validity"], step["reasons"]) == ("suspect", ["not_converged"])


def test_only_slices_of_the_same_whole_are_fitted_together():
    alone = run_of((slice_case(1), around(1)), (slice_case(2), around(2)))
    assert extrapolate(alone).empty  # neither says what it is a slice of
    run = run_of_slices({1: around(1), 2: around(2)})
    other = {**WHOLE, "value": 24}
    assert extrapolate(with_measurements(run, slice_case(2), slice_of=json.dumps(other))).empty
    assert extrapolate(run_of_slices({1: around(1)})).empty
    failed = with_measurements(run, slice_case(2), outcome="oom")
    assert extrapolate(failed).empty


def test_without_declared_work_there_is_no_rate_and_without_peaks_no_memory():
    whole = {**WHOLE, "work": {"tokens": None, "flops": None, "bytes": 5}}
    assert set(by_metric(run_of_slices({n: around(n) for n in (1, 2, 3)}, whole))) == {"step_s_p50"}


def test_a_line_that_falls_below_zero_has_no_value():
    assert extrapolate(run_of_slices({1: around(3), 2: around(2), 3: around(1)})).empty


def test_the_label_names_the_slices():
    said = label_of("gpt/prefill", {"size": "175b", "layers": 96}, "bf16", "layers", [1, 2])
    assert said == "gpt/prefill size=175b bf16 (all 96 layers, extrapolated from 1, 2)"
