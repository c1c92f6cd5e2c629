"""A profile for the terminal and for `--json`: where the time of a step goes, and what two runs
differ in."""

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
from hwbench.report.numbers import UNKNOWN, clean, plain, quantity
from hwbench.report.profile_words import CAUSES, PARTS, RESTS, lines, peak, times, unknown
from hwbench.tables.reader import RunTables

MOST_ROWS = 15
DIGITS = 3
NOTHING_S = 1e-12
"""A difference that is rounding's."""

OPERATORS = ["span", "name", "backward", "dtype"]


def as_data(run: RunTables, named: str | None = None) -> dict[str, Any]:
    """The profile of a case (`profiled_case`) as JSON takes it: seconds, bytes and FLOPs of a step,
    null for unknown.

    Of an invalid profile there is no more than its overhead and why it is invalid. UserError as
    `profiled_case`.
    """
    case = profiled_case(run, named)
    found = waterfall(run, case)
    known = found if isinstance(found, Waterfall) else None
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
    if case.invalid:
        nothing: dict[str, Any] = {
            "spans": [],
            "operators": [],
            "modules": [],
            "gaps": [],
            "memory_peak": None,
        }
        return data | nothing | {"unknown": unknown(case, found)}
    return data | {
        "spans": _records(spans(run, case)),
        "operators": _records(by_name(_rows(run, case, found), OPERATORS)),
        "modules": _records(modules(run, case)),
        "gaps": [
            {"cause": cause, "seconds": seconds}
            for cause, seconds in gap_seconds(run, case).items()
        ],
        "memory_peak": peak(memory(run, case)),
        "unknown": unknown(case, found),
    }


def tables(run: RunTables, named: str | None = None) -> list[Table]:
    """The same for a terminal: what was profiled, the waterfall, operators, modules, gaps, and the
    memory's peak."""
    case = profiled_case(run, named)
    found = waterfall(run, case)
    if case.invalid:
        return [
            _summary(case, [f"This profile is invalid, so nothing of it is shown: {case.invalid}."])
        ]
    told = (
        [one.sentence for one in advice(run, case, found)] if isinstance(found, Waterfall) else []
    )
    told += lines(case, found) + [
        f"Not known: {what}: {why}." for what, why in unknown(case, found).items()
    ]
    shown = [_summary(case, told)]
    shown += [_waterfall(found)] if isinstance(found, Waterfall) else []
    shown.append(_operators(by_name(_rows(run, case, found), OPERATORS[1:]), case))
    return shown + [
        table
        for table in (_modules(run, case), _gaps(run, case), _peak(run, case))
        if table.row_count
    ]


def diff_data(found: OpDiff) -> dict[str, Any]:
    """A difference as JSON takes it."""
    return {
        "a": {
            "case_id": found.a.case_id,
            "case": found.a.label,
            "clean_step_s": found.a.clean_step_s,
        },
        "b": {
            "case_id": found.b.case_id,
            "case": found.b.label,
            "clean_step_s": found.b.clean_step_s,
        },
        "difference_s": found.difference_s,
        "residual_s": found.residual_s,
        "notes": list(found.notes),
        "rows": _records(found.rows),
    }


def diff_table(found: OpDiff) -> Table:
    """What accounts for most of the difference, the others as one row, and the residual; the last
    row is the sum."""
    table = _table(
        "what makes b's step differ from a's",
        "where",
        "operator",
        "a",
        "b",
        "b \N{MINUS SIGN} a",
        "share",
    )
    rows = found.rows.head(MOST_ROWS)
    for row in rows.to_dict("records"):
        name = f"{row['name']}, backward" if row["backward"] else row["name"]
        table.add_row(
            _text(row["span"]), _text(name), *_compared(row["a_s"], row["b_s"], found.difference_s)
        )
    rest = found.rows.iloc[MOST_ROWS:]
    if len(rest):
        table.add_row(
            "",
            f"the other {len(rest)}",
            *_compared(rest.a_s.sum(), rest.b_s.sum(), found.difference_s),
        )
    table.add_row(
        "", "not accounted for", "", "", *_compared(0.0, found.residual_s, found.difference_s)[2:]
    )
    table.add_row(
        "", "the step", *_compared(found.a.clean_step_s, found.b.clean_step_s, found.difference_s)
    )
    table.caption, table.caption_justify = (
        _text("; ".join(found.notes)) if found.notes else None,
        "left",
    )
    return table


def _compared(a_s: float, b_s: float, whole: float) -> list[str]:
    more = b_s - a_s if abs(b_s - a_s) > NOTHING_S else 0.0
    # + 0.0, since -0 is no figure
    share = quantity(more / whole + 0.0 if whole else None, "1", DIGITS)
    return [
        quantity(a_s, "s", DIGITS),
        quantity(b_s, "s", DIGITS),
        quantity(more, "s", DIGITS),
        share,
    ]


