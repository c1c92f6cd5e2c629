"""An NVIDIA driver without a GPU, for whole programs: fake_nvml.c, compiled and found by the real
nvidia-ml-py.

The fixture `nvml_library` (from conftest.py) compiles it once a session. A program sees it through
the environment:

    environment = nvml_library.environment(GPUS=2, POWER_W="100,250")
    done = subprocess.run([sys.executable, "-m", "hwbench", ...], env=environment)

What the library does, each also to be changed by the program itself while it runs
(os.environ["FAKE_NVML_…"]):

    GPUS=1            how many; GPU n has the UUID `uuid(n)`, one MIG slice `slice_uuid(n)`, the address `address(n)`
    POWER_W=100       watts of each GPU, as "100,250"; the last is for the rest. The energy counter adds them up, in
                      steps of TICK_S=0.1, on the monotonic clock, so that all processes see the same counter. With 0
                      all of them show 0
    FAIL              calls that fail, by NVML's error number: "nvmlDeviceGetTotalEnergyConsumption=3", for GPU 1 alone
                      "nvmlDeviceGetPowerUsage@1=999", more with commas between. A field of nvmlDeviceGetFieldValues is
                      "field". 13 is what nvidia-ml-py makes of a missing symbol. nvmlInit is "nvmlInitWithFlags"
    LOST              "1@0.5": GPU 1 is lost half a second after the library was first opened in a process
    NAME, CAPABILITY, ARCHITECTURE   of each GPU: "NVIDIA Fake GPU", "9.0" and 9 (Hopper)
    MIG               1 for each GPU in MIG mode, as "0,1"
    EVENTS            the mask of clocks event reasons of each GPU, as "0x4,0"
    PROCESSES         numbers of the processes that compute on each GPU, as "self,1"
    LOG               a file to which each call adds a line: its name and its GPU, -1 for none
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")


@dataclass(frozen=True)
class NvmlLibrary:
    """The folder that has the library, as libnvidia-ml.so.1."""

    folder: Path

    def environment(self, **script: object) -> dict[str, str]:
        """This process's environment with the library before any other, and with what it is told to
        do."""
        told = {f"FAKE_NVML_{name}": str(value) for name, value in script.items()}
        folders = os.pathsep.join(
            filter(None, [str(self.folder), os.environ.get("LD_LIBRARY_PATH")])
        )
        return {**os.environ, "LD_LIBRARY_PATH": folders, **told}


def uuid(gpu: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{gpu:012x}"


def slice_uuid(gpu: int) -> str:
    return f"MIG-00000000-0000-0000-0001-{gpu:012x}"


def address(gpu: int) -> str:
    return f"0000:{gpu + 1:02x}:00.0"


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> NvmlLibrary:
    """Skips where there is no C compiler, or no LD_LIBRARY_PATH."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the driver library is found by LD_LIBRARY_PATH, which is Linux's")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler (cc) to build a driver library with; install gcc")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", target, SOURCE, "-lm"], check=True, timeout=60
    )
    return NvmlLibrary(folder)
