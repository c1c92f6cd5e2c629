"""Raw tables in, metrics out: what each case came to over its processes.

The process is the unit. Each figure is worked out within a process and the median over processes is reported, since
one process differs from the next by more than its own steps differ among themselves.
"""

import json

import pandas as pd

from hwbench.records import case_label
from hwbench.schema import SCHEMAS
from hwbench.store import KEY, RunTables

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

INVALIDATING = {"loss_not_finite"}
"""Notes after which a figure means nothing; any other makes it suspect. A note reads `code: what happened`."""

COLUMNS = SCHEMAS["metrics"].names


def summarize(run: RunTables) -> pd.DataFrame:
    """The `metrics` table of a run: one row a case and metric, for cases with at least one measured process.

    `n` counts processes. A case that nowhere came out ok has no metrics; its rows stay in `measurements`.
    """
    measured = run.measurements[run.measurements.outcome == "ok"]
    per_process = pd.concat([_throughput(measured), _memory(measured), _latency(run, measured)], ignore_index=True)
    if per_process.empty:
        return pd.DataFrame(columns=COLUMNS)
    groups = per_process.groupby(["case_id", "metric", "unit"], sort=False).value
    table = groups.agg(value="median", n="count").reset_index()
    table = pd.concat([table, _share_of_ceiling(table, measured)], ignore_index=True)
    first = measured.drop_duplicates("case_id").set_index("case_id")
    judged = {case_id: _validity(rows) for case_id, rows in measured.groupby("case_id")}
    table = table.assign(
        run_id=run.run_id,
        device_kind=run.runs.device_kind.iloc[0],
        workload=table.case_id.map(first.workload),
        ci_low=float("nan"),
        ci_high=float("nan"),
        method="median_of_processes",
        validity=[judged[case_id][0] for case_id in table.case_id],
        reasons=[json.dumps(judged[case_id][1]) for case_id in table.case_id],
    )
    return table[COLUMNS]


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
                "planned": plan["policy"]["processes"],
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
        _rows(measured.case_id, metric, unit, measured[work].astype("float64") * measured.samples / measured.window_s)
        for work, (metric, unit) in THROUGHPUT.items()
    )


def _memory(measured: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(
        [
            _rows(measured.case_id, "memory_peak_bytes", "B", measured.memory_peak_bytes),
            _rows(measured.case_id, "compile_s", "s", measured.compile_s),
        ]
    )


def _latency(run: RunTables, measured: pd.DataFrame) -> pd.DataFrame:
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
        frames.append(_rows(values.case_id, f"{name}_{percentile}", "s", values[column]))
    return pd.concat(frames)


def _rows(case_id: pd.Series, metric: str, unit: str, value: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame({"case_id": case_id, "metric": metric, "unit": unit, "value": value.astype("float64")})
    return frame.dropna(subset="value")


def _share_of_ceiling(table: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """mfu_achievable: model FLOP/s over the best matmul FLOP/s that this run measured in the same dtype."""
    first = measured.drop_duplicates("case_id").set_index("case_id")
    rates = table[table.metric == "flops_per_s"]
    dtype, workload = rates.case_id.map(first.dtype), rates.case_id.map(first.workload)
    ceiling = rates[workload == CEILING_WORKLOAD].groupby(dtype).value.max()
    share = rates.value / pd.Series([ceiling.get(name) for name in dtype], rates.index, dtype="float64")
    share = share.where(share <= NO_CEILING)
    return rates.assign(metric="mfu_achievable", unit="1", value=share).dropna(subset="value")


def _validity(processes: pd.DataFrame) -> tuple[str, list[str]]:
    """A case's validity and the codes of what speaks against it, from the rows of its measured processes."""
    notes = [note for row in processes.notes for note in json.loads(row)]
    codes = list(dict.fromkeys(note.partition(":")[0] for note in notes))
    if not processes.converged.astype(bool).all():
        codes.append("not_converged")
    return ("invalid" if INVALIDATING & set(codes) else "suspect" if codes else "valid"), codes


def _median_of_processes(rows: pd.DataFrame, key: list[str], column: str) -> pd.DataFrame:
    within = rows.groupby(["process", *key], sort=False)[column].median().reset_index()
    return within.groupby(key, sort=False)[column].median().reset_index()
