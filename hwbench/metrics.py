"""Raw tables in, metrics out: what each case came to over its processes.

The process is the unit. Each figure is worked out within a process and the median over processes is reported, with an
interval over processes, since one process differs from the next by more than its own steps differ among themselves.
"""

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from hwbench import stats
from hwbench.energy_metrics import ENERGY, energy_of
from hwbench.peak_metrics import SHARES, shares_of_peak
from hwbench.reasons import INVALIDATING
from hwbench.records import case_label
from hwbench.request_metrics import LATENCIES, SERVING, requests_of
from hwbench.schema import KEY, SCHEMAS
from hwbench.store import RunTables

PERCENTILES = {"p50": 1, "p90": 10, "p95": 20, "p99": 100}
"""Each percentile with the samples a process must have for it; with fewer it would only name the slowest step."""

CEILING_WORKLOAD = "gemm"
"""The workload whose best FLOP/s in a run is the matmul ceiling of that run's machine."""

NO_CEILING = 1.05
"""A share above this says that the gemm which was beaten is no ceiling (too small a shape, say): it is left out."""

THROUGHPUT = {
    "tokens": ("tokens_per_s", "tokens/s"),
    "flops": ("flops_per_s", "FLOP/s"),
    "bytes": ("bytes_per_s", "B/s"),
}
"""The metric and the unit of each kind of work."""

RATES = [metric for metric, _ in THROUGHPUT.values()]
WORK_METRICS = frozenset({*RATES, *SHARES, "mfu_achievable"})
"""What follows from the work that a step is said to do."""

HIGHER_IS_BETTER = WORK_METRICS | frozenset(SERVING)
"""Of every other metric, less is better."""

METRICS = [
    *RATES,
    *SHARES,
    "mfu_achievable",
    *SERVING,
    *(f"{name}_{percentile}" for name in ("step_s", "itl_s", *LATENCIES) for percentile in PERCENTILES),
    "memory_peak_bytes",
    "compile_s",
    *ENERGY,
]
"""Every metric that a run can have."""

FEW_PROCESSES = 3
"""With fewer, an interval over processes says next to nothing."""

HIGH_VARIATION = 1.5
"""How much slower the slowest of a case's processes may be than the fastest."""

PRECISION = 0.01
"""The relative half-width that a run was after, where its plan does not say."""

SOURCED = ["source", "uncertainty", "grade"]
"""Columns that only some metrics fill."""

UNIT = ["case_id", "metric", "unit"]
COLUMNS = SCHEMAS["metrics"].names


def summarize(run: RunTables) -> pd.DataFrame:
    """The `metrics` table of a run: one row a case and metric, for cases with at least one measured process.

    `value` is the median over processes, `ci_low` and `ci_high` its 95 % interval (stats.median_interval), whose unit
    is the process; `n` counts processes. Of a single process, quantiles of many steps have an order-statistic interval.
    A case that nowhere came out ok has no metrics; its rows stay in `measurements`.
    """
    values = per_process(run)
    if values.empty:
        return pd.DataFrame(columns=COLUMNS)
    measured = run.measurements[run.measurements.outcome == "ok"]
    table = pd.DataFrame([_estimate(run, key, group) for key, group in values.groupby(UNIT, sort=False)])
    first = measured.drop_duplicates("case_id").set_index("case_id")
    judged = {case_id: validity(run, rows, values) for case_id, rows in measured.groupby("case_id")}
    table = table.assign(
        run_id=run.run_id,
        device_kind=run.runs.device_kind.iloc[0],
        workload=table.case_id.map(first.workload),
        validity=[judged[case_id][0] for case_id in table.case_id],
        reasons=[json.dumps(judged[case_id][1]) for case_id in table.case_id],
    )
    return table[COLUMNS]


def per_process(run: RunTables) -> pd.DataFrame:
    """One value a process: case_id, process, metric, unit, value, for every metric of processes that came out ok; with
    the source of a share of a peak (peak_metrics), and of energy also uncertainty and grade (energy_metrics). Of a test
    under load its requests have the latencies and the tokens/s (request_metrics)."""
    measured = run.measurements[run.measurements.outcome == "ok"]
    served = requests_of(run, PERCENTILES)
    values = pd.concat([_throughput(measured), _memory(measured), _latency(run)], ignore_index=True)
    if len(served):  # what the requests say comes before what steps and spans do
        values = pd.concat([values, served], ignore_index=True).drop_duplicates([*KEY, "metric"], keep="last")
    values = pd.concat([values, _share_of_ceiling(values, measured)], ignore_index=True)
    sourced = [table for table in (shares_of_peak(run), energy_of(run)) if not table.empty]
    values = pd.concat([values, *sourced], ignore_index=True)
    return values.reindex(columns=[*KEY, "metric", "unit", "value", *SOURCED])


