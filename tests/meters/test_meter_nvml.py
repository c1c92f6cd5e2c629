"""The meter of NVIDIA GPUs, against a scripted driver library (nvml_library.py) that the real
nvidia-ml-py loads.

Most tests start another process, since a process keeps the library that it loaded first.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pynvml
import pytest
from nvml_driver import Driver, NVMLError
from nvml_library import address, slice_uuid, uuid

from hwbench.meters import Counter, PowerSensor, Signal, read_all
from hwbench.meters.nvml import sharing
from hwbench.meters.nvml.meter import NvmlMeter
from hwbench.meters.sensors import UNKNOWN, gain_of, sensor_of

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys, time
from dataclasses import asdict
from hwbench.meters import nvml, read_all

gpus, times, pause_s = json.loads(sys.argv[1])
lines = [asdict(line) for line in nvml.sources()]
meter = nvml.open_meter(gpus)
readings, energy, failures = [], [], {}
if meter:
    for _ in range(times):
        values = read_all(meter)
        readings.append({f"{s.scope} {s.quantity}": value for s, value in values.items()})
        time.sleep(pause_s)
    energy = [[type(source).__name__, asdict(source)] for source in meter.energy]
    failures = {f"{s.scope} {s.quantity}": why for s, why in meter.failures.items()}
    meter.close()
found = {"open": bool(meter), "readings": readings, "energy": energy}
print(json.dumps(found | {"failures": failures, "lines": lines}))
"""
EVERYTHING = {
    *("energy", "power", "sm_clock", "memory_clock", "utilization", "memory_used", "throttled"),
    *("power_capped", "idle", "temperature", "power_violation", "thermal_violation"),
    "other_processes",
}


