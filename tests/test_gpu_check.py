"""`make gpu-check` itself: its budget, its processes, its results, and a dry run of its stages."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import targets
from budget import Budget
from check import Check, Stopped
from figures import Figures
from handover import Handover
from process import descendants, run_command
from stages import Command, Place, Stage, make_stages

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "tools" / "gpu_check"

IGNORES_SIGINT = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True)"
)
SLEEPS = "import time; time.sleep(60)"
STARTS_GRANDCHILD = f"""import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}], start_new_session=True)"""

DRIVER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tool!r})
from budget import Budget
from check import Check, Stopped
from check import Check, log_to, stop_on_signals
from handover import Handover
from stages import Command, Place, Stage
work, out = Path(sys.argv[1]), Path(sys.argv[2])
budget_s, stages = float(sys.argv[3]), json.loads(sys.argv[4])
(work / "results").mkdir(parents=True)
stop_on_signals()
tell = log_to(out / "gpu-check.log")
def make(name, seconds, least_s, scripts):
    commands = [Command((sys.executable, "-c", script)) for script in scripts]
    return Stage(name, seconds, least_s, tuple(commands))
check = Check(Place("cpu", "cpu", work), Budget(budget_s), Handover(out, work, tell), tell)
sys.exit(check.run([make(*stage) for stage in stages]))
"""


def start(tmp_path, stages, budget_s=20.0):
    """Start a check of `stages`: (name, seconds, least seconds, scripts)."""
    work, out = tmp_path / "work", tmp_path / "out"
    out.mkdir()
    arguments = [str(work), str(out), str(budget_s), json.dumps(stages)]
    words = [sys.executable, "-c", DRIVER.format(tool=str(TOOL)), *arguments]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True), work, out


def finish(tmp_path, stages, budget_s=20.0):
    """Run a check of `stages` to its end: its exit status, log, summary and folder."""
    child, _, out = start(tmp_path, stages, budget_s)
    log, _ = child.communicate(timeout=60)
    return child.returncode, log, json.loads((out / "stages.json").read_text()), out


def writing(work_file, text="done"):
    return f"from pathlib import Path; Path({str(work_file)!r}).write_text({text!r})"


def wait_for(holds, seconds=15.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)


