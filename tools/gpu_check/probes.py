"""Probes: compare what hwbench reports of a CUDA device with the truth. Each function returns a
figure, or fails with it.

`python tools/gpu_check/functions.py tools/gpu_check/probes.py probe_` runs them. Without CUDA each
is skipped. Those that need a run read RUN_ID, which the stage makes before them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

DEVICE = os.environ.get("GPU_CHECK_DEVICE", "cuda")
RESULTS = Path(os.environ.get("GPU_CHECK_RESULTS") or tempfile.gettempdir()).absolute()

RUN_ID = "probes"

LONG_SIDE = 16384
"""The side of square matrices whose product takes tens of milliseconds."""

OPEN = """
import json, sys
from hwbench import devices
device = devices.open_device(devices.resolve(sys.argv[1]))
device.reset_memory_peak()
import torch
uuid = str(torch.cuda.get_device_properties(device.torch).uuid)
index = device.describe()["nvml_index"]
print(json.dumps({"base": device.memory_peak_bytes(), "index": index, "uuid": uuid}))
"""
"""Prints what a new process reports of the device that it opens."""


class Wrong(AssertionError):
    """hwbench reports something wrong; `value` is the figure that shows it."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"{value}, expected {expected}")
        self.value = value


def require(holds: bool, value: object, expected: str) -> None:
    if not holds:
        raise Wrong(value, expected)


@cache
def cuda() -> Any:
    """The device, opened once. SkipTest if it is not CUDA."""
    if DEVICE.partition(":")[0] != "cuda":
        raise unittest.SkipTest(f"the probe needs CUDA; this is {DEVICE}")
    from hwbench import devices

    return devices.open_device(devices.resolve(DEVICE))


def open_device() -> None:
    """Open the device before the first probe, so that its time counts for none of them."""
    if DEVICE.partition(":")[0] == "cuda":
        cuda()


def uuid() -> str:
    """The device's UUID, as torch gives it."""
    import torch

    return str(torch.cuda.get_device_properties(cuda().torch).uuid)


@cache
def open_fresh() -> Any:
    """The base, index and uuid that a new process reports if CUDA_VISIBLE_DEVICES has only this
    device."""
    command = [sys.executable, "-c", OPEN, "cuda:0"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": f"GPU-{uuid()}"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def probe_memory_base_bytes() -> int:
    """The memory that a new process holds is a number, possibly 0, and not unknown."""
    cuda()
    base = open_fresh()["base"]
    require(base is not None, "null", "a number")
    return int(base)


def probe_driver_index() -> int:
    """torch and the driver mean the same GPU, also if CUDA_VISIBLE_DEVICES renumbers them."""
    cuda()
    fresh = open_fresh()
    import pynvml

    pynvml.nvmlInit()
    found = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(fresh["index"]))
    found = found if isinstance(found, str) else found.decode()
    require(found == f"GPU-{uuid()}" == f"GPU-{fresh['uuid']}", found, f"GPU-{uuid()}")
    return int(fresh["index"])


def probe_base_of_a_run() -> int:
    """The row of a run has a memory base."""
    cuda()
    from hwbench import tables

    bases = tables.read_run(RESULTS / RUN_ID).measurements.memory_base_bytes
    require(bool(len(bases)) and not bases.isna().any(), "null", "a number")
    return int(bases.iloc[0])


def probe_gpu_shared_notes() -> int:
    """No foreign process was on the GPU while a run measured, nor was the run's own parent."""
    cuda()
    from hwbench import tables

    measurements = tables.read_run(RESULTS / RUN_ID).measurements
    notes = [note for row in measurements.notes for note in json.loads(row)]
    notes = [note for note in notes if note.startswith("gpu_shared")]
    require(bool(len(measurements)), "no row", "a run")
    require(not notes, "; ".join(notes), "no note gpu_shared")
    return len(notes)


