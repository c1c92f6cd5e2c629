"""A profile for the terminal and as JSON takes it, and what makes the steps of two runs differ."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from hwbench.analysis.profile.advice import advice
from hwbench.analysis.profile.diff import OpDiff
from hwbench.analysis.profile.operators import (
    AMOUNTS,
    ProfiledCase,
    by_name,
    operators,
    profiled_case,
)
from hwbench.analysis.profile.tables import memory, modules, spans
from hwbench.analysis.profile.waterfall import NoWaterfall, Waterfall, gap_seconds, waterfall
from hwbench.report.numbers import UNKNOWN, plain, quantity
from hwbench.report.profile_words import CAUSES, PARTS, RESTS, lines, peak, times, unknown
from hwbench.report.rows import plain_rows
from hwbench.report.terminal.tables import Column, one_line, table_of
from hwbench.tables.run import RunTables

MOST_ROWS = 15
DIGITS = 3
WORDS = ("part", "operator", "module", "kind", "cause", "held for", "bound by", "where")
"""Columns that hold words."""

NOTHING_S = 1e-12
"""A smaller difference is rounding."""

OPERATORS = ["span", "name", "backward", "dtype"]


def profile_data(run: RunTables, named: str | None = None) -> dict[str, Any]:
    """Return the profile of a case (`profiled_case`) as JSON takes it: seconds, bytes and FLOPs of
    a step, null for unknown.

    An invalid profile has only its overhead and the reason. UserError as `profiled_case`.
    """
    case = profiled_case(run, named)
    result = waterfall(run, case)
    known = result if isinstance(result, Waterfall) else None
    data: dict[str, Any] = {
        "run_id": run.run_id,
        "case": {name: getattr(case, name) for name in ("case_id", "workload", "dtype", "params")},
        "clean_step_s": case.clean_step_s,
        "profiled_step_s": plain(case.profiled_step_s),
        "overhead": plain(case.overhead),
        "invalid": case.invalid or None,
        "waterfall": [vars(part) for part in known.parts] if known else None,
        "rest_of": dict(known.rest_of) if known else None,
        "missed_s": known.missed_s if known else None,
        "sentences": [one.sentence for one in advice(run, case, known)] if known else [],
    }
    tables = _NO_TABLES if case.invalid else _tables_data(run, case, result)
    return data | tables | {"unknown": unknown(case, result)}


def profile_tables(run: RunTables, named: str | None = None) -> list[Table]:
    """Return the same for a terminal: what was profiled, the waterfall, operators, modules, gaps,
    and the memory's peak."""
    case = profiled_case(run, named)
    if case.invalid:
        reason = f"This profile is invalid, so nothing of it is shown: {case.invalid}."
        return [_summary(case, [reason])]
    result = waterfall(run, case)
    known = result if isinstance(result, Waterfall) else None
    sentences = [one.sentence for one in advice(run, case, known)] if known else []
    sentences += lines(case, result)
    sentences += [f"Not known: {what}: {why}." for what, why in unknown(case, result).items()]
    operators_of = _operators(by_name(_rows(run, case, result), OPERATORS[1:]), case)
    others = (_modules(run, case), _gaps(run, case), _peak(run, case))
    return [
        _summary(case, sentences),
        *([_waterfall(known)] if known else []),
        operators_of,
        *(table for table in others if table.row_count),
    ]


def diff_data(diff: OpDiff) -> dict[str, Any]:
    """Return a difference as JSON takes it."""
    return {
        "a": _side(diff.a),
        "b": _side(diff.b),
        "difference_s": diff.difference_s,
        "residual_s": diff.residual_s,
        "notes": list(diff.notes),
        "rows": _records(diff.rows),
    }


def diff_table(diff: OpDiff) -> Table:
    """Return what accounts for most of the difference, the others as one row, and the residual; the
    last row is the sum."""
    whole = diff.difference_s
    rows = []
    for row in diff.rows.head(MOST_ROWS).to_dict("records"):
        name = f"{row['name']}, backward" if row["backward"] else row["name"]
        rows.append([row["span"], name, *_compared(row["a_s"], row["b_s"], whole)])
    rest = diff.rows.iloc[MOST_ROWS:]
    if len(rest):
        figures = _compared(rest.a_s.sum(), rest.b_s.sum(), whole)
        rows.append(["", f"the other {len(rest)}", *figures])
    rows.append(["", "not accounted for", "", "", *_compared(0.0, diff.residual_s, whole)[2:]])
    rows.append(["", "the step", *_compared(diff.a.clean_step_s, diff.b.clean_step_s, whole)])
    columns = _columns("where", "operator", "a", "b", "b \N{MINUS SIGN} a", "share")
    table = _titled("what makes b's step differ from a's", columns, rows)
    if diff.notes:
        table.caption, table.caption_justify = one_line("; ".join(diff.notes)), "left"
    return table


_NO_TABLES: dict[str, Any] = {
    "spans": [], "operators": [], "modules": [], "gaps": [], "memory_peak": None,
}  # fmt: skip


