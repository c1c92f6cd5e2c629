"""The command line as a user meets it: real processes, real files, exit statuses and single
lines."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from commands import FAKE, FILE, assert_one_line, environment, hwbench
from runs import make_run, measured

from hwbench.recording import session
from hwbench.recording.matrix import Plan
from hwbench.records import Case, Declared, Policy, UserError, Work

RUN = [sys.executable, "-m", "hwbench", "run", "fake/known", "fake/slow"]


class TestRun:
    def test_exact_figures_from_the_step_to_the_page(self, tmp_path):
        done = hwbench("run", "fake/known", *FAKE, "--run-id", "r", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["run_id"] == "r"
        (row,) = result["rows"]
        assert row["tokens_per_s"] == pytest.approx(10_000, rel=1e-9)
        assert row["flops_per_s"] == pytest.approx(2_000_000, rel=1e-9)
        assert row["step_s_p50"] == pytest.approx(0.003, rel=1e-9)
        assert row["outcome"] == "ok"
        page = (tmp_path / "results" / "r" / "report.html").read_text()
        assert "10,000" in page
        assert "results/r/report.html" in done.stderr

    @pytest.mark.machine
    def test_a_real_run_on_the_cpu_is_reported_and_gated(self, tmp_path, call):
        words = ["--set", "m=768", "--set", "n=768", "--set", "k=768"]
        words += ["--dtype", "fp32", "--device", "cpu"]
        words += ["--processes", "1", "--min-time", "0.2", "--max-time", "1"]
        before = call("run", "gemm", *words, "--run-id", "before")
        assert before.returncode == 0, before.stderr
        words += ["--set", "size=nano", "--set", "batch=1", "--set", "seq=64"]
        words += ["--set", "prompt=16", "--set", "new=4"]
        done = call("run", "gpt/train", "gpt/decode", "gemm", *words, "--run-id", "r", "--json")
        assert done.returncode == 0, done.stderr
        rows = {row["workload"]: row for row in json.loads(done.stdout)["rows"]}
        assert [row["outcome"] for row in rows.values()] == ["ok"] * 3
        train = rows["gpt/train"]
        stored = read(tmp_path, "measurements", "r").set_index("workload").loc["gpt/train"]
        assert train["tokens_per_s"] == pytest.approx(64 * stored.samples / stored.window_s)
        assert 0 < train["mfu_achievable"] < 1
        assert train["memory_peak_bytes"] > 100e6
        spans, samples = read(tmp_path, "spans", "r"), read(tmp_path, "samples", "r")
        key = ["case_id", "process", "step"]
        covered = spans.groupby(key).span_s.sum() / samples.set_index(key).step_s
        assert 0.9 < covered.median() <= 1  # the marks of these workloads leave next to nothing out
        assert (
            spans.groupby("name").size()["decode"]
            == 4 * spans[spans.name == "decode"].groupby(key).ngroups
        )
        reported = call("report", "r", "--format", "markdown", "-o", "r.md")
        assert reported.returncode == 0, reported.stderr
        assert "gpt/decode" in (tmp_path / "r.md").read_text()
        gated = call("gate", "--baseline", "before", "--candidate", "r")
        # of one process a side there is no verdict
        assert gated.returncode == 3, gated.stdout + gated.stderr
        assert "gemm" in gated.stdout

    def test_a_table_for_people(self, call):
        done = call("run", "fake/known", *FAKE)
        assert done.returncode == 0
        assert "fake/known" in done.stdout
        assert "10,000" in done.stdout
        assert "FLOPS" not in done.stdout

    def test_a_case_that_fails_makes_it_exit_1_and_the_others_go_on(self, call):
        done = call("run", "fake/raises", "fake/known", *FAKE, "--json")
        assert done.returncode == 1
        rows = {row["workload"]: row for row in json.loads(done.stdout)["rows"]}
        assert rows["fake/raises"]["outcome"] == "error"
        assert rows["fake/raises"]["reason"] == "ValueError: first line"
        assert rows["fake/raises"]["tokens_per_s"] is None
        assert rows["fake/known"]["outcome"] == "ok"

    def test_an_unsupported_case_is_an_answer(self, call):
        done = call("run", "fake/unsupported", *FAKE)
        assert done.returncode == 0
        assert "unsupported: this machine has no such thing" in done.stdout

    def test_a_loss_that_is_not_a_number_shows_as_invalid(self, call):
        done = call("run", "fake/nan", *FAKE, "--run-id", "r", "--json")
        assert json.loads(done.stdout)["rows"][0]["validity"] == "invalid"

    def test_strict_exits_1_for_a_case_that_is_not_valid(self, call):
        done = call("run", "fake/nan", "fake/known", *FAKE, "--strict")
        assert done.returncode == 1
        # one process has no interval
        told = "strict: 2 of 2 cases are not valid: wide, suspect or invalid"
        assert told in done.stderr
        assert call("run", "fake/known", *FAKE, "--processes", "3", "--strict").returncode == 0

    def test_a_case_gets_processes_until_its_interval_is_narrow(self, tmp_path, call):
        done = call("run", "fake/restless", *FAKE, "--max-processes", "3", "--precision", "1%")
        assert "1 case × 1 to 3 on Fake device" in done.stderr
        assert "round 3/3" in done.stderr
        assert sorted(read(tmp_path, "measurements").process) == [0, 1, 2]

    def test_each_check_warns_once_with_its_cure(self, tmp_path, call):
        done = call("run", "fake/known", "fake/restless", *FAKE, "--run-id", "r")
        checks = json.loads(read(tmp_path, "runs").environment.iloc[0])["checks"]
        told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
        assert told == [
            f"warning: {c['finding']}. Cure: {c['cure']}"
            for c in checks
            if c["severity"] == "warning"
        ]

    def test_the_tables_are_there_for_any_tool(self, tmp_path, call):
        call("run", "fake/known", *FAKE, "--name", "night")
        runs = read(tmp_path, "runs")
        assert runs.label.tolist() == ["night"]
        metrics = read(tmp_path, "metrics")
        assert {"tokens_per_s", "step_s_p50"} <= set(metrics.metric)

    @pytest.mark.parametrize(
        ("number", "says"),
        [
            (signal.SIGINT, "interrupted"),
            (signal.SIGTERM, "ended by SIGTERM"),
            (signal.SIGHUP, "ended by SIGHUP"),
        ],
    )
    def test_a_signal_keeps_what_is_stored_and_shows_it(self, tmp_path, number, says):
        process = subprocess.Popen(
            [*RUN, *FAKE, "--run-id", "r", "--max-time", "60"],
            cwd=tmp_path, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        first_part = tmp_path / "results" / "r" / "measurements"
        wait_until(lambda: first_part.is_dir() and list(first_part.glob("*.parquet")))
        time.sleep(0.5)
        process.send_signal(number)
        process.send_signal(number)  # `timeout` sends it twice
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 128 + number
        assert "10,000" in output
        assert "missing" in output
        assert f"hwbench: {says}\n" in errors
        assert (tmp_path / "results" / "r" / "report.html").is_file()
        assert "Traceback" not in errors
        assert not workers_in(tmp_path)

    def test_kill_9_keeps_every_part_already_written(self, tmp_path):
        words = [*RUN, *FAKE, "--run-id", "r"]
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
        )
        first_part = tmp_path / "results" / "r" / "measurements"
        wait_until(lambda: first_part.is_dir() and list(first_part.glob("*.parquet")))
        process.kill()
        process.wait()
        done = hwbench("report", "r", "-o", "x.html", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "10,000" in (tmp_path / "x.html").read_text()
        wait_until(lambda: not workers_in(tmp_path))


def read(folder, table, run="*"):
    return pd.concat(
        pd.read_parquet(file) for file in folder.glob(f"results/{run}/{table}/*.parquet")
    )


def workers_in(folder):
    """The worker processes whose working folder is `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"hwbench.worker" in (process / "cmdline").read_bytes()
                and (process / "cwd").readlink() == folder
            ):
                found.append(process.name)
        except OSError:
            continue
    return found


def wait_until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["gpt/trian"], "unknown workload 'gpt/trian'; did you mean gpt/train"),
            (["gemm", "--set", "mm=4"], "unknown axis 'mm'"),
            (["gpt/train", "--set", "size=125m"], "unknown value '125m'; did you mean 124m"),
            (["gpt/train", "--set", "batch=-1"], "batch=-1: expected a number from 1"),
            (["gpt/train", "--set", "batch=0"], "batch=0: expected a number from 1"),
            (["gpt/train", "--set", "batch=99999999999"], "batch=99999999999: expected"),
            (["gpt/train", "--set", "batch"], "expected AXIS=VALUE"),
            (["--suite", "quik"], "unknown suite 'quik'; did you mean quick"),
            (["--suite", ""], "unknown suite ''"),
            (["gemm", "--dtype", ""], "expected AXIS=VALUE"),
            (["--suite", "nothing.toml"], "gemm: axis m has no value"),
            (["--suite", "absent.toml"], "absent.toml: no such suite file"),
            (["--suite", "broken.toml"], "broken.toml: not TOML"),
            (["--suite", "empty.toml"], "empty.toml: no cases"),
            (["--device", "gpu"], "unknown device 'gpu'; expected auto, cpu"),
            (["--device", "cpu:1"], "no device cpu:1 here; there is cpu"),
            (["--device", "xpu"], "no device xpu here; there is .*Install Intel"),
            (["gemm", "--dtype", "bf61"], "unknown value 'bf61'; did you mean bf16"),
            (["gemm", "--processes", "0"], "processes = 0: expected a whole number from 1"),
            (["gemm", "--processes", "4", "--max-processes", "3"], "processes = 4 is above max_p"),
            (["gemm", "--max-processes", "0"], "max_processes = 0: expected a whole number from 1"),
            (["gemm", "--precision", "0"], "--precision 0: expected a share such as 5% or 0.05"),
            (["gemm", "--precision", "exact"], "--precision exact: expected a share"),
            (["gemm", "--precision", "1e-9"], "precision = 1e-09: expected a number from 0.0001"),
            (["gemm", "--min-time", "-1"], "min_time_s = -1"),
            (["gemm", "--min-time", "nan"], "min_time_s = nan"),
            (["gemm", "--max-time", "1e99"], "max_time_s = 1e\\+99"),
            (["gemm", "--min-samples", "many"], "'many' is not a valid integer"),
            (["gemm", "--min-samples", "9" * 5000], "^.{700,720}…9.*' is not a valid integer.$"),
            (["gemm", "--seed", "-1"], "seed = -1: expected a whole number from 0 to 4294967295$"),
            (["gemm", "--run-id", "../x"], r"run id '../x'"),
            (["gemm", "--run-id", "reference"], "reference is the folder of the reference runs"),
            (["gemm", "--run-id", "taken"], "run taken exists"),
            (["gemm", "--name", "../x"], r"--name '../x'"),
            (["gemm", "--output", "a-file"], "cannot write to a-file"),
            (["gemm", "--workloads", "raises.py"], "raises.py: its import failed: RuntimeError"),
            (["gemm", "--workloads", "absent.py"], "absent.py: no such workload file"),
            (["gemm", "--colour"], "[Nn]o such option"),
        ],
    )  # fmt: skip
    def test_run(self, tmp_path, call, words, says):
        (tmp_path / "results" / "taken").mkdir(parents=True)
        (tmp_path / "broken.toml").write_text("cases = [")
        (tmp_path / "empty.toml").write_text("description = 'nothing'")
        (tmp_path / "nothing.toml").write_text('[[cases]]\nworkload = "gemm"\nm = []')
        (tmp_path / "raises.py").write_text("raise RuntimeError('at import')")
        (tmp_path / "a-file").write_text("mine")
        before = snapshot(tmp_path)
        extra = [] if "--device" in words else ["--device", "fake"]
        assert_one_line(call("run", *words, *extra), 2, says)
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("name", ["taken", "../x", "reference"])
    def test_a_run_id_is_refused_before_the_device_is_asked(self, tmp_path, monkeypatch, name):
        (tmp_path / "taken").mkdir()
        monkeypatch.setattr(session, "describe_device", lambda *_: pytest.fail("it was asked"))
        request = session.RunRequest(Plan((), Policy()), output=tmp_path, run_id=name)
        with pytest.raises(UserError, match=f"run (id )?'?{name}"):
            session.open_session(request, print, print)

    def test_a_device_that_is_not_there(self, call):
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device here")
        done = call("run", "--device", "cuda")
        assert_one_line(
            done, 2, "no device cuda here; there is cpu .*Install the GPU's driver .*--device cpu"
        )

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "Missing argument"),
            (["empty"], "no run in this folder"),
            (["absent"], "no run 'absent'"),
            (["../x"], r"no run '../x'"),
            (["truncated"], "damaged or was cut short"),
            (["newer"], "newer hwbench"),
            (["foreign"], "not a part of hwbench's table"),
            (["good", "-o", "a-file/x.html"], "a-file/x.html: cannot be written"),
        ],
    )
    def test_report(self, tmp_path, call, training, words, says):
        import pyarrow as pa
        import pyarrow.parquet as pq

        from hwbench import tables

        (tmp_path / "empty").mkdir()
        (tmp_path / "a-file").write_text("mine")
        for name in ("good", "truncated", "newer", "foreign"):
            writer = make_run(tmp_path, name, [training])
            writer.add(training, 0, measured())
        part = next((tmp_path / "truncated" / "samples").glob("*.parquet"))
        part.write_bytes(part.read_bytes()[:40])
        part = next((tmp_path / "newer" / "runs").glob("*.parquet"))
        newer = pq.ParquetFile(part).read().replace_schema_metadata({tables.VERSION_KEY: b"99"})
        pq.write_table(newer, part)
        pq.write_table(
            pa.table({"x": [1]}), next((tmp_path / "foreign" / "measurements").glob("*.parquet"))
        )
        assert_one_line(call("report", *words), 2, says)
        assert (tmp_path / "a-file").read_text() == "mine"

    def test_an_unknown_command(self, call):
        assert_one_line(call("rnu"), 2, "unknown command 'rnu'; did you mean run")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_an_output_folder_that_cannot_be_written(self, tmp_path, call):
        (tmp_path / "locked").mkdir(mode=0o500)
        done = call("run", "gemm", "--device", "fake", "--output", "locked")
        assert_one_line(done, 2, "cannot write to locked: Permission denied")

    def test_a_full_disk(self, tmp_path, call):
        """A file system of 64 kB: the run starts, its parts do not fit, and what did fit reads
        back."""
        disk = tmp_path / "disk"
        disk.mkdir()
        if (
            not shutil.which("mount")
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
            ).returncode
        ):
            pytest.skip("mounting a tmpfs is not allowed here")
        try:
            steps = "ms=" + ",".join(map(str, range(1, 9)))
            words = ["fake/known", "--set", steps, *FAKE, "--min-samples", "3000"]
            done = call("run", *words, "--output", disk, "--run-id", "r")
            assert done.returncode == 2, done.stderr
            assert "Traceback" not in done.stderr
            assert "No space left on device; what was stored before is kept" in done.stderr
            assert not list(disk.rglob("*.part"))
            assert call("report", disk / "r", "-o", "x.html").returncode == 0
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_debug_shows_where(self, tmp_path):
        done = hwbench("report", "nothing", "--debug", cwd=tmp_path)
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("hwbench: no run 'nothing'")
        assert done.returncode == 2


def snapshot(folder):
    return {
        str(path): path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
        if "__pycache__" not in str(path)
    }


class TestOtherCommands:
    def test_list(self, call):
        done = call("list", "--workloads", FILE, "--json")
        found = json.loads(done.stdout)
        names = {workload["name"]: workload for workload in found["workloads"]}
        assert names["fake/known"]["axes"]["ms"] == {
            "defaults": [3],
            "type": "int",
            "choices": None,
        }
        assert {"quick", "standard"} <= set(found["suites"])
        assert "cpu" in found["devices"]
        assert "gpt/train" in call("list").stdout

    def test_info_names_no_person_and_no_place(self, tmp_path, call):
        text = call("info", "--device", "cpu", "--json").stdout
        found = json.loads(text)
        assert found["device"]["kind"] == "cpu"
        assert found["packages"]["torch"]
        for private in (os.uname().nodename, str(Path.home()), str(tmp_path)):
            assert f'"{private}' not in text
        assert "unknown" in call("info", "--device", "fake").stdout

    def test_report_of_two_runs(self, tmp_path, call, training):
        for name, step_s in (("a", 0.003), ("b", 0.001)):
            make_run(tmp_path / "results", name, [training]).add(
                training, 0, measured(step_s=step_s)
            )
        done = call("report", "a", "b")
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "reports" / "a.html").read_text()
        assert done.stdout.strip() == "reports/a.html"
        assert "3.00×" in page

    def test_largest_batch_is_searched_measured_and_remembered(self, tmp_path):
        words = ["run", "fake/sized", "--set", "batch=max", "--set", "mib=300", *FAKE]
        done = hwbench(*words, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["params"]["batch"], row["outcome"]) == (3, "ok")
        assert "batch=3 is the largest" in done.stderr
        again = hwbench(*words, cwd=tmp_path)
        assert "batch=3, remembered in results/.largest.json" in again.stderr

    def test_where_nothing_fits_there_is_a_row_with_the_predicted_bytes(self, tmp_path):
        done = hwbench(
            "run",
            "fake/sized",
            "--set",
            "batch=max",
            "--set",
            "mib=3000",
            *FAKE,
            "--json",
            cwd=tmp_path,
        )
        assert done.returncode == 0  # an answer
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["params"]["batch"], row["outcome"]) == (1, "unsupported")
        assert (
            row["reason"]
            == "needs about 1.5 GiB (predicted 1,572,864,000 bytes), Fake device has 1.0 GiB"
        )

    @pytest.mark.parametrize("command", ["ab", "noise"])
    def test_max_is_refused_outside_run(self, call, command):
        done = call(
            command, "fake/sized", "--set", "batch=max", "--device", "fake", "--workloads", FILE
        )
        assert_one_line(done, 2, "batch=max is for `hwbench run`")

    def test_summarize_rebuilds_the_metrics(self, tmp_path, call, training):
        folder = make_run(tmp_path / "results", "a", [training]).folder
        make_run(tmp_path / "x", "x", [training])
        assert not (folder / "metrics").exists()
        done = call("summarize", "a", "--json")
        assert done.returncode == 0, done.stderr
        assert (folder / "metrics" / "metrics.parquet").is_file()
        assert (folder / "span_metrics" / "span_metrics.parquet").is_file()
        assert json.loads(done.stdout)["roofline"] == {"ceilings": [], "points": [], "sums": []}

    def test_summarize_shows_the_roofline_of_the_parts_of_a_step(self, tmp_path, call, training):
        gemm, copy = Case("gemm", {}, "fp32"), Case("copy", {}, "fp32")
        writer = make_run(tmp_path / "results", "a", [training, gemm, copy])
        spans = {"forward": Work(flops=900, bytes=300), "backward": Work(flops=600, bytes=700)}
        writer.add(
            training, 0, measured(0.003, work=Work(flops=1500), declared=Declared(spans=spans))
        )
        writer.add(gemm, 0, measured(0.001, work=Work(flops=1000)))
        writer.add(copy, 0, measured(0.001, work=Work(bytes=1000)))
        shown = call("summarize", "a").stdout
        assert re.search(
            r"roofline.*measured +2 +100 % +1\.60 ms +3\.00 ms +53\.3 %", shown, re.DOTALL
        ), shown
        data = json.loads(call("summarize", "a", "--json").stdout)
        assert data["roofline"]["sums"][0]["share"] == pytest.approx(16 / 30)
        assert {row["span"] for row in data["span_metrics"]} == {"forward", "backward"}
        assert {row["case_id"] for row in data["rows"]} == {
            row["case_id"] for row in data["metrics"]
        }

    def test_completion(self, tmp_path, call):
        assert "_HWBENCH_COMPLETE=zsh_source" in call("completion", "zsh").stdout
        words = {"COMP_WORDS": "hwbench r", "COMP_CWORD": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "hwbench"], cwd=tmp_path, capture_output=True, text=True,
            env=environment(_HWBENCH_COMPLETE="bash_complete", **words),
        )  # fmt: skip
        assert "run" in done.stdout
        assert "report" in done.stdout

    def test_a_reader_that_leaves_is_no_error(self, tmp_path):
        done = subprocess.run(
            f"{shlex.quote(sys.executable)} -m hwbench list | head -1; echo ${{PIPESTATUS[0]}}",
            shell=True, executable="/bin/bash", cwd=tmp_path, capture_output=True, text=True,
            env=environment(),
        )  # fmt: skip
        assert done.stderr == ""
        assert done.stdout.endswith("\n0\n")

    def test_a_page_goes_through_links_and_into_pipes_without_replacing_them(
        self, tmp_path, call, training
    ):
        make_run(tmp_path / "results", "a", [training])
        (tmp_path / "link.html").symlink_to(tmp_path / "real.html")
        assert call("report", "a", "-o", "link.html").returncode == 0
        assert (tmp_path / "link.html").is_symlink()
        assert "<html" in (tmp_path / "real.html").read_text()
        os.mkfifo(tmp_path / "pipe")
        reader = subprocess.Popen(["cat", "pipe"], cwd=tmp_path, stdout=subprocess.PIPE)
        assert call("report", "a", "-o", "pipe").returncode == 0
        assert b"<html" in reader.communicate(timeout=10)[0]
        assert (tmp_path / "pipe").is_fifo()
