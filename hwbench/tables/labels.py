"""Runs that belong together share a label; `label:NAME[:N]` stands for them where a run is asked
for."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwbench.records import UserError
from hwbench.tables.schema import RUN_ID

if TYPE_CHECKING:
    import pandas as pd

LABEL = re.compile(r"label:([^:]+)(?::([1-9][0-9]{0,3}))?")


@dataclass(frozen=True)
class Label:
    """The runs of a label, or the last `count` of them."""

    name: str
    count: int | None = None


def checked(name: str) -> str:
    """The label, if `label:NAME` can mean it. UserError if not; no label is empty."""
    if name and not RUN_ID.fullmatch(name):
        raise UserError(f"name {name!r}: use up to 100 letters, digits, '.', '_' and '-'")
    return name


def parse(text: str, where: str = "") -> Label | None:
    """What `label:NAME` or `label:NAME:N` means; None for any other name of a run. UserError if it
    is misspelt, which begins with `where` it was said."""
    found = LABEL.fullmatch(text)
    if text.startswith("label:") and not found:
        raise UserError(f"{where}{text}: expected label:NAME or label:NAME:N, e.g. label:main:5")
    return Label(found[1], int(found[2]) if found[2] else None) if found else None


def of_label(heads: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """The rows of `heads` (store.read_heads) with that label, oldest first."""
    return heads[heads.label == name].sort_values("started_at", kind="stable")


def folders(heads: "pd.DataFrame", label: Label, results: Path) -> list[Path]:
    """The folders of a label's runs, oldest first. UserError if there are none."""
    found = list(of_label(heads, label.name).folder)
    if not found:
        raise UserError(f"no run in {results} has the label {label.name!r} (hwbench run --name)")
    return found[-label.count :] if label.count else found
