"""Tests that need a GPU, skipped without one; `make gpu-check` runs them, with pytest or without.

GPU_CHECK_DEVICE names another accelerator than `cuda`; GPU_CHECK_DRY=1 chooses sizes for a
stand-in. Tests that compile come last, since they take longest.
"""

import os
import unittest

from hwbench import devices
from hwbench.devices.timers import EventTimer
from hwbench.recording.harness import measure
from hwbench.recording.stopping import FixedWindow
from hwbench.records import Unsupported

DEVICE = os.environ.get("GPU_CHECK_DEVICE") or "cuda"
IS_DRY = os.environ.get("GPU_CHECK_DRY", "") not in ("", "0")

SIDE, LARGE_SIDE = (256, 512) if IS_DRY else (4096, 16384)
"""Sides of square matrices whose product takes about a millisecond, and tens of them."""

REAL_MODEL, DRY_MODEL = ("124m", 4, 512), ("nano", 2, 64)
MODEL = dict(zip(("size", "batch", "seq"), DRY_MODEL if IS_DRY else REAL_MODEL, strict=True))
TRAINED_IN = "fp32" if IS_DRY else "bf16"


def open_device():
    return devices.open_device(devices.resolve(DEVICE))


def test_event_clock_agrees_with_host():
    device = open_device()
    assert device.notes == []
    assert isinstance(device.timer(), EventTimer)


def test_steps_fill_the_window():
    """Device timestamps and the host's window agree over half a second of products."""
    import torch

    device = open_device()
    a = torch.randn(SIDE, SIDE, device=device.torch)
    window, _ = measure(lambda mark: a @ a, device, FixedWindow(0.2, 5, 2), FixedWindow(0.5, 5, 10))
    assert abs(sum(window.timed_s) / window.window_s - 1) < 0.02
    assert 0.5 <= window.window_s < 0.7


def test_host_far_ahead_is_held_back():
    """Steps of tens of milliseconds, submitted in microseconds: the window still ends near its
    time."""
    import torch

    device = open_device()
    a = torch.randn(LARGE_SIDE, LARGE_SIDE, device=device.torch)
    window, _ = measure(lambda mark: a @ a, device, FixedWindow(0, 5, 2), FixedWindow(1.0, 3.0, 1))
    assert window.window_s < 2.0


def test_spans_sum_to_the_step():
    import torch

    device = open_device()
    a = torch.randn(SIDE, SIDE, device=device.torch)

    def step(mark):
        a @ a
        mark("one")
        a @ a
        mark("two")

    window, _ = measure(step, device, FixedWindow(0.1, 5, 2), FixedWindow(0.2, 5, 10))
    assert abs(sum(window.spans.span_s) / sum(window.samples.step_s) - 1) < 0.02


def test_out_of_memory_is_recognised():
    import torch

    device = open_device()
    is_recognised = None
    try:
        torch.empty(1 << 45, device=device.torch)
    except Exception as error:  # noqa: BLE001 - the kind of exception is what is tested
        is_recognised = device.is_out_of_memory(error)
    assert is_recognised, "128 TiB were allocated, or the failure was not recognised"


def test_memory_peak_counts_allocations():
    import torch

    device = open_device()
    device.reset_memory_peak()
    before = device.memory_peak_bytes()
    torch.empty(1 << 28, dtype=torch.uint8, device=device.torch)
    assert device.memory_peak_bytes() >= before + (1 << 28)


def test_device_is_described():
    device = open_device()
    facts = device.describe()
    assert device.kind not in ("cuda", "xpu") or facts["memory_bytes"] > 1 << 30
    assert facts["event_clock"]


def test_fp8_layer_differs_only_by_rounding():
    import torch

    from workloads.fp8 import use_fp8_linears

    device = open_device()
    layer = torch.nn.Linear(256, 128, device=device.torch)
    x = torch.randn(64, 256, device=device.torch, requires_grad=True)
    given = torch.randn(64, 128, device=device.torch)

    def output_and_gradients():
        y = layer(x)
        return y.detach(), *torch.autograd.grad(y, (x, layer.weight), given.to(y.dtype))

    wide = output_and_gradients()
    try:
        use_fp8_linears(layer, device)
    except Unsupported as answer:
        raise unittest.SkipTest(str(answer)) from answer
    for found, expected in zip(output_and_gradients(), wide, strict=True):
        assert 0.005 < (found - expected).norm() / expected.norm() < 0.1


def test_profile_accounts_for_the_device():
    """Every kernel belongs to an operator, and busy and idle times sum to the step."""
    from types import SimpleNamespace

    from hwbench import profiling
    from hwbench.discovery import find

    device = open_device()
    params = {**MODEL, "layers": 2, "optimizer": "adamw", "dtype": TRAINED_IN}
    params |= dict.fromkeys(("accumulate", "loss_chunks", "attention"))
    params |= {"checkpoint": False, "compile": False}
    built = find("gpt/train", ()).build(SimpleNamespace(**params), device)
    window, _ = measure(built.step, device, FixedWindow(0.2, 5, 3), FixedWindow(0.5, 5, 5))
    profile = profiling.profile(built, device, window)
    ops = profile.ops
    seconds = {"operator": 0.0, "kernel": 0.0, "span": 0.0}
    for level, row_s in zip(ops.level, ops.seconds, strict=True):
        seconds[level] += row_s
    operators_s, kernels_s = seconds["operator"], seconds["kernel"]
    if device.kind not in ("cuda", "xpu") and profile.invalid == profiling.NO_KERNELS:
        raise unittest.SkipTest(profile.invalid)
    assert profile.invalid == ""
    assert abs(kernels_s / operators_s - 1) < 1e-6
    assert 0 < profile.device_busy_s <= operators_s * (1 + 1e-6)
    idle_s = sum(profile.gaps.gap_s) / profile.steps
    assert profile.device_busy_s + idle_s <= profile.profiled_step_s * 1.01
    assert profile.launch_s > 0
    assert any(s > 0 for s in profile.modules.backward_s)


def test_gradients_accumulate_under_cuda_graphs():
    """Three updates of four parts each give the same weights as whole batches."""
    from types import SimpleNamespace

    import torch

    from hwbench.accounts.mlp import SIZES
    from workloads.models.mlp import MLP
    from workloads.tensors import compile_function
    from workloads.training import training_step

    device, weights = open_device(), {}
    if not device.cuda_graphs:
        raise unittest.SkipTest(f"{device.name} has no CUDA graphs")
    for mode, accumulate in ((False, None), ("reduce-overhead", 4)):
        torch.manual_seed(0)
        model = MLP(SIZES["nano"], device.torch)
        # all parts have the same data
        data = [torch.randn(8, 64, device=device.torch).repeat(4, 1) for _ in range(2)]
        p = SimpleNamespace(optimizer="sgd-minibatch", batch=8, dtype="fp32")
        p.accumulate, p.compile = accumulate, mode
        loss = compile_function(model.loss, device, mode)
        step = training_step(p, device, loss, model.parameters(), data, 0.1)
        for _ in range(3):
            step(lambda mark: None)
        flat = [parameter.detach().flatten() for parameter in model.parameters()]
        weights[mode] = torch.cat(flat)
    torch.testing.assert_close(weights["reduce-overhead"], weights[False], rtol=1e-3, atol=1e-5)
