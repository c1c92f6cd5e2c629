"""Real child processes on the fake device: whatever becomes of them is a row."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import make_run

from hwbench import tables as store
from hwbench.recording.launch import exchange, local
from hwbench.recording.matrix import Plan
from hwbench.recording.runner import CaseRunner, run_plan
from hwbench.records import Case, Measurement, Policy, UserError

FILE = str(Path(__file__).parent.with_name("fake_workloads.py"))


def run(tmp_path, *cases, device="fake", formats=None, left_out=None, **policy):
    """Run `cases` with the fake workloads; returns the tables and what was told on the way."""
    defaults = {
        "processes": 1,
        "min_time_s": 0.03,
        "max_time_s": 1.0,
        "min_samples": 10,
        "timeout_s": 60.0,
    }
    policy = {**defaults, **policy}
    plan = Plan(
        cases, Policy(**{"max_processes": policy["processes"], **policy}), left_out=left_out or {}
    )
    writer = make_run(tmp_path, "r", list(cases), policy=plan.policy)
    told = []
    cases = CaseRunner(device, [FILE], vars(plan.policy), writer, told.append, formats)
    run_plan(plan, cases)
    return store.read_run(writer.folder), told


def fake(name, **params):
    return Case(f"fake/{name}", params, "fp32")


def test_a_known_step_comes_out_exactly_through_process_and_parquet(tmp_path):
    tables, told = run(tmp_path, fake("known", ms=3), processes=2)
    assert tables.measurements.outcome.tolist() == ["ok", "ok"]
    assert [round(s, 9) for s in tables.measurements.window_s] == [
        round(0.003 * n, 9) for n in tables.measurements.samples
    ]
    assert tables.measurements.loss.tolist() == [1.5] * 2
    assert [round(s, 12) for s in tables.spans.span_s[:2]] == [0.001, 0.002]
    assert [p.phase for p in told if p.process == 0 and p.kind == "phase"] == [
        "build",
        "warmup",
        "measure",
    ]


def test_rounds_are_interleaved(tmp_path):
    _, told = run(tmp_path, fake("known", ms=3), fake("known", ms=4), processes=2)
    assert [(p.process, p.case.params["ms"]) for p in told if p.kind == "started"] == [
        (0, 3),
        (0, 4),
        (1, 3),
        (1, 4),
    ]


def test_a_case_that_differs_from_process_to_process_has_more_of_them(tmp_path):
    tables, _ = run(tmp_path, fake("known", ms=3), fake("restless"), processes=5, max_processes=6)
    counts = tables.measurements.groupby("workload").process.agg(list)
    assert sorted(counts["fake/known"]) == [0, 1, 2, 3, 4]
    assert sorted(counts["fake/restless"]) == [0, 1, 2, 3, 4, 5]
    assert tables.measurements.converged.all()  # within each process its median is known


def test_steps_that_drift_over_the_window_are_noted(tmp_path):
    tables, _ = run(tmp_path, fake("drifting"), max_time_s=5.0, min_time_s=2.0)
    (notes,) = tables.measurements.notes
    assert "no_steady_state: the last quarter's median step is " in notes
    assert " above the first half's" in notes


def test_workload_output_does_not_mix_with_the_replies(tmp_path):
    tables, _ = run(tmp_path, fake("noisy"))
    assert tables.measurements.outcome.tolist() == ["ok"]
    assert not (tables.folder / "logs").exists()


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("raises", "error", "ValueError: first line"),
        ("oom", "oom", "MemoryError: fake device out of memory: 1099511627776 of 1073741824 bytes"),
        ("crashes", "error", "the worker ended without an answer: exit status 7"),
        ("unsupported", "unsupported", "this machine has no such thing"),
        ("absent", "error", "KeyError: 'fake/absent'"),
        ("interrupts", "error", "KeyboardInterrupt"),
        ("babbles", "error", "the worker's reply was not a valid JSON message"),
        (
            "odd_work",
            "error",
            "ValueError: Work(flops=-5): expected a whole number from 0 to 2**63 - 1, or None",
        ),
        ("odd_words", "error", "ValueError: half a pair: \\ud800"),
    ],
)
def test_a_failure_is_a_row_and_the_run_goes_on(tmp_path, name, outcome, reason):
    tables, _ = run(tmp_path, fake(name), fake("known", ms=3), processes=2)
    rows = tables.measurements.set_index("process")
    failed = rows[rows.workload == f"fake/{name}"]
    # and is not tried again
    assert (failed.outcome.tolist(), failed.reason.tolist()) == ([outcome], [reason])
    assert rows[rows.workload == "fake/known"].outcome.tolist() == ["ok", "ok"]


@pytest.mark.parametrize(
    "params", [{"whole": 2}, {"whole": 2, "layers": 0}, {"whole": 0, "layers": 1}]
)
def test_a_slice_that_no_table_holds_is_a_failed_case(tmp_path, params):
    tables, _ = run(tmp_path, fake("odd_slice", **params), fake("known", ms=3))
    outcomes = tables.measurements.set_index("workload").outcome
    assert outcomes.to_dict() == {"fake/odd_slice": "error", "fake/known": "ok"}
    reason = tables.measurements.set_index("workload").reason["fake/odd_slice"]
    assert reason.startswith("ValueError: slice_of 'layers': ")


def test_the_whole_traceback_is_in_a_log_file(tmp_path):
    tables, _ = run(tmp_path, fake("raises"))
    (log,) = (tables.folder / "logs").iterdir()
    assert "Traceback" in log.read_text()
    assert "first line\nthe last line" in log.read_text()


def test_kill_from_outside_is_oom_with_the_evidence(tmp_path):
    tables, _ = run(tmp_path, fake("killed"))
    row = tables.measurements.iloc[0]
    assert row.outcome == "oom"
    assert "but the kernel counted no such kill" in row.reason


def test_the_kernels_count_of_kills_is_the_evidence():
    death = local.describe_death(-9, 1)
    assert death.reason == "the kernel killed the worker because memory ran out"


def test_a_timeout_ends_the_child_and_its_children(tmp_path):
    began = time.monotonic()
    tables, _ = run(tmp_path, fake("hangs", seconds=60, leave=False), timeout_s=4.0)
    assert time.monotonic() - began < 20
    assert tables.measurements.outcome.tolist() == ["timeout"]
    (log,) = (tables.folder / "logs").iterdir()
    assert not alive(int(log.read_text().split()[-1]))


def test_idle_phase_extends_the_time_limit(tmp_path):
    replies = (
        'print(\'{"phase": "idle"}\', flush=True); time.sleep(1.5); print(\'{"measurement": %s}\')'
    )
    answer = json.dumps(Measurement("ok").as_json())
    launch = local.Launch([sys.executable, "-c", f"import time; {replies % answer}"], os.environ)
    launcher = local.LocalLauncher(launch)
    done = exchange.run_process({}, 1.0, tmp_path / "log", lambda phase: None, launcher)
    assert done.outcome == "ok"


def test_a_child_that_has_left_the_group_is_ended_too(tmp_path):
    tables, _ = run(tmp_path, fake("hangs", seconds=60, leave=True), timeout_s=4.0)
    (log,) = (tables.folder / "logs").iterdir()
    assert not alive(int(log.read_text().split()[-1]))


def test_the_worker_ends_when_its_parent_does(tmp_path):
    """Kill -9 of the parent closes the child's standard input, and nothing of it stays."""
    with (tmp_path / "log").open("wb") as output:
        request = {
            "case": {
                "workload": "fake/hangs",
                "params": {"seconds": 60, "leave": False},
                "dtype": "fp32",
            }
        }
        request |= {"policy": vars(Policy()), "device": "fake", "files": [FILE]}
        job = local.LocalLauncher().start(request, output)
        while b"grandchild" not in (tmp_path / "log").read_bytes():
            time.sleep(0.05)
        job.child.stdin.close()
        job.child.wait(10)
    assert not alive(int((tmp_path / "log").read_text().split()[-1]))


