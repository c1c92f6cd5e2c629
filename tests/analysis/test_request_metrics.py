"""The metrics of requests with known times."""

import json

import pandas as pd
import pytest
from runs import measured, run_of

from hwbench.analysis import metrics
from hwbench.analysis.metrics.latency import PERCENTILES
from hwbench.analysis.metrics.requests import percentile_ns, requests_of, times_ns
from hwbench.records import Case, Declared, Requests, UserError, Work
from hwbench.report.page.sections import results
from hwbench.report.view import view_runs

MS = 1_000_000
SERVE = Case("gpt/serve", {"scenario": "server", "ttft_ms": 30, "tpot_ms": 2}, "bf16")


def queue(arrivals_ms, service_ms, new=4, first_ms=2, queries=None):
    """The requests of a server that answers arrivals one after another, each in `service_ms`."""
    done, free = [], 0.0
    for at in arrivals_ms:
        free = max(free, at) + service_ms
        done.append(round(free * MS))
    n, scheduled = len(arrivals_ms), [round(at * MS) for at in arrivals_ms]
    first = [at - round((service_ms - first_ms) * MS) for at in done]
    return Requests(
        list(range(n)),
        queries or list(range(n)),
        scheduled,
        scheduled,
        first,
        done,
        [8] * n,
        [new] * n,
        [1] * n,
    )


def frame(requests):
    return pd.DataFrame(vars(requests))


def values_of(requests, choices=None, case=SERVE):
    declared = Declared(choices=choices or {})
    run = run_of((case, [measured(requests=requests, work=Work(flops=6), declared=declared)]))
    return metrics.per_process(run).set_index("metric").value, run


def test_a_server_that_keeps_up_takes_its_service_time():
    found, _ = values_of(queue([10 * k for k in range(100)], service_ms=8))
    for percentile in ("p50", "p90", "p95", "p99"):
        assert found[f"latency_s_{percentile}"] == 0.008
        assert found[f"ttft_s_{percentile}"] == 0.002
        assert found[f"tpot_s_{percentile}"] == 0.002
    assert found.requests_per_s == pytest.approx(100 / 0.998, rel=1e-12)
    assert found.goodput_requests_per_s == found.requests_per_s
    assert found.tokens_per_s == pytest.approx(400 / 0.998, rel=1e-12)
    assert "query_latency_s_p50" not in found


def test_a_server_that_falls_behind_shows_its_queue():
    """Arrivals every 5 ms that take 10 ms each: the k-th waits 5k ms, which counts."""
    latencies = times_ns(frame(queue([5 * k for k in range(100)], service_ms=10)))["latency_s"]
    assert latencies.tolist() == [(10 + 5 * k) * MS for k in range(100)]


def test_goodput_counts_only_requests_that_met_the_objective():
    """TTFT of the k-th is 2 + 5k ms: six of a hundred are within 30 ms. TPOT is 8/3 ms or 2 ms by
    the tokens."""
    arrivals = [5 * k for k in range(100)]
    found, _ = values_of(queue(arrivals, service_ms=10, new=5))
    assert found.goodput_requests_per_s == pytest.approx(6 / 1.0, rel=1e-12)
    found, _ = values_of(queue(arrivals, service_ms=10, new=4))
    assert found.goodput_requests_per_s == 0


def test_a_case_without_an_objective_has_no_goodput():
    found, _ = values_of(queue([0, 10], 8), case=Case("gpt/serve", {"ttft_ms": 30}, "bf16"))
    assert "requests_per_s" in found
    assert "goodput_requests_per_s" not in found


@pytest.mark.parametrize(
    ("n", "share", "index"), [(100, 0.99, 99), (100, 0.5, 50), (99, 0.99, 98), (1, 0.999, 0)]
)
def test_percentiles_equal_those_of_the_load_generator(n, share, index):
    assert percentile_ns(pd.Series(range(n - 1, -1, -1)), share) == index


def test_time_per_token_is_rounded_down_and_unknown_for_a_single_token():
    two = frame(queue([0, 100], service_ms=10, new=4))
    assert times_ns(two)["tpot_s"].tolist() == [8 * MS // 3] * 2
    assert times_ns(two.assign(new_tokens=[1, 4]))["tpot_s"].tolist() == [8 * MS // 3]


def test_queries_of_several_requests_last_until_the_last_of_them():
    together = frame(queue([0, 0, 0, 50, 50, 50], service_ms=10, queries=[0, 0, 0, 1, 1, 1]))
    assert times_ns(together)["query_latency_s"].tolist() == [30 * MS, 30 * MS]
    assert "query_latency_s" not in times_ns(together.assign(query=0))


def test_percentiles_are_blank_where_requests_are_few():
    found, _ = values_of(queue([10 * k for k in range(19)], 8))
    assert {"ttft_s_p50", "ttft_s_p90"} <= set(found.index)
    assert not {"ttft_s_p95", "ttft_s_p99"} & set(found.index)


def test_the_rate_that_a_search_found_is_a_metric():
    found, run = values_of(
        queue([0, 10], 8), {"max_rate_requests_per_s": "3.25", "search_tests": "7"}
    )
    assert found.max_rate_requests_per_s == 3.25
    assert json.loads(run.measurements.choices.iloc[0])["search_tests"] == "7"


def test_tokens_per_s_of_requests_replace_those_of_steps():
    process = measured(requests=queue([0, 10], 8), work=Work(tokens=30))
    values = metrics.per_process(run_of((SERVE, [process])))
    rates = values[values.metric == "tokens_per_s"].value.tolist()
    assert rates == [pytest.approx(8 / 0.018, rel=1e-12)]


def test_runs_without_requests_have_none(training):
    assert requests_of(run_of((training, [measured()])), PERCENTILES).empty


def test_the_page_shows_the_metrics_of_requests(training):
    _, run = values_of(queue([10 * k for k in range(100)], 8), {"max_rate_requests_per_s": "3.25"})
    table = results.under_load(view_runs([run])[0])
    texts = dict(zip(table.head, (cell.text for cell in table.rows[0]), strict=True))
    assert (texts["Largest rate"], texts["TTFT p99"], texts["Latency p50"]) == (
        "3.250 1/s",
        "2.000 ms",
        "8.000 ms",
    )
    other = run_of((training, [measured()]))
    assert not results.under_load(view_runs([other])[0]).rows


def test_every_metric_is_on_the_list_and_larger_rates_are_better():
    requests = queue([10 * (k // 2) for k in range(200)], 4, queries=[k // 2 for k in range(200)])
    found, _ = values_of(requests, {"max_rate_requests_per_s": "3"})
    assert set(found.index) <= set(metrics.METRICS)
    better = {name for name in found.index if name in metrics.HIGHER_IS_BETTER}
    assert {name for name in found.index if name.endswith("_per_s")} == better


def test_a_request_done_before_it_arrived_is_damage():
    requests = queue([0, 10], 8)
    requests.done_ns[1] = 3
    with pytest.raises(UserError, match="table 'requests' has times in the wrong order"):
        values_of(requests)
