"""What one step does, as `Work`: tokens, FLOPs and bytes of the whole step and of its spans.

A step trains a model once, runs it forward, reads a prompt (prefill), or writes new tokens
(decode).
"""

from typing import Protocol

from hwbench.accounts.updates import OPTIMIZERS, update_bytes, update_flops
from hwbench.records import Work


class Transformer(Protocol):
    """What is counted of a decoder-only transformer; see `gpt.GPTConfig` and `decoder.Decoder`."""

    @property
    def parameters(self) -> int: ...

    def forward_flops(self, batch: int, seq: int, full_attention: bool = False) -> int: ...
    def train_flops(self, batch: int, seq: int, full_attention: bool = False) -> int: ...
    def prefill_flops(self, batch: int, prompt: int, full_attention: bool = False) -> int: ...
    def decode_flops(self, batch: int, position: int) -> int: ...
    def forward_bytes(self, batch: int, seq: int, dtype: str) -> int: ...
    def train_bytes(
        self, batch: int, seq: int, optimizer: str, accumulate: int | None = None
    ) -> int: ...
    def prefill_bytes(self, batch: int, prompt: int, dtype: str) -> int: ...
    def decode_bytes(self, batch: int, position: int, dtype: str) -> int: ...


def training_work(
    model: Transformer,
    batch: int,
    seq: int,
    optimizer: str,
    accumulate: int | None = None,
    recomputed_flops: int | None = 0,
) -> tuple[Work, dict[str, Work]]:
    """Count a training step, and its spans forward, backward and optimizer.

    The step learns from batches of `batch` sequences of `seq` tokens, each cut into `accumulate`
    equal parts; `optimizer` decides how many sequences that is (`Method.samples`).
    `recomputed_flops` are those that checkpointing adds; None if unknown: then `hardware_flops` is
    None too.
    """
    method = OPTIMIZERS[optimizer]
    samples, size = method.samples(batch), method.micro_batch(batch, accumulate)
    train_flops, forward_flops = model.train_flops(samples, seq), model.forward_flops(samples, seq)
    is_known = recomputed_flops is not None
    work = Work(
        tokens=samples * seq,
        flops=train_flops,
        bytes=model.train_bytes(size, seq, optimizer, accumulate),
        flops_full_attention=model.train_flops(samples, seq, full_attention=True),
        hardware_flops=train_flops + (recomputed_flops or 0) if is_known else None,
    )
    forward = Work(
        tokens=samples * seq,
        flops=forward_flops,
        bytes=method.passes(accumulate) * model.forward_bytes(size, seq, "fp32"),
        flops_full_attention=model.forward_flops(samples, seq, full_attention=True),
        hardware_flops=forward_flops if is_known else None,
    )
    return work, training_spans(work, forward, model.parameters, optimizer)


def training_spans(work: Work, forward: Work, parameters: int, optimizer: str) -> dict[str, Work]:
    """Split the work of a training step of any model into forward, backward and optimizer.

    `forward` is given, the update follows from `parameters`, and backward is the rest of `work`.
    The bytes of the three sum to those of `work`. The FLOPs of forward and backward do too; those
    of the update are not model FLOPs.
    """
    update = Work(
        flops=update_flops(parameters, optimizer), bytes=update_bytes(parameters, optimizer)
    )
    backward = Work(
        tokens=work.tokens,
        flops=_rest(work.flops, forward.flops),
        bytes=_rest(work.bytes, forward.bytes, update.bytes),
        flops_full_attention=_rest(work.flops_full_attention, forward.flops_full_attention),
        hardware_flops=_rest(work.hardware_flops, forward.hardware_flops),
    )
    return {"forward": forward, "backward": backward, "optimizer": update}


def _rest(whole: int | None, *parts: int | None) -> int | None:
    """`whole` less its parts; None if any of them is unknown."""
    known = [part for part in parts if part is not None]
    return None if whole is None or len(known) < len(parts) else whole - sum(known)


def forward_work(model: Transformer, batch: int, seq: int, dtype: str) -> Work:
    """Count a forward pass over `batch` sequences of `seq` tokens, logits at every position."""
    return Work(
        tokens=batch * seq,
        flops=model.forward_flops(batch, seq),
        bytes=model.forward_bytes(batch, seq, dtype),
        flops_full_attention=model.forward_flops(batch, seq, full_attention=True),
    )


def prefill_work(model: Transformer, batch: int, prompt: int, dtype: str) -> Work:
    """Count the reading of `batch` prompts of `prompt` tokens into a cache of weights' `dtype`."""
    return Work(
        tokens=batch * prompt,
        flops=model.prefill_flops(batch, prompt),
        bytes=model.prefill_bytes(batch, prompt, dtype),
        flops_full_attention=model.prefill_flops(batch, prompt, full_attention=True),
    )


def decode_work(model: Transformer, batch: int, prompt: int, new: int, dtype: str) -> Work:
    """Count the writing of `new` tokens, one at a time, after `batch` prompts in a cache."""
    indices = range(prompt, prompt + new)
    return Work(
        tokens=batch * new,
        flops=sum(model.decode_flops(batch, index) for index in indices),
        bytes=sum(model.decode_bytes(batch, index, dtype) for index in indices),
    )
