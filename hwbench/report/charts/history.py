"""Many runs of one label: each case's values over its runs, its levels, and where they changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hwbench.analysis.history import FEWEST, GROUP, SERIES, counted
from hwbench.printable import one_line
from hwbench.report.numbers import UNKNOWN, count, ratio
from hwbench.report.titles import METRICS

MOST_POINTS = 500
"""Runs drawn of a case: more would not show."""

MOST_LABELS = 6
"""Changes that a figure names."""

KINDS = ("valid", "wide", "suspect", "invalid")
"""The validities that a figure tells apart."""


@dataclass(frozen=True)
class Level:
    """A level of a case: from half a run before `first` to half a run after `last`."""

    first: float
    last: float
    value: float


@dataclass(frozen=True)
class Track:
    """A case's points (history.POINTS) and changes (history.CHANGES) over its runs, in order."""

    title: str
    points: pd.DataFrame
    changes: pd.DataFrame

    @property
    def metric(self) -> str:
        return str(self.points.metric.iloc[0])

    @property
    def unit(self) -> str:
        return str(self.points.unit.iloc[0])

    @property
    def heading(self) -> str:
        return f"{METRICS[self.metric]}: {self.title}, over {count(len(self.points), 'run')}"

    @property
    def last(self) -> int:
        """The position of the last run."""
        return int(self.points.position.max())

    @property
    def levels(self) -> list[Level]:
        """The medians of the runs between two changes."""
        usable = counted(self.points)
        starts = [usable.position.min(), *self.changes.position]
        ends = [*(position - 1 for position in self.changes.position), usable.position.max()]
        spans = zip(starts, ends, strict=True)
        values = [(s, e, usable[usable.position.between(s, e)].value) for s, e in spans]
        return [Level(s - 0.5, e + 0.5, value.median()) for s, e, value in values if len(value)]

    @property
    def named(self) -> pd.DataFrame:
        """The largest changes, in order, which a figure names."""
        size = np.abs(np.log(self.changes.ratio)).sort_values()
        return self.changes.loc[size.index[::-1][:MOST_LABELS]].sort_values("position")


def tracks(points: pd.DataFrame, changes: pd.DataFrame) -> list[Track]:
    """Return each series of FEWEST points or more, with a title that no other has."""
    groups = [
        series
        for _, series in points.groupby(SERIES, sort=False, dropna=False)
        if len(series) >= FEWEST
    ]
    several = len({tuple(series[GROUP].iloc[0]) for series in groups}) > 1
    return [_track(series, changes, several) for series in groups]


def most_changed(every: Sequence[Track], most: int) -> list[Track]:
    """Return at most `most` of the tracks, those that changed first."""
    return sorted(every, key=lambda track: track.changes.empty)[:most]


def thinned(track: Track, most: int) -> pd.DataFrame:
    """Return at most `most` of the points, evenly from the first to the last, with those at which a
    level begins."""
    table = track.points
    if len(table) <= most:
        return table
    starts = np.flatnonzero(table.position.isin(track.changes.position))[: most // 2]
    picked = np.linspace(0, len(table) - 1, most - len(starts)).round().astype(int)
    return table.iloc[np.union1d(picked, starts)]


def kind_of(validity: str) -> str:
    """Return which of KINDS a validity is drawn as."""
    return validity if validity in KINDS else "suspect"


def change_text(change: pd.Series, most: int = 88) -> str:
    """Return what a figure writes at a change: "+5.1 % at run r8 (commit abcdef0)"."""
    commit = short_commit(change.commit)
    where = "" if commit == UNKNOWN else f" (commit {commit})"
    text = one_line(f"{percent(change.ratio)} at run {change.run_id}{where}")
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def percent(change: float) -> str:
    """A ratio as a change, e.g. "+5.1 %"; as a multiple where it is large."""
    return f"{change - 1:+.1%}".replace("%", " %") if 0.5 < change < 2 else ratio(change)


def short_commit(commit: str | None) -> str:
    """The start of a commit, as git has it, with its "+"; a dash where it is unknown."""
    if commit is None or pd.isna(commit):
        return UNKNOWN
    return commit[:7] + ("+" if commit.endswith("+") and len(commit) > 7 else "")


def _track(series: pd.DataFrame, changes: pd.DataFrame, several: bool) -> Track:
    head = series.iloc[0]
    own = changes[(changes[[*GROUP, "case_id"]] == head[[*GROUP, "case_id"]]).all(axis=1)]
    where = f", {head.label} on {head.device_name} ({head.device_kind})" if several else ""
    return Track(f"{head.case}{where}", series, own)