def probe(environment, gpus=None, times=2, pause_s=0.0):
    """What another process finds: the meter's readings by "scope quantity", its sources of energy,
    failures and lines."""
    program = [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps([gpus, times, pause_s])]
    done = subprocess.run(
        program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for reading in found["readings"]:
        for name, value in reading.items():
            assert value > 0 or not name.endswith((" energy", " power")), reading
    return found


def quantities(reading):
    return {name.split()[1] for name in reading}


def test_working_gpu_shows_everything(nvml_library):
    found = probe(nvml_library.environment(POWER_W="123.456", EVENTS="0x4", PROCESSES="self"))
    first = found["readings"][0]
    assert quantities(first) == EVERYTHING
    assert found["failures"] == {}
    shown = {name.removeprefix("gpu:0 "): value for name, value in first.items()}
    assert shown.pop("energy") > 123.456 * 3600
    expected = {"power": 123.456, "sm_clock": 1.98e9, "memory_clock": 2.619e9}
    expected |= {"utilization": 0.75, "memory_used": 2 * 2**30, "temperature": 55}
    expected |= {"throttled": 0, "power_capped": 1, "idle": 0, "other_processes": 0}
    expected |= {"power_violation": 1.5, "thermal_violation": 0.5}
    assert shown == pytest.approx(expected)
    (line,) = found["lines"]
    assert line["works"]
    assert line["reason"] == ""
    assert set(line["signals"]) == {f"gpu:0 {quantity}" for quantity in EVERYTHING}


def test_counter_comes_first_with_properties_of_sensor(nvml_library):
    kinds, sources = zip(*probe(nvml_library.environment())["energy"], strict=True)
    assert kinds == ("Counter", "PowerSensor")
    counter, sensor = sources
    assert (counter["tick_s"], counter["quantum"], counter["gain"]) == (0.1, 0.001, None)
    assert (sensor["update_s"], sensor["averaging_s"], sensor["gain"]) == (0.1, 0.025, None)


@pytest.mark.parametrize(
    ("name", "capability", "fail", "averaging_s", "gain"),
    [
        ("NVIDIA A100-PCIE-40GB", "8.0", "", 0.025, 0.06),
        ("NVIDIA A100-SXM4-80GB", "8.0", "field=3", 0.025, None),
        ("NVIDIA GeForce RTX 4090", "8.9", "", 0.1, 0.06),
        ("NVIDIA GeForce RTX 4090", "8.9", "field=3", 1.0, 0.06),
        (
            "NVIDIA GeForce RTX 4090",
            "8.9",
            "nvmlDeviceGetCudaComputeCapability=999,nvmlDeviceGetName=999",
            0.025,
            None,
        ),
        ("NVIDIA B200", "10.0", "", 0.025, None),
    ],
)
def test_averaging_time_depends_on_board_and_call(
    nvml_library, name, capability, fail, averaging_s, gain
):
    found = probe(nvml_library.environment(NAME=name, CAPABILITY=capability, FAIL=fail))
    (_, counter), (_, sensor) = found["energy"]
    assert (sensor["averaging_s"], sensor["gain"], counter["gain"]) == (averaging_s, gain, gain)


def test_counter_follows_power(nvml_library):
    found = probe(nvml_library.environment(POWER_W=200), times=2, pause_s=1.0)
    first, last = (reading["gpu:0 energy"] for reading in found["readings"])
    assert last - first == pytest.approx(200, abs=25)  # one second, within a tick


HAS_FALLBACK = {"temperature"} if hasattr(pynvml, "nvmlDeviceGetTemperatureV") else set()
NOT_SUPPORTED = [
    ("nvmlDeviceGetTotalEnergyConsumption", {"energy"}),
    ("nvmlDeviceGetFieldValues", set()),
    ("field", set()),
    ("nvmlDeviceGetSamples", set()),
    ("nvmlDeviceGetPowerUsage", set()),
    ("nvmlDeviceGetClockInfo", {"sm_clock", "memory_clock"}),
    ("nvmlDeviceGetUtilizationRates", {"utilization"}),
    ("nvmlDeviceGetMemoryInfo_v2", set()),
    ("nvmlDeviceGetMemoryInfo", set()),
    ("nvmlDeviceGetCurrentClocksEventReasons", set()),
    ("nvmlDeviceGetCurrentClocksThrottleReasons", set()),
    ("nvmlDeviceGetTemperatureV", set()),
    ("nvmlDeviceGetTemperature", {"temperature"} - HAS_FALLBACK),
    ("nvmlDeviceGetViolationStatus", {"power_violation", "thermal_violation"}),
    ("nvmlDeviceGetComputeRunningProcesses_v3", {"other_processes"}),
    ("nvmlDeviceGetName", set()),
    ("nvmlDeviceGetCudaComputeCapability", set()),
]


@pytest.mark.parametrize(("call", "missing"), NOT_SUPPORTED)
def test_unsupported_quantity_is_left_out_and_named(nvml_library, call, missing):
    found = probe(nvml_library.environment(FAIL=f"{call}=3"))
    assert quantities(found["readings"][0]) == EVERYTHING - missing
    assert quantities(found["failures"]) == missing
    assert set(found["failures"].values()) <= {"the driver does not show it for this GPU"}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (3, "the driver does not show it for this GPU"),
        (4, "no permission to ask the driver for it; run as root, or ask who runs the machine"),
        (13, "the driver is too old to show it; install a newer NVIDIA driver"),
        (999, "the driver fails (NVML: Unknown Error); sudo dmesg may say why"),
        (77, "the driver fails (NVML: an error of the fake library); sudo dmesg may say why"),
    ],
)
def test_each_error_has_its_message(nvml_library, code, why):
    found = probe(nvml_library.environment(FAIL=f"nvmlDeviceGetTotalEnergyConsumption={code}"))
    assert found["failures"] == {"gpu:0 energy": why}
    assert [kind for kind, _ in found["energy"]] == ["PowerSensor"]
    (line,) = found["lines"]
    assert line["works"]
    assert line["reason"] == f"no energy: {why}"


def test_memory_of_an_old_driver_holds_what_is_reserved(nvml_library):
    """The call that tells them apart comes first; it is missing before driver 510."""
    found = probe(nvml_library.environment(FAIL="nvmlDeviceGetMemoryInfo_v2=13"))
    assert found["readings"][0]["gpu:0 memory_used"] == 3 * 2**30


