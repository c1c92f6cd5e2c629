"""One page of one or more runs: a single file that asks nothing of the network and is whole without
a script."""

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from hwbench.analysis.metrics.energy import why_unknown
from hwbench.analysis.metrics.latency import PERCENTILES
from hwbench.analysis.metrics.steps import timed_samples
from hwbench.analysis.roofline import ceilings_of
from hwbench.analysis.roofline import points as points_of
from hwbench.analysis.scaling.sweeps import sweeps
from hwbench.analysis.side_by_side import shared, side_by_side
from hwbench.report.numbers import clean
from hwbench.report.page import cells, embedded
from hwbench.report.page.cells import Table
from hwbench.report.page.figures import watts
from hwbench.report.page.figures.svg import house_style
from hwbench.report.page.sections import energy, head, machines, roofline
from hwbench.report.page.sections import results as panels
from hwbench.report.page.sections import sweeps as together
from hwbench.report.page.sections.history import history
from hwbench.report.page.sections.results import MOST_DISTRIBUTIONS, Panel
from hwbench.report.page.sections.waterfall import Explained, explained
from hwbench.report.view import RunView, ratio_intervals, spans_of, view_runs
from hwbench.tables.reader import RunTables

FOLDER = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

MOST_FIGURES = 24
"""Figures of a page of each kind that a run has many of, power and sweeps."""


@dataclass(frozen=True)
class Inline:
    """A text that stands in the page, with the hash by which the page's own policy lets it in."""

    text: Markup
    hash: str


@dataclass(frozen=True)
class RunPart:
    """What the page says of one run."""

    run: RunView
    sentence: str
    alerts: Sequence[head.Alert]
    tiles: Sequence[head.Tile]
    trust: str
    badges: Sequence[head.Badge]
    failures: Table
    notes: Table
    results: Table
    generation: Table
    under_load: Table
    extrapolated: Table
    steps: Table
    distributions: Sequence[Panel]
    rooflines: Sequence[Panel]
    ceilings: Table
    parts: Table
    shares: Table
    declared: Table
    explained: Explained | None
    energy: Table
    why_no_energy: Sequence[str]
    power: Sequence[Panel]
    curves: Sequence[Panel]
    sweeps: Table
    policy: Table
    command: str


@dataclass(frozen=True)
class Comparison:
    """What the page says of several runs together. `verdict` has a line a run, `summary` few;
    `shared` counts the cases that two runs have figures for."""

    summary: Sequence[str]
    verdict: Sequence[str]
    ratios: Sequence[Panel]
    table: Table
    rest: Table
    shared: int


def render(runs: list[RunTables], floors: Mapping[tuple[str, str], float] | None = None) -> str:
    """The page of `runs`, the first of which is the base of every ratio; a change over runs of one
    label counts from the noise `floors` on, by case and metric. The same runs give the same
    text."""
    if not runs:
        raise ValueError("a report needs at least one run")
    with house_style():
        page = TEMPLATES.get_template("template.html.j2").render(_content(view_runs(runs), floors))
    return clean(page)


def _content(runs: list[RunView], floors: Mapping[tuple[str, str], float] | None) -> dict[str, Any]:
    parts = [_part(run, len(runs)) for run in runs]
    spans = spans_of(runs)
    return {
        "title": head.title(runs),
        "style": _inline("style.css"),
        "script": _inline("page.js"),
        "parts": parts,
        "rooflines": any(part.ceilings.rows or part.declared.rows for part in parts),
        "comparison": _comparison(runs) if len(runs) > 1 else None,
        "throughput": panels.throughput(runs),
        "explained": any(part.explained for part in parts),
        "has_sweeps": any(part.sweeps.rows for part in parts),
        "spans": panels.spans(runs, spans, cells.spans(runs, spans)),
        "history": history(runs, floors),
        "overview": machines.overview(runs),
        "everything": machines.everything(runs),
        "least_samples": {name: least for name, least in PERCENTILES.items() if least > 1},
        "data": embedded.data(runs),
    }


def _part(run: RunView, runs: int) -> RunPart:
    samples: dict[str, pd.DataFrame] = dict(iter(timed_samples(run.tables).groupby("case_id")))
    ceilings, points = ceilings_of(run.tables), points_of(run.tables)
    swept = sweeps(run.tables)
    return RunPart(
        run=run,
        sentence=head.sentence(run),
        alerts=head.alerts(run),
        tiles=head.tiles(run),
        trust=head.trust(run),
        badges=head.badges(run),
        failures=cells.failures(run),
        notes=cells.notes(run),
        results=cells.results(run),
        generation=cells.generation(run),
        under_load=cells.under_load(run),
        extrapolated=together.extrapolated(run),
        steps=cells.percentiles(run, samples),
        distributions=panels.distributions(run, samples, MOST_DISTRIBUTIONS // runs),
        rooflines=panels.rooflines(run, ceilings, points),
        ceilings=roofline.ceilings(ceilings),
        parts=roofline.parts(run, points),
        shares=roofline.shares(run),
        declared=roofline.declared(run),
        explained=explained(run),
        energy=energy.table(run),
        why_no_energy=why_unknown(run.tables),
        power=watts.timelines(run, MOST_FIGURES // runs),
        curves=together.curves(run, swept, MOST_FIGURES // runs),
        sweeps=together.sweep_table(swept),
        policy=cells.policy(run),
        command=shlex.join(run.parsed("argv")),
    )


def _comparison(runs: list[RunView]) -> Comparison:
    table = side_by_side([run.outcomes for run in runs], [run.metrics for run in runs])
    common, intervals = shared(table), ratio_intervals(runs)
    return Comparison(
        summary=head.summary(runs, table, intervals),
        verdict=head.verdict(runs, table, intervals),
        ratios=panels.ratios(runs, table),
        table=cells.comparison(runs, table, intervals),
        rest=cells.not_shared(runs, table, common),
        shared=len(common),
    )


def _inline(name: str) -> Inline:
    """A file of the package for the inside of the page. The hash is of exactly what stands between
    the tags."""
    text = (FOLDER / name).read_text()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Inline(Markup(text), f"sha256-{digest}")
