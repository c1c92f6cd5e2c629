"""Labels, which runs that belong together share. `label:NAME[:N]` names them wherever a command
takes a run."""

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
    """All runs of a label, or the last `count` of them."""

    name: str
    count: int | None = None


def checked(name: str) -> str:
    """The label, if `label:NAME` can mean it. UserError if not; no label is empty."""
    if name and not RUN_ID.fullmatch(name):
        raise UserError(f"name {name!r}: use up to 100 letters, digits, '.', '_' and '-'")
    return name


def parse(text: str, where: str = "") -> Label | None:
    """The label that `label:NAME` or `label:NAME:N` means; None for any other name of a run.
    UserError, which begins with `where`, for one that is misspelt."""
    if not text.startswith("label:"):
        return None
    match = LABEL.fullmatch(text)
    if not match:
        raise UserError(f"{where}{text}: expected label:NAME or label:NAME:N, e.g. label:main:5")
    return Label(match[1], int(match[2]) if match[2] else None)


def of_label(heads: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """The rows of `heads` (see `reader.read_heads`) with that label, oldest first."""
    return heads[heads.label == name].sort_values("started_at", kind="stable")


def folders(heads: "pd.DataFrame", label: Label, results: Path) -> list[Path]:
    """The folders of a label's runs, oldest first. UserError if there are none."""
    paths = list(of_label(heads, label.name).folder)
    if not paths:
        raise UserError(f"no run in {results} has the label {label.name!r} (hwbench run --name)")
    return paths[-label.count :] if label.count else paths
