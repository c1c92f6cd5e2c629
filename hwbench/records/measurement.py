"""The nouns of hwbench: what is measured and what came out.

Frozen dataclasses on the standard library (and `profiled`) alone, so that every other module may build on them.
Units stand in the names: `_s` seconds, `_ns` nanoseconds, `_bytes` bytes. None means unknown, never zero.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from typing import Any, Literal, get_args

from hwbench.records.profile import Profile

Param = str | int | float | bool | None
Outcome = Literal["ok", "unsupported", "oom", "timeout", "error"]
TimerKind = Literal["device_event", "host"]

Method = Literal["counter", "integrated", "estimated"]
Grade = Literal["A", "B", "C"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

FAILED: frozenset[Outcome] = frozenset({"oom", "timeout", "error"})
"""Outcomes that make a run exit 1. `unsupported` is an answer, not a failure."""


class UserError(ValueError):
    """Something the user can cure: one line that says what is wrong and what to do. The command exits with 2."""


class Unsupported(Exception):
    """Raised by a device or a workload that cannot run a case here; the case becomes a row with this reason."""


@dataclass(frozen=True)
class Case:
    """A workload with its parameters and dtype, without the device: the same case on CPU and GPU is the same case."""

    workload: str
    params: Mapping[str, Param]
    dtype: str

    @property
    def case_id(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over the canonical JSON of workload, parameters and dtype.

        Parameters that are off (False) or left to the workload (None) are not part of it, so that a workload may get
        a new axis and its cases remain what they were.
        """
        said = {name: value for name, value in self.params.items() if value is not None and value is not False}
        canonical = json.dumps([self.workload, said, self.dtype], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return case_label(self.workload, self.params, self.dtype)


def case_label(workload: str, params: Mapping[str, Param], dtype: str) -> str:
    """A case in a few words: parameters that are off or left at "all" are not spelled out."""
    words = [f"{k}={v}" if v is not True else k for k, v in params.items() if v is not None and v is not False]
    return " ".join([workload, *words, dtype])


@dataclass(frozen=True)
class Work:
    """What one step does; None is not declared.

    `flops` are model FLOPs (causal attention, no recomputation); `bytes` are the fewest it must move.
    `flops_full_attention` are the same with every pair of tokens counted, hidden or not, as published figures do;
    `hardware_flops` are the model FLOPs and what the step computes again to save memory.
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
                raise ValueError(f"Work({name}={value!r}): expected a whole number from 0 to 2**63 - 1, or None")
            object.__setattr__(self, name, int(value))  # numpy's integers are no JSON


@dataclass(frozen=True)
class Whole:
    """What a case is a slice of: with `axis` at `value` it would be the whole, one step of which does `work`."""

    axis: str
    value: int
    work: Work = Work()


@dataclass(frozen=True)
class Declared:
    """What a workload says of itself beyond its work, for the tables.

    `spans` is what all marks of one name do together in a step; `choices` what it settled for where it had a choice
    (an attention backend, the shape of a matmul); `memory_bytes` the most that it should hold at once, model and data
    and workspace, without the interpreter and its libraries; `slice_of` the whole that the case is a part of.
    """

    spans: Mapping[str, Work] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int | None = None
    slice_of: Whole | None = None


@dataclass(frozen=True)
class Policy:
    """How long and how often to measure: `processes` fresh processes a case, each with one window of timed steps.

    `precision` is the half-width, relative to the median, that an interval must have: that of a window's median step
    for the window to end, and that over a case's processes for it to get no more of them, up to `max_processes`. With
    `budget_s` every case has one process, and then as many as there is time for (see rounds).
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
class Samples:
    """The timed steps of one process, as columns of equal length. `step` counts from 0, warm-up steps included."""

    step: list[int] = field(default_factory=list)
    warmup: list[bool] = field(default_factory=list)
    start_ns: list[int | None] = field(default_factory=list)  # on the process's own monotonic clock; None: unknown
    step_s: list[float] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)  # "" or "synced": the host waited for the device at each stamp


@dataclass(frozen=True)
class Spans:
    """The named parts of the steps, as columns of equal length. `position` counts the marks of one step from 0."""

    step: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    span_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """What a meter says of a window, once a quantity and scope. `value` None is unknown; `reason` then says why.

    `scope` is gpu:N, package:N, dram:N, psys, process or system; `span` names a part of the step, empty for all of it.
    `uncertainty` is in the unit of the value: the truth lies within value ± uncertainty 19 times in 20. `grade`: A, a
    counter over 10 s or more; B, a counter or an integral over 5 s or more; C, less, or an estimate.
    """

    meter: str
    scope: str
    quantity: str
    value: float | None
    unit: str
    method: Method | None
    window_s: float
    uncertainty: float | None = None
    grade: Grade | None = None
    reason: str = ""
    span: str = ""


