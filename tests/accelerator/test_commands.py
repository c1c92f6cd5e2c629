"""hwbench on the stand-in as a user has it: real commands, and what they store."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FAULTY = str(HERE / "faulty_workloads.py")
SHORT = ["--device", "tpu", "--min-time", "0.05", "--max-time", "0.15", "--min-samples", "3"]
PRODUCT = [word for size in ("m=64", "n=64", "k=64") for word in ("--set", size)]


def hwbench(folder, *words, **variables):
    """The command in `folder`, with the stand-in on the path of what can be imported."""
    path = os.pathsep.join(map(str, (ROOT, HERE)))
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-m", "hwbench", *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **variables},
    )  # fmt: skip


def table(folder, run, name):
    return pd.read_parquet(folder / "results" / run / name)


def run(folder, *words, processes=1, **variables):
    """A run named `r`: how it ended, and its measurements with their notes."""
    done = hwbench(
        folder, "run", *words, *SHORT, "--processes", processes, "--run-id", "r", **variables
    )
    assert "Traceback" not in done.stderr, done.stderr
    rows = table(folder, "r", "measurements")
    return done, rows.assign(notes=rows.notes.map(json.loads))


def codes(row):
    return {note.partition(":")[0] for note in row.notes} - {"foreign_load", "no_steady_state"}


SIZES = (
    "size=nano",
    "mb=1",
    "seq=16",
    "batch=1",
    "prompt=16",
    "new=4",
    "op=copy",
    "direction=to_device",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Seven workloads in two processes each, in a folder of their own, and how the command
    ended."""
    folder = tmp_path_factory.mktemp("whole")
    names = ["gpt/train", "gpt/prefill", "gpt/decode", "mlp/train", "gemm", "copy", "transfer"]
    asked = [*PRODUCT, *(word for size in SIZES for word in ("--set", size))]
    # by name: a suite's own would be left out where the host only emulates it
    asked += ["--dtype", "bf16"]
    log = {"TOY_TPU_LOG": str(folder / "log")}
    done = hwbench(folder, "run", *names, *asked, *SHORT, "--processes", 2, "--run-id", "r", **log)
    return folder, done


