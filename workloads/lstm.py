"""A recurrent language model at work: its tokens come one after another, where a GPT's come all at once."""

from typing import Any

import torch

from hwbench.devices import Device
from hwbench.records import Declared, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.models.lstm import LSTM, SIZES
from workloads.models.memory import lstm_forward_bytes, lstm_training, require
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS, train_state_bytes
from workloads.tensors import TORCH_DTYPES, random_tokens, torch_dtype
from workloads.training import OPTIMIZER, TRAIN_DTYPE, training_step

SIZE = axis("gpt3-simplified", choices=tuple(SIZES))
BATCH = axis(4, largest=True)
SEQ = axis(512)


@workload("lstm/train", size=SIZE, batch=BATCH, seq=SEQ, optimizer=OPTIMIZER, dtype=TRAIN_DTYPE)
def lstm_train(p: Any, device: Device) -> Built:
    """One training step of an LSTM language model on random tokens: forward, backward, optimizer."""
    config = SIZES[p.size]
    memory_bytes = lstm_training(config, p.batch, p.seq, p.dtype, p.optimizer).require(device)
    device.require(p.dtype, train_state_bytes(config.parameters, p.optimizer))
    model = LSTM(config, device.torch)
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    method = OPTIMIZERS[p.optimizer]
    work = Work(
        tokens=method.samples(p.batch) * p.seq,
        flops=config.train_flops(method.samples(p.batch), p.seq),
        bytes=config.train_bytes(method.batch_size(p.batch), p.seq, p.optimizer),
    )
    step = training_step(p, device, model.loss, model.parameters(), data)
    return Built(step, work, declared=Declared(memory_bytes=memory_bytes))


@workload("lstm/forward", size=SIZE, batch=BATCH, seq=SEQ, dtype=axis("bf16", choices=tuple(TORCH_DTYPES)))
def lstm_forward(p: Any, device: Device) -> Built:
    """One forward pass of an LSTM language model over random tokens, logits at every position."""
    config, dtype = SIZES[p.size], torch_dtype(p.dtype)
    memory_bytes = require(device, lstm_forward_bytes(config, p.batch, p.seq, p.dtype))
    device.require(p.dtype, config.parameters * dtype.itemsize)
    model = LSTM(config, device.torch, dtype)
    tokens = random_tokens(config.vocab, (p.batch, p.seq), device)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        model(tokens)
        mark("forward")

    work = Work(
        tokens=p.batch * p.seq,
        flops=config.forward_flops(p.batch, p.seq),
        bytes=config.forward_bytes(p.batch, p.seq, p.dtype),
    )
    return Built(step, work, declared=Declared(memory_bytes=memory_bytes))
