"""A recurrent language model at work: its tokens come one after another, where a GPT's come all at
once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, Step, axis, workload
from workloads.fitting import batch_of_parts
from workloads.models.lstm import LSTM, SIZES
from workloads.models.memory import lstm_forward_bytes, lstm_training, require
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS, train_state_bytes
from workloads.tensors import TORCH_DTYPES, random_tokens, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, TRAIN_DTYPE, training_spans, training_step

SIZE = axis("gpt3-simplified", choices=tuple(SIZES))
BATCH = axis(4, largest=True)
SEQ = axis(512)

Called = TypeVar("Called", bound=Callable[..., object])


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
def lstm_train(p: Any, device: TorchDevice) -> Built:
    """One training step of an LSTM language model on random tokens: forward, backward, optimizer.

    Not to be compiled: torch.compile runs `nn.LSTM` as it is (torch._dynamo.config.allow_rnn is
    off).
    """
    if p.dtype == "fp8":
        raise Unsupported("torch has no LSTM in fp8; use bf16")
    config, method = SIZES[p.size], OPTIMIZERS[p.optimizer]
    # of oneDNN it is known what its kernels keep, of cuDNN only that it is less
    memory_bytes = None
    if device.has_onednn:
        memory_bytes = lstm_training(
            config, p.batch, p.seq, p.dtype, p.optimizer, p.accumulate
        ).require(device)
    device.require(p.dtype, train_state_bytes(config.parameters, p.optimizer))
    model = LSTM(config, device.torch)
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    kernels = lstm_kernels(p, device, model, trained=True)
    step = kernels.within(training_step(p, device, model.loss, model.parameters(), data))
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
    declared = Declared(spans, kernels.choices, memory_bytes if kernels.are_default else None)
    return Built(step, work, declared=declared, model=model)


@workload(
    "lstm/forward", size=SIZE, batch=BATCH, seq=SEQ, dtype=axis("auto", choices=tuple(TORCH_DTYPES))
)
def lstm_forward(p: Any, device: TorchDevice) -> Built:
    """One forward pass of an LSTM language model over random tokens, logits at every position."""
    config, dtype = SIZES[p.size], torch_dtype(p.dtype)
    memory_bytes = require(device, lstm_forward_bytes(config, p.batch, p.seq, p.dtype))
    device.require(p.dtype, config.parameters * dtype.itemsize)
    model = LSTM(config, device.torch, dtype)
    tokens = random_tokens(config.vocab, (p.batch, p.seq), device)
    kernels = lstm_kernels(p, device, model, trained=False)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        model(tokens)
        mark("forward")

    work = Work(
        tokens=p.batch * p.seq,
        flops=config.forward_flops(p.batch, p.seq),
        bytes=config.forward_bytes(p.batch, p.seq, p.dtype),
    )
    declared = Declared(
        {"forward": work}, kernels.choices, memory_bytes if kernels.are_default else None
    )
    return Built(kernels.within(step), work, declared=declared, model=model)


@dataclass(frozen=True)
class Kernels:
    """Which kernels compute the layers: torch's default, or its own where oneDNN's fail or are
    slower."""

    choices: Mapping[str, str]
    are_default: bool

    def within(self, step: Step) -> Step:
        return step if self.are_default else without_onednn(step)


def lstm_kernels(p: Any, device: TorchDevice, model: LSTM, trained: bool) -> Kernels:
    """The kernels that suit the device, in a trial of a few tokens through the model, with
    gradients if `trained`.

    oneDNN has no LSTM for some processors in some formats, and says so only when it runs.
    """
    if not device.has_onednn:
        return Kernels({}, are_default=True)
    tokens = torch.zeros(min(p.batch, 2), min(p.seq, 8), dtype=torch.long, device=device.torch)

    def once() -> None:
        with torch.set_grad_enabled(trained), device.autocast(p.dtype if trained else "fp32"):
            loss = model.loss(tokens, tokens)
        if trained:
            torch.autograd.grad(loss, list(model.parameters()))

    words = (
        f"lstm {p.size}, {tuple(tokens.shape)} tokens, {p.dtype}{', trained' if trained else ''}"
    )
    choice = device.findings.choose(words, {"onednn": once, "torch": without_onednn(once)})
    return Kernels(choice.as_choices("lstm", choice.name), choice.name == "onednn")


def without_onednn(function: Called) -> Called:
    """`function` on torch's own kernels."""

    def inside(*args: object) -> object:
        # the public `mkldnn.flags` sets more than this, and warns
        before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(False)
        try:
            return function(*args)
        finally:
            torch._C._set_mkldnn_enabled(before)

    return cast(Called, inside)
