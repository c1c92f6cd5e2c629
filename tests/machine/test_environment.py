"""What is recorded of the machine, where one part of it does not answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwbench.machine import environment
from hwbench.machine.checks import check

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (
    "import json; from hwbench.machine import environment; print(json.dumps(environment._nvidia()))"
)


def gpus(environment):
    """What a program of its own makes of the driver library: a process keeps the one that it once
    loaded."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "trouble", [{"FAIL": "nvmlDeviceGetHandleByIndex_v2@1=15"}, {"LOST": "1@0"}]
)
def test_a_gpu_that_has_fallen_off_the_bus_leaves_the_facts_of_the_others(nvml_library, trouble):
    found = gpus(nvml_library.environment(GPUS=3, **trouble))
    assert [gpu["name"] for gpu in found] == ["NVIDIA Fake GPU", None, "NVIDIA Fake GPU"]
    assert [gpu["driver"] for gpu in found] == ["580.00.00"] * 3
    assert [gpu["memory_bytes"] for gpu in found] == [80 << 30, None, 80 << 30]
    assert check({"device": {"kind": "cuda", "nvml_index": 1}, "nvidia": found}) == []


def test_those_that_started_this_process_do_not_compute_beside_it(nvml_library):
    assert (
        gpus(nvml_library.environment(PROCESSES=f"{os.getpid()},self"))[0]["compute_processes"] == 0
    )
    assert (
        gpus(nvml_library.environment(PROCESSES=f"{os.getpid()},{2**22 + 1}"))[0][
            "compute_processes"
        ]
        == 1
    )


def test_an_old_driver_that_cannot_list_processes_costs_that_fact_alone(nvml_library):
    (gpu,) = gpus(nvml_library.environment(FAIL="nvmlDeviceGetComputeRunningProcesses_v3=13"))
    assert (gpu["name"], gpu["compute_processes"]) == ("NVIDIA Fake GPU", None)


def test_without_nvidia_ml_py_no_gpu_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert environment._nvidia() is None


def test_a_git_that_does_not_tell_of_changes_is_not_said_to_have_none(monkeypatch):
    answers = {"rev-parse": "abc", "status": None}
    monkeypatch.setattr(environment, "_run", lambda git, command, *words: answers[command])
    assert environment._git() == {"commit": "abc", "dirty": None}
    for changes, dirty in (("", False), (" M file", True)):
        answers["status"] = changes
        assert environment._git()["dirty"] is dirty
