"""What NVIDIA's driver says of its GPUs, and what is left where it fails in part."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwbench.machine.checks import check
from hwbench.machine.nvidia import collect_gpus

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json
from hwbench.machine.nvidia import collect_gpus
print(json.dumps(collect_gpus()))
"""


def gpus(environment):
    """What another process gets from the driver library in `environment`; a process keeps the
    library that it loaded first."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "trouble",
    [
        {"FAIL": "nvmlDeviceGetHandleByIndex_v2@1=15"},
        {"FAIL": "nvmlDeviceGetCount_v2=15,nvmlDeviceGetHandleByIndex_v2@1=15"},
        {"LOST": "1@0"},
    ],
)
def test_lost_gpu_leaves_facts_of_the_others(nvml_library, trouble):
    found = gpus(nvml_library.environment(GPUS=3, **trouble))
    assert [gpu["name"] for gpu in found] == ["NVIDIA Fake GPU", None, "NVIDIA Fake GPU"]
    assert [gpu["driver"] for gpu in found] == ["580.00.00"] * 3
    assert [gpu["memory_bytes"] for gpu in found] == [80 << 30, None, 80 << 30]
    assert found[1]["problem"] == "the GPU is lost; sudo dmesg | grep Xid says why; reboot"
    assert "lost" not in found[0].get("problem", "")
    assert check({"device": {"kind": "cuda", "nvml_index": 1}, "nvidia": found}) == []


def test_parent_processes_are_not_counted_as_foreign(nvml_library):
    (gpu,) = gpus(nvml_library.environment(PROCESSES=f"{os.getpid()},self"))
    assert gpu["compute_processes"] == 0
    (gpu,) = gpus(nvml_library.environment(PROCESSES=f"{os.getpid()},{2**22 + 1}"))
    assert gpu["compute_processes"] == 1


def test_old_driver_without_process_list_lacks_only_that_fact(nvml_library):
    (gpu,) = gpus(nvml_library.environment(FAIL="nvmlDeviceGetComputeRunningProcesses_v3=13"))
    assert (gpu["name"], gpu["compute_processes"]) == ("NVIDIA Fake GPU", None)


def test_missing_nvidia_ml_py_gives_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert collect_gpus() is None