def test_power_has_two_fallbacks(nvml_library):
    ways = ["field=3", "nvmlDeviceGetSamples=13", "nvmlDeviceGetPowerUsage=4"]
    for failing in (1, 2):
        found = probe(nvml_library.environment(POWER_W=80, FAIL=",".join(ways[:failing])))
        assert found["readings"][1]["gpu:0 power"] == 80
    found = probe(nvml_library.environment(FAIL=",".join(ways)))
    assert "gpu:0 power" not in found["readings"][0]
    assert found["failures"]["gpu:0 power"] == (
        "the driver does not show it for this GPU; "
        "the driver is too old to show it; install a newer NVIDIA driver; "
        "no permission to ask the driver for it; run as root, or ask who runs the machine"
    )


def test_gpu_without_energy_and_power_does_not_work(nvml_library):
    calls = ("nvmlDeviceGetTotalEnergyConsumption", "field", "nvmlDeviceGetSamples")
    fail = [f"{call}=3" for call in (*calls, "nvmlDeviceGetPowerUsage")]
    found = probe(nvml_library.environment(FAIL=",".join(fail)))
    assert found["energy"] == []
    (line,) = found["lines"]
    assert not line["works"]
    assert line["reason"] == "no energy, power: the driver does not show it for this GPU"


COUNT, PLACE = "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"


@pytest.mark.parametrize(
    ("fail", "works"),
    [
        (f"{PLACE}@1=15", [True, False]),
        (f"{COUNT}=15,{PLACE}@1=15", [True, False]),
        (f"{COUNT}=15,{PLACE}@0=15", [False, True]),
        (f"{COUNT}=999,{PLACE}@1=999", [True, False]),
        (f"{COUNT}=999", [True, True]),
    ],
)
def test_lost_gpu_of_two_is_named_beside_the_other(nvml_library, fail, works):
    """A driver may not even count its GPUs if one of them is lost."""
    found = probe(nvml_library.environment(GPUS=2, FAIL=fail))
    assert [line["works"] for line in found["lines"]] == works
    for gpu, line in enumerate(found["lines"]):
        named = line["signals"][0] if line["works"] else line["reason"]
        assert named.startswith(f"gpu:{gpu}")
    lost = {f"gpu:{gpu} energy" for gpu, answers in enumerate(works) if not answers}
    assert set(found["failures"]) == lost


def test_zero_power_is_no_reading(nvml_library):
    found = probe(nvml_library.environment(POWER_W=0))
    assert quantities(found["readings"][0]) == EVERYTHING - {"energy", "power"}
    assert set(found["failures"].values()) == {"the driver shows 0, which is no reading"}
    assert found["energy"] == []


def test_gpu_lost_during_readings_leaves_the_other(nvml_library):
    found = probe(nvml_library.environment(GPUS=2, LOST="1@0.4"), times=8, pause_s=0.1)
    first, last = found["readings"][0], found["readings"][-1]
    assert quantities(name for name in first if name.startswith("gpu:1")) == EVERYTHING
    assert not [name for name in last if name.startswith("gpu:1")]
    assert "gpu:0 energy" in last
    assert set(found["failures"]) == {f"gpu:1 {quantity}" for quantity in EVERYTHING}
    reason = "the GPU is lost; sudo dmesg | grep Xid says why; reboot"
    assert set(found["failures"].values()) == {reason}


def test_lost_gpu_is_asked_once(nvml_library, tmp_path):
    log = tmp_path / "log"
    script = {"FAIL": "nvmlDeviceGetTotalEnergyConsumption=15", "LOG": log}
    found = probe(nvml_library.environment(**script), ["0000:01:00.0"])
    assert found["readings"] == [{}, {}]
    assert quantities(found["failures"]) == EVERYTHING
    assert not [call for call in log.read_text().split() if call == "nvmlDeviceGetClockInfo"]


