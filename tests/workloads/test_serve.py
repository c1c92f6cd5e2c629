"""Inference under load: the server, the search for a rate, and the load generator over a model of
known slowness."""

import importlib.util
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
    if group[0].name > 1000:  # no number of a warm-up, but the generator's name of a request
        raise ValueError("broken")
    answer(server, group, first_token, done)


Server.answer = broken
"""


class Slow:
    """A model that takes `seconds` for a prompt or a token, whatever the batch, and notes what it
    was asked for."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.asked = []
        self.before = lambda: None

    def new_cache(self, batch, length):
        return [(torch.zeros(batch, 1, length, 1), torch.zeros(batch, 1, length, 1))]

    def prefill(self, tokens, cache):
        self.before()
        self.asked.append(("prefill", tuple(tokens.shape), cache[0][0].shape[0]))
        return self._token(len(tokens))

    def decode(self, token, position, cache):
        self.asked.append(("decode", tuple(token.shape), position.item()))
        return self._token(len(token))

    def _token(self, batch):
        time.sleep(self.seconds)
        return torch.zeros(batch, 1, dtype=torch.int64)


def server_of(model=None, batch=8):
    return Server(model or Slow(), torch.zeros(64, PROMPT, dtype=torch.int64), NEW, batch)


def load_of(scenario="single-stream", **changes):
    return replace(Load(scenario, 200.0, 0.2, 1, ttft_ms=1000, tpot_ms=10_000, seed=7), **changes)


def nano(scenario, **given):
    """A case of a second with the smallest model."""
    axes = {key: axis.defaults[0] for key, axis in SERVE.axes.items() if key != "dtype"}
    axes |= {"scenario": scenario, "size": "nano", "prompt": 8, "new": 4, "duration_s": 1}
    return Case("gpt/serve", axes | given, "fp32")


def requests(*numbers):
    return [Request(number, 1000 + number, number % 64) for number in numbers]


class TestServer:
    def served(self, arrivals, batch):
        server, groups, marks = server_of(batch=batch), [], []
        for together in arrivals:
            server.put(requests(*together))
        server.close()
        server.serve(
            lambda group: None, lambda group: groups.append([r.number for r in group]), marks.append
        )
        return groups, marks

    def test_who_waits_is_served_together_in_the_order_of_arrival(self):
        groups, marks = self.served([[0], [1, 2], [3]], batch=8)
        assert groups == [[0, 1, 2, 3]]
        assert marks == ["wait", "serve"]

    def test_a_batch_has_its_size_and_the_rest_comes_next(self):
        assert self.served([range(7)], batch=3)[0] == [[0, 1, 2], [3, 4, 5], [6]]

    def test_who_comes_while_a_batch_is_computed_goes_into_the_next(self):
        model = Slow()
        server, groups = server_of(model), []
        late = iter([lambda: server.put(requests(1, 2)), server.close])
        model.before = lambda: next(late)()
        server.put(requests(0))
        server.serve(
            lambda group: None,
            lambda group: groups.append([r.number for r in group]),
            lambda name: None,
        )
        assert groups == [[0], [1, 2]]

    def test_a_server_serves_again_after_it_was_closed(self):
        server, done = server_of(), []
        for number in (0, 1):
            server.put(requests(number))
            server.close()
            server.serve(lambda group: None, done.extend, lambda name: None)
        assert [request.number for request in done] == [0, 1]

    def test_an_answer_is_a_prefill_and_a_decode_for_each_further_token(self):
        model, told = Slow(), []
        server_of(model, batch=4).answer(
            requests(5, 6),
            lambda group: told.append(len(model.asked)),
            lambda group: told.append(len(model.asked)),
        )
        decodes = [("decode", (2, 1), PROMPT + i) for i in range(NEW - 1)]
        assert model.asked == [("prefill", (2, PROMPT), 2), *decodes]
        assert told == [1, NEW]  # the first token is told of as it is there, not with the last


