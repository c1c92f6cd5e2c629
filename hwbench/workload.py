"""What a workload is and how one is declared.

A workload is a function `build(p, device) -> Built` under `@workload(name, axis=[defaults], …)`.
Building is untimed; the step it returns is what gets timed. Workloads come from three places: the
built-in package `workloads`, the entry-point group `hwbench.workloads` of installed packages, and
files given as `--workloads FILE`.
"""

import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hwbench.formats import AUTO
from hwbench.inputs import shortened, unknown
from hwbench.records import Declared, Param, Served, UserError, Work

DTYPES = ("fp32", "bf16", "fp16", "tf32", "fp8", "int8")
"""Names of number formats, as the field writes them. Which of them run is for the device and the
workload to say."""

LARGEST = "max"
"""The word for the largest value of an axis that fits; see sizing."""

Mark = Callable[[str], None]
"""`mark(name)` drops a timestamp that ends the span `name`; it never makes the host wait for the
device."""

Step = Callable[[Mark], object]

Fit = Callable[[Mapping[str, Param], Collection[str]], Mapping[str, Param]]
"""`fit(params, named)`: the values that axes outside of `named` take instead of their default,
where a case of these parameters cannot have that (a sequence longer than the model's positions).
What is in `named` was asked for."""


@dataclass(frozen=True)
class Built:
    """A workload made ready: the step to time, what one step does, whether its first call compiles
    something, and what else is to be told of it.

    `first_is_longer`: the first call of the step does more than a step, beyond compiling.
    `least_s`: what a step takes at least, where that is set and not found out. With `served` the
    step is a whole test under load, made warm as it was built: it is run once, with nothing before
    it, and `served` then tells what became of its requests. `model`, a `torch.nn.Module`, lets a
    profile tell the model's parts apart.
    """

    step: Step
    work: Work = field(default_factory=Work)
    compiled: bool = False
    declared: Declared = field(default_factory=Declared)
    first_is_longer: bool = False
    least_s: float | None = None
    served: Callable[[], Served] | None = None
    model: object = None


@dataclass(frozen=True)
class Axis:
    """One parameter of a workload: its default values and what else it may be.

    `kind` is the type of a value. Integers lie between `minimum` and `maximum`; strings among
    `choices` where given. A default of None means "all" (of the layers, say) or "auto" (the
    workload's own choice) and may be asked for by those words. An axis of kind bool is off or on;
    with `choices` it may also be on in one of those ways. One of kind float lies above `above`,
    where that is given, and with `choices` it may also be one of those words. `check` raises
    UserError for a string that cannot be meant, where no list of choices could say so. `largest`
    says that memory grows with an integer axis, so that `max` may be asked for, the largest value
    that fits.
    """

    defaults: tuple[Param, ...]
    kind: type
    choices: tuple[str, ...] = ()
    minimum: int = 1
    maximum: int = 1 << 20
    above: float | None = None
    check: Callable[[str], None] | None = None
    largest: bool = False

    def parse(self, name: str, text: str) -> Param:
        """The value that `text` stands for. UserError if it is not one of this axis."""
        word, text = text.strip(), shortened(text)
        if None in self.defaults and word.lower() in ("all", "none", "auto"):
            return None
        if self.largest and word.lower() == LARGEST:
            return LARGEST
        if self.kind is bool:
            if word in self.choices:
                return word
            if word.lower() not in ("true", "false"):
                raise UserError(
                    f"{name}={text}: expected {', '.join(('true', *self.choices))} or false"
                )
            return word.lower() == "true"
        if self.kind is int:
            if not re.fullmatch(r"[+-]?[0-9]{1,30}", word):
                also = f", or {LARGEST}" if self.largest else ""
                raise UserError(f"{name}={text}: expected a whole number{also}")
            if not self.minimum <= int(word) <= self.maximum:
                raise UserError(
                    f"{name}={text}: expected a number from {self.minimum} to {self.maximum}"
                )
            return int(word)
        if self.kind is float:
            return word if word in self.choices else self._number(name, word, text)
        if self.choices and word not in self.choices:
            raise UserError(f"{name}={text}: " + unknown("value", word, self.choices))
        if self.check:
            self.check(word)
        return word

    def _number(self, name: str, word: str, text: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (self.above is not None and value <= self.above):
            bound = "" if self.above is None else f" above {self.above:g}"
            raise UserError(
                f"{name}={text}: expected {', '.join(('a number' + bound, *self.choices))}"
            )
        return value


def axis(
    *defaults: Param,
    kind: type | None = None,
    choices: Sequence[str] = (),
    minimum: int = 1,
    maximum: int = 1 << 20,
    above: float | None = None,
    check: Callable[[str], None] | None = None,
    largest: bool = False,
) -> Axis:
    """An axis with more to say than a list of defaults: `choices` of words or a `check`, bounds of
    numbers, a default None, or that it may be as large as memory allows."""
    known = [type(value) for value in defaults if value is not None]
    of = kind or (known[0] if known else str)
    return Axis(tuple(defaults), of, tuple(choices), minimum, maximum, above, check, largest)


@dataclass(frozen=True)
class Workload:
    """A declared workload. `origin` says where it came from: a module's name or a file's path."""

    name: str
    build: Callable[[Any, Any], Built]
    axes: Mapping[str, Axis]
    summary: str
    origin: str
    fit: Fit | None = None


def workload(
    name: str, *, fit: Fit | None = None, **axes: Sequence[Param] | Axis
) -> Callable[[Callable[[Any, Any], Built]], Workload]:
    """Declare a workload: `@workload("gpt/train", size=["124m"], batch=[8], dtype=["auto"])`.

    Each axis is a list of default values, or an `axis(…)` where choices or bounds are to be
    checked. An axis `dtype` is always there, fp32 if not given; `auto` is the fastest format that
    the device has natively. `fit` shortens defaults that do not go together. The function's first
    docstring line is the summary that `hwbench list` shows.
    """

    def declare(build: Callable[[Any, Any], Built]) -> Workload:
        full = {
            key: value if isinstance(value, Axis) else axis(*value) for key, value in axes.items()
        }
        dtype = full.pop("dtype", axis("fp32"))
        full["dtype"] = Axis(dtype.defaults, str, (*(dtype.choices or DTYPES), AUTO))
        summary = (inspect.getdoc(build) or "").partition("\n")[0]
        return Workload(name, build, full, summary, build.__module__, fit)

    return declare


def params_of(values: Mapping[str, Param], dtype: str) -> SimpleNamespace:
    """The `p` that a build function sees: one attribute an axis, `p.dtype` among them."""
    return SimpleNamespace(**values, dtype=dtype)
