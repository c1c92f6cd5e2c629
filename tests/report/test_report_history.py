"""The history on the page: its figures, levels, changes, and what it does with too many or strange
runs."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from histories import history_of, level
from html_page import Page
from runs import CASE, OTHER, around, run_of, with_measurements

from hwbench.analysis.history import changes
from hwbench.records import Case
from hwbench.report.charts.history import (
    MOST_POINTS,
    Track,
    percent,
    short_commit,
    thinned,
    tracks,
)
from hwbench.report.page.figures.history import MARKS, timeline
from hwbench.report.page.html import SECTIONS, render_section
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections.history import change_table, content
from hwbench.report.view import view_runs

(HISTORY,) = [section for section in SECTIONS if section.anchor == "history"]


def track_of(values, **columns) -> Track:
    table = history_of(np.asarray(values, np.float64), **columns)
    (track,) = tracks(table, changes(table))
    return track


def drawn(track: Track, most: int = MOST_POINTS) -> str:
    return str(timeline(track, "p", most))


def page_of(runs) -> str:
    return str(render_section(HISTORY, PageRuns(view_runs(runs))).html)


def history(runs, floors=None):
    return content(PageRuns(view_runs(runs), floors))


def run_at(i: int, seconds: float, case: Case = CASE, **head):
    head = {
        "run_id": f"r{i}",
        "label": "main",
        "started_at": f"2026-11-24T08:{i:02}:00+00:00",
    } | head
    return run_of((case, around(seconds, 0.01, processes=3)), **head)


def test_a_page_has_a_figure_a_case_with_its_data_and_the_changes():
    git = {"environment": json.dumps({"git": {"commit": "abcdef0123456", "dirty": False}})}
    source = page_of([run_at(i, 1.0 if i < 8 else 1.1, **git) for i in range(16)])
    page = Page(source)
    assert page.tags["svg"] == page.tags["figure"] == 1
    assert (
        "16 runs of main on Fake device, 2026-11-24 08:00 UTC to 2026-11-24 08:15 UTC: 1 "
        "change of level in 1 case." in (page.text)
    )
    assert "+10.0 % at run r8 (commit abcdef0)" in page.text
    assert [
        "gpt/train fp32",
        "r8",
        "abcdef0",
        "2026-11-24 08:08 UTC",
        "1.000 s",
        "1.100 s",
        "+10.0 %",
        "0.0010",
    ] in (page.rows)
    assert [row[0] for row in page.rows if row[0].startswith("r")] == [f"r{i}" for i in range(16)]
    assert len(set(page.values("id"))) == len(page.values("id"))


def test_fewer_than_three_runs_of_a_label_have_no_history():
    runs = [run_at(0, 1.0), run_at(1, 1.0), run_at(2, 1.0, label=""), run_at(3, 1.0, label="other")]
    assert history(runs) is None


def test_runs_with_nothing_in_common_have_no_history():
    cases = [Case("gemm", {"n": n}, "fp32") for n in range(3)]
    assert history([run_at(i, 1.0, case) for i, case in enumerate(cases)]) is None


def test_two_devices_have_titles_of_their_own():
    runs = [run_at(i, 1.0, device=device) for i, device in enumerate(["A", "B"] * 3)]
    found = history(runs)
    named = [f"Step, p50: gpt/train fp32, main on {device} (fake), over 3 runs" for device in "AB"]
    assert [panel.title for panel in found.panels] == named


def test_levels_and_changes_are_lines_and_validities_are_shapes():
    plain = drawn(track_of(level(20, 1.0)))
    changed = drawn(
        track_of(level(10, 1.0) + level(10, 2.0), validity=["valid"] * 19 + ["suspect"])
    )
    assert plain.count("stroke-dasharray") == 0
    assert changed.count("stroke-dasharray") == 1
    assert "suspect" in changed
    assert "suspect" not in plain
    assert "invalid, not counted" in drawn(
        track_of(level(20, 1.0), validity=["valid"] * 19 + ["invalid"])
    )


def test_wide_runs_have_a_mark_of_their_own_and_count():
    words = ["valid", "wide", "suspect", "invalid"]
    assert len({MARKS[word] for word in words}) == len(words)
    track = track_of(level(10, 1.0) + level(10, 2.0), validity="wide")
    assert len(track.changes) == 1
    assert ">wide<" in drawn(track)
    assert "suspect" not in drawn(track)


def test_better_and_worse_are_told_apart():
    def tone(metric: str) -> str:
        return (
            change_table([track_of(level(10, 1.0) + level(10, 2.0), metric=metric)]).rows[0][6].tone
        )

    assert tone("step_s_p50") == "bad"
    assert tone("tokens_per_s") == "good"


def test_hundreds_of_runs_are_thinned_and_keep_their_ends_and_changes():
    track = track_of(level(333, 1.0) + level(667, 1.1))
    shown = thinned(track, MOST_POINTS)
    assert len(shown) <= MOST_POINTS
    assert {0, 333, 999} <= set(shown.position)
    assert len(thinned(track_of(level(500, 1.0)), MOST_POINTS)) == 500
    assert len(drawn(track)) < 100_000


def test_many_cases_share_the_points_of_the_page(monkeypatch):
    monkeypatch.setattr("hwbench.report.page.sections.history.MOST_FIGURES", 2)
    monkeypatch.setattr("hwbench.report.page.sections.history.ALL_POINTS", 20)
    cases = [Case("gemm", {"n": n}, "fp32") for n in range(3)]
    runs = [
        run_of(
            *((c, [[1.0 if c is not cases[2] or i < 15 else 2.0]]) for c in cases),
            run_id=f"{i:02}",
            label="x",
        )
        for i in range(30)
    ]
    source = page_of(runs)
    page = Page(source)
    assert "Drawn for 2 of 3 cases, those that changed first." in page.text
    assert page.text.count("20 runs in between left out") == 2
    assert page.text.index("gemm n=2 fp32") < page.text.index("gemm n=0 fp32")


@pytest.mark.parametrize("value", [1e-300, 1e300, 0.0, -1.0])
def test_strange_values_make_a_figure(value):
    assert "<svg" in drawn(track_of([value] * 4))
    assert "<svg" in drawn(track_of([value, 1.0, 2.0]))


def test_a_history_of_invalid_runs_has_no_levels():
    assert "<svg" in drawn(track_of(level(5, 1.0), validity="invalid"))


def test_a_history_without_intervals_is_drawn():
    runs = [
        run_of((CASE, [[1.0]]), (OTHER, [[float("nan")]]), run_id=f"r{i}", label="x")
        for i in range(3)
    ]
    assert "nan" not in re.findall(r"\w+", Page(page_of(runs)).text)


def test_a_history_leaves_out_unfinished_runs():
    runs = [
        *(run_at(i, 1.0) for i in range(3)),
        run_of(planned=[CASE], run_id="new", label="main", started_at="9"),
    ]
    assert "3 runs of main" in Page(page_of(runs)).text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a|b\nc",
        "$x_1$",
        "שלום",
        "👩\u200d💻",
        "e\u0301",
        "x" * 3000,
        "a\0b",
    ],
)
def test_any_names_give_a_well_formed_section(text):
    git = {"environment": json.dumps({"git": {"commit": text, "dirty": True}})}
    named = Case(text, {text: text}, "fp32")
    runs = [
        run_at(
            i,
            1.0 if i < 5 else 2.0,
            named,
            label=text,
            device=text,
            **git | {"run_id": f"{text}{i}"},
        )
        for i in range(10)
    ]
    page = Page(page_of(runs))
    assert page.tags["script"] == 0
    assert page.tags["figure"] == 1


def test_the_same_runs_give_the_same_bytes():
    runs = [run_at(i, 1.0 + i % 2) for i in range(6)]
    assert page_of(runs) == page_of(runs)


def test_changes_below_the_noise_floor_do_not_count():
    runs = [with_measurements(run_at(i, 1.0 if i < 8 else 1.1), CASE) for i in range(16)]
    assert history(runs).changes.rows
    assert not history(runs, {(CASE.case_id, "step_s_p50"): 0.2}).changes.rows


def test_changes_and_commits_are_short():
    assert [percent(x) for x in (1.051, 0.9, 3.0)] == ["+5.1 %", "-10.0 %", "3.00×"]
    assert [short_commit(x) for x in ("0123456789+", "0123456789", "abc+", None, pd.NA)] == [
        "0123456+", "0123456", "abc+", "–", "–",
    ]  # fmt: skip
