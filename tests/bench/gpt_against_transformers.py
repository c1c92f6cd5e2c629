"""This suite's GPT against GPT2LMHeadModel of Hugging Face Transformers: the same shapes, step by
step in turns.

Run it as `python tests/bench/gpt_against_transformers.py [NAME…] [--pairs N] [--device DEVICE]`;
`make bench` runs it under pytest-benchmark. Their side is what their documentation has a user
write: dropout off, the attention that they choose, the loss that they compute, `generate` with a
static cache. Both see each token on the host when decoding, and the prompt is in the cache before
the clock starts.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from statistics import median

import torch

from hwbench import devices, stats
from hwbench.accounts.sizes import SIZES
from hwbench.accounts.updates import DATASET_BATCHES
from hwbench.devices.protocol import TorchDevice
from hwbench.discovery import find
from hwbench.workload import params_of
from workloads.optimizers import make_optimizer
from workloads.tensors import random_tokens, torch_dtype

Seconds = Callable[[], float]
"""Runs one step of a side and returns its seconds."""

Pair = tuple[float, float]
"""Seconds of a step of ours and of one of theirs, taken next to each other."""


@dataclass(frozen=True)
class Contest:
    """The work of both sides, and the least ratio of tokens/s that ours should reach."""

    workload: str
    dtype: str
    compile: bool
    target: float
    pairs: int
    shape: dict[str, int]
    size: str = "124m"

    @property
    def tokens(self) -> int:
        """The tokens that a step trains on, or writes."""
        return self.shape["batch"] * (
            self.shape["seq"] if self.workload == "gpt/train" else self.shape["new"]
        )

    def __str__(self) -> str:
        shape = " ".join(f"{name}={size}" for name, size in self.shape.items())
        return (
            f"{self.workload} {self.size} {shape} {self.dtype}{' compiled' if self.compile else ''}"
        )


TRAIN = {"batch": 4, "seq": 512}
DECODE = {"batch": 1, "prompt": 128, "new": 32}
CONTESTS = {
    "train-fp32": Contest("gpt/train", "fp32", False, 1.2, 6, TRAIN),
    "train-bf16": Contest("gpt/train", "bf16", False, 1.2, 8, TRAIN),
    "train-fp32-compiled": Contest("gpt/train", "fp32", True, 1.0, 6, TRAIN),
    "train-bf16-compiled": Contest("gpt/train", "bf16", True, 1.0, 8, TRAIN),
    "decode-fp32": Contest("gpt/decode", "fp32", False, 1.5, 30, DECODE),
    "decode-bf16": Contest("gpt/decode", "bf16", False, 1.5, 30, DECODE),
}


def ours(contest: Contest, device: TorchDevice) -> Seconds:
    """A step of the built-in workload."""
    workload = find(contest.workload)
    axes = {name: axis.defaults[0] for name, axis in workload.axes.items() if name != "dtype"}
    given = axes | contest.shape | {"size": contest.size, "compile": contest.compile}
    step = workload.build(params_of(given, contest.dtype), device).step
    return lambda: seconds(device, lambda: step(lambda name: None))


def theirs(contest: Contest, device: TorchDevice) -> Seconds:
    """The same with Transformers."""
    return (their_training if contest.workload == "gpt/train" else their_decoding)(contest, device)


def their_model(contest: Contest, device: TorchDevice, dtype: torch.dtype):
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import GPT2Config, GPT2LMHeadModel

    size = SIZES[contest.size]
    config = GPT2Config(
        n_layer=size.layers,
        n_head=size.heads,
        n_embd=size.width,
        n_positions=size.positions,
        vocab_size=size.vocab,
        bos_token_id=0,
        eos_token_id=0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = GPT2LMHeadModel(config).to(device.torch, dtype)
    assert sum(parameter.numel() for parameter in model.parameters()) == size.parameters
    return model


def their_training(contest: Contest, device: TorchDevice) -> Seconds:
    model = their_model(contest, device, torch.float32).train()
    optimizer = make_optimizer("adamw", model.parameters(), device)
    forward = torch.compile(model, dynamic=False) if contest.compile else model
    shape = contest.shape["batch"], contest.shape["seq"]
    batches = [
        random_tokens(SIZES[contest.size].vocab, shape, device) for _ in range(DATASET_BATCHES)
    ]

    def step() -> None:
        tokens = random.choice(batches)
        with device.autocast(contest.dtype):
            loss = forward(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return lambda: seconds(device, step)


def their_decoding(contest: Contest, device: TorchDevice) -> Seconds:
    model = their_model(contest, device, torch_dtype(contest.dtype)).eval()
    prompt = random_tokens(
        SIZES[contest.size].vocab, (contest.shape["batch"], contest.shape["prompt"]), device
    )
    tokens = contest.shape["new"] + 1  # the first is prefill's
    stamps: list[float] = []

    class Reader:
        """Copies each token to the host, as for a user who reads along."""

        def put(self, token: torch.Tensor) -> None:
            token.tolist()
            stamps.append(time.perf_counter())

        def end(self) -> None:
            pass

    def step() -> float:
        stamps.clear()
        with torch.inference_mode():
            model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                cache_implementation="static",
                streamer=Reader(),
            )
        _, first, *rest = stamps  # before the first the reader is given the prompt
        assert len(rest) == contest.shape["new"]
        return rest[-1] - first

    return step


def seconds(device: TorchDevice, step: Callable[[], object]) -> float:
    device.synchronize()
    began = time.perf_counter()
    step()
    device.synchronize()
    return time.perf_counter() - began


def pairs_of_steps(contest: Contest, device: TorchDevice) -> Iterator[Pair]:
    """Pair by pair, the order within a pair changing each time."""
    our_s, their_s = ours(contest, device), theirs(contest, device)
    for side in (our_s, their_s):
        side()  # the first step allocates, and may compile
    while True:
        mine, other = our_s(), their_s()
        yield mine, other
        other, mine = their_s(), our_s()
        yield mine, other


def ratio(found: list[Pair]) -> stats.Interval:
    """Our tokens/s over theirs: the median of the pairs, and its interval."""
    return stats.median_interval([theirs_s / ours_s for ours_s, theirs_s in found])


def report(contest: Contest, device: TorchDevice, found: list[Pair]) -> str:
    interval = ratio(found)
    mine, other = (contest.tokens / median(side) for side in zip(*found, strict=True))
    return (
        f"{contest} on {device.name}: {mine:,.1f} tokens/s, Transformers {other:,.1f}; "
        f"ratio {interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f}), "
        f"median of {interval.n} pairs (target at least {contest.target})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="*")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    opened = devices.open_device(devices.resolve(asked.device))
    for name in asked.name or CONTESTS:
        contest = CONTESTS[name]
        steps = islice(pairs_of_steps(contest, opened), asked.pairs or contest.pairs)
        print(report(contest, opened, list(steps)), flush=True)
