"""`hwbench report`: one or more runs as a page, as figures, or as Markdown, CSV or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from hwbench.cli import options, targets
from hwbench.printable import json_text
from hwbench.records import UserError
from hwbench.tables import labels

if TYPE_CHECKING:
    from hwbench.tables.run import RunTables

FORMATS = ("html", "markdown", "csv", "json")
FIGURE_FORMATS = ("png", "svg", "pdf")


def _known(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """UserError suggests near names for a format that is not there."""
    if text not in FORMATS:
        from hwbench.inputs import unknown

        raise UserError(unknown("format", text, FORMATS))
    return text


def _figure_formats(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...]:
    """One or more formats, separated by commas. UserError for one that is not there."""
    names = tuple(dict.fromkeys(name.strip() for name in (text or "png").split(",")))
    for name in names:
        if name not in FIGURE_FORMATS:
            from hwbench.inputs import unknown

            raise UserError(unknown("figure format", name, FIGURE_FORMATS))
    return names


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "-o", "page", type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@click.option(
    "--format",
    "form",
    default="html",
    show_default=True,
    callback=_known,
    metavar="F",
    help=" | ".join(FORMATS),
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the figures, each as a file, and no page.",
)
@click.option(
    "--figure-format",
    "figure_formats",
    callback=_figure_formats,
    metavar="F[,F…]",
    help="png (200 dpi), svg or pdf.  [default: png]",
)
@options.output
@click.pass_context
def command(
    context: click.Context,
    runs: tuple[str, ...],
    page: Path | None,
    form: str,
    figures: Path | None,
    figure_formats: tuple[str, ...],
    output: Path,
) -> int:
    """Render each RUN: a run's folder, its id in OUTPUT, or label:NAME[:N], all (the last N) runs
    with that --name.

    Several runs stand side by side; ratios are to the first. Three or more of one label and device
    have a history with its changes marked. Without -o the page is reports/<first run's id>.html;
    the other formats go to standard output. --figures draws the same figures for papers and slides
    and prints their paths.
    """
    if figures:
        if page or _is_given(context, "form"):
            raise UserError("--figures writes no page; leave out -o and --format, or call twice")
        targets.require_target_folder(figures)
        return _draw(_read(runs, output), figures, figure_formats, output)
    if _is_given(context, "figure_formats"):
        raise UserError("--figure-format needs --figures FOLDER")
    if page:
        targets.require_target(page)
    tables = _read(runs, output)
    if form == "html":
        page = page or Path("reports") / f"{tables[0].run_id}.html"
    text = _rendered(form, tables, output)
    if page is None:
        options.print_text(text)
    else:
        targets.write_page(page, text)
        options.print_line(str(page))
    return 0


def _is_given(context: click.Context, parameter: str) -> bool:
    return context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def _draw(runs: "list[RunTables]", folder: Path, formats: tuple[str, ...], output: Path) -> int:
    """Write the figures, and print each path as soon as the file is there."""
    from hwbench.analysis.verdict import noise
    from hwbench.report.figures.export import export

    for path in export(runs, folder, formats, noise.floors(output, runs[-1], options.warn)):
        options.print_line(str(path))
    return 0


def _read(names: tuple[str, ...], output: Path) -> "list[RunTables]":
    """The runs that are asked for, each once."""
    from hwbench import tables as store

    folders: list[Path] = []
    is_sure: set[Path] = set()
    for name in names:
        label = labels.parse(name)
        heads = store.read_heads(output, options.warn) if label else None
        folders += (
            [store.find_run(name, output)]
            if label is None
            else labels.folders(heads, label, output)
        )
        is_sure |= {folder.resolve() for folder in folders[-1:] if label is None}
    found = [
        _one(folder, folder.resolve() in is_sure)
        for folder in {f.resolve(): f for f in folders}.values()
    ]
    if not (runs := [run for run in found if run]):
        raise UserError("none of these runs can be read")
    return runs


def _one(folder: Path, is_sure: bool) -> "RunTables | None":
    """A run; one that was not asked for by its own name is left out with a warning where it is
    damaged."""
    from hwbench import tables as store

    try:
        return store.read_run(folder)
    except UserError as error:
        if is_sure:
            raise
        options.warn(f"{error}; left out")
        return None


def _rendered(form: str, runs: "list[RunTables]", output: Path) -> str:
    from hwbench.analysis.verdict import noise
    from hwbench.report.formats import data, markdown_report
    from hwbench.report.page import html

    if form == "csv":
        return data.metrics_csv(runs)
    floors = noise.floors(output, runs[-1], options.warn)
    if form == "html":
        return html.render(runs, floors)
    if form == "markdown":
        return markdown_report.render(runs, floors)
    return json_text(data.runs_data(runs, floors))
