"""Inference under load: the server, the search for a rate, and the load generator.

The model answers in a known time.
"""

import importlib.util
import itertools
import sys
import tempfile
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch

from hwbench.analysis.metrics.requests import percentile_ns, times_ns
from hwbench.devices import open_device
from hwbench.discovery import discover
from hwbench.recording.launch.exchange import run_process
from hwbench.recording.measure_case import CaseRequest, measure_case
from hwbench.records import Case, Policy, Requests, Unsupported, UserError
from hwbench.workload import params_of
from workloads import serve
from workloads.serving import loadgen
from workloads.serving.loadgen import SCENARIOS, Load, LoadTest, run_test
from workloads.serving.search import PRECISION, largest_rate
from workloads.serving.server import Request, Server

pytestmark = pytest.mark.usefixtures("one_thread")

needs_loadgen = pytest.mark.skipif(
    importlib.util.find_spec("mlperf_loadgen") is None,
    reason="mlcommons-loadgen is not installed: the extra [loadgen]",
)

SERVE = discover()["gpt/serve"]
PROMPT, NEW = 4, 3

BROKEN = """
from workloads.serve import Server, gpt_serve

answer = Server.answer


def broken(server, group, first_token, done):
    if group[0].name > 1000:  # a request of the generator, not of a warm-up
        raise ValueError("broken")
    answer(server, group, first_token, done)


Server.answer = broken
"""


