"""Which cases are measured again: all of them in the planned rounds, then those that are not yet
precise.

Pure bookkeeping on outcomes and times: the code that shows a run's progress keeps the same books as
the code that carries it out.
"""

from collections.abc import Callable, Iterator
from statistics import median

from hwbench import stats
from hwbench.recording.matrix import Plan
from hwbench.records import Case, Measurement

FEWEST_TO_STOP = 5
"""How many processes a case has before its interval is looked at, if it may have more. A rule that
looks sooner often stops because a few processes agree by chance, and its intervals cover 91 %
instead of 95 % (tests/bench/intervals.py)."""

CLOSING_S = 6.0
"""How much of a budget is kept for the tables and the page at the end of a run."""


class Rounds:
    """The rounds of a run. Iterate over them, and `add` each outcome before asking for the next.

    After `policy.processes` rounds over all cases (FEWEST_TO_STOP if there may be more), further
    rounds take only cases whose interval over processes, of the median step or of the throughput,
    is wider than `policy.precision`. They end when no case is left or `policy.max_processes` are
    reached. A case whose outcome is not ok is not tried again.

    With `policy.budget_s` each case has one process, however long that takes. More follow while
    they are expected to end within the budget, if they take as long as the case's last process:
    first the rounds up to `policy.processes`, then the case with the widest interval, again and
    again. `elapsed_s` returns how much of the budget is spent.
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
            for case in self._plan.cases:
                if self.fewest_left(case) and self.taken(case) == process:
                    yield process, case

    def _within_budget(self) -> Iterator[tuple[int, Case]]:
        for case in self._plan.cases:
            yield from self._take(case)
        while candidates := list(filter(self._is_affordable, self._plan.cases)):
            fewest = min(map(self.taken, candidates))
            if fewest < self.planned:
                case = next(case for case in candidates if self.taken(case) == fewest)
            else:
                case = max(candidates, key=self.half_width)
            yield from self._take(case)

    def _take(self, case: Case) -> Iterator[tuple[int, Case]]:
        begin = self._elapsed_s()
        yield self.taken(case), case
        self._took_s[case.case_id] = self._elapsed_s() - begin

    def _is_affordable(self, case: Case) -> bool:
        """Whether the case may have another process, and the budget has time for it."""
        assert self.budget_s
        end_s = self._elapsed_s() + self._took_s[case.case_id] + CLOSING_S
        return self.most_left(case) > 0 and end_s <= self.budget_s

    def add(self, case: Case, measurement: Measurement) -> None:
        """Record the outcome of one process."""
        if measurement.outcome == "ok" and measurement.window:
            self._medians[case.case_id].append(median(measurement.window.timed_s))
            self._means[case.case_id].append(
                measurement.window.window_s / measurement.window.timed_steps
            )
        else:
            self._given_up.add(case.case_id)

    def taken(self, case: Case) -> int:
        """How many processes of the case have come out ok."""
        return len(self._medians[case.case_id])

    def fewest_left(self, case: Case) -> int:
        """How many more processes the case will have at least, if no budget cuts them."""
        if case.case_id in self._given_up:
            return 0
        more = 1 if self.most_left(case) and not self.budget_s else 0
        return max(self.planned - self.taken(case), more)

    def most_left(self, case: Case) -> int:
        """How many more processes the case will have at most."""
        if case.case_id in self._given_up:
            return 0
        if self.taken(case) >= self._looked_at_from and self.is_precise(case):
            return 0
        return self.most - self.taken(case)

    def is_precise(self, case: Case) -> bool:
        """Whether half the intervals over the case's processes are within the policy's
        precision."""
        return self.half_width(case) <= self._plan.policy.precision

    def half_width(self, case: Case) -> float:
        """Half the interval over the case's processes, relative to its value: of the median step or
        of the throughput, whichever is larger. Infinite for a single process."""
        intervals = [
            stats.median_interval(steps[case.case_id]) for steps in (self._medians, self._means)
        ]
        return max(interval.relative_half_width for interval in intervals)

    def cut(self) -> list[tuple[Case, int]]:
        """The cases that have fewer processes than planned because the budget ran out, with how
        many they have."""
        return [(case, self.taken(case)) for case in self._plan.cases if self.fewest_left(case)]

    def needed_s(self) -> float:
        """The budget that would be enough for all planned processes, if each takes as long as the
        last one of its case."""
        missing = sum(self.fewest_left(case) * self._took_s[case.case_id] for case, _ in self.cut())
        return self._elapsed_s() + missing + CLOSING_S
