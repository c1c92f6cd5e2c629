"""What the cases of a run took in joules and watts, with where each figure comes from."""

import math

from hwbench.analysis.metrics.energy import ENERGY
from hwbench.report.numbers import UNKNOWN, quantity, uncertainty
from hwbench.report.page.cells import Cell, Table
from hwbench.report.view import CaseView, RunView

COLUMNS = {
    "A token": "energy_j_per_token",
    "Net": "energy_net_j_per_token",
    "A step": "energy_j",
    "Net of it": "energy_net_j",
    "Power": "power_w",
    "Peak": "power_peak_w",
    "Host, a step": "host_energy_j",
    "With all parts": "total_energy_j",
}
"""Titles and metrics; a column that nothing fills is left out."""


def table(run: RunView) -> Table:
    """A row for each case whose energy is known."""
    known = {metric for case in run.cases for metric in case.values}
    shown = {title: metric for title, metric in COLUMNS.items() if metric in known}
    sources = run.metrics[run.metrics.metric == "energy_j"].set_index("case_id")
    rows = []
    for case in run.cases:
        if case.case_id in sources.index:
            row = sources.loc[case.case_id]
            share = (
                row.uncertainty / row.value
                if row.value > 0 and math.isfinite(row.uncertainty)
                else None
            )
            figures = [Cell(_figure(case, metric)) for metric in shown.values()]
            from_where = Cell(str(row.source), tone="" if row.grade != "C" else "warn")
            rows.append(
                [
                    Cell(case.short, head=True),
                    *figures,
                    Cell(uncertainty(share)),
                    Cell(row.grade),
                    from_where,
                ]
            )
    head = ["Case", *shown, "±", "Grade", "From"]
    return Table(
        "Energy: median of the processes of each case",
        "l" + "r" * (len(shown) + 1) + "ll",
        head,
        rows,
    )


def _figure(case: CaseView, metric: str) -> str:
    value = case.get(metric)
    return UNKNOWN if value is None else quantity(value, ENERGY[metric])
