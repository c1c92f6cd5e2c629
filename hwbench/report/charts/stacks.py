"""The parts of a step as shares of the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.metrics.steps import REST, span_times
from hwbench.report.charts.bars import MOST_BARS, cut_note
from hwbench.report.numbers import quantity
from hwbench.report.view import CaseView, RunView

Spans = Sequence[tuple[RunView, CaseView, pd.DataFrame]]
"""The cases with marks, each with its rows of `timed.span_times`."""


@dataclass(frozen=True)
class Stacks:
    """A bar of 100 % for each label, cut into its spans: {label: {span: share}}, with what the
    whole took in `totals`."""

    title: str
    shares: Mapping[str, Mapping[str, float]]
    totals: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """All spans, the rest of the step last."""
        every = dict.fromkeys(name for spans in self.shares.values() for name in spans)
        return [
            *(name for name in every if name != REST),
            *(name for name in every if name == REST),
        ]


def stacks(runs: Sequence[RunView], groups: Spans) -> Stacks | None:
    """Return the share of each span in a step, a bar a case and run; None without spans."""
    shares: dict[str, dict[str, float]] = {}
    totals: dict[str, str] = {}
    for run, case, group in groups[:MOST_BARS]:
        total = group.seconds.sum()
        label = f"{case.short} ({run.letter})" if len(runs) > 1 else case.short
        parts = zip(group["name"], group.seconds / total, strict=True) if total else ()
        shares[label] = dict(parts)
        totals[label] = quantity(total, "s", 3)
    if not shares:
        return None
    title = "Where the time of a step goes" + cut_note(len(shares), len(groups), "bar")
    return Stacks(title, shares, totals)


def spans_of(runs: Sequence[RunView]) -> Spans:
    """The spans of all runs; a case's runs stand next to each other."""
    groups = [dict(iter(span_times(run.tables).groupby("case_id", sort=False))) for run in runs]
    by_id = [{case.case_id: case for case in run.cases} for run in runs]
    order = dict.fromkeys(case_id for cases in by_id for case_id in cases)
    return [
        (run, cases[case_id], spans[case_id])
        for case_id in order
        for run, cases, spans in zip(runs, by_id, groups, strict=True)
        if case_id in spans and case_id in cases
    ]
