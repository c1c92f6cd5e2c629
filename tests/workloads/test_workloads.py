"""The built-in workloads and suites: what they build, run, count and refuse."""

import math
import tomllib
from pathlib import Path

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF

import workloads
from hwbench.accounts.lstm import SIZES as LSTM_SIZES
from hwbench.accounts.mlp import SIZES as MLP_SIZES
from hwbench.accounts.sizes import SIZES
from hwbench.accounts.updates import OPTIMIZERS, update_bytes, update_flops
from hwbench.devices import open_device
from hwbench.devices._torch import require_memory
from hwbench.devices.footprint import require_predicted
from hwbench.discovery import discover
from hwbench.records import Policy, Unsupported, UserError, Work
from hwbench.workload import params_of
from workloads.models.gpt import GPT
from workloads.models.lstm import LSTM
from workloads.models.mlp import MLP

WORKLOADS = discover()
SUITES = sorted((Path(workloads.__file__).parent / "suites").glob("*.toml"))
SMALL = {
    "gemm": {"m": 8, "n": 16, "k": 32},
    "gemm/best": {},
    "copy": {"mb": 1},
    "transfer": {"mb": 1, "memory": "pageable"},
    "launch": {},
    "attention": {"batch": 1, "heads": 2, "seq": 8, "head_width": 4},
    "gpt/train": {"size": "nano", "batch": 2, "seq": 16},
    "gpt/forward": {"size": "nano", "batch": 2, "seq": 16},
    "gpt/prefill": {"size": "nano", "batch": 2, "prompt": 16},
    "gpt/decode": {"size": "nano", "batch": 2, "prompt": 8, "new": 4},
    "lstm/train": {"size": "nano", "batch": 2, "seq": 16},
    "lstm/forward": {"size": "nano", "batch": 2, "seq": 16},
    "mlp/train": {"size": "nano", "batch": 2},
    "mlp/forward": {"size": "nano", "batch": 2},
}
UNDER_LOAD = {"gpt/serve"}  # no step without the load generator: test_serve.py
TRAINING = ["forward", "backward", "optimizer"]
MARKS = {
    "gemm": ["gemm"],
    "gemm/best": ["gemm"],
    "copy": ["copy"],
    "transfer": ["to_device"],
    "launch": ["launch"],
    "attention": ["forward"],
    "gpt/train": TRAINING,
    "gpt/forward": ["forward"],
    "gpt/prefill": ["prefill"],
    "gpt/decode": ["decode"] * 4,
    "lstm/train": TRAINING,
    "lstm/forward": ["forward"],
    "mlp/train": TRAINING,
    "mlp/forward": ["forward"],
}

pytestmark = pytest.mark.usefixtures("one_thread", "quick_ceilings")


