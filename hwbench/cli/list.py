"""`hwbench list`: what can be run, and on what."""

from typing import Any

import click

from hwbench.cli import options


@click.command("list")
@options.workload_files
@options.as_json
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Show the workloads with their axes and defaults, the suites and this machine's devices."""
    from hwbench import devices
    from hwbench.discovery import discover
    from hwbench.recording.suites import load_suite, suite_names
    from hwbench.workload import LARGEST

    found = discover(files)
    suites = {name: load_suite(name).description for name in suite_names()}
    here = devices.available()
    if as_json:
        options.print_json(
            {"workloads": [_workload(w) for w in found.values()], "suites": suites, "devices": here}
        )
        return 0
    for workload in found.values():
        click.secho(workload.name, bold=True, nl=False)
        click.echo(f"  {workload.summary}")
        for name, axis in workload.axes.items():
            choices = f"  of {', '.join(axis.choices)}" if axis.choices and name != "dtype" else ""
            choices += f"  or {LARGEST}" if axis.largest else ""
            click.echo(f"    {name}={','.join(map(_word, axis.defaults))}{choices}")
    for title, rows in (("suites", suites), ("devices", here)):
        click.secho(title, bold=True)
        for name, text in rows.items():
            click.echo(f"    {name:<10} {text}")
    return 0


def _workload(workload: Any) -> dict[str, Any]:
    axes = {
        name: {
            "defaults": list(axis.defaults),
            "type": axis.kind.__name__,
            "choices": list(axis.choices) or None,
        }
        | ({"largest": True} if axis.largest else {})
        for name, axis in workload.axes.items()
    }
    return {
        "name": workload.name,
        "summary": workload.summary,
        "origin": workload.origin,
        "axes": axes,
    }


def _word(value: object) -> str:
    return (
        "auto" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