class TestWholeRun:
    def test_every_case_is_measured_by_the_devices_events(self, whole):
        folder, done = whole
        rows = table(folder, "r", "measurements")
        assert done.returncode == 0, done.stderr
        assert set(rows.outcome) == {"ok"}, rows[rows.outcome != "ok"][
            ["workload", "params", "reason"]
        ].to_dict()
        assert set(rows.timer_kind) == {"device_event"}
        assert rows.groupby("case_id").process.nunique().eq(2).all()
        assert rows.workload.nunique() == 7

    def test_mixed_precision_runs(self, whole):
        rows = table(whole[0], "r", "measurements")
        assert set(rows[rows.workload == "gpt/train"].dtype) == {"bf16"}

    def test_nothing_is_noted_of_the_clock_or_the_precision(self, whole):
        rows = table(whole[0], "r", "measurements")
        assert not re.search("clock|fp32_rounded", " ".join(rows.notes))

    def test_memory_is_known_from_its_base_of_zero_on(self, whole):
        rows = table(whole[0], "r", "measurements")
        assert (rows.memory_base_bytes == 0).all()
        assert (rows.memory_peak_bytes > 0).all()
        assert (rows.memory_build_peak_bytes > 0).all()

    def test_spans_add_up_to_the_steps(self, whole):
        samples, spans = table(whole[0], "r", "samples"), table(whole[0], "r", "spans")
        assert spans.span_s.sum() <= samples.step_s.sum() * 1.001
        training = (
            table(whole[0], "r", "measurements").query("workload == 'gpt/train'").case_id.iloc[0]
        )
        assert set(spans[spans.case_id == training].name) == {"forward", "backward", "optimizer"}

    def test_the_command_itself_never_touches_the_device(self, whole):
        """A GPU would count it as another process that computes there, and a TPU has room for one
        only."""
        folder, _ = whole
        processes = (folder / "log").read_text().split()
        assert len(processes) == len(set(processes)) == 1 + len(table(folder, "r", "measurements"))

    def test_the_page_and_a_report_on_the_terminal_are_written(self, whole):
        folder, _ = whole
        assert "Toy TPU (a thread)" in (folder / "results/r/report.html").read_text()
        done = hwbench(folder, "report", "r", "--format", "markdown")
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_runs_of_the_same_pass_the_gate(tmp_path):
    for name in ("before", "after"):
        words = ("toy/sleeps", "--workloads", FAULTY, *SHORT, "--processes", 2, "--run-id", name)
        assert hwbench(tmp_path, "run", *words).returncode == 0
    done = hwbench(
        tmp_path, "gate", "--baseline", "before", "--candidate", "after", "--threshold", "50%"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_devices_facts_are_shown(tmp_path):
    done = hwbench(tmp_path, "info", "--device", "tpu", "--json")
    assert done.returncode == 0, done.stderr
    device = json.loads(done.stdout)["device"]
    assert (device["kind"], device["name"], device["event_clock"]) == (
        "tpu",
        "Toy TPU (a thread)",
        True,
    )
    assert device["formats"]["fp32"] > 0


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A run of all that goes wrong within steps, and one case after it that does not: rows by
    workload, exit status."""
    names = ["dies", "greedy", "back", "lacks", "unwritten", "tunes", "jumps", "sleeps"]
    words = [f"toy/{name}" for name in names]
    done, rows = run(tmp_path_factory.mktemp("faulty"), *words, "--workloads", FAULTY)
    return rows.set_index("workload").loc[words].set_axis(names), done.returncode


class TestFaultySteps:
    def test_what_failed_makes_the_command_fail_and_costs_no_other_case(self, faulty):
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

    def test_a_device_that_died_is_the_reason(self, faulty):
        assert faulty[0].reason["dies"] == "RuntimeError: TPU error: the device is lost"

    def test_a_clock_that_went_back_is_the_reason(self, faulty):
        assert (
            faulty[0]
            .reason["back"]
            .startswith("ValueError: the device's event clock went back by 0.")
        )

    def test_memory_that_ran_out_is_the_reason(self, faulty):
        assert faulty[0].reason["greedy"].startswith("torch.OutOfMemoryError: TPU out of memory")

    def test_an_operator_that_the_device_lacks_is_named(self, faulty):
        assert (
            faulty[0].reason["lacks"]
            == "Could not run 'aten::erfinv' with arguments from the 'tpu' backend"
        )

    def test_memory_of_building_is_kept_apart(self, faulty):
        rows, _ = faulty
        assert rows.memory_build_peak_bytes["tunes"] == 64 << 20
        assert rows.memory_peak_bytes["tunes"] == 1 << 20

    def test_a_clock_that_jumps_is_told(self, faulty):
        assert codes(faulty[0].loc["jumps"]) == {"clock_jump"}
        assert codes(faulty[0].loc["sleeps"]) == set()


def test_an_allocator_without_statistics_leaves_memory_unknown(tmp_path):
    done, rows = run(tmp_path, "toy/sleeps", "--workloads", FAULTY, TOY_TPU_FAULTS="no_statistics")
    assert done.returncode == 0, done.stderr
    assert rows.outcome[0] == "ok"
    assert (
        rows[["memory_base_bytes", "memory_peak_bytes", "memory_build_peak_bytes"]]
        .isna()
        .all(axis=None)
    )


def test_a_device_without_events_is_timed_by_the_host(tmp_path):
    _, rows = run(tmp_path, "toy/sleeps", "--workloads", FAULTY, TOY_TPU_FAULTS="no_events")
    assert (rows.outcome[0], rows.timer_kind[0]) == ("ok", "host")
    assert codes(rows.iloc[0]) == {"clock_fallback"}
    assert "no event clock (the TPU has no events)" in rows.notes[0][0]


@pytest.mark.slow
def test_events_that_disagree_with_the_host_are_not_used(tmp_path):
    _, rows = run(tmp_path, "toy/sleeps", "--workloads", FAULTY, TOY_TPU_FAULTS="fast_clock")
    assert (rows.outcome[0], rows.timer_kind[0]) == ("ok", "host")
    assert codes(rows.iloc[0]) == {"clock_disagreement"}


def test_fp32_that_is_none_is_told(tmp_path):
    _, rows = run(tmp_path, "gemm", *PRODUCT, "--dtype", "fp32", TOY_TPU_FAULTS="rounded_fp32")
    assert rows.outcome[0] == "ok"
    assert codes(rows.iloc[0]) == {"fp32_rounded"}


@pytest.mark.slow
def test_tf32_is_unsupported_where_all_bits_are_kept(tmp_path):
    done, rows = run(tmp_path, "gemm", *PRODUCT, "--dtype", "tf32")
    assert done.returncode == 0
    assert rows.outcome[0] == "unsupported"
    assert "has no tf32" in rows.reason[0]


@pytest.mark.slow
def test_a_profile_says_why_it_has_no_kernels(tmp_path):
    done = hwbench(
        tmp_path,
        "profile",
        "mlp/train",
        "--set",
        "size=nano",
        *SHORT[:2],
        "--max-time",
        "0.3",
        "--run-id",
        "r",
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    invalid = table(tmp_path, "r", "profiles").invalid[0]
    assert invalid == "the profiler saw no kernel of this device, only the host"


def test_two_processes_that_were_timed_differently_are_told(whole):
    """Not to be had from one command; the tables of the whole run are changed to be so."""
    from hwbench import tables as store
    from hwbench.analysis import metrics

    tables = store.read_run(whole[0] / "results/r")
    tables.measurements.loc[tables.measurements.process == 1, "timer_kind"] = "host"
    reasons = metrics.summarize(tables).reasons.map(json.loads)
    assert all("mixed_timers" in those for those in reasons)
