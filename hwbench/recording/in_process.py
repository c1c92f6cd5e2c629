"""Measure a step in this very process: for scripts and tests that bring their own."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hwbench import devices
from hwbench.machine import environment
from hwbench.recording.collected import Collected
from hwbench.recording.failures import failure_of
from hwbench.recording.measure_case import CaseRequest, measure_built
from hwbench.recording.policy import checked_policy
from hwbench.recording.time_limit import TimeLimit
from hwbench.records import Case, Measurement, Policy, Work
from hwbench.workload import Built, Step

DTYPE = "-"
"""A step says nothing of number formats."""


class InProcess:
    """A device of this process, opened once, on which steps are measured one after another.

    `device` is what `--device` takes. UserError if there is no such device.
    """

    def __init__(self, device: str = "auto") -> None:
        self.spec = devices.resolve(device)
        self.device = devices.open_device(self.spec)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._environment = environment.collect(self.device.describe())
        self.measured: list[tuple[Case, Measurement]] = []

    def measure(
        self, case: Case, step: Callable[..., object], work: Work, limits: Mapping[str, Any]
    ) -> Measurement:
        """Measure a step and keep the outcome. `limits` are fields of the policy.

        What the step raises passes through, and is kept as the case's error. UserError if a limit
        makes no sense, TypeError if `work` is no Work.
        """
        if not isinstance(work, Work):
            raise TypeError(f"work: expected a Work, got {type(work).__name__}")
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
