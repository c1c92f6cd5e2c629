"""Histories: which runs they have, in which order, with which metric, and where their level
changes."""

import json

import numpy as np
import pandas as pd
import pytest
from histories import history_of, level
from runs import CASE, OTHER, around, run_of, with_measurements

from hwbench.analysis.history import CHANGES, POINTS, changes, commit_of, points
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.outcomes import cases
from hwbench.tables.run import RunTables


def tables_of(runs: list[RunTables]) -> pd.DataFrame:
    return points(
        [run.runs for run in runs], [cases(run) for run in runs], [summarize(run) for run in runs]
    )


def run_at(day: int, seconds: float = 1.0, label: str = "main", **more) -> RunTables:
    head = {
        "run_id": f"r{day:02}",
        "started_at": f"2026-11-{day:02}T08:00:00+00:00",
        "label": label,
    } | more
    return run_of((CASE, around(seconds, 0.01)), **head)


def git(commit: str, dirty: bool = False) -> str:
    return json.dumps({"git": {"commit": commit, "dirty": dirty}})


def test_a_history_is_in_the_order_of_time_with_intervals_and_commits():
    runs = [
        run_at(3, 1.2, environment=git("c")),
        run_at(1, 1.0, environment=git("a", True)),
        run_at(2, 1.1),
    ]
    table = tables_of(runs)
    assert list(table.columns) == POINTS
    assert list(table.run_id) == ["r01", "r02", "r03"]
    assert list(table.position) == [0, 1, 2]
    assert list(table.commit.fillna("")) == ["a+", "", "c"]
    assert list(table.value) == pytest.approx([1.0, 1.1, 1.2])
    assert set(table.metric) == {"step_s_p50"}
    assert set(table.case) == {"gpt/train size=nano batch=1 fp32"}
    assert (table.ci_low < table.value).all()
    assert (table.value < table.ci_high).all()
    assert set(table.validity) == {"valid"}


def test_a_history_follows_throughput_rather_than_the_step():
    runs = [with_measurements(run_at(day), CASE, tokens=30) for day in (1, 2, 3)]
    table = tables_of(runs)
    assert list(table.metric) == ["tokens_per_s"] * 3
    assert list(table.value) == pytest.approx([30.0] * 3)


def test_a_run_without_the_metric_is_left_out_and_keeps_its_position():
    runs = [with_measurements(run_at(day), CASE, tokens=30) for day in (1, 2, 4)]
    table = tables_of([*runs, run_at(3)])
    assert list(table.position) == [0, 1, 3]


@pytest.mark.parametrize("label", ["", "other"])
def test_two_runs_of_a_label_are_no_history(label):
    assert tables_of([run_at(1), run_at(2), run_at(3, label=label)]).empty


def test_runs_without_a_label_have_no_history():
    assert tables_of([run_at(day, label="") for day in (1, 2, 3)]).empty


def test_devices_have_histories_of_their_own():
    runs = [
        run_at(day, device=device) for day, device in enumerate(["A", "B", "A", "B", "A", "C"], 1)
    ]
    table = tables_of(runs)
    assert set(table.device_name) == {"A"}
    assert list(table.position) == [0, 1, 2]


def test_a_run_given_twice_counts_once():
    assert tables_of([run_at(1), run_at(2), run_at(2)]).empty
    assert len(tables_of([run_at(1), run_at(2), run_at(3), run_at(2)])) == 3


def test_cases_keep_the_order_in_which_the_runs_name_them():
    runs = [
        run_of((OTHER, around(2.0)), (CASE, around(1.0)), run_id=f"r{i}", label="x")
        for i in range(3)
    ]
    assert list(tables_of(runs).case_id) == [OTHER.case_id] * 3 + [CASE.case_id] * 3


def test_runs_with_nothing_in_common_have_points_and_no_changes():
    runs = [
        run_of((case, around(1.0)), run_id=name, label="x")
        for name, case in (("a", CASE), ("b", OTHER))
    ]
    table = tables_of([*runs, run_of(planned=[CASE], run_id="c", label="x")])
    assert len(table) == 2
    assert changes(table).empty


def test_no_run_is_no_point_and_no_change():
    assert list(tables_of([]).columns) == POINTS
    assert list(changes(tables_of([])).columns) == CHANGES


def test_a_change_names_its_run_and_commit_and_both_levels():
    (row,) = changes(history_of(np.array(level(15, 1.0) + level(15, 1.1)))).to_dict("records")
    assert (row["run_id"], row["commit"], row["position"]) == ("r15", "k15", 15)
    assert row["before"] == pytest.approx(1.001)
    assert row["after"] == pytest.approx(1.1011)
    assert row["ratio"] == row["after"] / row["before"]
    assert row["p"] == 0.001


def test_invalid_figures_do_not_count():
    seconds = np.array(level(15, 1.0) + level(5, 3.0) + level(15, 1.0))
    validity = ["valid"] * 15 + ["invalid"] * 5 + ["valid"] * 15
    assert len(changes(history_of(seconds))) == 2
    assert changes(history_of(seconds, validity=validity)).empty
    assert changes(history_of(seconds, validity=["invalid"] * 35)).empty


def test_no_change_is_smaller_than_the_noise_of_the_machine():
    table = history_of(np.array(level(15, 1.0) + level(15, 1.1)))
    assert changes(table, {("c", "step_s_p50"): 0.12}).empty
    assert len(changes(table, {("c", "step_s_p50"): 0.05, ("d", "step_s_p50"): 0.5})) == 1


def test_each_case_has_its_own_changes():
    one = history_of(np.array(level(30, 1.0)))
    other = history_of(np.array(level(15, 1.0) + level(15, 0.5)), case_id="d", case="another")
    assert list(changes(pd.concat([one, other], ignore_index=True)).case) == ["another"]


@pytest.mark.parametrize(
    ("environment", "commit"),
    [
        (git("abc"), "abc"),
        (git("abc", True), "abc+"),
        ('{"git": null}', None),
        ('{"git": "abc"}', None),
        ('{"git": {"commit": null}}', None),
        ("{}", None),
        ("[]", None),
    ],
)
def test_the_commit_is_what_the_environment_says(environment, commit):
    assert commit_of(environment) == commit
