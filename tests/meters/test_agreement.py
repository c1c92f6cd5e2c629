"""Power that cannot be, and a counter and a sensor that contradict each other: both are told."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensor_models import BEGIN_NS, NVML, RAPL, make_trace, sensor

from hwbench import tables
from hwbench.analysis.metrics.validity import severity_of
from hwbench.meters.agreement import disagreements
from hwbench.meters.energy import idle_power, readings_of
from hwbench.meters.rapl import zones

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import false_alarms

ROOT = Path(__file__).resolve().parents[2]
TIMES = np.arange(-20, 250) / 20
TICKS = 0.1 * np.floor(TIMES / 0.1 + 1e-6)
HOPPER = sensor("nvml", 0.1, 0.025)
BOARD = [replace(NVML, limit_w=1400.0), replace(HOPPER, limit_w=1400.0)]


def of_board(counter_w, sensor_w, window_s=10.0, sources=BOARD):
    """The readings of a board by quantity, and the notes."""
    values = (counter_w * TICKS, np.broadcast_to(sensor_w, TIMES.shape).astype(float))
    trace = make_trace(dict(zip(sources, ((TIMES, shown) for shown in values), strict=True)))
    readings = readings_of(trace, sources, BEGIN_NS, BEGIN_NS + round(window_s * 1e9), {})
    return {reading.quantity: reading for reading in readings}, disagreements(readings)


@pytest.mark.parametrize(("sensor_w", "apart"), [(26.0, 0.74), (70.0, 0.3), (174.0, 0.74)])
@pytest.mark.parametrize("window_s", [1.0, 10.0])
def test_counter_that_its_sensor_contradicts_is_doubted(sensor_w, apart, window_s):
    found, notes = of_board(100.0, sensor_w, window_s)
    for quantity in ("energy", "power"):
        assert found[quantity].grade == "C"
        assert found[quantity].uncertainty / found[quantity].value == pytest.approx(apart, abs=0.02)
    (note,) = notes
    assert note.startswith("energy_disagreement: gpu:0's counter says ")
    assert severity_of(note.partition(":")[0]) == "suspect"


@pytest.mark.parametrize("sensor_w", [95.0, 100.0, 108.0])
def test_counter_near_its_sensor_keeps_its_grade(sensor_w):
    found, notes = of_board(100.0, sensor_w)
    assert (found["energy"].grade, notes) == ("A", [])
    assert found["energy"].uncertainty < 0.02 * found["energy"].value


def test_window_too_short_for_the_sensor_raises_no_alarm():
    found, notes = of_board(100.0, 26.0, window_s=0.12)
    assert notes == []
    assert "energy_residual" not in found


@pytest.mark.parametrize("label", ["constant", "training", "square", "bursts"])
def test_honest_sensors_raise_no_alarm(label):
    """Where the step is known; where it is not, a load in step with a sensor that sees a part of
    the time may (docs/energy.md)."""
    for name in ("A100 100/25", "Ada average 100/1000", "Hopper instant 100/25"):
        assert false_alarms.share(label, name, loads=40, seed=5) == 0


@pytest.mark.parametrize("shown_w", [3.7e6, 1401.0, -1.0])
def test_one_power_that_cannot_be_makes_the_energy_unknown(shown_w):
    series = np.full(len(TIMES), 100.0)
    series[100] = shown_w
    trace = make_trace({BOARD[1]: (TIMES, series)})
    (energy,) = readings_of(trace, BOARD[1:], BEGIN_NS, BEGIN_NS + 10**10, {})
    assert (energy.quantity, energy.value, energy.grade) == ("energy", None, None)
    assert energy.reason == f"the sensor showed {shown_w:.3g} W, and this takes 0 to 1400 W"


def test_power_that_cannot_be_before_the_window_does_not_matter():
    series = np.where(TIMES < 0, 3.7e6, 100.0)
    trace = make_trace({BOARD[1]: (TIMES, series)})
    energy, *_ = readings_of(trace, BOARD[1:], BEGIN_NS, BEGIN_NS + 10**10, {}, step_s=0.1)
    assert energy.value == pytest.approx(1000)
    assert energy.uncertainty < 4 * energy.value


def test_sensor_that_shows_what_cannot_be_is_told_beside_a_counter():
    found, notes = of_board(100.0, 3.7e6)
    assert found["energy"].value == pytest.approx(1000)
    assert found["energy_residual"].value is None
    assert notes == [
        "energy_disagreement: gpu:0: the sensor showed 3.7e+06 W, and this takes 0 to 1400 W"
    ]


def test_counter_that_counts_what_cannot_be_is_told_beside_a_sensor():
    found, notes = of_board(3e5, 100.0)
    assert (found["energy"].method, found["energy"].value) == ("integrated", pytest.approx(1000))
    assert notes == [
        "energy_disagreement: gpu:0: the counter jumped: it would mean more than 1400 W"
    ]


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (1500 * TIMES, "the counter means 1.5e+03 W, and this takes 0 to 1400 W"),
        (100 * TIMES + 2.0**33 * (TIMES > 5), "the counter jumped"),
        (1e6 - 100 * TIMES, "the counter went back"),
        (5000 + 100 * TIMES - 300 * (TIMES > 5), "the counter went back"),
        (np.full(len(TIMES), -5.0), "did not move"),
    ],
)
def test_counter_that_counts_what_cannot_be_has_no_energy(shown, why):
    trace = make_trace({BOARD[0]: (TIMES, shown)})
    (energy,) = readings_of(trace, BOARD[:1], BEGIN_NS, BEGIN_NS + 10**10, {})
    assert energy.value is None
    assert why in energy.reason


def test_doubted_power_at_rest_is_of_grade_c():
    trace = make_trace({BOARD[0]: (TIMES, 100 * TICKS), BOARD[1]: (TIMES, 26.0 + 0 * TIMES)})
    (idle,) = idle_power(trace, BOARD, BEGIN_NS, BEGIN_NS + 10**10)
    assert (idle.grade, idle.uncertainty) == ("C", pytest.approx(74, abs=1))


LIMITS = [("15", 150), ("350", 2000), ("0", 2000), ("lots", 2000), (None, 2000)]


@pytest.mark.parametrize(("limit", "most"), LIMITS)
def test_package_takes_at_most_ten_times_its_sustained_limit(tmp_path, limit, most):
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    (zone / "name").write_text("package-0\n")
    if limit is not None:
        text = f"{limit}000000\n" if limit.isdigit() else limit
        (zone / "constraint_0_max_power_uw").write_text(text)
    (found,) = zones(tmp_path)
    assert found.counter.limit_w == most
    assert RAPL.limit_w > most


def hwbench(nvml_library, *words, **script):
    command = [sys.executable, "-W", "error", "-m", "hwbench", *map(str, words)]
    environment = nvml_library.environment(**script) | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


NO_COUNTER = {"FAIL": "nvmlDeviceGetTotalEnergyConsumption=3"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ({"SENSOR_W": 3.7e6} | NO_COUNTER, "the sensor showed 3.7e+06 W, and this takes 0 to 1400"),
        ({"POWER_W": 3.7e6}, "the counter jumped: it would mean more than 1400 W"),
        ({"POWER_W": 700, "LIMIT_W": 300}, "the counter means "),
        ({"POWER_W": 3.7e6, "LIMIT_W": 3.7e6}, "the counter jumped: it would mean more than 3000"),
        (
            {"POWER_W": 4000, "FAIL": "nvmlDeviceGetPowerManagementLimitConstraints=3"},
            "and this takes 0 to 3000 W",
        ),
    ],
)
def test_meter_shows_no_energy_of_a_power_that_cannot_be(nvml_library, tmp_path, script, why):
    file = tmp_path / "m.json"
    done = hwbench(nvml_library, "meter", "--json", file, "--", "sleep", "1", **script)
    assert done.returncode == 0, done.stderr
    (energy,) = [
        one
        for one in json.loads(file.read_text())["readings"]
        if (one["scope"], one["quantity"]) == ("gpu:0", "energy")
    ]
    assert energy["value"] is None
    assert why in energy["reason"]


def test_disagreement_is_told_by_meter_and_by_the_stored_run(nvml_library, tmp_path):
    words = ["meter", "--output", tmp_path, "--", "sleep", "1.5"]
    done = hwbench(nvml_library, *words, SENSOR_W=26)
    gpu = next(line for line in done.stdout.splitlines() if line.startswith("gpu:0")).split()
    assert "energy_disagreement: gpu:0's counter says" in done.stdout.splitlines()[-1]
    (folder,) = tmp_path.glob("*/")
    readings = tables.read_run(folder).readings
    joules = readings[readings.scope == "gpu:0"].set_index("quantity").value
    apart = 100 * joules.energy_residual / joules.energy
    assert apart == pytest.approx(74, abs=10)  # 100 W against 26 W
    assert (gpu[3:5], gpu[gpu.index("nvml") - 1]) == ([f"{apart:.0f}", "%"], "C")
    data = json.loads(hwbench(nvml_library, "summarize", folder, "--json").stdout)
    assert "energy_disagreement" in json.dumps(data)
