"""Names that say which model a device is, and those that say nothing: what is compared, and what
is a key."""

import json

import pandas as pd
import pytest
from commands import FAKE
from runs import CASE, around, run_of

from hwbench.analysis import history
from hwbench.analysis.metrics.summary import summarize
from hwbench.analysis.outcomes import cases
from hwbench.analysis.verdict import gate, judgement, noise
from hwbench.analysis.verdict.paired import judge_pairs
from hwbench.analysis.verdict.rules import Rules
from hwbench.cli.confirm import check_machine
from hwbench.errors import UserError
from hwbench.identity import Identity, is_unknown
from hwbench.recording.launch import exchange
from hwbench.report.formats import markdown_report
from hwbench.tables.reader import read_heads

STEP = Rules(("step_s_p50",))
EPYC = "AMD EPYC (2 cores)"
ZEN4 = {"vendor": "AuthenticAMD", "family": "25", "model": "17"}
ZEN5 = {"vendor": "AuthenticAMD", "family": "26", "model": "2"}


def on(device, cpu=None, kind="cpu", seconds=1.0, **head):
    """A run on a device, with what is recorded beside its name."""
    part = {"cpu": cpu or {}, "device": cpu or {}}
    values = {"device_kind": kind, "environment": json.dumps(part)} | head
    return run_of((CASE, around(seconds, 0.01)), device=device, **values)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "unknown CPU", "unknown CPU (8 cores)", "x86_64", "x86_64 (1 core)", "AMD64"),
        *("aarch64 (64 cores)", "arm64", "arm (10 cores)", "armv7l", "i686", "ppc64le (8 cores)"),
        *("s390x", "riscv64 (4 cores)", "loongarch64", "mips64", "i386", "X86"),
        "Intel64 Family 6 Model 158 Stepping 10, GenuineIntel (12 cores)",
        "AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD",
        "ARMv8 (64-bit) Family 8 Model D4B Revision   0, Qualcomm Technologies Inc",
        *("ARMv7 Processor rev 4 (v7l)", "AArch64 Processor rev 4 (aarch64)", "06/55 (2 cores)"),
        *("Common KVM processor (4 cores)", "Common 32-bit KVM processor", "Virtual CPU a7769a63"),
        *("QEMU Virtual CPU version 2.5+ (2 cores)", "QEMU TCG CPU version 2.5+", "CPU", "N/A"),
        *("VirtualApple @ 2.50GHz (8 cores)", "Genuine Intel(R) CPU 0000 @ 2.00GHz", "tpu:0"),
        *("NVIDIA Graphics Device", "Graphics Device", "AMD Radeon Graphics", "unknown xpu"),
        "Apple GPU (Metal)",
    ],
)
def test_a_name_that_says_nothing_is_unknown(name):
    assert is_unknown(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ARM Neoverse-N1 (64 cores)",
            "POWER9 (8 cores)",
            "sifive,u74-mc",
            "IBM/S390 machine 8561",
        ),
        *("Loongson-3A5000", "Apple M1", "Intel(R) Core(TM) i7-4770", "AMD Ryzen 9 5900X", EPYC),
        *("NVIDIA H100 80GB HBM3", "AMD Instinct MI300X", "Apple M3 Max GPU", "Fake device"),
        *("ARM implementer 0x41 part 0xfff", "Intel(R) Data Center GPU Max 1550", "TPU v4"),
    ],
)
def test_a_name_of_a_model_is_known(name):
    assert not is_unknown(name)


NEITHER = "nothing identifies the device ({}): it may be another; --allow-cross-device"
PAIRS = {
    "stored by an older version": (("x86_64",), ("x86_64",), NEITHER.format("x86_64")),
    "named since": (
        ("aarch64 (64 cores)",),
        ("ARM Neoverse-N1 (64 cores)",),
        NEITHER.format("aarch64 (64 cores) and ARM Neoverse-N1 (64 cores)"),
    ),
    "no name": (("",), ("",), NEITHER.format("no name")),
    "two models": (("i7 4770",), ("5900X",), "another device: i7 4770 against 5900X"),
    "a series without more": ((EPYC,), (EPYC, ZEN5), NEITHER.format(EPYC)),
    "two generations of a series": (
        (EPYC, ZEN4),
        (EPYC, ZEN5),
        f"another device: {EPYC}, vendor AuthenticAMD, family 25, model 17 against {EPYC}, "
        "vendor AuthenticAMD, family 26, model 2",
    ),
    "one generation of a series": ((EPYC, ZEN5), (EPYC, ZEN5), ""),
    "one model, one side without more": (("EPYC 7543",), ("EPYC 7543", ZEN4), ""),
    "a GPU and a partition of it": (
        ("A100", {"multiprocessors": 108, "compute_capability": "8.0"}, "cuda"),
        ("A100", {"multiprocessors": 42, "compute_capability": "8.0"}, "cuda"),
        "another device: A100, compute_capability 8.0, multiprocessors 108 against A100, "
        "compute_capability 8.0, multiprocessors 42",
    ),
    "another kind": (("x", None, "cuda"), ("x", None, "xpu"), "another device: cuda against xpu"),
    "a GPU that its driver does not know": (
        ("NVIDIA Graphics Device", None, "cuda"),
        ("NVIDIA Graphics Device", None, "cuda"),
        NEITHER.format("NVIDIA Graphics Device"),
    ),
}


