"""llama-bench's JSON (`llama-bench -o json` or `-o jsonl`): an entry is one process of a test.

The format is that of ggml-org/llama.cpp's `tools/llama-bench`. A repetition is a sample: the time
for n_prompt + n_gen tokens. It counts as timed on the host.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from hwbench.documents import read_json
from hwbench.identity import is_no_name
from hwbench.printable import storable
from hwbench.records import Case, Measurement, Work
from hwbench.tables.importers.fields import (
    NotAResult,
    Unusable,
    distribution,
    optional,
    part,
    whole_number,
)
from hwbench.tables.importers.imported import (
    Imported,
    case_of,
    imported,
    measurement,
    moment,
    processor,
    row_if_unusable,
)

KINDS = {"CUDA": "cuda", "ROCm": "cuda", "HIP": "cuda", "SYCL": "xpu", "Metal": "mps", "MTL": "mps"}
"""How hwbench calls the devices of llama.cpp's backends."""

OTHER_GPU = "gpu"
"""The kind of a device that hwbench itself cannot measure, as of Vulkan."""

NOT_OF_A_TEST = frozenset(
    {
        *("build_commit", "build_number", "cpu_info", "gpu_info", "backends"),
        *("model_filename", "model_type", "model_size", "model_n_params"),
        *("test_time", "test", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts"),
        *("samples_ns", "samples_ts"),
        # older files name their backends so
        *("cuda", "vulkan", "kompute", "metal", "sycl", "rpc", "gpu_blas", "blas", "opencl"),
    }
)
"""Fields of the machine, the build, the model and the results. All others are settings of the
test."""

DEFAULTS: Mapping[str, Any] = {
    "n_prompt": 0,
    "n_gen": 0,
    "n_depth": 0,
    "n_batch": 2048,
    "n_ubatch": 512,
    "poll": 50,
    "type_k": "f16",
    "type_v": "f16",
    "cpu_mask": "0x0",
    "split_mode": "layer",
    "main_gpu": 0,
    "tensor_split": "0.00",
    "tensor_buft_overrides": "none",
    "devices": "auto",
    "use_mmap": True,
    "n_cpu_moe": 0,
    "no_op_offload": 0,
    "fit_target": 0,
    "fit_min_ctx": 0,
}
"""Settings at these values are left out of the case. An older llama-bench does not write some of
them, and its cases must be the same."""

CURE = "run llama-bench with --repetitions 5"


def read(file: Path) -> Imported:
    """The tests of one file, all of one machine and one build."""
    content = read_json(file, lines=True)
    tests = [content] if isinstance(content, dict) else content
    if not isinstance(tests, list):
        raise NotAResult("the file has no list of tests")
    measured: list[tuple[Case, Measurement]] = []
    results = set()
    for number, test in enumerate(tests):
        where = f"test {number}"
        case, process = _case(test, where), _process(test, where)
        if process.window:
            result = (case.case_id, tuple(process.window.samples.step_s))
            if result in results:
                raise NotAResult(f"{where} is another one a second time; it would count twice")
            results.add(result)
        measured.append((case, process))
    if not tests:
        return imported([], processor(None, None), processor(None, None), None)
    _require_same([_machine(test) for test in tests], "they were measured on")
    _require_same([_build(test) for test in tests], "they are of the builds")
    device, cpu = _device(tests[0]), _processor(tests[0])
    started_at = moment(tests[0].get("test_time"), zone=UTC)
    packages = {"llama.cpp": storable(_build(tests[0]))}
    return imported(measured, device, cpu, started_at, packages=packages)


def _case(test: Mapping[str, Any], where: str) -> Case:
    """The model, without the folder of its file, and the settings of the test."""
    name = part(test, "model_type", str, where)
    path = optional(test, "model_filename", str, where)
    model = {"model": path.replace("\\", "/").split("/")[-1]} if path else {}
    settings = {
        field: value
        for field, value in test.items()
        if field not in NOT_OF_A_TEST and value != DEFAULTS.get(field)
    }
    return case_of(f"llama-bench/{name}", model | settings)


@row_if_unusable
def _process(test: Mapping[str, Any], where: str) -> Measurement:
    counts = [test.get("n_prompt"), test.get("n_gen")]
    known = [count for count in counts if type(count) is int and count >= 0]
    tokens = whole_number(sum(known))
    if len(known) < len(counts) or tokens is None:
        raise Unusable(f"{where} has no numbers of tokens, n_prompt and n_gen")
    samples = part(test, "samples_ns", list, where)
    times = distribution(samples, f"{where}: samples_ns", 1e-9, CURE)
    return measurement(times, work=Work(tokens=tokens))


def _device(test: Mapping[str, Any]) -> dict[str, Any]:
    """The GPU, unless llama.cpp had none or was told to use none; then the processor."""
    gpu = optional(test, "gpu_info", str).strip()
    if not gpu or test.get("devices") == "none":
        return _processor(test)
    names = [name.strip() for name in optional(test, "backends", str).split(",")]
    older = [name for name in KINDS if test.get(name.lower()) is True]
    backends = [name for name in [*names, *older] if name]
    kinds = [KINDS[name] for name in backends if name in KINDS]
    by_name = "cuda" if "NVIDIA" in gpu else OTHER_GPU
    return {"kind": [*kinds, by_name][0], "name": storable(gpu), "backends": backends}


def _processor(test: Mapping[str, Any]) -> dict[str, Any]:
    """The processor, behind the libraries for matrices that llama.cpp lists before it; unknown
    where ggml knows it as "CPU"."""
    name = optional(test, "cpu_info", str).strip()
    return processor("" if any(map(is_no_name, name.split(", "))) else name, None)


def _machine(test: Mapping[str, Any]) -> str:
    """The fields that `_device` and `_processor` read, for a message."""
    fields = ("gpu_info", "backends", "devices", "cpu_info")
    return ", ".join(optional(test, field, str) for field in fields if test.get(field))


def _build(test: Mapping[str, Any]) -> str:
    return str(optional(test, "build_commit", str))


def _require_same(facts: Sequence[str], what: str) -> None:
    for number, fact in enumerate(facts):
        if fact != facts[0]:
            both = f"{facts[0]} and {fact}"
            raise NotAResult(f"tests 0 and {number} do not belong together: {what} {both}")
