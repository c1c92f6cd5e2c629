"""Closed forms of the recurrent and the feed-forward network, against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwbench.accounts.lstm import SIZES as LSTM_SIZES
from hwbench.accounts.lstm import LSTMConfig
from hwbench.accounts.mlp import SIZES as MLP_SIZES
from hwbench.accounts.mlp import MLPConfig
from workloads.models.lstm import LSTM
from workloads.models.mlp import MLP

CPU, META = torch.device("cpu"), torch.device("meta")
TINY = LSTMConfig("tiny", layers=3, hidden=24, embedding=16, vocab=100)
FLAT = MLPConfig("flat", depth=3, width=16)
BATCH, SEQ = 2, 5

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch, about the switch in count_flops()
    pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN"),
]


def count_flops(run) -> int:
    """Count the FLOPs of `run()` by torch's counter, which sees the matmuls of an LSTM without
    oneDNN."""
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def tokens(batch: int = BATCH, seq: int = SEQ) -> torch.Tensor:
    return torch.randint(TINY.vocab, (batch, seq))


def parameters_of(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# Parameters


@pytest.mark.parametrize("config", [TINY, LSTM_SIZES["nano"]], ids=lambda config: config.size)
def test_built_lstm_has_the_counted_parameters(config):
    assert parameters_of(LSTM(config, CPU)) == config.parameters


@pytest.mark.parametrize("config", [FLAT, MLP_SIZES["nano"]], ids=lambda config: config.size)
def test_built_mlp_has_the_counted_parameters(config):
    assert parameters_of(MLP(config, CPU)) == config.parameters


def test_shipped_sizes():
    default = LSTM_SIZES["gpt3-simplified"]
    expected = LSTMConfig("gpt3-simplified", layers=12, hidden=1024, embedding=512, vocab=10_000)
    assert default == expected
    assert LSTM(default, META).layers.num_layers == 12
    assert parameters_of(LSTM(default, META)) == default.parameters
    assert parameters_of(MLP(MLP_SIZES["default"], META)) == 4 * (4096**2 + 4096)


# FLOPs


def test_lstm_flops_per_layer_and_token():
    """Layers by hand: 2·4h(i + h) with i of 16, 24 and 24, and the head's 2hV."""
    a_token = 2 * 4 * 24 * (16 + 24) + 2 * (2 * 4 * 24 * (24 + 24)) + 2 * 24 * 100
    assert TINY.forward_flops(BATCH, SEQ) == BATCH * SEQ * a_token


def test_lstm_forward_agrees_with_torch():
    model, ids = LSTM(TINY, CPU), tokens()
    assert count_flops(lambda: model(ids)) == TINY.forward_flops(BATCH, SEQ)


def test_lstm_training_agrees_with_torch_but_for_the_first_past():
    model, ids = LSTM(TINY, CPU), tokens()
    before_the_first = BATCH * TINY.layers * 2 * 4 * TINY.hidden**2
    expected = TINY.train_flops(BATCH, SEQ) - before_the_first
    assert count_flops(lambda: model.loss(ids, ids).backward()) == expected


def test_mlp_work_agrees_with_torch():
    model, x = MLP(FLAT, CPU), torch.randn(BATCH, FLAT.width)
    assert count_flops(lambda: model(x)) == FLAT.forward_flops(BATCH)
    assert count_flops(lambda: model.loss(x, x).backward()) == FLAT.train_flops(BATCH)


# Bytes


def test_lstm_reads_weights_once_and_the_embedding_by_rows():
    read = TINY.parameters - (100 - 10) * 16
    assert TINY.forward_bytes(BATCH, SEQ, "bf16") == 2 * read
    # there are no more rows than the vocabulary
    assert TINY.forward_bytes(BATCH, 1000, "fp32") == 4 * TINY.parameters
    backward = TINY.parameters - 100 * 16
    assert TINY.train_bytes(BATCH, SEQ, "sgd") == 4 * (read + backward + 4 * TINY.parameters)


def test_mlp_backward_does_not_read_the_first_layer():
    assert FLAT.forward_bytes("fp16") == 2 * 3 * (16 * 16 + 16)
    assert FLAT.train_bytes("adamw") == 4 * (3 + 2 + 8 * 3) * (16 * 16 + 16)
