"""Which kernel computes attention: what is told is what runs, compiled or not, and what cannot run is refused."""

from types import SimpleNamespace

import pytest
import torch
from conftest import PROFILER_WARNS_OF_CYCLES, TORCH_WARNS_OF_ITSELF
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends
from torch.profiler import ProfilerActivity, profile

from hwbench.devices import open_device
from hwbench.devices.accelerator import prefers_cudnn_attention
from hwbench.records import Unsupported
from hwbench.workload import discover, params_of
from workloads import backends
from workloads.models.sizes import gpt_config

WORKLOADS = discover()
SMALL = {
    "gpt/train": {"batch": 2, "seq": 16},
    "gpt/forward": {"batch": 2, "seq": 16},
    "gpt/prefill": {"batch": 2, "prompt": 16},
    "gpt/decode": {"batch": 2, "prompt": 8, "new": 2},
}

pytestmark = [pytest.mark.usefixtures("one_thread"), PROFILER_WARNS_OF_CYCLES]


def build(name, dtype="fp32", size="nano", **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    p = params_of(axes | SMALL[name] | {"size": size, "layers": 1} | given, dtype)
    return WORKLOADS[name].build(p, open_device("cpu"))


def ignore(_mark):
    """The steps here are not timed."""


def ran(step) -> str:
    """The backend that a profile of `step` shows: of the fused ones their own operator, of math its matmuls."""
    step(ignore)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step(ignore)
    names = {event.key for event in seen.key_averages()}
    if "aten::_scaled_dot_product_flash_attention_for_cpu" in names:
        return "flash"
    return "math" if "aten::_scaled_dot_product_attention_math" in names else "eager"


@pytest.mark.parametrize("asked", [None, "flash", "math", "eager"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("size", ["nano", "llama-nano"])
@pytest.mark.parametrize("name", SMALL)
def test_what_is_told_is_what_runs(name, size, dtype, asked):
    if name == "gpt/decode" and asked == "eager":
        with pytest.raises(Unsupported, match="attention=eager is for whole sequences; one token at a time takes"):
            build(name, dtype, size, attention=asked)
        return
    built = build(name, dtype, size, attention=asked)
    best = "eager" if dtype == "bf16" and name != "gpt/decode" else "flash"  # 16 tokens of 16 bits
    assert built.declared.choices["attention"] == ran(built.step) == (asked or best)


def test_a_sequence_too_long_for_products_in_a_cache_takes_the_fused_kernel():
    device, config = open_device("cpu"), gpt_config("nano")
    for seq, best in ((device.eager_attention_up_to, "eager"), (device.eager_attention_up_to + 1, "flash")):
        call = backends.call_over_sequence(config, 1, seq, torch.bfloat16, device)
        assert backends.attention_backends(None, call, device).runs == best


@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compiler")
def test_what_is_told_is_what_runs_compiled_whatever_torch_has_cached():
    """The same graph but for the backend, in one cache: with the setting around it, it would be handed out for both."""
    for asked in ("math", "flash"):
        torch._dynamo.reset()
        built = build("gpt/forward", attention=asked, compile=True)
        assert built.declared.choices["attention"] == asked
        assert (ran(built.step) == "flash") == (asked == "flash")  # compiled, math is products like any others


@pytest.mark.parametrize("asked", ["cudnn", "efficient"])
@pytest.mark.parametrize("name", SMALL)
def test_what_cannot_run_here_is_refused_with_what_can(name, asked):
    told = f"attention={asked} cannot run this in bfloat16 here; use flash or math"
    with pytest.raises(Unsupported, match=told):
        build(name, "bf16", attention=asked)


def test_where_cudnn_is_preferred_flash_comes_next_and_nothing_that_works_is_forbidden():
    order = backends.preferred(SimpleNamespace(prefers_cudnn_attention=True))
    assert order[:2] == (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION)
    assert set(order) == set(backends.BACKENDS.values())
    assert backends.preferred(open_device("cpu")) is None


@pytest.mark.parametrize(
    ("capability", "hip", "expected"),
    [((8, 0), None, False), ((8, 9), None, False), ((9, 0), None, True), ((10, 0), None, True), ((9, 4), "7.0", False)],
)
def test_hopper_and_newer_prefer_cudnn(monkeypatch, capability, hip, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert prefers_cudnn_attention(torch.device("cuda", 0)) is expected


def test_a_preference_reaches_the_step():
    """On a CPU the order changes nothing: flash is the first of it that can."""
    device = open_device("cpu")
    device.prefers_cudnn_attention = True
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS["gpt/forward"].axes.items() if key != "dtype"}
    seen = []
    p = params_of(axes | SMALL["gpt/forward"] | {"size": "nano"}, "fp32")
    built = WORKLOADS["gpt/forward"].build(p, device)
    built.step(lambda mark: seen.append(_cur_sdpa_kernel_backends(with_priority=True)))
    assert built.declared.choices["attention"] == "flash"
    assert seen == [[backends.BACKENDS[name] for name in ("cudnn", "flash", "efficient", "math")]]


def test_the_setting_ends_with_the_step():
    before = torch.backends.cuda.flash_sdp_enabled()
    inside = []
    build_step = backends.Backends((SDPBackend.MATH,), "math").within
    build_step(lambda mark: inside.append(torch.backends.cuda.flash_sdp_enabled()))(ignore)
    assert (before, inside, torch.backends.cuda.flash_sdp_enabled()) == (True, [False], True)


def test_of_a_kernel_without_a_name_nothing_is_told(monkeypatch):
    monkeypatch.setattr(torch, "_fused_sdp_choice", lambda **call: SDPBackend.OVERRIDEABLE.value)
    assert build("gpt/forward").declared.choices == {}
