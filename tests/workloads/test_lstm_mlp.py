"""The recurrent and the feed-forward network: what they compute, and what workloads declare."""

import copy

import pytest
import torch
from conftest import TORCH_WARNS_OF_ITSELF

from hwbench.accounts import updates
from hwbench.accounts.lstm import SIZES as LSTM_SIZES
from hwbench.accounts.lstm import LSTMConfig
from hwbench.accounts.mlp import SIZES as MLP_SIZES
from hwbench.accounts.mlp import MLPConfig
from hwbench.devices import open_device
from hwbench.discovery import discover
from hwbench.records import Unsupported, Work
from hwbench.workload import params_of
from workloads.models.lstm import LSTM
from workloads.models.mlp import MLP

CPU = torch.device("cpu")
WORKLOADS = discover()
TINY = LSTMConfig("tiny", layers=3, hidden=24, embedding=16, vocab=100)
FLAT = MLPConfig("flat", depth=3, width=16)
BATCH, SEQ = 2, 5

pytestmark = pytest.mark.usefixtures("one_thread")


def tokens(batch: int = BATCH, seq: int = SEQ) -> torch.Tensor:
    return torch.randint(TINY.vocab, (batch, seq))


# What they compute


def test_later_token_changes_no_earlier_lstm_logits():
    model, ids = LSTM(TINY, CPU), tokens(seq=12)
    changed = ids.clone()
    changed[:, 7] = (changed[:, 7] + 1) % TINY.vocab
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
    assert (before[:, 7:] != after[:, 7:]).any(dim=-1).all()


def test_gradients_in_fp32_agree_with_float64():
    ids = tokens()
    single = LSTM(TINY, CPU)
    double = copy.deepcopy(single).double()
    single.loss(ids, ids).backward()
    # loss() computes in fp32 from the logits on; here everything is float64
    torch.nn.functional.cross_entropy(double(ids).flatten(0, 1), ids.flatten()).backward()
    for (name, a), b in zip(single.named_parameters(), double.parameters(), strict=True):
        assert (a.grad.double() - b.grad).norm() / b.grad.norm() < 1e-5, name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_can_be_stored_in_half_the_bytes(dtype):
    models = (LSTM(TINY, CPU, dtype), MLP(FLAT, CPU, dtype))
    assert {parameter.dtype for model in models for parameter in model.parameters()} == {dtype}


# The workloads


def build(name, dtype="fp32", **given):
    axes = {key: axis.defaults[0] for key, axis in WORKLOADS[name].axes.items() if key != "dtype"}
    p = params_of({**axes, "size": "nano", **given}, dtype)
    return WORKLOADS[name].build(p, open_device("cpu"))


@pytest.mark.parametrize("accumulate", [None, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "gd"])
def test_lstm_spans_sum_to_the_step(optimizer, accumulate):
    c, passes = LSTM_SIZES["nano"], (4 if optimizer == "gd" else 1) * (accumulate or 1)
    sequences = 16 if optimizer == "gd" else 4
    built = build("lstm/train", batch=4, seq=8, optimizer=optimizer, accumulate=accumulate)
    work, spans = built.work, built.declared.spans
    each = 4 // (accumulate or 1)
    assert spans["forward"] == Work(
        tokens=8 * sequences,
        flops=c.forward_flops(sequences, 8),
        bytes=passes * c.forward_bytes(each, 8, "fp32"),
    )
    assert spans["backward"].tokens == 8 * sequences
    assert spans["backward"].flops == 2 * c.forward_flops(sequences, 8)
    read = passes * (c.parameters - c.vocab * c.embedding)
    assert spans["backward"].bytes == 4 * (read + (2 * passes - 1) * c.parameters)
    assert spans["optimizer"] == Work(
        flops=updates.update_flops(c.parameters, optimizer),
        bytes=updates.update_bytes(c.parameters, optimizer),
    )
    assert work.bytes == sum(span.bytes for span in spans.values())
    assert work.flops == spans["forward"].flops + spans["backward"].flops


@pytest.mark.parametrize("accumulate", [None, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "gd"])
def test_mlp_spans_sum_to_the_step(optimizer, accumulate):
    c, passes = MLP_SIZES["nano"], (4 if optimizer == "gd" else 1) * (accumulate or 1)
    samples = 16 if optimizer == "gd" else 4
    built = build("mlp/train", batch=4, optimizer=optimizer, accumulate=accumulate)
    work, spans = built.work, built.declared.spans
    assert spans["forward"] == Work(
        flops=c.forward_flops(samples), bytes=passes * c.forward_bytes("fp32")
    )
    # all but the gradient of the input
    assert spans["backward"].flops == 2 * samples * (2 * 3 - 1) * 64**2
    beyond_first = c.parameters - 64**2 - 64
    assert spans["backward"].bytes == 4 * (passes * beyond_first + (2 * passes - 1) * c.parameters)
    assert work.bytes == sum(span.bytes for span in spans.values())
    assert work.flops == spans["forward"].flops + spans["backward"].flops


@pytest.mark.parametrize("name", ["lstm/train", "mlp/train"])
def test_accumulation_runs_one_pass_per_part(name):
    marks, seq = [], {"seq": 8} if name == "lstm/train" else {}
    build(name, batch=4, accumulate=2, **seq).step(marks.append)
    assert marks == ["forward", "backward"] * 2 + ["optimizer"]


@pytest.mark.machine
@TORCH_WARNS_OF_ITSELF
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("mode", [True, "max-autotune"])
def test_compiled_mlp_computes_the_same_loss(mode):
    """With Inductor's own code, which other fast tests leave out; once in each mode of a CPU."""
    expected = build("mlp/train", batch=4).step(lambda mark: None).item()
    torch.manual_seed(0)
    built = build("mlp/train", batch=4, compile=mode)
    assert built.compiled
    assert built.step(lambda mark: None).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["lstm/train", "mlp/train"])
def test_fp8_on_a_cpu_is_unsupported(name):
    with pytest.raises(
        Unsupported, match=r"no LSTM in fp8; use bf16|no fp8 arithmetic for this kind of device"
    ):
        build(name, "fp8", batch=16)


def test_fp8_mlp_uses_fp8_layers(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "workloads.mlp.use_fp8_linears", lambda model, device: seen.append(type(model))
    )
    device = open_device("cpu")
    monkeypatch.setattr(type(device), "require", lambda *_: None)
    for dtype in ("bf16", "fp8"):
        build("mlp/train", dtype, batch=16).step(lambda mark: None)
    assert seen == [MLP]
