"""MLPerf's load generator over a server in this process: it schedules requests and judges the test.

Every time is the generator's, on its own clock and from the scheduled arrival, and is read from its
logs: its figures of a request and ours cannot differ. So its trace is on, which MLPerf leaves off:
1 to 2 kB on disk for each request while the test runs. A process runs one test at a time, as the
generator keeps its state in globals. Source: github.com/mlcommons/inference, loadgen.
"""

import contextlib
import importlib
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
from workloads.serving.logs import DETAIL, TRACE, read_detail, read_trace, why_invalid
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
"""How many times as fast as expected a stream may be. The generator makes that many queries
beforehand."""

QUICKER_OFFLINE = 1.25
"""The same for `offline`, where all of them have to be answered. The generator's own factor of 1.1
comes on top."""


@dataclass(frozen=True)
class Load:
    """What a test is to be."""

    scenario: str
    rate: float  # requests/s: the target of `server`, the expected rate of other scenarios
    duration_s: float  # at least
    queries: int  # at least
    ttft_ms: float  # the objective
    tpot_ms: float
    seed: int  # of arrivals and of the choice of prompts


@dataclass(frozen=True)
class LoadTest:
    """The result of a test."""

    requests: Requests
    valid: bool  # whether the generator calls it VALID
    meets_objective: bool | None  # None where the scenario has no objective
    reason: str  # why it is not valid
    log: Mapping[str, Any] = field(repr=False, default_factory=dict)  # figures of its log, by key


def loadgen() -> ModuleType:
    """Import the generator's module. Unsupported, with the cure, where it is not installed."""
    try:
        return importlib.import_module("mlperf_loadgen")
    except ImportError as error:
        raise Unsupported(
            "MLPerf's load generator is missing: pip install 'hwbench[loadgen]'"
        ) from error


def run_test(load: Load, server: Server, mark: Mark = lambda name: None) -> LoadTest:
    """Run one whole test. The generator runs in its own thread; the server computes in this one.

    Errors of either are raised here. If the server fails, its generator keeps waiting, in a thread
    that ends with the process.
    """
    generator = _Generator(load, server)
    generator.start()
    server.serve(generator.first_token, generator.done, mark)
    return generator.result()


class _Generator:
    """The generator of one test, and what it has received."""

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
        """Report the first tokens of a group."""
        self._lg.FirstTokenComplete(self._responses(group, tokens=1))

    def done(self, group: Sequence[Request]) -> None:
        """Report the answers of a group."""
        self._batches.update({request.number: len(group) for request in group})
        self._lg.QuerySamplesComplete(self._responses(group, tokens=self._server.new))

    def result(self) -> LoadTest:
        """Read the logs, once the server has returned."""
        self._thread.join()
        with contextlib.ExitStack() as files:
            for file in self._logs.values():
                files.enter_context(file)
            if self._failure:
                raise self._failure
            trace, detail = (self._logs[name].read() for name in (TRACE, DETAIL))
        log = read_detail(detail)
        requests = read_trace(trace, self._issued, self._batches, self._server)
        valid, met = log["result_validity"] == "VALID", log.get("result_perf_constraints_met")
        return LoadTest(requests, valid, met, "" if valid else why_invalid(log), log)

    def _responses(self, group: Sequence[Request], tokens: int) -> list[Any]:
        return [self._lg.QuerySampleResponse(request.name, 0, 0, tokens) for request in group]

    def _run(self) -> None:
        lg, sut, qsl = self._lg, None, None
        try:
            count = len(self._server.prompts)
            sut = lg.ConstructSUT(self._issue, lambda: None)
            qsl = lg.ConstructQSL(count, count, self._open_logs, lambda names: None)
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

    def _open_logs(self, prompts: Sequence[int]) -> None:
        """Open the logs, which exist by now, and remove their folder: a killed test leaves none."""
        if not self._logs:
            self._logs = {name: (self._folder / name).open("rb") for name in (TRACE, DETAIL)}
            shutil.rmtree(self._folder, ignore_errors=True)

    def _settings(self) -> Any:
        lg, load = self._lg, self._load
        stream_ns = 1e9 / load.rate / QUICKER_STREAM
        multi_stream_ns = 1e9 * SAMPLES_PER_QUERY / load.rate / QUICKER_STREAM
        settings = lg.TestSettings()
        settings.scenario = getattr(lg.TestScenario, SCENARIOS[load.scenario])
        settings.mode = lg.TestMode.PerformanceOnly
        settings.min_duration_ms = round(load.duration_s * 1e3)
        settings.min_query_count = load.queries
        settings.server_target_qps = load.rate
        settings.offline_expected_qps = QUICKER_OFFLINE * load.rate
        settings.single_stream_expected_latency_ns = round(stream_ns)
        settings.multi_stream_expected_latency_ns = round(multi_stream_ns)
        settings.multi_stream_samples_per_query = SAMPLES_PER_QUERY
        settings.use_token_latencies = True
        settings.ttft_latency = round(load.ttft_ms * 1e6)
        settings.tpot_latency = round(load.tpot_ms * 1e6)
        settings.schedule_rng_seed = load.seed
        settings.sample_index_rng_seed = load.seed
        settings.qsl_rng_seed = load.seed
        return settings

    def _log_settings(self) -> Any:
        settings = self._lg.LogSettings()
        settings.log_output.outdir = str(self._folder)
        settings.log_output.copy_summary_to_stdout = False
        settings.enable_trace = True
        return settings
