"""One page of one or more runs: a single file that asks nothing of the network and needs no script."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from hwbench.energy_metrics import why_unknown
from hwbench.latency_metrics import PERCENTILES
from hwbench.lineup import shared, side_by_side
from hwbench.report import energy, headline, machine, panels, roofline, tables, together
from hwbench.report.format import clean
from hwbench.report.panels import MOST_PANELS, Panel
from hwbench.report.svg import house_style
from hwbench.report.tables import Table
from hwbench.report.view import RunView, view_runs
from hwbench.roofline import ceilings_of
from hwbench.roofline import points as points_of
from hwbench.store import RunTables
from hwbench.sweeps import sweeps
from hwbench.timed import timed_samples

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class RunPart:
    """What the page says of one run."""

    run: RunView
    sentence: str
    alerts: Sequence[headline.Alert]
    tiles: Sequence[headline.Tile]
    results: Table
    steps: Table
    generation: Table
    rooflines: Sequence[Panel]
    ceilings: Table
    parts: Table
    shares: Table
    declared: Table
    under_load: Table
    extrapolated: Table
    curves: Sequence[Panel]
    sweeps: Table
    energy: Table
    why_no_energy: Sequence[str]
    distributions: Sequence[Panel]
    failures: Table
    notes: Table
    policy: Table
    command: str


@dataclass(frozen=True)
class Comparison:
    """What the page says of several runs together. `shared` counts the cases that two runs have figures for."""

    verdict: Sequence[str]
    ratios: Sequence[Panel]
    table: Table
    rest: Table
    shared: int


def render(runs: list[RunTables]) -> str:
    """The page of `runs`, the first of which is the base of every ratio. The same runs give the same text."""
    if not runs:
        raise ValueError("a report needs at least one run")
    with house_style():
        page = TEMPLATES.get_template("template.html.j2").render(_content(view_runs(runs)))
    return clean(page)


def _content(runs: list[RunView]) -> dict[str, Any]:
    parts = [_part(run, MOST_PANELS // len(runs)) for run in runs]
    return {
        "title": headline.title(runs),
        "parts": parts,
        "rooflines": any(part.ceilings.rows or part.declared.rows for part in parts),
        "comparison": _comparison(runs) if len(runs) > 1 else None,
        "throughput": panels.throughput(runs),
        "has_sweeps": any(sweeps(run.tables) for run in runs),
        "spans": panels.spans(runs),
        "span_table": tables.spans(runs),
        "overview": machine.overview(runs),
        "everything": machine.everything(runs),
        "least_samples": {name: least for name, least in PERCENTILES.items() if least > 1},
    }


def _part(run: RunView, most_panels: int) -> RunPart:
    samples = timed_samples(run.tables)
    ceilings, points = ceilings_of(run.tables), points_of(run.tables)
    return RunPart(
        run=run,
        sentence=headline.sentence(run),
        alerts=headline.alerts(run),
        tiles=headline.tiles(run),
        results=tables.results(run),
        steps=tables.percentiles(run, samples),
        generation=tables.generation(run),
        rooflines=panels.rooflines(run, ceilings, points),
        ceilings=roofline.ceilings(ceilings),
        parts=roofline.parts(run, points),
        shares=roofline.shares(run),
        declared=roofline.declared(run),
        under_load=tables.under_load(run),
        extrapolated=together.extrapolated(run),
        curves=together.curves(run),
        sweeps=together.sweep_table(run),
        energy=energy.table(run),
        why_no_energy=why_unknown(run.tables),
        distributions=panels.distributions(run, samples, most_panels),
        failures=tables.failures(run),
        notes=tables.notes(run),
        policy=tables.policy(run),
        command=shlex.join(run.parsed("argv")),
    )


def _comparison(runs: list[RunView]) -> Comparison:
    table = side_by_side([run.outcomes for run in runs], [run.metrics for run in runs])
    common = shared(table)
    return Comparison(
        verdict=headline.verdict(runs, table),
        ratios=panels.ratios(runs, table),
        table=tables.comparison(runs, table),
        rest=tables.not_shared(runs, table, common),
        shared=len(common),
    )
