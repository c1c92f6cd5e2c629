"""Runs for other programs: the CSV table and the JSON, whatever the runs hold."""

import csv
import io
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import CASE, OTHER, around, run_of, with_measurements

from hwbench.analysis.metrics.summary import summarize
from hwbench.printable import printable
from hwbench.records import Case
from hwbench.report.formats.data import CSV_COLUMNS, HEAD, metrics_csv, runs_data
from hwbench.tables.run import RunTables
from hwbench.tables.schema import SCHEMAS


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def named(text: str) -> RunTables:
    """A run that says `text` wherever a run has words."""
    return run_of(
        (Case(text, {text: text}, "fp32"), around(1.0)), run_id="r", label=text, device=text
    )


def by_metric(text: str) -> dict[str, dict[str, str]]:
    return {row["metric"]: row for row in read(text)}


def test_csv_has_the_columns_of_the_metrics_and_of_their_run():
    text = metrics_csv([named("w")])
    assert text.split("\r\n", 1)[0] == ",".join(CSV_COLUMNS)
    assert [*SCHEMAS["metrics"].names, "label", "device_name", "started_at", "case"] == CSV_COLUMNS
    assert text.endswith("\r\n")


def test_csv_keeps_every_digit_and_leaves_unknown_cells_empty():
    run = run_of((CASE, [[0.1, 0.1], [0.3, 0.3]]), (OTHER, [[1 / 3] * 2]), run_id="r", label="main")
    rows = [row for row in read(metrics_csv([run])) if row["metric"] == "step_s_p50"]
    truth = summarize(run)
    truth = truth[truth.metric == "step_s_p50"]
    assert [float(row["value"]) for row in rows] == list(truth.value)
    assert float(rows[0]["ci_low"]) == truth.ci_low.iloc[0]
    assert [row["n"] for row in rows] == ["2", "1"]
    assert [rows[1][name] for name in ("ci_low", "ci_high", "grade", "peak", "convention")] == [
        ""
    ] * 5
    assert [row["case"] for row in rows] == ["gpt/train size=nano batch=1 fp32", "gemm n=64 fp32"]
    assert {(row["label"], row["device_name"]) for row in rows} == {("main", "Fake device")}


def test_csv_lists_several_runs_in_one_table():
    runs = [run_of((CASE, around(float(i))), run_id=f"r{i}") for i in (1, 2)]
    rows = [row for row in read(metrics_csv(runs)) if row["metric"] == "step_s_p50"]
    assert [(row["run_id"], float(row["value"])) for row in rows] == [("r1", 1.0), ("r2", 2.0)]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1",
        "\N{FULLWIDTH EQUALS SIGN}1",
        "'=1",
    ],
)
def test_csv_marks_texts_that_a_spreadsheet_takes_for_formulas(text):
    rows = read(metrics_csv([named(text)]))
    assert {row["label"] for row in rows} == {"'" + text}
    assert {row["workload"] for row in rows} == {"'" + text}


def test_csv_does_not_mark_negative_numbers():
    run = with_measurements(run_of((CASE, around(1.0))), CASE, compile_s=-1.5)
    assert by_metric(metrics_csv([run]))["compile_s"]["value"] == "-1.5"


@settings(max_examples=25, deadline=None)
@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], include_characters="\r\n\t,\"'=|"),
        max_size=20,
    )
)
def test_csv_keeps_what_is_printable_and_a_row_is_one_line(text):
    content = metrics_csv([named(text)])
    rows = read(content)
    assert len(rows) == content.count("\r\n") - 1 == len(content.splitlines()) - 1 > 0
    for row in rows:
        for column in ("label", "device_name", "workload"):
            assert row[column].removeprefix("'") == printable(text)
            assert not row[column].lstrip().startswith(tuple("=+-@"))


def test_an_argument_that_is_not_utf8_is_escaped_in_json():
    run = run_of((CASE, around(1.0)), argv=json.dumps(["hwbench", "\udcff"]))
    assert plain([run])["runs"][0]["argv"] == ["hwbench", r"\udcff"]


