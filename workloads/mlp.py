"""Run a feed-forward network: matrix products and no waiting, the easiest a network can be."""

from typing import Any

import torch

from hwbench.accounts.memory import mlp_forward_bytes, mlp_training
from hwbench.accounts.mlp import SIZES, MLPConfig
from hwbench.accounts.steps import training_spans
from hwbench.accounts.updates import DATASET_BATCHES, MASTER_BYTES, OPTIMIZERS, train_state_bytes
from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.fitting import batch_of_parts
from workloads.fp8 import use_fp8_linears
from workloads.memory import require_bytes, require_training
from workloads.models.mlp import MLP
from workloads.tensors import COMPILE, TORCH_DTYPES, compile_function, torch_dtype
from workloads.training import ACCUMULATE, OPTIMIZER, TRAIN_DTYPE, training_step

SIZE = axis("default", choices=tuple(SIZES))
BATCH = axis(256, largest=True)


@workload(
    "mlp/train",
    fit=batch_of_parts,
    size=SIZE,
    batch=BATCH,
    optimizer=OPTIMIZER,
    accumulate=ACCUMULATE,
    compile=COMPILE,
    dtype=TRAIN_DTYPE,
)
def mlp_train(p: Any, device: TorchDevice) -> Built:
    """One training step of a feed-forward network on random data: forward, backward, optimizer."""
    config = SIZES[p.size]
    shape = (DATASET_BATCHES * p.batch, config.width)
    data_bytes = 2 * MASTER_BYTES * shape[0] * shape[1]
    memory_bytes = None  # no closed form is known of fp8 and of compiled steps
    if p.dtype != "fp8" and not p.compile:
        training = mlp_training(config, p.batch, p.dtype, p.optimizer, p.accumulate)
        memory_bytes = require_training(device, training)
    device.require(p.dtype, train_state_bytes(config.parameters, p.optimizer) + data_bytes)
    model = MLP(config, device.torch)
    if p.dtype == "fp8":
        use_fp8_linears(model, device)
    data = torch.randn(shape, device=device.torch), torch.randn(shape, device=device.torch)
    loss_of = compile_function(model.loss, device, p.compile)
    step = training_step(p, device, loss_of, model.parameters(), data)
    work, spans = train_work(p, config)
    declared = Declared(spans, memory_bytes=memory_bytes)
    return Built(step, work, bool(p.compile), declared, model=model)


def train_work(p: Any, config: MLPConfig) -> tuple[Work, dict[str, Work]]:
    """Count a training step, and each of its spans."""
    method = OPTIMIZERS[p.optimizer]
    samples, passes = method.samples(p.batch), method.passes(p.accumulate)
    work = Work(
        flops=config.train_flops(samples), bytes=config.train_bytes(p.optimizer, p.accumulate)
    )
    forward = Work(flops=config.forward_flops(samples), bytes=passes * config.forward_bytes("fp32"))
    return work, training_spans(work, forward, config.parameters, p.optimizer)


@workload("mlp/forward", size=SIZE, batch=BATCH, dtype=axis("auto", choices=tuple(TORCH_DTYPES)))
def mlp_forward(p: Any, device: TorchDevice) -> Built:
    """One forward pass of a feed-forward network over random vectors."""
    config, dtype = SIZES[p.size], torch_dtype(p.dtype)
    memory_bytes = require_bytes(device, mlp_forward_bytes(config, p.batch, p.dtype))
    device.require(p.dtype, (config.parameters + p.batch * config.width) * dtype.itemsize)
    model = MLP(config, device.torch, dtype)
    inputs = torch.randn(p.batch, config.width, device=device.torch, dtype=dtype)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        model(inputs)
        mark("forward")

    work = Work(flops=config.forward_flops(p.batch), bytes=config.forward_bytes(p.dtype))
    declared = Declared({"forward": work}, memory_bytes=memory_bytes)
    return Built(step, work, declared=declared, model=model)
