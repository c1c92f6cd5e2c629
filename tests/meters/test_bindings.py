"""What the binding of a vendor's library raises besides its own errors: the quantity is unknown,
with the reason, and everything else is as ever."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nvml_driver import Driver

from hwbench.meters import amdsmi, estimate, host, perf, powermetrics, read_all
from hwbench.meters.binding import one_line
from hwbench.meters.machine import Place
from hwbench.meters.nvml import library
from hwbench.meters.nvml.meter import NvmlMeter

ROOT = Path(__file__).resolve().parents[2]
NOT_UTF_8 = os.fsdecode(b"\xf8NVIDIA")
NO_TEXT = UnicodeDecodeError("utf-8", b"\xf8", 0, 1, "invalid start byte")
ERRORS = [
    NO_TEXT,
    ctypes.ArgumentError("argument 1: wrong type"),
    TypeError("an integer is required"),
    ValueError("insufficient buffer\nsize"),
    OSError("exception: access violation"),
    KeyError("clk"),
    AttributeError("no such call"),
    RuntimeError(),
]


def names(error):
    return type(error).__name__


def hwbench(nvml_library, *words, **script):
    command = [sys.executable, "-W", "error", "-m", "hwbench", *words]
    environment = nvml_library.environment(**script) | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("text", ["NAME", "DRIVER"])
def test_text_that_is_not_utf_8_is_unknown_in_info(nvml_library, text):
    done = hwbench(nvml_library, "info", "--json", **{text: NOT_UTF_8})
    assert done.returncode == 0, done.stderr
    (gpu,) = json.loads(done.stdout)["nvidia"]
    assert gpu[text.lower()] is None
    assert gpu["memory_bytes"] == 80 << 30
    assert gpu["problem"].startswith(
        f"no {text.lower()}: the driver gives a text that is not UTF-8"
    )


@pytest.mark.parametrize("words", [["meter", "--list"], ["meter", "--", "sleep", "0.6"]])
def test_name_that_is_not_utf_8_does_not_end_a_command(nvml_library, words):
    done = hwbench(nvml_library, *words, NAME=NOT_UTF_8)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gpu:0" in done.stdout


def test_case_is_measured_beside_a_name_that_is_not_utf_8(nvml_library, tmp_path):
    words = ["run", "mlp/forward", "--device", "cpu", "--set", "size=nano", "--max-time", "0.2"]
    words += ["--processes", "1", "--output", str(tmp_path)]
    done = hwbench(nvml_library, *words, NAME=NOT_UTF_8)
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_whatever_nvml_raises_leaves_the_other_quantities(error):
    driver = Driver()
    meter = NvmlMeter(driver, None)
    driver.millijoules = error
    shown = {signal.quantity for signal in read_all(meter)}
    assert shown == {"temperature"}
    (signal,) = [signal for signal in meter.failures if signal.quantity == "energy"]
    assert "\n" not in meter.failures[signal]
    assert meter.failures[signal]


@pytest.mark.parametrize("error", ERRORS, ids=names)
@pytest.mark.parametrize(
    "call", ["nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName"]
)
def test_nothing_but_no_answer_leaves_the_library(monkeypatch, call, error):
    def fail(*_):
        raise error

    driver = Driver()
    monkeypatch.setattr(driver, call, fail, raising=False)
    meter = NvmlMeter(driver, None)
    assert read_all(meter) or meter.failures


def test_binding_without_its_error_class_gives_no_answer():
    with pytest.raises(library.NoAnswer, match="KeyError: 'clk'"):
        library.answer(SimpleNamespace(), lambda: {}["clk"])


@pytest.mark.parametrize("answer", ["", b"", "  ", b"\xf8"])
def test_text_that_says_nothing_is_no_answer(answer):
    with pytest.raises(library.NoAnswer):
        library.text(Driver(), lambda: answer)


def test_bytes_of_an_old_binding_are_text():
    assert library.text(Driver(), lambda: b"Tesla V100") == "Tesla V100"


def test_error_whose_message_cannot_be_read_is_named():
    class Mute(Exception):
        def __str__(self):
            raise NO_TEXT

    assert one_line(Mute()) == "Mute"


class Smi:
    """An AMD SMI with one GPU that has a temperature only; `error` is raised by the other calls."""

    AmdSmiTemperatureType = SimpleNamespace(HOTSPOT=0)
    AmdSmiTemperatureMetric = SimpleNamespace(CURRENT=0)
    error: Exception = RuntimeError()

    def amdsmi_init(self):
        pass

    def amdsmi_get_processor_handles(self):
        return ["gpu"]

    def amdsmi_get_temp_metric(self, *_):
        return 50

    def _fail(self, *_):
        raise self.error

    amdsmi_get_energy_count = amdsmi_get_power_info = amdsmi_shut_down = _fail
    amdsmi_get_gpu_device_bdf = amdsmi_get_gpu_compute_partition = _fail


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_whatever_amd_smi_raises_leaves_the_other_quantities(error):
    smi = Smi()
    smi.error = error
    meter = amdsmi.open_meter(load=lambda: smi)
    assert [signal.quantity for signal in read_all(meter)] == ["temperature"]
    reasons = {signal.quantity: why for signal, why in meter.failures.items()}
    assert set(reasons) == {"energy", "power", "clock"}
    assert reasons["energy"] == f"AMD SMI: {one_line(error)}"
    meter.close()
    assert amdsmi.open_meter(["0000:01:00.0"], lambda: smi) is None


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_amd_smi_that_does_not_open_has_the_reason(error):
    smi = SimpleNamespace(amdsmi_init=lambda: (_ for _ in ()).throw(error))
    (source,) = amdsmi.sources(lambda: smi)
    assert (source.works, source.reason) == (False, f"AMD SMI: {one_line(error)}")


@pytest.mark.parametrize(
    "processor",
    [
        "<array/>",
        "<string>x</string>",
        "<dict><key>cpu_power</key><true/></dict>",
        f"<dict><key>cpu_power</key><integer>{'9' * 400}</integer></dict>",
        "<dict><key>cpu_power</key><real>nan</real></dict>",
        "<dict><key>cpu_power</key><integer>-5</integer></dict>",
        "<dict><key>cpu_power</key><date>x</date></dict>",
        "</dict>",
    ],
)
def test_power_of_another_shape_is_no_power(processor):
    text = f"<?xml version='1.0'?><plist><dict><key>processor</key>{processor}</dict></plist>"
    samples = powermetrics.samples([text.encode()])
    assert [power for sample in samples for power in powermetrics.watts(sample).items()] == []


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_event_that_cannot_be_opened_has_the_reason(tmp_path, error):
    (tmp_path / "events").mkdir()
    files = {"type": "9", "cpumask": "0", "events/energy-pkg": "event=0x02"}
    for name, text in (files | {"events/energy-pkg.scale": "2.3e-10"}).items():
        (tmp_path / name).write_text(text)

    def refuse(*_):
        raise error

    assert perf.open_meter(tmp_path, tmp_path, refuse) is None
    (source,) = perf.sources(tmp_path, tmp_path, refuse, Place())
    assert source.reason.startswith("perf_event_open failed: ")


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_whatever_psutil_raises_leaves_the_other_quantities(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(host.psutil, "cpu_freq", fail)
    monkeypatch.setattr(host, "processors", fail)
    quantities = {signal.quantity for signal in read_all(host.HostMeter(os.getpid()))}
    assert "memory_used" in quantities
    assert not {"cpu_clock", "steal"} & quantities
    monkeypatch.setattr(estimate, "processors", fail)
    assert estimate.open_meter(65.0) is None


def test_processor_named_in_other_bytes_does_not_end_the_meters(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_bytes(b"model name\t: Intel\xae Xeon\n")
    assert Place.here(tmp_path, "linux").cpu == r"Intel\xae Xeon"
