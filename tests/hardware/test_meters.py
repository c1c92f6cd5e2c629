"""The oddities of NVIDIA's GPUs as NVML shows them, one row each.

A row has what the hardware or its driver does, the public report that it is from, and the right
answer. Stand-ins take the place of the hardware.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nvml_library import slice_uuid

from .reports import NONE_FOUND, REPORT

ROOT = Path(__file__).resolve().parents[2]
ANY = object()
"""What a row does not say."""

NAME = "NVIDIA Fake GPU"
ENERGY, POWERS = (
    "nvmlDeviceGetTotalEnergyConsumption",
    ("field", "nvmlDeviceGetSamples", "nvmlDeviceGetPowerUsage"),
)
MEMORY = ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo")
CLOCKS = ("nvmlDeviceGetClockInfo", "nvmlDeviceGetUtilizationRates")
HEAT = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
LIMITS = ("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetPowerManagementLimitConstraints")


def failing(*calls: str, code: int = 3, gpu: int | None = None) -> str:
    """The variable FAIL of the library: 3 is "not supported"."""
    at = "" if gpu is None else f"@{gpu}"
    return ",".join(f"{call}{at}={code}" for call in calls)


@dataclass(frozen=True)
class Nvidia:
    """A driver by its `script` (see nvml_library), and what is right.

    `names` of the GPUs in `hwbench info` (None: unknown); `works`: which of them have energy;
    `reason`: in what is said of the first GPU that lacks something; `lacks`: quantities that no GPU
    shows; `gpus`: those in use, all without; `window_s`: how long energy is measured; `watts`:
    what each GPU then takes on average, ± 20 % (None: unknown); `notes` on it.
    """

    oddity: str
    source: str
    script: dict[str, object]
    names: list[str | None] | object = field(default_factory=lambda: [NAME])
    works: list[bool] = field(default_factory=lambda: [True])
    reason: str = ""
    lacks: tuple[str, ...] = ()
    gpus: list[str] | None = None
    window_s: float = 0.0
    watts: tuple[float | None, ...] = ()
    notes: str = ""


NVIDIA = [
    Nvidia(
        "a name that is not UTF-8, with drivers 555 under WSL2",
        "XuehaiPan/nvitop#127",
        {"NAME": os.fsdecode(b"\xf8\xff\x01")},
        names=[None],
    ),
    Nvidia(
        "every text is garbage",
        "wookayin/gpustat#170",
        {"NAME": os.fsdecode(b"\xf8"), "DRIVER": os.fsdecode(b"\x80\x81")},
        names=[None],
    ),
    Nvidia("a name that is empty", NONE_FOUND, {"NAME": " "}, names=[None]),
    Nvidia("a name beyond ASCII", NONE_FOUND, {"NAME": "GeForce® 测试"}, names=["GeForce® 测试"]),
    Nvidia(
        "a card in MIG mode has no utilization",
        "XuehaiPan/nvitop#5",
        {"MIG": 1, "FAIL": failing("nvmlDeviceGetUtilizationRates")},
        reason="no utilization: the driver does not show it",
        lacks=("utilization",),
    ),
    Nvidia(
        "a MIG slice would have the power of the whole card",
        "guilbaults/slurm-job-exporter#55",
        {"MIG": 1},
        gpus=[slice_uuid(0)],
        lacks=("energy", "power"),
        window_s=0.3,
        watts=(None,),
    ),
    Nvidia(
        "a virtual GPU (GRID) does not answer most questions",
        "NVIDIA/TensorRT-LLM#1861",
        {"FAIL": failing(ENERGY, *POWERS, *LIMITS, *CLOCKS, *HEAT)},
        works=[False],
        reason="no energy, power",
        lacks=("energy", "power", "sm_clock", "temperature"),
    ),
    Nvidia(
        "WSL2 shows neither utilization nor memory",
        "dask/distributed#5343",
        {"FAIL": failing("nvmlDeviceGetUtilizationRates", *MEMORY)},
        lacks=("utilization", "memory_used"),
    ),
    Nvidia(
        "a Jetson's NVML opens and shows nothing but a name",
        "HazyResearch/intelligence-per-watt#40",
        {
            "NAME": "Orin (nvgpu)",
            "FAIL": failing(ENERGY, *POWERS, *LIMITS, *CLOCKS, *HEAT, *MEMORY),
        },
        names=["Orin (nvgpu)"],
        works=[False],
        reason="no energy, power",
        lacks=("energy", "power", "memory_used", "utilization"),
    ),
    Nvidia(
        "a GPU before Volta has no energy counter",
        "mlco2/codecarbon#608",
        {"FAIL": failing(ENERGY)},
        reason="no energy: the driver does not show it",
        lacks=("energy",),
        window_s=0.8,
        watts=(100.0,),
    ),
    Nvidia(
        "two cards of two kinds, one without power",
        "msminhas93/nviwatch#28",
        {"GPUS": 2, "FAIL": failing(ENERGY, *POWERS, gpu=0)},
        names=[NAME, NAME],
        works=[False, True],
        reason="no energy, power",
    ),
    Nvidia(
        "one of two cards is lost",
        "rossumai/nvgpu#6",
        {"GPUS": 2, "FAIL": failing("nvmlDeviceGetHandleByIndex_v2", code=15, gpu=1)},
        names=[NAME, None],
        works=[True, False],
        reason="gpu:1: the GPU is lost",
    ),
    Nvidia(
        "one of two cards is lost, and the driver calls it an unknown error",
        "NVIDIA/dcgm-exporter#604",
        {"GPUS": 2, "FAIL": failing("nvmlDeviceGetHandleByIndex_v2", code=999, gpu=0)},
        names=[None, NAME],
        works=[False, True],
        reason="gpu:0: the driver fails (NVML: Unknown Error)",
    ),
    Nvidia(
        "one of two cards is lost, and the driver does not even count them",
        NONE_FOUND,
        {"GPUS": 2, "FAIL": "nvmlDeviceGetCount_v2=15,nvmlDeviceGetHandleByIndex_v2@1=15"},
        names=[NAME, None],
        works=[True, False],
        reason="gpu:1: the GPU is lost",
    ),
    Nvidia(
        "one of two cards falls off the bus in mid-run",
        "NVIDIA/open-gpu-kernel-modules#387",
        {"GPUS": 2, "LOST": "1@0.4"},
        names=[NAME, NAME],
        works=[True, True],
        window_s=0.9,
        watts=(100.0, None),
    ),
    Nvidia(
        "the driver in the kernel and its library are of two versions",
        "tensorpack/tensorpack#1244",
        {"FAIL": failing("nvmlInitWithFlags", code=18)},
        names=ANY,
        works=[False],
        reason="are of different versions",
    ),
    Nvidia(
        "driver 580 shows 3.7 MW",
        "flightlessmango/MangoHud#2144",
        {"SENSOR_W": 3.7e6, "FAIL": failing(ENERGY)},
        lacks=("energy",),
        window_s=0.8,
        watts=(None,),
    ),
    Nvidia(
        "the counter shows 187 J and the sensor 327 J",
        "ml-energy/zeus#181",
        {"POWER_W": 37.5, "SENSOR_W": 65.4},
        window_s=1.2,
        watts=(37.5,),
        notes="energy_disagreement: gpu:0's counter says",
    ),
]

NVIDIA_PROGRAM = """
import json, os, sys, time
from dataclasses import asdict
from hwbench.machine.nvidia import collect_gpus
from hwbench.meters import nvml, read_all
from hwbench.meters.block import MeteredBlock

