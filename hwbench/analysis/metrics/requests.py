"""The metrics of requests in a test under load, process by process.

Times count from when a request was scheduled to arrive, not from when the server took it up: a
server that falls behind cannot hide its queue (coordinated omission). A percentile is defined as by
MLPerf's load generator, so that ours equal its own to the nanosecond: of n sorted times, the one at
index ⌊np⌋.
"""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pandas as pd

from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

REQUEST_TIMES = ("ttft_s", "tpot_s", "latency_s", "query_latency_s")
"""The times that have percentiles. The last is of queries of several requests: until the last
request is done."""

SERVING = ("goodput_requests_per_s", "requests_per_s", "max_rate_requests_per_s")
"""Rates of requests: of those that met the objective, of all, and the largest rate of arrivals at
which a search found the objective met."""

MAX_RATE = "max_rate_requests_per_s"
"""Also the name of that rate among a workload's choices."""


def requests_of(run: RunTables, percentiles: Mapping[str, int]) -> pd.DataFrame:
    """One value a process: case_id, process, metric, unit, value, for processes whose requests are
    stored.

    `percentiles` are the percentiles with the least number of requests that each needs. Rates are
    over the time from the first arrival to the last answer.
    """
    measured = run.measured.set_index(KEY)
    rows = []
    for key, requests in run.requests.groupby(KEY, sort=False):
        if key in measured.index:
            values = _values(requests, percentiles, measured.loc[key])
            rows += [(*key, metric, unit, value) for (metric, unit), value in values.items()]
    return pd.DataFrame(rows, columns=[*KEY, "metric", "unit", "value"])


def times_ns(requests: pd.DataFrame) -> dict[str, pd.Series]:
    """TTFT, TPOT and latency of each request and the latency of each query, in whole nanoseconds;
    unknown times are left out.

    TPOT is (latency − TTFT)/(new tokens − 1), rounded down, as the load generator does.
    """
    ttft = requests.first_token_ns - requests.scheduled_ns
    latency = requests.done_ns - requests.scheduled_ns
    times = {"ttft_s": ttft.dropna(), "tpot_s": _tpot_ns(requests).dropna(), "latency_s": latency}
    queries = latency.groupby(requests["query"]).max()
    if 1 < len(queries) < len(latency):
        times["query_latency_s"] = queries
    return times


def percentile_ns(times: pd.Series, share: float) -> int:
    """The time at index ⌊n · share⌋ of n sorted ones, computed in double precision as the load
    generator does."""
    return int(np.sort(times.to_numpy())[int(len(times) * share)])


def _values(
    requests: pd.DataFrame, percentiles: Mapping[str, int], measurement: pd.Series
) -> dict[tuple[str, str], float]:
    values: dict[tuple[str, str], float] = {}
    seconds = (requests.done_ns.max() - requests.scheduled_ns.min()) / 1e9
    if seconds > 0:
        values["requests_per_s", "requests/s"] = len(requests) / seconds
        if requests.new_tokens.notna().all():
            values["tokens_per_s", "tokens/s"] = requests.new_tokens.sum() / seconds
        good = _good(requests, measurement.params)
        if good is not None:
            values["goodput_requests_per_s", "requests/s"] = int(good.sum()) / seconds
    with suppress(TypeError, ValueError):  # none, or no number
        values[MAX_RATE, "requests/s"] = float(measurement.choices.get(MAX_RATE))
    for name, times in times_ns(requests).items():
        for percentile, least in percentiles.items():
            if len(times) >= least:
                share = int(percentile[1:]) / 100
                values[f"{name}_{percentile}", "s"] = percentile_ns(times, share) / 1e9
    return values


def _good(requests: pd.DataFrame, params: Mapping[str, object]) -> pd.Series | None:
    """Whether each request met the objective of the case, `ttft_ms` and `tpot_ms`; None if it has
    none. An unknown time does not meet it."""
    limits = [params.get("ttft_ms"), params.get("tpot_ms")]
    if not all(isinstance(limit, int | float) for limit in limits):
        return None
    ttft_ns, tpot_ns = (float(str(limit)) * 1e6 for limit in limits)
    waited_ns = requests.first_token_ns - requests.scheduled_ns
    return (waited_ns <= ttft_ns) & (_tpot_ns(requests) <= tpot_ns)


def _tpot_ns(requests: pd.DataFrame) -> pd.Series:
    """Unknown for a single token."""
    further = (requests.new_tokens - 1).where(requests.new_tokens > 1)
    return (requests.done_ns - requests.first_token_ns) // further
