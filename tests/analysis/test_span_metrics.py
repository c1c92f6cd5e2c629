"""What the parts of a step come to. A fake step spends a third in `forward` and the rest in
`backward`."""

import json
import math

import pandas as pd
import pytest
from runs import make_run, measured, whole

from hwbench import tables
from hwbench.analysis.metrics import spans as span_metrics
from hwbench.analysis.metrics import steps as timed
from hwbench.records import Case, Declared, Measurement, Samples, Spans, Window, Work

A100 = "NVIDIA A100-SXM4-80GB"
TRAIN = Case("gpt/train", {"size": "nano"}, "bf16")
GEMM = Case("gemm", {"n": 64}, "bf16")
COPY = Case("copy", {"op": "copy", "mb": 256}, "fp32")
SPANS = {
    "forward": Work(flops=600, bytes=200),
    "backward": Work(flops=1200, hardware_flops=1800, bytes=300),
}


def run_of(tmp_path, *processes, spans=SPANS, device="Fake device", case=TRAIN, ceilings=True):
    """A run of `case`, whose processes take so many seconds a step, with ceilings of 1 MFLOP/s and
    1 MB/s."""
    others = [(GEMM, Work(flops=1000)), (COPY, Work(bytes=1000))] if ceilings else []
    writer = make_run(tmp_path, "r", [case, *(other for other, _ in others)])
    for process, step_s in enumerate(processes):
        writer.add(case, process, measured(step_s=step_s, declared=Declared(spans=spans)))
        for other, work in others:
            writer.add(other, process, measured(step_s=0.001, work=work))
    run = tables.read_run(writer.folder)
    runs = run.runs.assign(device_name=device, environment=json.dumps(whole(device)))
    return tables.RunTables(run.folder, runs, run.measurements, run.samples, run.spans)


def rows(run):
    return span_metrics.summarize_spans(run).set_index(["span", "metric"])


def test_a_rate_is_the_work_of_the_span_over_its_time(tmp_path):
    found = rows(run_of(tmp_path, 0.003))
    assert found.value["forward", "flops_per_s"] == pytest.approx(600_000)
    assert found.value["forward", "bytes_per_s"] == pytest.approx(200_000)
    assert found.value["backward", "flops_per_s"] == pytest.approx(600_000)
    assert found.value["backward", "intensity"] == pytest.approx(4)
    assert set(found.unit[:, "intensity"]) == {"FLOP/B"}


def test_the_shares_are_of_the_ceilings_of_the_same_run(tmp_path):
    found = rows(run_of(tmp_path, 0.003))
    assert found.value["forward", "mfu_achievable"] == pytest.approx(0.6)
    assert found.value["backward", "mbu_achievable"] == pytest.approx(0.15)
    assert found.source["forward", "mfu_achievable"] == "measured in this run: gemm n=64 bf16"


def test_the_shares_are_of_the_peaks_of_the_device(tmp_path):
    found = rows(run_of(tmp_path, 0.003, device=A100, ceilings=False))
    assert found.value["backward", "mfu"] == pytest.approx(600_000 / 312e12)
    assert found.value["backward", "hfu"] == pytest.approx(900_000 / 312e12)
    assert found.value["backward", "mbu"] == pytest.approx(150_000 / 2.039e12)
    assert found.loc[("backward", "hfu"), ["peak", "peak_dtype"]].tolist() == [312e12, "bf16"]
    assert ("forward", "hfu") not in found.index  # not declared
    assert ("backward", "mfu_palm") not in found.index
    assert not {"mfu_achievable", "mbu_achievable"} & set(found.index.get_level_values("metric"))


def test_the_process_is_the_unit(tmp_path):
    row = rows(run_of(tmp_path, 0.001, 0.002, 0.004)).loc[("forward", "flops_per_s")]
    assert (row.value, row.n) == (pytest.approx(900_000), 3)
    assert row.ci_low < row.value < row.ci_high
    assert (row.method, row.validity) == ("t_of_log_processes", "suspect")
    assert json.loads(row.reasons) == ["not_converged", "high_variation"]