def _rows(run: RunTables, case: ProfiledCase, found: Waterfall | NoWaterfall) -> pd.DataFrame:
    return found.operators if isinstance(found, Waterfall) else operators(run, case)


def _summary(case: ProfiledCase, told: list[str]) -> Table:
    table = _table(case.label)
    table.show_header = False
    table.add_column(overflow="fold")
    for line in told:
        table.add_row(_text(line))
    return table


def _waterfall(found: Waterfall) -> Table:
    table = _table("from the least time to the step", "part", "time", "share")
    for part in found.parts:
        table.add_row(PARTS[part.part], *_shared(part.seconds, found.clean_step_s))
    for cause, seconds in found.rest_of.items():
        table.add_row(f"  {RESTS[cause]}", *_shared(seconds, found.clean_step_s), style="dim")
    table.add_row("The clean step", *_shared(found.clean_step_s, found.clean_step_s), style="bold")
    return table


def _operators(rows: pd.DataFrame, case: ProfiledCase) -> Table:
    table = _table(
        "operators", "operator", "calls", "time", "share", "FLOP/s", "B/s", "bound by", "at least"
    )
    for row in rows.head(MOST_ROWS).to_dict("records"):
        name = f"{row['name']}{', backward' if row['backward'] else ''} {row['dtype']}".rstrip()
        rates = [
            quantity(row[f"{work}_per_s"], unit, DIGITS)
            for work, unit in (("flops", "FLOP/s"), ("bytes", "B/s"))
        ]
        bound = row["bound"] if isinstance(row["bound"], str) else UNKNOWN
        figures = [
            *_shared(row["seconds"], case.clean_step_s),
            *rates,
            bound,
            quantity(row["least_s"], "s", DIGITS),
        ]
        table.add_row(_text(name), times(row["calls"]), *figures)
    if len(rest := rows.iloc[MOST_ROWS:]):
        figures = _shared(rest.seconds.sum(), case.clean_step_s)
        table.add_row(f"the other {len(rest)}", times(rest.calls.sum()), *figures)
    return table


def _modules(run: RunTables, case: ProfiledCase) -> Table:
    table = _table(
        "modules, with what lies within them", "module", "kind", "forward", "backward", "share"
    )
    for row in modules(run, case).head(MOST_ROWS).itertuples():
        kind = row.kind if row.modules == 1 else f"{row.modules} of {row.kind}"
        figures = [quantity(seconds, "s", DIGITS) for seconds in (row.forward_s, row.backward_s)]
        table.add_row(
            _text(row.module or row.kind), _text(kind), *figures, quantity(row.share, "1", DIGITS)
        )
    return table


def _gaps(run: RunTables, case: ProfiledCase) -> Table:
    table = _table("idle gaps of the profiled step", "cause", "time", "share")
    for cause, seconds in gap_seconds(run, case).items():
        table.add_row(_text(CAUSES.get(cause, cause)), *_shared(seconds, case.profiled_step_s))
    return table


def _peak(run: RunTables, case: ProfiledCase) -> Table:
    found = peak(memory(run, case))
    after = f", after {found['name']}" if found else ""
    table = _table(f"what holds the memory at its peak{after}", "held for", "memory", "share")
    if found:
        for holder, held in [*found["held_bytes"].items(), ("all", found["total_bytes"])]:
            share = held / found["total_bytes"] if found["total_bytes"] else None
            table.add_row(holder, quantity(held, "B", DIGITS), quantity(share, "1", DIGITS))
    return table


def _shared(seconds: float, whole: float) -> list[str]:
    return [
        quantity(seconds, "s", DIGITS),
        quantity(seconds / whole if whole else None, "1", DIGITS),
    ]


def _table(title: str, *columns: str) -> Table:
    """A table without lines; columns of words are folded, those of numbers stand to the right."""
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=_text(title, "bold"),
        title_justify="left",
    )
    table.min_width = len(title)
    words = ("part", "operator", "module", "kind", "cause", "held for", "bound by", "where")
    for name in columns:
        if name in words:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    return table


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them, null for unknown; without what only the analysis needs."""
    kept = table.drop(
        columns=[name for name in ("events", "host_s") if name in table and name in AMOUNTS]
    )
    return [
        {str(name): None if pd.isna(value) else plain(value) for name, value in row.items()}
        for row in kept.to_dict("records")
    ]


def _text(text: str, style: str = "") -> Text:
    # a Text, so that brackets in a name are no markup
    return Text(" ".join(clean(text).split()), style)
