"""Which cases are measured again: all of them in the planned rounds, then those that are not
precise yet.

Pure bookkeeping on outcomes and times, so that whoever shows how a run goes can keep the same books
as who carries it out.
"""

from collections.abc import Callable, Iterator
from statistics import median

from hwbench import stats
from hwbench.recording.matrix import Plan
from hwbench.records import Case, Measurement

FEWEST_TO_STOP = 5
"""Processes at the first look at their interval, where there may be more: a rule that looks sooner
often stops where a few processes agree by chance, and its intervals then cover 91 % instead of 95 %
(tests/bench/intervals.py)."""

CLOSING_S = 6.0
"""What is kept of a budget for the tables and the page at the end of a run."""


class Rounds:
    """The rounds of a run. Iterate over them, and `add` each outcome before asking for the next.

    After `policy.processes` rounds over all cases (FEWEST_TO_STOP if there may be more), further
    ones take only cases whose interval over processes, of the median step or of the throughput, is
    wider than `policy.precision`, until none is left or `policy.max_processes` are reached. A case
    that does not come out ok is not tried again.

    With `policy.budget_s` each case has one process, whatever that takes. Then, as long as a case's
    next process will end within the budget if it takes as long as its last one: the rounds up to
    `policy.processes`, and after these the widest case, time after time. `elapsed_s` says how much
    of the budget is spent.
    """

    def __init__(self, plan: Plan, elapsed_s: Callable[[], float] = lambda: 0.0) -> None:
        self._plan, self._elapsed_s = plan, elapsed_s
        self.budget_s = plan.policy.budget_s
        fewest = plan.policy.processes
        self.most = max(fewest, plan.policy.max_processes)
        self._looked_at_from = max(fewest, min(FEWEST_TO_STOP, self.most))
        self.planned = fewest if self.budget_s else self._looked_at_from
        self._medians: dict[str, list[float]] = {case.case_id: [] for case in plan.cases}
        self._means: dict[str, list[float]] = {case.case_id: [] for case in plan.cases}
        self._took_s: dict[str, float] = {}
        self._given_up: set[str] = set()

    def __iter__(self) -> Iterator[tuple[int, Case]]:
        """(process number, case), every case once, then every case again, …

        Cases are interleaved so that a drift of the machine spreads over all of them.
        """
        if self.budget_s:
            yield from self._within_budget()
            return
        for process in range(self.most):
            for case in [
                case
                for case in self._plan.cases
                if self.fewest_left(case) and self.taken(case) == process
            ]:
                yield process, case

    def _within_budget(self) -> Iterator[tuple[int, Case]]:
        for case in self._plan.cases:
            yield from self._take(case)
        while wanted := [
            case for case in self._plan.cases if self.most_left(case) and self._is_affordable(case)
        ]:
            fewest = min(self.taken(case) for case in wanted)
            if fewest < self.planned:
                case = next(case for case in wanted if self.taken(case) == fewest)
            else:
                case = max(wanted, key=self.half_width)
            yield from self._take(case)

    def _take(self, case: Case) -> Iterator[tuple[int, Case]]:
        begin = self._elapsed_s()
        yield self.taken(case), case
        self._took_s[case.case_id] = self._elapsed_s() - begin

    def _is_affordable(self, case: Case) -> bool:
        assert self.budget_s
        return self._elapsed_s() + self._took_s[case.case_id] + CLOSING_S <= self.budget_s

    def add(self, case: Case, measurement: Measurement) -> None:
        """Count the outcome of one process."""
        if measurement.outcome == "ok" and measurement.window:
            self._medians[case.case_id].append(median(measurement.window.timed_s))
            self._means[case.case_id].append(
                measurement.window.window_s / measurement.window.timed_steps
            )
        else:
            self._given_up.add(case.case_id)

    def taken(self, case: Case) -> int:
        """How many processes of the case came out ok."""
        return len(self._medians[case.case_id])

    def fewest_left(self, case: Case) -> int:
        """How many more processes the case will have at least, a budget apart."""
        if case.case_id in self._given_up:
            return 0
        more = 1 if self.most_left(case) and not self.budget_s else 0
        return max(self.planned - self.taken(case), more)

    def most_left(self, case: Case) -> int:
        """How many more processes the case will have at most."""
        if case.case_id in self._given_up or (
            self.taken(case) >= self._looked_at_from and self.is_precise(case)
        ):
            return 0
        return self.most - self.taken(case)

    def is_precise(self, case: Case) -> bool:
        """Whether half the intervals over the case's processes are within the policy's
        precision."""
        return self.half_width(case) <= self._plan.policy.precision

    def half_width(self, case: Case) -> float:
        """Half the interval over the case's processes, of the median step or of the throughput, the
        larger one, over its value; infinite of a single process."""
        intervals = [
            stats.median_interval(steps[case.case_id]) for steps in (self._medians, self._means)
        ]
        return max(interval.relative_half_width for interval in intervals)

    def cut(self) -> list[tuple[Case, int]]:
        """The cases that have fewer processes than planned for want of budget, with how many they
        have."""
        return [(case, self.taken(case)) for case in self._plan.cases if self.fewest_left(case)]

    def needed_s(self) -> float:
        """The budget that would do for all planned processes, if each takes as long as the last one
        of its case."""
        missing = sum(self.fewest_left(case) * self._took_s[case.case_id] for case, _ in self.cut())
        return self._elapsed_s() + missing + CLOSING_S
