"""The command line on processors that are not here: their findings are remembered before it
starts."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hwbench.devices import open_device
from hwbench.devices.findings import FILE

ROOT = Path(__file__).resolve().parents[2]
NANO = [
    *(
        "--device",
        "cpu",
        "--processes",
        "1",
        "--min-time",
        "0.05",
        "--max-time",
        "0.2",
        "--min-samples",
        "1",
    ),
    *("--set", "size=nano", "--set", "m=64", "--set", "n=64", "--set", "k=64", "--set", "mb=1"),
]
WITHOUT_BF16 = {"fp32": 93e9, "bf16": 2.8e9, "fp16": 2.9e9, "int8": 178e9}
WITH_BF16 = {"fp32": 93e9, "bf16": 190e9, "fp16": 2.9e9, "int8": 515e9}


@pytest.fixture
def hwbench(tmp_path, monkeypatch):
    monkeypatch.setenv("HWBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "hwbench", *words], capture_output=True, text=True, timeout=300
        )

    return run


def remember(rates):
    open_device("cpu").findings._formats.put("formats", rates)


def outcomes(tmp_path, run_id):
    rows = pd.concat(
        map(pd.read_parquet, (tmp_path / "results" / run_id / "measurements").glob("*.parquet"))
    )
    return {(row.workload, row.dtype): row for row in rows.itertuples()}


def test_first_run_without_bf16_exits_0_and_lists_what_it_left_out(hwbench, tmp_path):
    remember(WITHOUT_BF16)
    done = hwbench("run", *NANO, "--run-id", "r")
    assert done.returncode == 0, done.stderr
    found = outcomes(tmp_path, "r")
    assert {row.outcome for (_, dtype), row in found.items() if dtype == "fp32"} == {"ok"}
    bf16 = [row for (_, dtype), row in found.items() if dtype == "bf16"]
    assert {row.outcome for row in bf16} == {"unsupported"}
    assert {row.reason for row in bf16} == {
        "bf16 is emulated here: 2.8 GFLOP/s of one thread, fp32 93 GFLOP/s; "
        "--dtype bf16 measures it anyway; fast is --dtype fp32"
    }
    assert hwbench("report", "r", "-o", "r.html").returncode == 0


def test_emulated_format_asked_for_by_name_is_announced_measured_and_noted(hwbench, tmp_path):
    remember(WITHOUT_BF16)
    done = hwbench("run", "gpt/prefill", *NANO[:12], "--dtype", "bf16", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    row = outcomes(tmp_path, "r")["gpt/prefill", "bf16"]
    assert row.outcome == "ok"
    assert any(
        note.startswith("emulated_dtype: bf16 is emulated here") for note in json.loads(row.notes)
    )
    assert "bf16 is emulated here: 2.8 GFLOP/s, fp32 93 GFLOP/s\n" in done.stderr
    assert "by the rate of a product a step takes " in done.stderr


@pytest.mark.parametrize(("rates", "dtype"), [(WITHOUT_BF16, "fp32"), (WITH_BF16, "bf16")])
def test_auto_is_the_cases_dtype(hwbench, tmp_path, rates, dtype):
    remember(rates)
    done = hwbench("run", "gpt/prefill", *NANO[:12], "--run-id", "r", "--json")
    assert done.returncode == 0, done.stderr
    assert list(outcomes(tmp_path, "r")) == [("gpt/prefill", dtype)]


def test_a_size_alone_runs_with_a_default_that_it_can_have(hwbench, tmp_path):
    done = hwbench("run", "gpt/train", *NANO[:12], "--set", "batch=1", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert "gpt/train size=nano: seq=256; the default 512 is not possible here" in done.stderr
    (row,) = outcomes(tmp_path, "r").values()
    assert (row.outcome, json.loads(row.params)["seq"]) == ("ok", 256)


def test_info_shows_the_rates_and_what_is_emulated(hwbench):
    remember(WITHOUT_BF16)
    lines = [" ".join(line.split()) for line in hwbench("info").stdout.splitlines()]
    assert {"fp32 93 GFLOP/s", "bf16 2.8 GFLOP/s (emulated)"} <= set(lines)


def test_a_search_for_the_largest_batch_leaves_out_what_the_suite_leaves_out(hwbench, tmp_path):
    remember(WITHOUT_BF16)
    (tmp_path / "s.toml").write_text(
        "[policy]\nprocesses = 1\nmax_processes = 1\n"
        '[[cases]]\nworkload = "gpt/prefill"\nsize = "nano"\nprompt = 16\n'
        'batch = "max"\ndtype = "bf16"\n'
    )
    done = hwbench("run", "--suite", "s.toml", "--device", "cpu", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert [row.outcome for row in outcomes(tmp_path, "r").values()] == ["unsupported"]
    assert "batch=2" not in done.stderr


def test_ab_of_a_suite_has_a_verdict_where_a_format_is_left_out(hwbench, tmp_path):
    remember(WITHOUT_BF16)
    (tmp_path / "s.toml").write_text(
        "[policy]\nmin_time_s = 0.05\nmax_time_s = 0.1\nmin_samples = 1\n"
        '[[cases]]\nworkload = "gpt/prefill"\nsize = "nano"\nprompt = 16\n'
        'dtype = ["fp32", "bf16"]\n'
    )
    done = hwbench(
        "ab", "--suite", "s.toml", "--device", "cpu", "--pairs", "2", "--threshold", "90%"
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "missing" not in done.stdout


@pytest.mark.parametrize("content", ["[" * 200_000, "{", '{"x": 1}', "\x00"])
def test_damaged_cache_is_replaced_with_a_warning(hwbench, tmp_path, content):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / FILE).write_text(content)
    done = hwbench("info", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["device"]["formats"]["fp32"] > 1e8
    assert (content == '{"x": 1}') != (
        "not a file of remembered answers; it is replaced" in done.stderr
    )
    assert "warnings" not in done.stdout


def test_unwritable_cache_is_a_warning(hwbench, tmp_path):
    (tmp_path / "cache").write_text("a file")
    done = hwbench("info", "--json")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: ")
