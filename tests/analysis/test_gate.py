"""The gate: statuses, outcomes, and the command as CI calls it."""

import json
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest
from commands import PYTHONPATH, assert_one_line
from runs import CASE, OTHER, around, make_run, measured, run_of, with_measurements, with_precision

from hwbench.analysis import metrics
from hwbench.analysis.verdict import gate
from hwbench.analysis.verdict.rules import Rule, Rules
from hwbench.cli import confirm
from hwbench.records import Case, Measurement
from hwbench.tables.reader import read_heads, read_run

ROOT = Path(__file__).resolve().parents[2]
STEP = Rules(("step_s_p50",), 0.02)


def held(baseline, candidate, rules=STEP, **options):
    return gate.hold([baseline], candidate, rules, **options)


def statuses(*sides, **options):
    return held(*sides, **options).status.tolist()


class TestStatus:
    @pytest.mark.parametrize(
        ("factor", "status"), [(1.0, "pass"), (0.9, "pass"), (1.05, "regression")]
    )
    def test_well_measured_cases_pass_or_regress(self, factor, status):
        assert statuses(run_of((CASE, around(1.0))), run_of((CASE, around(factor)))) == [status]

    def test_noisy_cases_are_inconclusive(self):
        noisy = run_of((CASE, around(1.0, cv=0.2)))
        assert statuses(noisy, noisy) == ["inconclusive"]

    @pytest.mark.parametrize(
        ("factor", "cv", "status"),
        [(1.0, 0.005, "pass"), (1.1, 0.005, "regression"), (1.0, 0.1, "inconclusive")],
    )
    def test_a_wide_case_has_the_status_of_a_valid_one_with_equal_values(self, factor, cv, status):
        valid = [
            with_precision(run_of((CASE, around(value, cv=cv))), 0.5) for value in (1.0, factor)
        ]
        wide = [with_precision(run, 0.001) for run in valid]
        assert [set(metrics.summarize(run).validity) for run in (valid[1], wide[1])] == [
            {"valid"},
            {"wide"},
        ]
        assert statuses(*wide) == [status]
        pd.testing.assert_frame_equal(held(*wide), held(*valid))

    def test_an_inconclusive_row_passes_if_it_cannot_be_worse(self):
        """The interval ends before the threshold on the side that is worse."""
        table = held(run_of((CASE, around(1.0, cv=0.04))), run_of((CASE, around(0.96, cv=0.04))))
        assert table.ci_high[0] < 1.02
        assert table.verdict.tolist() == ["inconclusive"]
        assert table.status.tolist() == ["pass"]

    def test_a_case_that_only_one_side_has_is_missing_or_new(self):
        both, one = run_of((CASE, around(1.0)), (OTHER, around(1.0))), run_of((CASE, around(1.0)))
        assert statuses(both, one) == ["missing", "pass"]
        assert statuses(one, both) == ["new", "pass"]

    def test_a_case_planned_and_not_measured_is_missing(self):
        cut_short = run_of((CASE, around(1.0)), planned=[CASE, OTHER])
        assert statuses(run_of((CASE, around(1.0))), cut_short) == ["missing", "pass"]

    @pytest.mark.parametrize("outcome", ["oom", "timeout", "error"])
    def test_a_case_that_failed_in_one_process_is_failed(self, outcome):
        good = run_of((CASE, around(1.0)))
        first = good.measurements.process == 0
        bad = with_measurements(
            good, CASE, outcome=[outcome if hit else "ok" for hit in first], reason="boom"
        )
        table = held(good, bad)
        assert table.status.tolist() == ["failed"]
        assert table.reason.tolist() == [f"candidate: {outcome}: boom"]
        assert statuses(bad, bad) == ["failed"]

    def test_a_case_that_failed_only_in_the_baseline_is_incomparable(self):
        """It was planned there, so it is not new, and there is nothing to compare it with."""
        good = run_of((CASE, around(1.0)))
        assert statuses(with_measurements(good, CASE, outcome="oom", reason="no"), good) == [
            "incomparable"
        ]
        assert statuses(
            with_measurements(good, CASE, outcome="unsupported", reason="no"), good
        ) == ["new"]

    def test_a_case_that_the_baseline_did_not_reach_is_incomparable(self):
        died = run_of((CASE, around(1.0)), planned=[CASE, OTHER])
        both = run_of((CASE, around(1.0)), (OTHER, around(9.0)))
        assert statuses(died, both) == ["incomparable", "pass"]
        whole = run_of((CASE, around(1.0)), (OTHER, around(1.0)))
        table = gate.hold([died, whole], both, STEP)
        assert table.status.tolist() == ["regression", "pass"]

    def test_a_case_that_neither_side_supports_is_skipped(self):
        none = with_measurements(
            run_of((CASE, around(1.0))), CASE, outcome="unsupported", reason="no"
        )
        assert statuses(none, none) == ["skipped"]
        assert statuses(run_of((CASE, around(1.0))), none) == ["missing"]

    def test_invalid_figures_are_failed(self):
        good = run_of((CASE, around(1.0)))
        bad = with_measurements(good, CASE, notes='["loss_not_finite: nan"]')
        assert statuses(good, bad) == ["failed"]
        assert statuses(bad, good) == ["incomparable"]

    def test_another_device_is_incomparable(self):
        here, there = run_of((CASE, around(1.0))), run_of((CASE, around(1.0)), device="Other")
        assert statuses(there, here) == ["incomparable"]
        assert statuses(there, here, across_devices=True) == ["pass"]

    def test_one_process_is_incomparable(self):
        """A single process has no interval: it neither passes nor fails."""
        table = held(run_of((CASE, around(1.0, processes=1))), run_of((CASE, around(2.0))))
        assert table.status.tolist() == ["incomparable"]
        assert "--processes" in table.reason[0]

    def test_a_change_within_the_noise_floor_is_no_regression(self):
        sides = run_of((CASE, around(1.0))), run_of((CASE, around(1.05)))
        assert statuses(*sides, floors={(CASE.case_id, "step_s_p50"): 0.08}) == ["inconclusive"]

    def test_the_verdict_agrees_with_the_outcome(self):
        good = run_of((CASE, around(1.0)))
        broken = with_measurements(good, CASE, outcome=["error", *["ok"] * 4], reason="boom")
        table = held(good, broken)
        assert (gate.outcome(table), gate.overall(table)) == ("fail", "missing")
        assert table.verdict.tolist() == ["missing"]
        table = held(good, run_of((CASE, around(1.0)), (OTHER, around(1.0))))
        assert (gate.outcome(table), gate.overall(table)) == ("pass", "same")

    def test_a_rule_sets_the_threshold_of_its_cases(self):
        sides = [run_of((CASE, around(s)), (OTHER, around(s))) for s in (1.0, 1.05)]
        table = held(*sides, Rules(("step_s_p50",), 0.02, (Rule(0.1, "gemm"),)))
        assert dict(zip(table.workload, table.status, strict=True)) == {
            "gpt/train": "regression",
            "gemm": "pass",
        }

    def test_rows_are_sorted_from_the_worst_down(self):
        cases = [Case("gemm", {"n": n}, "fp32") for n in range(3)]
        baseline = run_of(*((case, around(1.0)) for case in cases))
        candidate = run_of((cases[0], around(1.0)), (cases[1], around(1.1)))
        assert statuses(baseline, candidate) == ["regression", "missing", "pass"]


