"""A recurrent language model at work: its tokens come one after another, where a GPT's come all at once."""

from typing import Any

import torch

from hwbench.devices import Device
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.fitting import batch_of_parts
from workloads.models.lstm import LSTM, SIZES
from workloads.models.memory import lstm_forward_bytes, lstm_training, require
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS, train_state_bytes
from workloads.tensors import TORCH_DTYPES, random_tokens, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, TRAIN_DTYPE, training_spans, training_step

SIZE = axis("gpt3-simplified", choices=tuple(SIZES))
BATCH = axis(4, largest=True)
SEQ = axis(512)


@workload(
    "lstm/train",
    fit=batch_of_parts,
    size=SIZE,
    batch=BATCH,
    seq=SEQ,
    optimizer=OPTIMIZER,
    accumulate=ACCUMULATE,
    dtype=TRAIN_DTYPE,
)
def lstm_train(p: Any, device: Device) -> Built:
    """One training step of an LSTM language model on random tokens: forward, backward, optimizer.

    Not to be compiled: torch.compile runs `nn.LSTM` as it is (torch._dynamo.config.allow_rnn is off).
    """
    if p.dtype == "fp8":
        raise Unsupported("torch has no LSTM in fp8; use bf16")
    config, method = SIZES[p.size], OPTIMIZERS[p.optimizer]
    memory_bytes = lstm_training(config, p.batch, p.seq, p.dtype, p.optimizer, p.accumulate).require(device)
    device.require(p.dtype, train_state_bytes(config.parameters, p.optimizer))
    model = LSTM(config, device.torch)
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    step = training_step(p, device, model.loss, model.parameters(), data)
    samples, passes = method.samples(p.batch), method.passes(p.accumulate)
    micro_batch = method.micro_batch(p.batch, p.accumulate)
    work = Work(
        tokens=samples * p.seq,
        flops=config.train_flops(samples, p.seq),
        bytes=config.train_bytes(micro_batch, p.seq, p.optimizer, p.accumulate),
    )
    forward = Work(
        tokens=samples * p.seq,
        flops=config.forward_flops(samples, p.seq),
        bytes=passes * config.forward_bytes(micro_batch, p.seq, "fp32"),
    )
    spans = training_spans(work, forward, config.parameters, p.optimizer)
    return Built(step, work, declared=Declared(spans, memory_bytes=memory_bytes), model=model)


@workload("lstm/forward", size=SIZE, batch=BATCH, seq=SEQ, dtype=axis("auto", choices=tuple(TORCH_DTYPES)))
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
    return Built(step, work, declared=Declared({"forward": work}, memory_bytes=memory_bytes), model=model)
