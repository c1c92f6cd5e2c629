"""All figures of some runs as files."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from hwbench.analysis.history import changes, points
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.analysis.profile.operators import profiled_cases
from hwbench.analysis.profile.tables import memory
from hwbench.analysis.profile.waterfall import Waterfall, waterfall
from hwbench.analysis.roofline import ceilings_of
from hwbench.analysis.roofline import points as roofline_points
from hwbench.analysis.scaling.sweeps import sweeps
from hwbench.analysis.side_by_side import side_by_side
from hwbench.files import atomic_write
from hwbench.records import UserError
from hwbench.report.charts import bars as bar_charts
from hwbench.report.charts import profile as profile_charts
from hwbench.report.charts.history import tracks
from hwbench.report.charts.power import Power, powers
from hwbench.report.charts.roofline import Roofline, rooflines
from hwbench.report.charts.stacks import spans_of
from hwbench.report.charts.stacks import stacks as stacks_of
from hwbench.report.charts.step_times import StepTimes
from hwbench.report.charts.step_times import step_times as step_times_of
from hwbench.report.figures import bars, profile
from hwbench.report.figures.history import history
from hwbench.report.figures.power import power
from hwbench.report.figures.roofline import roofline
from hwbench.report.figures.stacks import stacks
from hwbench.report.figures.step_times import step_times
from hwbench.report.figures.style import publication_style
from hwbench.report.figures.sweep import sweep
from hwbench.report.ratios import ratio_intervals
from hwbench.report.view import RunView, view_runs
from hwbench.tables.run import RunTables

FORMATS = ("png", "svg", "pdf")
DPI = 200
"""Of a PNG; 6.3 inches are a page's width."""

LONGEST = 90
"""Letters of a file's name."""

METADATA: dict[str, dict[str, None]] = {
    "png": {},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None},
}
"""What would differ between two files of the same figure is left out."""


@dataclass(frozen=True)
class Picture:
    """A figure of a report: `name` says figure and case."""

    name: str
    draw: Callable[[], Figure]


def export(
    runs: Sequence[RunTables],
    folder: Path,
    formats: Sequence[str],
    floors: Mapping[tuple[str, str], float] | None = None,
) -> Iterator[Path]:
    """Write every figure of `runs` into `folder`, in each of `formats`, and yield each path when it
    is written. `floors` as for the page. UserError if nothing can be drawn or written."""
    every = pictures(view_runs(runs), floors)
    if not every:
        raise UserError("nothing to draw: no case of these runs has a figure")
    names = _file_names([picture.name for picture in every])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with publication_style():
            for name, picture in zip(names, every, strict=True):
                figure = picture.draw()
                for form in formats:
                    path = folder / f"{name}.{form}"
                    with atomic_write(path) as temporary:
                        figure.savefig(temporary, format=form, dpi=DPI, metadata=METADATA[form])
                    yield path
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error


def pictures(
    runs: Sequence[RunView], floors: Mapping[tuple[str, str], float] | None = None
) -> list[Picture]:
    """Return what can be drawn of the runs, in the order of the page."""
    every = [*_throughput(runs), *_ratios(runs), *_parts(runs)]
    for run in runs:
        prefix, where = (
            (f"{run.letter}-", f", {run.letter}: {run.name}") if len(runs) > 1 else ("", "")
        )
        every += [
            Picture(f"{kind}-{prefix}{case}", draw) for kind, case, draw in _of_run(run, where)
        ]
    return every + _history(runs, floors)


def _throughput(runs: Sequence[RunView]) -> list[Picture]:
    legend = _legend(runs)
    return [
        Picture(
            f"throughput-{chart.name.removeprefix('rate-')}",
            partial(bars.throughput, chart, legend),
        )
        for chart in bar_charts.throughputs(runs)
    ]


def _ratios(runs: Sequence[RunView]) -> list[Picture]:
    if len(runs) == 1:
        return []
    table = side_by_side([run.outcomes for run in runs], [run.metrics for run in runs])
    chart = bar_charts.ratios(runs, table, ratio_intervals(runs))
    if chart is None:
        return []
    base, *later = _legend(runs)
    return [Picture("throughput-ratios", partial(bars.ratios, chart, later, base))]


def _parts(runs: Sequence[RunView]) -> list[Picture]:
    chart = stacks_of(runs, spans_of(runs))
    legend = _legend(runs) if len(runs) > 1 else []
    return [Picture("parts-of-a-step", partial(stacks, chart, legend))] if chart else []


def _of_run(run: RunView, where: str) -> Iterator[tuple[str, str, Callable[[], Figure]]]:
    """The kind, the case and the drawing of each figure of one run; `where` ends its title."""
    ceilings, spots = ceilings_of(run.tables), roofline_points(run.tables)
    for roof in rooflines(run, ceilings, spots):
        yield "roofline", roof.title.removeprefix("Roofline, "), partial(roofline, _at(roof, where))
    yield from _of_profiles(run, where)
    samples = dict(iter(timed_samples(run.tables).groupby("case_id")))
    for times in step_times_of(run, samples, len(run.cases)):
        yield "steps", times.label, partial(step_times, _of(times, where))
    for watts in powers(run, len(run.cases)):
        yield "power", watts.label, partial(power, _of(watts, where))
    for curve in sweeps(run.tables):
        yield "sweep", curve.label, partial(sweep, curve, where)


def _of_profiles(run: RunView, where: str) -> Iterator[tuple[str, str, Callable[[], Figure]]]:
    names = {case.case_id: case.short for case in run.cases}
    for case_id, case in profiled_cases(run.tables).items():
        if case.invalid:
            continue
        name = names.get(case_id, case.label)
        result = waterfall(run.tables, case)
        if isinstance(result, Waterfall):
            parts = profile_charts.cascade(result, name)
            yield "waterfall", name, partial(profile.cascade, _at(parts, where))
            rows = result.operators
            for roof in profile_charts.operator_rooflines(run.tables, case, rows, name):
                kind = roof.name.replace("operators", "operators-roofline")
                yield kind, name, partial(roofline, _at(roof, where))
        held = profile_charts.memory_over_step(memory(run.tables, case), name)
        if held:
            yield "memory", name, partial(profile.memory, _at(held, where))


Titled = TypeVar("Titled", Roofline, profile_charts.Cascade, profile_charts.Memory)
Labelled = TypeVar("Labelled", StepTimes, Power)


def _at(chart: Titled, where: str) -> Titled:
    return replace(chart, title=chart.title + where)


def _of(chart: Labelled, where: str) -> Labelled:
    return replace(chart, label=chart.label + where)


def _history(
    runs: Sequence[RunView], floors: Mapping[tuple[str, str], float] | None
) -> list[Picture]:
    known = points(
        [run.tables.runs for run in runs],
        [run.outcomes for run in runs],
        [run.metrics for run in runs],
    )
    every = tracks(known, changes(known, floors))
    return [Picture(f"history-{track.title}", partial(history, track)) for track in every]


def _legend(runs: Sequence[RunView]) -> list[str]:
    return [f"{run.letter}: {run.name}" for run in runs]


def _file_names(titles: Sequence[str]) -> list[str]:
    """File names of lower-case letters, digits, dots and dashes, no two the same."""
    names: list[str] = []
    for title in titles:
        words = re.sub(r"[^a-z0-9.]+", "-", title.lower()).strip("-.")[:LONGEST]
        name, number = words, 2
        while name in names:
            name, number = f"{words}-{number}", number + 1
        names.append(name)
    return names
