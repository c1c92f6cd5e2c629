import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hwbench import devices
from hwbench.devices import _torch, compiler, processor
from hwbench.devices.fake import FakeDevice
from hwbench.devices.timers import HostTimer
from hwbench.meters import Source, nvml
from hwbench.records import Unsupported, UserError
from hwbench.system import cgroups, cpu, files

ROOT = Path(__file__).resolve().parents[2]

GUARDED = """
import torch
from hwbench import devices
from hwbench.devices import host_memory

device = devices.open_device("cpu")
host_memory.free_bytes = lambda: 300 << 20
device.guard_memory()
torch.empty(50 << 20)  # 200 MiB
try:
    torch.empty(75 << 20)  # 300 MiB
except RuntimeError as error:
    print(device.is_out_of_memory(error))
"""


class TestResolve:
    def test_auto_is_the_best_device(self, monkeypatch):
        monkeypatch.setattr(devices, "available", lambda: {"cuda:0": "H100", "cpu": "EPYC"})
        assert devices.resolve("auto") == "cuda:0"
        assert devices.resolve("cuda") == "cuda:0"
        assert devices.resolve("cpu") == "cpu"

    def test_missing_index_lists_devices(self, monkeypatch):
        monkeypatch.setattr(devices, "available", lambda: {"cuda:0": "H100", "cpu": "EPYC"})
        with pytest.raises(
            UserError, match=r"no device cuda:3 here; there is cuda:0 \(H100\), cpu \(EPYC\)"
        ):
            devices.resolve("cuda:3")

    @pytest.mark.parametrize("spec", ["tpu", "mps", "xpu", "cpu:1", "auto:1"])
    def test_missing_device_names_cure(self, spec):
        if spec in devices.available():
            pytest.skip(f"this machine has {spec}")
        with pytest.raises(
            UserError, match=rf"no device {spec} here; there is .*--device (cpu|auto)"
        ):
            devices.resolve(spec)

    @pytest.mark.parametrize("spec", ["gpu", "cuda:", "cuda:x", "", "CPU", "cuda:-1"])
    def test_unknown_spec_is_refused(self, spec):
        with pytest.raises(UserError, match="unknown device"):
            devices.resolve(spec)


class TestCpu:
    def test_cpu_is_timed_by_host_clock(self):
        assert isinstance(devices.open_device("cpu").timer(), HostTimer)

    def test_memory_peak_grows_with_allocation_and_is_reset(self):
        device = devices.open_device("cpu")
        device.reset_memory_peak()
        before = device.memory_peak_bytes()
        torch.ones(50_000_000)
        peak = device.memory_peak_bytes()
        assert before + 190e6 < peak < before + 300e6
        device.reset_memory_peak()
        assert device.memory_peak_bytes() < peak - 100e6

    def test_case_larger_than_memory_is_unsupported(self):
        with pytest.raises(Unsupported, match=r"needs at least 1048576\.0 GiB, this machine has"):
            devices.open_device("cpu").require("fp32", 1 << 50)

    def test_case_larger_than_the_limit_of_its_group_is_unsupported(self, monkeypatch):
        monkeypatch.setattr(cgroups, "memory_limit_bytes", lambda: 4 << 30)
        device = devices.open_device("cpu")
        assert device.describe()["memory_limit_bytes"] == 4 << 30
        for refusal in (
            lambda: device.require("fp32", 5 << 30),
            lambda: device.require_memory(5 << 30),
        ):
            with pytest.raises(Unsupported, match=r"this machine has 4\.0 GiB"):
                refusal()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
    def test_guarded_process_runs_out_of_memory_first(self):
        command = [sys.executable, "-c", GUARDED]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        assert done.stdout == "True\n"

    def test_failed_allocation_is_out_of_memory(self):
        with pytest.raises(RuntimeError) as error:
            torch.empty(1 << 55)
        assert devices.open_device("cpu").is_out_of_memory(error.value)

    def test_missing_dtype_is_unsupported(self):
        with pytest.raises(
            Unsupported, match="torch has no fp8 arithmetic for this kind of device"
        ):
            devices.open_device("cpu").require("fp8")

    def test_caches_are_those_of_usable_cores_and_shared_ones_count_once(
        self, monkeypatch, tmp_path
    ):
        for core, index, kind, level, size, shared in [
            (0, 0, "Data", 1, "32K", "0"),
            (0, 1, "Instruction", 1, "64K", "0"),
            (0, 2, "Unified", 2, "1024K", "0"),
            (0, 3, "Unified", 3, "32768K", "0-1"),
            (1, 0, "Data", 1, "32K", "1"),
            (1, 2, "Unified", 2, "1024K", "1"),
            (1, 3, "Unified", 3, "32768K", "0-1"),
            (2, 2, "Unified", 2, "1024K", "2"),
        ]:
            folder = tmp_path / processor.CPUS / f"cpu{core}/cache/index{index}"
            folder.mkdir(parents=True)
            contents = {"type": kind, "level": level, "size": size, "shared_cpu_list": shared}
            for file, text in contents.items():
                (folder / file).write_text(f"{text}\n")
        # as on some virtual machines
        (tmp_path / processor.CPUS / "cpu1/cache/index0/size").unlink()
        monkeypatch.setattr(files, "ROOT", tmp_path)
        monkeypatch.setattr(cpu, "allowed_processors", lambda: {0, 1})
        sizes = {"l1": 32 << 10, "l2": 2 << 20, "l3": 32 << 20}
        assert devices.open_device("cpu").caches() == sizes

    def test_caches_without_description_are_left_out(self, monkeypatch, tmp_path):
        monkeypatch.setattr(files, "ROOT", tmp_path)
        assert devices.open_device("cpu").caches() == {}

    def test_space_in_path_of_torch_makes_compiling_unsupported(self, monkeypatch):
        monkeypatch.setattr(compiler, "require_compiler", lambda *_: None)
        monkeypatch.setattr(torch, "__file__", "/a b/torch/__init__.py")
        with pytest.raises(Unsupported, match="its path has a space"):
            devices.open_device("cpu").require_compiler()