def build(name, dtype="fp32", device=None, **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    p = params_of(axes | SMALL[name] | given, dtype)
    return WORKLOADS[name].build(p, device or open_device("cpu"))


def run_step(built):
    """Run one step, and return its result and its marks."""
    marks = []
    result = built.step(marks.append)
    return result, marks


class SmallDevice:
    """A CPU with one megabyte of memory."""

    has_transfers = has_onednn = True
    torch = torch.device("cpu")

    def require(self, dtype, state_bytes=0):
        require_memory(state_bytes, 10**6, "this one")

    def footprint_bytes(self, tensor_bytes, kept=None, gradients=None):
        return tensor_bytes

    def require_memory(self, predicted_bytes):
        require_predicted(predicted_bytes, 10**6, "this one")


@pytest.mark.parametrize("name", [name for name in SMALL if name.startswith("gpt/")])
def test_every_gpt_workload_runs_a_llama(name):
    built = build(name, "bf16", size="llama-nano")
    assert run_step(built)[1] == MARKS[name]
    assert built.work.flops < build(name, "bf16").work.flops  # fewer keys, and a narrower MLP


@pytest.mark.machine
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
def test_every_workload_builds_steps_and_marks_its_spans(name, dtype):
    if dtype not in (WORKLOADS[name].axes["dtype"].choices or (dtype,)):
        pytest.skip(f"{name} is not measured in {dtype}")
    device = open_device("cpu")
    device.has_transfers = True
    built = build(name, dtype, device)
    assert not built.compiled
    for _ in range(2):
        assert run_step(built)[1] == MARKS[name]


def test_every_workload_has_a_small_case_here():
    """Except hf/*, which need an extra: test_hf.py."""
    built_in = {name for name, known in WORKLOADS.items() if known.origin.startswith("workloads.")}
    ours = {name for name in built_in - UNDER_LOAD if not name.startswith("hf/")}
    assert ours == set(SMALL) == set(MARKS)


# Work


def test_gemm_counts_2mnk_flops_and_each_matrix_once():
    work = build("gemm", "bf16").work
    assert work == Work(flops=2 * 8 * 16 * 32, bytes=2 * (8 * 32 + 32 * 16 + 8 * 16))


@pytest.mark.parametrize(("op", "arrays"), [("copy", 2), ("triad", 3)])
def test_copy_counts_as_stream_does(op, arrays):
    assert build("copy", op=op).work == Work(bytes=arrays * 10**6)
    assert run_step(build("copy", op=op))[1] == [op]


@pytest.mark.parametrize(
    ("optimizer", "sequences"),
    [("adamw", 2), ("adam", 2), ("sgd", 1), ("sgd-minibatch", 2), ("gd", 8)],
)
def test_training_counts_the_samples_of_its_optimizer(optimizer, sequences):
    c, work = SIZES["nano"], build("gpt/train", optimizer=optimizer).work
    assert (work.tokens, work.flops) == (sequences * 16, c.train_flops(sequences, 16))
    assert work.bytes == c.train_bytes(2, 16, optimizer)
    assert work.flops_full_attention == c.train_flops(sequences, 16, full_attention=True)
    c, work = LSTM_SIZES["nano"], build("lstm/train", optimizer=optimizer).work
    assert (work.tokens, work.flops) == (sequences * 16, c.train_flops(sequences, 16))
    assert work.bytes == c.train_bytes(1 if optimizer == "sgd" else 2, 16, optimizer)
    c, work = MLP_SIZES["nano"], build("mlp/train", optimizer=optimizer).work
    assert work == Work(flops=c.train_flops(sequences), bytes=c.train_bytes(optimizer))


@pytest.mark.parametrize(
    "given", [{}, {"accumulate": 2}, {"size": "llama-nano"}, {"optimizer": "gd"}], ids=str
)
def test_gpt_training_spans_sum_to_the_step(given):
    built = build("gpt/train", **given)
    work, spans = built.work, built.declared.spans
    c, optimizer = SIZES[given.get("size", "nano")], given.get("optimizer", "adamw")
    assert list(spans) == TRAINING
    assert spans["forward"].flops == work.flops // 3
    assert spans["backward"].flops == work.flops * 2 // 3
    assert spans["forward"].flops + spans["backward"].flops == work.flops
    assert spans["optimizer"].flops == update_flops(c.parameters, optimizer)
    assert spans["optimizer"].bytes == update_bytes(c.parameters, optimizer)
    assert sum(span.bytes for span in spans.values()) == work.bytes
    passes = {"accumulate": 2, "optimizer": 4}.get(next(iter(given), ""), 1)
    sequences = 1 if "accumulate" in given else 2
    assert spans["forward"].bytes == passes * c.forward_bytes(sequences, 16, "fp32")
    assert work.bytes == c.train_bytes(sequences, 16, optimizer, given.get("accumulate"))


def test_checkpointing_adds_hardware_flops_only():
    plain, again = build("gpt/train"), build("gpt/train", checkpoint=True)
    model_flops, recomputed = plain.work.flops, SIZES["nano"].recomputed_flops(2, 16)
    assert plain.work.hardware_flops == again.work.flops == model_flops
    assert again.work.hardware_flops == model_flops + recomputed
    spans = again.declared.spans
    assert spans["forward"].hardware_flops == model_flops // 3
    assert spans["backward"].hardware_flops == model_flops * 2 // 3 + recomputed


@pytest.mark.parametrize(
    "given", [{"checkpoint": True}, {"loss_chunks": 3}, {"accumulate": 2}], ids=str
)
def test_memory_settings_change_no_loss(given):
    torch.manual_seed(0)
    built = build("gpt/train", optimizer="gd")
    expected = [run_step(built)[0].item() for _ in range(3)]
    torch.manual_seed(0)
    built = build("gpt/train", optimizer="gd", **given)
    losses = [run_step(built)[0].item() for _ in range(3)]
    if "accumulate" not in given:  # there the last loss is of another part of the data
        assert losses == pytest.approx(expected, rel=1e-5)
    assert losses[2] < losses[0]


def test_fp8_changes_the_blocks_but_not_the_head(monkeypatch):
    changed = []
    monkeypatch.setattr(
        "workloads.gpt_train.use_fp8_linears", lambda model, device: changed.extend(model.modules())
    )
    device = open_device("cpu")
    monkeypatch.setattr(device, "require", lambda dtype, state_bytes=0: None)
    built = build("gpt/train", "fp8", device=device, size="llama-nano")
    linears = [layer for layer in changed if isinstance(layer, torch.nn.Linear)]
    assert len(linears) == 2 * 4
    assert all(layer.out_features != 1024 for layer in linears)
    assert run_step(built)[0].item() == pytest.approx(math.log(1024), abs=0.3)


def test_more_chunks_than_positions_are_unsupported():
    with pytest.raises(
        Unsupported, match="loss_chunks=33 is more than the 32 positions of a pass; lower it"
    ):
        build("gpt/train", loss_chunks=33)


def test_positions_that_fp8_cannot_multiply_are_unsupported_before_the_build(monkeypatch):
    device = open_device("cpu")
    monkeypatch.setattr(device, "require", lambda dtype, state_bytes=0: None)
    with pytest.raises(
        Unsupported, match="fp8 needs a multiple of 16 positions a pass, not 34; change seq"
    ):
        build("gpt/train", "fp8", device=device, seq=17)


@pytest.mark.parametrize(
    ("name", "span"), [(f"gpt/{span}", span) for span in ("forward", "prefill", "decode")]
)
def test_gpt_inference_has_one_span_equal_to_the_step(name, span):
    built = build(name, "bf16")
    assert built.declared.spans == {span: built.work}


def test_forward_counts_its_batch():
    c, work = SIZES["nano"], build("gpt/forward", "bf16").work
    assert (work.tokens, work.flops) == (32, c.forward_flops(2, 16))
    assert work.bytes == c.forward_bytes(2, 16, "bf16")
    assert work.flops_full_attention == c.forward_flops(2, 16, full_attention=True)
    c, work = LSTM_SIZES["nano"], build("lstm/forward", "bf16").work
    assert (work.tokens, work.flops) == (32, c.forward_flops(2, 16))
    assert work.bytes == c.forward_bytes(2, 16, "bf16")
    c, work = MLP_SIZES["nano"], build("mlp/forward", "bf16").work
    assert work == Work(flops=c.forward_flops(2), bytes=c.forward_bytes("bf16"))


def test_prefill_counts_its_prompt():
    c, work = SIZES["nano"], build("gpt/prefill", "bf16").work
    assert (work.tokens, work.flops) == (32, c.prefill_flops(2, 16))
    assert work.bytes == c.prefill_bytes(2, 16, "bf16")
    assert work.flops_full_attention == c.prefill_flops(2, 16, full_attention=True)


def test_decode_counts_each_new_token_at_its_position():
    c, work = SIZES["nano"], build("gpt/decode", "bf16").work
    assert work.tokens == 8
    assert work.flops == sum(c.decode_flops(2, position) for position in (8, 9, 10, 11))
    assert work.bytes == sum(c.decode_bytes(2, position, "bf16") for position in (8, 9, 10, 11))


# What a step does


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("name", "loss"),
    [("gpt/train", math.log(1024)), ("lstm/train", math.log(1000)), ("mlp/train", 1)],
)
def test_first_loss_is_that_of_a_guess(name, loss, optimizer):
    first = run_step(build(name, optimizer=optimizer))[0]
    assert first.item() == pytest.approx(loss, abs=0.3)
    assert not first.requires_grad


