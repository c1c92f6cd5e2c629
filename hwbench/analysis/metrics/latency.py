"""Percentiles of the step, and of generation the times until a token appears, process by
process."""

import pandas as pd

from hwbench.analysis.metrics.rates import as_metric
from hwbench.analysis.metrics.steps import timed_samples, timed_spans
from hwbench.tables.run import RunTables
from hwbench.tables.schema import KEY

PERCENTILES = {"p50": 1, "p90": 10, "p95": 20, "p99": 100}
"""Each percentile with the least number of samples of a process; with fewer it would only be the
slowest step."""

LATENCIES = [
    *(f"{name}_{percentile}" for name in ("step_s", "itl_s") for percentile in PERCENTILES),
    "ttft_s_p50",
    "tpot_s_p50",
]


def latencies(run: RunTables) -> pd.DataFrame:
    """Percentiles of the step, and of generation also ttft_s, itl_s and tpot_s: case_id, process,
    metric, unit, value.

    ttft_s is the span `prefill`, itl_s one span `decode`. tpot_s = (latency − TTFT)/(output tokens
    − 1), which is the mean of a step's decode spans, since prefill makes the first token.
    """
    samples, spans = timed_samples(run), timed_spans(run)
    prefill, decode = spans[spans.name == "prefill"], spans[spans.name == "decode"]
    tpot = decode.groupby([*KEY, "step"], sort=False).span_s.mean().reset_index()
    return pd.concat(
        [
            _percentiles(samples, "step_s", "step_s", PERCENTILES),
            _percentiles(prefill, "span_s", "ttft_s", {"p50": 1}),
            _percentiles(tpot, "span_s", "tpot_s", {"p50": 1}),
            _percentiles(decode, "span_s", "itl_s", PERCENTILES),
        ]
    )


def _percentiles(
    rows: pd.DataFrame, column: str, name: str, wanted: dict[str, int]
) -> pd.DataFrame:
    """Percentiles of `column` within each process, as metrics `<name>_p50` and so on. `wanted` are
    the percentiles with the samples that each needs."""
    groups = rows.groupby(KEY, sort=False)[column]
    frames = []
    for percentile, least in wanted.items():
        values = groups.quantile(int(percentile[1:]) / 100)[groups.size() >= least].reset_index()
        frames.append(as_metric(values, f"{name}_{percentile}", "s", values[column]))
    return pd.concat(frames)
