import io
import json
import time

import pytest
from rich.console import Console
from runs import around, run_of, with_measurements

from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.scaling.sweeps import sweep_rows, sweeps
from hwbench.records import Case
from hwbench.report import terminal
from hwbench.report.page import html

STEP_S = {1: 0.010, 2: 0.011, 4: 0.0161, 8: 0.032, 16: 0.0636}
"""The seconds of a step by batch: 100, 182, 248, 250 and 252 tokens/s, with one token a sample."""


def case(batch, seq=8, dtype="fp32"):
    return Case("gpt/train", {"size": "nano", "batch": batch, "seq": seq, "compile": False}, dtype)


def sweep_run(step_s=STEP_S, cv=0.001, **others):
    run = run_of(
        *((case(batch, **others), around(seconds, cv)) for batch, seconds in step_s.items())
    )
    for batch in step_s:
        run = with_measurements(run, case(batch, **others), tokens=batch)
    return run


def test_the_knee_is_the_smallest_value_within_5_percent_of_the_best():
    (sweep,) = sweeps(sweep_run())
    assert (sweep.axis, sweep.metric, sweep.unit) == ("batch", "tokens_per_s", "tokens/s")
    assert [point.at for point in sweep.points] == [1, 2, 4, 8, 16]
    assert [round(point.rate) for point in sweep.points] == [100, 182, 248, 250, 252]
    assert (sweep.best.at, sweep.knee.at, sweep.is_certain) == (16, 4, True)
    assert sweep.label == "gpt/train size=nano seq=8 fp32 over batch"
    assert sweep.finding == "knee at batch=4: 99 % of the best rate"


def test_one_noisy_value_moves_it_by_a_step_at_most():
    noisy = {**STEP_S, 8: 0.0305}  # 262 tokens/s: the best, by chance
    (sweep,) = sweeps(sweep_run(noisy, cv=0.03))
    assert (sweep.best.at, sweep.knee.at) == (8, 8)
    assert not sweep.is_certain
    assert sweep.finding.endswith("of the best rate, within the intervals' doubt")


def test_a_rising_rate_has_no_knee_and_a_flat_one_has_it_at_the_first_value():
    (rising,) = sweeps(sweep_run(dict.fromkeys((1, 2, 4), 0.01)))
    assert rising.finding == "no knee: the rate still rises at batch=4"
    (flat,) = sweeps(sweep_run({batch: 0.01 * batch for batch in (1, 2, 4)}))
    assert flat.finding == "knee at batch=1 or below: 100 % of the best rate"
    assert sweep_rows(sweep_run(dict.fromkeys((1, 2, 4), 0.01)))[0]["knee"] is None


def test_thousands_of_parameters_are_swept_in_time_that_grows_with_them():
    """Every pair of them would be a million."""
    many = [
        Case("mine", {"batch": batch, **{f"p{n}": n for n in range(990)}, "q": 1}, "-")
        for batch in (1, 2, 4)
    ]
    run = run_of(*((one, around(0.01)) for one in many))
    for one in many:
        run = with_measurements(run, one, tokens=one.params["batch"])
    before = time.process_time()
    assert [sweep.axis for sweep in sweeps(run)] == ["batch"]
    assert time.process_time() - before < 5


def test_a_grid_has_a_sweep_for_each_combination_of_the_others():
    cases = [
        case(batch, seq, dtype)
        for batch in (1, 2, 4)
        for seq in (8, 16)
        for dtype in ("fp32", "bf16")
    ]
    run = run_of(*((one, around(0.01)) for one in cases))
    for one in cases:
        run = with_measurements(run, one, tokens=1)
    assert [(sweep.dtype, sweep.params["seq"], sweep.axis) for sweep in sweeps(run)] == [
        ("fp32", 8, "batch"), ("fp32", 16, "batch"), ("bf16", 8, "batch"), ("bf16", 16, "batch"),
    ]  # fmt: skip


