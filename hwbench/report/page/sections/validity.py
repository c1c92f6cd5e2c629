"""How far the figures can be trusted: badges, failures, and what speaks against figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.analysis.metrics.validity import REASONS, VALIDITIES
from hwbench.report.doubts import doubts, widths
from hwbench.report.page.cells import Cell, Table, tone
from hwbench.report.page.section import PageRuns
from hwbench.report.view import CaseView, RunView

MOST_BADGES = 40
"""Cases that each have a badge; of more only those that are not valid, and of these as many."""

WORST_FIRST = ("bad", "warn", "note", "quiet")
"""The tones of badges that are not good."""


@dataclass(frozen=True)
class Badge:
    """A case with how far its figures can be trusted: its validity, of a wide one with its ±; or
    the outcome that left no figures."""

    case: str
    word: str
    tone: str


@dataclass(frozen=True)
class RunValidity:
    """How far the figures of one run can be trusted."""

    run: RunView
    trust: str
    badges: Sequence[Badge]
    failures: Table
    notes: Table


def content(page: PageRuns) -> list[RunValidity]:
    """Return what the section shows."""
    return [
        RunValidity(run, trust(run), badges(run), failures(run), notes(run)) for run in page.views
    ]


def badges(run: RunView) -> list[Badge]:
    """Return how far each case can be trusted, the worst first where there are more than
    MOST_BADGES."""
    every = [_badge(case) for case in run.cases]
    if len(every) <= MOST_BADGES:
        return every
    speaking = [badge for badge in every if badge.tone != "good"]
    return sorted(speaking, key=lambda badge: WORST_FIRST.index(badge.tone))[:MOST_BADGES]


def trust(run: RunView) -> str:
    """Return how many cases are valid, wide, suspect, invalid or without figures, e.g. "8 valid, 3
    wide (± 2.1–9.4 %)"."""
    words = [word_of(case) for case in run.cases]
    order = sorted(dict.fromkeys(words), key=lambda word: (*VALIDITIES, word).index(word))
    counts = {word: f"{words.count(word)} {word}" for word in order}
    if "wide" in counts:
        counts["wide"] += f" ({widths(wide_cases(run.cases))})"
    return ", ".join(counts.values()) or "no case"


def failures(run: RunView) -> Table:
    """Return the cases that did not come out ok everywhere, with the reason."""
    rows = [
        [
            Cell(case.short, head=True),
            Cell(case.outcome, tone=tone(case.outcome)),
            Cell(_reason(case)),
        ]
        for case in run.cases
        if case.outcome != "ok"
    ]
    caption, heads = "Cases that failed, did not apply or are missing", ["Case", "Outcome"]
    return Table(caption, "lll", [*heads, "Reason"], rows)


def notes(run: RunView) -> Table:
    """Return what makes figures doubtful, in the words of the measurement, and for which cases."""
    rows = []
    for doubt in doubts(run):
        more = f"; {len(doubt.texts) - 1} more such" if len(doubt.texts) > 1 else ""
        cure = REASONS[doubt.code].cure if doubt.code in REASONS else ""
        figures_are = Cell(doubt.word, sub=doubt.widths, tone=tone(doubt.word))
        what = Cell((doubt.texts[0] + more) or doubt.code, sub=doubt.code, head=True)
        rows.append([what, figures_are, Cell(doubt.where(run)), Cell(cure)])
    heads = ["What happened", "Figures are", "Cases", "What to do"]
    return Table("What speaks against figures", "llll", heads, rows)


def word_of(case: CaseView) -> str:
    """Return the validity of a case, or the outcome that left it without figures."""
    return case.validity if case.outcome == "ok" and case.validity else case.outcome


def wide_cases(cases: Sequence[CaseView]) -> list[CaseView]:
    """Return the cases against which nothing but a wide interval speaks."""
    return [case for case in cases if word_of(case) == "wide"]


def _badge(case: CaseView) -> Badge:
    word = word_of(case)
    return Badge(case.short, case.trust if word == case.validity else word, tone(word))


def _reason(case: CaseView) -> str:
    if case.outcome == "missing":
        return "Nothing stored: the run ended before its turn."
    return case.reason or "No reason was stored."
