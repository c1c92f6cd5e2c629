"""What makers publish of their hardware, as tables."""

import csv
from importlib.resources import files


def rows(name: str) -> list[dict[str, str]]:
    """The rows of the table `name`.csv in this folder."""
    text = files("hwbench.datasheets").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
