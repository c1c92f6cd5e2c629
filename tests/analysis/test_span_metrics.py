"""The metrics of spans. A fake step spends a third in `forward` and the rest in `backward`."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
from runs import measured, run_of, window_of

from hwbench import tables
from hwbench.analysis.metrics import spans as span_metrics
from hwbench.analysis.metrics import steps as timed
from hwbench.records import Case, Declared, Measurement, Work

A100 = "NVIDIA A100-SXM4-80GB"
TRAIN = Case("gpt/train", {"size": "nano"}, "bf16")
GEMM = Case("gemm", {"n": 64}, "bf16")
COPY = Case("copy", {"op": "copy", "mb": 256}, "fp32")
SPANS = {
    "forward": Work(flops=600, bytes=200),
    "backward": Work(flops=1200, hardware_flops=1800, bytes=300),
}


def ceilings(processes=1):
    """Cases that measure ceilings of 1 MFLOP/s and 1 MB/s."""
    gemm = measured(step_s=0.001, work=Work(flops=1000))
    copy = measured(step_s=0.001, work=Work(bytes=1000))
    return [(GEMM, [gemm] * processes), (COPY, [copy] * processes)]


def run_at(*seconds, spans=SPANS, case=TRAIN, with_ceilings=True, **options):
    """A run of `case`, whose processes take so many seconds a step."""
    declared = Declared(spans=spans)
    processes = [measured(step_s=step_s, declared=declared) for step_s in seconds]
    others = ceilings(len(seconds)) if with_ceilings else []
    return run_of((case, processes), *others, **options)


def rows(run):
    return span_metrics.summarize_spans(run).set_index(["span", "metric"])


def test_a_rate_is_the_work_of_the_span_over_its_time():
    found = rows(run_at(0.003))
    assert found.value["forward", "flops_per_s"] == pytest.approx(600_000)
    assert found.value["forward", "bytes_per_s"] == pytest.approx(200_000)
    assert found.value["backward", "flops_per_s"] == pytest.approx(600_000)
    assert found.value["backward", "intensity"] == pytest.approx(4)
    assert set(found.unit[:, "intensity"]) == {"FLOP/B"}


def test_the_shares_are_of_the_ceilings_of_the_same_run():
    found = rows(run_at(0.003))
    assert found.value["forward", "mfu_achievable"] == pytest.approx(0.6)
    assert found.value["backward", "mbu_achievable"] == pytest.approx(0.15)
    assert found.source["forward", "mfu_achievable"] == "measured in this run: gemm n=64 bf16"


def test_the_shares_are_of_the_peaks_of_the_device():
    found = rows(run_at(0.003, device=A100, with_ceilings=False))
    assert found.value["backward", "mfu"] == pytest.approx(600_000 / 312e12)
    assert found.value["backward", "hfu"] == pytest.approx(900_000 / 312e12)
    assert found.value["backward", "mbu"] == pytest.approx(150_000 / 2.039e12)
    assert found.loc[("backward", "hfu"), ["peak", "peak_dtype"]].tolist() == [312e12, "bf16"]
    assert ("forward", "hfu") not in found.index  # not declared
    assert ("backward", "mfu_palm") not in found.index
    assert not {"mfu_achievable", "mbu_achievable"} & set(found.index.get_level_values("metric"))


def test_the_process_is_the_unit():
    row = rows(run_at(0.001, 0.002, 0.004)).loc[("forward", "flops_per_s")]
    assert (row.value, row.n) == (pytest.approx(900_000), 3)
    assert row.ci_low < row.value < row.ci_high
    assert (row.method, row.validity) == ("t_of_log_processes", "suspect")
    assert json.loads(row.reasons) == ["not_converged", "high_variation"]


def test_an_update_has_bytes_and_no_share_of_a_matmul():
    spans = {"forward": SPANS["forward"], "optimizer": Work(flops=400, bytes=800)}
    case = Case("fake/update", {}, "bf16")
    window = window_of([0.003, 0.003], [("forward", 0.001), ("optimizer", 0.002)])
    process = Measurement("ok", window=window, declared=Declared(spans=spans))
    found = rows(run_of((case, [process]), *ceilings(), device=A100))
    assert found.value["optimizer", "mbu_achievable"] == pytest.approx(0.4)
    assert found.value["optimizer", "intensity"] == 0.5
    assert set(found.loc["optimizer"].index) == {
        "flops_per_s", "bytes_per_s", "intensity", "mbu", "mbu_achievable"
    }  # fmt: skip
    assert {"mfu", "mfu_achievable"} <= set(found.loc["forward"].index)


def test_spans_of_one_name_are_added_up():
    spans = {"decode": Work(flops=600), "elsewhere": Work(flops=1)}
    window = window_of([9.0, 4.0], [("decode", 1.0), ("decode", 2.0)], warmup=1)
    run = run_of((TRAIN, [Measurement("ok", window=window, declared=Declared(spans=spans))]))
    assert timed.spans_of_processes(run).seconds.tolist() == [3.0]
    assert rows(run).value.to_dict() == {("decode", "flops_per_s"): 200.0}


def test_a_span_within_a_cache_has_no_share_of_memory():
    cached = Case("copy", {"op": "copy", "level": "l1"}, "fp32")
    spans = {"forward": Work(bytes=200)}
    found = rows(run_at(0.003, spans=spans, case=cached, device=A100))
    assert set(found.index.get_level_values("metric")) == {"bytes_per_s"}


@pytest.mark.parametrize("spans", [{}, {"forward": Work(tokens=3)}, {"nowhere": Work(flops=3)}])
def test_spans_without_declared_work_have_no_rows(tmp_path, spans):
    run = run_at(0.003, spans=spans, folder=tmp_path)
    table = span_metrics.summarize_spans(run)
    assert table.empty
    tables.write_derived(run.folder, "span_metrics", table)
    assert (run.folder / "span_metrics" / "span_metrics.parquet").is_file()


def test_an_older_run_has_no_span_metrics():
    run = run_at(0.003)
    older = run.measurements.assign(span_work=None, hardware_flops=math.nan)
    assert span_metrics.summarize_spans(replace(run, measurements=older)).empty


def test_the_table_can_be_read_back(tmp_path):
    run = run_at(0.003, folder=tmp_path)
    table = span_metrics.summarize_spans(run)
    tables.write_derived(run.folder, "span_metrics", table)
    back = pd.read_parquet(run.folder / "span_metrics")
    assert back.columns.tolist() == span_metrics.SPAN_METRICS_COLUMNS
    assert back.value.tolist() == table.value.tolist()
