"""Runs as Markdown for a comment on a pull request, which holds 65,536 bytes and no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hwbench.analysis.history import changes, points
from hwbench.analysis.verdict import gate, judgement
from hwbench.report.charts.history import tracks
from hwbench.report.doubts import doubts
from hwbench.report.formats.markdown import cell, table_head, table_row
from hwbench.report.numbers import UNKNOWN, count, quantity, uncertainty
from hwbench.report.page.sections import head, machines
from hwbench.report.page.sections.history import change_table, sentences
from hwbench.report.terminal.comparison import columns_of
from hwbench.report.view import RATES, CaseView, RunView, view_runs
from hwbench.tables.run import RunTables

LIMIT = 65_536
"""Bytes of UTF-8: GitHub's limit in characters, each of which takes a byte or more."""

LEAST = 4_000
"""Bytes reserved for each later part, so that a long one does not push it out."""

FOOT = 100
"""The most bytes of the line that counts what a part leaves out."""

BEFORE = 5
"""How many earlier runs of a label the newest is compared with."""

HISTORY = (
    "Case",
    "First run at the new level",
    "Commit",
    "Started",
    "Before",
    "After",
    "Change",
    "p",
)
ORDER = ("slower", "missing", "incomparable", "inconclusive", "faster", "same")
SIGNS = {
    "faster": "✅",
    "slower": "❌",
    "missing": "❌",
    "invalid": "❌",
    "incomparable": "⚠️",
    "suspect": "⚠️",
    "wide": "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}",
}


@dataclass(frozen=True)
class Part:
    """Lines under a fixed heading, the most important first: it may be cut after any of them."""

    heading: str
    lines: Sequence[str] = field(repr=False)
    noun: str = "row"

    def fitted(self, room: int) -> str:
        """Return as many of its lines as fit into `room` bytes, with the heading and the number of
        those left out."""
        size, fitting = len(self.heading.encode()) + FOOT, 0
        while (
            fitting < len(self.lines) and (size := size + len(self.lines[fitting].encode())) <= room
        ):
            fitting += 1
        left_out = len(self.lines) - fitting
        foot = f"\n{count(left_out, self.noun)} more left out.\n" if left_out else ""
        return f"{self.heading}{''.join(self.lines[:fitting])}{foot}\n"


@dataclass(frozen=True)
class Pair:
    """A candidate against a baseline: the table of `judge_runs`, and the names of both."""

    name: str
    table: pd.DataFrame = field(repr=False)


def render(runs: Sequence[RunTables], floors: Mapping[tuple[str, str], float] | None = None) -> str:
    """Return the text, in at most LIMIT bytes whatever the runs hold: the verdict, badges with
    their reasons, history, comparison (of one run its results), failures and machines. `floors` as
    in `history.changes`.

    Of several runs each is compared with the first; where three or more all share a label and a
    device, the newest with the BEFORE runs before it.
    """
    if not runs:
        raise ValueError("a report needs at least one run")
    views = view_runs(runs)
    pairs = _pairs(views)
    parts = [_verdict(views, pairs), _badges(views), *_history(views, floors)]
    parts += [
        _comparison(pairs) if pairs else _results(views[0]),
        _failures(views),
        _machines(views),
    ]
    parts = [part for part in parts if part.lines]
    text, room = "", LIMIT
    for still_to_come, part in zip(reversed(range(len(parts))), parts, strict=True):
        fitted = part.fitted(room - LEAST * still_to_come)
        text, room = text + fitted, room - len(fitted.encode())
    return text.rstrip("\n") + "\n"


def _pairs(views: Sequence[RunView]) -> list[Pair]:
    runs = [view.tables for view in views]
    if len(runs) > 2 and _belong_together(runs):
        *before, last = sorted(runs, key=lambda run: str(run.runs.started_at.iloc[0]))
        name = f"{last.run_id} against the {count(len(before[-BEFORE:]), 'run')} before it"
        return [Pair(name, _judged(before[-BEFORE:], last))]
    names = [f"{view.letter} against {views[0].letter}" for view in views[1:]]
    return [Pair(name, _judged(runs[:1], run)) for name, run in zip(names, runs[1:], strict=True)]


def _belong_together(runs: Sequence[RunTables]) -> bool:
    labels = {run.runs.label.iloc[0] for run in runs}
    is_one_device = all(run.identity.is_known_to_be(runs[0].identity) for run in runs)
    return len(labels) == 1 and all(labels) and is_one_device


def _judged(baseline: Sequence[RunTables], candidate: RunTables) -> pd.DataFrame:
    """Worst rows first. Devices may differ: that is what a report is often made for."""
    table = gate.require_significance(
        judgement.judge_runs(baseline, candidate, across_devices=True)
    )
    return table.sort_values("verdict", key=lambda words: words.map(ORDER.index), kind="stable")


