"""The comment on a pull request: what it says, that it fits, and that no name in it is markup."""

import html
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import CASE, OTHER, around, run_of, with_measurements

from hwbench.records import Case
from hwbench.report.formats.markdown_report import LIMIT, Part, render
from hwbench.tables.run import RunTables

INFORMATION = "- \N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}"


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[html.unescape(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]


def many(cases: int, name: str = "gemm", runs: int = 2) -> list[RunTables]:
    planned = [Case(name, {"n": i}, "fp32") for i in range(cases)]
    return [
        run_of(
            *((case, [[1.0 + i], [1.1 + i], [1.2 + i]]) for case in planned),
            run_id=f"r{i}",
            label=str(i),
            device=name,
        )
        for i in range(runs)
    ]


def test_one_run_has_its_results():
    run = with_measurements(run_of((CASE, around(0.5, 0.0)), (OTHER, around(1.0))), CASE, tokens=30)
    text = render([run])
    assert text.startswith(
        "### hwbench report\n\n- 2 cases measured on Fake device, started 2026-11-24 08&#58;00 UTC."
    )
    assert "✅ nothing speaks against the figures" in text
    assert ["gpt/train fp32", "60.00 tokens/s", "0 %", "500.0 ms", "–", "ok"] in rows_of(text)
    assert "**Comparison**" not in text
    assert text.endswith("|\n")


def test_two_runs_have_a_verdict_and_ratios_with_intervals():
    text = render(
        [run_of((CASE, around(1.0)), run_id="a"), run_of((CASE, around(2.0)), run_id="b")]
    )
    assert text.splitlines()[2] == "- **B against A: slower** (1 slower)"
    (row,) = (row for row in rows_of(text) if "step_s_p50" in row)
    assert row[:5] == [
        "gpt/train size=nano batch=1 fp32",
        "step_s_p50",
        "1.000 s",
        "2.000 s",
        "2.0000",
    ]
    assert re.fullmatch(r"1\.99\d\d to 2\.00\d\d", row[5])
    assert row[6] == "❌ slower"


def test_the_worst_rows_come_first():
    cases = [Case("gemm", {"n": n}, "fp32") for n in range(3)]
    base = run_of(*((case, around(1.0)) for case in cases), run_id="a")
    other = run_of(
        *((case, around(s)) for case, s in zip(cases, (1.0, 2.0, 0.5), strict=True)), run_id="b"
    )
    verdicts = [row[6] for row in rows_of(render([base, other])) if "step_s_p50" in row]
    assert verdicts == ["❌ slower", "✅ faster", "same"]


def test_each_row_names_its_run_where_there_are_several():
    runs = [run_of((CASE, around(1.0 + i)), run_id=f"r{i}") for i in range(3)]
    text = render(runs)
    assert [row[0] for row in rows_of(text) if "step_s_p50" in row] == [
        "B against A",
        "C against A",
    ]


def test_devices_may_differ():
    runs = [run_of((CASE, around(1.0)), run_id=name, device=name) for name in ("cpu", "gpu")]
    assert "B against A: same" in render(runs)


def test_the_newest_run_of_a_label_is_compared_with_those_before():
    runs = [
        run_of(
            (CASE, around(1.0 if i < 15 else 1.2, 0.01)),
            run_id=f"r{i}",
            label="main",
            started_at=f"2026-11-24T08:{i:02}:00+00:00",
            environment=json.dumps({"git": {"commit": f"{i:07}", "dirty": False}}),
        )
        for i in range(30)
    ]
    text = render(list(reversed(runs)))
    assert "**r29 against the 5 runs before it: same** (1 same)" in text
    assert "30 runs of main on Fake device" in text
    change = [
        "gpt/train fp32",
        "r15",
        "`0000015`",
        "2026-11-24 08:15 UTC",
        "1.000 s",
        "1.200 s",
        "+20.0 %",
        "0.0010",
    ]
    assert change in rows_of(text)


def test_badges_have_their_reasons_and_the_worst_come_first():
    run = run_of((CASE, around(1.0)), (OTHER, around(1.0)[:2]))
    run = with_measurements(run, CASE, notes='["loss_not_finite: x"]')
    run = with_measurements(run, OTHER, notes='["throttled: hot"]')
    lines = [
        line for line in render([run]).splitlines() if line.startswith(("- ❌", "- ⚠️", INFORMATION))
    ]
    assert lines[0] == "- ❌ not complete: 7 of 10 processes stored"
    assert lines[1] == "- ❌ invalid: x (loss&#95;not&#95;finite; gpt/train fp32)"
    assert lines[2] == "- ⚠️ suspect: hot (throttled; gemm fp32)"
    assert lines[3].startswith(f"{INFORMATION} wide ± 0.32 %: ")
    assert lines[3].endswith("(few&#95;processes; gemm fp32)")


def test_failures_have_their_reasons():
    run = with_measurements(run_of((CASE, around(1.0))), CASE, outcome="oom", reason="no | memory")
    assert ["A", "gpt/train fp32", "oom", "no | memory"] in rows_of(render([run]))


def test_machines_have_a_row_a_run():
    text = render(many(1))
    assert [row[:2] for row in rows_of(text)[-2:]] == [["A", "gemm (fake)"], ["B", "gemm (fake)"]]


@pytest.mark.parametrize(
    ("cases", "name"),
    [(60, "|" * 500), (100, "é@user <b>\n" * 50), (80, "👩\u200d💻" * 200)],
)
def test_many_cases_fit_and_the_rest_is_counted(cases, name):
    text = render(many(cases, name))
    assert LIMIT / 2 < len(text.encode()) <= LIMIT
    left_out = int(
        re.search(r"step_s_p50.*?\n\n([\d,]+) rows? more left out", html.unescape(text), re.DOTALL)[
            1
        ]
    )
    shown = sum("step_s_p50" in row for row in rows_of(text))
    assert shown + left_out == cases
    assert "**Machines**" in text


@pytest.mark.slow
def test_500_cases_fit():
    text = render(many(500, "a rather long word to say " * 4, runs=1))
    assert LIMIT / 2 < len(text.encode()) <= LIMIT
    left_out = int(re.search(r"(\d+) rows more left out", text)[1])
    assert (
        sum(row[0].startswith("a rather long word to say") for row in rows_of(text)) + left_out
        == 500
    )
    assert "**Machines**" in text


def test_many_runs_fit():
    text = render(many(1, "é@user <b>" * 50, runs=20))
    assert len(text.encode()) <= LIMIT
    assert "more left out" in text


@settings(max_examples=8, deadline=None)
@given(
    st.text(max_size=400),
    st.integers(1, 3),
    st.integers(1, 6),
    st.sampled_from(["ok", "error", "oom"]),
)
def test_the_comment_fits_with_long_names_too(text, runs, cases, outcome):
    text = text.encode("utf-8", "replace").decode()
    found = [
        with_measurements(run, Case(text, {"n": 0}, "fp32"), outcome=outcome, reason=text * 50)
        for run in many(cases, text, runs)
    ]
    assert len(render(found).encode()) <= LIMIT


def test_the_line_that_counts_left_out_rows_fits_too():
    lines = ["x" * 9 + "\n"] * 1000
    assert all(len(Part("", lines).fitted(room).encode()) <= room for room in range(200, 220))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n"), max_size=300), max_size=50),
    st.integers(200, 3000),
)
def test_a_part_never_takes_more_than_its_room_and_cuts_whole_lines(lines, room):
    lines = [line.encode("utf-8", "replace").decode() + "\n" for line in lines]
    text = Part("head\n", lines).fitted(room)
    assert len(text.encode()) <= room
    body = text.removeprefix("head\n")
    kept = next(n for n in range(len(lines), -1, -1) if body.startswith("".join(lines[:n])))
    assert kept == len(lines) or "more left out." in body


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a|b\nc",
        "`code`",
        "@octocat",
        "#12",
        "[x](y)",
        "שלום",
        "👩‍💻",
        "é",
        "https://x.y",
    ],
)
def test_nothing_in_a_name_is_markup(text):
    run = run_of((Case(text, {"n": 1}, "fp32"), around(1.0)), run_id="a", label=text, device=text)
    page = render(
        [run, run_of((Case(text, {"n": 1}, "fp32"), around(1.0)), run_id="b", device=text)]
    )
    assert not re.search(r"<script|@octocat|(?<!&)#12|`code`|\[x\]|https://", page)
    assert "&#64;octocat" not in page  # GitHub would read it as a mention all the same
    widths = {len(row) for row in rows_of(page) if "step_s_p50" in row}
    assert widths == {7}
    shown = " ".join(text.split())
    assert shown in html.unescape(page).replace("\N{ZERO WIDTH SPACE}", "")


def test_runs_with_nothing_in_common_are_reported():
    text = render(
        [run_of((CASE, around(1.0)), run_id="a"), run_of((OTHER, around(1.0)), run_id="b")]
    )
    assert "B against A: missing" in text
    assert "candidate: not measured" in html.unescape(text)


@pytest.mark.parametrize("step", [float("nan"), float("inf"), 0.0])
def test_what_is_no_number_is_no_ratio(step):
    broken = run_of((CASE, [[step] * 3] * 3), run_id="b", hwbench_version="1")
    text = render([run_of((CASE, around(1.0)), run_id="a", hwbench_version="1"), broken])
    assert not {"nan", "inf"} & set(re.findall(r"\w+", text))


def test_one_sample_and_a_run_still_being_written():
    text = render([run_of((CASE, [[1.0]]), run_id="a"), run_of(planned=[CASE], run_id="b")])
    assert "❌ B: not complete: 0 of 5 processes stored" in text
    assert "no&#95;interval" in text
    assert ["B", "gpt/train fp32", "missing", "nothing stored"] in rows_of(text)


def test_no_run_raises_value_error():
    with pytest.raises(ValueError, match="at least one run"):
        render([])
