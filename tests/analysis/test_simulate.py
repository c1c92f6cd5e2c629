"""Simulated processes: their noise, the targets of the gate, and the simulation beside the real
gate."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from runs import CASE, OTHER, around, run_of, with_measurements

from hwbench import stats
from hwbench.analysis.verdict import gate, judgement, simulate
from hwbench.analysis.verdict.rules import Rules
from hwbench.analysis.verdict.simulate import Noise
from hwbench.report.figures.gate_power import gate_power

NOISE, THRESHOLD = Noise(), 0.02


def test_simulated_steps_have_the_noise_asked_for():
    times = simulate.steps(Noise(0.01, 0.003, 0.5, 400, 200), 3, np.random.default_rng(1))
    assert times.shape == (3, 400, 200)
    logs = np.log(times)
    assert logs.mean(axis=2).std() == pytest.approx(0.01, rel=0.1)
    assert logs.std(axis=2).mean() == pytest.approx(0.003, rel=0.1)
    assert np.median([stats.lag1(row) for row in times[0]]) == pytest.approx(0.5, abs=0.03)


def test_the_same_seed_gives_the_same_table():
    tables = [simulate.power(NOISE, 20, THRESHOLD, seed) for seed in (1, 1, 2)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert tables[0].columns.tolist() == simulate.POWER_COLUMNS


class TestTargets:
    """The targets of the gate, over few pairs; `make bench` takes 1,000 and more."""

    def test_false_alarms_and_power(self):
        table = simulate.power(NOISE, 400, THRESHOLD).set_index("slowdown")
        assert table.slower[0.0] <= 0.01
        assert table.slower[0.03] >= 0.90
        assert table.slower[0.05] >= 0.99
        assert (table[list(simulate.WORDS)].sum(axis=1) - 1).abs().max() < 1e-9

    def test_changes_within_the_noise_are_inconclusive(self):
        assert simulate.undecided_share(NOISE, 0.03, 200, THRESHOLD).value >= 0.95

    @pytest.mark.parametrize("threshold", [THRESHOLD, 0.001])
    def test_thirty_metrics_at_once_rarely_give_a_false_alarm(self, threshold):
        assert simulate.false_alarm_share(NOISE, 30, 100, threshold).value <= 0.05


class TestDealt:
    """A run's own processes, dealt out to two sides."""

    def test_dealt_halves_rarely_give_alarms_and_show_slowdowns(self):
        medians = np.exp(np.random.default_rng(3).normal(0, 0.01, 10))
        table = simulate.dealt_power(medians, 400, THRESHOLD).set_index("slowdown")
        assert table.slower[0.0] <= 0.03
        assert table.slower[0.05] >= 0.95
        assert table.equals(simulate.dealt_power(medians, 400, THRESHOLD).set_index("slowdown"))

    def test_two_kinds_of_process_are_noise_too(self):
        """Half of the processes are 10 % slower, as by chance of memory placement: no false alarm,
        and little power."""
        table = simulate.dealt_power(np.array([1.0, 1.1] * 4), 400, THRESHOLD).set_index("slowdown")
        assert table.slower[0.0] <= 0.05
        assert table.slower[0.03] <= 0.2

    def test_cases_with_fewer_than_four_processes_are_left_out(self):
        run = run_of((CASE, around(1.0, processes=4)), (OTHER, around(1.0, processes=3)))
        ((metric, times),) = simulate.times_of(run).values()
        assert (metric, len(times)) == ("step_s_p50", 4)

    def test_a_rate_is_tested_as_a_time(self):
        run = with_measurements(run_of((CASE, around(2.0, cv=0.1, processes=4))), CASE, tokens=10)
        ((metric, times),) = simulate.times_of(run).values()
        assert metric == "tokens_per_s"
        assert times == pytest.approx(np.median(around(2.0, cv=0.1, processes=4), axis=1) / 10)


@pytest.mark.parametrize("pairs", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_the_simulation_agrees_with_the_gate(pairs):
    """Medians judged by stats and judgement.verdict, and whole tables judged by gate.hold, have the
    same verdicts and p."""
    generator = np.random.default_rng(7)
    for noise in (NOISE, replace(NOISE, process_cv=0.03), Noise(0.002, 0.001, 0.0, 3, 10)):
        a, b = (
            simulate.steps(noise, pairs, generator),
            simulate.steps(noise, pairs, generator) * 1.02,
        )
        for baseline, candidate in zip(a, b, strict=True):
            fast = simulate._judge(
                np.median(baseline, axis=1), np.median(candidate, axis=1), THRESHOLD
            )
            sides = run_of((CASE, baseline)), run_of((CASE, candidate))
            (row,) = judgement.judge_runs(
                [sides[0]], sides[1], Rules(("step_s_p50",), THRESHOLD)
            ).to_dict("records")
            assert (row["verdict"], row["p"]) == (fast[0], pytest.approx(fast[1]))
            held = gate.hold([sides[0]], sides[1], Rules(("step_s_p50",), THRESHOLD))
            assert held.verdict.tolist() == [fast[0]]
            assert (held.status == "regression").tolist() == [fast[0] == "slower"]


def test_the_noise_of_a_run():
    run = run_of((CASE, around(1.0, cv=0.01, processes=3)), (OTHER, around(1.0, processes=1)))
    found = simulate.noise_of(run)
    assert list(found) == [str(CASE)]
    assert found[str(CASE)] == Noise(pytest.approx(0.01), 0.0, 0.0, 3, 10)


def test_the_figure_is_one_svg_that_is_always_the_same():
    table = simulate.power(NOISE, 20, THRESHOLD)
    drawn = [gate_power({"a": table, "b": table}, THRESHOLD, "caption") for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert ElementTree.fromstring(drawn[0]).tag.endswith("svg")
    assert "injected slow-down" in drawn[0]