def is_running(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# the budget


def test_limit_is_time_of_stage_or_what_is_left():
    now = [0.0]
    budget = Budget(100.0, lambda: now[0])
    assert budget.left_s() == 95.0  # 5 % is for the last hand-over
    assert budget.limit_s(40.0, 10.0) == 40.0
    now[0] = 70.0
    assert budget.limit_s(40.0, 10.0) == 25.0
    now[0] = 90.0
    assert budget.limit_s(40.0, 10.0) is None
    now[0] = 200.0
    assert budget.left_s() == 0.0


def test_reserve_of_a_long_budget_is_in_seconds():
    assert Budget(480.0, lambda: 0.0).left_s() == 474.0


def test_check_ends_by_its_budget_despite_a_stage_that_ignores_signals(tmp_path):
    deaf = "\n".join([STARTS_GRANDCHILD, IGNORES_SIGINT, SLEEPS])
    began = time.monotonic()
    stages = [("deaf", 60, 1, [deaf]), ("late", 60, 3, [SLEEPS])]
    status, log, summary, _ = finish(tmp_path, stages, budget_s=5.0)
    assert time.monotonic() - began < 6.0  # with a second for Python itself
    assert status == 1
    assert [stage["status"] for stage in summary["stages"]] == ["out of time", "out of time"]
    assert "== late: not run: 0 s left, it needs 3 s" in log
    assert 'what is left: STAGES="deaf late"' in log


# processes


def test_descendants_in_other_sessions_are_killed(tmp_path):
    pid_file = tmp_path / "pid"
    script = f"{STARTS_GRANDCHILD}; open({str(pid_file)!r}, 'w').write(str(grandchild.pid))"
    ended = run_command([sys.executable, "-c", script], 10.0, lambda line: None)
    assert ended.status == 0
    assert not is_running(int(pid_file.read_text()))


def test_command_is_interrupted_before_it_is_killed(tmp_path):
    lines: list[str] = []
    script = f"""print("begun", flush=True)
try:
    {SLEEPS}
except KeyboardInterrupt:
    print("stored")"""
    ended = run_command([sys.executable, "-c", script], 3.0, lines.append)
    assert not ended.in_time
    assert ended.seconds < 3.0
    assert lines[0] == "begun"
    assert lines[-1] == "stored"


def test_lines_arrive_as_they_are_printed():
    times: list[float] = []
    script = "import time\nfor _ in range(3):\n    print('line', flush=True)\n    time.sleep(0.4)"
    run_command([sys.executable, "-c", script], 10.0, lambda line: times.append(time.monotonic()))
    assert times[-1] - times[0] > 0.6


def test_standard_output_can_go_to_a_file(tmp_path):
    lines: list[str] = []
    script = "import sys; print('data'); print('news', file=sys.stderr)"
    run_command([sys.executable, "-c", script], 10.0, lines.append, output=tmp_path / "data")
    assert lines == ["news"]
    assert (tmp_path / "data").read_text() == "data\n"


def test_missing_command_is_reported():
    lines: list[str] = []
    assert run_command(["/no/such/command"], 5.0, lines.append).status is None
    assert "No such file" in lines[0]


# the hand-over


def test_killed_check_has_handed_over_finished_stages(tmp_path):
    work = tmp_path / "work"
    stages = [("first", 10, 1, [writing(work / "results" / "a.txt")]), ("second", 30, 1, [SLEEPS])]
    child, _, out = start(tmp_path, stages)
    wait_for(lambda: (out / "stages.json").exists() and descendants(child.pid))
    below = descendants(child.pid)
    child.kill()
    child.wait()
    with tarfile.open(out / "runs.tar.gz") as archive:
        assert archive.extractfile("./a.txt").read() == b"done"
    summary = json.loads((out / "stages.json").read_text())
    (first,) = summary["stages"]
    assert (first["name"], first["status"]) == ("first", "passed")
    assert "first" in (out / "gpu-check.log").read_text()
    child.stdout.close()
    wait_for(lambda: not any(map(is_running, below)))  # its stage ends, too


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_stage_and_hands_over(tmp_path, number):
    work = tmp_path / "work"
    script = f"{writing(work / 'results' / 'b.txt')}; print('begun', flush=True); {SLEEPS}"
    child, _, out = start(tmp_path, [("first", 30, 1, [script]), ("second", 30, 1, [SLEEPS])])
    while child.stdout.readline() != "begun\n":
        pass
    child.send_signal(number)
    log, _ = child.communicate(timeout=15)
    assert child.returncode == 1
    assert f"stopped by {number.name}" in log
    assert json.loads((out / "stages.json").read_text())["stages"][0]["status"] == "interrupted"
    with tarfile.open(out / "runs.tar.gz") as archive:
        assert "./b.txt" in archive.getnames()


class Interrupted(Handover):
    """Hands over nothing; the first hand-over is stopped by a signal."""

    stopped = False

    def _place(self, name, make):
        if not self.stopped:
            self.stopped = True
            raise Stopped("SIGINT")


def test_signal_during_hand_over_fails_the_check(tmp_path):
    (tmp_path / "results").mkdir()
    lines = []
    handover = Interrupted(tmp_path, tmp_path, lines.append)
    check = Check(Place("cpu", "cpu", tmp_path), Budget(20.0), handover, lines.append)
    stages = [Stage(name, 5, 1, (), lacks="nothing to do") for name in ("first", "second")]
    assert check.run(stages) == 1
    assert lines[-1].startswith("== FAILED: second, stopped by SIGINT")
    assert '== what is left: STAGES="second"' in lines


def test_failing_hand_over_fails_the_check(tmp_path):
    lines = []
    handover = Handover(tmp_path / "gone", tmp_path, lines.append)
    check = Check(Place("cpu", "cpu", tmp_path), Budget(20.0), handover, lines.append)
    assert check.run([Stage("first", 5, 1, (), lacks="nothing to do")]) == 1
    assert "runs.tar.gz not handed over" in lines[-1]


def test_failing_stage_does_not_stop_the_next(tmp_path):
    stages = [
        ("bad", 10, 1, ["import sys; sys.exit(3)"]),
        ("good", 10, 1, ["print('harness_ratio: 1.001')"]),
    ]
    status, log, summary, out = finish(tmp_path, stages)
    assert status == 1
    assert [stage["status"] for stage in summary["stages"]] == ["failed", "passed"]
    assert "exit status 3" in summary["stages"][0]["reason"]
    assert summary["figures"] == {"harness_ratio": 1.001}
    assert (out / "gpu-check.log").read_text() == log


def test_passing_check_exits_0(tmp_path):
    status, log, _, out = finish(tmp_path, [("good", 10, 1, ["print('well')"])])
    assert status == 0
    assert "== good (at most 10 s, " in log
    assert "well" in log.splitlines()
    assert len(list(out.iterdir())) <= 8
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", file.name) for file in out.iterdir())


def test_missed_target_exits_1(tmp_path):
    status, log, _, _ = finish(tmp_path, [("costs", 10, 1, ["print('harness_ratio: 1.2')"])])
    assert status == 1
    assert "FAILED: harness over bare loop" in log


def test_failing_hand_over_is_reported(tmp_path):
    lines: list[str] = []
    Handover(tmp_path / "gone", tmp_path, lines.append).write("a.txt", "text")
    assert lines[0].startswith("a.txt: not handed over")


# checks that cannot start


def gpu_check(out, **environment):
    names = {"PYTHONPATH": str(ROOT), "OUT": str(out)} | environment
    words = [sys.executable, str(TOOL)]
    return subprocess.run(
        words, env=os.environ | names, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DEVICE": "abacus"}, "unknown device 'abacus'"),
        ({"STAGES": "quick,sprint"}, "there is no stage sprint"),
        ({"BUDGET": "soon"}, "BUDGET=soon: expected seconds"),
        ({"BUDGET": "0"}, "BUDGET=0: expected seconds"),
    ],
)
def test_check_that_cannot_start_exits_2_with_one_line(tmp_path, environment, expected):
    done = gpu_check(tmp_path / "out", **environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr


# targets


def row(workload, dtype, **fields):
    case = {"workload": workload, "dtype": dtype, "params": {}}
    return case | {"outcome": "ok", "reason": None, "validity": "suspect"} | fields


def test_best_value_decides_a_target():
    figures = Figures()
    figures.rows = [
        row("gemm", "bf16", flops_per_s=700e12),
        row("gemm/best", "bf16", flops_per_s=801e12),
        row("gemm", "fp16", flops_per_s=999e12),
        row("gpt/train", "bf16", params={"size": "1.5b"}, mfu=0.5),
        row("gpt/train", "bf16", params={"size": "1.5b"}, mfu=0.7, validity="invalid"),
        row("gpt/train", "bf16", params={"size": "124m"}, mfu=0.6),
    ]
    figures.read_line("harness_ratio: 1.0049")
    figures.read_line("energy_residual_ratio: 1.3e+00")
    found = {one.name: one for one in targets.judge(figures, {"decode": "out of time: not run"})}
    assert (found["gemm bf16"].state, found["gemm bf16"].value) == ("held", 801e12)
    training = found["gpt 1.5b bf16, causal MFU"]
    assert (training.state, training.value) == ("missed", 0.5)
    assert found["harness over bare loop"].state == "held"
    assert found["energy: |counter − integral| over its uncertainty"].state == "missed"
    decode = found["decode of 7b, batch 1, MBU"]
    assert (decode.state, decode.reason) == ("not measured", "stage decode: out of time: not run")


def test_table_has_a_line_for_each_target():
    text = targets.as_text(targets.judge(Figures(), {}))
    assert len(text.splitlines()) == 1 + len(targets.TARGETS)
    assert "≥ 7.9e+14 FLOP/s  –" in text


def test_dry_run_judges_nothing():
    figures = Figures(numbers={"harness_ratio": 2.0})
    assert {one.state for one in targets.judge(figures, {}, dry=True)} == {"not measured"}


def test_each_target_has_a_stage(tmp_path):
    names = [stage.name for stage in make_stages(Place("cuda", "cuda", tmp_path))]
    assert {target.stage for target in targets.TARGETS} <= set(names)


# the stages


def test_most_valuable_stages_come_first(tmp_path):
    stages = make_stages(Place("cuda", "cuda", tmp_path))
    order = [*("facts", "quick", "tests", "profile", "products", "training", "compile")]
    order += ["probes", "costs", "gate", "decode", "models", "memory"]
    assert [stage.name for stage in stages] == order
    assert all(stage.least_s < stage.seconds for stage in stages)


def test_documentation_has_the_times_of_the_stages(tmp_path):
    page = (ROOT / "docs" / "gpu-check.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) s \| (\d+) s \|", page, re.MULTILINE)
    stages = make_stages(Place("cuda", "cuda", tmp_path))
    times = [(stage.name, f"{stage.seconds:.0f}", f"{stage.least_s:.0f}") for stage in stages]
    assert rows == times


def test_cpu_skips_stages_that_need_an_accelerator(tmp_path):
    stages = make_stages(Place("cpu", "cpu", tmp_path, dry=True))
    assert {stage.name for stage in stages if stage.lacks} == {"tests", "probes"}


@pytest.mark.parametrize("dry", [False, True])
def test_each_run_of_a_stage_is_a_plan(tmp_path, dry):
    """Every `hwbench run` and `profile` of the stages parses and has the right sizes."""
    from hwbench.cli.measuring import plan_of

    stages = make_stages(Place("cuda", "cuda", tmp_path, dry))
    commands = [command for stage in stages for command in stage.commands]
    measuring = (("hwbench", "run"), ("hwbench", "profile"))
    runs = [command for command in commands if command.words[2:4] in measuring]
    plans = [plan_of(parse(command), may_search=True) for command in runs]
    sizes = {case.params["size"] for plan in plans for case in plan.cases if "size" in case.params}
    assert len(runs) == (10 if dry else 11)  # the run of the probes starts with parent.py
    real_sizes = {"124m", "1.5b", "llama-2-7b", "llama-3.2-1b", "gpt3-simplified"}
    assert sizes == ({"nano"} if dry else real_sizes)


def parse(command: Command):
    """The options of a command as `hwbench` parses them."""
    from importlib import import_module

    name, words = command.words[3], list(command.words[4:])
    click_command = import_module(f"hwbench.cli.{name}").command
    options = click_command.make_context(name, words).params
    if name == "profile":
        options |= {"workloads": (options["workload"],), "suite": None}
    return options


def test_command_is_shown_without_folders_of_this_machine(tmp_path):
    shown = str(make_stages(Place("cuda", "cuda", tmp_path))[4].commands[0])
    assert shown.startswith("hwbench run --suite tools/gpu_check/suites/products.toml ")


# the functions of a file


def run_functions(tmp_path, text, limit_s=20):
    (tmp_path / "given.py").write_text(text)
    words = [sys.executable, str(TOOL / "functions.py"), str(tmp_path / "given.py"), "test_"]
    environment = os.environ | {"GPU_CHECK_LIMIT_S": str(limit_s)}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


def test_functions_are_reported_by_outcome(tmp_path):
    text = """
import unittest
def test_a(): pass
def test_b(): raise unittest.SkipTest("no such thing here")
def test_c(): assert False, "wrong"
def test_d(): return 1.5
"""
    status, printed = run_functions(tmp_path, text)
    assert status == 1
    lines = [line.split(" (")[0] for line in printed.splitlines()]
    results = [line for line in lines if line.startswith(("ok", "skipped", "FAILED"))]
    assert results == ["ok      test_a", "skipped test_b", "FAILED  test_c", "ok      test_d"]
    assert "no such thing here" in printed
    assert "d: 1.5" in printed.splitlines()
    assert "3 passed or skipped, 1 failed" in printed


def test_hanging_function_loses_only_its_share(tmp_path):
    text = "import time\ndef test_a(): time.sleep(60)\ndef test_b(): pass\ndef test_c(): pass\n"
    began = time.monotonic()
    status, printed = run_functions(tmp_path, text, limit_s=9)
    assert time.monotonic() - began < 9
    assert status == 1
    assert "FAILED  test_a: took more than its share of the time" in printed
    assert "ok      test_c" in printed


def test_function_that_ends_its_process_loses_only_itself(tmp_path):
    text = "import os\ndef test_a(): os._exit(7)\ndef test_b(): pass\n"
    status, printed = run_functions(tmp_path, text)
    assert status == 1
    assert "FAILED  test_a: its process ended with exit status 7" in printed
    assert "ok      test_b" in printed


# dry runs


def dry_run(out, device, budget_s=290, **environment):
    """The exit status, the summary and the log of a dry run on `device`."""
    done = gpu_check(out, DRY="1", DEVICE=device, BUDGET=str(budget_s), **environment)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads((out / "stages.json").read_text()), done.stdout


@pytest.mark.slow
def test_dry_run_on_cpu_passes_every_stage(tmp_path):
    status, summary, log = dry_run(tmp_path / "out", "cpu")
    assert status == 0, log
    statuses = {stage["name"]: stage["status"] for stage in summary["stages"]}
    skipped = {name for name, status in statuses.items() if status == "skipped"}
    assert skipped == {"tests", "probes"}
    assert set(statuses.values()) == {"passed", "skipped"}
    limited = [stage for stage in summary["stages"] if stage["limit_s"]]
    assert all(stage["seconds"] <= stage["limit_s"] for stage in limited)
    assert (tmp_path / "out" / "cpu-gpu.html").stat().st_size > 10_000
    assert (tmp_path / "out" / "trace.json.gz").stat().st_size > 1_000
    with tarfile.open(tmp_path / "out" / "runs.tar.gz") as archive:
        names = archive.getnames()
    runs = ("quick", "training", "decode", "models", "largest")
    assert {f"./{run}/runs" for run in runs} <= set(names)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler (g++) to build the stand-in")
def test_dry_run_on_accelerator_passes_its_stages(tmp_path):
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "accelerator")))
    status, summary, log = dry_run(tmp_path / "out", "tpu", PYTHONPATH=path)
    assert status == 0, log
    skipped = [stage["name"] for stage in summary["stages"] if stage["status"] == "skipped"]
    assert skipped == ["probes"]


def test_dry_stages_have_short_limits(tmp_path):
    place = Place("cpu", "cpu", tmp_path)
    assert max(stage.seconds for stage in make_stages(replace(place, dry=True))) <= 60