class TestHolm:
    def test_adjusted_p_values_by_hand(self):
        words = ["slower", "slower", "faster", "same", "missing"]
        p = [0.01, 0.04, 0.02, 0.9, math.nan]
        assert gate.beyond_doubt(words, p) == [
            "slower",
            "inconclusive",
            "inconclusive",
            "same",
            "missing",
        ]
        assert gate.beyond_doubt(["slower", "same"], [0.02, 0.02]) == ["slower", "same"]
        assert gate.beyond_doubt([], []) == []

    def test_one_doubtful_row_among_many_is_no_regression(self):
        cases = [Case("gemm", {"n": n}, "fp32") for n in range(20)]
        doubtful, plain = [1.0, 1.01, 1.02, 1.03, 1.04], [1.035, 1.045, 1.055, 1.065, 1.075]
        first = (
            run_of((cases[0], [[s] * 9 for s in doubtful])),
            run_of((cases[0], [[s] * 9 for s in plain])),
        )
        assert statuses(*first) == ["regression"]
        rest = [(case, around(1.0)) for case in cases[1:]]
        many = [run_of((cases[0], [[s] * 9 for s in times]), *rest) for times in (doubtful, plain)]
        table = held(*many)
        assert "regression" not in set(table.status)
        assert table.reason[table.status == "inconclusive"].tolist() == [
            "not beyond doubt among 20 rows judged at once"
        ]


