"""Any language model that Hugging Face Transformers can build, at work: the same steps and spans as
a GPT's.

`model` is a model type (gpt2, llama, qwen2 …) with the default sizes of its class, or a config.json
or a folder that holds one. Weights are random, and nothing is loaded from a hub. A path is part of
the case as it was typed; the table `measurements` has a hash of the configuration itself among the
`choices`, so that one can see whether two are the same.
"""

import inspect
from typing import Any

import torch
from torch import Tensor

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.fitting import all_of, batch_of_parts, sequence_within
from workloads.models import hf
from workloads.models.decoder import Decoder
from workloads.optimizers import DATASET_BATCHES, OPTIMIZERS, train_state_bytes
from workloads.tensors import COMPILE, TORCH_DTYPES, compiled, random_tokens, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, replays_graphs, training_spans, training_step

MODEL = axis("gpt2", check=hf.check)
LAYERS = axis(None, kind=int)
INFERENCE_DTYPE = axis("auto", choices=tuple(TORCH_DTYPES))


@workload(
    "hf/train",
    fit=all_of(sequence_within(hf.positions_of, "seq"), batch_of_parts),
    model=MODEL,
    batch=axis(4),
    seq=axis(512),
    layers=LAYERS,
    optimizer=OPTIMIZER,
    accumulate=ACCUMULATE,
    compile=COMPILE,
    dtype=axis("auto", choices=("fp32", "bf16")),
)
def hf_train(p: Any, device: TorchDevice) -> Built:
    """One training step of a Transformers model on random tokens: forward, backward, optimizer.

    The loss is the model's own, of each token but the first given those before it. Dropout is off.
    """
    described = hf.describe(p.model, p.layers)
    described.require_positions(p.seq)
    device.require(p.dtype, train_state_bytes(described.parameters, p.optimizer))
    model = described.build(device.torch).train()

    def loss(tokens: Tensor, labels: Tensor) -> Tensor:
        return model(input_ids=tokens, labels=labels, use_cache=False).loss  # type: ignore[no-any-return] # untyped

    loss_of = compiled(loss, device, p.compile)
    tokens = random_tokens(described.config.vocab_size, (DATASET_BATCHES * p.batch, p.seq), device)
    step = training_step(p, device, loss_of, model.parameters(), (tokens, tokens))
    work, spans = train_work(described.decoder, p)
    return Built(step, work, bool(p.compile), Declared(spans, described.choices()), model=model)


