"""`batch=max`: the largest value of an axis that fits in memory, found by trying before a run.

A try is a few steps in a fresh process under a guard. On an accelerator the allocator refuses what
does not fit; on a CPU the process is limited to the free memory, so that no try makes the machine
swap or the kernel kill another program. A value whose predicted bytes certainly do not fit is
refused before anything is allocated, which takes a second. The values found are remembered beside
the results, for this device and these versions.
"""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwbench.identity import is_unknown
from hwbench.inputs import shortened
from hwbench.recording.launch.exchange import case_request, run_process
from hwbench.recording.matrix import Plan
from hwbench.records import Case, Measurement, Outcome, Policy
from hwbench.remembered import Remembered, until_reboot

FILE = ".largest.json"
"""The file in the results folder that remembers the values found."""

RESOLUTION = 32
"""Up to this value the largest one is found exactly, above it to one part in so many: a try may
take minutes."""

TRY_S = 0.5
"""How long a try warms up and measures: at least three steps with the cold one, after which memory
has been used and freed often enough to show its peak."""

Try = Callable[[int], "Tried"]


@dataclass(frozen=True)
class Tried:
    """The outcome of one value, the reason if it is not ok, and the memory peak if it is known."""

    outcome: Outcome
    reason: str = ""
    peak_bytes: int | None = None

    @property
    def fits(self) -> bool:
        return self.outcome == "ok"

    def __str__(self) -> str:
        if not self.fits:
            return f"does not: {self.outcome}: {shortened(self.reason)}"
        if not self.peak_bytes:
            return "fits"
        return f"fits ({self.peak_bytes / 2**30:.2f} GiB at its peak)"


def largest(attempt: Try, least: int, most: int, limit_bytes: int | None = None) -> int | None:
    """The largest value from `least` to `most` that fits, to RESOLUTION; None if not even the least
    does.

    Values are doubled until one does not fit, then the interval between is halved. With two peaks
    known, the value at which the line through them meets `limit_bytes` is tried first: a wrong
    guess costs a try and does not change the answer. A try that ends in an error says nothing about
    memory, and ends the search with the largest value that fitted.
    """
    good, bad = 0, most + 1
    peaks: list[tuple[int, int]] = []
    while bad - good > max(1, good // RESOLUTION):
        value = _next(good, bad, least, most, peaks, limit_bytes)
        tried = attempt(value)
        if tried.fits:
            good = value
            peaks += [(value, tried.peak_bytes)] if tried.peak_bytes else []
        elif tried.outcome == "error":
            break
        else:
            bad = value
        if bad <= least:
            break
    return good or None


def _next(
    good: int, bad: int, least: int, most: int, peaks: list[tuple[int, int]], limit: int | None
) -> int:
    """The value to try next, between the largest that fits and the smallest that does not."""
    if not good:
        return least
    guess = _guess(peaks, limit)
    if bad > most:  # nothing has failed yet
        return min(most, max(2 * good, guess or 0))
    return guess if guess is not None and good < guess < bad else (good + bad) // 2


def _guess(peaks: list[tuple[int, int]], limit: int | None) -> int | None:
    """The value at which the line through the last two peaks meets the limit; None if there is no
    such line."""
    if limit is None or len(peaks) < 2:
        return None
    (x, low), (z, high) = peaks[-2:]
    return x + math.floor((limit - low) * (z - x) / (high - low)) if high > low else None


@dataclass(frozen=True)
class Searcher:
    """Finds the largest values that fit on `device`, which says `device_info` of itself.

    `files` declare workloads; `sizes` are the values that were found before (see
    `remembered_sizes`); `tell` is called with each try.
    """

    device: str
    files: Sequence[str]
    device_info: Mapping[str, Any]
    sizes: Remembered[int]
    tell: Callable[[str], None]

    def resolve(self, plan: Plan) -> Plan:
        """The plan with each `max` replaced by the largest value that fits.

        A case of which not even the least value fits keeps that, and its row will say why.
        """
        cases: dict[str, Case] = {}
        for case in plan.cases:
            if case.case_id in plan.searched:
                case = self._resolved(case, plan)
            cases.setdefault(case.case_id, case)
        return replace(plan, cases=tuple(cases.values()), searched={})

    def _resolved(self, case: Case, plan: Plan) -> Case:
        axis, least, most = plan.searched[case.case_id]
        if (known := self.sizes.get(str(case))) is not None:
            self.tell(f"{case}: {axis}={known}, remembered in {self.sizes.file}")
            return _with(case, axis, known)

        def attempt(value: int) -> Tried:
            formats = self.device_info.get("formats")
            changed = _with(case, axis, value)
            tried = try_out(changed, plan.policy, self.device, self.files, formats)
            self.tell(f"{case}: {axis}={value} {tried}")
            return tried

        info = self.device_info
        limit_bytes = info.get("memory_limit_bytes") or info.get("memory_bytes")
        value = largest(attempt, least, most, limit_bytes)
        if value is None:
            self.tell(f"{case}: not even {axis}={least} fits")
            return _with(case, axis, least)
        self.sizes.put(str(case), value)
        self.tell(f"{case}: {axis}={value} is the largest")
        return _with(case, axis, value)


def remembered_sizes(
    results: Path,
    device_info: Mapping[str, Any],
    versions: Mapping[str, Any],
    timeout_s: float,
    warn: Callable[[str], None],
) -> Remembered[int]:
    """The values that were found before, in the folder `results`, on this device with these
    versions and this time limit: a value that takes too long does not fit either."""
    # the rates of the formats are measured anew, and would make every run another device
    device_facts = {name: fact for name, fact in device_info.items() if name != "formats"}
    where = {"device": device_facts, "versions": versions, "timeout_s": timeout_s}
    if is_unknown(str(device_info.get("name", ""))):
        where["boot"] = until_reboot()
    return Remembered(results / FILE, where, is_size, warn)


def try_out(
    case: Case,
    policy: Policy,
    device: str,
    files: Sequence[str],
    formats: Mapping[str, float | None] | None = None,
) -> Tried:
    """Run a few guarded steps of a case in a process of its own."""
    short = replace(policy, min_time_s=0.0, max_time_s=TRY_S, min_samples=1)
    request = case_request(case, vars(short), device, files, guard=True, formats=formats)
    with tempfile.TemporaryDirectory() as folder:
        measurement = run_process(
            request, policy.timeout_s, Path(folder) / "log", lambda phase: None
        )
    return Tried(measurement.outcome, measurement.reason, _peak(measurement))


def is_size(answer: Any) -> bool:
    """Whether a remembered answer is a value of an axis."""
    return type(answer) is int and answer > 0


def _peak(measurement: Measurement) -> int | None:
    """The most memory in use at any time, building included."""
    window = measurement.window
    peaks = (window.memory_peak_bytes, window.memory_build_peak_bytes) if window else ()
    return max((peak for peak in peaks if peak is not None), default=None)


def _with(case: Case, axis: str, value: int) -> Case:
    return replace(case, params={**case.params, axis: value})
