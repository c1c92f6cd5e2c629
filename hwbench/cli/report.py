"""`hwbench report`: one page of one run, or of several side by side."""

from pathlib import Path

import click

from hwbench.cli import options


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("-o", "page", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@options.output
def command(runs: tuple[str, ...], page: Path | None, output: Path) -> int:
    """Render each RUN, a run's folder or its id in OUTPUT, on one self-contained HTML page.

    Several runs stand side by side; ratios are to the first. Without -o the page is reports/<first run's id>.html.
    """
    from hwbench import store
    from hwbench.report import html

    tables = [store.read_run(store.find_run(name, output)) for name in dict.fromkeys(runs)]
    page = page or Path("reports") / f"{tables[0].run_id}.html"
    options.write_page(page, html.render(tables))
    click.echo(page)
    return 0