@workload(
    "hf/prefill",
    fit=sequence_within(hf.positions_of, "prompt"),
    model=MODEL,
    batch=axis(1),
    prompt=axis(512),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def hf_prefill(p: Any, device: TorchDevice) -> Built:
    """Read a prompt into the model's own cache and hand the first new token to the host: the time
    to first token."""
    described, model = inference_model(p, device, length=p.prompt)
    prompt = random_tokens(described.config.vocab_size, (p.batch, p.prompt), device)
    last = last_position(model)

    def read(tokens: Tensor) -> Tensor:
        return greedy(model(input_ids=tokens, use_cache=True, **last).logits)

    prefill = compiled(read, device, p.compile)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        prefill(prompt).tolist()
        mark("prefill")

    work = prefill_work(described.decoder, p)
    return Built(
        step,
        work,
        bool(p.compile),
        Declared({"prefill": work}, described.choices(cache="dynamic")),
        model=model,
    )


@workload(
    "hf/decode",
    fit=sequence_within(hf.positions_of, "prompt", "new"),
    model=MODEL,
    batch=axis(1),
    prompt=axis(128),
    new=axis(32),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def hf_decode(p: Any, device: TorchDevice) -> Built:
    """Write new tokens greedily after a prompt that is already cached; each token reaches the host
    before the next.

    The cache is static, allocated once, and wound back to the prompt after each step.
    """
    described, model = inference_model(p, device, length=p.prompt + p.new)
    cache = static_cache(described, model, p.prompt + p.new)
    cached = {hf.cache_argument(model): cache, "use_cache": True}
    prompt = random_tokens(described.config.vocab_size, (p.batch, p.prompt), device)
    with torch.inference_mode():
        first = greedy(model(input_ids=prompt, **cached, **last_position(model)).logits)

    def write(token: Tensor) -> Tensor:
        return greedy(model(input_ids=token, **cached).logits)

    decode = compiled(write, device, p.compile)
    replays = replays_graphs(p, device)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        token = first
        for _ in range(p.new):
            token = decode(token)
            if replays:
                token = token.clone()  # the next replay takes its place
            token.tolist()
            mark("decode")
        hf.wind_back(cache, p.new)

    work = decode_work(described.decoder, p)
    return Built(
        step,
        work,
        bool(p.compile),
        Declared({"decode": work}, described.choices(cache="static")),
        model=model,
    )


# Models


def inference_model(p: Any, device: TorchDevice, length: int) -> tuple[hf.Described, Any]:
    """A model with weights in `p.dtype`, for sequences of `length`. Unsupported if it or its cache
    cannot be."""
    described = hf.describe(p.model, p.layers)
    described.require_positions(length)
    cache = described.decoder.kv_cache_bytes(p.batch, length, p.dtype) if described.decoder else 0
    device.require(p.dtype, described.state * torch_dtype(p.dtype).itemsize + cache)
    return described, described.build(device.torch, torch_dtype(p.dtype)).eval().requires_grad_(
        False
    )


def last_position(model: Any) -> dict[str, int]:
    """What tells a model that only the last position's logits are wanted, where it can be told."""
    return (
        {"logits_to_keep": 1}
        if "logits_to_keep" in inspect.signature(model.forward).parameters
        else {}
    )


def greedy(logits: Tensor) -> Tensor:
    """(B, T, V) → the most likely next token of each sequence (B, 1)."""
    return logits[:, -1].argmax(-1, keepdim=True)


def static_cache(described: hf.Described, model: Any, length: int) -> Any:
    """An empty cache for `length` positions. Unsupported if the model has none that can be wound
    back."""
    name = described.config.model_type
    if not model._can_compile_fullgraph:  # as `generate` asks before it makes a static cache
        raise Unsupported(
            f"hf/decode needs a static cache, which Transformers has none of for {name}; try hf/prefill"
        )
    cache = hf.static_cache(described.config, length)
    if not hf.can_wind_back(cache, length):
        raise Unsupported(
            f"{name} forgets what lies before its window or state; hf/decode needs a cache of {length}"
        )
    return cache


# Work


def train_work(decoder: Decoder | None, p: Any) -> tuple[Work, dict[str, Work]]:
    """Of a training step, and of each of its spans; of an unknown architecture only the tokens are
    known."""
    method = OPTIMIZERS[p.optimizer]
    samples, size = method.samples(p.batch), method.micro_batch(p.batch, p.accumulate)
    tokens = samples * p.seq
    if decoder is None:
        return Work(tokens=tokens), {}
    work = Work(
        tokens=tokens,
        flops=decoder.train_flops(samples, p.seq),
        bytes=decoder.train_bytes(size, p.seq, p.optimizer, p.accumulate),
        flops_full_attention=decoder.train_flops(samples, p.seq, full_attention=True),
    )
    forward = Work(
        tokens=tokens,
        flops=decoder.forward_flops(samples, p.seq),
        bytes=method.passes(p.accumulate) * decoder.forward_bytes(size, p.seq),
        flops_full_attention=decoder.forward_flops(samples, p.seq, full_attention=True),
    )
    return work, training_spans(work, forward, decoder.parameters, p.optimizer)


def prefill_work(decoder: Decoder | None, p: Any) -> Work:
    tokens = p.batch * p.prompt
    if decoder is None:
        return Work(tokens=tokens)
    return Work(
        tokens=tokens,
        flops=decoder.prefill_flops(p.batch, p.prompt),
        bytes=decoder.prefill_bytes(p.batch, p.prompt, p.dtype),
        flops_full_attention=decoder.prefill_flops(p.batch, p.prompt, full_attention=True),
    )


def decode_work(decoder: Decoder | None, p: Any) -> Work:
    tokens = p.batch * p.new
    if decoder is None:
        return Work(tokens=tokens)
    indices = range(p.prompt, p.prompt + p.new)
    return Work(
        tokens=tokens,
        flops=sum(decoder.decode_flops(p.batch, index) for index in indices),
        bytes=sum(decoder.decode_bytes(p.batch, index, p.dtype) for index in indices),
    )