class TestSearch:
    @pytest.mark.parametrize("start", [0.01, 1.0, 7.29, 7.3, 7.4, 500.0])
    def test_the_largest_rate_is_found_from_below(self, start):
        asked = []
        found = largest_rate(lambda rate: asked.append(rate) or rate <= 7.3, start)
        assert 7.3 / PRECISION <= found.rate <= 7.3
        assert found.tests == len(asked) <= 16

    def test_where_none_is_met_there_is_none(self):
        assert largest_rate(lambda rate: False, 1.0).rate is None

    def test_where_nothing_fails_the_largest_tried_is_taken(self):
        assert largest_rate(lambda rate: True, 1.0).rate == 2.0**12


class TestBuild:
    def build(self, scenario="single-stream", **given):
        case = nano(scenario, **given)
        return SERVE.build(params_of(case.params, case.dtype), open_device("cpu"))

    @pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
    def test_a_rate_that_is_none_is_refused(self, text):
        with pytest.raises(UserError, match=f"rate={text}: expected a number above 0, max"):
            SERVE.axes["rate"].parse("rate", text)

    def test_rates(self):
        assert [SERVE.axes["rate"].parse("rate", text) for text in ("0.5", "4", "max", "none")] == [
            0.5,
            4,
            "max",
            None,
        ]

    def test_without_loadgen_the_cure_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
        with pytest.raises(Unsupported, match=r"pip install 'hwbench\[loadgen\]'"):
            self.build()

    @needs_loadgen
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"scenario": "server"}, "scenario server needs a rate"),
            ({"scenario": "offline", "rate": 4.0}, "a rate is for scenario server; in offline"),
            ({"prompt": 2000}, "positions"),
        ],
    )
    def test_what_cannot_be_is_refused(self, given, says):
        with pytest.raises(Unsupported, match=says):
            self.build(**given)

    @needs_loadgen
    def test_the_largest_rate_is_searched_and_then_tested(self, monkeypatch):
        rates = []

        def fake_test(load, server, mark=None):
            rates.append(load.rate)
            return LoadTest(Requests([0]), load.rate <= 7.3, load.rate <= 7.3, "too much")

        monkeypatch.setattr(serve, "run_test", fake_test)
        built = self.build(scenario="server", rate="max")
        searched = len(rates)
        found = float(built.declared.choices["max_rate_requests_per_s"])
        assert 7.3 / PRECISION <= found <= 7.3
        assert built.declared.choices["search_tests"] == str(searched)
        built.step(lambda name: None)
        assert rates[searched:] == [found]
        assert built.served().notes == []

    @needs_loadgen
    def test_an_objective_that_no_rate_meets_is_an_answer(self, monkeypatch):
        monkeypatch.setattr(serve, "run_test", lambda *_: LoadTest(Requests(), False, False, ""))
        with pytest.raises(
            Unsupported, match="no rate meets the objective, as 13 tests have shown"
        ):
            self.build(scenario="server", rate="max")