@pytest.mark.parametrize(
    ("code", "reason", "cure"),
    [
        (4, "no permission to open the NVIDIA driver", "/dev/nvidiactl"),
        (9, "the NVIDIA driver is not loaded", "sudo modprobe nvidia"),
        (12, "there is no NVIDIA driver library (libnvidia-ml.so.1)", "install the NVIDIA driver"),
        (
            18,
            "the NVIDIA driver in the kernel and its library are of different versions",
            "reboot, or reload",
        ),
        (999, "the driver fails (NVML: Unknown Error)", "sudo dmesg"),
    ],
)
def test_driver_that_does_not_open_gives_no_meter(nvml_library, code, reason, cure):
    found = probe(nvml_library.environment(FAIL=f"nvmlInitWithFlags={code}"))
    assert not found["open"]
    (line,) = found["lines"]
    assert not line["works"]
    assert reason in line["reason"]
    assert cure in line["cure"]


def test_library_that_cannot_be_loaded_gives_no_meter(tmp_path):
    """A missing library fails in the same way, but a real one could be found instead of it."""
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    found = probe(os.environ | {"LD_LIBRARY_PATH": str(tmp_path)})
    assert not found["open"]
    assert found["lines"][0]["reason"] == "there is no NVIDIA driver library (libnvidia-ml.so.1)"
    assert found["lines"][0]["cure"].startswith("install the NVIDIA driver")


def test_missing_nvidia_ml_py_gives_no_meter(tmp_path):
    (tmp_path / "pynvml.py").write_text("raise ImportError")
    found = probe(os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])})
    assert not found["open"]
    assert found["lines"][0]["reason"] == "the Python package nvidia-ml-py is missing"
    assert found["lines"][0]["cure"] == "pip install nvidia-ml-py"


def test_driver_without_gpu_gives_no_meter(nvml_library):
    found = probe(nvml_library.environment(GPUS=0))
    assert not found["open"]
    assert found["lines"][0]["reason"] == "the NVIDIA driver has no GPU"


def test_failing_count_has_reason(nvml_library):
    fail = "nvmlDeviceGetCount_v2=999,nvmlDeviceGetHandleByIndex_v2=2"
    found = probe(nvml_library.environment(FAIL=fail))
    assert list(found["failures"]) == ["gpu energy"]
    assert not found["lines"][0]["works"]
    assert "Unknown Error" in found["lines"][0]["reason"]


@pytest.mark.parametrize(
    "gpu", [uuid(1), uuid(1).removeprefix("GPU-"), address(1), "00000000:02:00.0"]
)
def test_only_gpu_in_use_is_read(nvml_library, tmp_path, gpu):
    log = tmp_path / "log"
    environment = nvml_library.environment(GPUS=2, POWER_W="100,250", LOG=log)
    program = "import sys; from hwbench.meters import nvml, read_all\n"
    program += "print(read_all(nvml.open_meter(sys.argv[1:])))"
    command = [sys.executable, "-c", program, gpu]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)
    assert {line.split()[1] for line in log.read_text().splitlines()} == {"1", "-1"}

    found = probe(environment, [gpu])
    assert {name.split()[0] for name in found["readings"][0]} == {"gpu:1"}
    assert found["readings"][0]["gpu:1 power"] == 250
    assert found["failures"] == {}


@pytest.mark.parametrize(
    ("gpus", "script"),
    [
        ([slice_uuid(1)], {}),
        ([slice_uuid(1).removeprefix("MIG-")], {}),
        ([slice_uuid(1), uuid(1)], {"MIG": "0,1"}),
        ([uuid(1)], {"MIG": "0,1"}),  # if CUDA gives the UUID of the card
        ([address(1)], {"MIG": "0,1"}),
    ],
)
def test_slice_has_no_energy(nvml_library, gpus, script):
    found = probe(nvml_library.environment(GPUS=2, **script), gpus)
    assert {name.split()[0] for name in found["readings"][0]} == {"gpu:1"}
    assert quantities(found["readings"][0]) == EVERYTHING - {"energy", "power"}
    assert found["energy"] == []
    assert set(found["failures"]) == {"gpu:1 energy", "gpu:1 power"}
    assert "only a MIG slice" in found["failures"]["gpu:1 energy"]


def test_card_in_mig_mode_is_read_when_all_cards_are(nvml_library):
    assert quantities(probe(nvml_library.environment(MIG=1))["readings"][0]) == EVERYTHING