class TestOutcome:
    @pytest.mark.parametrize(
        ("rows", "loose", "strict"),
        [
            (["pass", "new", "skipped"], "pass", "pass"),
            (["pass", "inconclusive"], "pass", "no verdict"),
            (["inconclusive"], "pass", "no verdict"),
            (["pass", "incomparable"], "no verdict", "no verdict"),
            (["incomparable", "regression"], "fail", "fail"),
            (["pass", "missing"], "fail", "fail"),
            (["pass", "failed"], "fail", "fail"),
            (["new"], "no verdict", "no verdict"),
            (["skipped"], "no verdict", "no verdict"),
            ([], "no verdict", "no verdict"),
        ],
    )
    def test_the_outcome_of_all_rows(self, rows, loose, strict):
        table = pd.DataFrame({"status": rows})
        assert (gate.outcome(table), gate.outcome(table, strict=True)) == (loose, strict)


class TestConfirm:
    @pytest.mark.parametrize(
        ("second", "status", "says"),
        [
            (1.10, "regression", "confirmed by 5 fresh processes: ratio 1.1000"),
            (1.00, "inconclusive", "5 fresh processes do not confirm it: ratio 1.0000"),
            (0.90, "inconclusive", "do not confirm it: ratio 0.9000"),
        ],
    )
    def test_a_regression_must_show_in_both_measurements(self, second, status, says):
        baseline = run_of((CASE, around(1.0)))
        table, again = (held(baseline, run_of((CASE, around(factor)))) for factor in (1.1, second))
        found = gate.confirm(table, again, 5)
        assert found.status.tolist() == [status]
        assert says in found.reason[0]

    def test_a_noisy_second_measurement_does_not_clear_a_regression(self):
        baseline = run_of((CASE, around(1.0)))
        again = held(baseline, run_of((CASE, around(1.1, cv=0.2))))
        assert again.status.tolist() == ["inconclusive"]
        found = gate.confirm(held(baseline, run_of((CASE, around(1.1)))), again, 3)
        assert found.status.tolist() == ["incomparable"]
        assert gate.outcome(found) == "no verdict"
        assert "3 fresh processes cannot tell: ratio 1.0" in found.reason[0]

    def test_a_regression_that_could_not_be_measured_again_stays(self):
        baseline, slow = run_of((CASE, around(1.0))), run_of((CASE, around(1.1)))
        failed = with_measurements(slow, CASE, outcome="oom", reason="no memory")
        found = gate.confirm(held(baseline, slow), held(baseline, failed), 5)
        assert found.status.tolist() == ["regression"]
        assert found.reason.tolist() == ["not confirmed: candidate: oom: no memory"]
        found = gate.confirm(held(baseline, slow), gate.EMPTY, 5)
        assert found.reason.tolist() == ["not confirmed: not measured again"]

    def test_confirm_leaves_passed_rows_as_they_are(self):
        table = held(run_of((CASE, around(1.0))), run_of((CASE, around(1.0))))
        pd.testing.assert_frame_equal(gate.confirm(table, gate.EMPTY, 5), table)


def store_run(
    results: Path,
    run_id: str,
    step_s: float,
    case: Case = CASE,
    label: str = "",
    day: int = 1,
    device="fake",
):
    """A stored run of three processes that do not vary; returns its folder."""
    run = run_of(
        (case, [measured(step_s)] * 3),
        folder=results,
        run_id=run_id,
        label=label,
        started_at=f"2026-11-{day:02d}T08:00:00+00:00",
        device_kind=device,
    )
    return run.folder


