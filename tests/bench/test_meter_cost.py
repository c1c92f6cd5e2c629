"""`make bench`: the cost of the meters as a ratio, printed and recorded. A shared machine fails no
test by it."""

from statistics import median

from meter_cost import ratios, report

from hwbench import devices


def test_cost_of_the_meters(benchmark):
    device = devices.open_device(devices.resolve("auto"))
    pairs, found = ratios(device), []
    benchmark.pedantic(lambda: found.append(next(pairs)), rounds=60, warmup_rounds=2)
    benchmark.extra_info["ratio"] = median(found)
    print("\n" + report(device, found[-60:]))