@needs_loadgen
class TestLoadgen:
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_our_percentiles_are_its_own_to_the_nanosecond(self, scenario):
        """From what the table stores to what the log says, for every percentile that the log
        has."""
        test = run_test(load_of(scenario), server_of(Slow(0.0005)))
        times = times_ns(pd.DataFrame(vars(test.requests)))
        keys = {
            "latency_s": "result_{}_percentile_latency_ns",
            "query_latency_s": "result_{}_percentile_per_query_latency_ns",
            "ttft_s": "result_first_token_{}_percentile_latency_ns",
            "tpot_s": "result_time_per_output_token_{}_percentile_ns",
        }
        compared = {
            (name, share): (
                percentile_ns(times[name], share / 100),
                test.log[key.format(f"{share:.2f}")],
            )
            for name, key in keys.items()
            for share in (50, 90, 95, 97, 99, 99.9)
            if key.format(f"{share:.2f}") in test.log
        }
        assert (
            len(compared)
            == {"single-stream": 18, "server": 18, "multi-stream": 24, "offline": 6}[scenario]
        )
        assert {key: ours for key, (ours, _) in compared.items()} == {
            key: its for key, (_, its) in compared.items()
        }

    @pytest.mark.parametrize(
        ("scenario", "batch", "together"),
        [
            ("single-stream", 8, {1}),
            ("multi-stream", 8, {8}),
            ("multi-stream", 3, {3, 2}),
            ("offline", 8, {8, 1}),
        ],
    )
    def test_scenarios_make_the_batches_that_they_should(self, scenario, batch, together):
        found = run_test(load_of(scenario, rate=96.36, queries=8), server_of(batch=batch)).requests
        assert set(found.batch) <= together | (
            {len(found.batch) % batch} if scenario == "offline" else set()
        )
        assert found.request == list(range(len(found.request)))
        assert set(found.prompt_tokens) == {PROMPT}
        assert set(found.new_tokens) == {NEW}
        queries = pd.Series(found.query).value_counts()
        assert set(queries) == {"multi-stream": {8}, "single-stream": {1}}.get(
            scenario, {len(found.query)}
        )

    def test_an_overloaded_server_cannot_hide_its_queue(self):
        """Twice the rate that it can do. Of requests served one by one for 3 ms each, the k-th
        cannot be done before 3(k + 1) ms after the first came, though each is answered as fast as
        ever once its turn has come."""
        service_s = 0.003
        test = run_test(
            load_of("server", rate=2 / service_s), server_of(Slow(service_s / NEW), batch=1)
        )
        latencies = times_ns(pd.DataFrame(vars(test.requests)))["latency_s"]
        for k, (scheduled, latency) in enumerate(
            zip(test.requests.scheduled_ns, latencies, strict=True)
        ):
            assert latency >= service_s * 1e9 * (k + 1) - (
                scheduled - test.requests.scheduled_ns[0]
            )
        assert len(latencies) > 50

    @pytest.mark.parametrize(("ttft_ms", "met"), [(10_000, True), (1, False)])
    def test_the_objective_is_its_own_verdict(self, ttft_ms, met):
        test = run_test(load_of("server", rate=50.0, ttft_ms=ttft_ms), server_of(Slow(0.002)))
        assert test.meets_objective is met
        assert not test.valid
        assert ("the objective was missed" in test.reason) is not met

    def test_a_test_with_enough_queries_is_valid_and_a_short_one_says_what_it_lacks(self):
        assert run_test(load_of(queries=64, duration_s=0.05, rate=20_000.0), server_of()).valid
        short = run_test(load_of(duration_s=0.05), server_of(Slow(0.01)))
        assert not short.valid
        assert "Need to process at least 64 queries" in short.reason

    def test_arrivals_are_those_of_the_seed(self):
        def arrivals(seed):
            found = run_test(
                load_of("server", duration_s=0.1, seed=seed), server_of()
            ).requests.scheduled_ns
            return [at - found[0] for at in found]

        assert arrivals(7) == arrivals(7) != arrivals(8)

    def test_nothing_is_left_behind_not_even_by_a_test_that_is_killed(self, tmp_path, monkeypatch):
        """The folder of its logs is gone before the first request is answered."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        model, seen = Slow(), []
        model.before = lambda: seen.append(list(tmp_path.iterdir()))
        threads = threading.active_count()
        run_test(load_of(duration_s=0.02), server_of(model))
        assert seen
        assert not any(seen)
        assert not list(tmp_path.iterdir())
        assert threading.active_count() == threads

    def test_a_generator_that_fails_is_an_error_and_no_hang(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setitem(SCENARIOS, "offline", "NoSuch")
        with pytest.raises(AttributeError, match="NoSuch"):
            run_test(load_of("offline"), server_of())
        assert not list(tmp_path.iterdir())

    def test_a_server_that_fails_in_mid_test_is_an_error_and_no_hang(self, tmp_path):
        """In a process of its own, as always: the generator, which still waits for its answer, ends
        with it."""
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

    def test_a_whole_case(self):
        """Through the worker: one step, nothing before it, its requests beside it, and its verdict
        as a note."""
        phases = []
        done = measure_case(CaseRequest(nano("multi-stream"), Policy(), "cpu"), phases.append)
        assert (done.outcome, done.reason) == ("ok", "")
        assert (done.window.warmup_steps, done.window.timed_steps) == (0, 1)
        assert phases == ["build", "measure"]
        assert (
            len(done.requests.request) % loadgen.SAMPLES_PER_QUERY == 0 < len(done.requests.request)
        )
        assert set(done.window.spans.name) == {"wait", "serve"}
        assert [note.partition(":")[0] for note in done.notes if "loadgen" in note] in (
            [],
            ["loadgen_invalid"],
        )
        assert type(done).from_json(done.as_json()) == done
