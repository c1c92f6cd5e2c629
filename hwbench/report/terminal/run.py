"""One run in a few lines, as at the end of `hwbench run`, and the same as JSON takes it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from hwbench.analysis.metrics.peak_shares import SHARES
from hwbench.analysis.metrics.summary import PREDICTIONS
from hwbench.analysis.metrics.validity import REASONS
from hwbench.analysis.outcomes import cases
from hwbench.analysis.roofline import points, sums
from hwbench.analysis.scaling.extrapolate import extrapolate
from hwbench.analysis.scaling.sweeps import Sweep, sweep_rows, sweeps
from hwbench.analysis.side_by_side import HEADLINE
from hwbench.report.doubts import doubts
from hwbench.report.numbers import UNKNOWN, quantity, uncertainty
from hwbench.report.rows import plain_rows
from hwbench.report.terminal.tables import CASE, Column, numbers, one_line, table_of, words
from hwbench.report.view import CaseView, RunView, view_runs
from hwbench.tables.run import RunTables

SUMMARY_COLUMNS = {
    "tokens/s": {"tokens_per_s": ""},
    "rate": {"flops_per_s": "FLOP/s", "bytes_per_s": "B/s"},
    "matmul": {"mfu_achievable": "1"},
    "step p50": {"step_s_p50": "s"},
    "memory": {"memory_peak_bytes": "B"},
}
"""Column title to metrics and their units, of which the first that is known is shown: a terminal
has 80 columns. `matmul` is the share of the measured matmul ceiling."""

IN_JSON_ALONE = (*SHARES, "mbu_achievable", *PREDICTIONS)
"""Metrics for which the table has no room."""

WHOLES = {
    "tokens/s": ("tokens_per_s", ""),
    "rate": ("flops_per_s", "FLOP/s"),
    "step p50": ("step_s_p50", "s"),
    "memory": ("memory_peak_bytes", "B"),
}
"""Column title to metric and unit of what is extrapolated."""

DIGITS = 3


def summary_table(run: RunTables) -> Table:
    """Return one row a case of the plan: its headline figures, a dash where unknown, and its
    outcome; below it what narrows the intervals that are wide."""
    view = view_runs([run])[0]
    columns = [CASE, *numbers(*SUMMARY_COLUMNS, "±"), *words("outcome")]
    table = table_of(columns, map(_summary_row, view.cases))
    table.caption, table.caption_justify = _wide_note(view), "left"
    return table


def together_tables(run: RunTables) -> list[Group]:
    """Return what several cases show together: the whole models that are extrapolated from slices,
    and a table a sweep with its knee."""
    return [*_extrapolated(run), *map(_sweep_table, sweeps(run))]


def _extrapolated(run: RunTables) -> list[Group]:
    wholes = extrapolate(run)
    if wholes.empty:
        return []
    columns = [Column("model", width=18), *numbers(*WHOLES), *words("validity")]
    groups = wholes.groupby("label", sort=False)
    table = table_of(columns, (_whole_row(str(label), rows) for label, rows in groups))
    return [_titled("extrapolated, not measured", table)]


def _whole_row(label: str, metrics: pd.DataFrame) -> list[str | Text]:
    rows = {row.metric: row for row in metrics.itertuples()}
    figures = [
        _with_interval(rows[metric], unit) if metric in rows else UNKNOWN
        for metric, unit in WHOLES.values()
    ]
    first = metrics.iloc[0]
    return [label, *figures, ", ".join([first.validity, *first.reasons])]


def _with_interval(row: Any, unit: str) -> Text:
    """A value and, on a second line, its interval where it has one."""
    ends = (row.value, row.ci_low, row.ci_high)
    value, low, high = (quantity(number, unit, DIGITS) for number in ends)
    return Text(value if low == UNKNOWN else f"{value}\n{low} to {high}")


def _sweep_table(sweep: Sweep) -> Group:
    unit = "" if sweep.unit == "tokens/s" else sweep.unit
    rows = [
        [
            f"{point.at:,}",
            quantity(point.rate, unit, DIGITS),
            uncertainty(sweep.half(point)),
            quantity(point.rate / sweep.best.rate, "1", DIGITS),
        ]
        for point in sweep.points
    ]
    columns = numbers(sweep.axis, sweep.unit, "±", "of the best")
    return _titled(f"{sweep.label}: {sweep.finding}", table_of(columns, rows))


def _titled(title: str, table: Table) -> Group:
    """A table under its title, with an empty line above."""
    return Group(one_line(""), one_line(title, "bold"), table)


def together_rows(run: RunTables) -> dict[str, list[dict[str, Any]]]:
    """Return the same as JSON takes it: `extrapolated` and `sweeps`."""
    return {"extrapolated": plain_rows(extrapolate(run)), "sweeps": sweep_rows(run)}


def summary_rows(run: RunTables) -> list[dict[str, Any]]:
    """Return one dict a case of the plan, ready for JSON: figures in base units (s, B, FLOP/s),
    null where unknown."""
    return [
        {
            "case_id": case.case_id,
            "workload": case.workload,
            "params": dict(case.params),
            "dtype": case.dtype,
            "outcome": case.outcome,
            "reason": case.reason or None,
            "processes": case.processes,
            "planned": case.planned,
            "choices": dict(case.choices),
            **{
                metric: case.get(metric)
                for metrics in SUMMARY_COLUMNS.values()
                for metric in metrics
            },
            **{metric: case.get(metric) for metric in IN_JSON_ALONE},
            "uncertainty": case.uncertainty,
            "validity": case.validity or None,
            "reasons": list(case.reasons),
        }
        for case in view_runs([run])[0].cases
    ]


def roofline_table(run: RunTables) -> Table | None:
    """Return one row a case and basis: what the roofline allows the sum of its spans, against the
    measured step. None where no span has declared work that a ceiling is known for."""
    totals = sums(points(run))
    if totals.empty:
        return None
    rows = []
    for row in totals.itertuples():
        least, step = (quantity(value, "s", DIGITS) for value in (row.least_s, row.step_s))
        covered, share = (quantity(value, "1", DIGITS) for value in (row.covered, row.share))
        rows.append([row.label, row.basis, str(row.spans), covered, least, step, share])
    heads = numbers("ceilings", "spans", "of the step", "at least", "step p50", "share")
    return table_of([CASE, *heads], rows, title="roofline, span by span")


def floors_table(run: RunTables, floors: pd.DataFrame) -> Table:
    """Return one row a case and headline metric of an A/A run with its noise floor: a smaller
    difference says nothing."""
    rows = []
    for case in cases(run).itertuples():
        own = floors[(floors.case_id == case.case_id) & floors.metric.isin(HEADLINE)]
        rows += [
            [case.label, row.metric, quantity(row.floor, "1", 3), str(row.n)]
            for row in own.itertuples()
        ]
        if own.empty:
            rows.append([case.label, "none", UNKNOWN, ""])
    heads = numbers("floor", "processes in each half")
    return table_of([*words("case", "metric"), *heads], rows)


def _summary_row(case: CaseView) -> list[str | Text]:
    figures = [_figure(case, metrics) for metrics in SUMMARY_COLUMNS.values()]
    return [case.short, *figures, uncertainty(case.uncertainty), _outcome(case)]


def _figure(case: CaseView, metrics: Mapping[str, str]) -> str:
    known = next(
        (metric for metric in metrics if case.get(metric) is not None), next(iter(metrics))
    )
    return quantity(case.get(known), metrics[known], DIGITS)


def _outcome(case: CaseView) -> Text:
    color = {"ok": "green", "unsupported": "yellow", "missing": "yellow"}.get(case.outcome, "red")
    if case.validity == "invalid":
        color = "red"
    elif case.is_only_wide:
        color = "cyan"
    elif color == "green" and case.status != "ok":
        color = "yellow"
    reasons = case.reasons if case.reasons != ["not_converged"] else []  # "wide" says the same
    why = case.reason or ", ".join(reasons)
    return one_line(f"{case.status}: {why}" if why else case.status, color)


def _wide_note(run: RunView) -> Text | None:
    """What "wide" means, and how to narrow an interval; None where none is wide."""
    wide = [
        d
        for d in doubts(run)
        if d.word == "wide" and any(case.validity == "wide" for case in d.cases)
    ]
    cures = " ".join(f"{REASONS[doubt.code].meaning} {REASONS[doubt.code].cure}" for doubt in wide)
    return one_line(f"wide: {cures}", "dim") if cures else None
