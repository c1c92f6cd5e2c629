"""A GPT at work: training, a forward pass, reading a prompt, and writing an answer one token at a
time."""

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeVar

import torch

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Whole, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.backends import (
    ATTENTION,
    EAGER,
    Backends,
    attention_backends,
    call_on_cache,
    call_over_sequence,
)
from workloads.fitting import all_of, batch_of_parts, sequence_within
from workloads.fp8 import MULTIPLE, use_fp8_linears
from workloads.models.attention import Layer
from workloads.models.config import GPTConfig
from workloads.models.gpt import GPT
from workloads.models.memory import gpt_inference_bytes, gpt_training, require
from workloads.models.packed import choose_layout
from workloads.models.sizes import SIZES, gpt_config, positions_of
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS
from workloads.tensors import COMPILE, TORCH_DTYPES, compiled, random_tokens, torch_dtype
from workloads.training import (
    ACCUMULATE,
    OPTIMIZER,
    TRAIN_DTYPE,
    replays_graphs,
    training_spans,
    training_step,
)

F = TypeVar("F", bound=Callable[..., object])

SIZE = axis("124m", choices=tuple(SIZES))
LAYERS = axis(None, kind=int)
INFERENCE_DTYPE = axis("auto", choices=tuple(TORCH_DTYPES))


@workload(
    "gpt/train",
    fit=all_of(sequence_within(positions_of, "seq"), batch_of_parts),
    size=SIZE,
    batch=axis(4, largest=True),
    seq=axis(512),
    layers=LAYERS,
    optimizer=OPTIMIZER,
    accumulate=ACCUMULATE,
    checkpoint=axis(False),
    loss_chunks=axis(None, kind=int),
    attention=ATTENTION,
    compile=COMPILE,
    dtype=TRAIN_DTYPE,
)
def gpt_train(p: Any, device: TorchDevice) -> Built:
    """One GPT training step on random tokens: forward, backward, optimizer.

    `gd` runs forward and backward over the whole data set of four batches, `sgd` over one random
    sequence of it.
    """
    config, method = gpt_config(p.size, p.layers), OPTIMIZERS[p.optimizer]
    config.require_positions(p.seq)
    device.require(p.dtype)
    # before a sequence is allocated to ask which kernel takes it
    training_memory(p, config, device, p.attention)
    size = method.micro_batch(p.batch, p.accumulate)
    require_positions_of_a_pass(p, size * p.seq)
    computed = torch_dtype("fp32" if p.dtype == "fp32" else "bf16")
    call = call_over_sequence(config, size, p.seq, computed, device, trained=True)
    backends = attention_backends(p.attention, call, device)
    memory_bytes = training_memory(p, config, device, backends.runs)
    model = GPT.build(config, device.torch)
    if backends.runs == EAGER:
        model.use_eager_attention()
    model.checkpointed, model.loss_chunks = p.checkpoint, p.loss_chunks
    if p.dtype == "fp8":
        # not the head, whose rounding costs the most in accuracy
        use_fp8_linears(model.blocks, device)
    loss_of = ready(model.loss, p, device, backends)
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    work, spans = training_work(p, config)
    whole = whole_of(p, lambda full: training_work(p, full)[0])
    declared = Declared(spans, backends.choices, memory_bytes, whole)
    step = backends.within(training_step(p, device, loss_of, model.parameters(), data))
    return Built(step, work, bool(p.compile), declared, model=model)


def training_memory(
    p: Any, config: GPTConfig, device: TorchDevice, attention: str | None
) -> int | None:
    """The bytes that the memory peak should be; None where no closed form is known. Unsupported if
    they cannot fit."""
    if (
        p.dtype == "fp8"
        or p.checkpoint
        or p.loss_chunks
        or attention == "math"
        or not config.is_like_gpt2
    ):
        device.require(p.dtype, config.train_state_bytes(p.optimizer))
        return None
    ways = bool(p.compile), attention == EAGER
    return gpt_training(config, p.batch, p.seq, p.dtype, p.optimizer, p.accumulate, *ways).require(
        device
    )