def _verdict(views: Sequence[RunView], pairs: Sequence[Pair]) -> Part:
    """How the runs compare, in a line each; then what was measured."""
    lines = []
    for pair in pairs:
        counts = pair.table.verdict.value_counts()
        words = ", ".join(f"{counts[word]} {word}" for word in ORDER if word in counts)
        overall = judgement.overall(list(pair.table.verdict))
        lines.append(f"**{cell(pair.name)}: {overall}** ({words or 'nothing measured'})")
    lines += [f"{_letter(view, views)}{cell(head.sentence(view))}" for view in views]
    return Part("### hwbench report\n\n", [f"- {line}\n" for line in lines], "line")


def _badges(views: Sequence[RunView]) -> Part:
    """What a reader must know before trusting the figures."""
    lines = []
    for view in views:
        run = _letter(view, views)
        if view.unfinished:
            lines.append(
                f"❌ {run}not complete: {view.stored} of {count(view.planned, 'process')} stored"
            )
        for doubt in doubts(view):
            sign = SIGNS.get(doubt.word, "❔")
            word = " ".join(filter(None, [doubt.word, doubt.widths]))
            where = f"({cell(doubt.code)}; {cell(doubt.where(view))})"
            lines.append(f"{sign} {run}{cell(word)}: {cell(doubt.texts[0] or doubt.code)} {where}")
    measured = any(case.values for view in views for case in view.cases)
    lines = lines or (["✅ nothing speaks against the figures"] if measured else [])
    worst_first = sorted(
        lines, key=lambda line: (not line.startswith("❌"), line.startswith(SIGNS["wide"]))
    )
    return Part("**Validity**\n\n", [f"- {line}\n" for line in worst_first], "line")


def _history(
    views: Sequence[RunView], floors: Mapping[tuple[str, str], float] | None
) -> list[Part]:
    """What there is of each label, and every change of level, the newest first."""
    known = points(
        [v.tables.runs for v in views], [v.outcomes for v in views], [v.metrics for v in views]
    )
    every = tracks(known, changes(known, floors))
    lines = [
        (str(row.started_at), [track.title, *(text.text for text in cells[-len(HISTORY) + 1 :])])
        for track in every
        for row, cells in zip(track.changes.itertuples(), change_table([track]).rows, strict=True)
    ]
    newest = [
        table_row(map(cell, words))
        for _, words in sorted(lines, key=lambda line: line[0], reverse=True)
    ]
    summary = Part("**History**\n\n", [f"- {cell(line)}\n" for line in sentences(every)], "line")
    return [summary, Part(table_head(HISTORY), newest, "change")]


def _comparison(pairs: Sequence[Pair]) -> Part:
    several = len(pairs) > 1
    heads = ["Case", "Metric", "Baseline", "Candidate", "Ratio", "95 % interval", "Verdict"]
    lines = []
    for pair in pairs:
        for row in pair.table.to_dict("records"):
            word = " ".join(filter(None, [SIGNS.get(row["verdict"], ""), row["verdict"]]))
            verdict = f"{word}: {row['reason']}" if row["reason"] else word
            words = [*columns_of(row)[:-1], verdict]
            lines.append(
                table_row(cell(text) for text in ([pair.name, *words] if several else words))
            )
    return Part(f"**Comparison**\n\n{table_head(['Runs', *heads] if several else heads)}", lines)


def _results(view: RunView) -> Part:
    """Of a run alone: each case's throughput, or else its median step."""
    lines = [
        table_row(map(cell, [f"{case.short}", *_figures(case), case.status])) for case in view.cases
    ]
    heads = ["Case", "Throughput", "±", "Step, p50", "Memory peak", "Outcome"]
    return Part(f"**Results**\n\n{table_head(heads)}", lines)


def _figures(case: CaseView) -> list[str]:
    rate = quantity(case.get(case.rate), RATES[case.rate]) if case.rate else UNKNOWN
    rest = quantity(case.get("step_s_p50"), "s"), quantity(case.get("memory_peak_bytes"), "B")
    return [rate, uncertainty(case.uncertainty), *rest]


def _failures(views: Sequence[RunView]) -> Part:
    bad = [(view, case) for view in views for case in view.cases if case.outcome != "ok"]
    lines = [
        table_row(
            map(cell, [view.letter, case.short, case.outcome, case.reason or "nothing stored"])
        )
        for view, case in bad
    ]
    heads = ["Run", "Case", "Outcome", "Reason"]
    return Part(
        f"**Cases that failed, did not apply or are missing**\n\n{table_head(heads)}", lines
    )


def _machines(views: Sequence[RunView]) -> Part:
    """A row a run, with what most readers look for."""
    table = machines.overview(views)
    heads = [row[0].text for row in table.rows]
    lines = [
        table_row(map(cell, [view.letter, *(row[position].text for row in table.rows)]))
        for position, view in enumerate(views, start=1)
    ]
    return Part(f"**Machines**\n\n{table_head(['', *heads])}", lines, "run")


def _letter(view: RunView, views: Sequence[RunView]) -> str:
    return f"{view.letter}: " if len(views) > 1 else ""
