"""A run in a few lines: the table at the end of `hwbench run`, and the same as plain data for
`--json`."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hwbench.analysis.metrics.peak_shares import SHARES
from hwbench.analysis.metrics.summary import PREDICTIONS
from hwbench.analysis.metrics.validity import REASONS
from hwbench.analysis.roofline import points, sums
from hwbench.analysis.scaling.extrapolate import extrapolate
from hwbench.analysis.scaling.sweeps import Sweep, sweep_rows, sweeps
from hwbench.report.doubts import doubts
from hwbench.report.numbers import UNKNOWN, clean, plain, quantity, uncertainty
from hwbench.report.view import CaseView, RunView, view_runs
from hwbench.tables.reader import RunTables

COLUMNS = {
    "tokens/s": {"tokens_per_s": ""},
    "rate": {"flops_per_s": "FLOP/s", "bytes_per_s": "B/s"},
    "matmul": {"mfu_achievable": "1"},
    "step p50": {"step_s_p50": "s"},
    "memory": {"memory_peak_bytes": "B"},
}
"""Column title to metrics and their units, of which the first that is known is shown: a terminal
has 80 columns. `matmul` is the share of the measured matmul ceiling."""

IN_JSON_ALONE = (*SHARES, "mbu_achievable", *PREDICTIONS)
"""Metrics that the table has no room for."""

WHOLES = {
    "tokens/s": ("tokens_per_s", ""),
    "rate": ("flops_per_s", "FLOP/s"),
    "step p50": ("step_s_p50", "s"),
    "memory": ("memory_peak_bytes", "B"),
}
"""Column title to metric and unit of what is extrapolated."""

DIGITS = 3


def summary_table(run: RunTables) -> Table:
    """One row a case of the plan: its headline figures, a dash where unknown, and its outcome;
    below it what narrows the intervals that are wide."""
    view = view_runs([run])[0]
    table = _plain_table()
    table.caption, table.caption_justify = _wide_note(view), "left"
    table.add_column("case", overflow="fold", min_width=18)
    for title in COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    table.add_column("outcome", overflow="fold")
    for case in view.cases:
        figures = [_figure(case, metrics) for metrics in COLUMNS.values()]
        table.add_row(_text(case.short), *figures, uncertainty(case.uncertainty), _outcome(case))
    return table


def together_tables(run: RunTables) -> list[Group]:
    """What cases tell together: the wholes that are extrapolated from slices, and a table a sweep
    with its knee."""
    return [*_extrapolated(run), *map(_sweep_table, sweeps(run))]


def _extrapolated(run: RunTables) -> list[Group]:
    wholes = extrapolate(run)
    if wholes.empty:
        return []
    table = _plain_table()
    table.add_column("model", overflow="fold", min_width=18)
    for title in WHOLES:
        table.add_column(title, justify="right")
    table.add_column("validity", overflow="fold")
    for label, group in wholes.groupby("label", sort=False):
        rows = {row.metric: row for row in group.itertuples()}
        figures = [
            _with_interval(rows[metric], unit) if metric in rows else UNKNOWN
            for metric, unit in WHOLES.values()
        ]
        first = group.iloc[0]
        table.add_row(
            _text(str(label)), *figures, _text(", ".join([first.validity, *first.reasons]))
        )
    return [_titled("extrapolated, not measured", table)]


def _with_interval(row: Any, unit: str) -> str:
    """A value and, on a second line, its interval where it has one."""
    value, low, high = (
        quantity(number, unit, DIGITS) for number in (row.value, row.ci_low, row.ci_high)
    )
    return value if low == UNKNOWN else f"{value}\n{low} to {high}"


def _sweep_table(sweep: Sweep) -> Group:
    table = _plain_table()
    for name in (sweep.axis, sweep.unit, "±", "of the best"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in sweep.points:
        rate = quantity(point.rate, "" if sweep.unit == "tokens/s" else sweep.unit, DIGITS)
        half = uncertainty(sweep.half(point))
        table.add_row(
            f"{point.at:,}", rate, half, quantity(point.rate / sweep.best.rate, "1", DIGITS)
        )
    return _titled(f"{sweep.label}: {sweep.finding}", table)


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")


def _titled(title: str, table: Table) -> Group:
    """The table under its title, with room to another one above."""
    return Group(_text(""), _text(title, "bold"), table)


def together_rows(run: RunTables) -> dict[str, list[dict[str, Any]]]:
    """The same as plain data: `extrapolated` and `sweeps`."""
    wholes = [
        {name: plain(value) for name, value in row.items()}
        for row in extrapolate(run).to_dict("records")
    ]
    return {"extrapolated": wholes, "sweeps": sweep_rows(run)}


def summary_rows(run: RunTables) -> list[dict[str, Any]]:
    """One dict a case of the plan, ready for JSON: figures in base units (s, B, FLOP/s), null where
    unknown."""
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
            **{metric: case.get(metric) for metrics in COLUMNS.values() for metric in metrics},
            **{metric: case.get(metric) for metric in IN_JSON_ALONE},
            "uncertainty": case.uncertainty,
            "validity": case.validity or None,
            "reasons": list(case.reasons),
        }
        for case in view_runs([run])[0].cases
    ]


def roofline_table(run: RunTables) -> Table | None:
    """One row a case and basis: what the roofline allows the sum of its spans, against the measured
    step. None where no span has declared work that a ceiling is known for."""
    found = sums(points(run))
    if found.empty:
        return None
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title="roofline, span by span",
        title_justify="left",
    )
    table.add_column("case", overflow="fold", min_width=18)
    for title in ("ceilings", "spans", "of the step", "at least", "step p50", "share"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in found.itertuples():
        figures = [quantity(value, "s", DIGITS) for value in (row.least_s, row.step_s)]
        shares = [quantity(value, "1", DIGITS) for value in (row.covered, row.share)]
        table.add_row(_text(row.label), row.basis, str(row.spans), shares[0], *figures, shares[1])
    return table


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
    told = [] if case.reasons == ["not_converged"] else case.reasons  # it says what "wide" does
    why = case.reason or ", ".join(told)
    return _text(f"{case.status}: {why}" if why else case.status, color)


def _wide_note(run: RunView) -> Text | None:
    """What `wide` stands for, with its cure; None where nothing is."""
    wide = [
        d
        for d in doubts(run)
        if d.word == "wide" and any(case.validity == "wide" for case in d.cases)
    ]
    told = " ".join(f"{REASONS[doubt.code].meaning} {REASONS[doubt.code].cure}" for doubt in wide)
    return _text(f"wide: {told}", "dim") if told else None


def _text(text: str, style: str = "") -> Text:
    # a Text, so that brackets in a name are no markup
    return Text(" ".join(clean(text).split()), style)