def test_fewer_than_three_usable_values_are_no_sweep():
    assert sweeps(sweep_run({1: 0.01, 2: 0.01})) == []
    run = sweep_run({1: 0.01, 2: 0.01, 4: 0.01})
    assert sweeps(with_measurements(run, case(2), outcome="oom")) == []
    assert sweeps(with_measurements(run, case(2), notes='["loss_not_finite: nan"]')) == []
    # no work, no rate
    assert sweeps(run_of(*((case(batch), around(0.01)) for batch in (1, 2, 4)))) == []


def test_slices_of_a_model_are_not_a_sweep():
    cases = [Case("gpt/train", {"layers": layers}, "fp32") for layers in (1, 2, 3)]
    run = run_of(*((one, around(0.01 * one.params["layers"])) for one in cases))
    whole = {"axis": "layers", "value": 12, "work": {"tokens": 5, "flops": None}}
    for one in cases:
        run = with_measurements(run, one, tokens=5, slice_of=json.dumps(whole))
    assert sweeps(run) == []


class TestShown:
    def test_the_terminal_names_the_knee_and_every_point(self):
        out = io.StringIO()
        for table in terminal.together_tables(sweep_run()):
            Console(file=out, width=100).print(table)
        assert "gpt/train size=nano seq=8 fp32 over batch: knee at batch=4" in out.getvalue()
        assert [line.split()[0] for line in out.getvalue().splitlines()[-5:]] == [
            "1",
            "2",
            "4",
            "8",
            "16",
        ]

    def test_the_page_has_a_curve_and_its_table(self):
        page = html.render([sweep_run()])
        assert '<section id="sweeps">' in page
        assert "Tokens per second: gpt/train size=nano seq=8 fp32 over batch" in page
        assert "batch=4 (knee)" in page
        assert '<section id="sweeps">' not in html.render([sweep_run({1: 0.01, 2: 0.01})])

    def test_data_are_plain(self):
        (row,) = json.loads(json.dumps(terminal.together_rows(sweep_run()), allow_nan=False))[
            "sweeps"
        ]
        assert (row["knee"], row["certain"], row["axis"]) == (4, True, "batch")
        assert [point["at"] for point in row["points"]] == [1, 2, 4, 8, 16]
        assert row["points"][0]["rate"] == pytest.approx(100)


class TestExtrapolatedShown:
    def run(self, slices=(1, 2, 3)):
        cases = [
            Case("gpt/prefill", {"size": "175b", "layers": layers}, "bf16") for layers in slices
        ]
        run = run_of(*((one, around(1 + one.params["layers"], cv=0)) for one in cases))
        whole = {"axis": "layers", "value": 96, "work": {"tokens": 970, "flops": None}}
        for one in cases:
            run = with_measurements(run, one, tokens=970, slice_of=json.dumps(whole))
        return run

    def test_the_terminal_marks_what_is_not_measured(self):
        out = io.StringIO()
        for table in terminal.together_tables(self.run()):
            Console(file=out, width=200).print(table)
        assert "extrapolated, not measured" in out.getvalue()
        assert (
            "gpt/prefill size=175b bf16 (all 96 layers, extrapolated from 1, 2, 3)"
            in out.getvalue()
        )
        assert "97.0 s" in out.getvalue()

    def test_the_page_has_a_table(self):
        page = html.render([self.run()])
        assert "Extrapolated from slices, not measured" in page
        assert "(all 96 layers, extrapolated from 1, 2, 3)" in page
        assert "Extrapolated from slices, not measured" not in html.render([sweep_run()])

    def test_data_are_plain_and_null_without_an_interval(self):
        rows = json.loads(json.dumps(terminal.together_rows(self.run((1, 2))), allow_nan=False))[
            "extrapolated"
        ]
        step = next(row for row in rows if row["metric"] == "step_s_p50")
        assert (step["value"], step["ci_low"], step["method"]) == (
            pytest.approx(97),
            None,
            "extrapolated",
        )

    def test_extrapolated_values_are_not_among_the_metrics(self):
        assert "extrapolated" not in set(summarize(self.run()).method)