class TestCompiler:
    def test_one_of_the_compilers_is_enough(self, monkeypatch, tmp_path):
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(
            compiler.shutil, "which", lambda name: name if name == "clang" else None
        )
        monkeypatch.setattr(compiler.sysconfig, "get_path", lambda _: str(tmp_path))
        (tmp_path / "Python.h").touch()
        compiler.require_compiler("CC", ["gcc", "clang"])

    def test_missing_compiler_names_cure(self, monkeypatch):
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(compiler.shutil, "which", lambda _: None)
        with pytest.raises(
            Unsupported, match="there is no gcc or clang here; install one, name it in CC"
        ):
            compiler.require_compiler("CC", ["gcc", "clang"])

    def test_missing_python_headers_are_unsupported(self, monkeypatch, tmp_path):
        monkeypatch.setattr(compiler.shutil, "which", lambda name: name)
        monkeypatch.setattr(compiler.sysconfig, "get_path", lambda _: str(tmp_path))
        with pytest.raises(Unsupported, match="needs Python's headers"):
            compiler.require_compiler("CC", ["gcc"])


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (MemoryError(), True),
        (RuntimeError("shapes cannot be multiplied"), False),
    ],
)
def test_is_out_of_memory(error, known):
    assert _torch.is_out_of_memory(error) is known


class TestWithoutAGpu:
    """The error of a torch with CUDA that finds no GPU, by what NVIDIA's driver says."""

    @pytest.fixture(autouse=True)
    def built_with_cuda(self, monkeypatch):
        monkeypatch.setattr(torch.version, "cuda", "13.0")

    def refusal(self, monkeypatch, *sources):
        """The error, if NVML shows these sources."""
        monkeypatch.setattr(nvml, "sources", lambda: list(sources))
        with pytest.raises(UserError) as error:
            devices.resolve("cuda")
        return str(error.value)

    def test_missing_driver_is_named(self, monkeypatch):
        reason, cure = "there is no NVIDIA driver library", "install the NVIDIA driver"
        message = self.refusal(monkeypatch, Source("nvml", False, reason=reason, cure=cure))
        missing = f"what is missing is the driver: {reason}. Cure: {cure}"
        assert f"built for CUDA 13.0; {missing}" in message
        assert "\n" not in message

    def test_gpu_unseen_by_torch_names_variable_and_driver(self, monkeypatch):
        message = self.refusal(monkeypatch, Source("nvml", True, ("gpu:0 energy",)))
        assert "the driver has a GPU that torch does not see. Check CUDA_VISIBLE_DEVICES" in message

    def test_torch_without_cuda_is_named(self, monkeypatch):
        monkeypatch.setattr(torch.version, "cuda", None)
        assert "Install the GPU's driver and a torch build with CUDA" in self.refusal(monkeypatch)


def test_fake_device_is_opened_by_name_only():
    assert "fake" not in devices.available()
    assert isinstance(devices.open_device(devices.resolve("fake")), FakeDevice)


def test_torch_workload_on_fake_device_is_unsupported():
    device = FakeDevice()
    with pytest.raises(AttributeError) as raised:
        _ = device.torch
    assert device.missing_operator(raised.value) == (
        "the fake device runs no torch workloads (it has no 'torch')"
    )
    assert device.missing_operator(AttributeError("a workload's own mistake")) is None