def rewrite(file: Path, table: pd.DataFrame) -> None:
    import pyarrow as pa

    from hwbench.tables.schema import SCHEMAS
    from hwbench.tables.writer import write_part

    # pandas' NaN is null, which the store refuses: damage may have it all the same
    schema = pa.schema([field.with_nullable(True) for field in SCHEMAS[file.parent.name]])
    content = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    write_part(file.parent.parent, file.parent.name, file.stem, content)


class TestRolling:
    def test_the_last_runs_of_a_label_without_the_candidate(self, tmp_path):
        for day in range(1, 8):
            store_run(tmp_path, f"r{day}", 0.003, label="main", day=day)
        store_run(tmp_path, "other", 0.003, label="nightly", day=9)
        candidate = read_run(tmp_path / "r6")
        found = gate.rolling(read_heads(tmp_path, pytest.fail), "main", 3, candidate)
        assert [folder.name for folder in found] == ["r4", "r5", "r7"]
        assert gate.rolling(read_heads(tmp_path, pytest.fail), "none", 3, candidate) == []

    def test_runs_of_this_device_go_first(self, tmp_path):
        store_run(tmp_path, "here", 0.003, label="main", day=1)
        store_run(tmp_path, "there", 0.003, label="main", day=2, device="cuda")
        candidate = read_run(store_run(tmp_path, "c", 0.003))
        assert [
            f.name for f in gate.rolling(read_heads(tmp_path, pytest.fail), "main", 5, candidate)
        ] == ["here"]
        elsewhere = read_run(store_run(tmp_path, "x", 0.003, device="xpu"))
        assert len(gate.rolling(read_heads(tmp_path, pytest.fail), "main", 5, elsewhere)) == 2

    def test_no_results_have_no_heads(self, tmp_path):
        assert read_heads(tmp_path / "none", pytest.fail).empty


