"""The top of the page: what was measured, on what, when, and what came out, in a title, a few
sentences and tiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.metrics.validity import REASONS
from hwbench.records import FAILED
from hwbench.report.doubts import doubts, widths
from hwbench.report.numbers import count, moment, quantity, ratio, uncertainty
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections.validity import wide_cases
from hwbench.report.ratios import Intervals
from hwbench.report.view import RATES, CaseView, RunView

MOST_TILES = 5
MOST_VERDICTS = 4
"""Later runs of which each has a sentence at the top; of more the best and the worst have one."""


@dataclass(frozen=True)
class Tile:
    """A key figure: a workload's best value, and the case that reached it."""

    title: str
    value: str
    unit: str
    case: str


@dataclass(frozen=True)
class Alert:
    """A line that must not be missed; `tone` is note, warn or bad."""

    tone: str
    text: str


@dataclass(frozen=True)
class Card:
    """A run in short."""

    run: RunView
    sentence: str
    tiles: Sequence[Tile]
    alerts: Sequence[Alert]


@dataclass(frozen=True)
class Head:
    """The top of the page: its title, a few sentences, and a card a run."""

    title: str
    lead: Sequence[str]
    cards: Sequence[Card]


def content(page: PageRuns) -> Head:
    """Return what the top of the page shows."""
    cards = [Card(run, sentence(run), tiles(run), alerts(run)) for run in page.views]
    if not page.several:
        return Head(title(page.views), [cards[0].sentence], cards)
    return Head(title(page.views), summary(page.views, page.table, page.intervals), cards)


def title(runs: Sequence[RunView]) -> str:
    """Return the device of the one run, or the names of a few against each other."""
    if len(runs) == 1:
        return runs[0].row("device_name")
    if len(runs) > 3:
        return f"{runs[0].name} against {len(runs) - 1} other runs"
    return " against ".join(run.name for run in runs)


def sentence(run: RunView) -> str:
    """Return what was measured, on what and when, e.g. "8 cases measured on AMD EPYC, started
    2026-11-24 08:00 UTC. Workloads: gemm, copy.\""""
    measured = sum(bool(case.values) for case in run.cases)
    every = count(len(run.cases), "case")
    amount = every if measured == len(run.cases) else f"{measured} of {every}"
    workloads = list(dict.fromkeys(case.workload for case in run.cases))
    names = ", ".join(workloads[:5]) or "none"
    more = f" and {len(workloads) - 5} more" if len(workloads) > 5 else ""
    device, started = run.row("device_name"), moment(run.row("started_at"))
    return f"{amount} measured on {device}, started {started}. Workloads: {names}{more}."


