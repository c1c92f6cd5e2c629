"""The energy of a step and of a token, from readings."""

import json
import math
from dataclasses import replace

import pytest
from runs import CASE, around, frame, run_of, with_measurements

from hwbench.analysis import metrics
from hwbench.analysis.metrics.energy import why_unknown
from hwbench.analysis.verdict import comparable, judgement
from hwbench.analysis.verdict.rules import Rules


def readings(*rows, case=CASE, processes=3, window_s=10.0):
    """Rows (meter, scope, quantity, value, method) of every process."""
    return frame(
        "readings",
        [
            {
                "run_id": "r",
                "case_id": case.case_id,
                "process": process,
                "meter": meter,
                "scope": scope,
            }
            | {
                "quantity": quantity,
                "value": value,
                "unit": "J",
                "method": method if value is not None else None,
            }
            | {
                "window_s": window_s,
                "uncertainty": None if value is None else value / 100,
                "span": "",
            }
            | {
                "grade": None if value is None else "A",
                "reason": "" if value is not None else "no permission",
            }
            for process in range(processes)
            for meter, scope, quantity, value, method in rows
        ],
    )


def run_with(*rows, tokens=100, device_kind="cpu", **options):
    """A run of 3 processes with 10 steps of 1 s each."""
    run = run_of((CASE, around(1.0, processes=3)), device_kind=device_kind)
    run = with_measurements(run, CASE, tokens=tokens, window_s=10.0)
    return replace(run, readings=readings(*rows, **options))


def values(run):
    table = metrics.summarize(run)
    return dict(table[table.source.notna()].set_index("metric").value)


PACKAGE = ("rapl", "package:0", "energy", 500.0, "counter")


def test_energy_of_a_step_and_a_token():
    run = run_with(PACKAGE, ("rapl", "package:0", "power_peak", 80.0, "counter"))
    found = values(run)
    assert found["energy_j"] == pytest.approx(50)
    assert found["energy_j_per_token"] == pytest.approx(0.5)
    assert found["power_w"] == pytest.approx(50)
    assert found["power_peak_w"] == pytest.approx(80)
    assert set(found) == {"energy_j", "energy_j_per_token", "power_w", "power_peak_w"}
    row = metrics.summarize(run).set_index("metric").loc["energy_j"]
    assert (row.source, row.grade, row.uncertainty) == ("rapl counter", "A", pytest.approx(0.5))


def test_packages_are_added_and_psys_is_not():
    found = values(
        run_with(
            PACKAGE,
            ("rapl", "package:1", "energy", 300.0, "counter"),
            ("rapl", "psys", "energy", 9e3, "counter"),
        )
    )
    assert found["energy_j"] == pytest.approx(80)
    assert "total_energy_j" not in found


def test_memory_energy_counts_only_in_the_total():
    found = values(run_with(PACKAGE, ("rapl", "dram:0", "energy", 100.0, "counter")))
    assert found["energy_j"] == pytest.approx(50)
    assert found["total_energy_j"] == pytest.approx(60)
    assert "host_energy_j" not in found


def test_the_energy_is_of_the_gpu_and_its_host_has_its_own():
    gpu = ("nvml", "gpu:0", "energy", 4000.0, "counter")
    found = values(run_with(gpu, PACKAGE, device_kind="cuda"))
    assert found["energy_j"] == pytest.approx(400)
    assert found["host_energy_j"] == pytest.approx(50)
    assert found["total_energy_j"] == pytest.approx(450)


def test_a_sum_with_an_unknown_part_is_unknown():
    gpu = ("nvml", "gpu:0", "energy", 4000.0, "counter")
    found = values(run_with(gpu, ("rapl", "package:0", "energy", None, None), device_kind="cuda"))
    assert set(found) == {"energy_j", "energy_j_per_token", "power_w"}
    run = run_with(PACKAGE, ("rapl", "package:1", "energy", None, None))
    assert values(run) == {}


def test_net_energy_is_without_the_power_at_rest():
    rest = ("rapl", "package:0", "idle_power", 20.0, "counter")
    assert values(run_with(PACKAGE, rest))["energy_net_j"] == pytest.approx(50 - 20)
    assert values(run_with(PACKAGE, rest))["energy_net_j_per_token"] == pytest.approx(0.3)
    assert "energy_net_j" not in values(
        run_with(PACKAGE, ("rapl", "package:0", "idle_power", None, None))
    )
    assert "energy_net_j" not in values(
        run_with(PACKAGE, ("rapl", "package:0", "idle_power", 90.0, "counter"))
    )


def test_work_without_tokens_has_no_energy_per_token():
    assert "energy_j_per_token" not in values(run_with(PACKAGE, tokens=None))


def test_an_estimate_and_a_counter_are_incomparable():
    guess = ("estimate", "package:0", "energy", 400.0, "estimated")
    rules = Rules(("energy_j", "step_s_p50"))
    energy, step = judgement.judge_runs([run_with(PACKAGE)], run_with(guess), rules).to_dict(
        "records"
    )
    assert (energy["verdict"], step["verdict"]) == ("incomparable", "same")
    assert energy["reason"] == "another meter: rapl counter against estimate estimated"
    (energy, _) = judgement.judge_runs([run_with(PACKAGE)], run_with(PACKAGE), rules).to_dict(
        "records"
    )
    assert energy["verdict"] == "same"


def test_different_meters_of_other_parts_matter_only_to_sums():
    """Without permission to read the host's energy, that of the GPU can still be compared."""
    gpu, memory = (
        ("nvml", "gpu:0", "energy", 4000.0, "counter"),
        ("rapl", "dram:0", "energy", 100.0, "counter"),
    )
    whole = run_with(gpu, PACKAGE, memory, device_kind="cuda")
    rules = Rules(("energy_j", "host_energy_j", "total_energy_j"))

    def verdicts(*readings):
        rows = judgement.judge_runs([whole], run_with(gpu, *readings, device_kind="cuda"), rules)
        return dict(zip(rows.metric, rows.verdict, strict=True)), rows.set_index("metric").reason

    none = ("rapl", "package:0", "energy", None, None)
    assert verdicts(none)[0] == {
        "energy_j": "same",
        "host_energy_j": "missing",
        "total_energy_j": "missing",
    }
    found, reasons = verdicts(PACKAGE)
    assert found == {
        "energy_j": "same",
        "host_energy_j": "incomparable",
        "total_energy_j": "incomparable",
    }
    of_whole = "nvml counter of gpu, rapl counter of dram, rapl counter of package"
    assert (
        reasons.total_energy_j
        == f"another meter: {of_whole} against nvml counter of gpu, rapl counter of package"
    )
    assert set(verdicts(PACKAGE, memory)[0].values()) == {"same"}


def test_a_run_of_an_older_schema_has_no_energy():
    run = run_of((CASE, around(1.0, processes=3)))
    table = metrics.summarize(run)
    assert table.source.isna().all()
    assert comparable.Obstacles([run], run).of(CASE.case_id, "energy_j") == ""
    assert not set(table.metric) & {"energy_j"}
    assert math.isnan(table.uncertainty.max())
    assert json.loads(table.reasons.iloc[0]) == []
    assert why_unknown(run) == []
