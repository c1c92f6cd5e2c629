"""A GPT at work: training, reading a prompt, and writing an answer one token at a time."""

from collections.abc import Callable
from typing import Any

import torch

from hwbench.devices import Device
from hwbench.records import Declared, Whole, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.models.config import GPTConfig
from workloads.models.gpt import GPT
from workloads.models.memory import gpt_inference_bytes, gpt_training, require
from workloads.models.sizes import SIZES, gpt_config
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS
from workloads.tensors import TORCH_DTYPES, compiled, random_tokens, torch_dtype
from workloads.training import OPTIMIZER, TRAIN_DTYPE, training_step

SIZE = axis("124m", choices=tuple(SIZES))
LAYERS = axis(None, kind=int)
COMPILE = axis(False)
INFERENCE_DTYPE = axis("bf16", choices=tuple(TORCH_DTYPES))


@workload(
    "gpt/train",
    size=SIZE,
    batch=axis(4, largest=True),
    seq=axis(512),
    layers=LAYERS,
    optimizer=OPTIMIZER,
    compile=COMPILE,
    dtype=TRAIN_DTYPE,
)
def gpt_train(p: Any, device: Device) -> Built:
    """One GPT training step on random tokens: forward, backward, optimizer.

    `gd` runs forward and backward over the whole data set of four batches, `sgd` over one random sequence of it.
    """
    config = gpt_config(p.size, p.layers)
    config.require_positions(p.seq)
    memory_bytes = gpt_training(config, p.batch, p.seq, p.dtype, p.optimizer, bool(p.compile)).require(device)
    device.require(p.dtype, config.train_state_bytes(p.optimizer))
    model = GPT.build(config, device.torch)
    loss_of = compiled(model.loss, device) if p.compile else model.loss
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    samples = OPTIMIZERS[p.optimizer].samples(p.batch)

    def work_of(config: GPTConfig) -> Work:
        return Work(
            tokens=samples * p.seq,
            flops=config.train_flops(samples, p.seq),
            bytes=config.train_bytes(p.seq, p.optimizer),
            flops_full_attention=config.train_flops(samples, p.seq, full_attention=True),
        )

    step = training_step(p, device, loss_of, model.parameters(), data)
    declared = Declared(memory_bytes=memory_bytes, slice_of=whole_of(p, work_of))
    return Built(step, work_of(config), compiled=p.compile, declared=declared)


@workload(
    "gpt/prefill",
    size=SIZE,
    batch=axis(1, largest=True),
    prompt=axis(512),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_prefill(p: Any, device: Device) -> Built:
    """Read a prompt into the KV cache and hand the first new token to the host: the step is the time to first token."""
    model, memory_bytes = inference_model(p, device, length=p.prompt)
    config = model.config
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, p.prompt)
    prefill = compiled(model.prefill, device) if p.compile else model.prefill

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        prefill(prompt, cache).tolist()  # a user sees the token only once it has reached the host
        mark("prefill")

    def work_of(config: GPTConfig) -> Work:
        return Work(
            tokens=p.batch * p.prompt,
            flops=config.prefill_flops(p.batch, p.prompt),
            bytes=config.prefill_bytes(p.batch, p.prompt, p.dtype),
            flops_full_attention=config.prefill_flops(p.batch, p.prompt, full_attention=True),
        )

    declared = Declared(memory_bytes=memory_bytes, slice_of=whole_of(p, work_of))
    return Built(step, work_of(config), compiled=p.compile, declared=declared)


@workload(
    "gpt/decode",
    size=SIZE,
    batch=axis(1, largest=True),
    prompt=axis(128),
    new=axis(32),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_decode(p: Any, device: Device) -> Built:
    """Write new tokens greedily after a prompt that is already cached; each token reaches the host before the next."""
    model, memory_bytes = inference_model(p, device, length=p.prompt + p.new)
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

    def work_of(config: GPTConfig) -> Work:
        return Work(
            tokens=p.batch * p.new,
            flops=sum(config.decode_flops(p.batch, index) for index in indices),
            bytes=sum(config.decode_bytes(p.batch, index, p.dtype) for index in indices),
        )

    declared = Declared(memory_bytes=memory_bytes, slice_of=whole_of(p, work_of))
    return Built(step, work_of(config), compiled=p.compile, declared=declared)


def whole_of(p: Any, work_of: Callable[[GPTConfig], Work]) -> Whole | None:
    """The model that a case with fewer layers is a slice of; None if it has them all."""
    full = gpt_config(p.size)
    return Whole("layers", full.layers, work_of(full)) if p.layers and p.layers < full.layers else None


def inference_model(p: Any, device: Device, length: int) -> tuple[GPT, int]:
    """A GPT with weights stored in `p.dtype`, for sequences of `length`, and the bytes that its memory peak should be.
    Unsupported if it or its cache cannot be."""
    config = gpt_config(p.size, p.layers)
    config.require_positions(length)
    memory_bytes = require(device, gpt_inference_bytes(config, p.batch, p.prompt, length, p.dtype))
    device.require(p.dtype, config.inference_state_bytes(p.batch, length, p.dtype))
    return GPT.build(config, device.torch, torch_dtype(p.dtype)).requires_grad_(False), memory_bytes
