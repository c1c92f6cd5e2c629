"""Which devices this machine has, and opening one.

One module a family: `cpu`, `accelerator` (everything behind `torch.accelerator`: CUDA and ROCm,
XPU, TPU), `mps`, and `fake`, which has a clock of its own and needs no hardware. All choices by
kind of device end in this package.
"""

import re
from importlib import import_module
from types import ModuleType

from hwbench.devices.protocol import Device, TorchDevice
from hwbench.errors import UserError

__all__ = ["Device", "TorchDevice", "available", "open_device", "resolve"]

SPEC = re.compile(r"(auto|cpu|cuda|mps|xpu|tpu|fake)(?::(\d+))?")
"""What `--device` takes: a kind, with an index for the kinds that a machine may have several of."""

FAMILIES = {
    "cuda": "accelerator",
    "xpu": "accelerator",
    "tpu": "accelerator",
    "mps": "mps",
    "cpu": "cpu",
}
"""The module of each kind, the best kind first: the order in which `auto` looks."""


def available() -> dict[str, str]:
    """The devices that are here, as {spec: name}, the best first. Opens none of them."""
    found: dict[str, str] = {}
    for kind, family in FAMILIES.items():
        found |= _family(family).available(kind)
    return found


def resolve(spec: str) -> str:
    """The one device that `spec` means here, e.g. `auto` → `cuda:0`.

    UserError if `spec` is no device's name or if this machine has no such device; it says what
    there is.
    """
    match = SPEC.fullmatch(spec)
    if not match:
        raise UserError(
            f"unknown device {spec!r}; expected auto, cpu, cuda, cuda:N, mps, xpu or tpu"
        )
    if match[1] == "fake":
        return "fake"
    here = available()
    if match[1] == "auto" and not match[2]:
        return next(iter(here))
    wanted = next((name for name in here if name == spec or name.partition(":")[0] == spec), None)
    if wanted is None:
        listed = ", ".join(f"{name} ({what})" for name, what in here.items())
        cure = (
            _family(FAMILIES[match[1]]).cure(match[1])
            if match[1] in FAMILIES
            else "Use --device auto."
        )
        raise UserError(f"no device {spec} here; there is {listed}. {cure}")
    return wanted


def open_device(spec: str) -> Device:
    """Open the device of a resolved `spec`; the current process computes on it from now on."""
    kind = spec.partition(":")[0]
    device: Device = _family(FAMILIES.get(kind, kind)).open_device(spec)
    return device


def _family(name: str) -> ModuleType:
    return import_module(f"hwbench.devices.{name}")