class TestCommand:
    @pytest.fixture
    def results(self, tmp_path):
        for run_id, step_s in {"base": 0.003, "same": 0.003, "slow": 0.0036}.items():
            store_run(
                tmp_path / "results", run_id, step_s, label="main" if run_id == "base" else ""
            )
        return tmp_path / "results"

    @pytest.mark.parametrize(("candidate", "status"), [("same", 0), ("slow", 1)])
    def test_exit_status_table_and_reports(self, call, results, candidate, status):
        done = call(
            "gate",
            "--baseline",
            "base",
            "--candidate",
            candidate,
            "--junit",
            "j.xml",
            "--markdown",
            "m.md",
        )
        assert done.returncode == status, done.stderr
        assert ("regression" in done.stdout) == bool(status)
        assert "10,000 tokens/s" in done.stdout
        suite = ElementTree.parse(results.parent / "j.xml").getroot().find("testsuite")
        assert (suite.get("tests"), suite.get("failures")) == ("1", str(status))
        assert (
            (results.parent / "m.md")
            .read_text()
            .startswith(f"### hwbench gate: {'fail' if status else 'pass'}")
        )

    def test_json_has_outcome_verdict_and_rows(self, call, results):
        done = call("gate", "--baseline", "label:main", "--candidate", "slow", "--json")
        content = json.loads(done.stdout)
        assert (content["outcome"], content["verdict"], content["message"]) == (
            "fail",
            "slower",
            None,
        )
        (row,) = content["rows"]
        assert {
            "case_id",
            "workload",
            "metric",
            "baseline",
            "candidate",
            "ratio",
            "ci_low",
            "ci_high",
        } <= set(row)
        assert (row["verdict"], row["status"], row["metric"]) == (
            "slower",
            "regression",
            "tokens_per_s",
        )
        assert row["ratio"] == pytest.approx(5 / 6)

    def test_several_baselines_and_a_folder_of_them(self, call, results):
        assert (
            call(
                "gate", "--baseline", "base", "--baseline", "same", "--candidate", "slow"
            ).returncode
            == 1
        )
        (results / "same").rename(results.parent / "same")
        done = call("gate", "--baseline", results, "--candidate", results / "slow", "--json")
        # without the candidate
        assert json.loads(done.stdout)["rows"][0]["baseline"] == pytest.approx(10_000)

    @pytest.mark.parametrize("baseline", ["none", "label:none", "elsewhere"])
    def test_no_baseline_is_no_verdict(self, call, results, baseline):
        done = call(
            "gate",
            "--baseline",
            baseline,
            "--candidate",
            "same",
            "--junit",
            "j.xml",
            "--markdown",
            "m.md",
            "--json",
        )
        assert done.returncode == 3
        assert "no baseline" in done.stderr
        assert json.loads(done.stdout)["outcome"] == "no verdict"
        assert "no baseline" in (results.parent / "j.xml").read_text()
        assert "no baseline" in (results.parent / "m.md").read_text()

    def test_a_baseline_of_another_machine_is_no_verdict_unless_allowed(self, call, results):
        store_run(results, "gpu", 0.003, device="cuda")
        words = ["gate", "--baseline", "gpu", "--candidate", "slow"]
        done = call(*words)
        assert done.returncode == 3
        assert "another device" in done.stdout
        assert call(*words, "--allow-cross-device").returncode == 1

    def test_inconclusive_is_no_verdict_under_strict(self, call, results):
        processes = [measured(step_s) for step_s in (0.002, 0.003, 0.004)]
        run_of((CASE, processes), folder=results, run_id="noisy")
        words = ["gate", "--baseline", "base", "--candidate", "noisy"]
        assert call(*words).returncode == 0
        assert call(*words, "--strict").returncode == 3

    def test_rules_threshold_and_metric(self, call, results):
        (results.parent / "gate.toml").write_text(
            '[default]\nthreshold = "30%"\n[[rules]]\nworkload = "gtp/*"\nthreshold = "1%"\n'
        )
        words = ["gate", "--baseline", "base", "--candidate", "slow", "--rules", "gate.toml"]
        done = call(*words)
        assert done.returncode == 0
        assert "no case here is a 'gtp/*'" in done.stderr
        assert call(*words, "--threshold", "5%").returncode == 1
        assert "step_s_p50" in call(*words, "--metric", "step_s_p50").stdout

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "--candidate is missing"),
            (["--candidate", "same"], "--baseline is missing"),
            (["--baseline", "base", "--candidate", "none"], "no run 'none'"),
            (["--baseline", "label:", "--candidate", "same"], "expected label:NAME"),
            (["--baseline", "label:main:0", "--candidate", "same"], "expected label:NAME"),
            (["--baseline", "label:main:x", "--candidate", "same"], "expected label:NAME"),
            (
                ["--baseline", "base", "--candidate", "same", "--threshold", "5"],
                "expected a change",
            ),
            (
                ["--baseline", "base", "--candidate", "same", "--metric", "foo"],
                "unknown metric 'foo'",
            ),
            (
                ["--baseline", "base", "--candidate", "same", "--rules", "none.toml"],
                "none.toml: cannot be read",
            ),
            (["--baseline", "base", "--candidate", "same", "--junit", "results"], "is a directory"),
        ],
    )
    def test_bad_input_is_one_line(self, call, results, words, says):
        assert_one_line(call("gate", *words), 2, says)

    def test_a_damaged_baseline_is_bad_input_and_not_a_missing_one(self, call, results):
        next((results / "base" / "samples").iterdir()).write_bytes(b"PAR1")
        assert_one_line(call("gate", "--baseline", "base", "--candidate", "same"), 2, "damaged")

    def test_a_newer_schema_is_bad_input(self, call, results, monkeypatch):
        monkeypatch.setattr("hwbench.tables.writer.SCHEMA_VERSION", 99)
        make_run(results, "newer", [CASE])
        monkeypatch.undo()
        done = call("gate", "--baseline", "newer", "--candidate", "same", "--output", results)
        assert_one_line(done, 2, "newer")

    def test_github_actions(self, call, results, monkeypatch):
        summary = results.parent / "summary.md"
        summary.write_text("before\n")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        done = call("gate", "--baseline", "base", "--candidate", "slow")
        assert (
            "::error title=gpt/train size=nano batch=1 fp32 tokens_per_s::regression ("
            in done.stdout
        )
        assert summary.read_text().startswith("before\n### hwbench gate: fail")
        done = call("gate", "--baseline", "base", "--candidate", "slow", "--json")
        json.loads(done.stdout)
        assert "::error" in done.stderr

    def test_one_run_counts_once_however_it_is_named(self, call, results):
        names = ["base", str(results / "base"), "label:main", str(results)]
        once = call(
            "gate", "--baseline", "base", "--baseline", "slow", "--candidate", "same", "--json"
        )
        words = [word for name in names for word in ("--baseline", name)]
        assert call("gate", *words, "--candidate", "same", "--json").stdout == once.stdout

    def test_a_run_is_not_its_own_baseline(self, call, results):
        done = call("gate", "--baseline", str(results / "same"), "--candidate", "same")
        assert_one_line(done, 2, "the baseline same is the candidate itself")

    def test_a_damaged_run_does_not_stop_the_work_on_others(self, call, results):
        (results / "junk" / "runs").mkdir(parents=True)
        (results / "junk" / "runs" / "run.parquet").write_bytes(b"PAR1")
        done = call("gate", "--baseline", "label:main", "--candidate", "same")
        assert done.returncode == 0, done.stderr
        assert "warning: " in done.stderr
        assert "junk/runs/run.parquet: not a readable Parquet file" in done.stderr

    def test_an_unwritable_summary_does_not_replace_the_verdict(self, call, results, monkeypatch):
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(results))
        done = call("gate", "--baseline", "base", "--candidate", "slow")
        assert done.returncode == 1
        assert "Is a directory" in done.stderr

    def test_self_test(self, call, results):
        done = call("gate", "--self-test", "--pairs", "50", "--json")
        assert done.returncode == 0, done.stderr
        content = json.loads(done.stdout)
        assert (content["threshold"], content["pairs"]) == (0.02, 50)
        assert [row["slowdown"] for row in content["tests"][0]["rows"]] == [
            0,
            0.01,
            0.02,
            0.03,
            0.05,
            0.1,
        ]
        done = call("gate", "--self-test", "--pairs", "20", "--candidate", "same")
        assert done.returncode == 0, done.stderr
        assert (
            "gpt/train size=nano batch=1 fp32: simulated, step_s_p50 of 3 processes × 10 steps"
            in done.stdout
        )


