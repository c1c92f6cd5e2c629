"""Any language model that Transformers can build: the same steps and spans as a GPT's.

`model` is a model type (gpt2, llama, qwen2 …) with the default sizes of its class, or a config.json
or a folder that holds one. Weights are random, and nothing is loaded from a hub. A path is part of
the case as it was typed; the `choices` of the table `measurements` hold a hash of the configuration
itself, by which one can see whether two are the same.
"""

import inspect
from typing import Any

import torch
from torch import Tensor

from hwbench.accounts.decoder import Decoder
from hwbench.accounts.steps import decode_work, prefill_work, training_work
from hwbench.accounts.updates import DATASET_BATCHES, OPTIMIZERS, train_state_bytes
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.fitting import all_of, batch_of_parts, sequence_within
from workloads.models.hf import cache as caches
from workloads.models.hf.configuration import check, positions_of
from workloads.models.hf.description import Description, describe
from workloads.tensors import COMPILE, TORCH_DTYPES, compile_function, random_tokens, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, replays_graphs, training_step

MODEL = axis("gpt2", check=check)
LAYERS = axis(None, kind=int)
INFERENCE_DTYPE = axis("auto", choices=tuple(TORCH_DTYPES))


@workload(
    "hf/train",
    fit=all_of(sequence_within(positions_of, "seq"), batch_of_parts),
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
    description = describe(p.model, p.layers)
    description.require_positions(p.seq)
    device.require(p.dtype, train_state_bytes(description.parameters, p.optimizer))
    model = description.build(device.torch).train()

    def loss(tokens: Tensor, labels: Tensor) -> Tensor:
        return model(input_ids=tokens, labels=labels, use_cache=False).loss  # type: ignore[no-any-return] # untyped

    loss_of = compile_function(loss, device, p.compile)
    vocab = description.config.vocab_size
    tokens = random_tokens(vocab, (DATASET_BATCHES * p.batch, p.seq), device)
    step = training_step(p, device, loss_of, model.parameters(), (tokens, tokens))
    work, spans = train_work(description.decoder, p)
    declared = Declared(spans, description.choices())
    return Built(step, work, bool(p.compile), declared, model=model)


@workload(
    "hf/prefill",
    fit=sequence_within(positions_of, "prompt"),
    model=MODEL,
    batch=axis(1),
    prompt=axis(512),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def hf_prefill(p: Any, device: TorchDevice) -> Built:
    """Read a prompt into the model's own cache and pass the first new token to the host (TTFT)."""
    description, model = inference_model(p, device, length=p.prompt)
    prompt = random_tokens(description.config.vocab_size, (p.batch, p.prompt), device)
    last = last_position(model)

    def read(tokens: Tensor) -> Tensor:
        return next_tokens(model(input_ids=tokens, use_cache=True, **last).logits)

    prefill = compile_function(read, device, p.compile)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        prefill(prompt).tolist()
        mark("prefill")

    work = Work(tokens=p.batch * p.prompt)
    if description.decoder:
        work = prefill_work(description.decoder, p.batch, p.prompt, p.dtype)
    declared = Declared({"prefill": work}, description.choices(cache="dynamic"))
    return Built(step, work, bool(p.compile), declared, model=model)


@workload(
    "hf/decode",
    fit=sequence_within(positions_of, "prompt", "new"),
    model=MODEL,
    batch=axis(1),
    prompt=axis(128),
    new=axis(32),
    layers=LAYERS,
    compile=COMPILE,
    dtype=INFERENCE_DTYPE,
)
def hf_decode(p: Any, device: TorchDevice) -> Built:
    """Write new tokens greedily after a cached prompt; each reaches the host before the next.

    The cache is static, allocated once, and wound back to the prompt after each step.
    """
    description, model = inference_model(p, device, length=p.prompt + p.new)
    cache = static_cache(description, model, p.prompt + p.new)
    cached = {caches.cache_argument(model): cache, "use_cache": True}
    prompt = random_tokens(description.config.vocab_size, (p.batch, p.prompt), device)
    with torch.inference_mode():
        first = next_tokens(model(input_ids=prompt, **cached, **last_position(model)).logits)

    def write(token: Tensor) -> Tensor:
        return next_tokens(model(input_ids=token, **cached).logits)

    decode = compile_function(write, device, p.compile)
    replays = replays_graphs(p, device)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        token = first
        for _ in range(p.new):
            token = decode(token)
            if replays:
                token = token.clone()  # the next replay overwrites it
            token.tolist()
            mark("decode")
        caches.wind_back(cache, p.new)

    work = Work(tokens=p.batch * p.new)
    if description.decoder:
        work = decode_work(description.decoder, p.batch, p.prompt, p.new, p.dtype)
    declared = Declared({"decode": work}, description.choices(cache="static"))
    return Built(step, work, bool(p.compile), declared, model=model)


def train_work(decoder: Decoder | None, p: Any) -> tuple[Work, dict[str, Work]]:
    """Count a training step, and each of its spans.

    Of an architecture without a closed form only the tokens are known. What a model computes again
    to save memory never is.
    """
    if decoder is None:
        return Work(tokens=OPTIMIZERS[p.optimizer].samples(p.batch) * p.seq), {}
    return training_work(decoder, p.batch, p.seq, p.optimizer, p.accumulate, recomputed_flops=None)


def inference_model(p: Any, device: TorchDevice, length: int) -> tuple[Description, Any]:
    """Build a model with weights in `p.dtype`, for sequences of `length` tokens.

    Unsupported if it or its cache cannot fit.
    """
    description = describe(p.model, p.layers)
    description.require_positions(length)
    state_bytes = description.state * torch_dtype(p.dtype).itemsize
    if description.decoder:
        state_bytes += description.decoder.kv_cache_bytes(p.batch, length, p.dtype)
    device.require(p.dtype, state_bytes)
    model = description.build(device.torch, torch_dtype(p.dtype))
    return description, model.eval().requires_grad_(False)


def last_position(model: Any) -> dict[str, int]:
    """The argument that asks a model for the last position's logits only, where it takes one."""
    takes_one = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": 1} if takes_one else {}


def next_tokens(logits: Tensor) -> Tensor:
    """Choose the most likely next token of each sequence: (B, T, V) → (B, 1)."""
    return logits[:, -1].argmax(-1, keepdim=True)


def static_cache(description: Description, model: Any, length: int) -> Any:
    """Make an empty cache for `length` positions.

    Unsupported if the model has none that can be wound back.
    """
    name = description.config.model_type
    if not model._can_compile_fullgraph:  # as `generate` asks before it makes a static cache
        raise Unsupported(
            "hf/decode needs a static cache, which Transformers does not have for "
            f"{name}; try hf/prefill"
        )
    cache = caches.static_cache(description.config, length)
    if not caches.can_wind_back(cache, length):
        raise Unsupported(
            f"the cache of {name} keeps only a window or a state; hf/decode needs one of all "
            f"{length} positions"
        )
    return cache
