"""The results of each run: its cases with their headline figures, and throughput as bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.analysis.metrics.latency import PERCENTILES
from hwbench.report.charts import bars as charts
from hwbench.report.numbers import quantity, uncertainty
from hwbench.report.page.cells import Cell, Panel, Table, figure_cell, tone
from hwbench.report.page.figures import bars
from hwbench.report.page.section import PageRuns
from hwbench.report.page.sections.sweeps import extrapolated
from hwbench.report.view import CaseView, RunView

FIGURES = {
    "Tokens/s": ("tokens_per_s", "tokens/s"),
    "FLOP/s": ("flops_per_s", "FLOP/s"),
    "MFU": ("mfu", "1"),
    "Of matmul ceiling": ("mfu_achievable", "1"),
    "Memory traffic": ("bytes_per_s", "B/s"),
    "MBU": ("mbu", "1"),
    "Of memory ceiling": ("mbu_achievable", "1"),
    "Step p50": ("step_s_p50", "s"),
    "Memory peak": ("memory_peak_bytes", "B"),
    "Compile": ("compile_s", "s"),
}
ALWAYS = ("tokens_per_s", "flops_per_s", "bytes_per_s", "step_s_p50", "memory_peak_bytes")
"""The columns of the results with metric and unit; those that always stand, though empty."""

LATENCIES = {"TTFT p50": "ttft_s_p50", "TPOT p50": "tpot_s_p50"} | {
    f"ITL {p}": f"itl_s_{p}" for p in PERCENTILES
}
UNDER_LOAD = {
    "Requests/s": ("requests_per_s", "1/s"),
    "Goodput": ("goodput_requests_per_s", "1/s"),
    "Largest rate": ("max_rate_requests_per_s", "1/s"),
    "TTFT p50": ("ttft_s_p50", "s"),
    "TTFT p99": ("ttft_s_p99", "s"),
    "TPOT p50": ("tpot_s_p50", "s"),
    "TPOT p99": ("tpot_s_p99", "s"),
    "Latency p50": ("latency_s_p50", "s"),
    "Latency p99": ("latency_s_p99", "s"),
}


@dataclass(frozen=True)
class RunResults:
    """The results of one run."""

    run: RunView
    results: Table
    generation: Table
    under_load: Table
    extrapolated: Table


@dataclass(frozen=True)
class Results:
    """The results of all runs; the bars of a run alone, of several the comparison has them."""

    throughput: Sequence[Panel]
    parts: Sequence[RunResults]


def content(page: PageRuns) -> Results:
    """Return what the section shows."""
    return Results([] if page.several else throughput(page.views), list(map(_part, page.views)))


def throughput(runs: Sequence[RunView]) -> list[Panel]:
    """Return a figure for each kind of throughput, with a group of bars a case and a bar a run."""
    panels = []
    for chart in charts.throughputs(runs):
        heads = ["Case", *(run.letter if len(runs) > 1 else "Value" for run in runs)]
        drawn = bars.throughput(chart, chart.name)
        panels.append(Panel(chart.heading, drawn, bars_table(chart, heads)))
    return panels


def bars_table(chart: charts.Bars, heads: Sequence[str]) -> Table:
    """Return what a figure of bars shows, a row a case and a column a run."""
    rows = [[Cell(group.label, head=True), *map(Cell, group.texts)] for group in chart.groups]
    return Table(chart.heading, "l" + "r" * (len(heads) - 1), heads, rows)


def results(run: RunView) -> Table:
    """Return every case of the plan with its headline figures and its outcome."""
    known = {metric for case in run.cases for metric in case.values}
    shown = {
        title: (metric, unit)
        for title, (metric, unit) in FIGURES.items()
        if metric in ALWAYS or metric in known
    }
    rows = []
    for case in run.cases:
        figures = [figure_cell(case, metric, unit) for metric, unit in shown.values()]
        certainty = Cell(uncertainty(case.uncertainty))
        processes = Cell(f"{case.processes} of {case.planned}")
        label = Cell(f"{case.workload} {case.dtype}", sub=case.details, head=True)
        rows.append([label, *figures, certainty, processes, _status(case)])
    return Table(
        "Results: median of the processes of each case",
        "l" + "r" * (len(shown) + 2) + "l",
        ["Case", *shown, "±", "Processes", "Outcome"],
        rows,
    )


def generation(run: RunView) -> Table:
    """Return the latency of generation, for the cases that mark it."""
    metrics = LATENCIES.values()
    rows = [
        [
            Cell(case.short, head=True),
            *(Cell(quantity(case.get(metric), "s")) for metric in metrics),
        ]
        for case in run.cases
        if any(metric in case.values for metric in metrics)
    ]
    return Table("Latency of generation", "l" + "r" * len(LATENCIES), ["Case", *LATENCIES], rows)


def under_load(run: RunView) -> Table:
    """Return rates and latencies of requests, from their scheduled arrival, for the cases that
    serve them."""
    rows = [
        [
            Cell(case.short, head=True),
            *(Cell(quantity(case.get(metric), unit)) for metric, unit in UNDER_LOAD.values()),
        ]
        for case in run.cases
        if "requests_per_s" in case.values
    ]
    return Table(
        "Requests under load, timed from their scheduled arrival",
        "l" + "r" * len(UNDER_LOAD),
        ["Case", *UNDER_LOAD],
        rows,
    )


def _part(run: RunView) -> RunResults:
    return RunResults(run, results(run), generation(run), under_load(run), extrapolated(run))


def _status(case: CaseView) -> Cell:
    if case.validity == "invalid":
        return Cell(case.status, tone="bad")
    if case.is_only_wide:
        return Cell(case.status, tone=tone(case.validity))
    own = tone(case.outcome)
    return Cell(case.status, tone="warn" if own == "good" and case.status != "ok" else own)
