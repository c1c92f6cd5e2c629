"""A GPT at work: training, reading a prompt, and writing an answer one token at a time."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from hwbench.devices import Device
from hwbench.records import Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.models.config import OPTIMIZER_STATES
from workloads.models.gpt import GPT
from workloads.models.sizes import SIZES, gpt_config
from workloads.tensors import TORCH_DTYPES, compiled, random_tokens, torch_dtype

OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}

LEARNING_RATE = 3e-4
"""Low enough for every size to stay finite without warm-up; it changes nothing in a step's cost."""

SIZE = axis("124m", choices=tuple(SIZES))
LAYERS = axis(None, kind=int)
COMPILE = axis(False)
INFERENCE_DTYPE = axis("bf16", choices=tuple(TORCH_DTYPES))


@workload(
    "gpt/train",
    size=SIZE,
    batch=axis(4),
    seq=axis(512),
    layers=LAYERS,
    optimizer=axis("adamw", choices=tuple(OPTIMIZER_STATES)),
    compile=COMPILE,
    dtype=axis("bf16", choices=("fp32", "bf16")),  # fp16 would need its loss scaled
)
def gpt_train(p: Any, device: Device) -> Built:
    """One GPT training step on random tokens: forward, backward, optimizer.

    Weights, gradients and optimizer state are fp32; bf16 computes under autocast, as most pre-training does.
    """
    config = gpt_config(p.size, p.layers)
    config.require_positions(p.seq)
    device.require(p.dtype, config.train_state_bytes(p.optimizer))
    model = GPT.build(config, device.torch)
    loss_of = compiled(model.loss, device) if p.compile else model.loss
    optimizer = make_optimizer(p.optimizer, model.parameters(), device)
    tokens = random_tokens(config.vocab, (p.batch, p.seq + 1), device)
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def step(mark: Mark) -> Tensor:
        with device.autocast(p.dtype):
            loss = loss_of(inputs, targets)
        mark("forward")
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        mark("backward")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mark("optimizer")
        return loss.detach()

    work = Work(
        tokens=p.batch * p.seq,
        flops=config.train_flops(p.batch, p.seq),
        bytes=config.train_bytes(p.seq, p.optimizer),
        flops_full_attention=config.train_flops(p.batch, p.seq, full_attention=True),
    )
    return Built(step, work, compiled=p.compile)


@workload(
    "gpt/prefill",
    size=SIZE,
    batch=axis(1),
    prompt=axis(512),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_prefill(p: Any, device: Device) -> Built:
    """Read a prompt into the KV cache and hand the first new token to the host: the step is the time to first token."""
    model = inference_model(p, device, length=p.prompt)
    config = model.config
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, p.prompt)
    prefill = compiled(model.prefill, device) if p.compile else model.prefill

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        prefill(prompt, cache).tolist()  # a user sees the token only once it has reached the host
        mark("prefill")

    work = Work(
        tokens=p.batch * p.prompt,
        flops=config.prefill_flops(p.batch, p.prompt),
        bytes=config.prefill_bytes(p.batch, p.prompt, p.dtype),
        flops_full_attention=config.prefill_flops(p.batch, p.prompt, full_attention=True),
    )
    return Built(step, work, compiled=p.compile)


@workload(
    "gpt/decode",
    size=SIZE,
    batch=axis(1),
    prompt=axis(128),
    new=axis(32),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_decode(p: Any, device: Device) -> Built:
    """Write new tokens greedily after a prompt that is already cached; each token reaches the host before the next."""
    model = inference_model(p, device, length=p.prompt + p.new)
    config = model.config
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, p.prompt + p.new)
    with torch.inference_mode():
        first = model.prefill(prompt, cache)
    decode = compiled(model.decode, device) if p.compile else model.decode
    indices = range(p.prompt, p.prompt + p.new)
    positions = [torch.tensor([index], device=device.torch) for index in indices]

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        token = first
        for position in positions:
            token = decode(token, position, cache)
            token.tolist()
            mark("decode")

    work = Work(
        tokens=p.batch * p.new,
        flops=sum(config.decode_flops(p.batch, index) for index in indices),
        bytes=sum(config.decode_bytes(p.batch, index, p.dtype) for index in indices),
    )
    return Built(step, work, compiled=p.compile)


def make_optimizer(name: str, parameters: Iterable[Tensor], device: Device) -> torch.optim.Optimizer:
    """The optimizer of that name, fused where torch offers it. SGD is plain: no momentum, no state."""
    fused = True if device.fused_optimizers else None  # torch finds out only at the first step
    optimizer: torch.optim.Optimizer = OPTIMIZERS[name](parameters, lr=LEARNING_RATE, fused=fused)
    return optimizer


def inference_model(p: Any, device: Device, length: int) -> GPT:
    """A GPT with weights stored in `p.dtype`, for sequences of `length`. Unsupported if it or its cache cannot be."""
    config = gpt_config(p.size, p.layers)
    config.require_positions(length)
    device.require(p.dtype, config.inference_state_bytes(p.batch, length, p.dtype))
    return GPT.build(config, device.torch, torch_dtype(p.dtype)).requires_grad_(False)
