"""Another tool's results in the nouns of hwbench.

What a file does not say stays unknown. Host names, users and paths stay out.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import wraps
from typing import Any, ParamSpec

from hwbench.identity import UNKNOWN_CPU, is_no_name
from hwbench.printable import storable
from hwbench.records import (
    Case,
    Measurement,
    Outcome,
    Param,
    Samples,
    Spans,
    TimerKind,
    Window,
    Work,
)
from hwbench.tables.columns import LARGEST
from hwbench.tables.importers.fields import Unusable, whole_number

DTYPE = "-"
"""These tools know nothing of number formats."""

UNUSABLE = "cannot be imported: "
"""Begins the reason of a process whose times make no measurement."""

P = ParamSpec("P")


@dataclass(frozen=True)
class Imported:
    """When and on what it was measured, and what came out: one measurement for each process of a
    case, in order."""

    started_at: str  # ISO 8601, UTC
    device_kind: str
    device_name: str
    environment: Mapping[str, Any]
    measured: list[tuple[Case, Measurement]] = field(repr=False)


def imported(
    measured: list[tuple[Case, Measurement]],
    device: Mapping[str, Any],
    cpu: Mapping[str, Any],
    started_at: datetime | None,
    **more: Any,
) -> Imported:
    """The results on `device` of a machine with this `cpu` (see `processor`), `more` for the
    environment. A file that does not say when it was measured counts as of now."""
    host = {name: fact for name, fact in cpu.items() if name != "kind"}
    environment = {"device": dict(device), "cpu": host, **_facts(more)}
    at = (started_at or datetime.now(UTC)).isoformat(timespec="seconds")
    return Imported(at, device["kind"], device["name"], environment, measured)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, None for what is neither a text nor true or false."""
    return {name: _fact(value) for name, value in facts.items()}


def _fact(value: Any) -> Any:
    if isinstance(value, dict):
        return _facts(value)
    if isinstance(value, str):
        return storable(value) or None
    return value if isinstance(value, bool) else None


def processor(name: Any, logical_cores: Any, **identity: Any) -> dict[str, Any]:
    """The CPU as a device. A tool that times on the host measures it, whatever else the code may
    use. An architecture is no name. `identity` is its vendor, family and model, where a file has
    them."""
    is_name = isinstance(name, str) and not is_no_name(name)
    facts = {key: fact for key, fact in identity.items() if type(fact) in (str, int)}
    return {
        "kind": "cpu",
        "name": storable(name) if is_name else UNKNOWN_CPU,
        "logical_cores": whole_number(logical_cores),
        **{key: storable(str(fact)) for key, fact in facts.items()},
    }


def case_of(name: str, params: Mapping[str, Any]) -> Case:
    """The case of this name and these parameters, as Parquet can hold them."""
    stored = {storable(key): _param(value) for key, value in params.items()}
    return Case(storable(name), stored, DTYPE)


def _param(value: Any) -> Param:
    """A parameter as it is, or as JSON where it is more than a word or a number of a column."""
    if value is None or (isinstance(value, int) and abs(value) <= LARGEST):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return storable(value if isinstance(value, str) else json.dumps(value))


def measurement(
    times: list[float],
    warmups: Sequence[float] = (),
    work: Work | None = None,
    timer_kind: TimerKind = "host",
    memory_peak_bytes: int | None = None,
) -> Measurement:
    """One process of these steps, in seconds. When each step began is not known, and the stopping
    rule was the other tool's own."""
    count = len(warmups) + len(times)
    samples = Samples(
        step=list(range(count)),
        warmup=[True] * len(warmups) + [False] * len(times),
        start_ns=[None] * count,
        step_s=[*warmups, *times],
        flags=[""] * count,
    )
    window_s = math.fsum(times)
    window = Window(timer_kind, samples, Spans(), window_s, True, memory_peak_bytes)
    return Measurement("ok", work=work or Work(), window=window)


def row_if_unusable(process: Callable[P, Measurement]) -> Callable[P, Measurement]:
    """Let a function that reads a process return an `unsupported` one, with the reason, where its
    times make no measurement: what else is in the file is imported all the same."""

    @wraps(process)
    def read(*args: P.args, **kwargs: P.kwargs) -> Measurement:
        try:
            return process(*args, **kwargs)
        except Unusable as reason:
            return failure("unsupported", f"{UNUSABLE}{reason}")

    return read


def is_unusable(measurement: Measurement) -> bool:
    """Whether it is of a process whose times make no measurement."""
    return measurement.outcome == "unsupported" and measurement.reason.startswith(UNUSABLE)


def failure(outcome: Outcome, reason: str) -> Measurement:
    """A process that measured nothing, and why, in one line."""
    return Measurement(outcome, storable(" ".join(reason.split())))


def moment(text: Any, zone: tzinfo | None, formats: Sequence[str] = ()) -> datetime | None:
    """The moment of a text in ISO 8601, or in one of the `formats` of strptime; None if it is none.

    `zone` is what the tool means by a time without one, None the local time of this machine.
    """
    for form in (None, *formats):
        try:
            time = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
            return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            continue
    return None
