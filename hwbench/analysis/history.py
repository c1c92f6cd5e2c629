"""The history of the runs of one label on one device: each case's speed over the runs, and where
its level changed.

The run is the unit. The processes of a run share conditions (the day, foreign load, the heat) that
differ between runs. The intervals within runs say little about the next run; only the sequence of
runs tells a change from noise.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from hwbench.analysis.metrics.rates import RATES
from hwbench.identity import Identity
from hwbench.stats.change_points import LEAST, change_points, levels
from hwbench.tables.columns import decode_facts
from hwbench.tables.run import identity_of

HEADLINE = (*RATES, "step_s_p50")
"""A case's history is of the first of these metrics that it has."""

FEWEST = 3
"""The fewest runs that are a history."""

GROUP = ["label", "device_kind", "device_name"]
SERIES = [*GROUP, "case_id", "case", "metric", "unit"]
"""The key of a series of values over runs."""

RUN = ["position", "run_id", "started_at", "commit"]
POINTS = [*SERIES, *RUN, "value", "ci_low", "ci_high", "validity"]
CHANGES = [*SERIES, *RUN, "before", "after", "ratio", "p"]

_VALUE = ["case_id", "metric", "unit", "value", "ci_low", "ci_high", "validity"]


def points(
    heads: Sequence[pd.DataFrame], cases: Sequence[pd.DataFrame], metrics: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """A row (POINTS) for each case and run that has its headline metric (HEADLINE), oldest run
    first.

    `heads` holds each run's row of `runs`, `cases` and `metrics` its tables of metrics.cases and
    metrics.summarize. `position` counts from 0 the runs of one label and device, of which there
    must be FEWEST. Runs without a label have no history, nor have those of an unknown device, each
    of which may be another; a run given twice counts once. `commit` is null where unknown.
    """
    runs = _in_order(heads)
    if not runs:
        return pd.DataFrame(columns=POINTS)
    labels = pd.concat([cases[given][["case_id", "label"]] for given, _ in runs])
    labels = labels.drop_duplicates("case_id")
    names = dict(zip(labels.case_id, labels.label, strict=True))
    tables = {place: metrics[given][_VALUE] for place, (given, _) in enumerate(runs)}
    # pandas 2 warns of empty ones
    filled = {place: table for place, table in tables.items() if len(table)}
    values = pd.concat(filled or tables)
    values = values[values.metric.isin(HEADLINE) & values.case_id.isin(names)]
    values = values[np.isfinite(values.value.astype("float64"))]
    rows = []
    for (place, _), row in zip(values.index, values.to_dict("records"), strict=True):
        _, run = runs[place]
        rows.append({**row, **run, "case": names[row["case_id"]]})
    table = pd.DataFrame(rows, columns=POINTS)
    by_case = table.groupby([*GROUP, "case_id"])
    first = by_case.metric.transform(lambda metrics: min(metrics, key=HEADLINE.index))
    table = table[table.metric == first]
    rank = {case_id: position for position, case_id in enumerate(names)}
    return table.sort_values(
        "case_id", key=lambda ids: ids.map(rank), kind="stable", ignore_index=True
    )


def changes(
    points: pd.DataFrame, floors: Mapping[tuple[str, str], float] | None = None
) -> pd.DataFrame:
    """The changes of level in `points`: a row (CHANGES) each, the cases in the same order.

    RUN is the first run at the new level; `before` and `after` are the medians of the levels on
    either side; `p` is that of the permutation test. A change is at least LEAST, and at least the
    noise floor of this machine, which `floors` holds by case_id and metric. Values that are invalid
    or not positive do not count.
    """
    rows = []
    for _, series in points.groupby(SERIES, sort=False, dropna=False):
        usable = counted(series)
        values = usable.value.to_numpy(np.float64)
        floor = (floors or {}).get((series.case_id.iloc[0], series.metric.iloc[0]), 0.0)
        p_values = change_points(values, max(LEAST, floor))
        for (start, cut), (_, end) in pairwise(levels(p_values, len(values))):
            before, after = float(np.median(values[start:cut])), float(np.median(values[cut:end]))
            change = {"before": before, "after": after, "ratio": after / before, "p": p_values[cut]}
            rows.append(usable.iloc[cut].to_dict() | change)
    return pd.DataFrame(rows, columns=CHANGES)


def counted(series: pd.DataFrame) -> pd.DataFrame:
    """The rows of `points` from which levels are made."""
    return series[(series.validity != "invalid") & (series.value > 0)]


def commit_of(environment: str) -> str | None:
    """The git commit in an environment (JSON), with "+" if there were uncommitted changes; None
    without one."""
    try:
        git = decode_facts(environment).get("git")
    except ValueError:  # no object
        return None
    if not isinstance(git, dict) or not git.get("commit"):
        return None
    return f"{git['commit']}{'+' if git.get('dirty') else ''}"


def _in_order(heads: Sequence[pd.DataFrame]) -> list[tuple[int, dict[str, Any]]]:
    """The runs that have a history, oldest first: the index of each in `heads`, with its GROUP and
    RUN."""
    labelled: dict[str, tuple[int, dict[str, Any]]] = {}
    rows = [head.iloc[0] for head in heads]
    devices = [identity_of(row) for row in rows]
    names = _names_of(devices)
    for given, (row, device) in enumerate(zip(rows, devices, strict=True)):
        if row.label and not device.is_unknown:
            run = {name: row[name] for name in (*GROUP, "run_id", "started_at")}
            run |= {"device_name": names[given], "commit": commit_of(row.environment)}
            labelled.setdefault(row.run_id, (given, run))
    groups: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = {}
    for given, run in sorted(labelled.values(), key=lambda one: str(one[1]["started_at"])):
        groups.setdefault(tuple(run[name] for name in GROUP), []).append((given, run))
    ordered = []
    for runs in groups.values():
        if len(runs) >= FEWEST:
            ordered += [(given, run | {"position": at}) for at, (given, run) in enumerate(runs)]
    return ordered


def _names_of(devices: Sequence[Identity]) -> list[str]:
    """The name of each device; with what tells them apart where several have one name."""
    by_name: dict[tuple[str, str], set[str]] = {}
    for device in devices:
        by_name.setdefault((device.kind, device.name), set()).add(device.details)
    names = []
    for device in devices:
        is_one = len(by_name[device.kind, device.name] - {""}) < 2
        names.append(device.name if is_one else str(device))
    return names
