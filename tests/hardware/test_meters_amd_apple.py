"""The oddities of AMD SMI and of powermetrics, one row each.

A row has what the hardware or its driver does, the public report that it is from, and the right
answer. Stand-ins take the place of the hardware.
"""

import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from hwbench.meters import amdsmi, powermetrics, read_all

from .reports import NONE_FOUND, REPORT


class AmdSmiException(Exception):
    pass


@dataclass(frozen=True)
class Amd:
    """What the package answers for its GPU, and the quantities that are right to show."""

    oddity: str
    source: str
    answers: dict[str, object]
    shown: set[str]
    reason: str = ""


FINE = {
    "amdsmi_init": None,
    "amdsmi_get_processor_handles": ["gpu"],
    "amdsmi_get_energy_count": {"energy_accumulator": 10**9, "counter_resolution": 15.3},
    "amdsmi_get_power_info": {"current_socket_power": 400, "average_socket_power": "N/A"},
    "amdsmi_get_clock_info": {"clk": 2100},
    "amdsmi_get_temp_metric": 60,
    "amdsmi_shut_down": None,
}
ALL = {"energy", "power", "clock", "temperature"}
AMD = [
    Amd(
        "MI300X has no average power",
        "ml-energy/zeus#203",
        {},
        ALL,
    ),
    Amd(
        "MI210 has no current power",
        "ml-energy/zeus#203",
        {"amdsmi_get_power_info": {"current_socket_power": "N/A", "average_socket_power": 90}},
        ALL,
    ),
    Amd(
        "a counter's resolution is missing",
        NONE_FOUND,
        {"amdsmi_get_energy_count": {"energy_accumulator": 10**9}},
        ALL - {"energy"},
        "counter_resolution",
    ),
    Amd(
        "a virtual machine has no energy and no temperature",
        NONE_FOUND,
        {
            "amdsmi_get_energy_count": AmdSmiException("2 | NOT_SUPPORTED"),
            "amdsmi_get_temp_metric": AmdSmiException("2 | NOT_SUPPORTED"),
        },
        {"power", "clock"},
        "NOT_SUPPORTED",
    ),
    Amd(
        "no driver: it finds no GPU",
        "ROCm/rocm-systems#7643",
        {"amdsmi_get_processor_handles": []},
        set(),
        "AMD SMI finds no GPU",
    ),
    Amd(
        "a text that is not UTF-8",
        NONE_FOUND,
        {"amdsmi_get_power_info": UnicodeDecodeError("utf-8", b"\xf8", 0, 1, "invalid start byte")},
        ALL - {"power"},
        "codec can't decode",
    ),
]


def amd_package(answers: dict[str, object]) -> SimpleNamespace:
    def call(answer):
        def said(*_):
            if isinstance(answer, Exception):
                raise answer
            return answer

        return said

    calls = {name: call(answer) for name, answer in (FINE | answers).items()}
    kinds = {
        "AmdSmiClkType": SimpleNamespace(GFX=0),
        "AmdSmiTemperatureType": SimpleNamespace(HOTSPOT=0),
        "AmdSmiTemperatureMetric": SimpleNamespace(CURRENT=0),
        "AmdSmiException": AmdSmiException,
    }
    return SimpleNamespace(**calls, **kinds)


@pytest.mark.parametrize("row", AMD, ids=lambda row: row.oddity)
def test_amd_smi(row):
    meter = amdsmi.open_meter(load=lambda: amd_package(row.answers))
    shown = {signal.quantity for signal in read_all(meter)} if meter else set()
    assert shown == row.shown
    lines = amdsmi.sources(lambda: amd_package(row.answers))
    assert row.reason in "; ".join(line.reason for line in lines)


def test_amd_smi_without_its_library():
    """It raises KeyError: mlco2/codecarbon, pull request 1201."""

    def load():
        raise KeyError("libamd_smi.so")

    (line,) = amdsmi.sources(load)
    assert line.reason == "the package amdsmi: its library libamd_smi.so is missing"


# powermetrics


@dataclass(frozen=True)
class Mac:
    """What the tool prints, and the watts that are right to show; the last words if it ends."""

    oddity: str
    source: str
    output: str
    watts: list[float]
    reason: str = ""


PLIST = "<?xml version='1.0'?><plist version='1.0'><dict>{}</dict></plist>\n"
MACS = [
    Mac(
        "a virtual machine's samples have no processor",
        "tlkh/asitop#28",
        "ERROR: cannot find the IO registry entry\n" + PLIST.format(""),
        [],
        "cannot find the IO registry entry",
    ),
    Mac(
        "a beta of macOS ends the tool by an assertion",
        "tlkh/asitop#34",
        "Assertion failed: (num_resids == 2), file cpu_power_arm.c\n",
        [],
        "Assertion failed",
    ),
    Mac(
        "an older macOS does not know an option",
        "tlkh/asitop#8",
        "powermetrics: invalid option -- u\n",
        [],
        "invalid option",
    ),
    Mac(
        "a sample is cut off",
        NONE_FOUND,
        PLIST.format("<key>processor</key><dict><key>cpu_power</key>")
        + PLIST.format("<key>processor</key><dict><key>cpu_power</key><real>5000</real></dict>"),
        [5.0],
    ),
]


@pytest.mark.parametrize("row", MACS, ids=lambda row: row.oddity)
def test_powermetrics(monkeypatch, row):
    samples = powermetrics.samples(row.output.encode().splitlines(True))
    watts = [power for sample in samples for power in powermetrics.watts(sample).values()]
    assert watts == row.watts
    if row.reason:
        monkeypatch.setattr(powermetrics.os, "geteuid", lambda: 0, raising=False)
        code = f"import sys; sys.stdout.write({row.output!r})"
        (line,) = powermetrics.sources([sys.executable, "-I", "-S", "-c", code], "darwin")
        assert not line.works
        assert row.reason in line.reason


@pytest.mark.parametrize("row", [*AMD, *MACS], ids=lambda row: row.oddity)
def test_every_row_names_its_report(row):
    assert REPORT.fullmatch(row.source)