def test_gd_marks_each_batch_of_the_data_set():
    marks = run_step(build("lstm/train", optimizer="gd"))[1]
    assert marks == ["forward", "backward"] * 4 + ["optimizer"]


@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compile_backend")
def test_compiled_training_computes_the_same_loss_and_compiles_once():
    expected = run_step(build("gpt/train", compile=False, layers=1))[0].item()
    torch.manual_seed(0)
    built = build("gpt/train", compile=True, layers=1)
    assert built.compiled
    with torch._dynamo.config.patch(error_on_recompile=True):
        loss, marks = run_step(built)
        for _ in range(7):
            run_step(built)  # on other batches of the data set
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert marks == MARKS["gpt/train"]


@TORCH_WARNS_OF_ITSELF
@pytest.mark.parametrize("name", ["gpt/forward", "gpt/prefill", "gpt/decode"])
@pytest.mark.usefixtures("compile_backend")
def test_compiled_inference_runs(name):
    built = build(name, "bf16", compile=True, layers=1)
    assert built.compiled
    assert run_step(built)[1] == MARKS[name]


@pytest.mark.parametrize("name", ["gpt/prefill", "gpt/decode"])
def test_cuda_graphs_get_a_static_cache_and_copied_tokens(name, monkeypatch):
    returned, passed, static = [], [], []

    def compiled(function, device, mode):
        def call(token, *others):
            passed.append(token)
            returned.append(function(token, *others))
            return returned[-1]

        return call

    monkeypatch.setattr(torch._dynamo, "mark_static_address", static.append)
    monkeypatch.setattr("workloads.backends.compile_function", compiled)
    device = open_device("cpu")
    run_step(build(name, device=device, compile="max-autotune"))
    assert not static
    device.cuda_graphs = True
    returned.clear()
    passed.clear()
    run_step(build(name, device=device, compile="max-autotune"))
    assert len(static) == 2 * SIZES["nano"].layers
    assert {id(token) for token in returned}.isdisjoint(id(token) for token in passed)


