"""The machine and the software of a run, as `environment` recorded them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hwbench.analysis.metrics.peak_shares import SHARES
from hwbench.datasheets import peaks
from hwbench.report.numbers import quantity
from hwbench.report.page.cells import Cell, Table
from hwbench.report.page.section import PageRuns
from hwbench.report.view import RunView

UNKNOWN = "unknown"


def content(page: PageRuns) -> Table:
    """Return what the section shows."""
    return overview(page.views)


def overview(runs: Sequence[RunView]) -> Table:
    """Return what most readers look for, a column a run."""
    columns = [_overview(run) for run in runs]
    rows = [_line(title, [column[title] for column in columns]) for title in columns[0]]
    return Table("What was measured on", "l" * (len(runs) + 1), _heads(runs, "Machine"), rows)


def everything(runs: Sequence[RunView]) -> Table:
    """Return all that was recorded, a column a run: nested keys are joined by dots, and a run
    without a key has a dash."""
    columns = [flatten(run.tables.environment) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [_line(key, [column.get(key, "\N{EN DASH}") for column in columns]) for key in keys]
    return Table(
        "All that was recorded of the machine", "l" * (len(runs) + 1), _heads(runs, "Key"), rows
    )


def flatten(value: Any, key: str = "") -> dict[str, str]:
    """Return nested JSON as {dotted key: text}. Null is "unknown"; sizes in bytes also have a
    unit."""
    if isinstance(value, Mapping) and value:
        parts = (
            flatten(part, f"{key}.{name}" if key else str(name)) for name, part in value.items()
        )
        return {path: text for part in parts for path, text in part.items()}
    if isinstance(value, list) and any(isinstance(part, (Mapping, list)) for part in value):
        return flatten({str(position): part for position, part in enumerate(value)}, key)
    return {key: _text(value, key)} if key else {}


def _overview(run: RunView) -> dict[str, str]:
    environment = run.tables.environment
    flat = flatten(environment)

    def first(*keys: str) -> str:
        return next((flat[key] for key in keys if key in flat), UNKNOWN)

    held_against = run.metrics[run.metrics.metric.isin(list(SHARES))].source.dropna().unique()
    why_none = peaks.why_unknown(str(run.row("device_name")), environment) or "no known peak"
    commit = first("git.commit")
    cores, logical = (
        first("cpu.cores", "device.cores"),
        first("cpu.logical_cores", "device.logical_cores"),
    )
    return {
        "Device": f"{run.row('device_name')} ({run.row('device_kind')})",
        "CPU": first("cpu.name", "cpu"),
        "Cores": f"{cores} ({logical} logical)" if logical != UNKNOWN else cores,
        "Memory": first("memory_bytes"),
        "Device memory": first("device.memory_bytes"),
        "Held against": "; ".join(held_against) or why_none,
        "Operating system": first("os") if "os" in flat else _joined(environment.get("os")),
        "Python": first("python", "python.version"),
        "PyTorch": first("packages.torch"),
        "Driver": next((text for key, text in flat.items() if "driver" in key), UNKNOWN),
        "Git": commit + (", with uncommitted changes" if first("git.dirty") == "yes" else ""),
        "hwbench": run.row("hwbench_version"),
        "Started": run.row("started_at"),
        "Run": run.row("run_id"),
    }


def _line(title: str, texts: list[str]) -> list[Cell]:
    """A row whose heading says so where the runs differ."""
    differs = len(set(texts)) > 1
    return [
        Cell(title, head=True, tone="differs" if differs else ""),
        *(Cell(text) for text in texts),
    ]


def _heads(runs: Sequence[RunView], title: str) -> list[str]:
    return [title, *(f"{run.letter}: {run.name}" if len(runs) > 1 else "Value" for run in runs)]


def _joined(value: Any) -> str:
    return ", ".join(flatten(value).values()) or UNKNOWN


def _text(value: Any, key: str) -> str:
    if value is None or value in ({}, []):
        return UNKNOWN if value is None else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(part, "") for part in value)
    if key.endswith("_bytes") and isinstance(value, (int, float)):
        return f"{quantity(value, 'B')} ({value:,} bytes)"
    return str(value)
