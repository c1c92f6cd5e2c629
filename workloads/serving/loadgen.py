"""MLPerf's load generator over a server in this process: it decides when requests arrive, stamps
them, and judges.

Every time is taken by the generator, on its own clock and from the scheduled arrival, and read from
its logs: what it says of a request and what we say cannot differ. Its trace is therefore on, which
MLPerf leaves off: 1 to 2 kB on disk for each request while the test runs. A process takes one test
at a time: the generator keeps its state in globals. Source: github.com/mlcommons/inference,
loadgen.
"""

import contextlib
import importlib
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from hwbench.records import Requests, Unsupported
from hwbench.workload import Mark
from workloads.serving.server import Request, Server

SCENARIOS = {
    "single-stream": "SingleStream",
    "multi-stream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
}
"""MLPerf's scenarios, by our names for them."""

SAMPLES_PER_QUERY = 8
"""Requests that arrive together in multi-stream: MLPerf's number."""

QUICKER_STREAM = 10
"""How many times as fast as expected a stream may turn out: the generator makes so many queries
beforehand."""

QUICKER_OFFLINE = 1.25
"""The same of `offline`, where all of them have to be answered; its own factor of 1.1 comes on
top."""

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


@dataclass(frozen=True)
class Load:
    """What a test is to be: a scenario; the target rate of `server` in requests/s, of others the
    rate expected; how long and how many queries at least; the objective; the seed of arrivals and
    of the choice of prompts."""

    scenario: str
    rate: float
    duration_s: float
    queries: int
    ttft_ms: float
    tpot_ms: float
    seed: int


@dataclass(frozen=True)
class LoadTest:
    """What became of a test: its requests, whether the generator calls it VALID, whether the
    objective was met (None where the scenario has none), why it is not valid, and the figures of
    its log by their keys."""

    requests: Requests
    valid: bool
    meets_objective: bool | None
    reason: str
    log: Mapping[str, Any] = field(repr=False, default_factory=dict)


def loadgen() -> ModuleType:
    """The generator's module. Unsupported, with the cure, where it is not installed."""
    try:
        return importlib.import_module("mlperf_loadgen")
    except ImportError as error:
        raise Unsupported(
            "MLPerf's load generator is missing: pip install 'hwbench[loadgen]'"
        ) from error


def run_test(load: Load, server: Server, mark: Mark = lambda name: None) -> LoadTest:
    """One whole test. The generator runs in a thread of its own; the server computes in this one.

    Whatever goes wrong in either is raised here. A server that fails leaves its generator waiting,
    in a thread that ends with the process.
    """
    generator = _Generator(load, server)
    generator.start()
    server.serve(generator.first_token, generator.done, mark)
    return generator.result()


class _Generator:
    """The generator of one test, and what it has been told."""

    def __init__(self, load: Load, server: Server) -> None:
        self._lg, self._load, self._server = loadgen(), load, server
        self._batches: dict[int, int] = {}  # by request, how many were computed with it
        self._issued: list[Request] = []
        self._logs: dict[str, IO[bytes]] = {}
        self._failure: BaseException | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="hwbench-loadgen-"))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def first_token(self, group: Sequence[Request]) -> None:
        self._lg.FirstTokenComplete(
            [self._lg.QuerySampleResponse(request.name, 0, 0, 1) for request in group]
        )

    def done(self, group: Sequence[Request]) -> None:
        self._batches.update({request.number: len(group) for request in group})
        new = self._server.new
        self._lg.QuerySamplesComplete(
            [self._lg.QuerySampleResponse(r.name, 0, 0, new) for r in group]
        )

    def result(self) -> LoadTest:
        """What the logs say, once the server has returned."""
        self._thread.join()
        with contextlib.ExitStack() as files:
            for file in self._logs.values():
                files.enter_context(file)
            if self._failure:
                raise self._failure
            trace, detail = (self._logs[name].read() for name in (TRACE, DETAIL))
        log = read_detail(detail)
        requests = read_trace(trace, self._issued, self._batches, self._server)
        valid = log["result_validity"] == "VALID"
        return LoadTest(
            requests,
            valid,
            log.get("result_perf_constraints_met"),
            "" if valid else _reason(log),
            log,
        )

    def _run(self) -> None:
        lg, sut, qsl = self._lg, None, None
        try:
            count = len(self._server.prompts)
            sut = lg.ConstructSUT(self._issue, lambda: None)
            qsl = lg.ConstructQSL(count, count, self._take_logs, lambda names: None)
            lg.StartTestWithLogSettings(sut, qsl, self._settings(), self._log_settings(), "")
        except BaseException as error:  # noqa: BLE001 - it is raised where the test was asked for
            self._failure = error
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            if qsl is not None:
                lg.DestroyQSL(qsl)
            if sut is not None:
                lg.DestroySUT(sut)
            self._server.close()

    def _issue(self, samples: Sequence[Any]) -> None:
        first = len(self._issued)
        arrived = [Request(first + i, sample.id, sample.index) for i, sample in enumerate(samples)]
        self._issued += arrived
        self._server.put(arrived)

    def _take_logs(self, prompts: Sequence[int]) -> None:
        """Keep hold of the logs, which are open by now, and remove the folder: a test that is
        killed leaves nothing."""
        if not self._logs:
            self._logs = {name: (self._folder / name).open("rb") for name in (TRACE, DETAIL)}
            shutil.rmtree(self._folder, ignore_errors=True)

    def _settings(self) -> Any:
        lg, load = self._lg, self._load
        settings = lg.TestSettings()
        settings.scenario = getattr(lg.TestScenario, SCENARIOS[load.scenario])
        settings.mode = lg.TestMode.PerformanceOnly
        settings.min_duration_ms = round(load.duration_s * 1e3)
        settings.min_query_count = load.queries
        settings.server_target_qps = load.rate
        settings.offline_expected_qps = QUICKER_OFFLINE * load.rate
        settings.single_stream_expected_latency_ns = round(1e9 / load.rate / QUICKER_STREAM)
        settings.multi_stream_expected_latency_ns = round(
            1e9 * SAMPLES_PER_QUERY / load.rate / QUICKER_STREAM
        )
        settings.multi_stream_samples_per_query = SAMPLES_PER_QUERY
        settings.use_token_latencies = True
        settings.ttft_latency, settings.tpot_latency = (
            round(load.ttft_ms * 1e6),
            round(load.tpot_ms * 1e6),
        )
        settings.schedule_rng_seed = settings.sample_index_rng_seed = settings.qsl_rng_seed = (
            load.seed
        )
        return settings

    def _log_settings(self) -> Any:
        settings = self._lg.LogSettings()
        settings.log_output.outdir = str(self._folder)
        settings.log_output.copy_summary_to_stdout = False
        settings.enable_trace = True
        return settings


