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
    """The device of the one run, or the names of a few against each other."""
    if len(runs) > 3:
        return f"{runs[0].name} against {len(runs) - 1} other runs"
    return (
        runs[0].row("device_name") if len(runs) == 1 else " against ".join(run.name for run in runs)
    )


def sentence(run: RunView) -> str:
    """What was measured, on what and when, e.g. "8 cases of gemm and copy on AMD EPYC, 2026-11-24
    08:00 UTC.\""""
    workloads = list(dict.fromkeys(case.workload for case in run.cases))
    named = ", ".join(workloads[:5]) + (
        f" and {len(workloads) - 5} more" if len(workloads) > 5 else ""
    )
    measured = sum(bool(case.values) for case in run.cases)
    amount = (
        count(measured, "case")
        if measured == len(run.cases)
        else f"{measured} of {count(len(run.cases), 'case')}"
    )
    device = run.row("device_name")
    return f"{amount} measured on {device}, started {moment(run.row('started_at'))}. Workloads: {named or 'none'}."


def verdict(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> list[str]:
    """How much faster each later run is than the first, by the throughput of the cases that both
    measured, and in how many of them that is more than chance."""
    rates = _rates(runs, table)
    lines = []
    for position, run in enumerate(runs[1:], start=1):
        own = rates[rates.run == position]
        found = own.ratio
        if found.empty:
            lines.append(
                f"{run.letter} and {runs[0].letter} have no case whose throughput can be compared."
            )
            continue
        low, high = (ratio(value) for value in (found.min(), found.max()))
        span = low if low == high else f"{low} to {high}"
        cases = count(len(found), "case")
        middle = f" (median {ratio(found.median())})" if len(found) > 2 else ""
        told = f"{run.letter} has {span} the throughput of {runs[0].letter} in the {cases} they share{middle}."
        lines.append(f"{told} {_shown(own, intervals)}")
    return lines


def _shown(rates: pd.DataFrame, intervals: Intervals) -> str:
    """How many of the ratios are more than chance, in a sentence."""
    known = [intervals.get((row.run, row.case_id, row.metric)) for row in rates.itertuples()]
    apart = sum(ends is not None and not ends[0] <= 1 <= ends[1] for ends in known)
    if not any(known):
        return "With one process on a side, how much of that is chance is not known."
    if len(known) == 1:
        return f"Its 95 % interval {'excludes' if apart else 'holds'} 1×."
    return (
        f"In {apart} of them the 95 % interval excludes 1×."
        if apart
        else "Each 95 % interval holds 1×."
    )


def summary(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> list[str]:
    """The verdict in few sentences: each later run's, or of many the fastest and the slowest by
    their medians."""
    middle = _rates(runs, table).groupby("run").ratio.median().drop(index=0, errors="ignore")
    if len(runs) - 1 <= MOST_VERDICTS or middle.empty:
        return verdict(runs[: MOST_VERDICTS + 1], table, intervals)
    best, worst = runs[int(middle.idxmax())], runs[int(middle.idxmin())]
    base = runs[0].letter
    return [
        f"Of {len(middle)} runs beside {base}, {best.letter} has the highest throughput, {ratio(middle.max())} that of "
        f"{base}, and {worst.letter} the lowest, {ratio(middle.min())}: medians over the cases that each shares."
    ]


def alerts(run: RunView) -> list[Alert]:
    """What a reader must know before trusting the figures; empty where all is well."""
    found = []
    if run.unfinished:
        found.append(
            Alert(
                "bad", f"This run is not complete: {run.stored} of {run.planned} processes stored."
            )
        )
    for how, words, cases in (
        ("bad", "failed", [c for c in run.cases if c.outcome in FAILED]),
        ("bad", "gave invalid figures", [c for c in run.cases if c.validity == "invalid"]),
        (
            "warn",
            "gave figures to be read with care",
            [c for c in run.cases if c.validity == "suspect"],
        ),
        ("warn", "could not run here", [c for c in run.cases if c.outcome == "unsupported"]),
    ):
        if cases:
            found.append(
                Alert(
                    how,
                    f"{count(len(cases), 'case')} {words}: {_listed([c.short for c in cases])}.",
                )
            )
    return [*found, *_wide_alerts(run)]


def tiles(run: RunView) -> list[Tile]:
    """The best throughput of each workload, in the order of the plan, without figures that are
    invalid."""
    best: dict[str, CaseView] = {}
    for case in run.cases:
        rate = case.rate
        if rate and (
            case.workload not in best
            or (case.get(rate) or 0) > (best[case.workload].get(rate) or 0)
        ):
            best[case.workload] = case
    return [_tile(case) for case in list(best.values())[:MOST_TILES]]


def _wide_alerts(run: RunView) -> list[Alert]:
    """A line for each reason for which cases are wide and no more than that, with its cure."""
    found = []
    for doubt in doubts(run):
        if doubt.word == "wide" and (cases := wide_cases(doubt.cases)):
            many = f"{count(len(cases), 'case')} {'is' if len(cases) == 1 else 'are'} wide"
            width = f"({widths(cases)}, asked for ± {uncertainty(run.precision)})"
            names = _listed([case.short for case in cases])
            found.append(Alert("note", f"{many} {width}: {names}. {REASONS[doubt.code].cure}"))
    return found


def _rates(runs: Sequence[RunView], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `side_by_side` with the ratios of the throughput that tells most of each case of
    the first run."""
    base = {case.case_id: case.rate for case in runs[0].cases}
    return table[table.metric == table.case_id.map(base)].dropna(subset="ratio")


def _tile(case: CaseView) -> Tile:
    assert case.rate  # only measured cases become tiles
    value, _, unit = quantity(case.get(case.rate), RATES[case.rate], 3).partition(" ")
    return Tile(case.workload, value, unit, case.short.removeprefix(case.workload).strip())


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
