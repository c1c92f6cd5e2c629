"""What a workload is and how one is declared.

A workload is a function `build(p, device) -> Built` under `@workload(name, axis=[defaults], …)`.
Only `Built.step` is timed; building is not. Workloads come from three places: the package
`workloads` that ships with hwbench, the entry-point group `hwbench.workloads` of installed
packages, and files given as `--workloads FILE`.
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
"""Names of number formats as the field writes them. Which of them run depends on the device and the
workload."""

LARGEST = "max"
"""The word for the largest value of an axis that fits; see sizing."""

Mark = Callable[[str], None]
"""`mark(name)` records a timestamp that ends the span `name`; it never makes the host wait for the
device."""

Step = Callable[[Mark], object]

Fit = Callable[[Mapping[str, Param], Collection[str]], Mapping[str, Param]]
"""`fit(params, named)` returns other values for axes at their defaults, if a case with these
parameters cannot have the default (a sequence longer than the model's positions). Axes in `named`
were asked for and stay."""


@dataclass(frozen=True)
class Built:
    """A workload that is ready: the step to time, the work of one step, whether its first call
    compiles something, and what the workload declares beyond that.

    `first_is_longer`: the first call of the step does more than a step, apart from compiling.
    `least_s`: the least seconds of a step, if they are known beforehand (a test of fixed length).
    With `served` the step is a whole test under load that was warmed up as it was built: it is run
    once, with no warm-up, and `served()` then returns what became of its requests. With `model`, a
    `torch.nn.Module`, a profile can name the model's parts.
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
    """One parameter of a workload: its default values and what other values it may have.

    `kind` is the type of a value:
    - int: from `minimum` to `maximum`. With `largest` memory grows with the axis, and `max` asks
      for the largest value that fits.
    - float: greater than `above`, if that is given, or one of the words in `choices`.
    - bool: off or on; with `choices` also on in one of those ways.
    - str: one of `choices`, if there are any. `check` raises UserError for other texts that make no
      sense.

    A default of None means "all" (of the layers, say) or "auto" (the workload's own choice), and
    may be asked for by those words.
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
        """The value that `text` stands for. UserError if the axis cannot have it."""
        word, text = text.strip(), shortened(text)
        if None in self.defaults and word.lower() in ("all", "none", "auto"):
            return None
        if self.largest and word.lower() == LARGEST:
            return LARGEST
        if self.kind is bool:
            if word in self.choices:
                return word
            if word.lower() not in ("true", "false"):
                expected = ", ".join(("true", *self.choices))
                raise UserError(f"{name}={text}: expected {expected} or false")
            return word.lower() == "true"
        if self.kind is int:
            if not re.fullmatch(r"[+-]?[0-9]{1,30}", word):
                also = f", or {LARGEST}" if self.largest else ""
                raise UserError(f"{name}={text}: expected a whole number{also}")
            if not self.minimum <= int(word) <= self.maximum:
                bounds = f"from {self.minimum} to {self.maximum}"
                raise UserError(f"{name}={text}: expected a number {bounds}")
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
            expected = ", ".join((f"a number{bound}", *self.choices))
            raise UserError(f"{name}={text}: expected {expected}")
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
    """Declare an axis that needs more than a list of defaults: bounds, choices, a check, a default
    of None, or `max` (see Axis). `kind` is the type of the defaults unless it is given."""
    known = [type(value) for value in defaults if value is not None]
    of = kind or (known[0] if known else str)
    return Axis(tuple(defaults), of, tuple(choices), minimum, maximum, above, check, largest)


@dataclass(frozen=True)
class Workload:
    """A declared workload. `origin` is where it was declared: a module's name or a file's path."""

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

    Each axis is a list of default values, or an `axis(…)` with bounds or choices. There is always
    an axis `dtype`, fp32 if not given; `auto` means the fastest format that the device has
    natively. `fit` replaces defaults that do not go together. The first line of the function's
    docstring is the summary in `hwbench list`.
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
    """The `p` that a build function gets: an attribute for each axis, `p.dtype` included."""
    return SimpleNamespace(**values, dtype=dtype)