def read_detail(detail: bytes) -> dict[str, Any]:
    """The results in the generator's detailed log, by key."""
    found = {}
    for line in detail.splitlines():
        if line.startswith((b':::MLLOG {"key": "result_', b':::MLLOG {"key": "early_')):
            entry = json.loads(line.partition(b" ")[2])
            found[entry["key"]] = entry["value"]
    return found


def read_trace(
    trace: bytes, issued: Sequence[Request], batches: Mapping[int, int], server: Server
) -> Requests:
    """The requests of a test in the order of their arrival, with the times of the generator's
    trace.

    The trace names a request in all it says of it but its first token in the scenario server: there
    queries are single requests, and their scheduled times tell which is which.
    """
    done: dict[int, re.Match[bytes]] = {}
    first: dict[int, re.Match[bytes]] = {}
    for found in _TIMES.finditer(trace):
        (done if found["name"] == b"Sample" else first)[int(found["request"])] = found
    rows = [done[number] for number in sorted(done)]
    scheduled = [_ns(found) for found in rows]
    tokens = {number: int(found["done"]) for number, found in first.items()}
    if not tokens:
        names = dict(zip(scheduled, sorted(done), strict=True))
        tokens = {
            names[_ns(f)]: int(f["issued"]) + int(f["done"]) for f in _SERVER_TOKEN.finditer(trace)
        }
    assert [int(found["prompt"]) for found in rows] == [request.prompt for request in issued]
    return Requests(
        request=sorted(done),
        query=[int(found["query"]) for found in rows],
        scheduled_ns=scheduled,
        issued_ns=[at + int(found["issued"]) for at, found in zip(scheduled, rows, strict=True)],
        first_token_ns=[
            at + tokens[number] for at, number in zip(scheduled, sorted(done), strict=True)
        ],
        done_ns=[at + int(found["done"]) for at, found in zip(scheduled, rows, strict=True)],
        prompt_tokens=[server.prompts.shape[1]] * len(rows),
        new_tokens=[server.new] * len(rows),
        batch=[batches[number] for number in sorted(done)],
    )


def _ns(found: re.Match[bytes]) -> int:
    """Microseconds with three decimals as whole nanoseconds."""
    return int(found["us"]) * 1000 + int(found["ns"])


def _reason(log: Mapping[str, Any]) -> str:
    """Why a test is not valid, in the generator's words and ours."""
    words = []
    if log.get("result_perf_constraints_met") is False:
        words.append("the objective was missed")
    if log.get("result_min_duration_met") is False:
        words.append("the test was shorter than asked for")
    if log.get("result_min_queries_met") is False:
        words.append("there were fewer queries than asked for")
    if log.get("early_stopping_met") is False:
        told = next(
            (
                log[key]
                for key in sorted(log)
                if key.startswith("early_") and log[key] and "result" in key
            ),
            "",
        )
        words.append(" ".join(str(told).replace("*", "").split()).rstrip("."))
    return "; ".join(words)
