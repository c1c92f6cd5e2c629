"""One page of one or more runs: a single file that loads nothing from the network and is complete
without a script."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hwbench.printable import printable
from hwbench.report.page import embedded
from hwbench.report.page.section import PageRuns, Section
from hwbench.report.page.sections import (
    comparison,
    energy,
    head,
    history,
    machines,
    provenance,
    results,
    roofline,
    spans,
    steps,
    sweeps,
    validity,
    waterfall,
)
from hwbench.report.view import view_runs
from hwbench.tables.run import RunTables

FOLDER = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

SECTIONS = (
    Section("validity", "Validity", "validity", validity.content),
    Section("machine", "Machine", "machines", machines.content, title_of_several="Machines"),
    Section("comparison", "Side by side", "comparison", comparison.content),
    Section("results", "Results", "results", results.content),
    Section("steps", "Step times", "steps", steps.content),
    Section("spans", "Parts of a step", "spans", spans.content),
    Section("roofline", "What the device allows", "roofline", roofline.content),
    Section("waterfall", "Where the time goes", "waterfall", waterfall.content),
    Section("energy", "Energy", "energy", energy.content),
    Section("sweeps", "Sweeps", "sweeps", sweeps.content),
    Section("history", "History", "history", history.content),
    Section("method", "How it was measured", "provenance", provenance.content),
)
"""The sections below the head of the page, in the order of the page and of its navigation."""


@dataclass(frozen=True)
class Inline:
    """A file of the package that stands inside the page, and the hash by which the page's content
    security policy allows it."""

    text: Markup
    hash: str


@dataclass(frozen=True)
class Rendered:
    """A section as HTML."""

    anchor: str
    title: str
    html: Markup


def render(runs: list[RunTables], floors: Mapping[tuple[str, str], float] | None = None) -> str:
    """Return the page of `runs`, the first of which is the base of every ratio.

    `floors` are the noise floors by case and metric: a change over runs of one label counts only
    above them. The same runs give the same text. ValueError without a run.
    """
    if not runs:
        raise ValueError("a report needs at least one run")
    page = PageRuns(view_runs(runs), floors)
    sections = [render_section(section, page) for section in SECTIONS]
    return printable(_whole(page, [section for section in sections if section]), keep="\n")


def render_section(section: Section, page: PageRuns) -> Rendered | None:
    """Return the section of this page, or None where it has nothing to show."""
    content = section.content(page)
    if content is None:
        return None
    html = _fill(f"sections/{section.template}.html.j2", page, content=content)
    return Rendered(section.anchor, section.title_on(page), html)


def _whole(page: PageRuns, sections: Sequence[Rendered]) -> str:
    top = head.content(page)
    return _fill(
        "template.html.j2",
        page,
        title=top.title,
        head=_fill("sections/head.html.j2", page, content=top, sections=sections),
        sections=sections,
        style=_inline("style.css"),
        script=_inline("page.js"),
        data=embedded.data(page.views),
    )


def _fill(template: str, page: PageRuns, **names: Any) -> Markup:
    """Return the filled template; each knows the `runs` and whether they are `several`."""
    text = TEMPLATES.get_template(template).render(runs=page.views, several=page.several, **names)
    return Markup(text)


def _inline(name: str) -> Inline:
    text = (FOLDER / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Inline(Markup(text), f"sha256-{digest}")