def answer(row):
    for name in [name for name in os.environ if name.startswith("FAKE_NVML_")]:
        del os.environ[name]
    os.environ.update({f"FAKE_NVML_{name}": str(value) for name, value in row["script"].items()})
    facts = collect_gpus()
    lines = [asdict(line) for line in nvml.sources()]
    meter, shown, readings, notes = nvml.open_meter(row["gpus"]), set(), [], []
    if meter:
        shown = {signal.quantity for signal in read_all(meter)}
        with MeteredBlock([meter], time.monotonic_ns) as block:
            time.sleep(row["window_s"])
        readings, notes = [vars(one) for one in block.readings()], block.notes()
    return {"facts": facts, "lines": lines, "shown": sorted(shown), "readings": readings,
            "notes": notes, "took_s": block.elapsed_s if meter else None}

print(json.dumps([answer(row) for row in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def nvidia(nvml_library):
    """What is found on each row, by its oddity. The library reads its script at every call, so one
    process is enough."""
    rows = [{name: getattr(row, name) for name in ("script", "gpus", "window_s")} for row in NVIDIA]
    command = [sys.executable, "-W", "error", "-c", NVIDIA_PROGRAM]
    environment = nvml_library.environment() | {"PYTHONPATH": str(ROOT)}
    text = json.dumps(rows)
    done = subprocess.run(
        command, env=environment, input=text, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return dict(zip((row.oddity for row in NVIDIA), json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("row", NVIDIA, ids=lambda row: row.oddity)
def test_nvidia(nvidia, row):
    found = nvidia[row.oddity]
    if row.names is not ANY:
        assert [gpu["name"] for gpu in found["facts"]] == row.names
    assert [line["works"] for line in found["lines"]] == row.works
    assert row.reason in "; ".join(line["reason"] for line in found["lines"])
    assert not set(row.lacks) & set(found["shown"])
    assert row.notes in "; ".join(found["notes"])


@pytest.mark.parametrize("row", [row for row in NVIDIA if row.watts], ids=lambda row: row.oddity)
def test_nvidia_energy(nvidia, row):
    found = nvidia[row.oddity]
    energies = [one for one in found["readings"] if one["quantity"] == "energy"]
    for energy, watts in zip(energies, row.watts, strict=True):
        if watts is None:
            assert (energy["value"], bool(energy["reason"])) == (None, True)
        else:
            assert energy["value"] == pytest.approx(watts * found["took_s"], rel=0.2)


@pytest.mark.parametrize("row", NVIDIA, ids=lambda row: row.oddity)
def test_every_row_names_its_report(row):
    assert REPORT.fullmatch(row.source)
