"""Read what MLPerf's load generator wrote of a test: its trace and its detailed log."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hwbench.records import Requests
from workloads.serving.server import Request, Server

TRACE, DETAIL = "mlperf_log_trace.json", "mlperf_log_detail.txt"

_TIMES = re.compile(
    rb'\{"name":"(?P<name>Sample|Token)",[^{]*"ph":"b",[^{]*"ts":(?P<us>\d+)\.(?P<ns>\d{3}),"args":\{'
    rb'"sample_seq":(?P<request>\d+),"query_seq":(?P<query>\d+),"sample_idx":(?P<prompt>\d+),'
    rb'"issue_start_ns":(?P<issued>\d+),"complete_ns":(?P<done>\d+)\}'
)
_SERVER_TOKEN = re.compile(
    rb'\{"name":"Token_Latency",[^{]*"ts":(?P<us>\d+)\.(?P<ns>\d{3}),"args":\{ ?'
    rb'"issue_delay":(?P<issued>\d+),"issue_to_done":(?P<done>\d+)\}'
)

_MISSED = {
    "result_perf_constraints_met": "the objective was missed",
    "result_min_duration_met": "the test was shorter than asked for",
    "result_min_queries_met": "there were fewer queries than asked for",
}
"""Why a test is not valid, by the key of the log that is then false."""


def read_detail(detail: bytes) -> dict[str, Any]:
    """Read the results in the generator's detailed log, by key."""
    results = {}
    for line in detail.splitlines():
        if line.startswith((b':::MLLOG {"key": "result_', b':::MLLOG {"key": "early_')):
            entry = json.loads(line.partition(b" ")[2])
            results[entry["key"]] = entry["value"]
    return results


def why_invalid(log: Mapping[str, Any]) -> str:
    """Say why a test is not valid, in our words and the generator's."""
    reasons = [words for key, words in _MISSED.items() if log.get(key) is False]
    if log.get("early_stopping_met") is False:
        results = [key for key in sorted(log) if key.startswith("early_") and "result" in key]
        advice = next((log[key] for key in results if log[key]), "")
        reasons.append(" ".join(str(advice).replace("*", "").split()).rstrip("."))
    return "; ".join(reasons)


def read_trace(
    trace: bytes, issued: Sequence[Request], batches: Mapping[int, int], server: Server
) -> Requests:
    """Read the requests of a test, in the order of their arrival, with the times of the trace.

    `batches` says with how many others a request was computed, by its number. The trace names the
    request in each of its entries, except for first tokens in the scenario server. There each query
    is one request, and the scheduled times tell which.
    """
    done: dict[int, re.Match[bytes]] = {}
    first: dict[int, re.Match[bytes]] = {}
    for entry in _TIMES.finditer(trace):
        (done if entry["name"] == b"Sample" else first)[int(entry["request"])] = entry
    numbers = sorted(done)
    rows = [done[number] for number in numbers]
    scheduled = [_start_ns(row) for row in rows]
    tokens = {number: int(entry["done"]) for number, entry in first.items()}
    if not tokens:
        by_start = dict(zip(scheduled, numbers, strict=True))
        for entry in _SERVER_TOKEN.finditer(trace):
            tokens[by_start[_start_ns(entry)]] = int(entry["issued"]) + int(entry["done"])
    assert [int(row["prompt"]) for row in rows] == [request.prompt for request in issued]
    return Requests(
        request=numbers,
        query=[int(row["query"]) for row in rows],
        scheduled_ns=scheduled,
        issued_ns=[start + int(row["issued"]) for start, row in zip(scheduled, rows, strict=True)],
        first_token_ns=[
            start + tokens[number] for start, number in zip(scheduled, numbers, strict=True)
        ],
        done_ns=[start + int(row["done"]) for start, row in zip(scheduled, rows, strict=True)],
        prompt_tokens=[server.prompts.shape[1]] * len(rows),
        new_tokens=[server.new] * len(rows),
        batch=[batches[number] for number in numbers],
    )


def _start_ns(entry: re.Match[bytes]) -> int:
    """Convert microseconds with three decimals to whole nanoseconds."""
    return int(entry["us"]) * 1000 + int(entry["ns"])
