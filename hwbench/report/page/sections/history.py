"""Many runs of one label on the page: what changed, a figure a case, and a table of the changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hwbench.analysis.history import GROUP, changes, points
from hwbench.analysis.metrics.summary import HIGHER_IS_BETTER
from hwbench.report.charts.history import (
    MOST_POINTS,
    Track,
    most_changed,
    percent,
    short_commit,
    thinned,
    tracks,
)
from hwbench.report.numbers import UNKNOWN, count, moment, number, quantity
from hwbench.report.page.cells import TONES, Cell, Panel, Table
from hwbench.report.page.figures.history import timeline
from hwbench.report.page.section import PageRuns
from hwbench.report.titles import METRICS

ALL_POINTS = 1000
"""Runs drawn of all cases together, each with a row of data: the page is to stay small."""

MOST_FIGURES = 24
"""Cases drawn; the table has the changes of all."""


@dataclass(frozen=True)
class History:
    """What the page says of runs that belong together; `cases` counts those that have a history."""

    sentences: Sequence[str]
    panels: Sequence[Panel]
    changes: Table
    cases: int


def content(page: PageRuns) -> History | None:
    """Return the history of the runs that share a label and a device; None where no three do."""
    every = tracks_of(page)
    if not every:
        return None
    drawn = most_changed(every, MOST_FIGURES)
    most = min(MOST_POINTS, ALL_POINTS // len(drawn))
    return History(
        sentences=sentences(every),
        panels=[_panel(track, position, most) for position, track in enumerate(drawn)],
        changes=change_table(every),
        cases=len(every),
    )


def tracks_of(page: PageRuns) -> list[Track]:
    """Return each case's values over the runs that share a label and a device."""
    known = points(
        [run.tables.runs for run in page.views],
        [run.outcomes for run in page.views],
        [run.metrics for run in page.views],
    )
    return tracks(known, changes(known, page.floors))


def sentences(every: Sequence[Track]) -> list[str]:
    """Return how many runs each label and device has, and how many changes of level."""
    groups: dict[tuple[str, ...], list[Track]] = {}
    for track in every:
        groups.setdefault(tuple(track.points[GROUP].iloc[0]), []).append(track)
    return [_sentence(label, device, group) for (label, _, device), group in groups.items()]


def change_table(every: Sequence[Track]) -> Table:
    """Return a row for each change of level."""
    rows: list[list[Cell]] = []
    for track in every:
        head = [Cell(track.title, head=True, rows=len(track.changes))]
        for row in track.changes.itertuples():
            better = (row.ratio > 1) == (track.metric in HIGHER_IS_BETTER)
            cells = [
                Cell(row.run_id),
                Cell(short_commit(row.commit)),
                Cell(moment(row.started_at)),
                Cell(quantity(row.before, track.unit)),
                Cell(quantity(row.after, track.unit)),
                Cell(percent(row.ratio), tone="good" if better else "bad"),
                Cell(number(row.p, 2)),
            ]
            rows.append([*head, *cells])
            head = []
    heads = [
        "Case",
        "First run at the new level",
        "Commit",
        "Started",
        "Before",
        "After",
        "Change",
        "p",
    ]
    return Table("Changes of level", "llllrrrr", heads, rows)


def _panel(track: Track, position: int, most: int) -> Panel:
    drawn = timeline(track, f"history-{position}", most)
    return Panel(track.heading, drawn, _data(track, most))


def _data(track: Track, most: int) -> Table:
    shown = thinned(track, most)
    rows = [
        [
            Cell(row.run_id, head=True),
            Cell(moment(row.started_at)),
            Cell(short_commit(row.commit)),
            Cell(quantity(row.value, track.unit)),
            Cell(_interval(row.ci_low, row.ci_high, track.unit)),
            Cell(row.validity, tone=TONES.get(row.validity, "")),
        ]
        for row in shown.itertuples()
    ]
    left_out = len(track.points) - len(shown)
    caption = f"{track.title}, run by run" + (
        f"; {count(left_out, 'run')} in between left out" if left_out else ""
    )
    return Table(
        caption,
        "lllrrl",
        ["Run", "Started", "Commit", METRICS[track.metric], "95 % interval", "Figures are"],
        rows,
    )


def _sentence(label: str, device: str, group: Sequence[Track]) -> str:
    runs = pd.concat([track.points for track in group]).drop_duplicates("run_id")
    first, last = moment(runs.started_at.min()), moment(runs.started_at.max())
    changed = sum(len(track.changes) for track in group)
    changes = count(changed, "change") if changed else "no change"
    cases = count(len(group), "case")
    return (
        f"{count(len(runs), 'run')} of {label} on {device}, {first} to {last}: "
        f"{changes} of level in {cases}."
    )


def _interval(low: float, high: float, unit: str) -> str:
    return (
        f"{quantity(low, unit)} to {quantity(high, unit)}"
        if np.isfinite([low, high]).all()
        else UNKNOWN
    )
