"""The noise floors that a run measures, and which stored floors count."""

import json
import math

import numpy as np
import pytest
from commands import FAKE
from runs import run_of, with_measurements
from scipy.stats import t

from hwbench import stats, tables
from hwbench.analysis.verdict import noise
from hwbench.records import Case


def run_at(times, case, **options):
    """A run of processes that took `times` for each step of `case`, of 30 tokens."""
    run = run_of((case, [[step_s] * 10 for step_s in times]), **options)
    return with_measurements(run, case, tokens=30)


def floors_of(run):
    return noise.measure_floors(run).set_index("metric").floor


def test_the_floor_is_the_half_width_of_the_interval(training):
    times = [0.0030, 0.0031, 0.0031, 0.0030, 0.0032, 0.0030, 0.0032, 0.0032]
    run = run_at(times, training)
    halves = [[math.log(x) for x in half] for half in ([30, 30, 32, 32], [31, 31, 30, 32])]
    variances = [sum((x - sum(h) / 4) ** 2 for x in h) / 3 / 4 for h in halves]
    df = sum(variances) ** 2 / sum(v**2 / 3 for v in variances)
    expected = math.exp(t.ppf(0.975, df) * math.sqrt(sum(variances))) - 1
    table = noise.measure_floors(run)
    assert list(table.columns) == noise.NOISE_COLUMNS
    assert floors_of(run)["step_s_p50"] == pytest.approx(expected, rel=1e-6)
    assert floors_of(run)["tokens_per_s"] == pytest.approx(expected, rel=1e-6)
    assert set(table.n) == {4}


def test_the_floor_is_never_below_what_the_halves_differ_by(training):
    run = run_at([0.0030, 0.0033, 0.0033, 0.0030], training)
    assert floors_of(run)["step_s_p50"] == pytest.approx(0.1, rel=1e-6)


def test_what_does_not_vary_has_a_floor_of_zero(training):
    floors = floors_of(run_at([0.003] * 4, training))
    assert floors["step_s_p50"] == pytest.approx(0, abs=1e-9)


def test_later_comparisons_rarely_pass_the_floor():
    """Floors of 5 processes a half, each compared with one later comparison of 5 processes with
    5."""
    random = np.random.default_rng(1)
    passed = 0
    for _ in range(2000):
        a, b, later_a, later_b = np.exp(random.normal(0, 0.02, (4, 5)))
        floor = noise.floor_of(stats.change(a, b))
        passed += abs(math.log(stats.change(later_a, later_b).ratio)) > math.log1p(floor)
    assert 0.02 < passed / 2000 < 0.06


@pytest.mark.parametrize("times", [[], [0.003], [0.003, 0.0031, 0.003]])
def test_too_few_processes_have_no_floor(training, times):
    assert noise.measure_floors(run_at(times, training)).empty


class TestFinding:
    def stored(self, results, run_id, times, case, day=24, **fields):
        run = run_at(times, case, folder=results, run_id=run_id, **fields)
        table = noise.measure_floors(run)
        tables.write_derived(
            run.folder, "noise", table.assign(started_at=f"2026-11-{day}T08:00:00+00:00")
        )
        return run

    def test_the_newest_floor_of_each_case_counts(self, tmp_path, training):
        other = Case("gemm", {"n": 8}, "fp32")
        self.stored(tmp_path, "old", [0.0030, 0.0033, 0.0033, 0.0030], training)
        self.stored(tmp_path, "old-too", [0.0030, 0.0036, 0.0036, 0.0030], other)
        run = self.stored(
            tmp_path, "a-newer-one", [0.0030, 0.0039, 0.0039, 0.0030], training, day=25
        )
        found = noise.floors(tmp_path, run, pytest.fail)
        assert found[training.case_id, "step_s_p50"] == pytest.approx(0.3, rel=1e-6)
        assert found[other.case_id, "step_s_p50"] == pytest.approx(0.2, rel=1e-6)

    def test_floors_of_another_device_do_not_count(self, tmp_path, training):
        self.stored(tmp_path, "r", [0.003] * 4, training, device_kind="cuda")
        run = run_at([0.003], training)
        assert noise.floors(tmp_path, run, pytest.fail) == {}

    def test_floors_of_reference_runs_count(self, tmp_path, training):
        (tmp_path / "reference").mkdir()
        run = self.stored(tmp_path / "reference", "r", [0.003, 0.0033, 0.0033, 0.003], training)
        assert (training.case_id, "step_s_p50") in noise.floors(tmp_path, run, pytest.fail)

    def test_a_damaged_file_is_named_and_does_not_stop_the_rest(self, tmp_path, training):
        self.stored(tmp_path, "broken", [0.003] * 4, training)
        (tmp_path / "broken" / "noise" / "noise.parquet").write_bytes(b"PAR1")
        run = self.stored(tmp_path, "whole", [0.003, 0.0033, 0.0033, 0.003], training)
        warnings = []
        assert (training.case_id, "step_s_p50") in noise.floors(tmp_path, run, warnings.append)
        (line,) = warnings
        assert "noise.parquet: not a readable Parquet file" in line

    def test_the_newest_run_that_measured_noise(self, tmp_path, training):
        self.stored(tmp_path, "noisy", [0.003] * 4, training)
        run_at([0.003], training, folder=tmp_path, run_id="other")
        assert noise.newest(tmp_path, pytest.fail) == tmp_path / "noisy"
        assert noise.newest(tmp_path / "nowhere", pytest.fail) is None

    def test_no_results_have_no_floors(self, tmp_path, training):
        run = run_at([0.003], training)
        assert noise.floors(tmp_path / "nowhere", run, pytest.fail) == {}


class TestCommand:
    def test_it_measures_stores_and_says_the_floor(self, tmp_path, call):
        words = [*FAKE[:4], *FAKE[6:], "--processes", "3"]
        done = call("noise", "fake/known", *words, "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        floors = {row["metric"]: row["floor"] for row in result["rows"]}
        assert floors["tokens_per_s"] == pytest.approx(0, abs=1e-9)
        assert {row["n"] for row in result["rows"]} == {3}
        run = tables.read_run(tmp_path / result["folder"])
        assert len(run.measurements) == 6
        case_id = run.measurements.case_id[0]
        stored = tables.read_noise(tmp_path / "results", pytest.fail)
        assert set(stored.case_id) == {case_id}
        assert noise.floors(tmp_path / "results", run, pytest.fail) == {}  # a floor of nothing

    def test_two_processes_in_a_half_are_refused(self, call):
        done = call("noise", "gemm", "--processes", "2")
        assert done.returncode == 2
        assert done.stderr.startswith("hwbench: --processes 2: too few to tell noise")
        assert done.stdout == ""
