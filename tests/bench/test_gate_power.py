"""False alarms and power of the gate and its peers, and the coverage of intervals.

`make bench` prints the full tables; `make test` takes a few data sets to see that the studies run.
"""

import gate_power
import intervals


def test_the_gate_beside_its_peers(benchmark):
    pairs = gate_power.PAIRS if benchmark.enabled else 20
    print("\n" + "\n".join(benchmark.pedantic(lambda: list(gate_power.report(pairs)), rounds=1)))


def test_coverage_of_the_intervals(benchmark):
    sets = intervals.DATA_SETS if benchmark.enabled else 20
    lines = benchmark.pedantic(lambda: list(intervals.report(sets)), rounds=1)
    assert len(lines) == 1 + len(intervals.studies())
    print("\n" + "\n".join(lines))
