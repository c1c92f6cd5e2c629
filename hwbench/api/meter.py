"""Measure the energy that a block of Python code takes."""

import math
from collections.abc import Iterable
from types import TracebackType

import pandas as pd

from hwbench import devices
from hwbench.errors import UserError
from hwbench.meters.block import MeteredBlock
from hwbench.records import Grade, Reading


class meter:  # lower case, as it reads like a function: `with hwbench.meter() as m:`
    """Measure energy and power of a device over a `with` block.

        with hwbench.meter(device="cuda:0") as m:
            train()
        print(m.energy_j, m.uncertainty, m.grade)

    `device` is what `--device` takes (auto, cpu, cuda:N, …) or a torch.device; work that was queued
    on it is waited for at both ends of the block. `tdp_w`, the watts that all processors take at
    most, allows an estimate where nothing counts a CPU's energy. UserError if there is no such
    device. After the block:

    `energy_j` (J) of the device; None if it is not known, and `reason` then says why and what
    cures it. `power_w` (W): its mean. `uncertainty` (J): the truth lies within energy_j ±
    uncertainty 19 times in 20. `grade`: A, a counter over 10 s or more; B, a counter or an
    integral of power over 5 s or more; C, less, or an estimate. `duration_s` (s). `readings`, a
    DataFrame of all that the meters said, the host beside a GPU too; `notes`, what may disturb
    the figures (`code: what happened`), such as throttling.
    """

    def __init__(self, device: object = "auto", *, tdp_w: float | None = None) -> None:
        if tdp_w is not None and not (_is_number(tdp_w) and 0 < tdp_w < 1e6):
            raise UserError(f"tdp_w = {tdp_w!r}: expected watts above 0, such as 65")
        self._device = devices.open_device(devices.resolve(str(device)))
        self._tdp_w = tdp_w
        self._forget()

    def _forget(self) -> None:
        """Nothing is known before a block has ended; another one may have gone before it."""
        self.duration_s: float | None = None
        self.energy_j: float | None = None
        self.power_w: float | None = None
        self.uncertainty: float | None = None
        self.grade: Grade | None = None
        self.reason = "the block has not ended yet"
        self.readings = pd.DataFrame()
        self.notes: list[str] = []

    def __enter__(self) -> "meter":
        self._forget()
        meters = self._device.meters(self._tdp_w)
        self._block = MeteredBlock(meters, self._device.now_ns, self._device.synchronize)
        self._block.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._block.__exit__(kind, error, trace)
        readings = self._block.readings()
        self.duration_s = self._block.elapsed_s
        self.notes = self._block.notes()
        self.readings = pd.DataFrame([vars(reading) for reading in readings])
        self._take(readings)

    def _take(self, readings: list[Reading]) -> None:
        """Sum the readings of the device's own scopes: all GPUs it uses, or all packages."""
        own = self._device.energy_scope
        of_device = [one for one in readings if one.scope.partition(":")[0] == own]
        energies = [one for one in of_device if one.quantity == "energy"]
        unknown = [one.reason for one in energies if one.value is None]
        if unknown or not energies:
            self.reason = unknown[0] if unknown else f"no meter of a {own} here"
            return
        self.reason = ""
        self.energy_j = _sum(one.value for one in energies)
        self.power_w = _sum(one.value for one in of_device if one.quantity == "power")
        self.uncertainty = _sum(one.uncertainty for one in energies)
        self.grade = max(one.grade for one in energies if one.grade)

    def __repr__(self) -> str:
        if self.energy_j is None:
            return f"<hwbench meter: energy unknown: {self.reason}>"
        return (
            f"<hwbench meter: {self.energy_j:.4g} ± {self.uncertainty:.2g} J, grade {self.grade}>"
        )


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None if one of the values is not known."""
    known = list(values)
    return None if None in known else math.fsum(value for value in known if value is not None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
