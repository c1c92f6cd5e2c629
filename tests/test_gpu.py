"""What only a GPU can show. Skipped where there is none; `make gpu-check` runs these, with pytest
or without.

GPU_CHECK_DEVICE names another accelerator than `cuda`; GPU_CHECK_DRY=1 takes sizes for one that is
a stand-in. What compiles stands last, since it takes longest.
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

MODEL = (
    {"size": "nano", "batch": 2, "seq": 64} if IS_DRY else {"size": "124m", "batch": 4, "seq": 512}
)
TRAINED_IN = "fp32" if IS_DRY else "bf16"


def opened():
    return devices.open_device(devices.resolve(DEVICE))


def test_the_event_clock_agrees_with_the_hosts():
    device = opened()
    assert device.notes == []
    assert isinstance(device.timer(), EventTimer)


def test_steps_fill_the_window():
    """Device timestamps and the host's window tell the same story over half a second of
    products."""
    import torch

    device = opened()
    a = torch.randn(SIDE, SIDE, device=device.torch)
    window, _ = measure(lambda mark: a @ a, device, FixedWindow(0.2, 5, 2), FixedWindow(0.5, 5, 10))
    timed = [
        s for s, warm in zip(window.samples.step_s, window.samples.warmup, strict=True) if not warm
    ]
    assert abs(sum(timed) / window.window_s - 1) < 0.02
    assert 0.5 <= window.window_s < 0.7


def test_a_host_that_is_far_ahead_is_held_back():
    """Steps of tens of milliseconds, submitted in microseconds: the window still ends near its
    time."""
    import torch

    device = opened()
    a = torch.randn(LARGE_SIDE, LARGE_SIDE, device=device.torch)
    window, _ = measure(lambda mark: a @ a, device, FixedWindow(0, 5, 2), FixedWindow(1.0, 3.0, 1))
    assert window.window_s < 2.0


def test_spans_add_up_to_the_step():
    import torch

    device = opened()
    a = torch.randn(SIDE, SIDE, device=device.torch)

    def step(mark):
        a @ a
        mark("one")
        a @ a
        mark("two")

    window, _ = measure(step, device, FixedWindow(0.1, 5, 2), FixedWindow(0.2, 5, 10))
    assert abs(sum(window.spans.span_s) / sum(window.samples.step_s) - 1) < 0.02


def test_out_of_memory_is_known_for_what_it_is():
    import torch

    device = opened()
    known = None
    try:
        torch.empty(1 << 45, device=device.torch)
    except Exception as error:  # noqa: BLE001 - which exception it is, is what is tested
        known = device.is_out_of_memory(error)
    assert known, "128 TiB were allocated, or their failure was not taken for want of memory"


def test_memory_peak_counts_what_was_allocated():
    import torch

    device = opened()
    device.reset_memory_peak()
    before = device.memory_peak_bytes()
    torch.empty(1 << 28, dtype=torch.uint8, device=device.torch)
    assert device.memory_peak_bytes() >= before + (1 << 28)


def test_the_device_says_what_it_is():
    device = opened()
    found = device.describe()
    assert device.kind not in ("cuda", "xpu") or found["memory_bytes"] > 1 << 30
    assert found["event_clock"]


def test_an_fp8_layer_computes_what_a_wide_one_does_but_for_its_rounding():
    import torch

    from workloads.fp8 import use_fp8_linears

    device = opened()
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


def test_a_profile_accounts_for_the_device():
    """Every kernel belongs to an operator, and what it is busy and idle for make the step."""
    from types import SimpleNamespace

    from hwbench import profiling
    from hwbench.discovery import find

    device = opened()
    p = {**MODEL, "layers": 2, "optimizer": "adamw", "dtype": TRAINED_IN}
    p |= {
        "accumulate": None,
        "checkpoint": False,
        "loss_chunks": None,
        "attention": None,
        "compile": False,
    }
    built = find("gpt/train", ()).build(SimpleNamespace(**p), device)
    window, _ = measure(built.step, device, FixedWindow(0.2, 5, 3), FixedWindow(0.5, 5, 5))
    profile = profiling.profile(built, device, window)
    ops = profile.ops
    launched = sum(
        s for s, level in zip(ops.seconds, ops.level, strict=True) if level == "operator"
    )
    kernels = sum(s for s, level in zip(ops.seconds, ops.level, strict=True) if level == "kernel")
    if device.kind not in ("cuda", "xpu") and profile.invalid == profiling.NO_KERNELS:
        raise unittest.SkipTest(profile.invalid)
    assert profile.invalid == ""
    assert abs(kernels / launched - 1) < 1e-6
    assert 0 < profile.device_busy_s <= launched * (1 + 1e-6)
    assert (
        profile.device_busy_s + sum(profile.gaps.gap_s) / profile.steps
        <= profile.profiled_step_s * 1.01
    )
    assert profile.launch_s > 0
    assert any(s > 0 for s in profile.modules.backward_s)


def test_gradients_add_up_under_cuda_graphs():
    """Weights after three updates of four parts each are those of whole batches."""
    from types import SimpleNamespace

    import torch

    from workloads.models.mlp import MLP, SIZES
    from workloads.tensors import compiled
    from workloads.training import training_step

    device, weights = opened(), {}
    if not device.cuda_graphs:
        raise unittest.SkipTest(f"{device.name} has no CUDA graphs")
    for mode, accumulate in ((False, None), ("reduce-overhead", 4)):
        torch.manual_seed(0)
        model = MLP(SIZES["nano"], device.torch)
        # all batches are the same one
        data = [torch.randn(8, 64, device=device.torch).repeat(4, 1) for _ in range(2)]
        p = SimpleNamespace(
            optimizer="sgd-minibatch", batch=8, accumulate=accumulate, compile=mode, dtype="fp32"
        )
        step = training_step(
            p, device, compiled(model.loss, device, mode), model.parameters(), data, 0.1
        )
        for _ in range(3):
            step(lambda mark: None)
        weights[mode] = torch.cat(
            [parameter.detach().flatten() for parameter in model.parameters()]
        )
    torch.testing.assert_close(weights["reduce-overhead"], weights[False], rtol=1e-3, atol=1e-5)