WORKLOAD = """
import os
from hwbench.records import Work
from hwbench.workload import Built, workload

@workload("fake/known", ms=[3])
def known(p, device):
    def step(mark):
        device.launch(p.ms / 1e3 * float(os.environ.get("SLOWDOWN", "1")))
    if os.environ.get("BROKEN"):
        raise ValueError("broken")
    return Built(step, Work(tokens=30))
"""


def shell_steps(file: str) -> list[str]:
    """The commands of a workflow: those after `run:` on GitHub, and in the list `script:` on
    GitLab."""
    text = (ROOT / "docs" / "ci" / file).read_text()
    if file == "github.yml":
        return re.findall(r"^ +- run: (.+)$", text, re.MULTILINE)
    block = re.search(r"^  script:\n((?:    - .+\n)+)", text, re.MULTILINE)
    return re.findall(r"^    - (.+)$", block[1], re.MULTILINE)


@pytest.fixture
def pipeline(tmp_path):
    """Run the steps of the workflows, except for the installation, with the fake device."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ci").symlink_to(ROOT / "docs" / "ci")
    (tmp_path / "known.py").write_text(WORKLOAD)
    steps = shell_steps("github.yml")
    assert steps == shell_steps("gitlab.yml")
    assert steps[0] == "python3 -m venv .hwbench"
    assert "pip install" in steps[1]

    def run(branch: str, **settings: str):
        python = Path(sys.executable)  # whose folder may have a space in its name
        options = "--device fake --workloads known.py --processes 3 --min-time 0.03"
        variables = {
            "BRANCH": branch,
            "MAIN": "main",
            "HWBENCH": f"{python.name} -m hwbench",
            "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
            "RUN_OPTIONS": f"fake/known {options}",
        }
        environment = os.environ | PYTHONPATH | variables | settings
        command = ["bash", "-e", "-c", "\n".join(steps[2:])]
        captured = {"capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(command, cwd=tmp_path, env=environment, **captured)

    return run


def test_the_workflows_compare_a_branch_with_main(pipeline, tmp_path):
    """A branch before main was measured, then main, then a slower branch."""
    first = pipeline("feature")
    assert first.returncode == 3, first.stderr
    assert "no baseline" in first.stderr
    assert pipeline("main").returncode == 0
    slow = pipeline("feature", SLOWDOWN="1.2")
    assert slow.returncode == 1, slow.stderr
    assert "regression" in slow.stdout
    assert "regression" in (tmp_path / "gate.md").read_text()
    assert 'failures="1"' in (tmp_path / "gate.xml").read_text()


@pytest.mark.slow
def test_the_workflows_pass_an_equal_branch_and_fail_a_broken_one(pipeline, tmp_path):
    assert pipeline("main").returncode == 0
    same = pipeline("feature", RUN_ID="same")
    assert same.returncode == 0, same.stdout + same.stderr
    broken = pipeline("feature", BROKEN="1")
    assert broken.returncode == 1
    assert "broken" in (tmp_path / "gate.md").read_text()


def test_confirm_measures_suspects_again(tmp_path, call, monkeypatch):
    """A candidate that was slow by chance: its fresh processes are not, and the gate passes."""
    (tmp_path / "known.py").write_text(WORKLOAD)

    def hwbench(*words, SLOWDOWN="1"):
        monkeypatch.setenv("SLOWDOWN", SLOWDOWN)
        return call(*words)

    measure = [
        "fake/known",
        "--device",
        "fake",
        "--workloads",
        "known.py",
        "--processes",
        "3",
        "--min-time",
        "0.03",
    ]
    assert hwbench("run", *measure, "--run-id", "base").returncode == 0
    assert hwbench("run", *measure, "--run-id", "slow", SLOWDOWN="1.2").returncode == 0
    words = [
        "gate",
        "--baseline",
        "base",
        "--candidate",
        "slow",
        "--confirm",
        "3",
        "--workloads",
        "known.py",
    ]
    by_chance = hwbench(*words)
    assert by_chance.returncode == 0, by_chance.stdout + by_chance.stderr
    assert "3 fresh processes do not confirm it: ratio 1.0000" in by_chance.stdout
    truly = hwbench(*words, SLOWDOWN="1.2")
    assert truly.returncode == 1
    assert "confirmed by 3 fresh processes" in truly.stdout
    assert len(read_heads(tmp_path / "results", pytest.fail)) == 4
    nothing = hwbench("gate", "--baseline", "slow", "--candidate", "base", "--confirm", "3")
    assert nothing.returncode == 0
    assert len(read_heads(tmp_path / "results", pytest.fail)) == 4


def test_a_case_that_failed_counts_though_other_processes_did_not(tmp_path):
    folder = store_run(tmp_path / "results", "base", 0.003)
    half = run_of((CASE, [Measurement("error", "boom"), measured(), measured()]))
    table = gate.hold([read_run(folder)], half, Rules())
    assert set(table.status) == {"failed"}


@pytest.mark.parametrize(
    ("metric", "others"), [("flops_per_s", set()), ("mbu_achievable", {"gemm/best", "copy"})]
)
def test_confirm_measures_the_ceilings_of_a_suspected_share_too(metric, others):
    cases = [Case("gpt/train", {}, "bf16"), Case("gemm/best", {}, "bf16"), Case("copy", {}, "fp32")]
    candidate = run_of(planned=[*cases, Case("mlp/train", {}, "bf16")])
    suspects = pd.DataFrame([{"case_id": cases[0].case_id, "metric": metric}])
    plan = confirm._plan(candidate, suspects, 3)
    assert {case.workload for case in plan.cases} == {"gpt/train", *others}
