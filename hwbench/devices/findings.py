"""What suits a device, found by short trials on it and remembered: no figure of one machine decides
for another.

Trials run beside whatever else the machine does, so ways are tried in turns and the best time of
each counts. On a CPU they run on one thread and by the processor time that it took: threads that
wait for one another, while other work has their cores, take a hundred times as long by any clock on
the wall.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hwbench.formats import Rates
from hwbench.remembered import Remembered, cache_folder

FILE = "devices.json"
"""The file of remembered findings, in the folder for caches."""

TRIAL_S = 0.3
"""How long ways are tried in turns."""

MOST_ROUNDS = 50
"""The most turns of a trial."""

FEWEST_ROUNDS = 3
"""The fewest, unless they take FOREVER_S: the first turns of a way load kernels."""

FOREVER_S = 3.0
"""A trial that has lasted so long ends after the turn it is in."""

MARGIN = 0.15
"""How much faster another way must be to replace the first one: processes of one case must not
differ by noise."""

Way = Callable[[], object]


@dataclass(frozen=True)
class Choice:
    """The way that suits the device; and by way, in a line, why one that was tried does not work
    here."""

    name: str
    failed: Mapping[str, str] = field(default_factory=dict)

    def as_choices(self, of: str, name: str | None) -> dict[str, str]:
        """For `Declared.choices`: `of` is `name`, where that is known, and `{of}_failed` says what
        does not work."""
        failed = "; ".join(f"{way}: {reason}" for way, reason in self.failed.items())
        return ({of: name} if name else {}) | ({f"{of}_failed": failed} if failed else {})


class Stopwatch(Protocol):
    """How a device times trials. A context: in it, and only in it, a trial is as little disturbed
    as can be."""

    def __enter__(self) -> object: ...
    def __exit__(self, *_: object) -> None: ...
    def seconds(self, way: Way) -> float:
        """How long a call of `way` takes, with all that it has submitted."""

    def require_device(self) -> None:
        """Raise what the device itself has failed with: an error of a kernel may leave it unfit for
        any other."""


class Findings:
    """The findings of one device. `where` holds all that they depend on: the device, versions,
    threads, settings.

    `measure_formats` measures the rates of products (see `formats`), which are of one of the
    device's `parts`; it is None of a device that multiplies nothing.
    """

    def __init__(
        self,
        watch: Stopwatch,
        where: Mapping[str, Any],
        is_out_of_memory: Callable[[BaseException], bool],
        measure_formats: Callable[[], Rates] | None = None,
        parts: int = 1,
    ) -> None:
        self._watch, self._measure_formats, self._parts = watch, measure_formats, parts
        self._is_out_of_memory = is_out_of_memory
        self.warnings: list[str] = []  # why answers cannot be remembered
        file = cache_folder() / FILE
        self._formats: Remembered[Rates] = Remembered(file, where, _are_rates, self._warn)
        self._choices: Remembered[dict[str, Any]] = Remembered(file, where, _is_choice, self._warn)
        self._rates: Rates | None = None

    @property
    def formats(self) -> Rates:
        """The rates of products, in FLOP/s: remembered, or measured now."""
        if self._rates is None:
            self._rates = self._formats.get("formats") if self._measure_formats else {}
        if self._rates is None:
            assert self._measure_formats
            self._rates = self._measure_formats()
            self._formats.put("formats", dict(self._rates))
        return self._rates

    def least_s(self, dtype: str, flops: int) -> float | None:
        """What so many FLOPs of products in `dtype` take at least, on all parts of the device; None
        if not known."""
        rate = self.formats.get(dtype)
        return flops / (self._parts * rate) if rate else None

    def take(self, rates: Rates) -> None:
        """Take these rates for the device's own, as another process of the same run has found
        them."""
        self._rates = rates

    def choose(self, question: str, ways: Mapping[str, Way]) -> Choice:
        """The fastest of `ways` to do the same thing on the device, remembered under `question`.

        The first way stays unless another one is faster by MARGIN. A way that raises is left out; if all do, the first
        is chosen, so that its error reaches who uses it. Where memory ran out the first is chosen and nothing is
        remembered: another day there may be enough.
        """
        known = self._choices.get(question)
        if known and known["name"] in ways:
            return Choice(known["name"], known["failed"])
        first = next(iter(ways))
        try:
            with self._watch:
                seconds, failed = fastest_times(self._watch, ways, self._is_out_of_memory)
        except Exception as error:
            if not self._is_out_of_memory(error):
                raise
            return Choice(first)
        best = min(seconds, key=seconds.__getitem__, default=first)
        if first in seconds and seconds[best] > (1 - MARGIN) * seconds[first]:
            best = first
        choice = Choice(best, failed)
        if not seconds:
            return choice
        self._choices.put(question, {"name": choice.name, "failed": dict(choice.failed)})
        return choice

    def _warn(self, problem: str) -> None:
        if problem not in self.warnings:
            self.warnings.append(problem)


def fastest_times(
    watch: Stopwatch, ways: Mapping[str, Way], is_out_of_memory: Callable[[BaseException], bool]
) -> tuple[dict[str, float], dict[str, str]]:
    """The best time of each way, in seconds, and by way the error of one that fails. An error that
    says that memory ran out passes through."""
    best: dict[str, float] = {}
    failed: dict[str, str] = {}
    begin, rounds = time.monotonic(), 0
    while rounds < MOST_ROUNDS and _goes_on(rounds, time.monotonic() - begin):
        for name in [name for name in ways if name not in failed]:
            try:
                seconds = watch.seconds(ways[name])
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                watch.require_device()
                best.pop(name, None)
                # each says it its own way
                failed[name] = (str(error).strip() or type(error).__name__).splitlines()[0]
                continue
            if rounds:  # the very first call loads libraries
                best[name] = min(seconds, best.get(name, seconds))
        rounds += 1
    return best, failed


def _goes_on(rounds: int, elapsed_s: float) -> bool:
    if rounds < 2:
        return True
    return elapsed_s < (TRIAL_S if rounds >= FEWEST_ROUNDS else FOREVER_S)


def _are_rates(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and answer.get("fp32") is not None
        and all(
            rate is None or (type(rate) in (int, float) and 0 < rate < 1e30)
            for rate in answer.values()
        )
    )


def _is_choice(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and isinstance(answer.get("name"), str)
        and isinstance(answer.get("failed"), dict)
    )
