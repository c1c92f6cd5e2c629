"""The page's figures with their titles, descriptions and data, from the views of the runs."""

from collections.abc import Mapping, Sequence

import pandas as pd

from hwbench.analysis.metrics.ceilings import MEMORY
from hwbench.analysis.roofline import WHOLE
from hwbench.report.numbers import count, quantity, ratio
from hwbench.report.page import figures
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures import Group, Spot
from hwbench.report.page.figures.svg import inline_svg
from hwbench.report.page.sections import steps
from hwbench.report.view import RATES, CaseView, RunView, Spans

__all__ = ["TITLES", "Panel", "distributions", "ratios", "rooflines", "spans", "throughput"]

TITLES = {
    "tokens_per_s": "Tokens per second",
    "flops_per_s": "Model FLOP per second",
    "bytes_per_s": "Memory traffic",
}

MOST_DISTRIBUTIONS = 40
"""Cases of a page whose step times are drawn; their percentiles are in the table for all cases."""

MOST_BARS = 60
"""Bars of a figure; the data below it has all."""

MOST_SPOTS = 18
"""Points of a roofline: with more the legend would be larger than the figure; the table has all."""


def throughput(runs: Sequence[RunView]) -> list[Panel]:
    """A figure for each kind of throughput, with a group of bars a case and a bar a run."""
    cases = _cases(runs)
    kinds = {
        m: [_group(row, m, u) for row in cases if any(c and c.get(m) for c in row)]
        for m, u in RATES.items()
    }
    return [_rate(metric, groups, runs) for metric, groups in kinds.items() if groups]


def ratios(runs: Sequence[RunView], table: pd.DataFrame) -> list[Panel]:
    """A figure of each later run's throughput over the first's, for the cases they share; none if
    there are none."""
    groups = []
    rates = dict(iter(table.groupby("case_id", sort=False)))
    for by_run in _cases(runs):
        case = by_run[0]
        rows = rates[case.case_id] if case and case.case_id in rates else table.iloc[:0]
        found = rows[rows.metric == case.rate].ratio.iloc[1:] if case else rows.ratio
        values = [value if pd.notna(value) else None for value in found]
        if case and any(values):
            groups.append(Group(case.short, values, [ratio(value) for value in values]))
    if not groups:
        return []
    shown, cut = _shown(groups, len(runs) - 1)
    title = f"Throughput, as a multiple of {runs[0].letter}{cut}"
    drawn = figures.ratios(shown, [run.letter for run in runs[1:]])
    svg = inline_svg(drawn, "ratios", title, _told(shown))
    return [Panel(title, svg, _data(title, groups, runs[1:]))]


def spans(runs: Sequence[RunView], groups: Spans, data: Table) -> list[Panel]:
    """One figure of stacked bars: the share of each span in a step, a bar a case and run; none
    without spans. Its `data` is `tables.spans`."""
    shares: dict[str, dict[str, float]] = {}
    totals: dict[str, str] = {}
    for run, case, group in groups[:MOST_BARS]:
        total = group.seconds.sum()
        label = f"{case.short} ({run.letter})" if len(runs) > 1 else case.short
        shares[label] = (
            dict(zip(group["name"], group.seconds / total, strict=True)) if total else {}
        )
        totals[label] = quantity(total, "s", 3)
    if not shares:
        return []
    title = "Where the time of a step goes" + _cut(len(shares), len(groups), "bar")
    parts = {
        label: ", ".join(f"{name} {share:.0%}" for name, share in spans.items())
        for label, spans in shares.items()
    }
    told = "; ".join(f"{label}: {text}" for label, text in parts.items())
    return [Panel(title, inline_svg(figures.stacks(shares, totals), "spans", title, told), data)]