def test_driver_without_mig_has_whole_cards(nvml_library):
    found = probe(nvml_library.environment(MIG=1, FAIL="nvmlDeviceGetMigMode=13"), [uuid(0)])
    assert quantities(found["readings"][0]) == EVERYTHING


def test_unknown_gpu_is_named(nvml_library):
    found = probe(nvml_library.environment(), [uuid(7), "0000:07:00.0", uuid(0)])
    why = "the driver knows no such GPU; compare with nvidia-smi -L"
    assert found["failures"] == {f"gpu:{uuid(7)} energy": why, "gpu:0000:07:00.0 energy": why}
    assert quantities(found["readings"][0]) == EVERYTHING


def test_gpu_is_found_beside_a_lost_one(nvml_library):
    """NVML may fail to look for a UUID with "a GPU is lost" if any GPU is lost."""
    script = {"GPUS": 3, "FAIL": "nvmlDeviceGetHandleByUUID=15,nvmlDeviceGetHandleByIndex_v2@0=15"}
    for name in (uuid(2), uuid(2).removeprefix("GPU-")):
        found = probe(nvml_library.environment(**script), [name])
        assert found["failures"] == {}
        assert {name.split()[0] for name in found["readings"][0]} == {"gpu:2"}


@pytest.mark.parametrize("name", [uuid(0), uuid(0).removeprefix("GPU-")])
def test_lost_gpu_is_not_called_unknown(nvml_library, name):
    found = probe(nvml_library.environment(LOST="0@0"), [name])
    assert found["failures"] == {
        f"gpu:{name} energy": "the GPU is lost; sudo dmesg | grep Xid says why; reboot"
    }


def test_no_gpu_in_use_gives_no_meter(nvml_library, tmp_path):
    assert not probe(nvml_library.environment(), [])["open"]


def test_gpu_that_fails_to_open_leaves_the_other(nvml_library):
    found = probe(nvml_library.environment(GPUS=2, FAIL="nvmlDeviceGetHandleByIndex_v2@0=4"))
    assert list(found["failures"]) == ["gpu:0 energy"]
    assert "gpu:1 energy" in found["readings"][0]
    assert [line["works"] for line in found["lines"]] == [False, True]


@pytest.mark.parametrize(
    ("mask", "events"),
    [
        ("0x1", {"idle"}),
        ("0x112", set()),  # set clocks, sync boost, display
        ("0x4", {"power_capped"}),
        ("0x8", {"throttled"}),
        ("0x64", {"power_capped", "throttled"}),
        ("0x80", {"throttled"}),
    ],
)
def test_slowed_clocks_are_signals(nvml_library, mask, events):
    # older drivers have the older name
    for fail in ("", "nvmlDeviceGetCurrentClocksEventReasons=13"):
        reading = probe(nvml_library.environment(EVENTS=mask, FAIL=fail))["readings"][0]
        names = ("throttled", "power_capped", "idle")
        assert {name for name in names if reading[f"gpu:0 {name}"]} == events


# with a driver that replaces pynvml, in this process


ENERGY = Signal("nvml", "gpu:0", "energy", "J")
TEMPERATURE = Signal("nvml", "gpu:0", "temperature", "°C")


def test_slow_questions_are_asked_once_a_second():
    now_s = 10.0
    meter = NvmlMeter(Driver(), None, clock=lambda: now_s)
    shown = []
    for now_s in (10.0, 10.05, 10.9, 11.0, 11.05):  # noqa: B007  the clock reads it
        shown.append(TEMPERATURE in read_all(meter))
    assert shown == [True, False, False, True, False]


def test_old_package_has_reason_and_cure():
    meter = NvmlMeter(Driver(), None)
    reason = meter.failures[Signal("nvml", "gpu:0", "power", "W")]
    assert reason.startswith("the Python package nvidia-ml-py is too old to ask for it; ")
    assert reason.endswith("; pip install --upgrade nvidia-ml-py")
    assert isinstance(meter.energy[0], Counter)