def _estimate(run: RunTables, key: tuple[str, str, str], group: pd.DataFrame) -> dict[str, Any]:
    """The row of one case and metric."""
    case_id, metric, unit = key
    interval, method = stats.median_interval(group.value), "t_of_log_processes"
    if interval.n == 1 and metric.startswith("step_s_p"):
        steps = timed_samples(run)
        q = int(metric.removeprefix("step_s_p")) / 100
        own = steps[(steps.case_id == case_id) & (steps.process == group.process.iloc[0])].step_s
        interval = stats.quantile_interval(own, q, times=stats.SHOWS_ITSELF)
        method = "order_statistics_of_one_process"
    return {
        "case_id": case_id,
        "metric": metric,
        "unit": unit,
        "value": interval.value,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n": int(np.isfinite(group.value).sum()),
        "method": method,
        "source": ", ".join(group.source.dropna().unique()) or None,
        "uncertainty": group.uncertainty.max(),
        "grade": max(group.grade.dropna(), default=None),
    }


def spread(run: RunTables) -> pd.DataFrame:
    """How the steps of each case vary: case_id, lag1, effective_n (both the median over processes), within_cv,
    between_cv (of the processes' medians), outliers (by Tukey's fences, counted and not dropped)."""
    rows = []
    for case_id, steps in timed_samples(run).groupby("case_id", sort=False):
        processes = [group.step_s.to_numpy() for _, group in steps.groupby("process")]
        medians = [float(np.median(x)) for x in processes]
        rows.append(
            {
                "case_id": case_id,
                "lag1": _median([stats.lag1(x) for x in processes]),
                "effective_n": _median([stats.effective_n(x) for x in processes]),
                "within_cv": _median([stats.variation(x) for x in processes]),
                "between_cv": stats.variation(medians),
                "outliers": sum(stats.outliers(x) for x in processes),
            }
        )
    return pd.DataFrame(rows, columns=["case_id", "lag1", "effective_n", "within_cv", "between_cv", "outliers"])


def cases(run: RunTables) -> pd.DataFrame:
    """One row a case, in the order of the plan: case_id, workload, params (a dict), dtype, label, outcome, reason,
    processes (that came out ok) and planned (processes asked for).

    `outcome` is ok only where every stored process was; `missing` where none is stored (yet).
    """
    plan = json.loads(run.runs.plan.iloc[0])
    rows = []
    for planned in plan["cases"]:
        stored = run.measurements[run.measurements.case_id == planned["case_id"]].sort_values("process")
        bad = stored[stored.outcome != "ok"]
        rows.append(
            {
                **planned,
                "label": case_label(planned["workload"], planned["params"], planned["dtype"]),
                "outcome": "missing" if stored.empty else "ok" if bad.empty else bad.outcome.iloc[0],
                "reason": "" if bad.empty else bad.reason.iloc[0],
                "processes": len(stored) - len(bad),
                "planned": max(plan["policy"]["processes"], len(stored)),
            }
        )
    names = ["case_id", "workload", "params", "dtype", "label", "outcome", "reason", "processes", "planned"]
    return pd.DataFrame(rows, columns=names)


def span_times(run: RunTables) -> pd.DataFrame:
    """What a timed step spends in each span: case_id, name, seconds, in the order of the marks.

    All marks of one name in a step count together (decode has one a token). Median over steps, then over processes.
    What no mark covers comes last, as `(rest)`, where it is a thousandth of the step or more.
    """
    spans = timed_spans(run)
    if spans.empty:
        return pd.DataFrame(columns=["case_id", "name", "seconds"])
    step_key = [*KEY, "step"]
    sums = spans.groupby([*step_key, "name"], sort=False).span_s.sum().reset_index(name="seconds")
    steps = timed_samples(run)
    covered = sums.groupby(step_key).seconds.sum()
    rest = steps.set_index(step_key).step_s.reindex(covered.index) - covered
    sums = pd.concat([sums, rest.reset_index(name="seconds").assign(name="(rest)")])
    times = _median_of_processes(sums, ["case_id", "name"], "seconds")
    typical = steps.groupby("case_id").step_s.median()
    return times[(times.name != "(rest)") | (times.seconds >= times.case_id.map(typical) / 1000)].reset_index(drop=True)


def timed_samples(run: RunTables) -> pd.DataFrame:
    """The samples after warm-up, of processes that came out ok."""
    samples = run.samples[~run.samples.warmup.astype(bool)]
    return _of_measured(samples, run)


def timed_spans(run: RunTables) -> pd.DataFrame:
    """The spans of the steps after warm-up, of processes that came out ok."""
    first = run.measurements[[*KEY, "warmup_steps"]].rename(columns={"warmup_steps": "first"})
    spans = run.spans.merge(first, on=KEY)
    return _of_measured(spans[spans.step >= spans["first"]].drop(columns="first"), run)