def test_an_update_has_bytes_and_no_share_of_a_matmul(tmp_path):
    spans = {"forward": SPANS["forward"], "optimizer": Work(flops=400, bytes=800)}
    case = Case("fake/update", {}, "bf16")
    writer = make_run(tmp_path, "r", [case, GEMM, COPY])
    steps = Samples([0, 1], [False, False], [0, 3], [0.003, 0.003], ["", ""])
    marks = Spans([0, 0, 1, 1], ["forward", "optimizer"] * 2, [0, 1] * 2, [0.001, 0.002] * 2)
    window = Window("host", steps, marks, 0.006, True)
    writer.add(case, 0, Measurement("ok", window=window, declared=Declared(spans=spans)))
    writer.add(GEMM, 0, measured(step_s=0.001, work=Work(flops=1000)))
    writer.add(COPY, 0, measured(step_s=0.001, work=Work(bytes=1000)))
    run = tables.read_run(writer.folder)
    runs = run.runs.assign(device_name=A100, environment=json.dumps(whole(A100)))
    found = rows(tables.RunTables(run.folder, runs, run.measurements, run.samples, run.spans))
    assert found.value["optimizer", "mbu_achievable"] == pytest.approx(0.4)
    assert found.value["optimizer", "intensity"] == 0.5
    assert set(found.loc["optimizer"].index) == {
        "flops_per_s", "bytes_per_s", "intensity", "mbu", "mbu_achievable"
    }  # fmt: skip
    assert {"mfu", "mfu_achievable"} <= set(found.loc["forward"].index)


def test_all_marks_of_one_name_count_together(tmp_path):
    writer = make_run(tmp_path, "r", [TRAIN])
    steps = Samples([0, 1], [True, False], [0, 9], [9.0, 4.0], ["", ""])
    marks = Spans([0, 1, 1], ["decode"] * 3, [0, 0, 1], [9.0, 1.0, 2.0])
    spans = {"decode": Work(flops=600), "elsewhere": Work(flops=1)}
    window = Window("host", steps, marks, 4.0, True)
    writer.add(TRAIN, 0, Measurement("ok", window=window, declared=Declared(spans=spans)))
    run = tables.read_run(writer.folder)
    assert timed.spans_of_processes(run).seconds.tolist() == [3.0]
    assert rows(run).value.to_dict() == {("decode", "flops_per_s"): 200.0}


def test_a_span_within_a_cache_has_no_share_of_memory(tmp_path):
    cached = Case("copy", {"op": "copy", "level": "l1"}, "fp32")
    spans = {"forward": Work(bytes=200)}
    found = rows(run_of(tmp_path, 0.003, spans=spans, case=cached, device=A100))
    assert set(found.index.get_level_values("metric")) == {"bytes_per_s"}


@pytest.mark.parametrize("spans", [{}, {"forward": Work(tokens=3)}, {"nowhere": Work(flops=3)}])
def test_spans_without_declared_work_have_no_rows(tmp_path, spans):
    run = run_of(tmp_path, 0.003, spans=spans)
    table = span_metrics.summarize_spans(run)
    assert table.empty
    tables.write_derived(run.folder, "span_metrics", table)
    assert (run.folder / "span_metrics" / "span_metrics.parquet").is_file()


def test_an_older_run_says_nothing_of_its_spans(tmp_path):
    run = run_of(tmp_path, 0.003)
    older = run.measurements.assign(span_work=None, hardware_flops=math.nan)
    older = tables.RunTables(run.folder, run.runs, older, run.samples, run.spans)
    assert span_metrics.summarize_spans(older).empty


def test_the_table_can_be_read_back(tmp_path):
    run = run_of(tmp_path, 0.003)
    table = span_metrics.summarize_spans(run)
    tables.write_derived(run.folder, "span_metrics", table)
    back = pd.read_parquet(run.folder / "span_metrics")
    assert back.columns.tolist() == span_metrics.SPAN_METRICS_COLUMNS
    assert back.value.tolist() == table.value.tolist()
