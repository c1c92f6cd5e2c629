"""Measure a step in this very process: for scripts and tests that bring their own."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hwbench import devices
from hwbench.inputs import unknown
from hwbench.machine import environment
from hwbench.recording.collected import Collected
from hwbench.recording.failures import failure_of
from hwbench.recording.measure_case import CaseRequest, measure_built
from hwbench.recording.policy import checked_policy
from hwbench.recording.time_limit import TimeLimit
from hwbench.records import Case, Measurement, Param, Policy, UserError, Work
from hwbench.tables.columns import LARGEST
from hwbench.workload import Built, Step

DTYPE = "-"
"""A step says nothing of number formats."""

LIMITS_HERE = ("precision", "min_time_s", "max_time_s", "min_samples", "timeout_s", "tdp_w")
"""The fields of the policy that one process can hold; the others are for fresh ones."""


class InProcess:
    """A device of this process, opened once, on which steps are measured one after another.

    `device` is what `--device` takes, or a torch.device. UserError if there is no such device.
    """

    def __init__(self, device: object = "auto") -> None:
        self.spec = devices.resolve(str(device))
        self.device = devices.open_device(self.spec)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._environment = environment.collect(self.device.describe())
        self.measured: list[tuple[Case, Measurement]] = []

    def measure(
        self, case: Case, step: Callable[..., object], work: Work, limits: Mapping[str, Any]
    ) -> Measurement:
        """Measure a step and keep the outcome. `limits` are fields of the policy.

        What the step raises passes through, and is kept as the case's error. UserError if a limit
        makes no sense, if `work` is no Work, or if calling `step` would do no work.
        """
        if not isinstance(work, Work):
            raise UserError(f"work: expected a Work, got {type(work).__name__}")
        _require_callable(step)
        for name in limits:
            if name not in LIMITS_HERE:
                raise UserError(unknown("limit", name, LIMITS_HERE))
        request = CaseRequest(case, checked_policy(Policy(), limits), self.spec)
        limit = TimeLimit(request.policy.timeout_s)
        self.device.reset_memory_peak()
        base_bytes = self.device.memory_peak_bytes()
        try:
            measurement = measure_built(Built(with_mark(step), work), self.device, request, limit)
        except Exception as error:
            self.measured.append((case, failure_of(error, self.device)))
            raise
        self.measured.append((case, replace(measurement, memory_base_bytes=base_bytes)))
        return measurement

    def collected(self, source: str) -> Collected:
        """All that was measured, ready to be stored."""
        kind = self.spec.partition(":")[0]
        return Collected(
            source, self._started_at, kind, self.device.name, self._environment, self.measured
        )


def case_named(name: str, params: Mapping[str, Any], dtype: str) -> Case:
    """The case of these texts and parameters; numpy's numbers count as numbers. UserError names
    what a table cannot hold."""
    for what, text in (("name", name), ("dtype", dtype)):
        if not isinstance(text, str) or not text.isprintable():
            raise UserError(f"{what} = {text!r}: expected a printable text")
    return Case(name, {key: _param(key, value) for key, value in params.items()}, dtype)


def _param(key: str, value: Any) -> Param:
    if not isinstance(key, str):
        raise UserError(f"params: {key!r}: expected a text as the name of a parameter")
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | int | float | bool | None):
        kind = type(value).__name__
        raise UserError(f"params: {key}: expected a text, a number, a bool or None, got {kind}")
    if isinstance(plain, int) and abs(plain) > LARGEST:
        raise UserError(f"params: {key}: expected a number of up to 63 bits")
    if isinstance(plain, str) and not plain.isprintable():
        raise UserError(f"params: {key} = {plain!r}: expected a printable text")
    return plain


def _require_callable(step: Callable[..., object]) -> None:
    """UserError for what is no step, or is one whose work is done only after the call."""
    if not callable(step):
        raise UserError(f"the step is no function: {type(step).__name__}")
    kinds = {
        "async": inspect.iscoroutinefunction(step) or inspect.isasyncgenfunction(step),
        "generator": inspect.isgeneratorfunction(step),
    }
    for kind, is_so in kinds.items():
        if is_so:
            cure = "measure a function that does it all before it returns"
            raise UserError(f"the step is {kind} code, and calling it does no work: {cure}")


def with_mark(step: Callable[..., object]) -> Step:
    """The step as the harness calls it, with `mark` in any case.

    It gets `mark` if it has a parameter of that name, or if it cannot be called without an
    argument. Another parameter with a default keeps its default.
    """
    try:
        signature = inspect.signature(step)
    except ValueError:  # a builtin without a signature
        return lambda mark: step()
    names = list(signature.parameters)
    if "mark" in names[1:] or ("mark" in names and _is_keyword_only(signature)):
        return lambda mark: step(mark=mark)
    if "mark" in names:
        return step
    try:
        signature.bind()
    except TypeError:  # it needs an argument, whatever its name
        return step
    return lambda mark: step()


def _is_keyword_only(signature: inspect.Signature) -> bool:
    return signature.parameters["mark"].kind is inspect.Parameter.KEYWORD_ONLY
