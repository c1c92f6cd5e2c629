"""The built-in workloads and suites, as the rest of hwbench sees them: built, stepped, counted, refused."""

import math
import tomllib
from pathlib import Path

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF

import workloads
from hwbench.devices import open_device
from hwbench.devices._torch import require_memory
from hwbench.devices.footprint import require_predicted
from hwbench.records import Policy, Unsupported, UserError
from hwbench.workload import discover, params_of
from workloads.models.gpt import GPT
from workloads.models.lstm import LSTM
from workloads.models.lstm import SIZES as LSTM_SIZES
from workloads.models.mlp import MLP
from workloads.models.mlp import SIZES as MLP_SIZES
from workloads.models.sizes import SIZES
from workloads.optimizers import OPTIMIZERS

WORKLOADS = discover()
SUITES = sorted((Path(workloads.__file__).parent / "suites").glob("*.toml"))
SMALL = {
    "gemm": {"m": 8, "n": 16, "k": 32},
    "copy": {"mb": 1},
    "gpt/train": {"size": "nano", "batch": 2, "seq": 16},
    "gpt/prefill": {"size": "nano", "batch": 2, "prompt": 16},
    "gpt/decode": {"size": "nano", "batch": 2, "prompt": 8, "new": 4},
    "lstm/train": {"size": "nano", "batch": 2, "seq": 16},
    "lstm/forward": {"size": "nano", "batch": 2, "seq": 16},
    "mlp/train": {"size": "nano", "batch": 2},
    "mlp/forward": {"size": "nano", "batch": 2},
}
TRAINING = ["forward", "backward", "optimizer"]
MARKS = {
    "gemm": ["gemm"],
    "copy": ["copy"],
    "gpt/train": TRAINING,
    "gpt/prefill": ["prefill"],
    "gpt/decode": ["decode"] * 4,
    "lstm/train": TRAINING,
    "lstm/forward": ["forward"],
    "mlp/train": TRAINING,
    "mlp/forward": ["forward"],
}

pytestmark = pytest.mark.usefixtures("one_thread")


def build(name, dtype="fp32", device=None, **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    return WORKLOADS[name].build(params_of(axes | SMALL[name] | given, dtype), device or open_device("cpu"))


def stepped(built):
    """What a step returns, and the marks it drops."""
    marks = []
    result = built.step(marks.append)
    return result, marks


class SmallDevice:
    """A CPU of one megabyte, on which any tensor that is made is a mistake."""

    torch = torch.device("cpu")

    def require(self, dtype, state_bytes=0):
        require_memory(state_bytes, 10**6, "this one")

    def footprint_bytes(self, tensor_bytes, kept=None, gradients=None):
        return tensor_bytes

    def require_memory(self, predicted_bytes):
        require_predicted(predicted_bytes, 10**6, "this one")


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
def test_every_workload_builds_steps_and_marks_its_spans(name, dtype):
    built = build(name, dtype)
    assert not built.compiled
    for _ in range(2):
        assert stepped(built)[1] == MARKS[name]


def test_no_workload_is_left_out_here():
    built_in = {name for name, workload in WORKLOADS.items() if workload.origin.startswith("workloads.")}
    assert built_in == set(SMALL) == set(MARKS)


# Work


def test_gemm_counts_two_flops_a_product_and_each_matrix_once():
    work = build("gemm", "bf16").work
    assert (work.tokens, work.flops, work.bytes) == (None, 2 * 8 * 16 * 32, 2 * (8 * 32 + 32 * 16 + 8 * 16))


@pytest.mark.parametrize(("op", "arrays"), [("copy", 2), ("triad", 3)])
def test_copy_counts_as_stream_does(op, arrays):
    work = build("copy", op=op).work
    assert (work.tokens, work.flops, work.bytes) == (None, None, arrays * 10**6)
    assert stepped(build("copy", op=op))[1] == [op]


@pytest.mark.parametrize(
    ("optimizer", "sequences"), [("adamw", 2), ("adam", 2), ("sgd", 1), ("sgd-minibatch", 2), ("gd", 8)]
)
def test_train_counts_what_a_step_of_its_optimizer_learns_from(optimizer, sequences):
    c, work = SIZES["nano"], build("gpt/train", optimizer=optimizer).work
    assert (work.tokens, work.flops) == (sequences * 16, c.train_flops(sequences, 16))
    assert work.bytes == c.train_bytes(16, optimizer)
    assert work.flops_full_attention == c.train_flops(sequences, 16, full_attention=True)
    c, work = LSTM_SIZES["nano"], build("lstm/train", optimizer=optimizer).work
    assert (work.tokens, work.flops) == (sequences * 16, c.train_flops(sequences, 16))
    assert work.bytes == c.train_bytes(1 if optimizer == "sgd" else 2, 16, optimizer)
    c, work = MLP_SIZES["nano"], build("mlp/train", optimizer=optimizer).work
    assert (work.tokens, work.flops, work.bytes) == (None, c.train_flops(sequences), c.train_bytes(optimizer))


def test_forward_counts_its_batch():
    c, work = LSTM_SIZES["nano"], build("lstm/forward", "bf16").work
    assert (work.tokens, work.flops, work.bytes) == (32, c.forward_flops(2, 16), c.forward_bytes(2, 16, "bf16"))
    c, work = MLP_SIZES["nano"], build("mlp/forward", "bf16").work
    assert (work.tokens, work.flops, work.bytes) == (None, c.forward_flops(2), c.forward_bytes("bf16"))


def test_prefill_counts_its_prompt():
    c, work = SIZES["nano"], build("gpt/prefill", "bf16").work
    assert (work.tokens, work.flops, work.bytes) == (32, c.prefill_flops(2, 16), c.prefill_bytes(2, 16, "bf16"))
    assert work.flops_full_attention == c.prefill_flops(2, 16, full_attention=True)


def test_decode_counts_its_new_tokens_each_at_its_own_position():
    c, work = SIZES["nano"], build("gpt/decode", "bf16").work
    assert work.tokens == 8
    assert work.flops == sum(c.decode_flops(2, position) for position in (8, 9, 10, 11))
    assert work.bytes == sum(c.decode_bytes(2, position, "bf16") for position in (8, 9, 10, 11))


# What a step does


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("name", "loss"), [("gpt/train", math.log(1024)), ("lstm/train", math.log(1000)), ("mlp/train", 1)]
)
def test_a_training_step_returns_the_loss_of_a_guess_at_first(name, loss, optimizer):
    first = stepped(build(name, optimizer=optimizer))[0]
    assert first.item() == pytest.approx(loss, abs=0.3)
    assert not first.requires_grad


