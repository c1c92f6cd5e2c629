"""The tables of the page, as cells. What is unknown is a dash; what has no figure says why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from markupsafe import Markup

from hwbench.analysis.metrics.latency import PERCENTILES
from hwbench.analysis.metrics.validity import REASONS
from hwbench.analysis.side_by_side import presence
from hwbench.report.numbers import UNKNOWN, count, quantity, ratio, uncertainty
from hwbench.report.view import CaseView, RunView, Spans, doubts

METRICS = {
    "tokens_per_s": "Tokens per second",
    "flops_per_s": "Model FLOP/s",
    "bytes_per_s": "Memory traffic",
    "step_s_p50": "Step, p50",
    "ttft_s_p50": "Time to first token, p50",
    "tpot_s_p50": "Time per output token, p50",
    "memory_peak_bytes": "Memory peak",
    "energy_j_per_token": "Energy per token",
    "energy_j": "Energy per step",
    "power_w": "Power",
}
"""How the headline metrics of `compare` are called on the page."""

MOST_APART = 4
"""Runs up to which ratios have columns of their own."""

Intervals = Mapping[tuple[int, str, str], tuple[float, float]]
"""The 95 % interval of a run's ratio to the first, by the run's position, case_id and metric."""

TONES = {
    "ok": "good",
    "valid": "good",
    "wide": "note",
    "unsupported": "warn",
    "missing": "warn",
    "suspect": "warn",
    "invalid": "bad",
}
"""The tone of an outcome or a validity; those not named here are failures."""


@dataclass(frozen=True)
class Cell:
    """`sub` is a second, quieter line; `head` makes it the row's heading, which spans `rows`
    rows."""

    text: str
    sub: str = ""
    tone: str = ""
    head: bool = False
    rows: int = 1


@dataclass(frozen=True)
class Table:
    """`align` has a letter a column: l for words, r for numbers. Later rows under a spanning head
    start after it."""

    caption: str
    align: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]] = field(repr=False)


@dataclass(frozen=True)
class Panel:
    """A figure; `data` is what it shows, for who cannot see it or wants the numbers."""

    title: str
    svg: Markup
    data: Table | None = None


def tone(word: str) -> str:
    """good, note, warn, bad or quiet, for an outcome or a validity."""
    return TONES.get(word, "quiet" if word.startswith("not ") else "bad")


def results(run: RunView) -> Table:
    """Every case of the plan with its headline figures and its outcome."""
    columns = {
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
    always = ("tokens_per_s", "flops_per_s", "bytes_per_s", "step_s_p50", "memory_peak_bytes")
    known = {metric for case in run.cases for metric in case.values}
    shown = {title: (m, unit) for title, (m, unit) in columns.items() if m in always or m in known}
    rows = [
        [
            Cell(f"{case.workload} {case.dtype}", sub=case.details, head=True),
            *(_figure(case, metric, unit) for metric, unit in shown.values()),
            Cell(uncertainty(case.uncertainty)),
            Cell(f"{case.processes} of {case.planned}"),
            _status(case),
        ]
        for case in run.cases
    ]
    head = ["Case", *shown, "±", "Processes", "Outcome"]
    return Table(
        "Results: median of the processes of each case",
        "l" + "r" * (len(shown) + 2) + "l",
        head,
        rows,
    )


def comparison(runs: Sequence[RunView], table: pd.DataFrame, intervals: Intervals) -> Table:
    """`side_by_side.side_by_side` as rows: each run's value, and each later run's ratio to the first with
    its interval: in columns of their own, or of many runs under the values."""
    names = {case.case_id: case.short for run in reversed(runs) for case in run.cases}
    apart = len(runs) <= MOST_APART
    rows = []
    for case_id, group in table.groupby("case_id", sort=False):
        metrics = group.groupby("metric", sort=False, dropna=False)
        head = Cell(names[case_id], head=True, rows=metrics.ngroups)
        for position, (metric, line) in enumerate(metrics):
            values = [_value(row) for row in line.itertuples()]
            ratios = [_ratio(row, intervals) for row in line.iloc[1:].itertuples()]
            if not apart:
                under = [" ".join(filter(None, [cell.text, cell.sub])) for cell in ratios]
                values[1:] = [
                    replace(cell, sub=text) for cell, text in zip(values[1:], under, strict=True)
                ]
            title = Cell(METRICS[metric] if pd.notna(metric) else "No figures")
            rows.append(
                [*([head] if position == 0 else []), title, *values, *(ratios if apart else [])]
            )
    letters = [run.letter for run in runs]
    heads = ["Case", "Quantity", *(f"{run.letter}: {run.name}" for run in runs)]
    heads += [f"{letter} / {letters[0]}" for letter in letters[1:]] if apart else []
    return Table("Every case, side by side", "ll" + "r" * (len(heads) - 2), heads, rows)


def not_shared(runs: Sequence[RunView], table: pd.DataFrame, shared: Sequence[str]) -> Table:
    """The cases that cannot be compared, with what each run has of them."""
    names = {case.case_id: case.short for run in runs for case in run.cases}
    rows = [
        [
            Cell(names[case_id], head=True),
            *(Cell(outcome, tone=tone(outcome)) for outcome in outcomes),
        ]
        for case_id, *outcomes in presence(table).drop(index=list(shared)).itertuples()
    ]
    heads = ["Case", *(f"{run.letter}: {run.name}" for run in runs)]
    return Table("Cases without a figure in two runs", "l" * len(heads), heads, rows)


def spans(runs: Sequence[RunView], groups: Spans) -> Table:
    """The parts of a step: seconds and share, a row a case, run and span."""
    rows: list[list[Cell]] = []
    for run, case, group in groups:
        total = group.seconds.sum()
        where = [
            Cell(
                case.short,
                sub=f"Run {run.letter}" if len(runs) > 1 else "",
                head=True,
                rows=len(group),
            )
        ]
        for row in group.itertuples():
            share = quantity(row.seconds / total if total else None, "1", 3)
            rows.append([*where, Cell(row.name), Cell(quantity(row.seconds, "s")), Cell(share)])
            where = []
    return Table(
        "Parts of a step: the median step's", "llrr", ["Case", "Span", "Time", "Share"], rows
    )


def percentiles(run: RunView, samples: Mapping[str, pd.DataFrame]) -> Table:
    """The distribution of step times, from the metrics; `samples` are the timed samples of each
    case."""
    rows = []
    for case in run.cases:
        if case.case_id not in samples:
            continue
        steps = samples[case.case_id].step_s
        size, least, most = len(steps), steps.min(), steps.max()
        middle = [Cell(quantity(case.get(f"step_s_{p}"), "s")) for p in PERCENTILES]
        ends = [Cell(quantity(least, "s")), *middle, Cell(quantity(most, "s"))]
        rows.append(
            [Cell(case.short, head=True), Cell(f"{case.processes}"), Cell(f"{size:,}"), *ends]
        )
    head = ["Case", "Processes", "Steps", "Fastest", *PERCENTILES, "Slowest"]
    return Table("Step times", "l" + "r" * (len(head) - 1), head, rows)


def generation(run: RunView) -> Table:
    """Latency of generation, for the cases that mark it."""
    columns = {"TTFT p50": "ttft_s_p50", "TPOT p50": "tpot_s_p50"} | {
        f"ITL {p}": f"itl_s_{p}" for p in PERCENTILES
    }
    rows = [
        [
            Cell(case.short, head=True),
            *(Cell(quantity(case.get(metric), "s")) for metric in columns.values()),
        ]
        for case in run.cases
        if any(metric in case.values for metric in columns.values())
    ]
    return Table("Latency of generation", "l" + "r" * len(columns), ["Case", *columns], rows)


def under_load(run: RunView) -> Table:
    """Rates and latencies of requests, from their scheduled arrival, for the cases that serve
    them."""
    columns = {
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
    rows = [
        [
            Cell(case.short, head=True),
            *(Cell(quantity(case.get(m), unit)) for m, unit in columns.values()),
        ]
        for case in run.cases
        if "requests_per_s" in case.values
    ]
    return Table(
        "Requests under load, timed from their scheduled arrival",
        "l" + "r" * len(columns),
        ["Case", *columns],
        rows,
    )


def failures(run: RunView) -> Table:
    """The cases that did not come out ok everywhere, with the reason."""
    rows = [
        [
            Cell(case.short, head=True),
            Cell(case.outcome, tone=tone(case.outcome)),
            Cell(_reason(case)),
        ]
        for case in run.cases
        if case.outcome != "ok"
    ]
    return Table(
        "Cases that failed, did not apply or are missing",
        "lll",
        ["Case", "Outcome", "Reason"],
        rows,
    )


def notes(run: RunView) -> Table:
    """What makes figures doubtful, in the words of the measurement, and for which cases."""
    rows = []
    for doubt in doubts(run):
        more = f"; {len(doubt.texts) - 1} more such" if len(doubt.texts) > 1 else ""
        cure = REASONS[doubt.code].cure if doubt.code in REASONS else ""
        said = Cell(doubt.word, sub=doubt.widths, tone=tone(doubt.word))
        what = Cell((doubt.texts[0] + more) or doubt.code, sub=doubt.code, head=True)
        rows.append([what, said, Cell(doubt.where(run)), Cell(cure)])
    return Table(
        "What speaks against figures",
        "llll",
        ["What happened", "Figures are", "Cases", "What to do"],
        rows,
    )


def policy(run: RunView) -> Table:
    """How long and how often was measured."""
    asked = run.parsed("plan")["policy"]
    kinds = sorted(set(run.tables.measurements.timer_kind.dropna()))
    clocks = {"device_event": "events in the device's queue", "host": "the host's monotonic clock"}
    limits = {name: quantity(asked.get(f"{name}_time_s"), "s") for name in ("min", "max")}
    lines = {
        "Processes": f"{count(asked['processes'], 'fresh process')} a case; {run.stored} of {run.planned} stored",
        "Window": f"{limits['min']} or more and {count(asked.get('min_samples', 1), 'step')} or more, after warm-up; "
        f"no step is begun after {limits['max']}",
        "Time-out": quantity(asked.get("timeout_s"), "s"),
        "Budget": quantity(asked.get("budget_s"), "s") if asked.get("budget_s") else "none",
        "Seed": json.dumps(asked.get("seed")),
        "Clock of the steps": ", ".join(clocks.get(kind, kind) for kind in kinds)
        or "nothing was timed",
    }
    rows = [[Cell(title, head=True), Cell(text)] for title, text in lines.items()]
    return Table("How long and how often", "ll", ["Setting", "Value"], rows)


def _figure(case: CaseView, metric: str, unit: str) -> Cell:
    digits = 3 if unit == "1" else 4
    return Cell(
        quantity(case.get(metric), unit, digits), tone="void" if case.validity == "invalid" else ""
    )


def _value(row: Any) -> Cell:
    """A run's value in the comparison, or why there is none."""
    if pd.notna(row.value):
        return Cell(quantity(row.value, row.unit), tone="void" if row.validity == "invalid" else "")
    return Cell(UNKNOWN if row.outcome == "ok" else row.outcome, tone="quiet")


def _ratio(row: Any, intervals: Intervals) -> Cell:
    ends = intervals.get((row.run, row.case_id, row.metric)) if pd.notna(row.ratio) else None
    return Cell(ratio(row.ratio), sub=f"{ratio(ends[0])} to {ratio(ends[1])}" if ends else "")


def _status(case: CaseView) -> Cell:
    if case.validity == "invalid":
        return Cell(case.status, tone="bad")
    if case.is_only_wide:
        return Cell(case.status, tone=tone(case.validity))
    own = tone(case.outcome)
    return Cell(case.status, tone="warn" if own == "good" and case.status != "ok" else own)


def _reason(case: CaseView) -> str:
    if case.outcome == "missing":
        return "Nothing stored: the run ended before its turn."
    return case.reason or "No reason was stored."