def require_positions_of_a_pass(p: Any, positions: int) -> None:
    """Unsupported if the positions of all sequences of a pass are too few for `loss_chunks`, or too
    odd for FP8."""
    if (p.loss_chunks or 1) > positions:
        raise Unsupported(
            f"loss_chunks={p.loss_chunks} is more than the {positions} positions of a pass; lower it"
        )
    if p.dtype == "fp8" and positions % MULTIPLE:
        raise Unsupported(
            f"fp8 takes a multiple of {MULTIPLE} positions a pass, here are {positions}; change seq"
        )


def training_work(p: Any, config: GPTConfig) -> tuple[Work, dict[str, Work]]:
    """What a training step does, and each of its spans."""
    method = OPTIMIZERS[p.optimizer]
    size = method.micro_batch(p.batch, p.accumulate)
    samples = method.samples(p.batch)
    again = config.recomputed_flops(samples, p.seq) if p.checkpoint else 0
    work = Work(
        tokens=samples * p.seq,
        flops=config.train_flops(samples, p.seq),
        bytes=config.train_bytes(size, p.seq, p.optimizer, p.accumulate),
        flops_full_attention=config.train_flops(samples, p.seq, full_attention=True),
        hardware_flops=config.train_flops(samples, p.seq) + again,
    )
    forward = Work(
        tokens=samples * p.seq,
        flops=config.forward_flops(samples, p.seq),
        bytes=method.passes(p.accumulate) * config.forward_bytes(size, p.seq, "fp32"),
        flops_full_attention=config.forward_flops(samples, p.seq, full_attention=True),
        hardware_flops=config.forward_flops(samples, p.seq),
    )
    return work, training_spans(work, forward, config.parameters, p.optimizer)


