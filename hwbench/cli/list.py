"""`hwbench list`: show the workloads, the suites and the devices."""

from typing import TYPE_CHECKING, Any

import click

from hwbench.cli import options

if TYPE_CHECKING:
    from hwbench.workload import Axis, Workload


@click.command("list")
@options.workload_files
@options.as_json
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Show the workloads with their axes and defaults, the suites and this machine's devices."""
    from hwbench import devices
    from hwbench.discovery import discover
    from hwbench.recording.suites import load_suite, suite_names
    from hwbench.workload import LARGEST

    workloads = discover(files)
    suites = {name: load_suite(name).description for name in suite_names()}
    available = devices.available()
    if as_json:
        rows = [_workload(workload) for workload in workloads.values()]
        options.print_json({"workloads": rows, "suites": suites, "devices": available})
        return 0
    for workload in workloads.values():
        options.print_heading(workload.name, f"  {workload.summary}")
        for name, axis in workload.axes.items():
            choices = f"  of {', '.join(axis.choices)}" if axis.choices and name != "dtype" else ""
            choices += f"  or {LARGEST}" if axis.largest else ""
            options.print_line(f"    {name}={','.join(map(_word, axis.defaults))}{choices}")
    for title, entries in (("suites", suites), ("devices", available)):
        options.print_heading(title)
        for name, text in entries.items():
            options.print_line(f"    {name:<10} {text}")
    return 0


def _workload(workload: "Workload") -> dict[str, Any]:
    return {
        "name": workload.name,
        "summary": workload.summary,
        "origin": workload.origin,
        "axes": {name: _axis(axis) for name, axis in workload.axes.items()},
    }


def _axis(axis: "Axis") -> dict[str, Any]:
    content: dict[str, Any] = {
        "defaults": list(axis.defaults),
        "type": axis.kind.__name__,
        "choices": list(axis.choices) or None,
    }
    if axis.largest:
        content["largest"] = True
    return content


def _word(value: object) -> str:
    if value is None:
        return "auto"
    return str(value).lower() if isinstance(value, bool) else str(value)
