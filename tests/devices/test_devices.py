import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hwbench import devices
from hwbench.devices import _torch, compiler, host_memory, processor
from hwbench.devices.fake import FakeDevice
from hwbench.devices.timers import HostTimer
from hwbench.meters import Source, nvml
from hwbench.records import Unsupported, UserError

ROOT = Path(__file__).resolve().parents[2]


class TestResolve:
    def test_auto_is_the_best_that_is_here(self, monkeypatch):
        monkeypatch.setattr(devices, "available", lambda: {"cuda:0": "H100", "cpu": "EPYC"})
        assert devices.resolve("auto") == "cuda:0"
        assert devices.resolve("cuda") == "cuda:0"
        assert devices.resolve("cpu") == "cpu"

    def test_an_index_that_is_not_there_says_what_is(self, monkeypatch):
        monkeypatch.setattr(devices, "available", lambda: {"cuda:0": "H100", "cpu": "EPYC"})
        with pytest.raises(
            UserError, match=r"no device cuda:3 here; there is cuda:0 \(H100\), cpu \(EPYC\)"
        ):
            devices.resolve("cuda:3")

    @pytest.mark.parametrize("spec", ["tpu", "mps", "xpu", "cpu:1", "auto:1"])
    def test_a_device_that_is_not_there_names_the_cure(self, spec):
        if spec in devices.available():
            pytest.skip(f"there is {spec} here")
        with pytest.raises(
            UserError, match=rf"no device {spec} here; there is .*--device (cpu|auto)"
        ):
            devices.resolve(spec)

    @pytest.mark.parametrize("spec", ["gpu", "cuda:", "cuda:x", "", "CPU", "cuda:-1"])
    def test_what_is_no_device_is_refused(self, spec):
        with pytest.raises(UserError, match="unknown device"):
            devices.resolve(spec)


