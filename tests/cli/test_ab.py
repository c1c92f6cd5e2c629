"""Two sides in turns: fakes for the order and the arithmetic, real interpreters and checkouts for
the rest."""

import json
import math
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from commands import FILE, assert_one_line
from runs import make_run, measured

from hwbench import tables
from hwbench.analysis.verdict.paired import judge_pairs
from hwbench.cli.ab import exit_status
from hwbench.recording import probe, sides
from hwbench.recording.launch.local import Launch, here
from hwbench.recording.matrix import Plan
from hwbench.recording.pairs import measure_pairs
from hwbench.recording.runner import CaseRunner, Progress
from hwbench.records import Case, Measurement, Policy, UserError

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--device", "fake", "--workloads", FILE, "--min-time", "0.03", "--min-samples", "10"]


def side(name, **facts):
    defaults = {
        "device": "fake",
        "nouns": probe.nouns(),
        "git": None,
        "python": "3",
        "hwbench": "0",
        "packages": {},
    }
    return sides.Side(name, here(), [FILE], {**defaults, **facts})


def checkout(folder, edits=()):
    """A copy of this hwbench with some texts replaced in some files."""
    for package in ("hwbench", "workloads"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file, old, new in edits:
        text = (folder / file).read_text()
        assert text.count(old) >= 1, (file, old)
        (folder / file).write_text(text.replace(old, new))
    return folder


def virtual_environment(folder, packages):
    """A second interpreter; with `packages` it has those of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    if packages:
        (site / "all.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def case(ms=3):
    return Case("fake/known", {"ms": ms}, "fp32")


class TestOrder:
    def turns(self, tmp_path, monkeypatch, pairs, cases, outcome=lambda side, case: "ok"):
        """What `measure_pairs` runs, as (side, case, process), and how it numbers that for those
        who watch."""
        ran, told = [], []

        def fake_measure(runner, case, process):
            name = runner.writer.folder.name
            ran.append((name, case.params["ms"], process))
            result = outcome(name, case)
            done = measured() if result == "ok" else Measurement(result, "why")
            runner.writer.add(case, process, done)
            runner.on_progress(Progress("done", case, process, measurement=done))
            return done

        monkeypatch.setattr(CaseRunner, "measure", fake_measure)
        writers = [make_run(tmp_path, name, cases, policy=Policy(processes=pairs)) for name in "ab"]
        plan = Plan(tuple(cases), Policy(processes=pairs))
        measure_pairs(plan, [side("a"), side("b")], writers, told.append)
        return ran, told

    def test_pairs_alternate(self, tmp_path, monkeypatch):
        ran, told = self.turns(tmp_path, monkeypatch, 4, [case()])
        assert "".join(name for name, _, _ in ran) == "abbaabba"
        assert [process for _, _, process in ran] == [0, 0, 1, 1, 2, 2, 3, 3]
        assert [progress.process for progress in told] == list(range(8))

    def test_the_two_of_a_pair_are_next_to_each_other_whatever_else_is_measured(
        self, tmp_path, monkeypatch
    ):
        ran, _ = self.turns(tmp_path, monkeypatch, 2, [case(3), case(4)])
        assert [(name, ms) for name, ms, _ in ran] == [
            ("a", 3), ("b", 3), ("a", 4), ("b", 4), ("b", 3), ("a", 3), ("b", 4), ("a", 4),
        ]  # fmt: skip

    def test_failure_on_one_side_ends_the_case_on_both(self, tmp_path, monkeypatch):
        ran, _ = self.turns(
            tmp_path, monkeypatch, 3, [case(3), case(4)],
            lambda side, case: "error" if side == "a" and case.params["ms"] == 3 else "ok",
        )  # fmt: skip
        assert [(name, process) for name, ms, process in ran if ms == 3] == [("a", 0), ("b", 0)]
        assert len([turn for turn in ran if turn[1] == 4]) == 6


class TestJudgement:
    def judge(self, tmp_path, a, b, threshold=0.02, metrics=("step_s_p50",)):
        runs = []
        for name, times in (("a", a), ("b", b)):
            writer = make_run(
                tmp_path, name, [case()], policy=Policy(processes=max(len(a), len(b)))
            )
            for process, step_s in times.items() if isinstance(times, dict) else enumerate(times):
                done = measured(step_s) if step_s else Measurement("oom", "no memory")
                writer.add(case(), process, done)
            runs.append(tables.read_run(writer.folder))
        (row,) = judge_pairs(*runs, metrics, threshold).to_dict("records")
        return row

    def test_a_drift_that_both_sides_share_cancels(self, tmp_path):
        drift = [0.003 * 1.1**i for i in range(6)]
        row = self.judge(tmp_path, drift, [x * 1.05 for x in drift])
        assert row["verdict"] == "slower"
        assert [row[key] for key in ("ratio", "ci_low", "ci_high")] == pytest.approx(
            [1.05] * 3, rel=1e-5
        )
        assert row["baseline"] < row["candidate"]

    def test_equal_sides_are_same(self, tmp_path):
        row = self.judge(tmp_path, [0.003, 0.0031, 0.0032], [0.003, 0.0031, 0.0032])
        assert (row["verdict"], row["ratio"]) == ("same", 1.0)

    def test_pairs_meet_by_their_number(self, tmp_path):
        row = self.judge(tmp_path, {0: 0.001, 1: 0.002, 2: 0.004}, {0: 0.001, 2: 0.004})
        assert (row["verdict"], row["ratio"]) == ("same", 1.0)

    def test_noise_is_inconclusive(self, tmp_path):
        assert (
            self.judge(tmp_path, [0.003, 0.004, 0.003], [0.004, 0.003, 0.004])["verdict"]
            == "inconclusive"
        )

    def test_one_pair_is_incomparable_with_the_cure(self, tmp_path):
        row = self.judge(tmp_path, [0.003], [0.006])
        assert (row["verdict"], row["reason"]) == (
            "incomparable",
            "one pair only: measure with --pairs 6 or more",
        )
        assert math.isnan(row["ci_low"])

    def test_a_side_without_a_figure_is_missing_with_the_reason(self, tmp_path):
        row = self.judge(tmp_path, [0.003], [None])
        assert (row["verdict"], row["reason"]) == ("missing", "candidate: oom: no memory")


@pytest.mark.parametrize(
    ("verdicts", "outcomes", "strict", "status"),
    [
        ({"same", "faster"}, {"ok"}, True, 0),
        ({"same", "inconclusive"}, {"ok"}, False, 0),
        ({"same", "inconclusive"}, {"ok"}, True, 3),
        ({"same", "missing"}, {"ok", "unsupported"}, False, 3),
        ({"same", "missing"}, {"ok", "timeout"}, False, 1),
        ({"inconclusive", "slower"}, {"ok"}, True, 1),
    ],
)
def test_exit_statuses(verdicts, outcomes, strict, status):
    assert exit_status(verdicts, outcomes, strict) == status


class TestSides:
    def test_policy_is_reduced_to_fields_the_side_knows(self):
        older = side(
            "a", nouns={**probe.nouns(), "Policy": {"processes": False, "timeout_s": False}}
        )
        assert older.policy(Plan((), Policy(processes=2, timeout_s=9.0))) == {
            "processes": 2,
            "timeout_s": 9.0,
        }

    def test_unknown_fields_of_a_newer_hwbench_are_ignored(self):
        nouns = probe.nouns()
        sides._check_understood(
            "b", {"nouns": {**nouns, "Window": {**nouns["Window"], "colour": False}}}
        )
        found = measured().as_json()
        newer = found | {"taste": 1, "window": found["window"] | {"colour": "red"}}
        assert Measurement.from_json(newer) == measured()

    def test_too_old_hwbench_is_refused(self):
        nouns = probe.nouns()
        older = {
            **nouns,
            "Measurement": {
                name: v for name, v in nouns["Measurement"].items() if name != "outcome"
            },
        }
        with pytest.raises(
            UserError, match=r"too old to compare with this one: no Measurement\.outcome"
        ):
            sides._check_understood("a", {"nouns": older})

    def test_this_hwbench_is_understood(self):
        sides._check_understood("a", {"nouns": probe.nouns()})

    def test_a_relative_file_is_the_sides_own_where_it_has_one(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for folder in (".", "a"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / "mine.py").touch()
        (tmp_path / "other.py").touch()
        found = [
            sides._own_file(name, Path("a"))
            for name in ("mine.py", "other.py", str(tmp_path / "mine.py"))
        ]
        assert found == [str(tmp_path / name) for name in ("a/mine.py", "other.py", "mine.py")]

    def test_no_such_python(self):
        with pytest.raises(UserError, match="--a /nowhere/python: no such Python"):
            sides.open_side("a", "/nowhere/python", None, "fake", [])

    def test_no_such_folder(self):
        with pytest.raises(UserError, match="--b-dir nowhere: no such folder"):
            sides.open_side("b", sys.executable, Path("nowhere"), "fake", [])

    def test_a_checkout_that_does_not_import(self, tmp_path):
        broken = checkout(tmp_path, [("hwbench/worker.py", "import json\n", "import jason\n")])
        with pytest.raises(
            UserError, match=r"side b .*: ModuleNotFoundError: No module named 'jason'"
        ):
            sides.open_side("b", sys.executable, broken, "fake", [])

    def test_a_device_that_is_not_there(self):
        with pytest.raises(UserError, match=r"side a .*: no device mps:7 here"):
            sides.open_side("a", sys.executable, None, "mps:7", [])

    def test_program_that_is_not_python_is_refused(self, tmp_path):
        program = tmp_path / "python"
        program.write_text("no program\n")
        program.chmod(0o755)
        with pytest.raises(UserError, match="python: cannot be started: "):
            sides._ask(Launch([str(program)], {}), "-c", "")


class TestCommand:
    def test_two_checkouts_and_two_interpreters_to_the_last_digit(self, tmp_path, call):
        """Side a is of an older hwbench that knows no seed, side b has a device that is 10 %
        slower."""
        older = checkout(
            tmp_path / "older",
            [
                ("hwbench/records/case.py", "    seed: int = 0\n", ""),
                ("hwbench/recording/measure_case.py", "request.policy.seed", "0"),
            ],
        )
        as_is, at_ten_percent_more = (
            "self.host_ns) + round(seconds * 1e9)",
            "self.host_ns) + round(seconds * 1.1e9)",
        )
        slower = checkout(
            tmp_path / "slower", [("hwbench/devices/fake.py", as_is, at_ten_percent_more)]
        )
        python = virtual_environment(tmp_path / "venv", packages=True)
        sides = ["--a-dir", older, "--b-dir", slower, "--b", python]
        metrics = ["--metric", "tokens_per_s,step_s_p50"]
        done = call("ab", "fake/known", *QUICK, *sides, "--pairs", 2, *metrics, "--json")
        assert done.returncode == 1, done.stderr
        result = json.loads(done.stdout)
        assert result["verdict"] == "slower"
        rows = {row["metric"]: row for row in result["rows"]}
        assert rows["step_s_p50"]["ratio"] == pytest.approx(1.1, rel=1e-6)
        assert rows["tokens_per_s"]["candidate"] == pytest.approx(10_000 / 1.1, rel=1e-6)
        assert {row["verdict"] for row in rows.values()} == {"slower"}
        runs = [tables.read_run(tmp_path / "results" / run) for run in result["runs"]]
        assert [run.run_id[-2:] for run in runs] == ["-a", "-b"]
        assert [len(run.measurements) for run in runs] == [2, 2]
        again = call("compare", *result["runs"], "--metric", "step_s_p50", "--json")
        assert json.loads(again.stdout)["verdict"] == "slower"

    def test_a_case_that_fails_on_both_sides(self, call):
        done = call("ab", "fake/raises", *QUICK, "--pairs", 2, "--json")
        assert done.returncode == 1
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["verdict"], row["ratio"]) == ("missing", None)
        assert "error: ValueError: first line" in row["reason"]

    def test_a_python_without_torch(self, tmp_path, call):
        python = virtual_environment(tmp_path / "venv", packages=False)
        done = call("ab", "fake/known", *QUICK, "--a", python)
        assert_one_line(done, 2, "side a .*: ModuleNotFoundError: No module named 'torch'")
        assert not (tmp_path / "results").exists()
