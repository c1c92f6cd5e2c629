"""The page's figures with their titles and descriptions, from the views of the runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from hwbench.ceilings import MEMORY
from hwbench.report import figures
from hwbench.report.figures import Group, Spot
from hwbench.report.format import quantity, ratio
from hwbench.report.svg import inline_svg
from hwbench.report.tables import Table
from hwbench.report.view import RATES, CaseView, RunView, spans_of
from hwbench.roofline import WHOLE

TITLES = {"tokens_per_s": "Tokens per second", "flops_per_s": "Model FLOP per second", "bytes_per_s": "Memory traffic"}

MOST_PANELS = 48
"""Distributions drawn on a page; their percentiles are in the table for all cases."""


MOST_SPOTS = 18
"""Points of a roofline: with more the legend would be larger than the figure; the table has all."""


@dataclass(frozen=True)
class Panel:
    """A figure; `data` is what it shows, for who cannot see it or wants the numbers."""

    title: str
    svg: Markup
    data: Table | None = None


def throughput(runs: Sequence[RunView]) -> list[Panel]:
    """A figure for each kind of throughput, with a group of bars a case and a bar a run."""
    cases = _cases(runs)
    panels = []
    kinds = {m: [_group(row, m, u) for row in cases if any(c and c.get(m) for c in row)] for m, u in RATES.items()}
    for metric, groups in kinds.items():
        if groups:
            unit = RATES[metric]
            told = "; ".join(f"{group.label}: {', '.join(group.texts)}" for group in groups)
            svg = inline_svg(figures.bars(groups, unit, _letters(runs)), f"rate-{metric}", TITLES[metric], told)
            panels.append(Panel(TITLES[metric], svg))
    return panels


def ratios(runs: Sequence[RunView], table: pd.DataFrame) -> list[Panel]:
    """A figure of each later run's throughput over the first's, for the cases they share; none if there are none."""
    groups = []
    for by_run in _cases(runs):
        case = by_run[0]
        rows = table[(table.case_id == case.case_id) & (table.metric == case.rate)] if case else table.iloc[:0]
        values = [value if pd.notna(value) else None for value in rows.ratio.iloc[1:]]
        if case and any(values):
            groups.append(Group(case.short, values, [ratio(value) for value in values]))
    if not groups:
        return []
    title = f"Throughput, as a multiple of {runs[0].letter}"
    told = "; ".join(f"{group.label}: {', '.join(group.texts)}" for group in groups)
    drawn = figures.ratios(groups, [run.letter for run in runs[1:]])
    return [Panel(title, inline_svg(drawn, "ratios", title, told))]


def spans(runs: Sequence[RunView]) -> list[Panel]:
    """One figure of stacked bars: the share of each span in a step, a bar a case and run; none without spans."""
    shares: dict[str, dict[str, float]] = {}
    totals: dict[str, str] = {}
    for run, case, group in spans_of(runs):
        total = group.seconds.sum()
        label = f"{case.short} ({run.letter})" if len(runs) > 1 else case.short
        shares[label] = dict(zip(group["name"], group.seconds / total, strict=True)) if total else {}
        totals[label] = quantity(total, "s", 3)
    if not shares:
        return []
    title = "Where the time of a step goes"
    parts = {
        label: ", ".join(f"{name} {share:.0%}" for name, share in spans.items()) for label, spans in shares.items()
    }
    told = "; ".join(f"{label}: {text}" for label, text in parts.items())
    return [Panel(title, inline_svg(figures.stacks(shares, totals), "spans", title, told))]


def rooflines(run: RunView, known: pd.DataFrame, points: pd.DataFrame) -> list[Panel]:
    """A figure for each dtype with a measured roofline: its roofs, and under them the spans, or else the steps, of
    the first MOST_SPOTS whose FLOPs and bytes are declared."""
    measured, panels = known[known.basis == "measured"], []
    memories = {_place(row.level): float(row.value) for row in measured[measured.kind == "memory"].itertuples()}
    memories = {name: memories[name] for name in sorted(memories, key=lambda name: name != MEMORY)}
    names = {case.case_id: case.short for case in run.cases}
    points = points[(points.basis == "measured") & (points.intensity > 0)]
    divided = points[points.span != WHOLE].case_id
    points = points[(points.span != WHOLE) | ~points.case_id.isin(divided)]
    for roof in measured[measured.kind == "compute"].itertuples():
        own = points[points.dtype == roof.dtype].head(MOST_SPOTS)
        spots = [
            Spot(f"{row.span} {names[row.case_id]}".strip(), row.intensity, row.flops_per_s) for row in own.itertuples()
        ]
        if spots and MEMORY in memories:
            title = f"Roofline, {roof.dtype}"
            told = "; ".join(f"{s.label}: {s.intensity:.3g} FLOP/B, {quantity(s.flops_per_s, 'FLOP/s')}" for s in spots)
            drawn = figures.roofline(spots, float(roof.value), memories)
            panels.append(Panel(title, inline_svg(drawn, f"roofline-{run.letter}-{roof.dtype}", title, told)))
    return panels


def distributions(run: RunView, samples: pd.DataFrame, most: int) -> list[Panel]:
    """A figure a case, for at most `most` of them: how its timed steps are distributed, a line a process."""
    panels = []
    timed = dict(iter(samples.groupby("case_id")))
    for case in [case for case in run.cases if case.case_id in timed][:most]:
        processes = [rows.step_s.to_numpy(np.float64) for _, rows in timed[case.case_id].groupby("process")]
        points = [quantity(case.get(f"step_s_{p}"), "s") for p in ("p50", "p90")]
        told = f"Share of the steps that took at most so long. Half took at most {points[0]}, nine in ten {points[1]}."
        drawn = figures.distribution(processes)
        prefix = f"steps-{run.letter}-{case.case_id}"
        panels.append(Panel(case.short, inline_svg(drawn, prefix, f"Step times of {case.short}", told)))
    return panels


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
    texts = [_told(case, value, unit) for case, value in zip(by_run, values, strict=True)]
    return Group(label, values, texts)


def _told(case: CaseView | None, value: float | None, unit: str) -> str:
    if case is None:
        return "not in this run"
    if value is None and case.validity == "invalid":
        return "invalid"
    return quantity(value, unit, 3) if value is not None else case.outcome


def _letters(runs: Sequence[RunView]) -> list[str]:
    return [run.letter for run in runs]