def test_gradient_descent_marks_each_batch_of_its_data_set():
    assert stepped(build("lstm/train", optimizer="gd"))[1] == ["forward", "backward"] * 4 + ["optimizer"]


@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compiler")
def test_compiled_training_computes_the_same_loss_and_compiles_once():
    expected = stepped(build("gpt/train", compile=False, layers=1))[0].item()
    torch.manual_seed(0)
    built = build("gpt/train", compile=True, layers=1)
    assert built.compiled
    torch._dynamo.reset()  # what other tests compiled of the same code would count as compiling again
    with torch._dynamo.config.patch(error_on_recompile=True):
        loss, marks = stepped(built)
        for _ in range(7):
            stepped(built)  # on other batches of the data set
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert marks == MARKS["gpt/train"]


@TORCH_WARNS_OF_ITSELF
@pytest.mark.parametrize("name", ["gpt/prefill", "gpt/decode"])
@pytest.mark.usefixtures("compiler")
def test_compiled_inference_runs(name):
    built = build(name, "bf16", compile=True, layers=1)
    assert built.compiled
    assert stepped(built)[1] == MARKS[name]


# Refusals


@pytest.mark.parametrize(
    ("name", "given"), [("gpt/train", {"seq": 257}), ("gpt/prefill", {"prompt": 257}), ("gpt/decode", {"prompt": 254})]
)
def test_a_sequence_beyond_the_positions_is_unsupported(name, given):
    with pytest.raises(Unsupported, match=r"gpt nano has 256 positions, a sequence of 25\d asked for"):
        build(name, **given)


@pytest.mark.parametrize("name", ["gpt/train", "gpt/prefill", "gpt/decode"])
def test_more_layers_than_there_are_is_unsupported(name):
    with pytest.raises(Unsupported, match="gpt nano has 2 layers, 3 asked for"):
        build(name, layers=3)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("gpt/train", {"size": "175b"}),
        ("gpt/prefill", {"size": "175b"}),
        ("gpt/decode", {"size": "175b"}),
        ("lstm/train", {"size": "gpt3-simplified"}),
        ("lstm/forward", {"size": "gpt3-simplified"}),
        ("mlp/train", {"size": "default"}),
        ("mlp/train", {"batch": 1 << 20}),  # the data set is what does not fit
        ("mlp/forward", {"size": "default"}),
        ("gpt/decode", {"size": "nano", "prompt": 128, "batch": 1 << 20}),  # the cache is what does not fit
        ("gemm", {"m": 4096, "n": 4096, "k": 4096}),
        ("copy", {"mb": 256}),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_allocated(name, given, monkeypatch):
    for maker in ("randn", "empty", "randint"):
        monkeypatch.setattr(torch, maker, lambda *args, **kwargs: pytest.fail("allocated"))
    monkeypatch.setattr(GPT, "build", lambda *args: pytest.fail("built"))
    for model in (LSTM, MLP):
        monkeypatch.setattr(model, "__init__", lambda *args: pytest.fail("built"))
    with pytest.raises(Unsupported, match=r"needs (at least|about) \d+\.\d GiB.*, this one has 0\.0 GiB"):
        build(name, device=SmallDevice(), **given)


def test_a_format_that_is_not_stored_is_unsupported():
    with pytest.raises(Unsupported, match="this workload has no fp8; use one of fp32, bf16, fp16"):
        build("gemm", "fp8")


def test_compile_without_a_compiler_is_unsupported_and_says_the_cure(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unsupported, match="there is no no-such-compiler here; install one, name it in CXX"):
        build("gpt/train", compile=True)


def test_a_wrong_size_is_refused_with_the_near_ones():
    with pytest.raises(UserError, match="124m"):
        WORKLOADS["gpt/train"].axes["size"].parse("size", "125m")


# Suites


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_suite_names_what_there_is(path):
    suite = tomllib.loads(path.read_text())
    assert set(suite) == {"description", "policy", "cases"}
    assert Policy(**suite["policy"]).processes >= 3
    for case in suite["cases"]:
        axes = WORKLOADS[case.pop("workload")].axes
        for name, values in case.items():
            for value in values if isinstance(values, list) else [values]:
                assert axes[name].parse(name, str(value)) == value


def test_the_suites_that_ship():
    assert [path.stem for path in SUITES] == ["quick", "standard", "train"]
