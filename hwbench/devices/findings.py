"""Findings about a device: the rates of its number formats and the faster of several kernels,
measured in short trials on it and remembered.

Other programs may run during a trial, so the ways to do a thing take turns and the best time of
each counts. On a CPU a trial uses one thread and its processor time: threads that wait for each
other while other programs have their cores can take a hundred times as long by a wall clock.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hwbench.formats import Rates
from hwbench.remembered import Remembered, cache_folder

FILE = "devices.json"
"""The file of remembered findings in the cache folder."""

TRIAL_S = 0.3
"""How long the ways take turns."""

MOST_ROUNDS = 50
"""The most rounds of a trial; in a round each way has a turn."""

FEWEST_ROUNDS = 3
"""The fewest rounds, unless they take FOREVER_S: the first turns of a way load kernels."""

FOREVER_S = 3.0
"""A trial of this length ends after the current round, even with fewer rounds."""

MARGIN = 0.15
"""How much faster another way must be to replace the first one, so that noise does not make the
processes of one case choose differently."""

Way = Callable[[], object]


@dataclass(frozen=True)
class Choice:
    """The name of the fastest way on the device, and by name a line why a way failed here."""

    name: str
    failed: Mapping[str, str] = field(default_factory=dict)

    def as_choices(self, of: str, name: str | None) -> dict[str, str]:
        """The entries for `Declared.choices`: `of` is `name`, where that is known, and
        `{of}_failed` lists the ways that failed."""
        failed = "; ".join(f"{way}: {reason}" for way, reason in self.failed.items())
        entries = {of: name or "", f"{of}_failed": failed}
        return {key: text for key, text in entries.items() if text}


class Stopwatch(Protocol):
    """How a device times trials. Trials run inside its context, which keeps disturbances away as
    far as it can."""

    def __enter__(self) -> object: ...
    def __exit__(self, *_: object) -> None: ...
    def seconds(self, way: Way) -> float:
        """The seconds of a call of `way`, including all work that it submits."""

    def require_device(self) -> None:
        """Raise the device's own error, if it has one: a failed kernel may make the device fail at
        everything else."""


class Findings:
    """The findings of one device. `where` has everything they depend on: the device, versions,
    threads, settings.

    `measure_formats` measures the rates of products (see `formats`) on one of the device's `parts`
    (a CPU's threads); it is None for a device without products.
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
        self.warnings: list[str] = []  # why findings cannot be remembered
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
        """The least seconds that so many FLOPs of products in `dtype` take on all parts of the
        device; None if not known."""
        rate = self.formats.get(dtype)
        return flops / (self._parts * rate) if rate else None

    def take(self, rates: Rates) -> None:
        """Use these rates, which another process of the same run has measured, as the device's."""
        self._rates = rates

    def choose(self, question: str, ways: Mapping[str, Way]) -> Choice:
        """The fastest of `ways` to do the same thing on the device, remembered under `question`.

        The first way is chosen unless another one is faster by MARGIN. A way that raises is left
        out; if all do, the first is chosen, and the caller meets its error. If memory runs out, the
        first is chosen and nothing is remembered: another time there may be enough.
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
    """The best time of each way, in seconds, and the errors of those that fail, by name. An error
    that means that memory ran out passes through."""
    best: dict[str, float] = {}
    failed: dict[str, str] = {}
    begin, rounds = time.monotonic(), 0
    while rounds < MOST_ROUNDS and _is_unfinished(rounds, time.monotonic() - begin):
        for name in [name for name in ways if name not in failed]:
            try:
                seconds = watch.seconds(ways[name])
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                watch.require_device()
                best.pop(name, None)
                failed[name] = (str(error).strip() or type(error).__name__).splitlines()[0]
                continue
            if rounds:  # the very first call loads libraries
                best[name] = min(seconds, best.get(name, seconds))
        rounds += 1
    return best, failed


def _is_unfinished(rounds: int, elapsed_s: float) -> bool:
    if rounds < 2:
        return True
    return elapsed_s < (TRIAL_S if rounds >= FEWEST_ROUNDS else FOREVER_S)


def _are_rates(answer: Any) -> bool:
    if not isinstance(answer, dict) or answer.get("fp32") is None:
        return False
    known = [rate for rate in answer.values() if rate is not None]
    return all(type(rate) in (int, float) and 0 < rate < 1e30 for rate in known)


def _is_choice(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and isinstance(answer.get("name"), str)
        and isinstance(answer.get("failed"), dict)
    )
