"""Inference under load: requests arrive as in MLPerf's scenarios, timed from their schedule."""

import random
import time
from collections.abc import Callable
from typing import Any

from hwbench.devices.protocol import TorchDevice
from hwbench.records import Declared, Served, Unsupported
from hwbench.workload import Built, Mark, axis, workload
from workloads.fitting import sequence_within
from workloads.gpt_axes import INFERENCE_DTYPE, LAYERS, SIZE, positions_of
from workloads.gpt_inference import inference_config, inference_model
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
"""How many prompts there are to choose from. All cost the same: the model does not cache them."""

WARMUPS = 3
"""How many batches are computed before a test."""

SEARCH = "max"
"""The word for the largest rate that meets the objective."""


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
    """Answer requests as they arrive, up to `batch` at once: a step is one test of MLPerf LoadGen.

    The scenario `server` has Poisson arrivals at `rate` requests/s. With `rate=max` the build first
    searches for the largest rate whose 99th percentiles of TTFT and TPOT are within `ttft_ms` and
    `tpot_ms` (the defaults are MLPerf's for Llama 2 70B), and the step is a test at that rate. A
    search notices a growing queue only if the wait exceeds `ttft_ms` within `duration_s`: make
    `duration_s` many times as long. MLPerf's own tests last 600 s.
    """
    loadgen()
    _require_rate(p.scenario, p.rate)
    length = p.prompt + p.new
    config, _ = inference_config(p, device, length, cached=length, read=p.prompt)
    model = inference_model(p, device, config)
    prompts = random_tokens(model.config.vocab, (PROMPTS, p.prompt), device)
    server = Server(model, prompts, p.new, p.batch)
    seed = random.getrandbits(32)
    expected = _expected_rate(server, p.scenario)

    def load(rate: float) -> Load:
        return Load(p.scenario, rate, p.duration_s, p.queries, p.ttft_ms, p.tpot_ms, seed)

    def meets_objective(rate: float) -> bool:
        return bool(run_test(load(rate), server).meets_objective)

    rate: float = expected if p.rate is None else p.rate
    choices: dict[str, str] = {}
    if p.rate == SEARCH:
        rate, choices = _search_rate(meets_objective, expected)
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
    """Measure requests/s in the largest batches that the scenario makes.

    By the fastest of a few batches, which also warm the server up.
    """
    largest = {"single-stream": 1, "multi-stream": min(server.batch, SAMPLES_PER_QUERY)}
    size = largest.get(scenario, server.batch)
    _time_batch(server, 1)
    return size / min(_time_batch(server, size) for _ in range(WARMUPS))


def _time_batch(server: Server, size: int) -> float:
    """Compute one batch of `size` outside any test, and return its seconds."""
    group = [Request(i, i, i % PROMPTS) for i in range(size)]
    begin = time.perf_counter()
    server.answer(group, lambda group: None, lambda group: None)
    return time.perf_counter() - begin


def _search_rate(meets: Callable[[float], bool], expected: float) -> tuple[float, dict[str, str]]:
    """Search the largest rate, and describe it for `Declared.choices`.

    Unsupported if even a small part of the expected rate does not meet the objective.
    """
    largest = largest_rate(meets, expected)
    if largest.rate is None:
        raise Unsupported(
            f"no rate meets the objective, as {largest.tests} tests have shown; "
            "loosen ttft_ms or tpot_ms"
        )
    choices = {"max_rate_requests_per_s": repr(largest.rate), "search_tests": str(largest.tests)}
    return largest.rate, choices
