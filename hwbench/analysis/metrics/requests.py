"""Requests of a test under load → how long they took and how many came through in time, for each
process.

All is counted from when a request was scheduled to arrive and not from when the server got round to
it, so that a server that falls behind cannot hide its queue (coordinated omission). A percentile is
what MLPerf's load generator calls one, so that ours are its own to the nanosecond: of n sorted
times the one at index ⌊np⌋.
"""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from hwbench.tables.reader import RunTables
from hwbench.tables.schema import KEY

REQUEST_TIMES = ("ttft_s", "tpot_s", "latency_s", "query_latency_s")
"""What has percentiles. The last is of queries, each of several requests: until the last of them is
done."""

SERVING = ("goodput_requests_per_s", "requests_per_s", "max_rate_requests_per_s")
"""Rates of requests: those that met the objective, all, and the largest rate of arrivals that a
search found to."""

MAX_RATE = "max_rate_requests_per_s"
"""Also what a workload calls that rate among its choices."""


def requests_of(run: RunTables, percentiles: Mapping[str, int]) -> pd.DataFrame:
    """One value a process: case_id, process, metric, unit, value, for processes whose requests are
    stored.

    Each percentile comes with the requests that it takes at least. Rates are over the time from the
    first arrival to the last answer.
    """
    measured = run.measured.set_index(KEY)
    rows = []
    for key, requests in run.requests.groupby(KEY, sort=False):
        if key in measured.index:
            values = _values(requests, percentiles, measured.loc[key])
            rows += [(*key, metric, unit, value) for (metric, unit), value in values.items()]
    return pd.DataFrame(rows, columns=[*KEY, "metric", "unit", "value"])


def times_ns(requests: pd.DataFrame) -> dict[str, pd.Series]:
    """Of each request TTFT, TPOT and latency, of each query its latency, in whole nanoseconds,
    without unknown ones.

    TPOT is (latency − TTFT)/(new tokens − 1), rounded down, as the load generator has it.
    """
    ttft, latency = (
        requests.first_token_ns - requests.scheduled_ns,
        requests.done_ns - requests.scheduled_ns,
    )
    times = {"ttft_s": ttft.dropna(), "tpot_s": _tpot_ns(requests).dropna(), "latency_s": latency}
    queries = latency.groupby(requests["query"]).max()
    if 1 < len(queries) < len(latency):
        times["query_latency_s"] = queries
    return times


def percentile_ns(times: pd.Series, share: float) -> int:
    """Of n sorted times the one at index ⌊n · share⌋, computed in double precision as the load
    generator does."""
    return int(np.sort(times.to_numpy())[int(len(times) * share)])


def _values(
    requests: pd.DataFrame, percentiles: Mapping[str, int], measurement: pd.Series
) -> dict[tuple[str, str], float]:
    seconds = (requests.done_ns.max() - requests.scheduled_ns.min()) / 1e9
    values = {("requests_per_s", "requests/s"): len(requests) / seconds}
    if requests.new_tokens.notna().all():
        values["tokens_per_s", "tokens/s"] = requests.new_tokens.sum() / seconds
    params, choices = json.loads(measurement.params), json.loads(measurement.choices or "{}")
    good = _good(requests, params)
    if good is not None:
        values["goodput_requests_per_s", "requests/s"] = int(good.sum()) / seconds
    if MAX_RATE in choices:
        values[MAX_RATE, "requests/s"] = float(choices[MAX_RATE])
    for name, times in times_ns(requests).items():
        for percentile, least in percentiles.items():
            if len(times) >= least:
                values[f"{name}_{percentile}", "s"] = (
                    percentile_ns(times, int(percentile[1:]) / 100) / 1e9
                )
    return values


def _good(requests: pd.DataFrame, params: Mapping[str, object]) -> pd.Series | None:
    """Which requests met the objective that the case states, `ttft_ms` and `tpot_ms`; None if it
    states none. A time that is not known meets nothing."""
    limits = [params.get("ttft_ms"), params.get("tpot_ms")]
    if not all(isinstance(limit, int | float) for limit in limits):
        return None
    ttft_ns, tpot_ns = (float(str(limit)) * 1e6 for limit in limits)
    return (requests.first_token_ns - requests.scheduled_ns <= ttft_ns) & (
        _tpot_ns(requests) <= tpot_ns
    )


def _tpot_ns(requests: pd.DataFrame) -> pd.Series:
    """Unknown for a single token."""
    further = (requests.new_tokens - 1).where(requests.new_tokens > 1)
    return (requests.done_ns - requests.first_token_ns) // further
