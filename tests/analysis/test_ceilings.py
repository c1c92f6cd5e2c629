"""The ceilings that a run measures of its machine, and the shares of them."""

import math

import pytest
from runs import measured, run_of

from hwbench.analysis import metrics
from hwbench.analysis.metrics import ceilings
from hwbench.records import Case, Work

TRAIN = Case("gpt/train", {"size": "nano"}, "bf16")
GEMM = Case("gemm", {"n": 64}, "bf16")
COLD = Case("gemm/best", {"load": "cold"}, "bf16")
COPY = Case("copy", {"op": "copy", "mb": 256}, "fp32")
READ = Case("copy", {"op": "read", "level": "memory"}, "fp32")
CACHED = Case("copy", {"op": "copy", "level": "l2"}, "fp32")
FAR = Case("copy", {"op": "copy", "level": "l3"}, "fp32")


def run_at(*results):
    """A run of (case, seconds of a step, work); several seconds are those of several processes."""
    cases = []
    for case, seconds, work in results:
        times = seconds if isinstance(seconds, list) else [seconds]
        cases.append((case, [measured(step_s, work=work) for step_s in times]))
    return run_of(*cases)


def shares(run, metric):
    table = metrics.per_process(run).query("metric == @metric")
    return {case_id: rows.value.tolist() for case_id, rows in table.groupby("case_id")}


def test_every_workload_under_gemm_is_a_matmul_ceiling_and_the_best_counts():
    run = run_at(
        (GEMM, 0.002, Work(flops=600)),
        (COLD, 0.001, Work(flops=600)),
        (TRAIN, 0.004, Work(flops=600)),
    )
    found = ceilings.matmul_ceilings(run)["bf16"]
    assert (found.case_id, found.label, found.typical) == (
        COLD.case_id,
        "gemm/best load=cold bf16",
        600_000,
    )
    assert shares(run, "mfu_achievable")[TRAIN.case_id] == pytest.approx([0.25])


@pytest.mark.parametrize(
    ("workload", "is_one"), [("gemm", True), ("gemm/best", True), ("gemmini", False)]
)
def test_only_gemm_and_names_under_it_are_matmuls(workload, is_one):
    assert ceilings.is_matmul(workload) == ceilings.is_ceiling(workload) == is_one


def test_the_memory_ceiling_is_the_best_copy_that_no_cache_holds():
    run = run_at(
        (COPY, 0.002, Work(bytes=3000)),
        (READ, 0.001, Work(bytes=3000)),
        (CACHED, 0.0001, Work(bytes=3000)),
        (FAR, 0.002, Work(bytes=3000)),
        (TRAIN, 0.002, Work(bytes=1200)),
    )
    found = ceilings.memory_ceilings(run)
    assert {level: ceiling.typical for level, ceiling in found.items()} == pytest.approx(
        {"memory": 3_000_000, "l2": 30_000_000, "l3": 1_500_000}
    )
    assert shares(run, "mbu_achievable") == {
        COPY.case_id: pytest.approx([0.5]),
        READ.case_id: pytest.approx([1]),
        TRAIN.case_id: pytest.approx([0.2]),
    }


def test_what_does_no_work_is_no_ceiling():
    run = run_at((COPY, 0.002, Work(bytes=0)), (GEMM, 0.002, Work(flops=0)))
    assert not ceilings.memory_ceilings(run)
    assert not ceilings.matmul_ceilings(run)


def test_a_share_is_of_the_ceiling_of_its_round_or_else_of_the_median():
    run = run_at(
        (COPY, [0.001, 0.002, 0.004], Work(bytes=4000)),
        (TRAIN, [0.004, 0.004, 0.004, 0.004], Work(bytes=4000)),
    )
    assert shares(run, "mbu_achievable")[TRAIN.case_id] == pytest.approx([1 / 4, 1 / 2, 1, 1 / 2])


def test_bytes_faster_than_the_memory_ceiling_have_no_share_of_it():
    run = run_at((COPY, 0.002, Work(bytes=1000)), (TRAIN, 0.002, Work(bytes=1060)))
    assert set(shares(run, "mbu_achievable")) == {COPY.case_id}
    run = run_at((COPY, 0.002, Work(bytes=1000)), (TRAIN, 0.002, Work(bytes=1040)))
    assert shares(run, "mbu_achievable")[TRAIN.case_id] == pytest.approx([1.04])


def test_a_share_has_its_convention_its_ceiling_and_its_source():
    found = (
        (COPY, 0.001, Work(bytes=4000)),
        (GEMM, 0.001, Work(flops=900)),
        (TRAIN, 0.002, Work(flops=90, bytes=400)),
    )
    table = metrics.summarize(run_at(*found))
    table = table[table.case_id == TRAIN.case_id].set_index("metric")
    assert table.loc["mfu_achievable", ["peak", "peak_dtype", "source"]].tolist() == [
        pytest.approx(900_000), "bf16", "measured in this run: gemm n=64 bf16"
    ]  # fmt: skip
    assert table.loc["mbu_achievable", ["peak", "source"]].tolist() == [
        pytest.approx(4_000_000), "measured in this run: copy op=copy mb=256 fp32"
    ]  # fmt: skip
    assert table.loc[["mbu_achievable", "step_s_p50"], "peak_dtype"].isna().all()
    assert "model FLOPs" in table.convention["mfu_achievable"]
    assert "fewest bytes" in table.convention["mbu_achievable"]
    assert math.isnan(table.peak["step_s_p50"])


def test_without_ceilings_there_are_no_shares():
    run = run_at((TRAIN, 0.002, Work(flops=90, bytes=400)), (GEMM, 0.001, None))
    assert ceilings.memory_ceilings(run) == {}
    assert "mbu_achievable" not in set(metrics.summarize(run).metric)
