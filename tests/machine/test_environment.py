"""What is recorded of the machine: where one part of it does not answer, and what never is."""

import json

import pytest

from hwbench.machine import environment
from hwbench.system import commands, variables


def test_unknown_git_status_is_not_reported_as_clean(monkeypatch):
    answers = {"rev-parse": "abc", "status": None}
    monkeypatch.setattr(commands, "output", lambda git, command, *words: answers[command])
    assert environment._git() == {"commit": "abc", "dirty": None}
    for changes, dirty in (("", False), (" M file", True)):
        answers["status"] = changes
        assert environment._git()["dirty"] is dirty


SECRETS = {
    **dict.fromkeys(("TORCH_PASSWORD", "NCCL_SECRET", "OMP_AUTH", "NCCL_PWD"), "s3cret"),
    **dict.fromkeys(("TORCH_LICENSE", "CUDA_API", "TORCHINDUCTOR_X", "MALLOC_X"), "s3cret"),
    "TORCH_HOME": "/home/s3cret",
    "NCCL_SOCKET_IFNAME": "s3cret",
    "MALLOC_CONF": "prof_prefix:/home/s3cret/x,narenas:2",
    "CUDA_VISIBLE_DEVICES": "GPU-8932f937-d72c-4106-c12f-53c4e7000000",
    "OMP_NUM_THREADS": "hf_s3cretS3cretS3cret123",
}


def test_secrets_and_places_of_the_environment_are_not_recorded(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KMP_BLOCKTIME", "0")
    text = json.dumps(environment.collect({"kind": "cpu", "name": "x"}))
    assert "s3cret" not in text.lower()
    assert "53c4e7" not in text
    found = json.loads(text)["variables"]
    assert found["MALLOC_CONF"] == "prof_prefix:…/x,narenas:2"
    assert found["CUDA_VISIBLE_DEVICES"] == "…"
    assert found["KMP_BLOCKTIME"] == "0"
    assert not SECRETS.keys() & found.keys() - {
        *("MALLOC_CONF", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    }


@pytest.mark.parametrize(
    "name",
    [
        *("OMP_NUM_THREADS", "OMP_PROC_BIND", "KMP_AFFINITY", "GOMP_CPU_AFFINITY", "MKL_CBWR"),
        *("MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"),
        *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"),
        *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "PYTORCH_CUDA_ALLOC_CONF"),
        *("TORCHINDUCTOR_MAX_AUTOTUNE", "NCCL_ALGO", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"),
        *("MALLOC_CONF", "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MIOPEN_FIND_MODE"),
        *("HSA_OVERRIDE_GFX_VERSION", "ROCR_VISIBLE_DEVICES", "TRITON_INTERPRET"),
    ],
)
def test_variables_that_change_what_torch_does_are_recorded(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert variables.known()[name] == "1"
