"""The tables of a profile."""

import pandas as pd

from hwbench.analysis.profile.operators import ProfiledCase, by_name, rows_of
from hwbench.analysis.profile.tables import modules, spans
from hwbench.analysis.profile.waterfall import gap_seconds
from hwbench.report.numbers import UNKNOWN, quantity
from hwbench.report.page.cells import Cell, Table
from hwbench.report.profile_words import CAUSES, peak, times
from hwbench.tables.run import RunTables

MOST_ROWS = 20
"""Rows of a table of operators, kernels or modules; the last one has the others."""


def operators_table(rows: pd.DataFrame, case: ProfiledCase) -> Table:
    """Return the operators of a step with their rates and ceilings, by name, direction and
    dtype."""
    table = by_name(rows, ["name", "backward", "dtype"])
    cells = [
        [
            Cell(
                row["name"],
                sub=f"{'backward, ' if row['backward'] else ''}{row['dtype']}",
                head=True,
            ),
            Cell(row["kind"]),
            Cell(times(row["calls"])),
            *time(row["seconds"], case.clean_step_s),
            Cell(quantity(row["flops_per_s"], "FLOP/s", 3)),
            Cell(quantity(row["bytes_per_s"], "B/s", 3)),
            Cell(row["bound"] if isinstance(row["bound"], str) else UNKNOWN),
            Cell(quantity(row["least_s"], "s", 3)),
        ]
        for row in table.head(MOST_ROWS).to_dict("records")
    ]
    cells += _others(table, case.clean_step_s, before=2, after=4)
    head = [
        "Operator",
        "Kind",
        "Calls",
        "Time",
        "Share",
        "FLOP/s",
        "Memory traffic",
        "Bound by",
        "At least",
    ]
    return Table("Operators of a step, without the profiler's cost", "llrrrrrlr", head, cells)


def spans_table(tables: RunTables, case: ProfiledCase) -> Table:
    """Return how long each span of the profiled step took."""
    rows = [
        [Cell(row.span or "(rest)", head=True), *time(row.seconds, case.clean_step_s)]
        for row in spans(tables, case).itertuples()
    ]
    return Table(
        "Spans of the profiled step, on the host's clock", "lrr", ["Span", "Time", "Share"], rows
    )


def modules_table(tables: RunTables, case: ProfiledCase) -> Table:
    """Return how long each module took, with the modules inside it, forward and backward."""
    rows = [
        [
            Cell(
                row.module or row.kind,
                sub=row.kind if row.modules == 1 else f"{row.modules} of {row.kind}",
                head=True,
            ),
            Cell(times(row.calls)),
            *(
                Cell(quantity(seconds, "s", 3))
                for seconds in (
                    row.forward_s,
                    row.backward_s,
                    row.self_forward_s + row.self_backward_s,
                )
            ),
            Cell(quantity(row.share, "1", 3)),
        ]
        for row in modules(tables, case).head(MOST_ROWS).itertuples()
    ]
    head = ["Module", "Calls", "Forward", "Backward", "Itself", "Share"]
    return Table("Modules, with what lies within them, in the profiled step", "lrrrrr", head, rows)


def kernels_table(tables: RunTables, case: ProfiledCase) -> Table:
    """Return the kernels that an accelerator ran in a step."""
    table = by_name(
        rows_of(tables, case, "kernel").assign(kind="", bound=None, least_s=0.0, over_s=0.0),
        ["name"],
    )
    rows = [
        [
            Cell(row["name"], head=True),
            Cell(times(row["calls"])),
            *time(row["seconds"], case.clean_step_s),
        ]
        for row in table.head(MOST_ROWS).to_dict("records")
    ]
    rows += _others(table, case.clean_step_s, before=1, after=0)
    return Table("Kernels of a step", "lrrr", ["Kernel", "Calls", "Time", "Share"], rows)


def gaps_table(tables: RunTables, case: ProfiledCase) -> Table:
    """Return how long an accelerator idled in the profiled step, by cause."""
    rows = [
        [Cell(CAUSES.get(cause, cause), sub=cause, head=True), *time(seconds, case.profiled_step_s)]
        for cause, seconds in gap_seconds(tables, case).items()
    ]
    return Table(
        "Idle gaps of the profiled step, by their cause", "lrr", ["Cause", "Time", "Share"], rows
    )


def peak_table(held: pd.DataFrame) -> Table:
    """Return what holds the memory at its peak; without rows where that is unknown."""
    largest = peak(held)
    if largest is None:
        return Table("", "lrr", [], [])
    total = largest["total_bytes"]
    rows = [
        [Cell(holder, head=True), Cell(quantity(bytes_held, "B")), share(bytes_held, total)]
        for holder, bytes_held in largest["held_bytes"].items()
    ]
    rows.append(
        [
            Cell("all", sub=f"after {largest['name']}", head=True),
            Cell(quantity(total, "B")),
            share(total, total),
        ]
    )
    return Table("What holds the memory at its peak", "lrr", ["Held for", "Memory", "Share"], rows)


def _others(table: pd.DataFrame, whole: float, before: int, after: int) -> list[list[Cell]]:
    rest = table.iloc[MOST_ROWS:]
    if rest.empty:
        return []
    empty = [Cell(UNKNOWN)]
    head = [
        Cell(f"the other {len(rest):,}", head=True),
        *empty * (before - 1),
        Cell(times(rest.calls.sum())),
    ]
    return [[*head, *time(rest.seconds.sum(), whole), *empty * after]]


def time(seconds: float, whole: float) -> list[Cell]:
    return [Cell(quantity(seconds, "s")), share(seconds, whole)]


def share(part: float, whole: float) -> Cell:
    return Cell(quantity(part / whole if whole else None, "1", 3))
