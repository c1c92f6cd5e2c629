"""Why the steps of a run take as long as they do: what the page says of its profiled cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hwbench.analysis.profile.advice import advice
from hwbench.analysis.profile.operators import ProfiledCase, operators, profiled_cases
from hwbench.analysis.profile.tables import memory
from hwbench.analysis.profile.waterfall import Waterfall, waterfall
from hwbench.report.charts import profile as charts
from hwbench.report.numbers import quantity
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures import profile as figures
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections import roofline
from hwbench.report.page.sections.waterfall_tables import (
    gaps_table,
    kernels_table,
    modules_table,
    operators_table,
    peak_table,
    share,
    spans_table,
)
from hwbench.report.profile_words import RESTS, lines, unknown
from hwbench.report.view import RunView


@dataclass(frozen=True)
class ExplainedCase:
    """A profiled case. Of an invalid profile `invalid` says why, and all else is empty."""

    name: str
    invalid: str = ""
    sentences: Sequence[str] = ()
    lines: Sequence[str] = ()
    unknown: Sequence[str] = ()
    figures: Sequence[Panel] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Explained:
    """The profiled cases of one run."""

    run: RunView
    cases: Sequence[ExplainedCase]


def content(page: PageRuns) -> list[Explained] | None:
    """Return what is known of the runs that were profiled; None where none was."""
    return list(filter(None, map(explained, page.views))) or None


def explained(run: RunView) -> Explained | None:
    """Return what the page says of the run's profiles; None without any."""
    names = {case.case_id: case.short for case in run.cases}
    cases = [
        _case(run, case, names.get(case_id, case.label))
        for case_id, case in profiled_cases(run.tables).items()
    ]
    return Explained(run, cases) if cases else None


def _case(run: RunView, case: ProfiledCase, name: str) -> ExplainedCase:
    if case.invalid:
        return ExplainedCase(name, case.invalid)
    tables = run.tables
    result = waterfall(tables, case)
    known = result if isinstance(result, Waterfall) else None
    rows = known.operators if known else operators(tables, case)
    held = memory(tables, case)
    prefix = f"{run.letter}-{case.case_id}"
    panels = [_waterfall(known, name, prefix)] if known else []
    if known:
        panels += [
            roofline.panel(chart, chart.name.replace("operators", f"operators-{prefix}"))
            for chart in charts.operator_rooflines(tables, case, rows, name)
        ]
    every = [
        operators_table(rows, case),
        spans_table(tables, case),
        modules_table(tables, case),
        kernels_table(tables, case),
        gaps_table(tables, case),
        peak_table(held),
    ]
    return ExplainedCase(
        name=name,
        sentences=[one.sentence for one in advice(tables, case, known)] if known else [],
        lines=lines(case, result),
        unknown=[f"{what}: {why}" for what, why in unknown(case, result).items()],
        figures=[*panels, *_memory(held, name, prefix)],
        tables=[table for table in every if table.rows],
    )


def _waterfall(result: Waterfall, name: str, prefix: str) -> Panel:
    chart = charts.cascade(result, name)
    whole = result.clean_step_s
    parts = {bar.label: bar.value for bar in [*chart.bars, chart.whole]}
    rests = {f"of the rest: {RESTS[cause]}": value for cause, value in result.rest_of.items()}
    rows = [
        [Cell(label, head=True), Cell(quantity(seconds, "s")), share(seconds, whole)]
        for label, seconds in [*parts.items(), *rests.items()]
    ]
    data = Table(f"Parts of a step of {name}", "lrr", ["Part", "Time", "Share"], rows)
    return Panel(chart.title, figures.cascade(chart, f"waterfall-{prefix}"), data)


def _memory(held: pd.DataFrame, name: str, prefix: str) -> list[Panel]:
    chart = charts.memory_over_step(held, name)
    if chart is None:
        return []
    rows = []
    for area in chart.areas:
        values = (area.held[0], area.held.max(), area.held[-1])
        texts = [quantity(float(value), "B") for value in values]
        rows.append([Cell(area.label, head=True), *map(Cell, texts)])
    data = Table(chart.title, "lrrr", ["Held for", "At first", "At most", "At the end"], rows)
    return [Panel(chart.title, figures.memory(chart, f"memory-{prefix}"), data)]
