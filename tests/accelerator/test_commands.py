"""Real hwbench commands on the stand-in, and what they store."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FAULTY = str(HERE / "faulty_workloads.py")
SHORT = ["--device", "tpu", "--min-time", "0.05", "--max-time", "0.15", "--min-samples", "3"]
PRODUCT = [word for size in ("m=64", "n=64", "k=64") for word in ("--set", size)]


def hwbench(folder, *words, **variables):
    """Run the command in `folder` with the stand-in importable."""
    path = os.pathsep.join(map(str, (ROOT, HERE)))
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-m", "hwbench", *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **variables},
    )  # fmt: skip


def table(folder, run, name):
    return pd.read_parquet(folder / "results" / run / name)


def run(folder, *words, processes=1, **variables):
    """Make a run named `r`: the ended process, and the measurements with their notes parsed."""
    options = [*SHORT, "--processes", processes, "--run-id", "r"]
    done = hwbench(folder, "run", *words, *options, **variables)
    assert "Traceback" not in done.stderr, done.stderr
    rows = table(folder, "r", "measurements")
    return done, rows.assign(notes=rows.notes.map(json.loads))


def codes(row):
    return {note.partition(":")[0] for note in row.notes} - {"foreign_load", "no_steady_state"}


SIZES = ("size=nano", "mb=1", "seq=16", "batch=1", "prompt=16", "new=4")
CHOICES = ("op=copy", "direction=to_device")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of seven workloads in two processes each: its folder and the ended command."""
    folder = tmp_path_factory.mktemp("whole")
    names = ["gpt/train", "gpt/prefill", "gpt/decode", "mlp/train", "gemm", "copy", "transfer"]
    options = [word for choice in (*SIZES, *CHOICES) for word in ("--set", choice)]
    # by name: a suite leaves bf16 out if the host only emulates it
    options += [*PRODUCT, "--dtype", "bf16", *SHORT, "--processes", "2", "--run-id", "r"]
    done = hwbench(folder, "run", *names, *options, TOY_TPU_LOG=str(folder / "log"))
    return folder, done