def test_process_that_cannot_be_killed_is_left_behind(tmp_path, monkeypatch):
    """One that is stuck in a driver outlives SIGKILL; the run goes on."""

    def never(seconds):
        raise subprocess.TimeoutExpired("worker", seconds)

    launch = local.Launch([sys.executable, "-c", ""], os.environ)
    with (tmp_path / "log").open("wb") as output:
        job = local.LocalLauncher(launch).start({"device": "fake"}, output)
        monkeypatch.setattr(job.child, "wait", never)
        job.close()
        monkeypatch.undo()
        job.child.wait(10)


def test_worker_that_closes_its_output_and_goes_on_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "END_S", 0.5)
    code = "import os, time; os.close(1); time.sleep(60)"
    launcher = local.LocalLauncher(local.Launch([sys.executable, "-c", code], os.environ))
    done = exchange.run_process({}, 30.0, tmp_path / "log", lambda phase: None, launcher)
    assert (done.outcome, done.reason) == ("error", "the worker closed its output and did not end")


def test_device_is_described_in_its_own_process():
    spec, found = exchange.describe_device("fake", print)
    assert (spec, found["name"]) == ("fake", "Fake device")


def test_a_device_that_cannot_be_opened_is_one_line():
    launch = local.Launch([sys.executable, "-c", "raise SystemExit('no permission')"], os.environ)
    with pytest.raises(UserError, match=r"^device cpu cannot be opened: no permission$"):
        exchange.describe_device("cpu", print, local.LocalLauncher(launch))


