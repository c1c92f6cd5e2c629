"""Refuse, before anything is allocated, a step whose predicted memory a device does not have."""

from hwbench.accounts.memory import Training
from hwbench.devices.protocol import TorchDevice


def require_training(device: TorchDevice, training: Training) -> int:
    """Return the bytes that `device` will count at the peak of a training step.

    Unsupported if it has fewer.
    """
    predicted = device.footprint_bytes(training.peak, training.kept, training.gradients)
    device.require_memory(predicted)
    return predicted


def require_bytes(device: TorchDevice, tensor_bytes: int) -> int:
    """Return the bytes that `device` will count while tensors of `tensor_bytes` are there.

    Unsupported if it has fewer.
    """
    predicted = device.footprint_bytes(tensor_bytes)
    device.require_memory(predicted)
    return predicted
