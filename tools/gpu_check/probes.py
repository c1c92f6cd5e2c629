"""What hwbench says of a CUDA device, held against the truth: functions that return a figure, or
fail with it.

`python tools/gpu_check/functions.py tools/gpu_check/probes.py probe_` runs them. Elsewhere than on
CUDA each says that it is skipped. Those that look at a run take RUN_ID, which the stage makes
before them.
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
"""What a fresh process says of the device that it opens."""


class Wrong(AssertionError):
    """The truth is not what hwbench says; `value` is the figure that shows it."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"{value}, expected {expected}")
        self.value = value


def require(holds: bool, value: object, expected: str) -> None:
    if not holds:
        raise Wrong(value, expected)


@cache
def cuda() -> Any:
    """The device, opened once. SkipTest where it is not CUDA."""
    if DEVICE.partition(":")[0] != "cuda":
        raise unittest.SkipTest(f"it is of CUDA; this is {DEVICE}")
    from hwbench import devices

    return devices.open_device(devices.resolve(DEVICE))


def opened() -> None:
    """Open the device before the first probe, so that none of them pays for it."""
    if DEVICE.partition(":")[0] == "cuda":
        cuda()


def uuid() -> str:
    """The device's, as torch has it."""
    import torch

    return str(torch.cuda.get_device_properties(cuda().torch).uuid)


@cache
def open_fresh() -> Any:
    """What a fresh process says of the device where CUDA_VISIBLE_DEVICES names it alone: base,
    index, uuid."""
    command = [sys.executable, "-c", OPEN, "cuda:0"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": f"GPU-{uuid()}"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def probe_memory_base_bytes() -> int:
    """What a fresh process holds is a number, 0 too, and not unknown."""
    cuda()
    base = open_fresh()["base"]
    require(base is not None, "null", "a number")
    return int(base)


def probe_driver_index() -> int:
    """torch and the driver mean the same GPU, also where CUDA_VISIBLE_DEVICES renumbers them."""
    cuda()
    said = open_fresh()
    import pynvml

    pynvml.nvmlInit()
    found = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(said["index"]))
    found = found if isinstance(found, str) else found.decode()
    require(found == f"GPU-{uuid()}" == f"GPU-{said['uuid']}", found, f"GPU-{uuid()}")
    return int(said["index"])


def probe_base_of_a_run() -> int:
    """The row of a run has its memory base too."""
    cuda()
    from hwbench import tables

    bases = tables.read_run(RESULTS / RUN_ID).measurements.memory_base_bytes
    require(bool(len(bases)) and not bases.isna().any(), "null", "a number")
    return int(bases.iloc[0])


def probe_gpu_shared_notes() -> int:
    """Nobody else was on the GPU while a run measured, the run's own parent least of all."""
    cuda()
    from hwbench import tables

    measurements = tables.read_run(RESULTS / RUN_ID).measurements
    notes = [
        note
        for row in measurements.notes
        for note in json.loads(row)
        if note.startswith("gpu_shared")
    ]
    require(bool(len(measurements)), "no row", "a run")
    require(not notes, "; ".join(notes), "no note gpu_shared")
    return len(notes)


def probe_energy_residual_ratio() -> float:
    """The energy counter is within its stated uncertainty of the integral of power: the median
    |residual| over it, of all windows of 5 s and more that the check has measured so far."""
    cuda()
    from hwbench import tables

    ratios: list[float] = []
    for folder in sorted(path.parent for path in RESULTS.glob("*/readings")):
        readings = tables.read_run(folder).readings
        found = readings[
            (readings.quantity == "energy_residual")
            & (readings.span == "")
            & (readings.window_s >= 5)
        ]
        ratios += list((found.value.abs() / found.uncertainty).dropna())
    require(bool(ratios), "none", "a window in which the driver shows both energy and power")
    print(f"energy_windows: {len(ratios)}")
    print(f"energy_windows_within: {sum(ratio <= 1 for ratio in ratios)}", flush=True)
    require(median(ratios) <= 1, round(median(ratios), 3), "at most 1")
    return round(float(median(ratios)), 3)


def probe_lstm_fp32_error() -> float:
    """cuDNN's LSTM in fp32 is fp32, not TF32, whose errors are about 1e-3."""
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
    """2·10⁵ steps leave a process as large as it was, but for the stamps themselves: events are
    used again."""
    import psutil

    from hwbench.recording.harness import run_phase

    device, process = cuda(), psutil.Process()
    looks, sizes = (50_000, 200_000), dict[int, int]()

    class Looking:
        def is_finished(self, steps: int, elapsed_s: float, ended: object) -> bool:
            if steps in looks:
                sizes[steps] = process.memory_info().rss
            return steps >= looks[1]

        def is_satisfied(self, step_s: object, elapsed_s: float) -> bool:
            return True

    run_phase(lambda mark: mark("all"), device, Looking(), 0, is_warmup=False)
    growth: float = (sizes[looks[1]] - sizes[looks[0]]) / (looks[1] - looks[0])
    require(growth < 200, round(growth, 1), "below 200 bytes a step")
    return round(growth, 1)


def probe_host_wait_share() -> float:
    """The host sleeps while it waits: its processor time over a second of queued work."""
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
"""By backend, what the names of its kernels hold."""


def probe_attention() -> str:
    """The backend of attention that hwbench names is the one whose kernels run."""
    from types import SimpleNamespace

    import torch

    from hwbench.discovery import find

    device = cuda()
    p = {
        "size": "124m",
        "batch": 4,
        "seq": 1024,
        "layers": 2,
        "attention": None,
        "compile": False,
        "dtype": "bf16",
    }
    built = find("gpt/forward", ()).build(SimpleNamespace(**p), device)
    built.step(lambda name: None)
    activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        built.step(lambda name: None)
        device.synchronize()
    names = {
        event.key.lower() for event in profiler.key_averages() if event.self_device_time_total > 0
    }
    said = built.declared.choices.get("attention", "unknown")
    seen = [
        backend
        for backend, words in KERNELS.items()
        if any(word in name for word in words for name in names)
    ]
    print(
        f"attention kernels: {', '.join(sorted(name[:60] for name in names if 'elementwise' not in name))}"
    )
    require(
        said in (seen or ["math", "eager"]),
        f"says {said}, ran {' and '.join(seen) or 'plain products'}",
        "one",
    )
    return str(said)