def test_zero_between_readings_is_noted_and_asked_again():
    driver = Driver()
    meter = NvmlMeter(driver, None)
    driver.millijoules = 0
    assert ENERGY not in read_all(meter)
    driver.millijoules = 6000
    assert read_all(meter)[ENERGY] == 6
    assert meter.failures[ENERGY] == "the driver shows 0, which is no reading"


@pytest.mark.parametrize("code", [19, 20, 21])
def test_temporary_failure_is_asked_again(code):
    driver = Driver()
    meter = NvmlMeter(driver, None)
    driver.millijoules = NVMLError(code)
    assert ENERGY not in read_all(meter)
    assert ENERGY in meter.failures
    driver.millijoules = 6000
    assert read_all(meter)[ENERGY] == 6


def test_permanent_failure_is_not_asked_again():
    driver = Driver()
    meter = NvmlMeter(driver, None)
    driver.millijoules = NVMLError(999)
    read_all(meter)
    asked = driver.asked.count("energy")
    read_all(meter)
    assert driver.asked.count("energy") == asked


def test_closed_meter_reads_nothing_and_closes_library_once():
    driver = Driver()
    meter = NvmlMeter(driver, None)
    driver.users += 1  # another user of the library
    meter.close()
    meter.close()
    assert read_all(meter) == {}
    assert driver.users == 1


def test_power_sensor_alone_is_an_energy_source(nvml_library):
    found = probe(nvml_library.environment(FAIL="nvmlDeviceGetTotalEnergyConsumption=3"))
    assert [kind for kind, _ in found["energy"]] == [PowerSensor.__name__]


# foreign processes on the GPU


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n", timeout=30)


@pytest.mark.parametrize("in_container", [False, True])
def test_own_process_and_children_are_not_foreign(monkeypatch, child, in_container):
    monkeypatch.setattr(sharing, "_in_container", lambda: in_container)
    assert sharing.others([]) == 0
    assert sharing.others([os.getpid(), child]) == 0
    assert sharing.others([os.getpid(), 2**22 + 1, child]) == 1


def test_ancestors_are_not_foreign_but_their_other_children_are(child):
    """As a command, a notebook or a test that has opened the GPU before it starts a worker."""
    program = "import os, sys; from hwbench.meters.nvml.sharing import others\n"
    program += "print(others([os.getpid(), *map(int, sys.argv[1:])]))"

    def others(*pids):
        command = [sys.executable, "-c", program, *map(str, pids)]
        options = {"capture_output": True, "text": True, "check": True, "timeout": 60}
        return int(subprocess.run(command, cwd=ROOT, **options).stdout)

    assert others(os.getpid()) == 0
    assert others(os.getpid(), os.getppid()) == 0
    assert others(os.getpid(), child) == 1


def test_one_unknown_process_in_container_is_ours(monkeypatch):
    unknown = [2**22 + 1, 2**22 + 2]  # above the process numbers of Linux
    monkeypatch.setattr(sharing, "_in_container", lambda: True)
    assert sharing.others(unknown) == 1
    assert sharing.others(unknown[:1]) == 0
    monkeypatch.setattr(sharing, "_in_container", lambda: False)
    assert sharing.others(unknown) == 2


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="namespaces of processes are Linux's"
)
def test_container_is_recognised_by_namespace(monkeypatch):
    monkeypatch.setattr(os, "readlink", lambda path: sharing.ALL_PROCESSES)
    assert not sharing._in_container()
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026532000]")
    assert sharing._in_container()


# the table of sensors


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        ("NVIDIA A100-PCIE-40GB", 0.06),
        ("A100-PCIE-40GB", 0.06),  # as drivers before 470 write it
        ("NVIDIA A100 80GB PCIe", 0.06),
        ("NVIDIA A100-SXM4-40GB", None),
        ("NVIDIA GeForce RTX 3090", 0.06),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA H100 80GB HBM3", None),
        ("", None),
    ],
)
def test_gain_is_only_of_the_measured_board(name, gain):
    assert gain_of(name) == gain


def test_unpublished_gpu_has_worst_sensor():
    assert sensor_of((7, 0)).update_s == 0.02
    for capability in (None, (6, 1), (10, 0), (12, 0)):
        assert sensor_of(capability) is UNKNOWN