def test_csv_of_a_run_without_figures_is_a_header():
    assert metrics_csv([run_of(planned=[CASE])]) == ",".join(CSV_COLUMNS) + "\r\n"


def plain(runs) -> dict:
    """As a reader of strict JSON has it."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(json.dumps(runs_data(runs), allow_nan=False), parse_constant=refuse)


def test_json_has_all_tables_of_a_run():
    data = plain(
        [
            run_of(
                (CASE, [[0.5] * 4]),
                run_id="r",
                label="main",
                environment='{"git": {"commit": "abc"}}',
            )
        ]
    )
    assert set(data) == {"runs", "comparison", "history"}
    assert (data["comparison"], data["history"]) == ([], None)
    (run,) = data["runs"]
    assert set(run) == {*HEAD, "environment", "argv", "plan", "cases", "metrics", "span_metrics"}
    assert (run["run_id"], run["label"], run["environment"]["git"]["commit"]) == (
        "r",
        "main",
        "abc",
    )
    assert run["cases"][0]["params"] == CASE.params
    (step,) = (row for row in run["metrics"] if row["metric"] == "step_s_p50")
    assert (step["value"], step["n"], step["ci_low"]) == (0.5, 1, None)
    assert (step["validity"], step["reasons"]) == ("suspect", ["no_interval"])
    assert run["span_metrics"] == []


def test_json_compares_and_has_a_history():
    runs = [
        run_of((CASE, around(1.0 + i)), run_id=f"r{i}", label="main", started_at=str(i))
        for i in range(3)
    ]
    data = plain(runs)
    ratios = [row["ratio"] for row in data["comparison"] if row["metric"] == "step_s_p50"]
    assert ratios == [1.0, 2.0, 3.0]
    assert [(row["run_id"], row["value"], row["commit"]) for row in data["history"]["points"]] == [
        ("r0", 1.0, None), ("r1", 2.0, None), ("r2", 3.0, None),
    ]  # fmt: skip
    assert data["history"]["changes"] == []


def test_json_has_the_changes():
    runs = [
        run_of(
            (CASE, around(1.0 if i < 15 else 1.2)), run_id=f"r{i}", label="x", started_at=f"{i:02}"
        )
        for i in range(30)
    ]
    (change,) = plain(runs)["history"]["changes"]
    assert (change["run_id"], change["before"], change["after"]) == ("r15", 1.0, 1.2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_has_null_for_numbers_that_are_not_finite(value):
    stored = json.dumps({"deep": [{"x": value}]})
    run = run_of((CASE, [[value] * 3] * 3), run_id="r", environment=stored)
    run = with_measurements(run, CASE, compile_s=value, window_s=value)
    data = plain([run, run])
    assert data["runs"][0]["environment"] == {"deep": [{"x": None}]}
    cells = {cell for row in read(metrics_csv([run])) for cell in row.values()}
    assert not cells & {"nan", "inf", "-inf", "None"}


def test_json_compares_runs_with_nothing_in_common():
    data = plain(
        [run_of((CASE, around(1.0)), run_id="a"), run_of((OTHER, around(1.0)), run_id="b")]
    )
    assert {row["ratio"] for row in data["comparison"] if row["run"] == 1} == {None}
    assert [len(run["metrics"]) > 0 for run in data["runs"]] == [True, True]


def test_json_of_an_unfinished_run_has_what_is_stored():
    data = plain([run_of(planned=[CASE, OTHER])])
    assert [case["outcome"] for case in data["runs"][0]["cases"]] == ["missing", "missing"]
    assert data["runs"][0]["metrics"] == []


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a|b\nc", "שלום", "👩‍💻", "é", "\u202eabc", "\x1b[31m"]
)
def test_json_keeps_texts_unchanged_and_csv_escapes_what_is_not_printable(text):
    data = plain([named(text)])
    assert data["runs"][0]["label"] == text
    assert data["runs"][0]["cases"][0]["workload"] == text
    assert {row["label"] for row in read(metrics_csv([named(text)]))} == {printable(text)}
