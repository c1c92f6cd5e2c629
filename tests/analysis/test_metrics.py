"""The metrics of runs whose every figure is known."""

import json
import math
from dataclasses import replace

import pytest
from runs import measured, run_of, window_of

from hwbench import tables
from hwbench.analysis import metrics
from hwbench.analysis.metrics import steps as timed
from hwbench.records import Case, Declared, Measurement, Policy, Work
from hwbench.report.terminal.run import summary_rows

GEMM = Case("gemm", {"m": 4}, "fp32")


def summary_of(run):
    table = metrics.summarize(run)
    return table.pivot_table(index="case_id", columns="metric", values="value", sort=False)


def test_throughput_is_work_over_the_window(training):
    run = run_of((training, [measured(step_s=0.003, steps=10)]))
    found = summary_of(run).loc[training.case_id]
    assert found.tokens_per_s == 10_000
    assert found.flops_per_s == 2_000_000
    assert found.bytes_per_s == 300_000
    assert found.step_s_p50 == pytest.approx(0.003, rel=1e-12)


def test_the_process_is_the_unit(training):
    """A process with many fast steps weighs as much as one with few slow ones."""
    processes = [measured(0.001, 1000), measured(0.002, 10), measured(0.004, 10)]
    table = metrics.summarize(run_of((training, processes))).set_index("metric")
    assert table.value["step_s_p50"] == pytest.approx(0.002)
    assert table.n["step_s_p50"] == 3
    assert table.n["step_s_p99"] == 1  # only one process has the 100 samples that a p99 takes


def test_percentiles_are_blank_where_samples_are_few(training):
    found = set(summary_of(run_of((training, [measured(steps=19)]))).columns)
    assert {"step_s_p50", "step_s_p90"} <= found
    assert not {"step_s_p95", "step_s_p99"} & found


def test_warm_up_counts_for_nothing(training):
    slow_first = window_of([9.0, 1.0, 1.0], [("prefill", 0.5)], warmup=1)
    run = run_of((training, [Measurement("ok", work=Work(tokens=4), window=slow_first)]))
    found = summary_of(run).loc[training.case_id]
    assert found.tokens_per_s == 4
    assert found.step_s_p50 == 1.0
    assert found.ttft_s_p50 == 0.5


def test_generation_has_ttft_itl_and_tpot(training):
    """tpot_s = (latency − TTFT)/(output tokens − 1): a first token after 4 s, two more after 1 s
    and 2 s."""
    spans = [("prefill", 4.0), ("decode", 1.0), ("decode", 2.0)]
    run = run_of((training, [Measurement("ok", window=window_of([7.0] * 11, spans, warmup=1))]))
    found = summary_of(run).loc[training.case_id]
    assert found.ttft_s_p50 == 4.0
    assert found.tpot_s_p50 == 1.5
    assert found.itl_s_p50 == 1.5
    assert found.itl_s_p90 == 2.0


def test_the_share_of_the_ceiling_is_over_the_best_gemm_of_the_same_dtype(training):
    other = Case("gpt/train", {"size": "nano", "batch": 1}, "bf16")
    slow = Case("gemm", {"m": 2}, "fp32")
    run = run_of(
        (training, [measured(0.003)]),
        (other, [measured(0.003)]),
        (GEMM, [measured(0.001)]),
        (slow, [measured(0.002)]),
    )
    share = summary_of(run).mfu_achievable
    assert share[training.case_id] == pytest.approx(1 / 3)
    assert share[GEMM.case_id] == 1
    # no bf16 gemm was measured: unknown, not the fp32 one's share
    assert math.isnan(share[other.case_id])


@pytest.mark.parametrize("load", ["cold", "sustained"])
def test_a_gemm_of_a_searched_shape_is_a_ceiling_too(training, load):
    best = Case("gemm/best", {"load": load}, "fp32")
    run = run_of(
        (training, [measured(0.003)]), (GEMM, [measured(0.002)]), (best, [measured(0.001)])
    )
    assert summary_of(run).mfu_achievable[training.case_id] == pytest.approx(1 / 3)


def test_a_workload_faster_than_the_gemm_has_no_share(training):
    run = run_of((training, [measured(0.001)]), (GEMM, [measured(0.002)]))
    share = summary_of(run).mfu_achievable
    assert share[GEMM.case_id] == 1
    assert training.case_id not in share.dropna()


