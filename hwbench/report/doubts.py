"""What speaks against the figures of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.analysis.metrics.validity import REASONS, severity_of
from hwbench.report.numbers import uncertainty
from hwbench.report.view import CaseView, RunView


@dataclass(frozen=True)
class Doubt:
    """One reason against figures: what it makes of them (a validity, or the outcome that left
    none), its code, what happened in words, and the cases."""

    word: str
    code: str
    texts: list[str]
    cases: list[CaseView]

    @property
    def widths(self) -> str:
        """The half-widths of its cases where the reason makes them wide; else empty."""
        return widths(self.cases) if self.word == "wide" else ""

    def where(self, run: RunView) -> str:
        """Return the names of its cases, or "all cases"."""
        every = len(self.cases) == len(run.cases) > 1
        return "all cases" if every else ", ".join(case.short for case in self.cases)


def doubts(run: RunView) -> list[Doubt]:
    """Return what speaks against figures, each reason once."""
    by_reason: dict[tuple[str, str], Doubt] = {}
    notes_of = dict(iter(run.tables.decoded.groupby("case_id").notes))
    for case in run.cases:
        notes = [note for row in notes_of.get(case.case_id, ()) for note in row]
        codes = {note.partition(":")[0] for note in notes}
        notes += [f"{code}: {REASONS[code].meaning}" for code in case.reasons if code not in codes]
        for code, _, text in (note.partition(":") for note in notes):
            word = severity_of(code) if case.validity else case.outcome
            doubt = by_reason.setdefault((word, code), Doubt(word, code, [], []))
            if text.strip() not in doubt.texts:
                doubt.texts.append(text.strip())
            if case not in doubt.cases:
                doubt.cases.append(case)
    return list(by_reason.values())


def widths(cases: Sequence[CaseView]) -> str:
    """Return the half-widths of cases, from the least to the most: "± 2.1–9.4 %"; empty where none
    has an interval."""
    known = sorted(case.width for case in cases if case.width is not None)
    if not known:
        return ""
    least, most = uncertainty(known[0]), uncertainty(known[-1])
    return f"± {most}" if least == most else f"± {least.removesuffix(' %')}–{most}"