def probe_energy_residual_ratio() -> float:
    """The energy counter agrees with the integral of power within the stated uncertainty: the
    median |residual| / uncertainty of all windows of 5 s and more measured so far."""
    cuda()
    from hwbench import tables

    ratios: list[float] = []
    for folder in sorted(path.parent for path in RESULTS.glob("*/readings")):
        readings = tables.read_run(folder).readings
        is_residual = (readings.quantity == "energy_residual") & (readings.span == "")
        found = readings[is_residual & (readings.window_s >= 5)]
        ratios += list((found.value.abs() / found.uncertainty).dropna())
    require(bool(ratios), "none", "a window in which the driver shows both energy and power")
    print(f"energy_windows: {len(ratios)}")
    print(f"energy_windows_within: {sum(ratio <= 1 for ratio in ratios)}", flush=True)
    require(median(ratios) <= 1, round(median(ratios), 3), "at most 1")
    return round(float(median(ratios)), 3)


def probe_lstm_fp32_error() -> float:
    """cuDNN's LSTM in fp32 computes in fp32 and not in TF32, whose errors are about 1e-3."""
    import torch

    device = cuda()
    device.use_precision("fp32")  # as a worker does
    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(256, 512).double(), torch.randn(64, 16, 256, dtype=torch.float64)
    with torch.no_grad():
        exact = lstm(x)[0]
        found = lstm.float().to(device.torch)(x.float().to(device.torch))[0].double().cpu()
    error: float = ((found - exact).norm() / exact.norm()).item()
    require(error < 1e-5, error, "below 1e-5")
    return error


def probe_timer_bytes_a_step() -> float:
    """2·10⁵ steps make a process larger only by their stamps: events are reused."""
    import psutil

    from hwbench.recording.harness import run_phase

    device, process = cuda(), psutil.Process()
    first, last = 50_000, 200_000
    sizes = dict[int, int]()

    class Sampling:
        def is_finished(self, steps: int, elapsed_s: float, ended: object) -> bool:
            if steps in (first, last):
                sizes[steps] = process.memory_info().rss
            return steps >= last

        def is_satisfied(self, step_s: object, elapsed_s: float) -> bool:
            return True

    run_phase(lambda mark: mark("all"), device, Sampling(), 0, is_warmup=False)
    growth: float = (sizes[last] - sizes[first]) / (last - first)
    require(growth < 200, round(growth, 1), "below 200 bytes a step")
    return round(growth, 1)


def probe_host_wait_share() -> float:
    """The share of processor time of the host during a second of queued work: it sleeps while it
    waits."""
    import torch

    from hwbench.recording.harness import run_phase
    from hwbench.recording.stopping import FixedWindow

    device = cuda()
    a = torch.randn(LONG_SIDE, LONG_SIDE, device=device.torch)
    a @ a
    device.synchronize()
    wall, busy = time.perf_counter(), time.process_time()
    run_phase(lambda mark: a @ a, device, FixedWindow(1.0, 3.0, 1), 0, is_warmup=False)
    share = (time.process_time() - busy) / (time.perf_counter() - wall)
    require(share < 0.3, round(share, 3), "below 0.3")
    return round(share, 3)


KERNELS = {
    "flash": ("flash",),
    "cudnn": ("cudnn", "sdpa_sm", "nvjet_sdpa"),
    "efficient": ("fmha", "mem_eff", "cutlass_f"),
}
"""By backend parts of the names of its kernels."""


def probe_attention() -> str:
    """The attention backend that hwbench reports is the one whose kernels run."""
    from types import SimpleNamespace

    import torch

    from hwbench.discovery import find

    device = cuda()
    params = {"size": "124m", "batch": 4, "seq": 1024, "layers": 2, "dtype": "bf16"}
    params |= {"attention": None, "compile": False}
    built = find("gpt/forward", ()).build(SimpleNamespace(**params), device)
    built.step(lambda name: None)
    activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        built.step(lambda name: None)
        device.synchronize()
    events = [one for one in profiler.key_averages() if one.self_device_time_total > 0]
    names = sorted({event.key.lower() for event in events})
    printed = [name[:60] for name in names if "elementwise" not in name]
    print(f"attention kernels: {', '.join(printed)}")
    text = " ".join(names)
    ran = [name for name, parts in KERNELS.items() if any(part in text for part in parts)]
    reported = built.declared.choices.get("attention", "unknown")
    kernels = " and ".join(ran) or "plain products"
    agrees = reported in (ran or ["math", "eager"])
    require(agrees, f"reports {reported}, ran {kernels}", "the same")
    return str(reported)