@dataclass(frozen=True)
class Telemetry:
    """What the meters showed over time, as columns of equal length; `time_ns` is on the clock of the samples."""

    time_ns: list[int] = field(default_factory=list)
    meter: list[str] = field(default_factory=list)
    scope: list[str] = field(default_factory=list)
    device_index: list[int | None] = field(default_factory=list)  # the number in the scope
    quantity: list[str] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    unit: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Requests:
    """What became of each request of a test under load, as columns of equal length; times in nanoseconds on the load
    generator's own clock, `scheduled_ns` being when the request was to arrive, whether or not anybody was ready.

    A query is what arrives at once: one request, or several. The first of `new_tokens` was there at `first_token_ns`;
    `batch` requests were computed together.
    """

    request: list[int] = field(default_factory=list)
    query: list[int] = field(default_factory=list)
    scheduled_ns: list[int] = field(default_factory=list)
    issued_ns: list[int] = field(default_factory=list)
    first_token_ns: list[int | None] = field(default_factory=list)
    done_ns: list[int] = field(default_factory=list)
    prompt_tokens: list[int | None] = field(default_factory=list)
    new_tokens: list[int | None] = field(default_factory=list)
    batch: list[int | None] = field(default_factory=list)


@dataclass(frozen=True)
class Served:
    """What a test under load came to: its requests, and as notes what its figures may be doubted for."""

    requests: Requests
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """What the harness measured in one process: every step, and the host's time over the steps after warm-up."""

    timer_kind: TimerKind
    samples: Samples
    spans: Spans
    window_s: float
    converged: bool  # the stopping rule had what it asked for before its time was up
    memory_peak_bytes: int | None = None  # in the steps after warm-up; None where the device keeps no such count
    memory_build_peak_bytes: int | None = None  # before them: as the workload was built, compiled and warmed up
    begin_ns: int = 0  # of the steps after warm-up, on the device's `now_ns`
    cut_short: bool = False  # the time limit of the process ended it, and nothing else

    @property
    def timed_s(self) -> list[float]:
        """The durations of the steps after warm-up."""
        return [s for s, warmup in zip(self.samples.step_s, self.samples.warmup, strict=True) if not warmup]

    @property
    def warmup_steps(self) -> int:
        return sum(self.samples.warmup)

    @property
    def timed_steps(self) -> int:
        return len(self.samples.step) - self.warmup_steps


@dataclass(frozen=True)
class Measurement:
    """The outcome of one case in one process: a row, whatever happened."""

    outcome: Outcome
    reason: str = ""
    work: Work = Work()
    declared: Declared = Declared()
    window: Window | None = None
    memory_base_bytes: int | None = None  # in use before anything was built: the interpreter and its libraries
    compile_s: float | None = None
    loss: float | None = None  # what the last step returned, where that is a number
    notes: list[str] = field(default_factory=list)  # `code: what happened`, for all that makes its figures doubtful
    readings: list[Reading] = field(default_factory=list)
    telemetry: Telemetry = Telemetry()
    requests: Requests = Requests()
    profile: Profile | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers, as one process hands them to another."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Measurement":
        """The measurement that `as_json` took apart. Another version's fields, which say nothing here, are left out."""
        window = content["window"]
        if window:
            columns = {name: noun(**_known(noun, window[name])) for name, noun in _COLUMNS.items()}
            window = Window(**_known(Window, {**window, **columns}))
        parts = {
            "work": Work(**_known(Work, content["work"])),
            "declared": _declared(content.get("declared", {})),
            "window": window,
            "readings": [Reading(**_known(Reading, reading)) for reading in content.get("readings", [])],
            "telemetry": Telemetry(**_known(Telemetry, content.get("telemetry", {}))),
            "requests": Requests(**_known(Requests, content.get("requests", {}))),
            "profile": Profile.from_json(content["profile"]) if content.get("profile") else None,
        }
        return cls(**_known(cls, {**content, **parts}))


_COLUMNS: dict[str, type[Samples | Spans]] = {"samples": Samples, "spans": Spans}


def _declared(content: dict[str, Any]) -> Declared:
    known = _known(Declared, content)
    spans = {name: Work(**_known(Work, work)) for name, work in known.pop("spans", {}).items()}
    whole = known.pop("slice_of", None)
    if whole:
        whole = Whole(**_known(Whole, {**whole, "work": Work(**_known(Work, whole["work"]))}))
    return Declared(spans, slice_of=whole, **known)


def _known(noun: type, content: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(noun)}
    return {name: value for name, value in content.items() if name in names}


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
