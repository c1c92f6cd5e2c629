"""`make bench`: the cost of the end of a run, with and without remembered results. It never fails
on a slow machine."""

from statistics import median

import run_end


def test_cost_of_the_end_of_a_run(benchmark, tmp_path):
    size = {} if benchmark.enabled else {"batches": 3, "processes": 2, "n_steps": 10}
    folder = run_end.store_run(tmp_path, **size)
    timed, took = run_end.pairs(folder), []
    benchmark.pedantic(lambda: took.append(next(timed)), rounds=run_end.PAIRS, warmup_rounds=1)
    benchmark.extra_info["ratio"] = median(without / with_ for with_, without in took)
    print("\n" + run_end.report(folder, took[-run_end.PAIRS :]))


def test_the_end_of_a_run_derives_each_table_once(tmp_path):
    folder = run_end.store_run(tmp_path, batches=3, processes=2, n_steps=10)
    counts = run_end.derivations(folder)
    assert counts
    assert {name: n for name, n in counts.items() if n > 1} == {}
