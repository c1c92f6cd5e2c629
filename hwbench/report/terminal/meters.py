"""What meters say, and which of them work, as tables for people and as plain data for machines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hwbench.report.numbers import UNKNOWN, clean, quantity

if TYPE_CHECKING:
    from hwbench.meters import Source
    from hwbench.meters.command import Metered
    from hwbench.records import Reading

ENERGY_TITLES = ("scope", "energy", "±", "power", "peak", "grade", "from")


def as_table(metered: "Metered") -> Table:
    """A row for each scope: energy with its uncertainty, mean and peak power, grade and source; why
    where unknown."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ENERGY_TITLES:
        table.add_column(
            title, justify="right" if title in ENERGY_TITLES[1:5] else "left", overflow="fold"
        )
    for scope, found in _by_scope(metered.readings).items():
        energy, power, peak = (found.get(name) for name in ("energy", "power", "power_peak"))
        source = (
            f"{energy.meter} {energy.method}"
            if energy and energy.value is not None
            else _why(energy)
        )
        table.add_row(
            scope, _amount(energy), _doubt(energy), _amount(power), _amount(peak),
            (energy.grade if energy else None) or UNKNOWN, Text(clean(source)),
        )  # fmt: skip
    return table


def summary(metered: "Metered") -> str:
    """How the command ended, in one line, and what was noted meanwhile."""
    took = f"{quantity(metered.elapsed_s, 's')}, exit status {metered.exit_status}"
    memory = (
        f", memory peak {quantity(metered.memory_peak_bytes, 'B')}"
        if metered.memory_peak_bytes
        else ""
    )
    return "; ".join([took + memory, *metered.notes])


def as_data(metered: "Metered") -> dict[str, Any]:
    """Plain data: how the command ended and how long it took, and every reading with all its
    columns."""
    return {
        "exit_status": metered.exit_status,
        "elapsed_s": metered.elapsed_s,
        "memory_peak_bytes": metered.memory_peak_bytes,
        "notes": list(metered.notes),
        "readings": [vars(reading) for reading in metered.readings],
    }


def sources_table(sources: Sequence["Source"]) -> Table:
    """A row for each source: whether it works here, what it measures, or why not and the cure."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("meter", "works", "measures, or why not"):
        table.add_column(title, overflow="fold")
    for source in sources:
        words = [
            ", ".join(source.signals),
            source.reason,
            f"Cure: {source.cure}" if source.cure else "",
        ]
        said = ". ".join(word.rstrip(".") for word in words if word)
        table.add_row(
            source.meter,
            Text("yes", "green") if source.works else Text("no", "yellow"),
            Text(clean(said)),
        )
    return table


def sources_as_data(sources: Sequence["Source"]) -> list[dict[str, Any]]:
    return [vars(source) | {"signals": list(source.signals)} for source in sources]


def _by_scope(readings: Sequence["Reading"]) -> dict[str, dict[str, "Reading"]]:
    found: dict[str, dict[str, Reading]] = {}
    for reading in readings:
        found.setdefault(reading.scope, {})[reading.quantity] = reading
    return found


def _amount(reading: "Reading | None") -> str:
    return quantity(reading.value if reading else None, reading.unit if reading else "1")


def _doubt(reading: "Reading | None") -> str:
    if reading is None or not reading.value or reading.uncertainty is None:
        return UNKNOWN
    return quantity(reading.uncertainty / reading.value, "1", 2)


def _why(reading: "Reading | None") -> str:
    return f"{reading.meter}: {reading.reason}" if reading else "unknown"
