"""Compare runs: ratios, intervals and verdicts, as `hwbench compare` gives them."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hwbench import inputs
from hwbench.analysis.metrics.summary import METRICS
from hwbench.analysis.verdict import comparable, noise
from hwbench.analysis.verdict.judgement import judge_runs, overall
from hwbench.analysis.verdict.rules import Rules
from hwbench.api.runs import Run, Runs, load, warn
from hwbench.errors import UserError
from hwbench.inputs import unknown
from hwbench.report.numbers import UNKNOWN, is_known, quantity, ratio

Comparable = Run | Sequence[Run] | str | Path
"""A run, several, or the name of one or several (see `load`)."""


@dataclass(frozen=True)
class Comparison:
    """A candidate judged against its baseline.

    `table` has a row a case and metric: baseline, candidate, ratio (candidate / baseline), its
    95 % interval (ci_low, ci_high), threshold, verdict, reason. The values are geometric means over
    processes; a run's own metrics are medians. `verdict` is the worst of all rows: slower, missing,
    incomparable, inconclusive, faster or same. `differences` says what of the environments differs.
    """

    table: pd.DataFrame = field(repr=False)
    verdict: str
    differences: Sequence[str] = ()

    def _repr_html_(self) -> str:
        names = ("case", "metric", "baseline", "candidate", "ratio", "95 % interval", "verdict")
        head = "".join(f"<th>{name}</th>" for name in names)
        rows = "".join(_row(row) for row in self.table.to_dict("records"))
        notes = "".join(f"<p>environments differ: {html.escape(x)}</p>" for x in self.differences)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def compare(
    baseline: Comparable,
    candidate: Comparable,
    *,
    threshold: float | str = 0.05,
    metrics: str | Sequence[str] = (),
    across_devices: bool = False,
    results: str | Path = "results",
) -> Comparison:
    """Judge a candidate run against a baseline of one run or several, case by case.

    `threshold` is the relative change that matters, 0.05, "5%" or "150%". `metrics` names what is
    judged, by default a case's throughput (or step time) and its memory. `across_devices` allows
    two different devices. No change below the noise floors in `results` (`hwbench noise`) is called
    one. Raises UserError if a run cannot be read, if the candidate is not one run, or for a metric
    or threshold that makes no sense.
    """
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for metric in names:
        if metric not in METRICS:
            raise UserError(unknown("metric", metric, METRICS))
    before, after = _runs(baseline, results), _runs(candidate, results)
    if not before or len(after) != 1:
        sizes = f"{len(before)} baselines and {len(after)} candidates"
        raise UserError(f"{sizes}: a comparison takes one candidate, and a baseline or more")
    rules = Rules(names, inputs.threshold(threshold))
    tables = [run.tables for run in before]
    floors = noise.floors(Path(results), after[0].tables, warn)
    judged = judge_runs(tables, after[0].tables, rules, floors, across_devices)
    differences = comparable.differences(tables[-1], after[0].tables)
    return Comparison(judged, overall(list(judged.verdict)), differences)


def _runs(what: Comparable, results: str | Path) -> Runs:
    if isinstance(what, Run):
        return Runs([what])
    return load(what, results=results) if isinstance(what, str | Path) else Runs(what)


def _row(row: dict[str, Any]) -> str:
    figures = [quantity(row[side], row["unit"]) for side in ("baseline", "candidate")]
    low, high = row["ci_low"], row["ci_high"]
    interval = f"{ratio(low)} to {ratio(high)}" if is_known(low) and is_known(high) else UNKNOWN
    verdict = f"{row['verdict']}: {row['reason']}" if row["reason"] else row["verdict"]
    texts = [row["label"], row["metric"], *figures, ratio(row["ratio"]), interval, verdict]
    return f"<tr>{''.join(f'<td>{html.escape(str(text))}</td>' for text in texts)}</tr>"
