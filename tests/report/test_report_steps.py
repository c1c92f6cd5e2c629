"""The figures of step times and of power: what is drawn of given times, and the numbers beside
it."""

import re

import numpy as np
import pytest
from runs import CASE, OTHER, frame, run_of, samples_of

from hwbench.report.charts.power import series_of
from hwbench.report.charts.series import binned, steps_up_to
from hwbench.report.charts.step_times import StepTimes, processes_of
from hwbench.report.charts.ticks import ticks
from hwbench.report.page.figures import plot
from hwbench.report.page.sections.energy import timelines
from hwbench.report.page.sections.steps import panels
from hwbench.report.view import view_runs

FRAME = plot.Frame(100, 100, 10, 10, 10, 10, (0.0, 4.0), (0.0, 8.0))


def points(drawn: str) -> list[tuple[float, float]]:
    """The points of the first path in absolute M and L commands."""
    path = re.search(r' d="M([^"HVZ]*)"', drawn)[1].replace("L", " ")
    numbers = [float(number) for number in path.split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def texts(table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_values_are_placed_between_the_ends_of_the_axes():
    assert FRAME.at_x([0, 2, 4]).tolist() == [10, 50, 90]
    assert FRAME.at_y([0, 4, 8]).tolist() == [90, 50, 10]
    assert points(plot.line(FRAME, [0, 4], [8, 0], 0, "")) == [(10, 10), (90, 90)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 4, [0, 1, 2, 3, 4]),
        (0, 100, [0, 50, 100]),
        (0.93, 1.31, [1.0, 1.1, 1.2, 1.3]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (1e-9, 1.1e-8, [5e-9, 1e-8]),
    ],
)
def test_ticks_are_round_and_few(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [1e-12], [5, 5 + 1e-15]])
def test_limits_of_an_axis_always_differ(values):
    low, high = plot.limits(values)
    assert low < min(values) <= max(values) < high
    assert 1 <= len(ticks(low, high)) <= 6


def test_a_distribution_of_few_steps_has_them_all():
    times, shares = steps_up_to(np.array([3.0, 1.0, 2.0, 4.0]), 20)
    assert times.tolist() == [1, 1, 2, 3, 4]
    assert shares.tolist() == [0, 25, 50, 75, 100]


def test_many_steps_are_grouped_by_their_ends_and_their_middle():
    at, low, middle, high = binned(np.arange(6.0), np.array([1.0, 2, 9, 4, 4, 5]), 2)
    assert (at.tolist(), low.tolist(), middle.tolist(), high.tolist()) == (
        [0, 3],
        [1, 4],
        [2, 4],
        [9, 5],
    )


def test_steps_are_those_of_each_process_in_their_order():
    samples = samples_of(CASE, 3, [1.0, np.nan, 2.0]).iloc[::-1]
    assert {key: list(value) for key, value in processes_of(samples).items()} == {3: [1.0, 2.0]}
    assert processes_of(samples_of(CASE, 0, [np.nan])) == {}


@pytest.mark.parametrize("times", [[0.0, 0.0, 1e300], [1e-9, 1e-9, 1e300], [0.0], [5e-324, 1.0]])
def test_extreme_times_are_drawn(times):
    processes = {0: np.array(times)}
    for panel in panels(StepTimes("c", "case", processes), "A"):
        assert "inf" not in panel.svg
        assert "nan" not in panel.svg


def test_drift_shows_over_the_time_of_the_window():
    _, panel = panels(StepTimes("c", "gemm", {0: np.array([0.001, 0.002, 0.003])}), "A")
    assert panel.title == "gemm: over time"
    line = points(panel.svg.split('stroke-width=".8"')[1])  # after the grid
    # at 0, 1 and 3 of 6 ms
    assert [x for x, _ in line] == pytest.approx([36, 36 + 196 / 6, 36 + 196 / 2], abs=0.1)
    assert line[0][1] > line[1][1] > line[2][1]
    assert texts(panel.data) == [["1", "1.000 ms"], ["2", "2.000 ms"], ["3", "3.000 ms"]]
    assert "process 0: 3 steps, first half 1.5, second half 3 ms" in panel.svg
    assert panel.svg.count("<circle") == 3


def test_a_million_steps_become_a_band_and_their_quantiles():
    seconds = np.linspace(0.001, 0.002, 1_000_001)
    spread, over = panels(StepTimes("c", "gemm", {0: seconds}), "A")
    assert over.svg.count("fill-opacity") == 1
    assert "in a band from the fastest to the slowest" in over.svg
    assert len(over.svg) < 20_000
    assert [row[0].text for row in over.data.rows] == [str(part) for part in range(1, 9)]
    assert over.data.rows[0][1].sub == "1.000 ms to 1.125 ms"
    assert len(spread.svg) < 20_000
    expected = ["0", "1,000,001", "1.000 ms", "1.100 ms", "1.250 ms", "1.500 ms"]
    assert texts(spread.data)[0][:6] == expected


def test_processes_are_told_apart_by_more_than_colour_and_the_first_are_drawn():
    processes = {number: np.array([1.0 + number, 2.0 + number]) for number in range(12)}
    panel, _ = panels(StepTimes("c", "gemm", processes), "A")
    assert "The first 10 of 12 processes." in panel.svg
    lines = re.findall(
        r'stroke="(var[^"]*)" stroke-width="1.6"( stroke-dasharray="[^"]*")?', panel.svg
    )
    assert len(lines) == len(set(lines)) == 10


def power(at_s, values, quantity="power", meter="nvml", scope="gpu:0", case=CASE, process=0):
    unit = {"power": "W", "energy": "J"}[quantity]
    key = {"run_id": "r", "case_id": case.case_id, "process": process}
    told = {"meter": meter, "scope": scope, "quantity": quantity, "unit": unit}
    return [
        key | told | {"time_ns": int(at * 1e9), "value": value}
        for at, value in zip(at_s, values, strict=True)
    ]


def test_power_is_drawn_a_line_a_meter_and_its_data_stand_beside_it():
    run = run_of((CASE, [[1.0] * 3]), (OTHER, [[1.0]]))
    rows = power([5, 6, 7], [100.0, 300.0, 200.0]) + power(
        [5, 6], [1.0, 1.0], meter="other", process=1
    )
    rows += power([5, 6, 7, 8], [10.0, 15.0, 15.0, 35.0], "energy", "rapl", "package:0")
    run = type(run)(
        run.folder,
        run.runs,
        run.measurements,
        run.samples,
        run.spans,
        telemetry=frame("telemetry", rows),
    )
    (panel,) = timelines(view_runs([run])[0], 5)
    assert texts(panel.data) == [
        ["nvml gpu:0", "3", "100.0 W", "200.0 W", "300.0 W"],
        ["rapl package:0", "2", "5.000 W", "7.500 W", "10.00 W"],
    ]
    assert "nvml gpu:0: 200.0 W (median)" in panel.svg
    assert timelines(view_runs([run])[0], 0) == []


def test_a_counter_that_wraps_leaves_a_gap_in_power():
    telemetry = frame(
        "telemetry", power([0, 1, 2, 3], [10.0, 20.0, 1.0, 4.0], "energy", "rapl", "package:0")
    )
    ((at, found),) = series_of(telemetry).values()
    assert (at.tolist(), found.tolist()) == ([1, 3], [10, 3])