class TestCpu:
    def test_it_is_timed_by_the_host(self):
        assert isinstance(devices.open_device("cpu").timer(), HostTimer)

    def test_memory_peak_grows_with_what_is_allocated_and_starts_anew(self):
        device = devices.open_device("cpu")
        device.reset_memory_peak()
        before = device.memory_peak_bytes()
        torch.ones(50_000_000)
        peak = device.memory_peak_bytes()
        assert before + 190e6 < peak < before + 300e6
        device.reset_memory_peak()
        assert device.memory_peak_bytes() < peak - 100e6

    def test_what_cannot_fit_is_unsupported_before_it_is_tried(self):
        with pytest.raises(Unsupported, match=r"needs at least 1048576\.0 GiB, this machine has"):
            devices.open_device("cpu").require("fp32", 1 << 50)

    def test_the_containers_limit_counts_where_it_is_lower(self, monkeypatch, tmp_path):
        (tmp_path / "max").write_text("max")
        (tmp_path / "limit").write_text("1000")
        (tmp_path / "used").write_text("300")
        files = {
            str(tmp_path / "max"): str(tmp_path / "used"),
            str(tmp_path / "limit"): str(tmp_path / "used"),
        }
        monkeypatch.setattr(host_memory, "CGROUP_USE", files | {str(tmp_path / "no"): "no"})
        assert host_memory.memory_limit_bytes() == 1000
        assert host_memory.free_bytes() == 700

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to the limit")
    def test_a_guarded_process_runs_out_of_memory_before_the_machine_does(self):
        code = (
            "import torch; from hwbench import devices; from hwbench.devices import host_memory\n"
        )
        code += "device = devices.open_device('cpu'); host_memory.free_bytes = lambda: 300 << 20\n"
        code += "device.guard_memory()\n"
        code += "torch.empty(50 << 20)\n"  # 200 MiB
        code += "try: torch.empty(75 << 20)\nexcept RuntimeError as error: print(device.is_out_of_memory(error))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert done.stdout == "True\n"

    def test_a_failed_allocation_is_out_of_memory(self):
        with pytest.raises(RuntimeError) as error:
            torch.empty(1 << 55)
        assert devices.open_device("cpu").is_out_of_memory(error.value)

    def test_a_dtype_that_is_not_here_is_unsupported(self):
        with pytest.raises(
            Unsupported, match="torch has no fp8 arithmetic for this kind of device"
        ):
            devices.open_device("cpu").require("fp8")

    def test_caches_are_those_of_the_usable_cores_and_a_shared_one_counts_once(
        self, monkeypatch, tmp_path
    ):
        for core, name, kind, level, size, shared in [
            (0, 0, "Data", 1, "32K", "0"),
            (0, 1, "Instruction", 1, "64K", "0"),
            (0, 2, "Unified", 2, "1024K", "0"),
            (0, 3, "Unified", 3, "32768K", "0-1"),
            (1, 0, "Data", 1, "32K", "1"),
            (1, 2, "Unified", 2, "1024K", "1"),
            (1, 3, "Unified", 3, "32768K", "0-1"),
            (2, 2, "Unified", 2, "1024K", "2"),
        ]:
            folder = tmp_path / f"cpu{core}/cache/index{name}"
            folder.mkdir(parents=True)
            for file, text in {
                "type": kind,
                "level": level,
                "size": size,
                "shared_cpu_list": shared,
            }.items():
                (folder / file).write_text(f"{text}\n")
        (tmp_path / "cpu1/cache/index0/size").unlink()  # as some virtual machines have it
        monkeypatch.setattr(processor, "CPUS", tmp_path)
        monkeypatch.setattr(processor.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
        assert devices.open_device("cpu").caches() == {
            "l1": 32 << 10,
            "l2": 2 << 20,
            "l3": 32 << 20,
        }

    def test_caches_that_nothing_tells_of_are_unknown(self, monkeypatch, tmp_path):
        monkeypatch.setattr(processor, "CPUS", tmp_path)
        assert devices.open_device("cpu").caches() == {}

    def test_compiling_where_the_linker_would_fail_is_unsupported(self, monkeypatch):
        monkeypatch.setattr(compiler, "require_compiler", lambda *_: None)
        monkeypatch.setattr(torch, "__file__", "/a b/torch/__init__.py")
        with pytest.raises(Unsupported, match="its path has a space"):
            devices.open_device("cpu").require_compiler()


class TestCompiler:
    def test_one_of_the_names_is_enough(self, monkeypatch, tmp_path):
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(
            compiler.shutil, "which", lambda name: name if name == "clang" else None
        )
        monkeypatch.setattr(compiler.sysconfig, "get_path", lambda _: str(tmp_path))
        (tmp_path / "Python.h").touch()
        compiler.require_compiler("CC", ["gcc", "clang"])

    def test_without_one_the_cure_is_said(self, monkeypatch):
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(compiler.shutil, "which", lambda _: None)
        with pytest.raises(
            Unsupported, match="there is no gcc or clang here; install one, name it in CC"
        ):
            compiler.require_compiler("CC", ["gcc", "clang"])

    def test_pythons_headers_are_needed_too(self, monkeypatch, tmp_path):
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
def test_out_of_memory_in_all_its_words(error, known):
    assert _torch.is_out_of_memory(error) is known


class TestWithoutAGpu:
    """What a torch with CUDA says where it finds no GPU, by what NVIDIA's driver says of itself."""

    @pytest.fixture(autouse=True)
    def built_with_cuda(self, monkeypatch):
        monkeypatch.setattr(torch.version, "cuda", "13.0")

    def sources(self, monkeypatch, *found):
        monkeypatch.setattr(nvml, "sources", lambda: list(found))
        with pytest.raises(UserError) as error:
            devices.resolve("cuda")
        return str(error.value)

    def test_without_a_driver_the_driver_is_what_is_missing(self, monkeypatch):
        none = Source(
            "nvml",
            False,
            reason="there is no NVIDIA driver library",
            cure="install the NVIDIA driver",
        )
        told = self.sources(monkeypatch, none)
        assert (
            "built for CUDA 13.0; what is missing is the driver: there is no NVIDIA driver library. Cure: install"
            in told
        )
        assert "\n" not in told

    def test_a_gpu_that_torch_does_not_see_is_hidden_or_newer_than_the_driver(self, monkeypatch):
        told = self.sources(monkeypatch, Source("nvml", True, ("gpu:0 energy",)))
        assert "the driver has a GPU that torch does not see. Look at CUDA_VISIBLE_DEVICES" in told

    def test_a_torch_without_cuda_is_what_is_missing(self, monkeypatch):
        monkeypatch.setattr(torch.version, "cuda", None)
        assert "Install the GPU's driver and a torch build with CUDA" in self.sources(monkeypatch)


def test_the_fake_device_is_never_offered_but_there_for_who_asks():
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