def _tables_data(
    run: RunTables, case: ProfiledCase, result: Waterfall | NoWaterfall
) -> dict[str, Any]:
    gaps = gap_seconds(run, case)
    return {
        "spans": _records(spans(run, case)),
        "operators": _records(by_name(_rows(run, case, result), OPERATORS)),
        "modules": _records(modules(run, case)),
        "gaps": [{"cause": cause, "seconds": seconds} for cause, seconds in gaps.items()],
        "memory_peak": peak(memory(run, case)),
    }


def _side(case: ProfiledCase) -> dict[str, Any]:
    return {"case_id": case.case_id, "case": case.label, "clean_step_s": case.clean_step_s}


def _compared(a_s: float, b_s: float, whole: float) -> list[str]:
    more = b_s - a_s if abs(b_s - a_s) > NOTHING_S else 0.0
    # + 0.0, since -0 is no figure
    share = quantity(more / whole + 0.0 if whole else None, "1", DIGITS)
    return [*(quantity(seconds, "s", DIGITS) for seconds in (a_s, b_s, more)), share]


def _rows(run: RunTables, case: ProfiledCase, result: Waterfall | NoWaterfall) -> pd.DataFrame:
    return result.operators if isinstance(result, Waterfall) else operators(run, case)


def _summary(case: ProfiledCase, sentences: Sequence[str]) -> Table:
    table = _titled(case.label, [Column("")], [[sentence] for sentence in sentences])
    table.show_header = False
    return table


def _waterfall(result: Waterfall) -> Table:
    whole = result.clean_step_s
    rows: list[Sequence[str | Text]] = [
        [PARTS[part.part], *_shared(part.seconds, whole)] for part in result.parts
    ]
    rows += [
        _styled("dim", f"  {RESTS[cause]}", seconds, whole)
        for cause, seconds in result.rest_of.items()
    ]
    rows.append(_styled("bold", "The clean step", whole, whole))
    return _titled("from the least time to the step", _columns("part", "time", "share"), rows)


def _styled(style: str, title: str, seconds: float, whole: float) -> list[Text]:
    return [Text(cell, style) for cell in (title, *_shared(seconds, whole))]


def _operators(rows: pd.DataFrame, case: ProfiledCase) -> Table:
    cells = [_operator(row, case) for row in rows.head(MOST_ROWS).to_dict("records")]
    if len(rest := rows.iloc[MOST_ROWS:]):
        figures = [times(rest.calls.sum()), *_shared(rest.seconds.sum(), case.clean_step_s)]
        cells.append([f"the other {len(rest)}", *figures, "", "", "", ""])
    heads = ("operator", "calls", "time", "share", "FLOP/s", "B/s", "bound by", "at least")
    return _titled("operators", _columns(*heads), cells)


def _operator(row: dict[str, Any], case: ProfiledCase) -> list[str]:
    return [
        f"{row['name']}{', backward' if row['backward'] else ''} {row['dtype']}".rstrip(),
        times(row["calls"]),
        *_shared(row["seconds"], case.clean_step_s),
        quantity(row["flops_per_s"], "FLOP/s", DIGITS),
        quantity(row["bytes_per_s"], "B/s", DIGITS),
        row["bound"] if isinstance(row["bound"], str) else UNKNOWN,
        quantity(row["least_s"], "s", DIGITS),
    ]


def _modules(run: RunTables, case: ProfiledCase) -> Table:
    rows = []
    for row in modules(run, case).head(MOST_ROWS).itertuples():
        kind = row.kind if row.modules == 1 else f"{row.modules} of {row.kind}"
        figures = [quantity(seconds, "s", DIGITS) for seconds in (row.forward_s, row.backward_s)]
        share = quantity(row.share, "1", DIGITS)
        rows.append([row.module or row.kind, kind, *figures, share])
    columns = _columns("module", "kind", "forward", "backward", "share")
    return _titled("modules, with what lies within them", columns, rows)


def _gaps(run: RunTables, case: ProfiledCase) -> Table:
    rows = [
        [CAUSES.get(cause, cause), *_shared(seconds, case.profiled_step_s)]
        for cause, seconds in gap_seconds(run, case).items()
    ]
    columns = _columns("cause", "time", "share")
    return _titled("idle gaps of the profiled step", columns, rows)


def _peak(run: RunTables, case: ProfiledCase) -> Table:
    columns, title = _columns("held for", "memory", "share"), "what holds the memory at its peak"
    largest = peak(memory(run, case))
    if largest is None:
        return _titled(title, columns, [])
    whole = largest["total_bytes"]
    rows = []
    for holder, held in [*largest["held_bytes"].items(), ("all", whole)]:
        share = quantity(held / whole if whole else None, "1", DIGITS)
        rows.append([holder, quantity(held, "B", DIGITS), share])
    return _titled(f"{title}, after {largest['name']}", columns, rows)


def _shared(seconds: float, whole: float) -> list[str]:
    share = quantity(seconds / whole if whole else None, "1", DIGITS)
    return [quantity(seconds, "s", DIGITS), share]


def _columns(*titles: str) -> list[Column]:
    """Columns of words, or of numbers, by their titles."""
    return [Column(title, is_number=title not in WORDS) for title in titles]


def _titled(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table that is at least as wide as its title."""
    table = table_of(columns, rows, title)
    table.min_width = len(title)
    return table


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them, without what only the analysis needs."""
    internal = {"events", "host_s"} & set(AMOUNTS)
    return plain_rows(table, [name for name in table if name not in internal])
