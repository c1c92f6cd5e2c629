"""The rows of a table as JSON takes them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hwbench.printable import storable
from hwbench.report.numbers import plain


def plain_rows(
    table: pd.DataFrame, columns: Sequence[str] | None = None, parsed: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a dictionary a row, with all columns or those named; the columns `parsed` hold JSON.

    Numbers keep their last digit; what is unknown or no finite number is null.
    """
    names = [str(name) for name in (table.columns if columns is None else columns)]
    return [
        {
            name: plain_value(json.loads(row[name]) if name in parsed else row[name])
            for name in names
        }
        for row in table.to_dict("records")
    ]


def plain_value(value: Any) -> Any:
    """Return a value as JSON takes it, whatever lies inside."""
    if isinstance(value, Mapping):
        return {storable(str(name)): plain_value(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(part) for part in value]
    if isinstance(value, str):
        return storable(value)
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    return None if value is pd.NA or value is pd.NaT else plain(value)