def verdict(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> list[str]:
    """Return how much faster each later run is than the first, by the throughput of the cases that
    both measured, and how many of these ratios have an interval that excludes 1."""
    rates = _rates(runs, table)
    return [
        _verdict(run, runs[0], rates[rates.run == position], intervals)
        for position, run in enumerate(runs[1:], start=1)
    ]


def summary(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> list[str]:
    """Return the verdict in few sentences: each later run's, or of many the fastest and the slowest
    by their medians."""
    medians = _rates(runs, table).groupby("run").ratio.median().drop(index=0, errors="ignore")
    if len(runs) - 1 <= MOST_VERDICTS or medians.empty:
        return verdict(runs[: MOST_VERDICTS + 1], table, intervals)
    best, worst = runs[int(medians.idxmax())].letter, runs[int(medians.idxmin())].letter
    base = runs[0].letter
    return [
        f"Of {len(medians)} runs beside {base}, {best} has the highest throughput, "
        f"{ratio(medians.max())} that of {base}, and {worst} the lowest, {ratio(medians.min())}: "
        "medians over the cases that each shares."
    ]


def alerts(run: RunView) -> list[Alert]:
    """Return what a reader must know before trusting the figures; empty where all is well."""
    lines = []
    if run.unfinished:
        stored = f"{run.stored} of {run.planned} processes stored"
        lines.append(Alert("bad", f"This run is not complete: {stored}."))
    failed = [case for case in run.cases if case.outcome in FAILED]
    invalid = [case for case in run.cases if case.validity == "invalid"]
    suspect = [case for case in run.cases if case.validity == "suspect"]
    unsupported = [case for case in run.cases if case.outcome == "unsupported"]
    for tone, words, cases in (
        ("bad", "failed", failed),
        ("bad", "gave invalid figures", invalid),
        ("warn", "gave figures to be read with care", suspect),
        ("warn", "could not run here", unsupported),
    ):
        if cases:
            lines.append(Alert(tone, f"{count(len(cases), 'case')} {words}: {_listed(cases)}."))
    return [*lines, *_wide_alerts(run)]


def tiles(run: RunView) -> list[Tile]:
    """Return the best throughput of each workload, in the order of the plan, without figures that
    are invalid."""
    best: dict[str, CaseView] = {}
    for case in run.cases:
        if case.rate is None:
            continue
        other = best.get(case.workload)
        if other is None or (case.get(case.rate) or 0) > (other.get(case.rate) or 0):
            best[case.workload] = case
    return [_tile(case) for case in list(best.values())[:MOST_TILES]]


def _verdict(run: RunView, base: RunView, rates: pd.DataFrame, intervals: Intervals) -> str:
    ratios = rates.ratio
    if ratios.empty:
        return f"{run.letter} and {base.letter} have no case whose throughput can be compared."
    low, high = (ratio(value) for value in (ratios.min(), ratios.max()))
    span = low if low == high else f"{low} to {high}"
    cases = count(len(ratios), "case")
    middle = f" (median {ratio(ratios.median())})" if len(ratios) > 2 else ""
    return (
        f"{run.letter} has {span} the throughput of {base.letter} in the {cases} they "
        f"share{middle}. {_significance(rates, intervals)}"
    )


def _significance(rates: pd.DataFrame, intervals: Intervals) -> str:
    """In a sentence, how many of the ratios have an interval that excludes 1."""
    ends = [intervals.get((row.run, row.case_id, row.metric)) for row in rates.itertuples()]
    excluding = sum(pair is not None and not pair[0] <= 1 <= pair[1] for pair in ends)
    if not any(ends):
        return "With one process on a side, how much of that is chance is not known."
    if len(ends) == 1:
        return f"Its 95 % interval {'excludes' if excluding else 'includes'} 1×."
    if excluding:
        return f"In {excluding} of them the 95 % interval excludes 1×."
    return "Each 95 % interval includes 1×."


def _wide_alerts(run: RunView) -> list[Alert]:
    """A line for each reason for which cases are wide and no more than that, with its cure."""
    lines = []
    for doubt in doubts(run):
        cases = wide_cases(doubt.cases) if doubt.word == "wide" else []
        if cases:
            many = f"{count(len(cases), 'case')} {'is' if len(cases) == 1 else 'are'} wide"
            width = f"({widths(cases)}, asked for ± {uncertainty(run.precision)})"
            cure = REASONS[doubt.code].cure
            lines.append(Alert("note", f"{many} {width}: {_listed(cases)}. {cure}"))
    return lines


def _rates(runs: Sequence[RunView], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `side_by_side` with the ratios of the first run's main throughput metric of each
    case."""
    base = {case.case_id: case.rate for case in runs[0].cases}
    return table[table.metric == table.case_id.map(base)].dropna(subset="ratio")


def _tile(case: CaseView) -> Tile:
    assert case.rate  # only measured cases become tiles
    value, _, unit = quantity(case.get(case.rate), RATES[case.rate], 3).partition(" ")
    return Tile(case.workload, value, unit, case.short.removeprefix(case.workload).strip())


def _listed(cases: Sequence[CaseView], most: int = 4) -> str:
    names = "; ".join(case.short for case in cases[:most])
    return names + (f" and {len(cases) - most} more" if len(cases) > most else "")
