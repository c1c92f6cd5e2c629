"""judge_runs and the gate on any tables: verdicts with reasons, no traceback and no silent
pass."""

import json
import math
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pandas as pd
import pytest
from commands import assert_one_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import CASE, OTHER, run_of, with_measurements
from test_gate import rewrite, store_run

from hwbench.analysis.metrics.summary import METRICS
from hwbench.analysis.verdict import gate, judgement
from hwbench.analysis.verdict.rules import Rule, Rules
from hwbench.records import OUTCOMES, Case
from hwbench.report.formats import github, junit, markdown_gate
from hwbench.report.terminal import comparison
from hwbench.tables.run import RunTables

CASES = [CASE, OTHER, Case("a|<b>:%", {"x": "☃"}, "bf16")]

ODD = [0.0, -1.0, math.nan, math.inf, 1e-300, 1e300, 5e-324]
seconds = st.one_of(st.floats(1e-6, 1e3), st.sampled_from([1.0, 1.0, 1.001, *ODD]))
processes = st.lists(st.lists(seconds, min_size=1, max_size=12), max_size=4)
notes = st.sampled_from(["[]", "[]", '["loss_not_finite: nan"]', '["throttled: hot"]'])


@st.composite
def runs(draw) -> RunTables:
    """A run of some cases: any times, outcomes, notes and missing parts, on one of two devices."""
    chosen = draw(st.lists(st.sampled_from(CASES), unique_by=str, max_size=3))
    planned = draw(st.lists(st.sampled_from(CASES), max_size=2)) + chosen  # some twice
    device = draw(st.sampled_from(["Fake device"] * 5 + ["Other device"]))
    run = run_of(*((case, draw(processes)) for case in chosen), planned=planned, device=device)
    for case in chosen:
        columns = {
            "outcome": draw(st.sampled_from(["ok"] * 5 + list(OUTCOMES))),
            "reason": draw(st.text(max_size=10)),
            "notes": draw(notes),
            "timer_kind": draw(st.sampled_from(["host", "host", "host", "device_event", None])),
            "tokens": draw(st.sampled_from([None, 0, 30])),
            "window_s": draw(seconds),
            "memory_peak_bytes": draw(st.sampled_from([None, 0, 7])),
        }
        run = with_measurements(run, case, **columns)
    # samples without a measurement, which the store would leave out, and the other way round
    if draw(st.booleans()):
        run = replace(run, samples=run.samples.iloc[::2])
    kinds = {"tokens": "float64", "memory_peak_bytes": "float64", "window_s": "float64"}
    return replace(run, measurements=run.measurements.astype(kinds))


thresholds = st.floats(1e-6, 0.999)
patterns = st.sampled_from(["*", "gpt/*", "gemm", "none"])
rules = st.builds(
    Rules,
    st.lists(st.sampled_from(METRICS), unique=True, max_size=3).map(tuple),
    thresholds,
    st.lists(
        st.builds(Rule, thresholds, patterns, st.sampled_from(["*", *METRICS])), max_size=2
    ).map(tuple),
)
quick = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(st.lists(runs(), min_size=1, max_size=2), runs(), rules, st.booleans())
def test_any_two_runs_have_a_verdict_for_each_row(baseline, candidate, chosen, across):
    with warnings.catch_warnings():
        # numpy's, of infinities that a store would have refused
        warnings.simplefilter("ignore", RuntimeWarning)
        table = gate.hold(baseline, candidate, chosen, across_devices=across)
    known = table.verdict.isin(["same", "faster", "slower"])
    figures = table[known & (table.reason != "zero on both sides")]
    assert (
        not figures[["baseline", "candidate", "ratio", "ci_low", "ci_high", "p"]]
        .isna()
        .any(axis=None)
    )
    assert (table.ci_low.fillna(0) <= table.ci_high.fillna(0)).all()
    assert table[table.verdict.isin(["missing", "incomparable"])].reason.astype(bool).all()
    assert set(table.status) <= set(gate.STATUSES)
    assert not table.duplicated(["case_id", "metric"]).any()
    assert_nothing_slips_through(table, baseline, candidate)
    assert_rendered(table)


