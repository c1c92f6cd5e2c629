"""A feed-forward network at work: matrix products and nothing to wait for, the easiest a network can be."""

from typing import Any

import torch

from hwbench.devices import Device
from hwbench.records import Declared, Work
from hwbench.workload import Built, Mark, axis, workload
from workloads.models.memory import mlp_forward_bytes, mlp_training, require
from workloads.models.mlp import MLP, SIZES
from workloads.optimizers import DATASET_BATCHES, MASTER_BYTES, OPTIMIZERS, train_state_bytes
from workloads.tensors import TORCH_DTYPES, torch_dtype
from workloads.training import OPTIMIZER, TRAIN_DTYPE, training_step

SIZE = axis("default", choices=tuple(SIZES))
BATCH = axis(256, largest=True)


@workload("mlp/train", size=SIZE, batch=BATCH, optimizer=OPTIMIZER, dtype=TRAIN_DTYPE)
def mlp_train(p: Any, device: Device) -> Built:
    """One training step of a feed-forward network on random vectors: forward, backward, optimizer."""
    config = SIZES[p.size]
    shape = (DATASET_BATCHES * p.batch, config.width)
    data_bytes = 2 * MASTER_BYTES * shape[0] * shape[1]
    memory_bytes = mlp_training(config, p.batch, p.dtype, p.optimizer).require(device)
    device.require(p.dtype, train_state_bytes(config.parameters, p.optimizer) + data_bytes)
    model = MLP(config, device.torch)
    data = torch.randn(shape, device=device.torch), torch.randn(shape, device=device.torch)
    work = Work(
        flops=config.train_flops(OPTIMIZERS[p.optimizer].samples(p.batch)), bytes=config.train_bytes(p.optimizer)
    )
    step = training_step(p, device, model.loss, model.parameters(), data)
    return Built(step, work, declared=Declared(memory_bytes=memory_bytes))


@workload("mlp/forward", size=SIZE, batch=BATCH, dtype=axis("bf16", choices=tuple(TORCH_DTYPES)))
def mlp_forward(p: Any, device: Device) -> Built:
    """One forward pass of a feed-forward network over random vectors."""
    config, dtype = SIZES[p.size], torch_dtype(p.dtype)
    memory_bytes = require(device, mlp_forward_bytes(config, p.batch, p.dtype))
    device.require(p.dtype, (config.parameters + p.batch * config.width) * dtype.itemsize)
    model = MLP(config, device.torch, dtype)
    inputs = torch.randn(p.batch, config.width, device=device.torch, dtype=dtype)

    @torch.inference_mode()
    def step(mark: Mark) -> None:
        model(inputs)
        mark("forward")

    work = Work(flops=config.forward_flops(p.batch), bytes=config.forward_bytes(p.dtype))
    return Built(step, work, declared=Declared(memory_bytes=memory_bytes))