# Refusals


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("gpt/train", {"seq": 257}),
        ("gpt/forward", {"seq": 257}),
        ("gpt/prefill", {"prompt": 257}),
        ("gpt/decode", {"prompt": 254}),
    ],
)
def test_sequence_beyond_the_positions_is_unsupported(name, given):
    with pytest.raises(
        Unsupported, match=r"gpt nano has 256 positions, but the sequence has 25\d tokens"
    ):
        build(name, **given)


@pytest.mark.parametrize("name", ["gpt/train", "gpt/forward", "gpt/prefill", "gpt/decode"])
def test_more_layers_than_the_model_has_is_unsupported(name):
    with pytest.raises(Unsupported, match="gpt nano has 2 layers, not 3"):
        build(name, layers=3)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("gpt/train", {"size": "175b"}),
        ("gpt/forward", {"size": "175b"}),
        ("gpt/prefill", {"size": "175b"}),
        ("gpt/decode", {"size": "175b"}),
        ("lstm/train", {"size": "gpt3-simplified"}),
        ("lstm/forward", {"size": "gpt3-simplified"}),
        ("mlp/train", {"size": "default"}),
        ("mlp/train", {"batch": 1 << 20}),  # the data set does not fit
        ("mlp/forward", {"size": "default"}),
        # the cache does not fit
        ("gpt/decode", {"size": "nano", "prompt": 128, "batch": 1 << 20}),
        ("gemm", {"m": 4096, "n": 4096, "k": 4096}),
        ("copy", {"mb": 256}),
        ("attention", {"seq": 1 << 20}),
        ("transfer", {"mb": 256}),
    ],
)
def test_case_that_cannot_fit_is_refused_before_allocation(name, given, monkeypatch):
    for maker in ("randn", "empty", "randint"):
        monkeypatch.setattr(torch, maker, lambda *args, **kwargs: pytest.fail("allocated"))
    monkeypatch.setattr(GPT, "build", lambda *args: pytest.fail("built"))
    for model in (LSTM, MLP):
        monkeypatch.setattr(model, "__init__", lambda *args: pytest.fail("built"))
    with pytest.raises(
        Unsupported, match=r"needs (at least|about) \d+\.\d GiB.*, this one has 0\.0 GiB"
    ):
        build(name, device=SmallDevice(), **given)


def test_format_that_is_not_stored_is_unsupported():
    with pytest.raises(Unsupported, match="this workload has no fp8; use one of fp32, bf16, fp16"):
        build("copy", "fp8")


def test_compile_without_a_compiler_is_unsupported_with_the_cure(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        Unsupported, match="there is no no-such-compiler here; install one, name it in CXX"
    ):
        build("gpt/train", compile=True)


def test_unknown_size_is_refused_with_near_ones():
    with pytest.raises(UserError, match="124m"):
        WORKLOADS["gpt/train"].axes["size"].parse("size", "125m")


# Suites


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_suites_name_existing_workloads_axes_and_values(path):
    suite = tomllib.loads(path.read_text())
    assert set(suite) == {"description", "policy", "cases"}
    assert Policy(**suite["policy"]).processes >= 3
    for case in suite["cases"]:
        axes = WORKLOADS[case.pop("workload")].axes
        for name, values in case.items():
            for value in values if isinstance(values, list) else [values]:
                assert axes[name].parse(name, str(value)) == value


def test_shipped_suites():
    assert [path.stem for path in SUITES] == ["ceilings", "quick", "serve", "standard", "train"]