def test_a_device_that_is_not_here_is_one_line():
    with pytest.raises(UserError, match=r"^no device cuda:7 here; there is "):
        exchange.describe_device("cuda:7", print)


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet collected by its parent does not."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.1)
    return True


RATES = {"fp32": 100e9, "bf16": 1e9}
"""Of a device that only emulates bf16."""


class TestEmulatedFormats:
    def heavy(self, dtype, **params):
        return Case("fake/heavy", {"gflop": 1, "seconds": 0.01, **params}, dtype)

    def test_emulated_format_is_announced_measured_and_noted(self, tmp_path):
        tables, told = run(tmp_path, self.heavy("bf16"), formats=RATES)
        says = "bf16 is emulated here: 1 GFLOP/s, fp32 100 GFLOP/s"
        assert f"emulated_dtype: {says}" in json.loads(tables.measurements.notes[0])
        assert [p.text for p in told if p.kind == "told"] == [
            says,
            "by the rate of a product a step takes 1 s or more",
        ]

    def test_native_format_has_no_message(self, tmp_path):
        tables, told = run(tmp_path, self.heavy("fp32"), formats=RATES)
        assert "emulated" not in tables.measurements.notes[0]
        assert [p for p in told if p.text] == []

    def test_left_out_case_is_a_row_without_a_process(self, tmp_path):
        case = self.heavy("bf16")
        tables, told = run(tmp_path, case, left_out={case.case_id: "too slow here"}, processes=3)
        assert list(zip(tables.measurements.outcome, tables.measurements.reason, strict=True)) == [
            ("unsupported", "too slow here")
        ]
        assert [p.kind for p in told] == ["started", "done"]

    def test_case_beyond_the_time_limit_is_refused_at_once(self, tmp_path):
        begin = time.monotonic()
        tables, _ = run(tmp_path, self.heavy("bf16", gflop=300), formats=RATES, timeout_s=100.0)
        assert tables.measurements.outcome[0] == "unsupported"
        assert tables.measurements.reason[0].startswith(
            "by the rate of a product in bf16 a step takes 300 s or more, and "
        )
        assert time.monotonic() - begin < 50


def test_declared_duration_beyond_the_limit_is_refused_at_once(tmp_path):
    begin = time.monotonic()
    tables, _ = run(tmp_path, fake("lengthy", seconds=900), timeout_s=100.0)
    assert tables.measurements.outcome[0] == "unsupported"
    assert tables.measurements.reason[0].startswith("a step takes 900 s or more, and ")
    assert time.monotonic() - begin < 50


def test_a_case_that_would_pass_its_limit_ends_with_the_steps_it_has(tmp_path):
    case = Case("fake/heavy", {"gflop": 1, "seconds": 1.0}, "fp32")
    tables, _ = run(tmp_path, case, timeout_s=10.0, max_time_s=60.0, min_samples=99)
    row = tables.measurements.iloc[0]
    assert (row.outcome, bool(row.converged)) == ("ok", False)
    assert any(note.startswith("cut_short: ended after ") for note in json.loads(row.notes))


def test_the_fake_device_keeps_the_longest_time_of_a_window_in_the_world_too(tmp_path):
    begin = time.monotonic()
    cases = [fake("asleep", launched_us=number) for number in (1, 0)]
    tables, _ = run(tmp_path, *cases, max_time_s=0.3)
    assert time.monotonic() - begin < 30  # a window of a million such steps takes three hours
    rows = tables.measurements.set_index("case_id").loc[[case.case_id for case in cases]]
    assert rows.outcome.tolist() == ["ok", "unsupported"]
    assert 3 <= rows.samples.iloc[0] <= 30
    assert "no time has passed on the clock of Fake device" in rows.reason.iloc[1]
