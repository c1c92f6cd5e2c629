"""Run a recurrent language model, whose tokens are computed one after another, not all at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch

from hwbench.accounts.lstm import SIZES, LSTMConfig
from hwbench.accounts.memory import lstm_forward_bytes, lstm_training
from hwbench.accounts.steps import training_spans
from hwbench.accounts.updates import DATASET_BATCHES, OPTIMIZERS, train_state_bytes
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, Step, axis, workload
from workloads.fitting import batch_of_parts
from workloads.memory import require_bytes, require_training
from workloads.models.lstm import LSTM
from workloads.tensors import TORCH_DTYPES, random_tokens, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, TRAIN_DTYPE, training_step

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

    It has no axis `compile`: torch.compile runs `nn.LSTM` as it is
    (torch._dynamo.config.allow_rnn is off).
    """
    if p.dtype == "fp8":
        raise Unsupported("torch has no LSTM in fp8; use bf16")
    config = SIZES[p.size]
    # known of oneDNN's kernels only; cuDNN's keep less
    memory_bytes = None
    if device.has_onednn:
        training = lstm_training(config, p.batch, p.seq, p.dtype, p.optimizer, p.accumulate)
        memory_bytes = require_training(device, training)
    device.require(p.dtype, train_state_bytes(config.parameters, p.optimizer))
    model = LSTM(config, device.torch)
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    kernels = choose_kernels(p, device, model, trained=True)
    step = kernels.within(training_step(p, device, model.loss, model.parameters(), data))
    work, spans = train_work(p, config)
    declared = Declared(spans, kernels.choices, memory_bytes if kernels.are_default else None)
    return Built(step, work, declared=declared, model=model)


def train_work(p: Any, config: LSTMConfig) -> tuple[Work, dict[str, Work]]:
    """Count a training step, and each of its spans."""
    method = OPTIMIZERS[p.optimizer]
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
    return work, training_spans(work, forward, config.parameters, p.optimizer)


@workload(
    "lstm/forward", size=SIZE, batch=BATCH, seq=SEQ, dtype=axis("auto", choices=tuple(TORCH_DTYPES))
)
def lstm_forward(p: Any, device: TorchDevice) -> Built:
    """One forward pass of an LSTM language model over random tokens, logits at every position."""
    config, dtype = SIZES[p.size], torch_dtype(p.dtype)
    memory_bytes = require_bytes(device, lstm_forward_bytes(config, p.batch, p.seq, p.dtype))
    device.require(p.dtype, config.parameters * dtype.itemsize)
    model = LSTM(config, device.torch, dtype)
    tokens = random_tokens(config.vocab, (p.batch, p.seq), device)
    kernels = choose_kernels(p, device, model, trained=False)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        model(tokens)
        mark("forward")

    work = Work(
        tokens=p.batch * p.seq,
        flops=config.forward_flops(p.batch, p.seq),
        bytes=config.forward_bytes(p.batch, p.seq, p.dtype),
    )
    predicted = memory_bytes if kernels.are_default else None
    declared = Declared({"forward": work}, kernels.choices, predicted)
    return Built(kernels.within(step), work, declared=declared, model=model)


@dataclass(frozen=True)
class Kernels:
    """Which kernels compute the layers: the default, or torch's own where oneDNN's fail or are
    slower."""

    choices: Mapping[str, str]
    are_default: bool

    def within(self, step: Step) -> Step:
        """Make `step` run on these kernels."""
        return step if self.are_default else without_onednn(step)


def choose_kernels(p: Any, device: TorchDevice, model: LSTM, trained: bool) -> Kernels:
    """Try which kernels suit the device, with a few tokens; with gradients too if `trained`.

    oneDNN has no LSTM for some processors in some formats, and says so only when it runs.
    """
    if not device.has_onednn:
        return Kernels({}, are_default=True)
    tokens = torch.zeros(min(p.batch, 2), min(p.seq, 8), dtype=torch.long, device=device.torch)

    def run_once() -> None:
        with torch.set_grad_enabled(trained), device.autocast(p.dtype if trained else "fp32"):
            loss = model.loss(tokens, tokens)
        if trained:
            torch.autograd.grad(loss, list(model.parameters()))

    suffix = ", trained" if trained else ""
    question = f"lstm {p.size}, {tuple(tokens.shape)} tokens, {p.dtype}{suffix}"
    ways = {"onednn": run_once, "torch": without_onednn(run_once)}
    choice = device.findings.choose(question, ways)
    return Kernels(choice.as_choices("lstm", choice.name), choice.name == "onednn")


def without_onednn(function: Called) -> Called:
    """Make `function` run on torch's own kernels."""

    def inside(*args: object) -> object:
        # the public `mkldnn.flags` sets more than this, and warns
        before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(False)
        try:
            return function(*args)
        finally:
            torch._C._set_mkldnn_enabled(before)

    return cast(Called, inside)