def assert_nothing_slips_through(
    table: pd.DataFrame, baseline: list[RunTables], candidate: RunTables
) -> None:
    for case in CASES:
        rows = table[table.case_id == case.case_id]
        stored = candidate.measurements[candidate.measurements.case_id == case.case_id]
        expected = pd.concat([run.measurements for run in baseline])
        if set(stored.outcome) & {"oom", "timeout", "error"}:
            assert set(rows.status) == {"failed"}
        elif (
            stored.empty and ((expected.case_id == case.case_id) & (expected.outcome == "ok")).any()
        ):
            assert "pass" not in set(rows.status)
            assert len(rows)
    if gate.outcome(table, strict=True) == "pass":
        assert set(table.status) <= {"pass", "new", "skipped"}
        assert "pass" in set(table.status)


def assert_rendered(table: pd.DataFrame) -> None:
    outcome = gate.outcome(table)
    json.dumps(
        comparison.comparison_data(table, ("label", "unit", "threshold", "status")), allow_nan=False
    )
    assert comparison.comparison_table(table, "status").row_count == len(table)
    ElementTree.fromstring(junit.render(table, "none"))
    assert len(markdown_gate.render(table, outcome, "none").encode()) <= markdown_gate.LIMIT
    assert all("\n" not in line for line in github.annotations(table, outcome, "none"))


@given(st.lists(st.floats(0), min_size=3, max_size=3), st.floats(1e-9, 0.999), st.booleans())
def test_any_change_has_a_verdict(ends, threshold, higher_is_better):
    low, ratio, high = sorted(ends)
    word = judgement.verdict(
        judgement.stats.Change(ratio, low, high, 0.5), threshold, higher_is_better
    )
    assert word in ("faster", "slower", "same", "inconclusive")
    if word in ("faster", "slower"):
        assert not low <= 1 <= high


@given(st.lists(st.sampled_from(["slower", "same", "missing"])), st.data())
def test_holm_only_makes_verdicts_inconclusive(verdicts, data):
    p = data.draw(
        st.lists(
            st.floats(0, 1) | st.just(math.nan), min_size=len(verdicts), max_size=len(verdicts)
        )
    )
    for before, after, value in zip(verdicts, gate.beyond_doubt(verdicts, p), p, strict=True):
        assert after == before or (before == "slower" and after == "inconclusive")
        assert after != "slower" or value <= gate.LEVEL


class TestStored:
    """Damaged tables on the disk, read by the command."""

    @pytest.fixture
    def gated(self, call, tmp_path):
        """Change a table of the candidate, and run the gate."""
        results = tmp_path / "results"
        store_run(results, "base", 0.003)
        folder = store_run(results, "run", 0.003)

        def run(table, change):
            file = sorted((folder / table).iterdir())[0]
            rewrite(file, change(pd.read_parquet(file)))
            return call("gate", "--baseline", "base", "--candidate", "run")

        return run

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (-1.0, "negative or not a number"),
            (math.nan, "a value is missing"),  # pandas stores it as null
            (math.inf, "negative or not a number"),
        ],
    )
    def test_a_time_that_is_negative_or_unknown_is_damage(self, gated, value, says):
        assert_one_line(gated("samples", lambda t: t.assign(step_s=value)), 2, says)

    def test_a_process_stored_twice_is_damage(self, gated):
        assert_one_line(gated("measurements", lambda t: pd.concat([t, t])), 2, "two measurements")

    def test_an_unknown_outcome_is_damage(self, gated):
        assert_one_line(
            gated("measurements", lambda t: t.assign(outcome="fine")), 2, "outcome 'fine'"
        )

    @pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
    def test_an_impossible_window_is_damage(self, gated, value):
        done = gated("measurements", lambda t: t.assign(window_s=value))
        assert "Traceback" not in done.stderr
        assert done.returncode in (1, 2, 3), done.stdout

    def test_a_case_twice_in_the_plan(self, gated):
        def twice(runs):
            plan = json.loads(runs.plan[0])
            return runs.assign(plan=json.dumps(plan | {"cases": plan["cases"] * 2}))

        done = gated("runs", twice)
        assert done.returncode == 2
        assert "column 'plan' of table 'runs' is damaged" in done.stderr

    def test_samples_without_their_measurement_do_not_count(self, call, tmp_path):
        results = tmp_path / "results"
        store_run(results, "base", 0.003)
        for part in (store_run(results, "run", 0.003) / "measurements").iterdir():
            part.unlink()
        done = call("gate", "--baseline", "base", "--candidate", "run")
        assert done.returncode == 1
        assert "planned and not measured" in done.stdout

    def test_processes_of_one_step_are_compared(self, call, tmp_path):
        for run_id in ("a", "b"):
            run_of((CASE, [[0.003]] * 3), folder=tmp_path / "results", run_id=run_id)
        assert call("gate", "--baseline", "a", "--candidate", "b").returncode == 0
