"""`make bench`: how often the gate and its peers cry wolf, what they find, and whether the intervals hold the truth."""

import gate_power
import intervals


def test_the_gate_beside_its_peers(benchmark):
    lines = benchmark.pedantic(lambda: list(gate_power.report()), rounds=1)
    print("\n" + "\n".join(lines))


def test_coverage_of_the_intervals(benchmark):
    lines = benchmark.pedantic(lambda: list(intervals.report()), rounds=1)
    print("\n" + "\n".join(lines))
