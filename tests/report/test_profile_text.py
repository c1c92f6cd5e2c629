"""A profile as data and on a terminal."""

import io
import json

import pytest
from profiles import COPY, GEMM, TRAIN, gap, op, profile_of, run_with, training
from rich.console import Console

from hwbench.analysis.profile.diff import diff
from hwbench.records import UserError
from hwbench.records.profile import Profile
from hwbench.report.terminal.profile import diff_data, diff_table, profile_data, profile_tables

KEYS = {
    "run_id", "case", "clean_step_s", "profiled_step_s", "overhead", "invalid", "waterfall",
    "rest_of", "missed_s",
    "sentences", "spans", "operators", "modules", "gaps", "memory_peak", "unknown",
}  # fmt: skip


def printed(*shown, width=120):
    console = Console(file=io.StringIO(), width=width)
    for table in shown:
        console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def strictly(data):
    return json.loads(json.dumps(data, allow_nan=False))


def test_the_data_of_a_profile():
    data = strictly(profile_data(run_with(training())))
    assert set(data) == KEYS
    assert data["run_id"] == "r"
    assert data["case"] == {
        "case_id": TRAIN.case_id, "workload": "gpt/train", "dtype": "fp32",
        "params": dict(TRAIN.params),
    }  # fmt: skip
    assert (data["clean_step_s"], data["profiled_step_s"], data["overhead"], data["invalid"]) == (
        1.0,
        1.0,
        0.0,
        None,
    )
    parts = ["compute", "memory", "launch_and_idle", "framework", "rest"]
    assert [part["part"] for part in data["waterfall"]] == parts
    assert sum(part["seconds"] for part in data["waterfall"]) == pytest.approx(1.0, rel=1e-12)
    assert sum(data["rest_of"].values()) == pytest.approx(data["waterfall"][-1]["seconds"])
    assert len(data["sentences"]) == 3
    assert data["spans"][0] == {"span": "forward", "seconds": 0.6, "share": 0.6}
    first = data["operators"][0]
    assert (first["name"], first["span"], first["backward"], first["kind"]) == (
        "aten::addmm",
        "forward",
        False,
        "matmul",
    )
    assert first["least_s"] == pytest.approx(0.2)
    assert data["operators"][-1]["least_s"] is None
    assert sum(row["seconds"] for row in data["operators"]) == pytest.approx(0.9)
    assert data["modules"][0]["module"] == ""
    assert data["gaps"] == []
    assert data["memory_peak"] == {
        "position": 1, "name": "aten::mm", "span": "forward", "total_bytes": 800,
        "held_bytes": {
            "weights": 400, "gradients": 300, "optimizer": 0, "activations": 100, "temporary": 0,
            "other": 0,
        },
    }  # fmt: skip
    assert data["unknown"] == {}


def test_what_is_unknown_is_null_and_says_why():
    data = strictly(
        profile_data(
            run_with(
                profile_of([op("aten::add", 1.0, 0.0, 1e8)], unknown={"memory": "not traced"}),
                ceilings=(),
            )
        )
    )
    assert data["waterfall"] is None
    assert data["rest_of"] is None
    assert data["memory_peak"] is None
    assert data["sentences"] == []
    assert data["unknown"]["memory"] == "not traced"
    assert data["unknown"]["waterfall"].endswith("add `copy`")


def test_an_invalid_profile_says_so_and_no_more():
    data = strictly(profile_data(run_with(training(invalid="lost 3 events"))))
    assert set(data) == KEYS
    assert data["invalid"] == "lost 3 events"
    assert data["operators"] == data["spans"] == []
    assert data["waterfall"] is None
    assert printed(*profile_tables(run_with(training(invalid="lost 3 events"))))[1:] == [
        "This profile is invalid, so nothing of it is shown: lost 3 events."
    ]


def test_the_terminal_has_the_waterfall_operators_modules_and_peak():
    lines = printed(*profile_tables(run_with(training())))
    assert lines[0] == "gpt/train size=nano batch=1 seq=64 fp32"
    words = [line.split() for line in lines]
    assert ["Compute,", "at", "the", "matmul", "ceiling", "390", "ms", "39.0", "%"] in words
    assert ["blocks.*.up", "Linear", "300", "ms", "200", "ms", "50.0", "%"] in words
    assert ["all", "800", "B", "100", "%"] in words
    assert any(
        line.startswith("aten::addmm fp32") and line.endswith("compute     200 ms")
        for line in lines
    )


def test_the_gaps_of_an_accelerator_and_the_others():
    rows = [op(f"aten::x{number}", 0.01) for number in range(18)]
    lines = printed(
        *profile_tables(run_with(profile_of(rows, device_busy_s=0.5, gaps=[gap(0.5, "host_late")])))
    )
    assert any(
        line.split() == ["the", "host", "was", "late", "500", "ms", "50.0", "%"] for line in lines
    )
    assert any(
        line.split() == ["the", "other", "3", "3", "30.0", "ms", "3.00", "%"] for line in lines
    )


def test_markup_in_a_name_is_text():
    rows = [op("[bold]x[/bold]", 0.5), op("[red]", 0.2, level="span")]
    assert any(
        "[bold]x[/bold]" in line for line in printed(*profile_tables(run_with(profile_of(rows))))
    )


def test_a_difference_has_json_rows_and_a_table():
    found = diff(run_with(training()), run_with(training(scale=0.5), run_id="s"))
    data = strictly(diff_data(found))
    assert set(data) == {"a", "b", "difference_s", "residual_s", "notes", "rows"}
    assert data["a"]["clean_step_s"] == 1.0
    assert sum(row["difference_s"] for row in data["rows"]) + data["residual_s"] == pytest.approx(
        -0.5
    )
    lines = printed(diff_table(found))
    assert lines[2].split() == [
        "forward",
        "matmul",
        "300",
        "ms",
        "150",
        "ms",
        "-150",
        "ms",
        "30.0",
        "%",
    ]
    assert lines[-1].split() == ["the", "step", "1.00", "s", "500", "ms", "-500", "ms", "100", "%"]
    assert lines[-2].split() == ["not", "accounted", "for", "0", "ns", "0", "%"]


def test_a_difference_has_a_row_for_the_others_and_tells_what_differs():
    rows = [op(f"aten::x{number}", 0.01 * number) for number in range(20)]
    other = type(TRAIN)(TRAIN.workload, TRAIN.params, "bf16")
    found = diff(
        run_with(profile_of(rows, clean=2.0)), run_with(profile_of([], clean=2.0), case=other)
    )
    lines = printed(diff_table(found))
    assert any(line.split()[:3] == ["the", "other", "7"] for line in lines)
    assert lines[-1] == "the cases differ in dtype: fp32 in a, bf16 in b"
    assert [row["share"] for row in strictly(diff_data(found))["rows"]][:2] == [None, None]


def test_a_run_without_a_profile_raises_user_error():
    with pytest.raises(UserError, match="has no profile"):
        profile_data(run_with(ceilings=(GEMM, COPY)))
    with pytest.raises(UserError, match="has no profile"):
        profile_tables(run_with())


def test_a_pass_that_failed_says_so_and_its_step_is_unknown():
    data = profile_data(run_with(Profile(0, 1.0, None, 0.0, "the pass failed: RuntimeError: x")))
    assert (data["profiled_step_s"], data["overhead"]) == (None, None)
    assert data["invalid"] == "the pass failed: RuntimeError: x"
    assert json.dumps(data, allow_nan=False)
