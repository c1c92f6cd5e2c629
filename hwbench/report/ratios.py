"""The intervals of ratios between runs."""

import math
from collections.abc import Mapping, Sequence

from hwbench import stats
from hwbench.analysis.metrics.summary import per_process
from hwbench.analysis.side_by_side import HEADLINE
from hwbench.report.view import RunView

Intervals = Mapping[tuple[int, str, str], tuple[float, float]]
"""The 95 % interval of a run's ratio to the first, by the run's position, case_id and metric."""


def ratio_intervals(runs: Sequence[RunView]) -> dict[tuple[int, str, str], tuple[float, float]]:
    """Return the 95 % interval (stats.change) of each later run's ratio to the first, by the run's
    position, case_id and headline metric.

    A ratio without an interval, or of a case that is invalid on a side, is left out.
    """
    sides = [_values(run) for run in runs]
    intervals = {}
    for position, side in enumerate(sides[1:], start=1):
        for key in side.keys() & sides[0].keys():
            change = stats.change(sides[0][key], side[key])
            if math.isfinite(change.low) and math.isfinite(change.high):
                intervals[position, *key] = (change.low, change.high)
    return intervals


def _values(run: RunView) -> dict[tuple[str, str], list[float]]:
    """What each process came to, by case_id and headline metric, without cases that are invalid."""
    invalid = {case.case_id for case in run.cases if case.validity == "invalid"}
    table = per_process(run.tables)
    table = table[table.metric.isin(HEADLINE) & ~table.case_id.isin(invalid)]
    return {
        (str(case_id), str(metric)): list(rows)
        for (case_id, metric), rows in table.groupby(["case_id", "metric"]).value
    }