@pytest.mark.parametrize(("theirs", "ours", "reason"), PAIRS.values(), ids=PAIRS)
def test_only_devices_that_are_known_to_be_one_are_compared(theirs, ours, reason):
    pair = [on(*theirs), on(*ours)]
    (row,) = judgement.judge_runs(pair[:1], pair[1], STEP).to_dict("records")
    assert row["reason"].startswith(reason) if reason else row["reason"] == ""
    assert row["verdict"] == ("incomparable" if reason else "same")
    (row,) = judgement.judge_runs(pair[:1], pair[1], STEP, across_devices=True).to_dict("records")
    assert row["verdict"] == "same"


def test_sides_measured_in_turns_are_of_one_device_whatever_it_is_called():
    sides = [on("x86_64 (2 cores)"), on("unknown CPU (2 cores)")]
    assert judge_pairs(*sides, ("step_s_p50",), 0.05).verdict.tolist() == ["same"]


def test_a_rolling_baseline_is_of_a_device_that_is_known_to_be_the_candidates(tmp_path):
    for run_id, device, cpu in [
        ("a", "unknown CPU", None), ("b", EPYC, ZEN4), ("c", EPYC, ZEN5), ("d", EPYC, None),
    ]:  # fmt: skip
        on(device, cpu, run_id=run_id, label="main", folder=tmp_path)
    heads = read_heads(tmp_path, pytest.fail)
    assert [f.name for f in gate.rolling(heads, "main", 5, on(EPYC, ZEN5))] == ["c"]
    # none is known to be of it, so the last are taken and found incomparable
    assert len(gate.rolling(heads, "main", 5, on("unknown CPU"))) == 4
    assert gate.rolling(heads.iloc[:0], "main", 5, on(EPYC, ZEN5)) == []


def test_an_unknown_device_has_no_noise_floors(monkeypatch, tmp_path):
    row = {"device_kind": "cpu", "started_at": "2026", "case_id": "c", "metric": "m", "floor": 0.1}
    names = ["unknown CPU (2 cores)", "EPYC 7543"]
    table = pd.DataFrame([row | {"device_name": name} for name in names])
    monkeypatch.setattr(noise, "read_noise", lambda results, warn: table)
    found = [noise.floors(tmp_path, on(name), pytest.fail) for name in names]
    assert found == [{}, {("c", "m"): 0.1}]


def points_of(runs):
    derived = [[of(run) for run in runs] for of in (cases, summarize)]
    return history.points([run.runs for run in runs], *derived)


@pytest.mark.parametrize("device", ["unknown CPU (2 cores)", "aarch64 (4 cores)", EPYC])
def test_runs_of_unknown_devices_are_no_history(device):
    runs = [on(device, run_id=f"r{day}", started_at=f"{day}", label="x") for day in range(3)]
    assert points_of(runs).empty


def test_two_generations_of_one_name_are_two_histories():
    runs = [
        on(EPYC, cpu, run_id=f"{number}", started_at=f"{number}", label="x", seconds=1 + number % 2)
        for number, cpu in enumerate([ZEN4, ZEN5] * 3)
    ]
    table = points_of(runs)
    assert table.groupby("device_name").size().tolist() == [3, 3]
    assert sorted(set(table.device_name)) == [
        f"{EPYC}, vendor AuthenticAMD, family {family}"
        for family in ("25, model 17", "26, model 2")
    ]
    assert history.changes(table).empty


@pytest.mark.parametrize(("device", "pairs"), [("EPYC 7543", 1), ("aarch64 (4 cores)", 2)])
def test_a_report_takes_only_runs_of_one_known_device_for_a_series(device, pairs):
    runs = [on(device, run_id=f"r{day}", started_at=f"{day}", label="x") for day in range(3)]
    text = markdown_report.render(runs)
    assert ("r2 against the 2 runs before it" in text) is (pairs == 1)


@pytest.mark.parametrize("environment", ["[]", "nonsense", '{"cpu": 3}', '{"cpu": {"family": []}}'])
def test_an_environment_of_another_shape_tells_no_devices_apart(environment):
    pair = [on("EPYC 7543", environment=environment) for _ in range(2)]
    assert pair[0].identity.difference(pair[1].identity) == ""


class TestCommands:
    HERE = "unknown CPU (2 cores)"

    @pytest.mark.parametrize(
        ("name", "candidate", "allowed", "says"),
        [
            (HERE, HERE, False, "nothing says whether the candidate .*add --allow-cross-device"),
            (HERE, HERE, True, None),
            (HERE, "EPYC 7543", True, "the candidate was measured on EPYC 7543"),
            ("EPYC 7543", "EPYC 7543", False, None),
        ],
    )
    def test_a_second_measurement_is_on_the_candidates_device(
        self, monkeypatch, name, candidate, allowed, says
    ):
        answer = ("cpu", {"name": name})
        monkeypatch.setattr(exchange, "describe_device", lambda device, warn: answer)
        if says is None:
            assert check_machine(on(candidate), allowed) == "cpu"
            return
        with pytest.raises(UserError, match=says):
            check_machine(on(candidate), allowed)

    def test_floors_that_hold_for_no_other_run_are_told(self, call, monkeypatch):
        words = [*FAKE[:4], *FAKE[6:], "--processes", "3"]
        assert "its floors hold for no other run" not in call("noise", "fake/known", *words).stderr
        monkeypatch.setattr(Identity, "is_unknown", True)
        done = call("noise", "fake/known", *words)
        assert done.returncode == 0
        assert "(Fake device): its floors hold for no other run" in done.stderr
