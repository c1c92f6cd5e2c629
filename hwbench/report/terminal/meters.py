"""What meters measured, and which of them work, as tables and as JSON takes them."""

from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hwbench.report.numbers import UNKNOWN, quantity
from hwbench.report.terminal.tables import numbers, table_of, words

if TYPE_CHECKING:
    from hwbench.meters import Source
    from hwbench.meters.command import Metered
    from hwbench.records import Reading


def metered_table(metered: "Metered") -> Table:
    """Return a row for each scope: energy with its uncertainty, mean power and the highest seen,
    grade and source; the reason where it is unknown."""
    columns = [*words("scope"), *numbers("energy", "±", "power", "peak"), *words("grade", "from")]
    return table_of(columns, starmap(_row, _by_scope(metered.readings).items()))


def summary(metered: "Metered") -> str:
    """Return in one line how the command ended, and the notes taken while it ran."""
    end = f"{quantity(metered.elapsed_s, 's')}, exit status {metered.exit_status}"
    if peak := metered.memory_peak:
        bound = "" if peak.bound == "exact" else f"{peak.bound} "
        end += f", memory peak {bound}{quantity(peak.value, 'B')}"
    return "; ".join([end, *metered.notes])


def metered_data(metered: "Metered") -> dict[str, Any]:
    """Return how the command ended and how long it took, and every reading with all its
    columns, as JSON takes it."""
    peak = metered.memory_peak
    return {
        "exit_status": metered.exit_status,
        "elapsed_s": metered.elapsed_s,
        "memory_peak_bytes": peak.value if peak else None,
        "memory_peak_bound": peak.bound if peak else None,
        "problem": metered.problem or None,
        "notes": list(metered.notes),
        "readings": [vars(reading) for reading in metered.readings],
    }


def sources_table(sources: Sequence["Source"]) -> Table:
    """Return a row for each source: whether it works here, what it measures, or why not and the
    cure."""
    return table_of(words("meter", "works", "measures, or why not"), map(_source_row, sources))


def sources_data(sources: Sequence["Source"]) -> list[dict[str, Any]]:
    """Return the same as JSON takes it."""
    return [vars(source) | {"signals": list(source.signals)} for source in sources]


def _source_row(source: "Source") -> list[str | Text]:
    signals = ", ".join(source.signals)
    cure = f"Cure: {source.cure}" if source.cure else ""
    sentences = [part.rstrip(".") for part in (signals, source.reason, cure) if part]
    works = Text("yes", "green") if source.works else Text("no", "yellow")
    return [source.meter, works, ". ".join(sentences)]


def _row(scope: str, readings: Mapping[str, "Reading"]) -> list[str]:
    """The cells of a scope whose `readings` are named by their quantities."""
    energy, power, peak = (readings.get(name) for name in ("energy", "power", "power_peak"))
    is_known = energy is not None and energy.value is not None
    source = f"{energy.meter} {energy.method}" if energy and is_known else _why(energy)
    grade = (energy.grade if energy else None) or UNKNOWN
    # no source sees every moment
    highest = f"≥ {_amount(peak)}" if peak and peak.value is not None else UNKNOWN
    return [scope, _amount(energy), _doubt(energy), _amount(power), highest, grade, source]


def _by_scope(readings: Sequence["Reading"]) -> dict[str, dict[str, "Reading"]]:
    by_scope: dict[str, dict[str, Reading]] = {}
    for reading in readings:
        by_scope.setdefault(reading.scope, {})[reading.quantity] = reading
    return by_scope


def _amount(reading: "Reading | None") -> str:
    return quantity(reading.value if reading else None, reading.unit if reading else "1")


def _doubt(reading: "Reading | None") -> str:
    if reading is None or not reading.value or reading.uncertainty is None:
        return UNKNOWN
    return quantity(reading.uncertainty / reading.value, "1", 2)


def _why(reading: "Reading | None") -> str:
    return f"{reading.meter}: {reading.reason}" if reading else "unknown"
