"""The error of the energy of a window, by load and sensor.

`make bench` prints the full table; `make test` takes a few loads, and
tests/meters/test_meter_energy.py holds them to account.
"""

import energy_sensors


def test_energy_by_load_and_sensor(benchmark):
    loads = energy_sensors.LOADS if benchmark.enabled else 5
    lines = benchmark.pedantic(lambda: list(energy_sensors.report(loads)), rounds=1)
    assert len(lines) == 3 + len(energy_sensors.SHAPES) * len(energy_sensors.models.MODELS)
    print("\n" + "\n".join(lines))