def _of_measured(rows: pd.DataFrame, run: RunTables) -> pd.DataFrame:
    good = run.measurements[run.measurements.outcome == "ok"][KEY]
    return rows.merge(good, on=KEY)


def _throughput(measured: pd.DataFrame) -> pd.DataFrame:
    """Work over the window, (work of a step × steps) / window_s, for each process and kind of work declared."""
    return pd.concat(
        _rows(measured, metric, unit, measured[work].astype("float64") * measured.samples / measured.window_s)
        for work, (metric, unit) in THROUGHPUT.items()
    )


def _memory(measured: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(
        [
            _rows(measured, "memory_peak_bytes", "B", measured.memory_peak_bytes),
            _rows(measured, "compile_s", "s", measured.compile_s),
        ]
    )


def _latency(run: RunTables) -> pd.DataFrame:
    """Percentiles of the step; of generation also ttft_s, itl_s and tpot_s.

    ttft_s is the span `prefill`, itl_s one span `decode`, tpot_s = (latency − TTFT)/(output tokens − 1), which is the
    mean of a step's decode spans since prefill makes the first token.
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


def _percentiles(rows: pd.DataFrame, column: str, name: str, wanted: dict[str, int]) -> pd.DataFrame:
    """`wanted` percentiles of `column` within each process, as metrics `<name>_p50` and so on."""
    groups = rows.groupby(KEY, sort=False)[column]
    frames = []
    for percentile, least in wanted.items():
        values = groups.quantile(int(percentile[1:]) / 100)[groups.size() >= least].reset_index()
        frames.append(_rows(values, f"{name}_{percentile}", "s", values[column]))
    return pd.concat(frames)


def _rows(keyed: pd.DataFrame, metric: str, unit: str, value: pd.Series) -> pd.DataFrame:
    frame = keyed[KEY].assign(metric=metric, unit=unit, value=value.astype("float64"))
    return frame.dropna(subset="value")


def _share_of_ceiling(values: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """mfu_achievable: model FLOP/s over the best matmul FLOP/s that this run measured in the same dtype.

    The ceiling is that of the same round, the process of the same number, so that its noise is in the figures; where
    that round has none it is the median over rounds.
    """
    rates = values[values.metric == "flops_per_s"]
    first = measured.drop_duplicates("case_id").set_index("case_id")
    typical = rates.groupby("case_id").value.median()
    best: dict[str, str] = {}  # by dtype, the fastest matmul
    for case_id in typical[typical.index.map(first.workload) == CEILING_WORKLOAD].sort_values().index:
        best[first.dtype[case_id]] = case_id
    of_round = {(row.case_id, row.process): row.value for row in rates[rates.case_id.isin(best.values())].itertuples()}
    rows, shares = [], []
    for row in rates.itertuples():
        ceiling_case = best.get(first.dtype[row.case_id])
        if ceiling_case and typical[row.case_id] <= NO_CEILING * typical[ceiling_case]:
            rows.append(row.Index)
            shares.append(row.value / of_round.get((ceiling_case, row.process), typical[ceiling_case]))
    return rates.loc[rows].assign(metric="mfu_achievable", unit="1", value=shares)


def validity(run: RunTables, processes: pd.DataFrame, values: pd.DataFrame) -> tuple[str, list[str]]:
    """A case's validity and the codes of what speaks against it, from its measured processes and their values."""
    policy = json.loads(run.runs.plan.iloc[0])["policy"]
    notes = [note for row in processes.notes for note in json.loads(row)]
    codes = list(dict.fromkeys(note.partition(":")[0] for note in notes))
    own = values[values.case_id == processes.case_id.iloc[0]]
    rate = next((metric for metric in RATES if metric in set(own.metric)), "step_s_p50")
    intervals = [stats.median_interval(own[own.metric == metric].value) for metric in ("step_s_p50", rate)]
    if min(interval.n for interval in intervals) < FEW_PROCESSES:
        codes.append("few_processes")
    elif any(interval.relative_half_width > policy.get("precision", PRECISION) for interval in intervals):
        codes.append("not_converged")
    steps = own[own.metric == "step_s_p50"].value
    if steps.max() > HIGH_VARIATION * steps.min():
        codes.append("high_variation")
    return ("invalid" if INVALIDATING & set(codes) else "suspect" if codes else "valid"), codes


def _median(values: list[float]) -> float:
    """The median of the values that are known; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan


def _median_of_processes(rows: pd.DataFrame, key: list[str], column: str) -> pd.DataFrame:
    within = rows.groupby(["process", *key], sort=False)[column].median().reset_index()
    return within.groupby(key, sort=False)[column].median().reset_index()
