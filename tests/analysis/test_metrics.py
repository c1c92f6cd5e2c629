import json
import math

import pytest
from runs import make_run, measured

from hwbench import tables
from hwbench.analysis import metrics
from hwbench.analysis.metrics import steps as timed
from hwbench.records import Case, Declared, Measurement, Policy, Samples, Spans, Window, Work
from hwbench.report.terminal.run import summary_rows

GEMM = Case("gemm", {"m": 4}, "fp32")


def summary_of(writer):
    table = metrics.summarize(tables.read_run(writer.folder))
    return table.pivot_table(index="case_id", columns="metric", values="value", sort=False)


def window(steps, spans=(), warmup=1):
    """A window of steps of these seconds, each with these (name, seconds) spans; the first `warmup`
    are warm-up."""
    n = len(steps)
    flat = [(step, position, *span) for step in range(n) for position, span in enumerate(spans)]
    return Window(
        "host",
        Samples(list(range(n)), [i < warmup for i in range(n)], [0] * n, list(steps), [""] * n),
        Spans(
            [f[0] for f in flat], [f[2] for f in flat], [f[1] for f in flat], [f[3] for f in flat]
        ),
        window_s=sum(steps[warmup:]),
        converged=True,
    )


def test_throughput_is_work_over_the_window(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    writer.add(training, 0, measured(step_s=0.003, steps=10))
    found = summary_of(writer).loc[training.case_id]
    assert found.tokens_per_s == 10_000
    assert found.flops_per_s == 2_000_000
    assert found.bytes_per_s == 300_000
    assert found.step_s_p50 == pytest.approx(0.003, rel=1e-12)


def test_the_process_is_the_unit(tmp_path, training):
    """A process with many fast steps weighs as much as one with few slow ones."""
    writer = make_run(tmp_path, "r", [training])
    for process, (step_s, steps) in enumerate([(0.001, 1000), (0.002, 10), (0.004, 10)]):
        writer.add(training, process, measured(step_s=step_s, steps=steps))
    table = metrics.summarize(tables.read_run(writer.folder)).set_index("metric")
    assert table.value["step_s_p50"] == pytest.approx(0.002)
    assert table.n["step_s_p50"] == 3
    assert table.n["step_s_p99"] == 1  # only one process has the 100 samples that a p99 takes


def test_percentiles_are_blank_where_samples_are_few(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    writer.add(training, 0, measured(steps=19))
    found = set(summary_of(writer).columns)
    assert {"step_s_p50", "step_s_p90"} <= found
    assert not {"step_s_p95", "step_s_p99"} & found


def test_warm_up_counts_for_nothing(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    slow_first = window([9.0, 1.0, 1.0], [("prefill", 0.5)])
    writer.add(training, 0, Measurement("ok", work=Work(tokens=4), window=slow_first))
    found = summary_of(writer).loc[training.case_id]
    assert found.tokens_per_s == 4
    assert found.step_s_p50 == 1.0
    assert found.ttft_s_p50 == 0.5


def test_generation_has_ttft_itl_and_tpot(tmp_path, training):
    """tpot_s = (latency − TTFT)/(output tokens − 1): a first token after 4 s, two more after 1 s
    and 2 s."""
    writer = make_run(tmp_path, "r", [training])
    spans = [("prefill", 4.0), ("decode", 1.0), ("decode", 2.0)]
    writer.add(training, 0, Measurement("ok", window=window([7.0] * 11, spans)))
    found = summary_of(writer).loc[training.case_id]
    assert found.ttft_s_p50 == 4.0
    assert found.tpot_s_p50 == 1.5
    assert found.itl_s_p50 == 1.5
    assert found.itl_s_p90 == 2.0


def test_the_share_of_the_ceiling_is_over_the_best_gemm_of_the_same_dtype(tmp_path, training):
    other = Case("gpt/train", {"size": "nano", "batch": 1}, "bf16")
    slow = Case("gemm", {"m": 2}, "fp32")
    writer = make_run(tmp_path, "r", [training, GEMM, slow, other])
    writer.add(training, 0, measured(step_s=0.003))
    writer.add(other, 0, measured(step_s=0.003))
    writer.add(GEMM, 0, measured(step_s=0.001))
    writer.add(slow, 0, measured(step_s=0.002))
    share = summary_of(writer).mfu_achievable
    assert share[training.case_id] == pytest.approx(1 / 3)
    assert share[GEMM.case_id] == 1
    # no bf16 gemm was measured: unknown, not the fp32 one's share
    assert math.isnan(share[other.case_id])


@pytest.mark.parametrize("load", ["cold", "sustained"])
def test_a_gemm_of_a_searched_shape_is_a_ceiling_too(tmp_path, training, load):
    best = Case("gemm/best", {"load": load}, "fp32")
    writer = make_run(tmp_path, "r", [training, GEMM, best])
    for case, step_s in ((training, 0.003), (GEMM, 0.002), (best, 0.001)):
        writer.add(case, 0, measured(step_s=step_s))
    assert summary_of(writer).mfu_achievable[training.case_id] == pytest.approx(1 / 3)


def test_a_gemm_that_is_beaten_is_no_ceiling(tmp_path, training):
    writer = make_run(tmp_path, "r", [training, GEMM])
    writer.add(training, 0, measured(step_s=0.001))
    writer.add(GEMM, 0, measured(step_s=0.002))
    share = summary_of(writer).mfu_achievable
    assert share[GEMM.case_id] == 1
    assert training.case_id not in share.dropna()


def test_work_beyond_64_bits_over_a_window_is_no_negative_rate(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    writer.add(training, 0, measured(steps=100, work=Work(flops=10**18)))
    assert summary_of(writer).flops_per_s[training.case_id] == pytest.approx(10**18 / 0.003)


def test_span_times_put_all_marks_of_a_name_together_and_show_the_rest(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    spans = [("decode", 1.0), ("decode", 2.0)]
    writer.add(training, 0, Measurement("ok", window=window([4.0, 4.0, 4.0], spans)))
    found = timed.span_times(tables.read_run(writer.folder))
    assert found[["name", "seconds"]].to_numpy().tolist() == [["decode", 3.0], ["(rest)", 1.0]]


def test_a_rest_of_nothing_is_not_shown(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    writer.add(training, 0, measured())
    assert list(timed.span_times(tables.read_run(writer.folder)).name) == ["forward", "backward"]


def test_a_loss_that_is_not_finite_makes_the_case_invalid(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    for process, notes in enumerate([[], [], ["loss_not_finite: the last step returned nan"]]):
        writer.add(training, process, measured(notes=notes))
    table = metrics.summarize(tables.read_run(writer.folder))
    assert set(table.validity) == {"invalid"}
    assert json.loads(table.reasons[0]) == ["loss_not_finite"]


@pytest.mark.parametrize("durations", [[0.003] * 3, [0.003, 0.0031, 0.0032]])
def test_doubts_make_a_case_suspect_whatever_its_interval(tmp_path, training, durations):
    writer = make_run(tmp_path, "r", [training])
    for process, step_s in enumerate(durations):
        writer.add(
            training,
            process,
            measured(step_s=step_s, notes=["foreign_load: 20 % of the processors"]),
        )
    table = metrics.summarize(tables.read_run(writer.folder))
    assert set(table.validity) == {"suspect"}
    assert "foreign_load" in json.loads(table.reasons[0])


def test_cases_tell_the_outcome_of_each(tmp_path, training):
    missing = Case("copy", {}, "fp32")
    writer = make_run(tmp_path, "r", [training, GEMM, missing], policy=Policy(processes=2))
    writer.add(training, 0, measured())
    writer.add(training, 1, measured())
    writer.add(GEMM, 0, measured())
    writer.add(GEMM, 1, Measurement("oom", "no memory"))
    found = metrics.cases(tables.read_run(writer.folder))
    assert found.outcome.tolist() == ["ok", "oom", "missing"]
    assert found.processes.tolist() == [2, 1, 0]
    assert found.planned.tolist() == [2, 2, 2]
    assert found.reason[1] == "no memory"


def test_a_run_without_a_measured_case_has_no_metrics(tmp_path, training):
    writer = make_run(tmp_path, "r", [training])
    writer.add(training, 0, Measurement("error", "x"))
    run = tables.read_run(writer.folder)
    assert metrics.summarize(run).empty
    assert timed.span_times(run).empty
    tables.write_derived(run.folder, "metrics", metrics.summarize(run))


def test_memory_is_held_against_its_prediction_without_what_was_there_before(tmp_path, training):
    writer = make_run(tmp_path, "r", [training, GEMM])
    predicted = {"memory_base_bytes": 1000, "declared": Declared(memory_bytes=600)}
    writer.add(training, 0, measured(memory_peak_bytes=1500, **predicted))
    writer.add(GEMM, 0, measured(memory_peak_bytes=900, **predicted))
    found = summary_of(writer)
    assert found.loc[
        training.case_id, ["memory_predicted_bytes", "memory_predicted_ratio"]
    ].tolist() == [600, 1.2]
    assert math.isnan(found.memory_predicted_ratio[GEMM.case_id])  # less than before: no ratio
    # neither more nor less of them is better
    assert not set(metrics.PREDICTIONS) & set(metrics.METRICS)


def test_cases_tell_what_their_processes_settled_for(tmp_path, training):
    writer = make_run(tmp_path, "r", [training, GEMM])
    for process, shape in enumerate(["n=64", "n=128", "n=64"]):
        writer.add(
            training,
            process,
            measured(declared=Declared(choices={"attention": "flash", "shape": shape})),
        )
    writer.add(GEMM, 0, Measurement("oom", "no memory"))
    run = tables.read_run(writer.folder)
    assert metrics.cases(run).choices.tolist() == [
        {"attention": "flash", "shape": "n=64, n=128"},
        {},
    ]
    older = tables.RunTables(
        run.folder, run.runs, run.measurements.assign(choices=None), run.samples, run.spans
    )
    assert metrics.cases(older).choices.tolist() == [{}, {}]
    assert summary_rows(run)[0]["choices"] == {"attention": "flash", "shape": "n=64, n=128"}


class TestIntervals:
    def run(self, tmp_path, training, durations, **fields):
        writer = make_run(tmp_path, "r", [training])
        for process, step_s in enumerate(durations):
            writer.add(training, process, measured(step_s=step_s, **fields))
        return tables.read_run(writer.folder)

    def test_the_unit_is_the_process(self, tmp_path, training):
        """Logs of the processes' medians are −1, 0 and 1 above that of 3 ms: see test_stats."""
        run = self.run(tmp_path, training, [0.003 / math.e, 0.003, 0.003 * math.e])
        row = metrics.summarize(run).set_index("metric").loc["step_s_p50"]
        assert row.value == pytest.approx(0.003)
        assert row.ci_high / row.value == pytest.approx(math.exp(4.302652729911275 / math.sqrt(3)))
        assert row.ci_high / row.value == pytest.approx(row.value / row.ci_low)
        assert row.method == "t_of_log_processes"
        assert json.loads(row.reasons) == ["not_converged", "high_variation"]

    def test_processes_that_agree_are_valid(self, tmp_path, training):
        table = metrics.summarize(self.run(tmp_path, training, [0.003] * 3))
        assert set(table.validity) == {"valid"}

    def test_an_interval_wider_than_the_precision_makes_a_case_wide(self, tmp_path, training):
        table = metrics.summarize(self.run(tmp_path, training, [0.003, 0.0031, 0.0032]))
        assert set(table.validity) == {"wide"}
        assert json.loads(table.reasons[0]) == ["not_converged"]

    def test_an_interval_within_the_precision_that_was_asked_for_is_valid(self, tmp_path, training):
        writer = make_run(tmp_path, "r", [training], policy=Policy(precision=0.2))
        for process, step_s in enumerate([0.003, 0.0031, 0.0032]):
            writer.add(training, process, measured(step_s=step_s))
        assert set(metrics.summarize(tables.read_run(writer.folder)).validity) == {"valid"}

    def test_two_processes_are_few_and_wide(self, tmp_path, training):
        table = metrics.summarize(self.run(tmp_path, training, [0.003] * 2))
        assert set(table.validity) == {"wide"}
        assert json.loads(table.reasons[0]) == ["few_processes"]

    def test_one_process_has_no_interval_and_is_suspect(self, tmp_path, training):
        table = metrics.summarize(self.run(tmp_path, training, [0.003]))
        assert set(table.validity) == {"suspect"}
        assert json.loads(table.reasons[0]) == ["no_interval"]

    def test_a_run_stored_as_suspect_is_wide_when_read_again(self, tmp_path, training):
        """The table `metrics` is derived: what an older hwbench stored in it is never read back."""
        run = self.run(tmp_path, training, [0.003, 0.0031, 0.0032])
        tables.write_derived(
            run.folder, "metrics", metrics.summarize(run).assign(validity="suspect")
        )
        assert set(metrics.summarize(tables.read_run(run.folder)).validity) == {"wide"}

    def test_of_one_process_the_order_statistics_speak(self, tmp_path, training):
        table = metrics.summarize(self.run(tmp_path, training, [0.003], steps=50)).set_index(
            "metric"
        )
        assert table.method["step_s_p50"] == "order_statistics_of_one_process"
        assert table.ci_low["step_s_p50"] == pytest.approx(0.003)
        assert math.isnan(table.ci_low["tokens_per_s"])

    def test_of_the_one_process_that_is_long_enough_its_own_steps_speak(self, tmp_path, training):
        writer = make_run(tmp_path, "r", [training])
        for process, (step_s, steps) in enumerate([(0.001, 150), (0.002, 50), (0.003, 50)]):
            writer.add(training, process, measured(step_s=step_s, steps=steps))
        row = (
            metrics.summarize(tables.read_run(writer.folder)).set_index("metric").loc["step_s_p99"]
        )
        assert (row.value, row.n) == (pytest.approx(0.001), 1)

    def test_a_share_of_the_ceiling_is_of_the_ceiling_of_its_round(self, tmp_path, training):
        """A ceiling that varies makes the share vary as much, not look exact."""
        gemm = Case("gemm", {"n": 64}, "fp32")
        writer = make_run(tmp_path, "r", [training, gemm])
        for process, step_s in enumerate([0.002, 0.003, 0.004]):
            writer.add(training, process, measured(step_s=0.003, work=Work(flops=600)))
            writer.add(gemm, process, measured(step_s=step_s, work=Work(flops=1200)))
        run = tables.read_run(writer.folder)
        shares = (
            metrics.per_process(run)
            .query("metric == 'mfu_achievable' and case_id == @training.case_id")
            .value
        )
        assert shares.tolist() == pytest.approx([1 / 3, 1 / 2, 2 / 3])

    def test_spread_tells_within_from_between(self, tmp_path, training):
        found = metrics.spread(self.run(tmp_path, training, [0.002, 0.004])).iloc[0]
        assert found.between_cv == pytest.approx(math.sqrt(2) / 3)
        assert found.within_cv == pytest.approx(0, abs=1e-9)
        assert found.outliers == 0
