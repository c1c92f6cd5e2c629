"""The whole pass on small real workloads: sums that hold on any machine under any load."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from torch._C._autograd import _KinetoEvent

from hwbench import devices, profiling
from hwbench.accounts.sizes import gpt_config
from hwbench.discovery import find
from hwbench.profiling.recording import is_composite, steps_for
from hwbench.profiling.traces import PID
from hwbench.recording.harness import measure
from hwbench.recording.measure_case import CaseRequest, measure_case
from hwbench.recording.stopping import FixedWindow
from hwbench.records import Case, Policy, Samples, Spans, Window
from hwbench.records.from_json import from_json
from hwbench.records.profile import Profile
from hwbench.workload import Built, params_of

NANO = {
    "size": "nano", "batch": 2, "seq": 32, "layers": None, "optimizer": "adamw", "accumulate": None,
    "checkpoint": False, "loss_chunks": None, "attention": None, "compile": False,
}  # fmt: skip
LISTS_ARE_SEEN = hasattr(_KinetoEvent, "structured_input_shapes")  # not in torch 2.11
BLOCKS = ("attention.qkv", "attention.out", "up", "down")


def rows(table):
    columns = vars(table)
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def profile_of(workload, params, dtype, trace=None):
    device = devices.open_device("cpu")
    built = find(workload, ()).build(params_of(params, dtype), device)
    window, _ = measure(built.step, device, FixedWindow(0.0, 0.0, 3), FixedWindow(0.0, 0.0, 3))
    return built, profiling.profile(built, device, window, trace)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trace = tmp_path_factory.mktemp("trace") / "trace.json.gz"
    built, profile = profile_of("gpt/train", NANO, "fp32", trace)
    return built, profile, trace


def test_profile_is_valid_and_states_cost_of_profiler(trained):
    profile = trained[1]
    assert (profile.invalid, profile.unknown) == ("", {})
    assert 2 <= profile.steps <= 10
    assert profile.profiled_step_s > 0
    assert profile.threads >= 1
    assert 0 < profile.busy_share <= 1


def test_spans_sum_to_the_step(trained):
    spans = {row["name"]: row["seconds"] for row in rows(trained[1].ops) if row["level"] == "span"}
    assert list(spans) == ["forward", "backward", "optimizer", ""]
    assert sum(spans.values()) <= trained[1].profiled_step_s * (1 + 1e-9)


def test_operators_of_a_span_fit_into_it(trained):
    found = rows(trained[1].ops)
    for span in ("forward", "backward", "optimizer"):
        whole = next(row for row in found if row["level"] == "span" and row["name"] == span)
        own = [row for row in found if row["level"] == "operator" and row["span"] == span]
        assert 0 < sum(row["seconds"] for row in own) <= whole["seconds"]
        assert sum(row["events"] for row in own) <= whole["events"]


def test_matrix_products_are_those_that_model_declares(trained):
    """Except for attention, which backward computes again (7 products where the model declares 6),
    and the padding rows of the vocabulary, which the model does not declare."""
    built, profile, _ = trained
    config = gpt_config("nano")
    padding = 6 * NANO["batch"] * NANO["seq"] * config.width * (config.padded_vocab - config.vocab)
    products = [row for row in rows(profile.ops) if row["name"] in ("aten::mm", "aten::addmm")]
    attention = [row for row in rows(profile.ops) if "scaled_dot_product" in row["name"]]
    product_flops = sum(row["flops"] for row in products)
    attention_flops = sum(row["flops"] for row in attention) * 6 / 7
    assert product_flops + attention_flops - padding == built.work.flops


def test_every_operator_has_flops_and_bytes(trained):
    operators = [row for row in rows(trained[1].ops) if row["level"] == "operator"]
    unknown = {row["name"] for row in operators if row["bytes"] is None}
    assert unknown == (set() if LISTS_ARE_SEEN else {"aten::_fused_adamw_", "aten::cat"})


def test_each_block_has_time_forward_and_backward(trained):
    modules = {row["module"]: row for row in rows(trained[1].modules)}
    for name in [f"blocks.{number}.{part}" for number in range(2) for part in BLOCKS]:
        assert modules[name]["kind"] == "Linear"
        assert modules[name]["forward_s"] > 0
        assert modules[name]["backward_s"] > 0
        assert modules[name]["flops"] > 0
    block = modules["blocks.0"]
    inside = [row for name, row in modules.items() if f"{name}.".startswith("blocks.0.")]
    assert block["forward_s"] == pytest.approx(sum(row["self_forward_s"] for row in inside))


def test_optimizer_takes_twice_the_memory_of_weights(trained):
    built, profile, _ = trained
    weights = sum(weight.numel() * 4 for weight in built.model.parameters())
    memory = rows(profile.memory)
    assert {row["weights_bytes"] for row in memory} == {weights}
    assert memory[0]["optimizer_bytes"] == pytest.approx(2 * weights, rel=0.001)
    assert max(row["gradients_bytes"] for row in memory) == weights
    assert max(row["activations_bytes"] for row in memory) > 0


def test_trace_has_rows_of_spans_and_modules(trained):
    trace = json.loads(gzip.decompress(trained[2].read_bytes()))["traceEvents"]
    ours = [event for event in trace if event.get("pid") == PID]
    threads = [event for event in ours if event["name"] == "thread_name"]
    names = {event["tid"]: event["args"]["name"] for event in threads}
    found = {name: [] for name in names.values()}
    for event in ours:
        if event.get("ph") == "X":
            found[names[event["tid"]]].append(event)
    steps = trained[1].steps
    assert len(found["steps"]) == steps
    assert [event["name"] for event in found["spans"]][:3] == ["forward", "backward", "optimizer"]
    assert sum(event["name"] == "blocks.1.up" for event in found["modules, forward"]) == steps
    assert "blocks.0.down" in {event["name"] for event in found["modules, backward"]}
    real = [event for event in trace if event.get("name") == "hwbench step"]
    assert found["steps"][0]["ts"] == pytest.approx(real[0]["ts"])
    assert found["steps"][-1]["dur"] == pytest.approx(real[-1]["dur"], abs=1)


def test_decoding_is_profiled():
    params = {"size": "nano", "batch": 1, "prompt": 8, "new": 2}
    params |= {"layers": None, "attention": None, "compile": False}
    _, profile = profile_of("gpt/decode", params, "fp32")
    assert profile.invalid == ""
    assert {row["span"] for row in rows(profile.ops) if row["level"] == "operator"} == {"decode"}
    assert all(row["backward_s"] == 0 for row in rows(profile.modules))
    assert {row["gradients_bytes"] for row in rows(profile.memory)} == {0}


def window():
    return Window("host", Samples([0], [False], [0], [0.01], [""]), Spans(), 0.01, True)


def test_workload_without_model_has_no_modules_and_says_why():
    profile = profiling.profile(Built(lambda mark: mark("a")), devices.open_device("cpu"), window())
    assert profile.unknown == {"modules": "the workload has no model"}
    assert profile.modules.module == []


def test_compiled_step_has_no_modules_or_memory_and_says_why():
    profile = profiling.profile(
        Built(lambda mark: None, compiled=True), devices.open_device("cpu"), window()
    )
    assert set(profile.unknown) == {"modules", "memory", "bytes"}
    assert profile.memory.position == []


def test_steps_that_differ_make_trace_invalid():
    steps = iter(range(100))

    def step(mark):
        for _ in range(next(steps)):
            mark("again")

    profile = profiling.profile(Built(step), devices.open_device("cpu"), window())
    assert "events were lost" in profile.invalid
    assert profile.ops.name == []


def test_failing_pass_keeps_the_measurement(monkeypatch, tmp_path):
    def fails(*_, **__):
        raise RuntimeError("no room for this")

    monkeypatch.setattr(profiling, "record", fails)
    params = {"m": 64, "n": 64, "k": 64}
    policy = Policy(min_time_s=0.0, max_time_s=0.01, min_samples=2)
    asks = {"trace": str(tmp_path / "trace.json")}
    case = Case("gemm", params, "fp32")
    found = measure_case(CaseRequest(case, policy, "cpu", profiled=asks))
    assert found.outcome == "ok"
    assert found.window.timed_steps >= 2
    assert found.profile.invalid == "the pass failed: RuntimeError: no room for this"
    assert list(tmp_path.iterdir()) == []


def test_test_under_load_is_unsupported_and_not_run():
    file = str(Path(__file__).parent.with_name("fake_workloads.py"))
    case = Case("fake/served", {}, "fp32")
    found = measure_case(CaseRequest(case, Policy(), "fake", [file], profiled={"trace": None}))
    assert (found.outcome, found.window) == ("unsupported", None)
    assert "profile gpt/prefill and gpt/decode instead" in found.reason


def test_device_unknown_to_profiler_makes_profile_invalid():
    synced = Window("host", Samples([0], [False], [0], [0.01], ["synced"]), Spans(), 0.01, True)
    profile = profiling.profile(Built(lambda mark: None), devices.open_device("cpu"), synced)
    assert profile.invalid == "the profiler saw no kernel of this device, only the host"
    assert (profile.threads, profile.busy_share) == (None, None)


@pytest.mark.parametrize(("step_s", "steps"), [(0.001, 10), (0.3, 4), (20.0, 2)])
def test_about_one_second_is_recorded(step_s, steps):
    assert steps_for(step_s) == steps


def test_operator_without_kernels_is_composite():
    assert is_composite("aten::linear", "")
    assert is_composite("aten::to", "dtype")
    assert not is_composite("aten::mm", "")
    assert not is_composite("no::such", "operator")


def test_profile_survives_json(trained):
    profile = trained[1]
    assert from_json(Profile, json.loads(json.dumps(asdict(profile)))) == profile