class TestWholeRun:
    def test_every_case_is_timed_by_device_events(self, whole):
        folder, done = whole
        rows = table(folder, "r", "measurements")
        assert done.returncode == 0, done.stderr
        failed = rows[rows.outcome != "ok"]
        assert failed.empty, failed[["workload", "params", "reason"]].to_dict()
        assert set(rows.timer_kind) == {"device_event"}
        assert rows.groupby("case_id").process.nunique().eq(2).all()
        assert rows.workload.nunique() == 7

    def test_mixed_precision_runs(self, whole):
        rows = table(whole[0], "r", "measurements")
        assert set(rows[rows.workload == "gpt/train"].dtype) == {"bf16"}

    def test_no_note_about_clock_or_precision(self, whole):
        rows = table(whole[0], "r", "measurements")
        assert not re.search("clock|fp32_rounded", " ".join(rows.notes))

    def test_memory_base_is_zero_and_peaks_are_known(self, whole):
        rows = table(whole[0], "r", "measurements")
        assert (rows.memory_base_bytes == 0).all()
        assert (rows.memory_peak_bytes > 0).all()
        assert (rows.memory_build_peak_bytes > 0).all()

    def test_spans_sum_to_steps(self, whole):
        samples, spans = table(whole[0], "r", "samples"), table(whole[0], "r", "spans")
        assert spans.span_s.sum() <= samples.step_s.sum() * 1.001
        rows = table(whole[0], "r", "measurements")
        training = rows[rows.workload == "gpt/train"].case_id.iloc[0]
        assert set(spans[spans.case_id == training].name) == {"forward", "backward", "optimizer"}

    def test_only_workers_open_the_device(self, whole):
        """A GPU's driver would count the command as a foreign process, and a TPU takes only one."""
        folder, _ = whole
        processes = (folder / "log").read_text().split()
        assert len(processes) == len(set(processes)) == 1 + len(table(folder, "r", "measurements"))

    def test_page_and_markdown_report_are_written(self, whole):
        folder, _ = whole
        assert "Toy TPU (a thread)" in (folder / "results/r/report.html").read_text()
        done = hwbench(folder, "report", "r", "--format", "markdown")
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_gate_passes_two_runs_of_the_same_code(tmp_path):
    for name in ("before", "after"):
        words = ("toy/sleeps", "--workloads", FAULTY, *SHORT, "--processes", 2, "--run-id", name)
        assert hwbench(tmp_path, "run", *words).returncode == 0
    words = ("--baseline", "before", "--candidate", "after", "--threshold", "50%")
    done = hwbench(tmp_path, "gate", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def test_info_shows_facts_of_device(tmp_path):
    done = hwbench(tmp_path, "info", "--device", "tpu", "--json")
    assert done.returncode == 0, done.stderr
    device = json.loads(done.stdout)["device"]
    assert (device["kind"], device["name"]) == ("tpu", "Toy TPU (a thread)")
    assert device["event_clock"] is True
    assert device["formats"]["fp32"] > 0


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A run of all workloads that fail within steps and, last, one that does not: rows by workload,
    exit status."""
    names = ["dies", "greedy", "back", "lacks", "unwritten", "tunes", "jumps", "sleeps"]
    words = [f"toy/{name}" for name in names]
    done, rows = run(tmp_path_factory.mktemp("faulty"), *words, "--workloads", FAULTY)
    return rows.set_index("workload").loc[words].set_axis(names), done.returncode


class TestFaultySteps:
    def test_failed_cases_fail_the_command_but_no_other_case(self, faulty):
        rows, status = faulty
        assert status == 1
        assert rows.outcome.to_dict() == {
            "dies": "error",
            "greedy": "oom",
            "back": "error",
            "lacks": "unsupported",
            "unwritten": "error",
            "tunes": "ok",
            "jumps": "ok",
            "sleeps": "ok",
        }

    def test_lost_device_is_the_reason(self, faulty):
        assert faulty[0].reason["dies"] == "RuntimeError: TPU error: the device is lost"

    def test_clock_that_goes_back_is_the_reason(self, faulty):
        message = "ValueError: the device's event clock went back by 0."
        assert faulty[0].reason["back"].startswith(message)

    def test_out_of_memory_is_the_reason(self, faulty):
        assert faulty[0].reason["greedy"].startswith("torch.OutOfMemoryError: TPU out of memory")

    def test_missing_operator_is_named(self, faulty):
        message = "Could not run 'aten::erfinv' with arguments from the 'tpu' backend"
        assert faulty[0].reason["lacks"] == message

    def test_memory_peak_of_building_is_separate(self, faulty):
        rows, _ = faulty
        assert rows.memory_build_peak_bytes["tunes"] == 64 << 20
        assert rows.memory_peak_bytes["tunes"] == 1 << 20

    def test_jumping_clock_is_noted(self, faulty):
        assert codes(faulty[0].loc["jumps"]) == {"clock_jump"}
        assert codes(faulty[0].loc["sleeps"]) == set()


def test_allocator_without_statistics_leaves_memory_unknown(tmp_path):
    done, rows = run(tmp_path, "toy/sleeps", "--workloads", FAULTY, TOY_TPU_FAULTS="no_statistics")
    assert done.returncode == 0, done.stderr
    assert rows.outcome[0] == "ok"
    columns = ["memory_base_bytes", "memory_peak_bytes", "memory_build_peak_bytes"]
    assert rows[columns].isna().all(axis=None)


def test_device_without_events_is_timed_by_host(tmp_path):
    _, rows = run(tmp_path, "toy/sleeps", "--workloads", FAULTY, TOY_TPU_FAULTS="no_events")
    assert (rows.outcome[0], rows.timer_kind[0]) == ("ok", "host")
    assert codes(rows.iloc[0]) == {"clock_fallback"}
    assert "no event clock (the TPU has no events)" in rows.notes[0][0]


@pytest.mark.slow
def test_events_that_disagree_with_host_are_not_used(tmp_path):
    _, rows = run(tmp_path, "toy/sleeps", "--workloads", FAULTY, TOY_TPU_FAULTS="fast_clock")
    assert (rows.outcome[0], rows.timer_kind[0]) == ("ok", "host")
    assert codes(rows.iloc[0]) == {"clock_disagreement"}


def test_rounded_fp32_is_noted(tmp_path):
    _, rows = run(tmp_path, "gemm", *PRODUCT, "--dtype", "fp32", TOY_TPU_FAULTS="rounded_fp32")
    assert rows.outcome[0] == "ok"
    assert codes(rows.iloc[0]) == {"fp32_rounded"}


@pytest.mark.slow
def test_tf32_is_unsupported_if_all_bits_are_kept(tmp_path):
    done, rows = run(tmp_path, "gemm", *PRODUCT, "--dtype", "tf32")
    assert done.returncode == 0
    assert rows.outcome[0] == "unsupported"
    assert "has no tf32" in rows.reason[0]


@pytest.mark.slow
def test_profile_without_kernels_says_why(tmp_path):
    options = ["--set", "size=nano", *SHORT[:2], "--max-time", "0.3", "--run-id", "r"]
    done = hwbench(tmp_path, "profile", "mlp/train", *options)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    invalid = table(tmp_path, "r", "profiles").invalid[0]
    assert invalid == "the profiler saw no kernel of this device, only the host"


def test_processes_with_different_timers_are_reported(whole):
    """One command never does that, so the tables of a run are changed."""
    from hwbench import tables as store
    from hwbench.analysis import metrics

    tables = store.read_run(whole[0] / "results/r")
    rows = tables.measurements.copy()
    rows.loc[rows.process == 1, "timer_kind"] = "host"
    reasons = metrics.summarize(replace(tables, measurements=rows)).reasons.map(json.loads)
    assert all("mixed_timers" in those for those in reasons)
