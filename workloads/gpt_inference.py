"""Run a GPT: a forward pass, reading a prompt, and writing an answer one token at a time."""

from itertools import chain
from typing import Any

import torch

from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.memory import gpt_inference_bytes
from hwbench.accounts.sizes import gpt_config
from hwbench.accounts.steps import decode_work, forward_work, prefill_work
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.backends import (
    ATTENTION,
    EAGER,
    Backends,
    attention_backends,
    call_on_cache,
    call_over_sequence,
)
from workloads.fitting import sequence_within
from workloads.gpt_axes import INFERENCE_DTYPE, LAYERS, SIZE, positions_of, whole_of
from workloads.memory import require_bytes
from workloads.models.attention import Layer
from workloads.models.gpt import GPT
from workloads.models.packed import choose_layout
from workloads.tensors import COMPILE, random_tokens, torch_dtype
from workloads.training import replays_graphs


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
    logits = backends.prepare(model.logits, device, p.compile)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        logits(tokens)
        mark("forward")

    def work_of(config: GPTConfig) -> Work:
        return forward_work(config, p.batch, p.seq, p.dtype)

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
    """Read a prompt into the KV cache and pass the first new token to the host (TTFT)."""
    config, memory_bytes = inference_config(
        p, device, length=p.prompt, cached=p.prompt, read=p.prompt
    )
    call = call_over_sequence(config, p.batch, p.prompt, torch_dtype(p.dtype), device)
    backends = attention_backends(p.attention, call, device)
    model = inference_model(p, device, config, backends)
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, p.prompt)
    if replays_graphs(p, device):
        mark_static(cache)
    prefill = backends.prepare(model.prefill, device, p.compile)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        prefill(prompt, cache).tolist()  # a user sees the token only once it has reached the host
        mark("prefill")

    def work_of(config: GPTConfig) -> Work:
        return prefill_work(config, p.batch, p.prompt, p.dtype)

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
    """Write new tokens greedily after a cached prompt; each reaches the host before the next."""
    length = p.prompt + p.new
    config, memory_bytes = inference_config(p, device, length, cached=length, read=p.prompt)
    call = call_on_cache(config, p.batch, length, torch_dtype(p.dtype), device)
    backends = attention_backends(p.attention, call, device)
    model = inference_model(p, device, config, backends)
    layout = choose_layout(model.tokens.weight, p.batch, device) if not p.compile else {}
    if layout.get("weights") == "packed":
        model.pack(rows=p.batch)
        if memory_bytes and config.tied:  # the table is still looked up as it was
            memory_bytes += config.padded_vocab * config.width * torch_dtype(p.dtype).itemsize
    prompt = random_tokens(config.vocab, (p.batch, p.prompt), device)
    cache = model.new_cache(p.batch, length)
    replays = replays_graphs(p, device)
    if replays:
        mark_static(cache)
    with torch.inference_mode():
        first = model.prefill(prompt, cache)
    decode = backends.prepare(model.decode, device, p.compile)
    positions = [torch.tensor([i], device=device.torch) for i in range(p.prompt, length)]

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        token = first
        for position in positions:
            token = decode(token, position, cache)
            if replays:
                token = token.clone()  # the next replay overwrites it
            token.tolist()
            mark("decode")

    def work_of(config: GPTConfig) -> Work:
        return decode_work(config, p.batch, p.prompt, p.new, p.dtype)

    work = work_of(config)
    choices = backends.choices | layout
    declared = Declared({"decode": work}, choices, memory_bytes, whole_of(p, work_of))
    return Built(backends.within(step), work, bool(p.compile), declared, model=model)


def inference_config(
    p: Any, device: TorchDevice, length: int, cached: int, read: int, logits: int = 1
) -> tuple[GPTConfig, int | None]:
    """Look up the config of a case, and predict the bytes of its memory peak.

    Sequences have `length` tokens, of which `cached` are in a cache; `read` are read at once, and
    `logits` of them get logits. The bytes are None where no closed form is known. Unsupported if
    the sequences are too long, or if weights in `p.dtype` and the cache cannot fit.
    """
    config, memory_bytes = gpt_config(p.size, p.layers), None
    config.require_positions(length)
    if config.is_like_gpt2 and getattr(p, "attention", None) != "math":
        peak = gpt_inference_bytes(config, p.batch, read, cached, p.dtype, logits)
        memory_bytes = require_bytes(device, peak)
    device.require(p.dtype, config.inference_state_bytes(p.batch, cached, p.dtype))
    return config, memory_bytes


def inference_model(
    p: Any, device: TorchDevice, config: GPTConfig, backends: Backends | None = None
) -> GPT:
    """Build a GPT with weights stored in `p.dtype`."""
    model = GPT.build(config, device.torch, torch_dtype(p.dtype)).requires_grad_(False)
    if backends and backends.runs == EAGER:
        model.use_eager_attention()
    return model


def mark_static(cache: list[Layer]) -> None:
    """Tell torch that the cache never moves.

    It makes no CUDA graph of a function that writes to an input which might.
    """
    for tensor in chain.from_iterable(cache):
        torch._dynamo.mark_static_address(tensor)
