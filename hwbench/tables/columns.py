"""The shapes of the columns that hold JSON. A text of another shape is damage, found when the run
is read; what the code uses of it has a type.

Keys that an older or newer hwbench stored beside these are left out.
"""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from hwbench.documents import walk
from hwbench.printable import one_line, storable
from hwbench.records import UserError

DEEPEST = 20
"""Levels of what has no shape of its own. An environment has five."""

MOST_CASES, MOST_PARAMS = 10_000, 1000
"""Of a plan, and of one of its cases. A page of as many cases takes minutes."""

LONGEST, LONGEST_PLAN = 1_000_000, 16_000_000
"""Letters of a text of JSON, and of a plan, which names all cases."""

LARGEST = 2**63 - 1
"""Of a column of whole numbers."""

LONGEST_S = 1e9
"""Thirty years. No measured time is longer."""

Number = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Processes = Annotated[int, Meta(ge=0, le=1_000_000)]
Positive = Annotated[float, Meta(gt=0, le=1e15)]
Rate = Annotated[float, Meta(ge=0, le=1e15)]
Seconds = Annotated[float, Meta(ge=0, le=LONGEST_S)]

Param = str | Number | float | bool | None
Params = Annotated[dict[str, Param], Meta(max_length=MOST_PARAMS)]
"""Of `measurements`: the case's parameters; with the same values the workload's choices."""

Notes = list[str]
"""Of `measurements`: "code: what happened"."""

Unknown = dict[str, str]
"""Of `profiles`: {"modules" | "memory" | "bytes": why they are unknown}."""

Shapes = list[list[Number] | str]
"""Of `ops`: the sizes of the tensors that go in, and how many more there are."""

Argv = list[str]
"""Of `runs`: the command line."""


class Work(Struct):
    """The work of a step or span; see records.Work."""

    tokens: Count | None = None
    flops: Count | None = None
    bytes: Count | None = None
    flops_full_attention: Count | None = None
    hardware_flops: Count | None = None


SpanWork = dict[str, Work]
"""Of `measurements`: by span, what all marks of that name do in a step."""


class SliceOf(Struct):
    """Of `measurements`: the whole that the case is a slice of; see records.Whole."""

    axis: str
    value: Annotated[int, Meta(ge=1, le=LARGEST)]
    work: Work = msgspec.field(default_factory=Work)


class Policy(Struct):
    """How the cases were to be measured; see records.Policy. None: the run does not say."""

    processes: Processes
    max_processes: Processes | None = None
    precision: Positive | None = None
    min_time_s: Seconds | None = None
    max_time_s: Seconds | None = None
    min_samples: Count | None = None
    timeout_s: Seconds | None = None
    seed: Count | None = None
    tdp_w: Positive | None = None
    budget_s: Seconds | None = None


class PlannedCase(Struct):
    """A case of the plan; see records.Case."""

    case_id: str
    workload: str
    params: Params
    dtype: str


class Plan(Struct):
    """Of `runs`: the policy and the cases, as they were before the first case started."""

    policy: Policy
    cases: Annotated[list[PlannedCase], Meta(max_length=MOST_CASES)]


class _Device(Struct):
    index: Count | None = None
    multiprocessors: Count | None = None
    kind: str | None = None
    usable_cores: Count | None = None


class _Cpu(Struct):
    cores: Count | None = None
    logical_cores: Count | None = None
    frequency_max_mhz: Rate | None = None
    vector_extensions: list[str] | None = None


class Environment(Struct):
    """Of `runs`: what the code uses of the machine and its software. All of it is shown."""

    device: _Device | None = None
    cpu: _Cpu | str | None = None
    variables: dict[str, str | None] | None = None


def decode(text: str, shape: Any, longest: int = LONGEST) -> Any:
    """What a text of JSON says, as `shape`. ValueError, in a few words, if it is no JSON, of
    another shape or too long.

    Python's own NaN and Infinity, which are no JSON, are null, and half a surrogate pair is
    escaped: older versions stored them.
    """
    if not isinstance(text, str):
        raise ValueError("a value is missing")
    if len(text) > longest:
        raise ValueError(f"{len(text):,} letters, more than {longest:,}")
    decoder = _decoder(shape)
    try:
        try:
            return decoder.decode(text)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return decoder.decode(json.dumps(_storable(json.loads(text))))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(one_line(str(error))[:200]) from error


def decode_facts(text: str, longest: int = LONGEST) -> dict[str, Any]:
    """What a text of JSON without a shape says. ValueError, in a few words, if it is no object,
    nested deeper than DEEPEST, or has a number beyond LARGEST."""
    content: dict[str, Any] = decode(text, dict[str, Any], longest)
    for _, value, depth in walk(content):
        if depth > DEEPEST:
            raise ValueError("nested too deep")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError("a number of more than 63 bits")
    return content


def decode_environment(text: str) -> dict[str, Any]:
    """All that an environment says. ValueError, in a few words, also if what the code uses of it is
    of another shape than Environment."""
    facts = decode_facts(text)
    decode(text, Environment)
    return facts


def decode_whole_plan(text: str) -> dict[str, Any]:
    """All that a plan says. ValueError, in a few words, if it is no object, nested too deep, or has
    a number beyond LARGEST."""
    return decode_facts(text, LONGEST_PLAN)


def decode_plan(text: str) -> Plan:
    """What the code uses of a plan. ValueError, in a few words, if it is of another shape."""
    plan: Plan = decode(text, Plan, LONGEST_PLAN)
    return plan


def decode_argv(text: str) -> list[str]:
    """The words of a command line. ValueError, in a few words, if it is of another shape."""
    words: list[str] = decode(text, Argv)
    return words


OF_A_RUN = {"environment": decode_environment, "argv": decode_argv, "plan": decode_plan}
"""The columns of `runs` that hold JSON, and how each is decoded."""


def encode(content: Any) -> str:
    """The text of JSON that `decode` reads. A number that is not finite becomes null; half a
    surrogate pair, as in a file's name that is no UTF-8, is escaped."""
    return json.dumps(_storable(content))


def damaged(where: Path, table: str, column: str, why: str) -> UserError:
    """The error for a column of a run's folder, or of a part, that holds what it cannot hold."""
    return UserError(f"{where}: column {column!r} of table {table!r} is damaged: {why}")


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def _storable(content: Any) -> Any:
    """The content with texts that a column can hold, and null for a number that is not finite."""
    if isinstance(content, str):
        return storable(content)
    if isinstance(content, Mapping):
        return {storable(str(name)): _storable(part) for name, part in content.items()}
    if isinstance(content, list | tuple):
        return [_storable(part) for part in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
