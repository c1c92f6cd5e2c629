"""Whether the counter and the power sensor of a device agree: both count the same joules."""

from collections.abc import Sequence
from dataclasses import replace

from hwbench.records import Reading

APART, UNEXPLAINED = 0.1, 3.0
"""A counter and a sensor disagree if they differ by more than such a share of the larger, and by
more than so many times their combined uncertainty. docs/energy.md has how rarely honest ones do."""


def disagreements(readings: Sequence[Reading]) -> list[str]:
    """Notes, `code: what happened`: where a counter and a sensor of the same scope disagree, or
    where one of them shows an impossible value."""
    energies = {one.scope: one for one in readings if one.quantity == "energy" and not one.span}
    notes = []
    for residual in readings:
        if residual.quantity != "energy_residual":
            continue
        energy = energies[residual.scope]
        if residual.value is None:
            notes.append(f"energy_disagreement: {residual.scope}: {residual.reason}")
        elif energy.value is not None and _disagree(energy.value, residual):
            counter, sensor = f"{energy.value:.3g} J", f"{energy.value - residual.value:.3g} J"
            said = f"{residual.scope}'s counter says {counter}, its power sensor {sensor}"
            notes.append(f"energy_disagreement: {said}")
    return notes


def _disagree(counter_j: float, residual: Reading) -> bool:
    """Whether a residual is more than the uncertainties of counter and sensor explain."""
    if residual.value is None or residual.uncertainty is None:
        return False
    difference_j = abs(residual.value)
    most_j = max(counter_j, counter_j - residual.value)
    return difference_j > APART * most_j and difference_j > UNEXPLAINED * residual.uncertainty


def downgrade(figures: Sequence[Reading], residual: Sequence[Reading]) -> list[Reading]:
    """The figures of a counter; if its sensor disagrees, with grade C, and with the difference as
    uncertainty."""
    energy = figures[0].value
    if not residual or energy is None or not _disagree(energy, residual[0]):
        return list(figures)
    share = abs(residual[0].value or 0.0) / energy
    return [replace(one, grade="C", uncertainty=_at_least(one, share)) for one in figures]


def _at_least(figure: Reading, share: float) -> float:
    return max(figure.uncertainty or 0.0, share * (figure.value or 0.0))
