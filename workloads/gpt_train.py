"""Train a GPT: one step of forward, backward and the optimizer's update."""

from typing import Any

from hwbench.accounts.gpt import GPTConfig
from hwbench.accounts.memory import gpt_training
from hwbench.accounts.sizes import gpt_config
from hwbench.accounts.steps import training_work
from hwbench.accounts.updates import DATASET_BATCHES, OPTIMIZERS
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Unsupported, Work
from hwbench.workload import Built, axis, workload
from workloads.backends import ATTENTION, EAGER, attention_backends, call_over_sequence
from workloads.fitting import all_of, batch_of_parts, sequence_within
from workloads.fp8 import MULTIPLE, use_fp8_linears
from workloads.gpt_axes import LAYERS, SIZE, positions_of, whole_of
from workloads.memory import require_training
from workloads.models.gpt import GPT
from workloads.tensors import COMPILE, random_tokens, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, TRAIN_DTYPE, training_step


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
    # refuse what cannot fit before a sequence is allocated for the trial of attention
    predict_memory(p, config, device, p.attention)
    size = method.micro_batch(p.batch, p.accumulate)
    require_positions_of_a_pass(p, size * p.seq)
    computed = torch_dtype("fp32" if p.dtype == "fp32" else "bf16")
    call = call_over_sequence(config, size, p.seq, computed, device, trained=True)
    backends = attention_backends(p.attention, call, device)
    memory_bytes = predict_memory(p, config, device, backends.runs)
    model = build_model(p, device, config, is_eager=backends.runs == EAGER)
    loss_of = backends.prepare(model.loss, device, p.compile)
    tokens = random_tokens(config.vocab, (DATASET_BATCHES * p.batch, p.seq + 1), device)
    data = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    work, spans = work_of(p, config)
    whole = whole_of(p, lambda full: work_of(p, full)[0])
    declared = Declared(spans, backends.choices, memory_bytes, whole)
    step = backends.within(training_step(p, device, loss_of, model.parameters(), data))
    return Built(step, work, bool(p.compile), declared, model=model)


def build_model(p: Any, device: TorchDevice, config: GPTConfig, is_eager: bool) -> GPT:
    """Build a GPT with fp32 weights, set up as the case asks."""
    model = GPT.build(config, device.torch)
    if is_eager:
        model.use_eager_attention()
    model.checkpointed, model.loss_chunks = p.checkpoint, p.loss_chunks
    if p.dtype == "fp8":
        # not the head, whose rounding costs the most accuracy
        use_fp8_linears(model.blocks, device)
    return model


def predict_memory(
    p: Any, config: GPTConfig, device: TorchDevice, attention: str | None
) -> int | None:
    """Predict the bytes of the memory peak; None where no closed form is known.

    Unsupported if they cannot fit.
    """
    has_closed_form = (
        config.is_like_gpt2
        and p.dtype != "fp8"
        and attention != "math"
        and not p.checkpoint
        and not p.loss_chunks
    )
    if not has_closed_form:
        device.require(p.dtype, config.train_state_bytes(p.optimizer))
        return None
    training = gpt_training(
        config,
        p.batch,
        p.seq,
        p.dtype,
        p.optimizer,
        p.accumulate,
        compiled=bool(p.compile),
        eager_attention=attention == EAGER,
    )
    return require_training(device, training)


def require_positions_of_a_pass(p: Any, positions: int) -> None:
    """Raise Unsupported if the positions of all sequences of a pass do not suit the case.

    `loss_chunks` needs one position a chunk, FP8 a multiple of 16.
    """
    if (p.loss_chunks or 1) > positions:
        raise Unsupported(
            f"loss_chunks={p.loss_chunks} is more than the {positions} positions of a pass; "
            "lower it"
        )
    if p.dtype == "fp8" and positions % MULTIPLE:
        raise Unsupported(
            f"fp8 needs a multiple of {MULTIPLE} positions a pass, not {positions}; change seq"
        )


def work_of(p: Any, config: GPTConfig) -> tuple[Work, dict[str, Work]]:
    """Count what a training step does, and each of its spans."""
    samples = OPTIMIZERS[p.optimizer].samples(p.batch)
    recomputed = config.recomputed_flops(samples, p.seq) if p.checkpoint else 0
    return training_work(config, p.batch, p.seq, p.optimizer, p.accumulate, recomputed)
