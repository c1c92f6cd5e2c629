"""What came out of a case in one process: its steps, spans, readings, telemetry and requests, and
the measurement that holds them."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from hwbench.records.case import Declared, Work
from hwbench.records.from_json import from_json
from hwbench.records.profile import Profile

Outcome = Literal["ok", "unsupported", "oom", "timeout", "error"]
TimerKind = Literal["device_event", "host"]

Method = Literal["counter", "integrated", "estimated"]
Grade = Literal["A", "B", "C"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

FAILED: frozenset[Outcome] = frozenset({"oom", "timeout", "error"})
"""Outcomes with which a run exits 1. `unsupported` is an answer, not a failure."""


@dataclass(frozen=True)
class Samples:
    """The steps of one process as columns of equal length. `step` counts from 0 and includes the
    warm-up."""

    step: list[int] = field(default_factory=list)
    warmup: list[bool] = field(default_factory=list)
    # on the process's own monotonic clock; None: unknown
    start_ns: list[int | None] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)
    # "" or "synced": the host waited for the device at each stamp
    flags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Spans:
    """The named parts of the steps as columns of equal length. `position` counts the marks of a
    step from 0."""

    step: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    span_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """What a meter measured over a window: one quantity of one scope.

    - `value`: None is unknown, and `reason` says why.
    - `scope`: gpu:N, package:N, dram:N, psys, process or system.
    - `span`: a part of the step; empty for all of it.
    - `uncertainty`: in the unit of the value. The true value lies within value ± uncertainty 19
      times in 20.
    - `grade`: A is a counter over 10 s or more; B a counter or an integral over 5 s or more; C is
      less than that, or an estimate.
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
    """What the meters showed over time, as columns of equal length. `time_ns` is on the clock of
    the samples."""

    time_ns: list[int] = field(default_factory=list)
    meter: list[str] = field(default_factory=list)
    scope: list[str] = field(default_factory=list)
    device_index: list[int | None] = field(default_factory=list)  # the N of gpu:N or package:N
    quantity: list[str] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    unit: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Requests:
    """The requests of a test under load, as columns of equal length.

    Times are nanoseconds on the load generator's own clock. `scheduled_ns` is when the request was
    to arrive, whether or not the server was ready. A query is what arrives at once: one request or
    several. The first of `new_tokens` was there at `first_token_ns`. `batch` requests were computed
    together.
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
    """The result of a test under load: its requests, and notes that make its figures doubtful."""

    requests: Requests
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """What the harness measured in one process: every step, and by the host's clock the time of all
    steps after the warm-up."""

    timer_kind: TimerKind
    samples: Samples
    spans: Spans
    window_s: float
    converged: bool  # the stopping rule ended the window before its time was up
    # of the steps after the warm-up; None: the device does not count it
    memory_peak_bytes: int | None = None
    # of building, compiling and the warm-up
    memory_build_peak_bytes: int | None = None
    begin_ns: int = 0  # of the steps after the warm-up, on the device's `now_ns`
    cut_short: bool = False  # the time limit of the process ended it

    @property
    def timed_s(self) -> list[float]:
        """The durations of the steps after the warm-up."""
        steps = zip(self.samples.step_s, self.samples.warmup, strict=True)
        return [step_s for step_s, warmup in steps if not warmup]

    @property
    def warmup_steps(self) -> int:
        return sum(self.samples.warmup)

    @property
    def timed_steps(self) -> int:
        return len(self.samples.step) - self.warmup_steps


@dataclass(frozen=True)
class Measurement:
    """The outcome of one case in one process. There is one whatever happened."""

    outcome: Outcome
    reason: str = ""
    work: Work = field(default_factory=Work)
    declared: Declared = field(default_factory=Declared)
    window: Window | None = None
    # in use before anything was built: the interpreter and its libraries
    memory_base_bytes: int | None = None
    compile_s: float | None = None
    loss: float | None = None  # what the last step returned, if that is a number
    # "code: what happened" for each fact that makes its figures doubtful
    notes: list[str] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    telemetry: Telemetry = Telemetry()
    requests: Requests = Requests()
    profile: Profile | None = None

    def as_json(self) -> dict[str, Any]:
        """The measurement as plain lists, dictionaries and numbers, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "Measurement":
        """The measurement that `as_json` took apart, here or in another version of hwbench.
        TypeError or ValueError if it is none."""
        return from_json(cls, content)
