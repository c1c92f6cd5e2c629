"""Loading and comparing runs from Python."""

import subprocess
import sys

import pytest
from runs import CASE, frame, measured, run_of

import hwbench
from hwbench.tables import write_derived


@pytest.fixture
def results(tmp_path):
    """Three runs of three processes: two labelled main, and one that is twice as slow."""
    for run_id, label, step_s in (("a", "main", 0.003), ("b", "main", 0.003), ("c", "", 0.006)):
        processes = [measured(step_s * (1 + process / 1000)) for process in range(3)]
        run_of((CASE, processes), run_id=run_id, label=label, folder=tmp_path)
    return tmp_path


def test_load_gives_the_tables_of_a_run(results):
    run = hwbench.load(results / "a")[0]
    assert run.run_id == "a"
    assert run.folder == results / "a"
    assert run.label == "main"
    assert run.device == "Fake device"
    assert len(run.samples) == 3 * 12  # a cold step, a warm one and ten timed ones
    rates = run.metrics.set_index("metric").value
    assert rates.tokens_per_s == pytest.approx(30 / 0.003003)
    assert list(run.cases.outcome) == ["ok"]
    assert list(run.span_times.name) == ["forward", "backward"]
    assert list(run.span_times.seconds) == pytest.approx([0.001001, 0.002002], rel=1e-6)


def test_load_by_id_and_label_keeps_the_order_of_time(results):
    runs = hwbench.load("c", "label:main", results=results)
    assert [run.run_id for run in runs] == ["c", "a", "b"]
    assert set(runs.metrics.run_id) == {"a", "b", "c"}
    assert len(runs.samples) == 3 * len(runs[0].samples)
    assert len(runs[1:]) == 2


def test_load_names_what_is_not_there(results):
    with pytest.raises(hwbench.UserError, match="no run 'nope'"):
        hwbench.load("nope", results=results)
    with pytest.raises(hwbench.UserError, match="label 'other'"):
        hwbench.load("label:other", results=results)


def test_a_run_has_no_made_up_attributes(results):
    run = hwbench.load(results / "a")[0]
    with pytest.raises(AttributeError, match="sampels"):
        run.sampels  # noqa: B018
    assert run.to_html().startswith("<!DOCTYPE html>")


def test_compare_judges_slower(results):
    found = hwbench.compare(results / "a", results / "c")
    assert found.verdict == "slower"
    row = found.table.set_index("metric").loc["tokens_per_s"]
    assert row.ratio == pytest.approx(0.5, rel=1e-6)
    assert row.ci_low <= row.ratio <= row.ci_high


def test_compare_takes_runs_and_several_baselines(results):
    baseline = hwbench.load("label:main", results=results)
    assert hwbench.compare(baseline, baseline[1]).verdict == "same"


def test_compare_takes_one_candidate(results):
    with pytest.raises(hwbench.UserError, match="1 baselines and 2 candidates"):
        hwbench.compare(results / "c", "label:main", results=results)


def test_compare_knows_its_metrics(results):
    with pytest.raises(hwbench.UserError, match="tokens_per_s"):
        hwbench.compare(results / "a", results / "c", metrics=["token_per_s"])


def test_notebooks_show_tables_and_escape_names(results):
    runs = hwbench.load(results / "a", results / "c")
    assert runs._repr_html_().count("<table>") == 2
    assert "1.000×" in hwbench.compare(runs[0], runs[0])._repr_html_()
    assert "<script>" not in runs._repr_html_()


def test_import_is_light():
    code = (
        "import sys, hwbench; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("names", [(), ("a" * 5000,), ("/proc/self/mem",)])
def test_load_refuses_odd_names_in_a_line(results, names):
    with pytest.raises(hwbench.UserError):
        hwbench.load(*names, results=results)


def test_no_runs_have_no_tables():
    with pytest.raises(hwbench.UserError, match="no runs"):
        hwbench.Runs([]).metrics  # noqa: B018


def test_compare_takes_a_list_a_metric_and_a_percentage(results):
    a, c = hwbench.load(results / "a", results / "c")
    table = hwbench.compare([a], c, metrics="step_s_p50", threshold="5%").table
    assert list(table.metric) == ["step_s_p50"]


def test_compare_counts_no_change_within_the_noise_floor(results):
    floor = {"case_id": CASE.case_id, "metric": "tokens_per_s", "floor": 1.5, "n": 3, "run_id": "a"}
    device = {"device_kind": "fake", "device_name": "Fake device", "started_at": "2026-11-24"}
    write_derived(results / "a", "noise", frame("noise", [floor | device]))
    found = hwbench.compare(results / "a", results / "c", results=results)
    row = found.table.set_index("metric").loc["tokens_per_s"]
    assert (row.verdict, row.floor) == ("inconclusive", 1.5)