def test_work_beyond_64_bits_over_a_window_is_no_negative_rate(training):
    run = run_of((training, [measured(steps=100, work=Work(flops=10**18))]))
    assert summary_of(run).flops_per_s[training.case_id] == pytest.approx(10**18 / 0.003)


def test_span_times_add_up_marks_of_one_name_and_show_the_rest(training):
    window = window_of([4.0, 4.0, 4.0], [("decode", 1.0), ("decode", 2.0)], warmup=1)
    found = timed.span_times(run_of((training, [Measurement("ok", window=window)])))
    assert found[["name", "seconds"]].to_numpy().tolist() == [["decode", 3.0], ["(rest)", 1.0]]


def test_a_rest_of_nothing_is_not_shown(training):
    times = timed.span_times(run_of((training, [measured()])))
    assert list(times.name) == ["forward", "backward"]


def test_a_loss_that_is_not_finite_makes_the_case_invalid(training):
    broken = measured(notes=["loss_not_finite: the last step returned nan"])
    table = metrics.summarize(run_of((training, [measured(), measured(), broken])))
    assert set(table.validity) == {"invalid"}
    assert json.loads(table.reasons[0]) == ["loss_not_finite"]


@pytest.mark.parametrize("durations", [[0.003] * 3, [0.003, 0.0031, 0.0032]])
def test_doubts_make_a_case_suspect_whatever_its_interval(training, durations):
    notes = ["foreign_load: 20 % of the processors"]
    processes = [measured(step_s, notes=notes) for step_s in durations]
    table = metrics.summarize(run_of((training, processes)))
    assert set(table.validity) == {"suspect"}
    assert "foreign_load" in json.loads(table.reasons[0])


def test_cases_have_the_outcome_of_each(training):
    missing = Case("copy", {}, "fp32")
    run = run_of(
        (training, [measured(), measured()]),
        (GEMM, [measured(), Measurement("oom", "no memory")]),
        (missing, []),
        policy=Policy(processes=2),
    )
    found = metrics.cases(run)
    assert found.outcome.tolist() == ["ok", "oom", "missing"]
    assert found.processes.tolist() == [2, 1, 0]
    assert found.planned.tolist() == [2, 2, 2]
    assert found.reason[1] == "no memory"


def test_a_run_without_a_measured_case_has_no_metrics(tmp_path, training):
    run = run_of((training, [Measurement("error", "x")]), folder=tmp_path)
    assert metrics.summarize(run).empty
    assert timed.span_times(run).empty
    tables.write_derived(run.folder, "metrics", metrics.summarize(run))


def test_memory_is_compared_with_its_prediction_without_what_was_held_before(training):
    predicted = {"memory_base_bytes": 1000, "declared": Declared(memory_bytes=600)}
    run = run_of(
        (training, [measured(memory_peak_bytes=1500, **predicted)]),
        (GEMM, [measured(memory_peak_bytes=900, **predicted)]),
    )
    found = summary_of(run)
    assert found.memory_predicted_bytes[training.case_id] == 600
    assert found.memory_predicted_ratio[training.case_id] == 1.2
    assert math.isnan(found.memory_predicted_ratio[GEMM.case_id])  # less than before: no ratio
    # neither more nor less of them is better
    assert not set(metrics.PREDICTIONS) & set(metrics.METRICS)


def test_cases_list_the_choices_of_their_processes(training):
    made = [{"attention": "flash", "shape": shape} for shape in ("n=64", "n=128", "n=64")]
    processes = [measured(declared=Declared(choices=choices)) for choices in made]
    run = run_of((training, processes), (GEMM, [Measurement("oom", "no memory")]))
    both = {"attention": "flash", "shape": "n=64, n=128"}
    assert metrics.cases(run).choices.tolist() == [both, {}]
    older = replace(run, measurements=run.measurements.assign(choices=None))
    assert metrics.cases(older).choices.tolist() == [{}, {}]
    assert summary_rows(run)[0]["choices"] == both


