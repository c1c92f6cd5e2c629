"""An NVIDIA driver without a GPU, for whole programs: fake_nvml.c, compiled and found by the real
nvidia-ml-py.

The fixture `nvml_library` (from conftest.py) compiles it once a session. A program sees it through
the environment:

    environment = nvml_library.environment(GPUS=2, POWER_W="100,250")
    done = subprocess.run([sys.executable, "-m", "hwbench", ...], env=environment)

The variables, each with the prefix FAKE_NVML_; a program may change them while it runs:

    GPUS=1          how many; GPU n has the UUID `uuid(n)`, a MIG slice `slice_uuid(n)` and the
                    address `address(n)`
    POWER_W=100     watts of each GPU, as "100,250"; the last is for the rest. The energy counter
                    adds them up in steps of TICK_S=0.1 on the monotonic clock, so all processes
                    see the same counter. With 0 all calls for energy and power show 0
    SENSOR_W        what the power sensors show, if it is not POWER_W
    LIMIT_W=700     the power limit of each GPU
    FAIL            calls that fail, with NVML's error number:
                    "nvmlDeviceGetTotalEnergyConsumption=3", or for GPU 1 alone
                    "nvmlDeviceGetPowerUsage@1=999"; several with commas. A field of
                    nvmlDeviceGetFieldValues is "field", nvmlInit is "nvmlInitWithFlags". 13 is
                    nvidia-ml-py's number for a missing symbol
    LOST            "1@0.5": GPU 1 is lost half a second after a process first opened the library
    NAME, CAPABILITY, ARCHITECTURE   of each GPU: "NVIDIA Fake GPU", "9.0" and 9 (Hopper)
    MIG             1 for each GPU in MIG mode, as "0,1"
    EVENTS          the mask of clocks event reasons of each GPU, as "0x4,0"
    PROCESSES       numbers of the processes that compute on each GPU, as "self,1"
    LOG             a file that gets a line for each call: its name and its GPU, -1 for none
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
    """The folder of the library libnvidia-ml.so.1."""

    folder: Path

    def environment(self, **script: object) -> dict[str, str]:
        """This process's environment with the library before any other, and with the variables of
        `script`."""
        variables = {f"FAKE_NVML_{name}": str(value) for name, value in script.items()}
        folders = [str(self.folder), os.environ.get("LD_LIBRARY_PATH", "")]
        path = os.pathsep.join(filter(None, folders))
        return {**os.environ, "LD_LIBRARY_PATH": path, **variables}


def uuid(gpu: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{gpu:012x}"


def slice_uuid(gpu: int) -> str:
    return f"MIG-00000000-0000-0000-0001-{gpu:012x}"


def address(gpu: int) -> str:
    return f"0000:{gpu + 1:02x}:00.0"


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> NvmlLibrary:
    """The compiled library. Skips without a C compiler or LD_LIBRARY_PATH."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the driver library is found through LD_LIBRARY_PATH, on Linux only")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler (cc) to build a driver library; install gcc")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", target, SOURCE, "-lm"], check=True, timeout=60
    )
    return NvmlLibrary(folder)
