"""Many runs of one label on the page: each case's values over its runs, its levels, and where they
changed.

Sizes are CSS pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwbench.analysis.history import FEWEST, GROUP, SERIES, changes, counted, points
from hwbench.analysis.metrics.summary import HIGHER_IS_BETTER
from hwbench.report.numbers import UNKNOWN, clean, count, moment, number, quantity, ratio, scale_of
from hwbench.report.page.cells import METRICS, TONES, Cell, Table
from hwbench.report.page.figures.svg import INK, LINE, MUTED, SURFACE, canvas, inline_svg
from hwbench.report.page.figures.svg import SERIES as COLORS
from hwbench.report.page.sections.results import Panel
from hwbench.report.view import RunView

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, LINE_HEIGHT = 520, 180, 56, 14, 38, 16
LETTER = 5.8
"""How wide a letter of a label is, about."""

MOST_POINTS = 500
"""Runs drawn of a case: more would not show."""

ALL_POINTS = 1000
"""Runs drawn of all cases together, each with a row of data: the page is to stay small."""

MOST_FIGURES = 24
"""Cases drawn; the table has the changes of all."""

MOST_LABELS = 6
"""Changes that a figure names."""

MARKS = {
    "valid": ("o", COLORS[0], COLORS[0]),
    "wide": ("o", SURFACE, COLORS[0]),
    "suspect": ("^", "none", COLORS[0]),
    "invalid": ("x", MUTED, MUTED),
}
"""The marker, its face and its edge."""


@dataclass(frozen=True)
class History:
    """What the page says of runs that belong together; `cases` counts those that have a history."""

    sentences: Sequence[str]
    panels: Sequence[Panel]
    changes: Table
    cases: int


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


def history(
    runs: Sequence[RunView], floors: Mapping[tuple[str, str], float] | None = None
) -> History | None:
    """The history of the runs that share a label and a device; None where no three do. `floors` as
    in `changes`."""
    known = points(
        [run.tables.runs for run in runs],
        [run.outcomes for run in runs],
        [run.metrics for run in runs],
    )
    found = tracks(known, changes(known, floors))
    if not found:
        return None
    drawn = sorted(found, key=lambda track: track.changes.empty)[:MOST_FIGURES]
    most = min(MOST_POINTS, ALL_POINTS // len(drawn))
    return History(
        sentences=sentences(found),
        panels=[_panel(track, position, most) for position, track in enumerate(drawn)],
        changes=change_table(found),
        cases=len(found),
    )


def tracks(points: pd.DataFrame, changes: pd.DataFrame) -> list[Track]:
    """Each series of FEWEST points or more, with a title that no other has."""
    groups = [
        series
        for _, series in points.groupby(SERIES, sort=False, dropna=False)
        if len(series) >= FEWEST
    ]
    several = len({tuple(series[GROUP].iloc[0]) for series in groups}) > 1
    found = []
    for series in groups:
        head = series.iloc[0]
        own = changes[(changes[[*GROUP, "case_id"]] == head[[*GROUP, "case_id"]]).all(axis=1)]
        where = f", {head.label} on {head.device_name} ({head.device_kind})" if several else ""
        found.append(Track(f"{head.case}{where}", series, own))
    return found


def sentences(found: Sequence[Track]) -> list[str]:
    """What there is of each label and device, and how much of it changed."""
    groups: dict[tuple[str, ...], list[Track]] = {}
    for track in found:
        groups.setdefault(tuple(track.points[GROUP].iloc[0]), []).append(track)
    return [_sentence(label, device, group) for (label, _, device), group in groups.items()]


def change_table(found: Sequence[Track]) -> Table:
    """Every change of level, a row each."""
    rows: list[list[Cell]] = []
    for track in found:
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


def percent(change: float) -> str:
    """A ratio as a change, e.g. "+5.1 %"; as a multiple where it is large."""
    return f"{change - 1:+.1%}".replace("%", " %") if 0.5 < change < 2 else ratio(change)


def short_commit(commit: str | None) -> str:
    """The start of a commit, as git has it, with its "+"; a dash where it is unknown."""
    if commit is None or pd.isna(commit):
        return UNKNOWN
    return commit[:7] + ("+" if commit.endswith("+") and len(commit) > 7 else "")


def timeline(track: Track, most: int = MOST_POINTS) -> Figure:
    """Values over the runs with their 95 % intervals, levels as lines, and a named line at each
    change."""
    named = track.changes.loc[
        np.abs(np.log(track.changes.ratio)).sort_values().index[::-1][:MOST_LABELS]
    ]
    head = LINE_HEIGHT * (len(named) + 1) + 4
    height = head + HEIGHT + BOTTOM
    figure, axes = canvas(WIDTH, height, LEFT, RIGHT, head, BOTTOM)
    divisor, unit = scale_of(float(track.points.value.abs().max()), track.unit)
    shown = thinned(track, most)
    scaled = shown.assign(
        **{name: shown[name] / divisor for name in ("value", "ci_low", "ci_high")}
    )
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    _limits(axes, scaled, len(track.points) and int(track.points.position.max()))
    _intervals(axes, scaled)
    _levels(axes, track, divisor)
    _values(axes, scaled)
    for line, change in enumerate(named.sort_values("position").itertuples(), start=1):
        text = f"{percent(change.ratio)} at run {change.run_id}"
        text += (
            ""
            if short_commit(change.commit) == UNKNOWN
            else f" (commit {short_commit(change.commit)})"
        )
        _name(
            figure,
            axes,
            change.position - 0.5,
            _clipped(text),
            1 - LINE_HEIGHT * (line + 0.5) / height,
        )
    for change in track.changes.itertuples():
        axes.axvline(change.position - 0.5, color=MUTED, linewidth=1.2, linestyle="--", zorder=1)
    _legend(
        figure,
        list(dict.fromkeys(_kind(word) for word in shown.validity)),
        1 - LINE_HEIGHT / 2 / height,
    )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick + 1:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, position: f"{tick:,.10g}"))
    axes.set_xlabel(f"run, oldest first   ({unit})", loc="right", fontsize=10)
    return figure


def thinned(track: Track, most: int) -> pd.DataFrame:
    """At most `most` of the points, evenly from the first to the last, those at which a level
    begins among them."""
    table = track.points
    if len(table) <= most:
        return table
    starts = np.flatnonzero(table.position.isin(track.changes.position))[: most // 2]
    picked = np.linspace(0, len(table) - 1, most - len(starts)).round().astype(int)
    return table.iloc[np.union1d(picked, starts)]


def _panel(track: Track, position: int, most: int) -> Panel:
    last = track.points.iloc[-1]
    told = f"{count(len(track.points), 'run')}, the last {quantity(last.value, track.unit)}. "
    told += "; ".join(
        f"{percent(row.ratio)} at run {row.run_id}, from {quantity(row.before, track.unit)} to "
        f"{quantity(row.after, track.unit)}"
        for row in track.changes.itertuples()
    )
    told += "." if len(track.changes) else "No change of level."
    title = f"{METRICS[track.metric]}: {track.title}, over {count(len(track.points), 'run')}"
    svg = inline_svg(timeline(track, most), f"history-{position}", title, clean(told))
    return Panel(title, svg, _data(track, most))


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
    told = count(changed, "change") if changed else "no change"
    cases = count(len(group), "case")
    return f"{count(len(runs), 'run')} of {label} on {device}, {first} to {last}: {told} of level in {cases}."


def _interval(low: float, high: float, unit: str) -> str:
    return (
        f"{quantity(low, unit)} to {quantity(high, unit)}"
        if np.isfinite([low, high]).all()
        else UNKNOWN
    )


def _limits(axes: Axes, shown: pd.DataFrame, last: int) -> None:
    every = shown[["value", "ci_low", "ci_high"]].to_numpy(np.float64)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    margin = max(0.08 * (high - low), 0.01 * max(abs(low), abs(high)), 1e-12)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(-0.5 - 0.01 * last, last + 0.5 + 0.01 * last)


def _intervals(axes: Axes, shown: pd.DataFrame) -> None:
    """All as one line with gaps, which is one path of the drawing."""
    known = shown.dropna(subset=["ci_low", "ci_high"])
    nothing = np.full(len(known), np.nan)
    x = np.column_stack([known.position, known.position, nothing]).ravel()
    y = np.column_stack([known.ci_low, known.ci_high, nothing]).ravel()
    axes.plot(x, y, color=COLORS[0], linewidth=0.9, zorder=2)


def _levels(axes: Axes, track: Track, divisor: float) -> None:
    usable = counted(track.points)
    starts = [usable.position.min(), *track.changes.position]
    ends = [*(position - 1 for position in track.changes.position), usable.position.max()]
    for start, end in zip(starts, ends, strict=True):
        level = usable[usable.position.between(start, end)].value
        if len(level):
            axes.plot(
                [start - 0.5, end + 0.5],
                [level.median() / divisor] * 2,
                color=INK,
                linewidth=2,
                zorder=3,
            )


def _values(axes: Axes, shown: pd.DataFrame) -> None:
    size = 5 if len(shown) <= 100 else 3
    for kind, (marker, face, edge) in MARKS.items():
        own = shown[shown.validity.map(_kind) == kind]
        axes.plot(
            own.position,
            own.value,
            marker,
            markersize=size,
            markerfacecolor=face,
            markeredgecolor=edge,
            zorder=4,
        )


def _name(figure: Figure, axes: Axes, x: float, text: str, y: float) -> None:
    """A label in a line of its own above the axes, as near to its change as the figure's edges let
    it."""
    low, high = axes.get_xlim()
    at = LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    half = LETTER * len(text) / 2
    middle = min(max(at, half + 2), WIDTH - half - 2)
    figure.text(
        middle / WIDTH, y, text, ha="center", va="center", fontsize=10, color=INK, parse_math=False
    )


def _legend(figure: Figure, kinds: Sequence[str], y: float) -> None:
    words = {kind: kind for kind in MARKS} | {"invalid": "invalid, not counted"}
    x = float(LEFT)
    for kind in (kind for kind in MARKS if kind in kinds):
        marker, face, edge = MARKS[kind]
        mark = Line2D(
            [x / WIDTH],
            [y],
            marker=marker,
            markerfacecolor=face,
            markeredgecolor=edge,
            markersize=6,
        )
        figure.add_artist(mark)
        figure.text((x + 10) / WIDTH, y, words[kind], va="center", fontsize=10, color=MUTED)
        x += 10 + LETTER * len(words[kind]) + 18


def _kind(validity: str) -> str:
    return validity if validity in MARKS else "suspect"


def _clipped(text: str, most: int = 88) -> str:
    text = " ".join(clean(text).split())
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