@workload(
    "gpt/forward",
    fit=sequence_within(positions_of, "seq"),
    size=SIZE,
    batch=axis(4, largest=True),
    seq=axis(512),
    layers=LAYERS,
    attention=ATTENTION,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_forward(p: Any, device: TorchDevice) -> Built:
    """One forward pass of a GPT over random tokens, logits at every position."""
    config, memory_bytes = inference_config(
        p, device, length=p.seq, cached=0, read=p.seq, logits=p.seq
    )
    call = call_over_sequence(config, p.batch, p.seq, torch_dtype(p.dtype), device)
    backends = attention_backends(p.attention, call, device)
    model = inference_model(p, device, config, backends)
    tokens = random_tokens(config.vocab, (p.batch, p.seq), device)
    logits = ready(model.logits, p, device, backends)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        logits(tokens)
        mark("forward")

    def work_of(config: GPTConfig) -> Work:
        return Work(
            tokens=p.batch * p.seq,
            flops=config.forward_flops(p.batch, p.seq),
            bytes=config.forward_bytes(p.batch, p.seq, p.dtype),
            flops_full_attention=config.forward_flops(p.batch, p.seq, full_attention=True),
        )

    work = work_of(config)
    declared = Declared({"forward": work}, backends.choices, memory_bytes, whole_of(p, work_of))
    return Built(backends.within(step), work, bool(p.compile), declared, model=model)


@workload(
    "gpt/prefill",
    fit=sequence_within(positions_of, "prompt"),
    size=SIZE,
    batch=axis(1, largest=True),
    prompt=axis(512),
    layers=LAYERS,
    attention=ATTENTION,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_prefill(p: Any, device: TorchDevice) -> Built:
    """Read a prompt into the KV cache and hand the first new token to the host: the step is the
    time to first token."""
    config, memory_bytes = inference_config(
        p, device, length=p.prompt, cached=p.prompt, read=p.prompt
    )
    call = call_over_sequence(config, p.batch, p.prompt, torch_dtype(p.dtype), device)
    backends = attention_backends(p.attention, call, device)
    model = inference_model(p, device, config, backends)
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, p.prompt)
    if replays_graphs(p, device):
        keep_in_place(cache)
    prefill = ready(model.prefill, p, device, backends)

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

    work = work_of(config)
    declared = Declared({"prefill": work}, backends.choices, memory_bytes, whole_of(p, work_of))
    return Built(backends.within(step), work, bool(p.compile), declared, model=model)


@workload(
    "gpt/decode",
    fit=sequence_within(positions_of, "prompt", "new"),
    size=SIZE,
    batch=axis(1, largest=True),
    prompt=axis(128),
    new=axis(32),
    layers=LAYERS,
    attention=ATTENTION,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def gpt_decode(p: Any, device: TorchDevice) -> Built:
    """Write new tokens greedily after a prompt that is already cached; each token reaches the host
    before the next."""
    length = p.prompt + p.new
    config, memory_bytes = inference_config(p, device, length, cached=length, read=p.prompt)
    call = call_on_cache(config, p.batch, length, torch_dtype(p.dtype), device)
    backends = attention_backends(p.attention, call, device)
    model = inference_model(p, device, config, backends)
    weights = choose_layout(model.tokens.weight, p.batch, device) if not p.compile else {}
    packs = weights.get("weights") == "packed"
    if packs:
        model.pack(rows=p.batch)
        if memory_bytes and config.tied:  # the table is still looked up as it was
            memory_bytes += config.padded_vocab * config.width * torch_dtype(p.dtype).itemsize
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, length)
    replays = replays_graphs(p, device)
    if replays:
        keep_in_place(cache)
    with torch.inference_mode():
        first = model.prefill(prompt, cache)
    decode = ready(model.decode, p, device, backends)
    indices = range(p.prompt, p.prompt + p.new)
    positions = [torch.tensor([index], device=device.torch) for index in indices]

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        token = first
        for position in positions:
            token = decode(token, position, cache)
            if replays:
                token = token.clone()  # the next replay takes its place
            token.tolist()
            mark("decode")

    def work_of(config: GPTConfig) -> Work:
        return Work(
            tokens=p.batch * p.new,
            flops=sum(config.decode_flops(p.batch, index) for index in indices),
            bytes=sum(config.decode_bytes(p.batch, index, p.dtype) for index in indices),
        )

    work = work_of(config)
    declared = Declared(
        {"decode": work}, backends.choices | weights, memory_bytes, whole_of(p, work_of)
    )
    return Built(backends.within(step), work, bool(p.compile), declared, model=model)


def whole_of(p: Any, work_of: Callable[[GPTConfig], Work]) -> Whole | None:
    """The model that a case with fewer layers is a slice of; None if it has them all."""
    full = gpt_config(p.size)
    return (
        Whole("layers", full.layers, work_of(full)) if p.layers and p.layers < full.layers else None
    )


def inference_config(
    p: Any, device: TorchDevice, length: int, cached: int, read: int, logits: int = 1
) -> tuple[GPTConfig, int | None]:
    """The config for sequences of `length`, `cached` tokens of each in a cache, `read` at once and
    `logits` for so many of them; and the bytes that the memory peak should be, None where no closed
    form is known.

    Unsupported if they are too long, or if that, weights in `p.dtype` or the cache cannot be here.
    """
    config, memory_bytes = gpt_config(p.size, p.layers), None
    config.require_positions(length)
    if config.is_like_gpt2 and getattr(p, "attention", None) != "math":
        memory_bytes = require(
            device, gpt_inference_bytes(config, p.batch, read, cached, p.dtype, logits)
        )
    device.require(p.dtype, config.inference_state_bytes(p.batch, cached, p.dtype))
    return config, memory_bytes


def inference_model(
    p: Any, device: TorchDevice, config: GPTConfig, backends: Backends | None = None
) -> GPT:
    """A GPT with weights stored in `p.dtype`."""
    model = GPT.build(config, device.torch, torch_dtype(p.dtype)).requires_grad_(False)
    if backends and backends.runs == EAGER:
        model.use_eager_attention()
    return model


def keep_in_place(cache: list[Layer]) -> None:
    """Tell torch that the cache never moves: it makes no CUDA graph of what writes to an input that
    might."""
    for tensor in chain.from_iterable(cache):
        torch._dynamo.mark_static_address(tensor)


def ready(function: F, p: Any, device: TorchDevice, backends: Backends) -> F:
    """What a step is to call for `function`: compiled as `p.compile` says, attention on its
    backends."""
    return compiled(backends.within(function), device, p.compile) if p.compile else function
