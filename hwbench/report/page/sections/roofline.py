"""What the device allows against what was reached: rooflines, ceilings, parts of a step, shares,
memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hwbench.analysis.metrics.ceilings import CEILING_SHARES, MEMORY, is_ceiling
from hwbench.analysis.metrics.peak_shares import SHARES
from hwbench.analysis.roofline import WHOLE, ceilings_of, sums
from hwbench.analysis.roofline import points as points_of
from hwbench.report.charts import roofline as charts
from hwbench.report.numbers import UNKNOWN, count, is_known, quantity, uncertainty
from hwbench.report.page.cells import Cell, Panel, Table
from hwbench.report.page.figures import roofline as figures
from hwbench.report.page.section import PageRuns
from hwbench.report.view import RunView


@dataclass(frozen=True)
class RunRoofline:
    """What the device of one run allows, and what its cases reached."""

    run: RunView
    rooflines: Sequence[Panel]
    ceilings: Table
    parts: Table
    shares: Table
    declared: Table


def content(page: PageRuns) -> list[RunRoofline] | None:
    """Return what the section shows; None where no run has a ceiling or a declared choice."""
    every = [_run_part(run) for run in page.views]
    return every if any(part.ceilings.rows or part.declared.rows for part in every) else None


def panel(chart: charts.Roofline, prefix: str) -> Panel:
    """Return the figure of a roofline with its points as a table."""
    rows = []
    for spot in chart.spots:
        texts = [quantity(spot.intensity, ""), quantity(spot.flops_per_s, "FLOP/s")]
        rows.append([Cell(spot.label, head=True), *map(Cell, texts)])
    data = Table(chart.heading, "lrr", [chart.of, "FLOP/B", "FLOP/s"], rows)
    return Panel(chart.heading, figures.roofline(chart, prefix), data)


def ceilings(known: pd.DataFrame) -> Table:
    """Return every ceiling with the case or the datasheet that it comes from."""
    rows = [
        [
            Cell(
                f"Arithmetic, {row.dtype}" if row.kind == "compute" else _place(row.level),
                head=True,
            ),
            Cell(quantity(row.value, row.unit)),
            Cell(row.basis),
            Cell(row.source),
        ]
        for row in known.itertuples()
    ]
    return Table("What the device allows", "lrll", ["Of", "At most", "Ceiling", "From"], rows)


def parts(run: RunView, points: pd.DataFrame) -> Table:
    """Return the points of `roofline.points` on the measured roofline: each case's spans and their
    sum, or else its step. Cases that are ceilings themselves are left out."""
    measured = points[(points.basis == "measured") & ~points.workload.map(is_ceiling).astype(bool)]
    totals = {row["case_id"]: row for row in sums(measured).to_dict("records")}
    names = {case.case_id: case.short for case in run.cases}
    rows: list[list[Cell]] = []
    for case_id, group in measured.groupby("case_id", sort=False):
        spans = group[group.span != WHOLE]
        lines = [_part(row) for row in (spans if len(spans) else group).to_dict("records")]
        lines += [_sum(totals[case_id])] if case_id in totals else []
        lines[0].insert(0, Cell(names[str(case_id)], head=True, rows=len(lines)))
        rows += lines
    head = [
        "Case",
        "Span",
        "Time",
        "FLOP/s",
        "Memory traffic",
        "FLOP/B",
        "Bound by",
        "At least",
        "Share",
    ]
    return Table("Spans against the measured ceilings", "llrrrrlrr", head, rows)


def shares(run: RunView) -> Table:
    """Return each share of a peak or a ceiling, with what it counts and what it is a share of."""
    names = {case.case_id: case.short for case in run.cases}
    known = run.metrics[run.metrics.metric.isin([*SHARES, *CEILING_SHARES])]
    rows = []
    for case_id, group in known.groupby("case_id", sort=False):
        head = [Cell(names[str(case_id)], head=True, rows=len(group))]
        for row in group.to_dict("records"):
            doubt = (row["ci_high"] - row["ci_low"]) / 2 / row["value"] if row["value"] else None
            unit = "B/s" if row["metric"].startswith("mbu") else "FLOP/s"
            figures = [
                quantity(row["value"], "1", 3),
                uncertainty(doubt),
                quantity(row["peak"], unit),
            ]
            dtype = row["peak_dtype"] if isinstance(row["peak_dtype"], str) else UNKNOWN
            rows.append(
                [
                    *head,
                    Cell(row["metric"]),
                    *map(Cell, [*figures, dtype, row["convention"], row["source"]]),
                ]
            )
            head = []
    titles = ["Case", "Share", "Value", "±", "Of", "dtype", "What it counts", "From"]
    return Table("Shares, with what they count and what they are of", "llrrrlll", titles, rows)


def declared(run: RunView) -> Table:
    """Return what workloads chose where they had a choice, and their memory against their
    prediction of it."""
    rows = [
        [
            Cell(case.short, head=True),
            Cell("; ".join(f"{what}: {which}" for what, which in case.choices.items()) or UNKNOWN),
            Cell(quantity(case.get("memory_predicted_bytes"), "B")),
            Cell(_held(case.values)),
            Cell(_error(case.get("memory_predicted_ratio"))),
        ]
        for case in run.cases
        if case.choices or case.get("memory_predicted_bytes") is not None
    ]
    head = ["Case", "Chosen", "Memory foreseen", "Memory held", "Foreseen / held"]
    return Table("What workloads chose, and the memory that they foresaw", "llrrr", head, rows)


def _run_part(run: RunView) -> RunRoofline:
    known, points = ceilings_of(run.tables), points_of(run.tables)
    drawn = [panel(chart, chart.name) for chart in charts.rooflines(run, known, points)]
    tables = (ceilings(known), parts(run, points), shares(run), declared(run))
    return RunRoofline(run, drawn, *tables)


def _place(level: str) -> str:
    return "Memory" if level == MEMORY else f"Cache, {level.upper()}"


def _part(row: Mapping[str, Any]) -> list[Cell]:
    return [
        Cell(row["span"] or "the step"),
        Cell(quantity(row["seconds"], "s")),
        Cell(quantity(row["flops_per_s"], "FLOP/s")),
        Cell(quantity(row["bytes_per_s"], "B/s")),
        Cell(quantity(row["intensity"], "")),
        Cell(row["bound"] if isinstance(row["bound"], str) else UNKNOWN),
        Cell(quantity(row["least_s"], "s")),
        Cell(quantity(row["share"], "1", 3)),
    ]


def _sum(row: Mapping[str, Any]) -> list[Cell]:
    title = f"sum of {count(row['spans'], 'span')}, {quantity(row['covered'], '1', 3)} of the step"
    figures = [
        quantity(row["step_s"], "s"),
        *[""] * 4,
        quantity(row["least_s"], "s"),
        quantity(row["share"], "1", 3),
    ]
    return [Cell(title), *map(Cell, figures)]


def _held(values: Mapping[str, float]) -> str:
    predicted, ratio = (values.get(f"memory_predicted_{name}") for name in ("bytes", "ratio"))
    return quantity(predicted / ratio, "B") if predicted and is_known(ratio) and ratio else UNKNOWN


def _error(ratio: float | None) -> str:
    if ratio is None:
        return UNKNOWN
    return f"{ratio:.3f}\N{MULTIPLICATION SIGN} ({ratio - 1:+.1%})".replace("%", " %")
