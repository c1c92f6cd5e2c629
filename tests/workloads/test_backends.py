"""Which kernel computes attention: the recorded one runs, and one that cannot run is refused."""

import pytest
import torch
from conftest import PROFILER_WARNS_OF_CYCLES, TORCH_WARNS_OF_ITSELF
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends
from torch.profiler import ProfilerActivity, profile

from hwbench.accounts.sizes import gpt_config
from hwbench.devices import open_device
from hwbench.devices.findings import Choice, Findings
from hwbench.discovery import discover
from hwbench.records import Unsupported
from hwbench.workload import params_of
from workloads import backends

WORKLOADS = discover()
SMALL = {
    "gpt/train": {"batch": 2, "seq": 16},
    "gpt/forward": {"batch": 2, "seq": 16},
    "gpt/prefill": {"batch": 2, "prompt": 16},
    "gpt/decode": {"batch": 2, "prompt": 8, "new": 2},
}

pytestmark = [pytest.mark.usefixtures("one_thread"), PROFILER_WARNS_OF_CYCLES]


def build(name, dtype="fp32", size="nano", device=None, **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    p = params_of(axes | SMALL[name] | {"size": size, "layers": 1} | given, dtype)
    return WORKLOADS[name].build(p, device or open_device("cpu"))


def ignore(_mark):
    """The steps here are not timed."""


def backend_that_ran(step) -> str:
    """Read from a profile of `step` which backend ran."""
    step(ignore)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step(ignore)
    names = {event.key for event in seen.key_averages()}
    if "aten::_scaled_dot_product_flash_attention_for_cpu" in names:
        return "flash"
    return "math" if "aten::_scaled_dot_product_attention_math" in names else "eager"


@pytest.mark.machine
@pytest.mark.parametrize("requested", [None, "flash", "math", "eager"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("size", ["nano", "llama-nano"])
@pytest.mark.parametrize("name", SMALL)
def test_recorded_backend_is_the_one_that_runs(name, size, dtype, requested):
    if name == "gpt/decode" and requested == "eager":
        with pytest.raises(
            Unsupported, match="attention=eager computes whole sequences, not one token at a time"
        ):
            build(name, dtype, size, attention=requested)
        return
    built = build(name, dtype, size, attention=requested)
    chosen = built.declared.choices["attention"]
    assert chosen == backend_that_ran(built.step)
    # whichever is faster on this machine
    assert chosen == requested if requested else chosen in ("flash", "eager")


class TrialEndedAs(Findings):
    """Findings whose trials end as given: the way `winner` wins if it is tried, else the first."""

    def __init__(self, winner, **failed):
        self.winner, self.failed, self.tried = winner, failed, []

    def choose(self, question, ways):
        for way in ways.values():
            way()
        self.tried.append((question, list(ways)))
        return Choice(self.winner if self.winner in ways else next(iter(ways)), self.failed)


def backends_by(findings, seq=16, dtype=torch.bfloat16, trained=False, batch=1):
    device = open_device("cpu")
    device.findings = findings
    call = backends.call_over_sequence(gpt_config("nano"), batch, seq, dtype, device, trained)
    return backends.attention_backends(None, call, device)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fastest_way_of_a_trial_is_used(dtype, trained):
    assert backends_by(TrialEndedAs("eager"), dtype=dtype, trained=trained).runs == "eager"
    assert backends_by(TrialEndedAs("torch"), dtype=dtype, trained=trained).runs == "flash"


def test_trial_is_remembered_by_shape_format_and_gradients():
    findings = TrialEndedAs("torch")
    for seq, trained in ((16, False), (32, False), (16, True)):
        backends_by(findings, seq=seq, trained=trained)
    questions = [question for question, _ in findings.tried]
    assert questions[0] == "attention over a sequence: q (1, 4, 16, 32), k (1, 4, 16, 32), bfloat16"
    assert len(set(questions)) == 3


def test_plain_products_with_large_scores_are_not_tried(monkeypatch):
    monkeypatch.setattr(backends, "MOST_SCORES_BYTES", 4 * 16 * 16 * 2)
    findings = TrialEndedAs("eager")
    assert backends_by(findings, seq=17).runs == "flash"
    assert findings.tried == []  # one way needs no trial


def test_trial_takes_as_many_sequences_as_fit(monkeypatch):
    monkeypatch.setattr(backends, "MOST_SCORES_BYTES", 3 * 4 * 16 * 16 * 2)
    findings = TrialEndedAs("eager")
    backends_by(findings, batch=8)
    assert findings.tried[0][0].startswith("attention over a sequence: q (3, 4, 16, 32)")


def test_failed_way_is_recorded_in_the_choices():
    chosen = backends_by(TrialEndedAs("torch", eager="no such instruction"))
    assert chosen.choices == {
        "attention": "flash",
        "attention_failed": "eager: no such instruction",
    }


def test_each_supported_backend_is_tried_with_the_rest_behind_it(monkeypatch):
    can = {(backend,): name for name, backend in backends.BACKENDS.items()}
    monkeypatch.setattr(
        backends, "ask_torch", lambda order, call: "flash" if order is None else can.get(order)
    )
    call = {"query": torch.empty(1, 4, 16, 32), "key": torch.empty(1, 4, 16, 32), "is_causal": True}
    ways = backends.orders_of(call)
    assert list(ways) == ["torch", "cudnn", "efficient", "eager"]
    assert ways["cudnn"][0] == SDPBackend.CUDNN_ATTENTION
    assert set(ways["cudnn"]) == set(backends.BACKENDS.values())


def test_decoding_has_one_way_on_a_cpu():
    device = open_device("cpu")
    call = backends.call_on_cache(gpt_config("nano"), 1, 16, torch.float32, device)
    assert list(backends.orders_of(call)) == ["torch"]


@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compile_backend")
def test_recorded_backend_runs_compiled_despite_torchs_cache():
    """Both backends compile the same graph, in one cache. With the setting around the compiled
    function, the cache would return one graph for both."""
    for requested in ("math", "flash"):
        torch._dynamo.reset()
        built = build("gpt/forward", attention=requested, compile=True)
        assert built.declared.choices["attention"] == requested
        # compiled, math is products like any others
        assert (backend_that_ran(built.step) == "flash") == (requested == "flash")


@pytest.mark.parametrize("requested", ["cudnn", "efficient"])
@pytest.mark.parametrize("name", SMALL)
def test_unsupported_backend_is_refused_with_those_that_run(name, requested):
    reason = f"attention={requested} cannot run this in bfloat16 here; use flash or math"
    with pytest.raises(Unsupported, match=reason):
        build(name, "bf16", attention=requested)


def test_preferred_order_reaches_the_step(monkeypatch):
    """On a CPU the order changes nothing: flash is the first of it that can run."""
    orders = {"torch": None, "cudnn": tuple(backends.BACKENDS.values())}
    monkeypatch.setattr(backends, "orders_of", lambda call: orders)
    device = open_device("cpu")
    device.findings = TrialEndedAs("cudnn")
    seen = []
    built = build("gpt/forward", device=device)
    built.step(lambda mark: seen.append(_cur_sdpa_kernel_backends(with_priority=True)))
    assert built.declared.choices["attention"] == "flash"
    assert seen == [[backends.BACKENDS[name] for name in ("flash", "cudnn", "efficient", "math")]]


def test_setting_ends_with_the_step():
    before = torch.backends.cuda.flash_sdp_enabled()
    inside = []
    build_step = backends.Backends((SDPBackend.MATH,), "math").within
    build_step(lambda mark: inside.append(torch.backends.cuda.flash_sdp_enabled()))(ignore)
    assert (before, inside, torch.backends.cuda.flash_sdp_enabled()) == (True, [False], True)


def test_unknown_kernel_is_not_recorded(monkeypatch):
    monkeypatch.setattr(torch, "_fused_sdp_choice", lambda **call: SDPBackend.OVERRIDEABLE.value)
    assert build("gpt/forward").declared.choices == {}
