"""The devices of this machine: listed, resolved from what a user writes, and opened.

One module a family: `cpu`, `accelerator` (everything behind `torch.accelerator`: CUDA and ROCm,
XPU, TPU), `mps`, and `fake`, which has its own clock and needs no hardware. Only this package
treats kinds of devices differently.
"""

import re
from importlib import import_module
from types import ModuleType

from hwbench.devices.protocol import Device, TorchDevice
from hwbench.errors import UserError

__all__ = ["Device", "TorchDevice", "available", "open_device", "resolve"]

SPEC = re.compile(r"(auto|cpu|cuda|mps|xpu|tpu|fake)(?::(\d+))?")
"""What `--device` accepts: a kind, with an index where a machine may have several of it."""

FAMILIES = {
    "cuda": "accelerator",
    "xpu": "accelerator",
    "tpu": "accelerator",
    "mps": "mps",
    "cpu": "cpu",
}
"""The module of each kind, in the order in which `auto` looks for a device."""


def available() -> dict[str, str]:
    """The devices of this machine, as {spec: name}, the best first. Opens none of them."""
    names: dict[str, str] = {}
    for kind, family in FAMILIES.items():
        names |= _family(family).available(kind)
    return names


def resolve(spec: str) -> str:
    """The device that `spec` means on this machine, e.g. `auto` → `cuda:0`.

    UserError if `spec` is not the name of a device, or if this machine has no such device; it lists
    those that there are.
    """
    match = SPEC.fullmatch(spec)
    if not match:
        raise UserError(
            f"unknown device {spec!r}; expected auto, cpu, cuda, cuda:N, mps, xpu or tpu"
        )
    if match[1] == "fake":
        return "fake"
    names = available()
    if match[1] == "auto" and not match[2]:
        return next(iter(names))
    for name in names:
        if spec in (name, name.partition(":")[0]):
            return name
    listed = ", ".join(f"{name} ({model})" for name, model in names.items())
    raise UserError(f"no device {spec} here; there is {listed}. {_cure(match[1])}")


def _cure(kind: str) -> str:
    if kind not in FAMILIES:
        return "Use --device auto."
    return str(_family(FAMILIES[kind]).cure(kind))


def open_device(spec: str) -> Device:
    """Open the device of a resolved `spec` and make it the one that this process computes on."""
    kind = spec.partition(":")[0]
    device: Device = _family(FAMILIES.get(kind, kind)).open_device(spec)
    return device


def _family(name: str) -> ModuleType:
    return import_module(f"hwbench.devices.{name}")
