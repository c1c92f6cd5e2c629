"""Collect the figures that the stages print: rows of `hwbench run --json` and lines `name:
number`."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NUMBER = re.compile(r"([a-z][a-z0-9_]*): ([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)")
SHOWN = {
    "tokens_per_s": "tokens/s",
    "flops_per_s": "FLOP/s",
    "bytes_per_s": "B/s",
    "mfu": "MFU",
    "mbu": "MBU",
}

Row = dict[str, Any]
"""A case of a run as `hwbench run --json` prints it: workload, params, dtype, outcome, reason,
metrics."""


@dataclass
class Figures:
    """All figures so far."""

    rows: list[Row] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)

    def read_line(self, line: str) -> None:
        """Add the figure of a line `name: number`; other lines are ignored."""
        match = NUMBER.fullmatch(line.strip())
        if match:
            self.numbers[match[1]] = float(match[2])

    def read_run(self, file: Path) -> list[Row]:
        """Add the rows of a run and return them; none if the command was killed before it printed
        them."""
        rows = read_rows(file)
        self.rows += rows
        return rows


def read_rows(file: Path) -> list[Row]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    rows = content.get("rows", []) if isinstance(content, dict) else []
    return [row for row in rows if "outcome" in row]


def describe_row(row: Row) -> str:
    """A case and its result in a line."""
    params = {name: value for name, value in row["params"].items() if value not in (None, False)}
    settings = " ".join(f"{name}={value}" for name, value in params.items())
    head = f"{row['workload']} {settings} {row['dtype']}"
    if row["outcome"] != "ok":
        return f"{head}: {row['outcome']}: {row['reason']}"
    shown = [f"{row[name]:.4g} {unit}" for name, unit in SHOWN.items() if row.get(name) is not None]
    return f"{head}: {', '.join(shown)} ({row.get('validity')})"
