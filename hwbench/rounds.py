"""Which cases are measured again: all of them in the planned rounds, then those that are not precise yet.

Pure bookkeeping on outcomes, so that whoever shows how a run goes can keep the same books as who carries it out.
"""

from collections.abc import Iterator
from statistics import median

from hwbench import stats
from hwbench.plan import Plan
from hwbench.records import Case, Measurement

FEWEST_TO_STOP = 5
"""Processes at the first look at their interval, where there may be more: a rule that looks sooner often stops where a
few processes agree by chance, and its intervals then cover 91 % instead of 95 % (tests/bench/intervals.py)."""


class Rounds:
    """The rounds of a run. Iterate over them, and `add` each outcome before asking for the next.

    After `policy.processes` rounds over all cases (FEWEST_TO_STOP if there may be more), further ones take only cases
    whose interval over processes, of the median step or of the throughput, is wider than `policy.precision`, until none
    is left or `policy.max_processes` are reached. A case that does not come out ok is not tried again.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        fewest = plan.policy.processes
        self.most = max(fewest, plan.policy.max_processes)
        self.planned = max(fewest, min(FEWEST_TO_STOP, self.most))
        self._medians: dict[str, list[float]] = {case.case_id: [] for case in plan.cases}
        self._means: dict[str, list[float]] = {case.case_id: [] for case in plan.cases}
        self._given_up: set[str] = set()

    def __iter__(self) -> Iterator[tuple[int, Case]]:
        """(process number, case), every case once, then every case again, …

        Cases are interleaved so that a drift of the machine spreads over all of them.
        """
        for process in range(self.most):
            for case in [case for case in self._plan.cases if self.fewest_left(case) and self.taken(case) == process]:
                yield process, case

    def add(self, case: Case, measurement: Measurement) -> None:
        """Count the outcome of one process."""
        if measurement.outcome == "ok" and measurement.window:
            self._medians[case.case_id].append(median(measurement.window.timed_s))
            self._means[case.case_id].append(measurement.window.window_s / measurement.window.timed_steps)
        else:
            self._given_up.add(case.case_id)

    def taken(self, case: Case) -> int:
        """How many processes of the case came out ok."""
        return len(self._medians[case.case_id])

    def fewest_left(self, case: Case) -> int:
        """How many more processes the case will have at least."""
        if case.case_id in self._given_up:
            return 0
        return max(self.planned - self.taken(case), 1 if self.most_left(case) else 0)

    def most_left(self, case: Case) -> int:
        """How many more processes the case will have at most."""
        if case.case_id in self._given_up or (self.taken(case) >= self.planned and self.is_precise(case)):
            return 0
        return self.most - self.taken(case)

    def is_precise(self, case: Case) -> bool:
        """Whether half the intervals over the case's processes are within the policy's precision."""
        intervals = [stats.median_interval(steps[case.case_id]) for steps in (self._medians, self._means)]
        return max(interval.relative_half_width for interval in intervals) <= self._plan.policy.precision
