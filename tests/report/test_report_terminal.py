import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from runs import CASE, make_run, measured, run_of

from hwbench.analysis.verdict.judgement import judge_runs
from hwbench.records import Case, Measurement, Policy, Work
from hwbench.report.terminal.comparison import comparison_table
from hwbench.report.terminal.run import summary_rows, summary_table
from hwbench.tables.reader import read_run

GEMM = Case("gemm", {"n": 64}, "fp32")
COPY = Case("copy", {"mib": 1}, "fp32")
HOSTILE = Case("[red]mine[/red]", {}, "fp32")


@pytest.fixture
def run(tmp_path, training):
    writer = make_run(tmp_path, "r1", [training, GEMM, COPY, HOSTILE])
    for process in range(3):
        writer.add(training, process, measured(memory_peak_bytes=3 * 2**30))
        writer.add(GEMM, process, measured(work=Work(flops=24_000)))
        writer.add(COPY, process, measured(work=Work(bytes=9_000_000)))
    writer.add(HOSTILE, 0, Measurement("oom", "no\x1b[2J memory"))
    return read_run(writer.folder)


def printed(run) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=180).print(summary_table(run))
    return out.getvalue().splitlines()


def test_the_table_shows_each_case_with_its_exact_figures(run):
    head, train, gemm, copy, _ = printed(run)
    assert " ".join(head.split()) == "case tokens/s rate matmul step p50 memory ± outcome"
    for text in ("gpt/train fp32", "10,000", "2.00 MFLOP/s", "25.0 %", "3.00 ms", "3.00 GiB", "ok"):
        assert text in train
    assert "8.00 MFLOP/s" in gemm
    assert "100 %" in gemm
    assert "3.00 GB/s" in copy


def test_the_summary_fits_80_columns(run):
    out = io.StringIO()
    Console(file=out, width=80).print(summary_table(run))
    lines = out.getvalue().splitlines()
    assert "gpt/train fp32" in lines[1]
    assert "10,000" in lines[1]
    assert lines[1].rstrip().endswith("ok")


def test_names_are_neither_markup_nor_control_codes(run):
    last = printed(run)[-1]
    assert "[red]mine[/red]" in last
    assert r"oom: no\x1b[2J memory" in last


def test_rows_are_plain_json_in_base_units(run):
    train, gemm, copy, hostile = json.loads(json.dumps(summary_rows(run), allow_nan=False))
    assert (train["tokens_per_s"], train["flops_per_s"], train["bytes_per_s"]) == (
        10_000.0,
        2e6,
        300_000.0,
    )
    assert (train["mfu_achievable"], train["memory_peak_bytes"]) == (0.25, 3 * 2**30)
    assert train["step_s_p50"] == pytest.approx(0.003)
    assert (train["outcome"], train["reason"], train["processes"], train["planned"]) == (
        "ok",
        None,
        3,
        3,
    )
    assert (train["validity"], train["reasons"]) == ("valid", [])
    assert (gemm["tokens_per_s"], copy["flops_per_s"]) == (None, None)
    assert (
        hostile["outcome"],
        hostile["processes"],
        hostile["step_s_p50"],
        hostile["validity"],
    ) == (
        "oom",
        0,
        None,
        None,
    )


def test_a_wide_case_says_so_beside_its_half_width_with_the_cure_below(tmp_path, training):
    writer = make_run(tmp_path, "r3", [training], policy=Policy(processes=3))
    for process, step_s in enumerate([0.00294, 0.003, 0.00306]):
        writer.add(training, process, measured(step_s=step_s))
    run = read_run(writer.folder)
    _, line, *below = printed(run)
    assert " ".join(line.split()).endswith("5.0 % ok, wide")
    assert " ".join(" ".join(below).split()).startswith(
        "wide: The interval is wider than the precision asked for."
    )
    assert "--max-processes" in " ".join(below)
    assert (summary_rows(run)[0]["validity"], summary_rows(run)[0]["reasons"]) == (
        "wide",
        ["not_converged"],
    )
    assert summary_rows(run)[0]["uncertainty"] == pytest.approx(0.05, rel=0.02)


def test_a_case_with_only_a_wide_step_names_the_step(tmp_path, training):
    writer = make_run(tmp_path, "r4", [training], policy=Policy(processes=3))
    for process, step_s in enumerate([0.00294, 0.003, 0.00306]):
        fixed = measured(step_s=step_s)
        writer.add(training, process, replace(fixed, window=replace(fixed.window, window_s=0.03)))
    assert "ok, wide step p50 ± 5.0 %" in printed(read_run(writer.folder))[1]


def test_doubts_stand_beside_the_outcome(tmp_path, training):
    writer = make_run(tmp_path, "r2", [training])
    writer.add(training, 0, measured(notes=["loss_not_finite: the loss is nan"]))
    text = printed(read_run(writer.folder))[1]
    assert "ok, invalid, 1 of 2 processes: loss_not_finite" in text


def test_a_comparison_names_the_estimate_that_differs_from_the_table():
    run = run_of((CASE, [[0.001] * 5, [0.001] * 5, [0.008] * 5]))
    assert summary_rows(run)[0]["step_s_p50"] == pytest.approx(0.001)  # the median
    table = judge_runs([run], run)
    assert table.baseline.iloc[0] == pytest.approx(0.002)  # the geometric mean
    out = io.StringIO()
    Console(file=out, width=180).print(comparison_table(table))
    assert "geometric means over processes" in out.getvalue()