class TestIntervals:
    def run(self, training, durations, **fields):
        return run_of((training, [measured(step_s, **fields) for step_s in durations]))

    def test_the_unit_is_the_process(self, training):
        """Logs of the processes' medians are −1, 0 and 1 above that of 3 ms: see test_stats."""
        run = self.run(training, [0.003 / math.e, 0.003, 0.003 * math.e])
        row = metrics.summarize(run).set_index("metric").loc["step_s_p50"]
        assert row.value == pytest.approx(0.003)
        assert row.ci_high / row.value == pytest.approx(math.exp(4.302652729911275 / math.sqrt(3)))
        assert row.ci_high / row.value == pytest.approx(row.value / row.ci_low)
        assert row.method == "t_of_log_processes"
        assert json.loads(row.reasons) == ["not_converged", "high_variation"]

    def test_processes_that_agree_are_valid(self, training):
        table = metrics.summarize(self.run(training, [0.003] * 3))
        assert set(table.validity) == {"valid"}

    def test_an_interval_wider_than_the_precision_makes_a_case_wide(self, training):
        table = metrics.summarize(self.run(training, [0.003, 0.0031, 0.0032]))
        assert set(table.validity) == {"wide"}
        assert json.loads(table.reasons[0]) == ["not_converged"]

    def test_an_interval_within_the_precision_that_was_asked_for_is_valid(self, training):
        processes = [measured(step_s) for step_s in (0.003, 0.0031, 0.0032)]
        run = run_of((training, processes), policy=Policy(precision=0.2))
        assert set(metrics.summarize(run).validity) == {"valid"}

    def test_two_processes_are_few_and_wide(self, training):
        table = metrics.summarize(self.run(training, [0.003] * 2))
        assert set(table.validity) == {"wide"}
        assert json.loads(table.reasons[0]) == ["few_processes"]

    def test_one_process_has_no_interval_and_is_suspect(self, training):
        table = metrics.summarize(self.run(training, [0.003]))
        assert set(table.validity) == {"suspect"}
        assert json.loads(table.reasons[0]) == ["no_interval"]

    def test_a_run_stored_as_suspect_is_wide_when_read_again(self, tmp_path, training):
        """The table `metrics` is derived: the one that an older hwbench stored is never read."""
        processes = [measured(step_s) for step_s in (0.003, 0.0031, 0.0032)]
        run = run_of((training, processes), folder=tmp_path)
        suspect = metrics.summarize(run).assign(validity="suspect")
        tables.write_derived(run.folder, "metrics", suspect)
        assert set(metrics.summarize(tables.read_run(run.folder)).validity) == {"wide"}

    def test_one_process_has_an_order_statistic_interval(self, training):
        table = metrics.summarize(self.run(training, [0.003], steps=50)).set_index("metric")
        assert table.method["step_s_p50"] == "order_statistics_of_one_process"
        assert table.ci_low["step_s_p50"] == pytest.approx(0.003)
        assert math.isnan(table.ci_low["tokens_per_s"])

    def test_the_only_process_long_enough_has_an_order_statistic_interval(self, training):
        processes = [measured(0.001, 150), measured(0.002, 50), measured(0.003, 50)]
        table = metrics.summarize(run_of((training, processes))).set_index("metric")
        row = table.loc["step_s_p99"]
        assert (row.value, row.n) == (pytest.approx(0.001), 1)

    def test_a_share_of_the_ceiling_is_of_the_ceiling_of_its_round(self, training):
        """A ceiling that varies makes the share vary as much."""
        gemm = Case("gemm", {"n": 64}, "fp32")
        best = [measured(step_s, work=Work(flops=1200)) for step_s in (0.002, 0.003, 0.004)]
        run = run_of((training, [measured(0.003, work=Work(flops=600))] * 3), (gemm, best))
        values = metrics.per_process(run).query("case_id == @training.case_id")
        shares = values[values.metric == "mfu_achievable"].value
        assert shares.tolist() == pytest.approx([1 / 3, 1 / 2, 2 / 3])

    def test_spread_separates_within_from_between_processes(self, training):
        found = metrics.spread(self.run(training, [0.002, 0.004])).iloc[0]
        assert found.between_cv == pytest.approx(math.sqrt(2) / 3)
        assert found.within_cv == pytest.approx(0, abs=1e-9)
        assert found.outliers == 0
