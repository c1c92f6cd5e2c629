"""What is measured: a case, its work, the policy, and the run that it belongs to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

Param = str | int | float | bool | None


@dataclass(frozen=True)
class Case:
    """A workload with its parameters and dtype. The device is not part of it, so the same case can
    be compared on a CPU and a GPU."""

    workload: str
    params: Mapping[str, Param]
    dtype: str

    @property
    def case_id(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over the canonical JSON of workload, parameters and
        dtype.

        Parameters that are off (False) or left to the workload (None) do not count. So a workload
        can get a new axis without changing the ids of its cases.
        """
        content = [self.workload, _set_params(self.params), self.dtype]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return case_label(self.workload, self.params, self.dtype)


def case_label(workload: str, params: Mapping[str, Param], dtype: str) -> str:
    """A case in a few words, without parameters that are off or left to the workload."""
    known = _set_params(params)
    words = [name if value is True else f"{name}={value}" for name, value in known.items()]
    return " ".join([workload, *words, dtype])


def _set_params(params: Mapping[str, Param]) -> dict[str, Param]:
    """The parameters that are neither off nor left to the workload."""
    return {
        name: value for name, value in params.items() if value is not None and value is not False
    }


@dataclass(frozen=True)
class Work:
    """The work of one step. None: the workload does not declare it.

    - `flops`: model FLOPs (causal attention, no recomputation).
    - `bytes`: the fewest bytes that the step must move.
    - `flops_full_attention`: model FLOPs with every pair of tokens counted, as published figures
      do.
    - `hardware_flops`: model FLOPs and those that the step computes again to save memory.
    """

    tokens: int | None = None
    flops: int | None = None
    bytes: int | None = None
    flops_full_attention: int | None = None
    hardware_flops: int | None = None

    def __post_init__(self) -> None:
        """ValueError unless each field is None or a whole number that a 64-bit column can hold."""
        for name in vars(self):
            _check_amount(self, name)


def _check_amount(noun: object, name: str) -> None:
    """Make a field of a frozen dataclass a plain int. ValueError unless it is None or a whole
    number that a 64-bit column can hold."""
    value = getattr(noun, name)
    if value is None:
        return
    if not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise ValueError(
            f"{type(noun).__name__}({name}={value!r}): expected a whole number from 0 to 2**63 - 1,"
            " or None"
        )
    object.__setattr__(noun, name, int(value))  # JSON knows no integers of numpy


@dataclass(frozen=True)
class Whole:
    """The whole that a case is a slice of: the case with `axis` at `value`. One step of the whole
    does `work`."""

    axis: str
    value: int
    work: Work = Work()


@dataclass(frozen=True)
class Declared:
    """What a workload declares beyond its work.

    - `spans`: the work of each span in a step; all marks of one name count together.
    - `choices`: what the workload chose (an attention backend, the shape of a matmul).
    - `memory_bytes`: the most memory that it should hold at once: model, data and workspace,
      without the interpreter and its libraries.
    - `slice_of`: the whole that the case is a part of.
    """

    spans: Mapping[str, Work] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int | None = None
    slice_of: Whole | None = None

    def __post_init__(self) -> None:
        """ValueError for what the result tables cannot hold."""
        for name, value in self.choices.items():
            if not (isinstance(name, str) and isinstance(value, Param)):
                raise ValueError(f"Declared(choices={{{name!r}: {value!r}}}): expected a text")
        _check_amount(self, "memory_bytes")


@dataclass(frozen=True)
class Policy:
    """How long and how often to measure: `processes` fresh processes for each case, each with one
    window of timed steps.

    `precision` is a half-width relative to the median. A window ends when the interval of its
    median step is as narrow. A case gets no more processes when the interval over its processes is
    as narrow, and at most `max_processes`. With `budget_s` every case gets one process, and then as
    many as there is time for (see `rounds`).
    """

    processes: int = 5
    max_processes: int = 10
    precision: float = 0.01
    min_time_s: float = 2.0
    max_time_s: float = 30.0
    min_samples: int = 10
    timeout_s: float = 900.0
    seed: int = 0
    tdp_w: float | None = None  # the power limit of all processors, for estimates
    budget_s: float | None = None  # the time for the whole run; None: no limit


@dataclass(frozen=True)
class Run:
    """One execution of a command that measures, as it is before its first case starts."""

    run_id: str
    started_at: str  # ISO 8601, UTC
    label: str
    device_kind: str
    device_name: str
    environment: Mapping[str, Any]
    argv: list[str]
    plan: Mapping[str, Any]
