"""What is measured: a case, its work, how long, and the run that it belongs to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

Param = str | int | float | bool | None


@dataclass(frozen=True)
class Case:
    """A workload with its parameters and dtype, without the device: the same case on CPU and GPU is
    the same case."""

    workload: str
    params: Mapping[str, Param]
    dtype: str

    @property
    def case_id(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over the canonical JSON of workload, parameters and
        dtype.

        Parameters that are off (False) or left to the workload (None) are not part of it, so that a
        workload may get a new axis and its cases remain what they were.
        """
        said = {
            name: value
            for name, value in self.params.items()
            if value is not None and value is not False
        }
        canonical = json.dumps(
            [self.workload, said, self.dtype], sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return case_label(self.workload, self.params, self.dtype)


def case_label(workload: str, params: Mapping[str, Param], dtype: str) -> str:
    """A case in a few words: parameters that are off or left at "all" are not spelled out."""
    words = [
        f"{k}={v}" if v is not True else k
        for k, v in params.items()
        if v is not None and v is not False
    ]
    return " ".join([workload, *words, dtype])


@dataclass(frozen=True)
class Work:
    """What one step does; None is not declared.

    `flops` are model FLOPs (causal attention, no recomputation); `bytes` are the fewest it must
    move. `flops_full_attention` are the same with every pair of tokens counted, hidden or not, as
    published figures do; `hardware_flops` are the model FLOPs and what the step computes again to
    save memory.
    """

    tokens: int | None = None
    flops: int | None = None
    bytes: int | None = None
    flops_full_attention: int | None = None
    hardware_flops: int | None = None

    def __post_init__(self) -> None:
        """ValueError unless each is None or a whole number that a 64-bit column holds."""
        for name, value in vars(self).items():
            if value is None:
                continue
            if not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
                raise ValueError(
                    f"Work({name}={value!r}): expected a whole number from 0 to 2**63 - 1, or None"
                )
            object.__setattr__(self, name, int(value))  # numpy's integers are no JSON


@dataclass(frozen=True)
class Whole:
    """What a case is a slice of: with `axis` at `value` it would be the whole, one step of which
    does `work`."""

    axis: str
    value: int
    work: Work = Work()


@dataclass(frozen=True)
class Declared:
    """What a workload says of itself beyond its work, for the tables.

    `spans` is what all marks of one name do together in a step; `choices` what it settled for where
    it had a choice (an attention backend, the shape of a matmul); `memory_bytes` the most that it
    should hold at once, model and data and workspace, without the interpreter and its libraries;
    `slice_of` the whole that the case is a part of.
    """

    spans: Mapping[str, Work] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int | None = None
    slice_of: Whole | None = None


@dataclass(frozen=True)
class Policy:
    """How long and how often to measure: `processes` fresh processes a case, each with one window
    of timed steps.

    `precision` is the half-width, relative to the median, that an interval must have: that of a
    window's median step for the window to end, and that over a case's processes for it to get no
    more of them, up to `max_processes`. With `budget_s` every case has one process, and then as
    many as there is time for (see rounds).
    """

    processes: int = 5
    max_processes: int = 10
    precision: float = 0.01
    min_time_s: float = 2.0
    max_time_s: float = 30.0
    min_samples: int = 10
    timeout_s: float = 900.0
    seed: int = 0
    tdp_w: float | None = None  # what all processors take at most, for an estimate of their power
    budget_s: float | None = None  # what all of a run may take; None: as long as its processes last


@dataclass(frozen=True)
class Run:
    """One execution of the command line, described before its first case starts."""

    run_id: str
    started_at: str  # ISO 8601, UTC
    label: str
    device_kind: str
    device_name: str
    environment: Mapping[str, Any]
    argv: list[str]
    plan: Mapping[str, Any]