def rooflines(run: RunView, known: pd.DataFrame, points: pd.DataFrame) -> list[Panel]:
    """A figure for each dtype with a measured roofline: its roofs, and under them the spans, or
    else the steps, of the first MOST_SPOTS whose FLOPs and bytes are declared."""
    measured, panels = known[known.basis == "measured"], []
    memories = {
        _place(row.level): float(row.value)
        for row in measured[measured.kind == "memory"].itertuples()
    }
    memories = {name: memories[name] for name in sorted(memories, key=lambda name: name != MEMORY)}
    names = {case.case_id: case.short for case in run.cases}
    points = points[(points.basis == "measured") & (points.intensity > 0)]
    divided = points[points.span != WHOLE].case_id
    points = points[(points.span != WHOLE) | ~points.case_id.isin(divided)]
    for position, roof in enumerate(measured[measured.kind == "compute"].itertuples()):
        own = [
            Spot(f"{row.span} {names[row.case_id]}".strip(), row.intensity, row.flops_per_s)
            for row in points[points.dtype == roof.dtype].itertuples()
        ]
        if spots := own[:MOST_SPOTS] if MEMORY in memories else []:
            title = f"Roofline, {roof.dtype}{_cut(len(spots), len(own), 'point')}"
            told = "; ".join(
                f"{s.label}: {s.intensity:.3g} FLOP/B, {quantity(s.flops_per_s, 'FLOP/s')}"
                for s in spots
            )
            drawn = figures.roofline(spots, float(roof.value), memories)
            svg = inline_svg(drawn, f"roofline-{run.letter}-{position}", title, told)
            panels.append(Panel(title, svg, _spots(title, own)))
    return panels


def distributions(run: RunView, timed: Mapping[str, pd.DataFrame], most: int) -> list[Panel]:
    """Two figures a case, for at most `most` of them: how its timed steps are distributed, and how
    long they took over the time of the window. `timed` has the timed samples of each case."""
    panels = []
    for case in [case for case in run.cases if case.case_id in timed][:most]:
        if processes := steps.processes_of(timed[case.case_id]):
            panels.append(
                steps.distribution(processes, f"steps-{run.letter}-{case.case_id}", case.short)
            )
            panels.append(
                steps.over_time(processes, f"drift-{run.letter}-{case.case_id}", case.short)
            )
    return panels


def _rate(metric: str, groups: Sequence[Group], runs: Sequence[RunView]) -> Panel:
    shown, cut = _shown(groups, len(runs))
    title = TITLES[metric] + cut
    drawn = figures.bars(shown, RATES[metric], [run.letter for run in runs])
    return Panel(
        title, inline_svg(drawn, f"rate-{metric}", title, _told(shown)), _data(title, groups, runs)
    )


def _shown(groups: Sequence[Group], bars: int) -> tuple[Sequence[Group], str]:
    """The first groups, of `bars` each, that a figure has room for; and what is left out, for its
    title."""
    shown = groups[: max(1, MOST_BARS // bars)]
    return shown, _cut(len(shown), len(groups), "case")


def _cut(shown: int, all_: int, noun: str) -> str:
    return f" (the first {shown} of {count(all_, noun)})" if shown < all_ else ""


def _told(groups: Sequence[Group]) -> str:
    return "; ".join(f"{group.label}: {', '.join(group.texts)}" for group in groups)


def _data(caption: str, groups: Sequence[Group], runs: Sequence[RunView]) -> Table:
    """What a figure of bars shows, a row a case and a column a run."""
    heads = ["Case", *(run.letter if len(runs) > 1 else "Value" for run in runs)]
    rows = [[Cell(group.label, head=True), *map(Cell, group.texts)] for group in groups]
    return Table(caption, "l" + "r" * len(runs), heads, rows)


def _spots(caption: str, spots: Sequence[Spot]) -> Table:
    rows = [
        [
            Cell(s.label, head=True),
            Cell(quantity(s.intensity, "")),
            Cell(quantity(s.flops_per_s, "FLOP/s")),
        ]
        for s in spots
    ]
    return Table(caption, "lrr", ["Span and case", "FLOP/B", "FLOP/s"], rows)


def _place(level: str) -> str:
    return level if level == MEMORY else level.upper()


def _cases(runs: Sequence[RunView]) -> list[list[CaseView | None]]:
    """Each case of the page as the runs have it, None where a run has no such case."""
    by_id = [{case.case_id: case for case in run.cases} for run in runs]
    order = dict.fromkeys(case_id for cases in by_id for case_id in cases)
    return [[cases.get(case_id) for cases in by_id] for case_id in order]


def _group(by_run: Sequence[CaseView | None], metric: str, unit: str) -> Group:
    label = next(case.short for case in by_run if case)
    values = [case.get(metric) if case and case.validity != "invalid" else None for case in by_run]
    texts = [_text(case, value, unit) for case, value in zip(by_run, values, strict=True)]
    return Group(label, values, texts)


def _text(case: CaseView | None, value: float | None, unit: str) -> str:
    if case is None:
        return "not in this run"
    if value is None and case.validity == "invalid":
        return "invalid"
    return quantity(value, unit, 3) if value is not None else case.outcome
