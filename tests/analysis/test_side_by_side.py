import math

import pandas as pd
import pytest
from runs import measured, run_of

from hwbench.analysis import side_by_side
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.outcomes import cases
from hwbench.records import Case, Measurement

GEMM = Case("gemm", {"n": 64}, "fp32")
TRAIN = Case("gpt/train", {"size": "nano", "batch": 1}, "fp32")
COPY = Case("copy", {"mib": 1}, "fp32")


def run(name: str, *outcomes: tuple[Case, Measurement | None]):
    return run_of(*((case, [one] if one else []) for case, one in outcomes), run_id=name)


def table_of(*runs) -> pd.DataFrame:
    return side_by_side.side_by_side([cases(run) for run in runs], [summarize(run) for run in runs])


def line(table: pd.DataFrame, case: Case, metric: str) -> pd.DataFrame:
    return table[(table.case_id == case.case_id) & (table.metric == metric)]


def test_the_same_case_has_both_values_and_the_exact_ratio():
    table = table_of(
        run("cpu", (TRAIN, measured(step_s=0.003))), run("gpu", (TRAIN, measured(step_s=0.001)))
    )
    tokens = line(table, TRAIN, "tokens_per_s")
    assert tokens.value.tolist() == [10_000.0, 30_000.0]
    assert tokens.ratio.tolist() == [1.0, 3.0]
    assert tokens.unit.tolist() == ["tokens/s"] * 2
    assert line(table, TRAIN, "step_s_p50").ratio.iloc[1] == pytest.approx(1 / 3)
    assert side_by_side.shared(table) == [TRAIN.case_id]


def test_metrics_are_in_the_headline_order():
    table = table_of(run("a", (TRAIN, measured(memory_peak_bytes=7))))
    expected = [
        m for m in side_by_side.HEADLINE if not m.startswith(("ttft", "tpot", "energy", "power"))
    ]
    assert table.metric.tolist() == expected


def test_a_case_of_only_one_run_is_in_the_table():
    table = table_of(
        run("a", (TRAIN, measured()), (GEMM, measured())),
        run("b", (COPY, measured()), (TRAIN, measured())),
    )
    assert table.case_id.drop_duplicates().tolist() == [TRAIN.case_id, GEMM.case_id, COPY.case_id]
    only = line(table, GEMM, "flops_per_s")
    assert only.outcome.tolist() == ["ok", side_by_side.NOT_PLANNED]
    assert only.ratio.iloc[0] == 1.0
    assert math.isnan(only.ratio.iloc[1])
    assert line(table, COPY, "flops_per_s").ratio.isna().all()  # nothing to relate it to
    assert side_by_side.shared(table) == [TRAIN.case_id]


def test_outcomes_other_than_ok_are_shown():
    first = run("a", (TRAIN, measured()), (GEMM, Measurement("oom", "no memory")), (COPY, None))
    second = run(
        "b",
        (TRAIN, Measurement("unsupported", "no")),
        (GEMM, Measurement("error", "boom")),
        (COPY, None),
    )
    present = side_by_side.presence(table_of(first, second))
    assert present.loc[TRAIN.case_id].tolist() == ["ok", "unsupported"]
    assert present.loc[GEMM.case_id].tolist() == ["oom", "error"]
    assert present.loc[COPY.case_id].tolist() == ["missing", "missing"]


def test_a_case_without_any_figure_has_a_row_for_each_run():
    table = table_of(run("a", (GEMM, Measurement("oom", "no memory"))), run("b", (GEMM, None)))
    assert table.outcome.tolist() == ["oom", "missing"]
    assert table.metric.isna().all()
    assert side_by_side.shared(table) == []


def test_an_invalid_figure_has_no_ratio():
    broken = measured(notes=["loss_not_finite: nan"])
    table = table_of(
        run("a", (TRAIN, broken), (GEMM, measured())), run("b", (TRAIN, measured()), (GEMM, broken))
    )
    for case in (TRAIN, GEMM):
        figures = line(table, case, "flops_per_s")
        assert figures.value.notna().all()
        assert math.isnan(figures.ratio.iloc[1])


def test_zero_is_a_value_without_a_ratio():
    nothing, something = measured(memory_peak_bytes=0), measured(memory_peak_bytes=8)
    table = table_of(run("a", (TRAIN, nothing)), run("b", (TRAIN, something)))
    peak = line(table, TRAIN, "memory_peak_bytes")
    assert peak.value.tolist() == [0.0, 8.0]
    assert peak.ratio.isna().all()
