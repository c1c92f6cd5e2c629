"""Inference under load: requests arrive as MLPerf's scenarios have it, and each is timed from its
scheduled arrival."""

import random
import time
from collections.abc import Callable
from typing import Any

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Served, Unsupported
from hwbench.workload import Built, Mark, axis, workload
from workloads.fitting import sequence_within
from workloads.gpt import INFERENCE_DTYPE, LAYERS, SIZE, inference_config, inference_model
from workloads.models.sizes import positions_of
from workloads.serving.loadgen import (
    SAMPLES_PER_QUERY,
    SCENARIOS,
    Load,
    LoadTest,
    loadgen,
    run_test,
)
from workloads.serving.search import largest_rate
from workloads.serving.server import Request, Server
from workloads.tensors import random_tokens

PROMPTS = 64
"""How many prompts there are to choose from; to a model without a cache of prompts they are all
alike."""

WARMUPS = 3
"""How many batches are computed before a test."""

SEARCH = "max"
"""The rate that stands for the largest one that meets the objective."""


@workload(
    "gpt/serve",
    fit=sequence_within(positions_of, "prompt", "new"),
    scenario=axis("single-stream", choices=tuple(SCENARIOS)),
    rate=axis(None, kind=float, choices=(SEARCH,), above=0),
    size=SIZE,
    batch=axis(8),
    prompt=axis(128),
    new=axis(32, minimum=2),
    layers=LAYERS,
    ttft_ms=axis(2000),
    tpot_ms=axis(200),
    duration_s=axis(10, maximum=86400),
    queries=axis(1),
    dtype=INFERENCE_DTYPE,
)
def gpt_serve(p: Any, device: TorchDevice) -> Built:
    """Answer requests as they arrive, up to `batch` at once: the step is one test of MLPerf's load
    generator.

    The scenario `server` has Poisson arrivals at `rate` requests/s; `rate=max` first searches, as
    it is built, for the largest rate whose 99th percentiles of TTFT and TPOT are within `ttft_ms`
    and `tpot_ms` (the defaults are MLPerf's for Llama 2 70B), and the step is then a test at that
    rate. A search sees a queue that grows only if it outgrows `ttft_ms` within `duration_s`: make
    that many times as long. MLPerf's own tests last 600 s.
    """
    loadgen()
    _require_rate(p.scenario, p.rate)
    length = p.prompt + p.new
    config, _ = inference_config(p, device, length, cached=length, read=p.prompt)
    model = inference_model(p, device, config)
    server = Server(
        model, random_tokens(model.config.vocab, (PROMPTS, p.prompt), device), p.new, p.batch
    )
    seed = random.getrandbits(32)
    expected = _expected_rate(server, p.scenario)

    def load(rate: float) -> Load:
        return Load(p.scenario, rate, p.duration_s, p.queries, p.ttft_ms, p.tpot_ms, seed)

    rate: float = expected if p.rate is None else p.rate
    choices: dict[str, str] = {}
    if p.rate == SEARCH:
        rate, choices = _searched(
            lambda rate: bool(run_test(load(rate), server).meets_objective), expected
        )
    tests: list[LoadTest] = []

    def step(mark: Mark) -> None:
        tests.append(run_test(load(rate), server, mark))

    def served() -> Served:
        test = tests[-1]
        return Served(test.requests, [] if test.valid else [f"loadgen_invalid: {test.reason}"])

    return Built(step, declared=Declared(choices=choices), served=served, least_s=p.duration_s)


def _require_rate(scenario: str, rate: float | str | None) -> None:
    if scenario == "server" and rate is None:
        raise Unsupported(
            "scenario server needs a rate: --set rate=4 requests/s, or rate=max for a search"
        )
    if scenario != "server" and rate is not None:
        raise Unsupported(f"a rate is for scenario server; in {scenario} the answers set the pace")


def _expected_rate(server: Server, scenario: str) -> float:
    """Requests/s in the largest batches that the scenario makes, by the fastest of a few, which
    also make it warm."""
    size = {"single-stream": 1, "multi-stream": min(server.batch, SAMPLES_PER_QUERY)}.get(
        scenario, server.batch
    )
    _seconds(server, 1)
    return size / min(_seconds(server, size) for _ in range(WARMUPS))


def _seconds(server: Server, size: int) -> float:
    """How long a batch of `size` takes that nobody waits for."""
    begin = time.perf_counter()
    server.answer(
        [Request(i, i, i % PROMPTS) for i in range(size)], lambda group: None, lambda group: None
    )
    return time.perf_counter() - begin


def _searched(meets: Callable[[float], bool], expected: float) -> tuple[float, dict[str, str]]:
    """The largest rate, and what to say of it. Unsupported if even a small part of the expected
    rate is too much."""
    found = largest_rate(meets, expected)
    if found.rate is None:
        raise Unsupported(
            f"no rate meets the objective, as {found.tests} tests have shown; loosen ttft_ms or tpot_ms"
        )
    return found.rate, {
        "max_rate_requests_per_s": repr(found.rate),
        "search_tests": str(found.tests),
    }