class Slow:
    """A model that takes `seconds` for a prompt or a token, whatever the batch, and notes its
    calls."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.calls = []
        self.before = lambda: None

    def new_cache(self, batch, length):
        return [(torch.zeros(batch, 1, length, 1), torch.zeros(batch, 1, length, 1))]

    def prefill(self, tokens, cache):
        self.before()
        self.calls.append(("prefill", tuple(tokens.shape), cache[0][0].shape[0]))
        return self._token(len(tokens))

    def decode(self, token, position, cache):
        self.calls.append(("decode", tuple(token.shape), position.item()))
        return self._token(len(token))

    def _token(self, batch):
        time.sleep(self.seconds)
        return torch.zeros(batch, 1, dtype=torch.int64)


def server_of(model=None, batch=8):
    return Server(model or Slow(), torch.zeros(64, PROMPT, dtype=torch.int64), NEW, batch)


def load_of(scenario="single-stream", **changes):
    return replace(Load(scenario, 200.0, 0.2, 1, ttft_ms=1000, tpot_ms=10_000, seed=7), **changes)


def nano(scenario, **given):
    """Make a case of one second with the smallest model."""
    axes = {key: axis.defaults[0] for key, axis in SERVE.axes.items() if key != "dtype"}
    axes |= {"scenario": scenario, "size": "nano", "prompt": 8, "new": 4, "duration_s": 1}
    return Case("gpt/serve", axes | given, "fp32")


def requests(*numbers):
    return [Request(number, 1000 + number, number % 64) for number in numbers]


class TestServer:
    def serve(self, arrivals, batch):
        """Serve groups of requests, and return the batches they made and the marks."""
        server, groups, marks = server_of(batch=batch), [], []
        for together in arrivals:
            server.put(requests(*together))
        server.close()

        def note(group):
            groups.append([request.number for request in group])

        server.serve(lambda group: None, note, marks.append)
        return groups, marks

    def test_waiting_requests_are_served_together_in_order_of_arrival(self):
        groups, marks = self.serve([[0], [1, 2], [3]], batch=8)
        assert groups == [[0, 1, 2, 3]]
        assert marks == ["wait", "serve"]

    def test_requests_beyond_a_batch_go_into_the_next(self):
        assert self.serve([range(7)], batch=3)[0] == [[0, 1, 2], [3, 4, 5], [6]]

    def test_request_during_a_batch_goes_into_the_next(self):
        model = Slow()
        server, groups = server_of(model), []
        late = iter([lambda: server.put(requests(1, 2)), server.close])
        model.before = lambda: next(late)()
        server.put(requests(0))

        def note(group):
            groups.append([request.number for request in group])

        server.serve(lambda group: None, note, lambda name: None)
        assert groups == [[0], [1, 2]]

    def test_closed_server_serves_again(self):
        server, done = server_of(), []
        for number in (0, 1):
            server.put(requests(number))
            server.close()
            server.serve(lambda group: None, done.extend, lambda name: None)
        assert [request.number for request in done] == [0, 1]

    def test_answer_is_one_prefill_and_a_decode_per_further_token(self):
        model, reported = Slow(), []

        def note(group):
            reported.append(len(model.calls))

        server_of(model, batch=4).answer(requests(5, 6), note, note)
        decodes = [("decode", (2, 1), PROMPT + i) for i in range(NEW - 1)]
        assert model.calls == [("prefill", (2, PROMPT), 2), *decodes]
        assert reported == [1, NEW]  # the first token as soon as it is there, not with the last


class TestSearch:
    @pytest.mark.parametrize("start", [0.01, 1.0, 7.29, 7.3, 7.4, 500.0])
    def test_search_ends_just_below_the_largest_rate(self, start):
        tried = []
        largest = largest_rate(lambda rate: tried.append(rate) or rate <= 7.3, start)
        assert 7.3 / PRECISION <= largest.rate <= 7.3
        assert largest.tests == len(tried) <= 16

    def test_search_finds_no_rate_if_none_meets_the_objective(self):
        assert largest_rate(lambda rate: False, 1.0).rate is None

    def test_search_takes_the_last_rate_if_none_fails(self):
        assert largest_rate(lambda rate: True, 1.0).rate == 2.0**12


class TestBuild:
    def build(self, scenario="single-stream", **given):
        case = nano(scenario, **given)
        return SERVE.build(params_of(case.params, case.dtype), open_device("cpu"))

    @pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
    def test_rate_must_be_a_number_above_0_or_max(self, text):
        with pytest.raises(UserError, match=f"rate={text}: expected a number above 0, max"):
            SERVE.axes["rate"].parse("rate", text)

    def test_rate_takes_numbers_max_and_none(self):
        words = {"0.5": 0.5, "4": 4, "max": "max", "none": None}
        assert {text: SERVE.axes["rate"].parse("rate", text) for text in words} == words

    def test_missing_loadgen_is_unsupported_with_the_cure(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
        with pytest.raises(Unsupported, match=r"pip install 'hwbench\[loadgen\]'"):
            self.build()

    @needs_loadgen
    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"scenario": "server"}, "scenario server needs a rate"),
            ({"scenario": "offline", "rate": 4.0}, "a rate is for scenario server; in offline"),
            ({"prompt": 2000}, "positions"),
        ],
    )
    def test_rate_that_does_not_suit_the_scenario_is_unsupported(self, given, reason):
        with pytest.raises(Unsupported, match=reason):
            self.build(**given)

    @needs_loadgen
    def test_rate_max_is_searched_in_the_build_and_tested_in_the_step(self, monkeypatch):
        rates = []

        def fake_test(load, server, mark=None):
            rates.append(load.rate)
            return LoadTest(Requests([0]), load.rate <= 7.3, load.rate <= 7.3, "too much")

        monkeypatch.setattr(serve, "run_test", fake_test)
        built = self.build(scenario="server", rate="max")
        searched = len(rates)
        largest = float(built.declared.choices["max_rate_requests_per_s"])
        assert 7.3 / PRECISION <= largest <= 7.3
        assert built.declared.choices["search_tests"] == str(searched)
        built.step(lambda name: None)
        assert rates[searched:] == [largest]
        assert built.served().notes == []

    @needs_loadgen
    def test_objective_that_no_rate_meets_is_unsupported(self, monkeypatch):
        monkeypatch.setattr(serve, "run_test", lambda *_: LoadTest(Requests(), False, False, ""))
        with pytest.raises(
            Unsupported, match="no rate meets the objective, as 13 tests have shown"
        ):
            self.build(scenario="server", rate="max")


@needs_loadgen
class TestLoadgen:
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_percentiles_equal_loadgens_to_the_nanosecond(self, scenario):
        """From the stored requests, for every percentile that the generator's log has."""
        test = run_test(load_of(scenario), server_of(Slow(0.0005)))
        times = times_ns(pd.DataFrame(vars(test.requests)))
        keys = {
            "latency_s": "result_{}_percentile_latency_ns",
            "query_latency_s": "result_{}_percentile_per_query_latency_ns",
            "ttft_s": "result_first_token_{}_percentile_latency_ns",
            "tpot_s": "result_time_per_output_token_{}_percentile_ns",
        }
        ours, loadgens = {}, {}
        for name, share in itertools.product(keys, (50, 90, 95, 97, 99, 99.9)):
            key = keys[name].format(f"{share:.2f}")
            if key in test.log:
                ours[key] = percentile_ns(times[name], share / 100)
                loadgens[key] = test.log[key]
        assert ours == loadgens
        counts = {"single-stream": 18, "server": 18, "multi-stream": 24, "offline": 6}
        assert len(ours) == counts[scenario]

    @pytest.mark.parametrize(
        ("scenario", "batch", "together"),
        [
            ("single-stream", 8, {1}),
            ("multi-stream", 8, {8}),
            ("multi-stream", 3, {3, 2}),
            ("offline", 8, {8, 1}),
        ],
    )
    def test_scenario_decides_the_batches(self, scenario, batch, together):
        load = load_of(scenario, rate=96.36, queries=8)
        served = run_test(load, server_of(batch=batch)).requests
        last = {len(served.batch) % batch} if scenario == "offline" else set()
        assert set(served.batch) <= together | last
        assert served.request == list(range(len(served.request)))
        assert set(served.prompt_tokens) == {PROMPT}
        assert set(served.new_tokens) == {NEW}
        queries = pd.Series(served.query).value_counts()
        per_query = {"multi-stream": 8, "single-stream": 1, "offline": len(served.query)}
        assert set(queries) == {per_query[scenario]}

    def test_latency_includes_the_queue_of_an_overloaded_server(self):
        """At twice the rate that it can serve.

        Requests are served one by one, 3 ms each. The k-th cannot be done before 3(k + 1) ms after
        the first arrived, though each is answered as fast as ever once its turn has come.
        """
        service_ns = 3_000_000
        slow = Slow(service_ns / 1e9 / NEW)
        test = run_test(load_of("server", rate=2e9 / service_ns), server_of(slow, batch=1))
        latencies = times_ns(pd.DataFrame(vars(test.requests)))["latency_s"]
        first, *_ = starts = test.requests.scheduled_ns
        for k, (start, latency) in enumerate(zip(starts, latencies, strict=True)):
            assert latency >= service_ns * (k + 1) - (start - first)
        assert len(latencies) > 50

    @pytest.mark.parametrize(("ttft_ms", "met"), [(10_000, True), (1, False)])
    def test_missed_objective_makes_the_test_invalid(self, ttft_ms, met):
        test = run_test(load_of("server", rate=50.0, ttft_ms=ttft_ms), server_of(Slow(0.002)))
        assert test.meets_objective is met
        assert not test.valid
        assert ("the objective was missed" in test.reason) is not met

    def test_short_test_is_invalid_and_says_what_it_lacks(self):
        assert run_test(load_of(queries=64, duration_s=0.05, rate=20_000.0), server_of()).valid
        short = run_test(load_of(duration_s=0.05), server_of(Slow(0.01)))
        assert not short.valid
        assert "Need to process at least 64 queries" in short.reason

    def test_seed_decides_arrivals(self):
        def arrivals(seed):
            test = run_test(load_of("server", duration_s=0.1, seed=seed), server_of())
            starts = test.requests.scheduled_ns
            return [start - starts[0] for start in starts]

        assert arrivals(7) == arrivals(7) != arrivals(8)

    def test_log_folder_is_removed_before_the_first_answer(self, tmp_path, monkeypatch):
        """So a killed test leaves nothing behind."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        model, seen = Slow(), []
        model.before = lambda: seen.append(list(tmp_path.iterdir()))
        threads = threading.active_count()
        run_test(load_of(duration_s=0.02), server_of(model))
        assert seen
        assert not any(seen)
        assert not list(tmp_path.iterdir())
        assert threading.active_count() == threads

    def test_failing_generator_raises_without_hanging(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setitem(SCENARIOS, "offline", "NoSuch")
        with pytest.raises(AttributeError, match="NoSuch"):
            run_test(load_of("offline"), server_of())
        assert not list(tmp_path.iterdir())

    def test_server_failing_mid_test_raises_without_hanging(self, tmp_path):
        """In a process of its own, as always: the waiting generator ends with it."""
        file = tmp_path / "broken.py"
        file.write_text(BROKEN)
        request = {
            "case": vars(nano("server", rate=20.0)),
            "policy": {},
            "device": "cpu",
            "files": [str(file)],
        }
        done = run_process(request, 120, tmp_path / "log", lambda phase: None)
        assert (done.outcome, done.reason) == ("error", "ValueError: broken")

    def test_worker_measures_one_test_as_one_step(self):
        """Without warm-up; the requests are stored, and the verdict is a note."""
        phases = []
        done = measure_case(CaseRequest(nano("multi-stream"), Policy(), "cpu"), phases.append)
        assert (done.outcome, done.reason) == ("ok", "")
        assert (done.window.warmup_steps, done.window.timed_steps) == (0, 1)
        assert phases == ["build", "measure"]
        assert done.requests.request
        assert len(done.requests.request) % loadgen.SAMPLES_PER_QUERY == 0
        assert set(done.window.spans.name) == {"wait", "serve"}
        codes = [note.partition(":")[0] for note in done.notes if "loadgen" in note]
        assert codes in ([], ["loadgen_invalid"])
        assert type(done).from_json(done.as_json()) == done
