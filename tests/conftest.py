"""What all tests share: fixtures, and the environment that torch is imported in."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial

# Before torch is imported, and for the processes that tests start: on tensors as small as theirs,
# threads only wait for one another, and there are as many test processes as processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# more are processes, which import torch before they begin
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

# as a script has it that runs tests in its background
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # the commands that tests interrupt would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers have it from who started them
    os.environ["HWBENCH_CACHE"] = tempfile.mkdtemp(prefix="hwbench-cache-")
    atexit.register(shutil.rmtree, os.environ["HWBENCH_CACHE"], ignore_errors=True)

import pytest
from commands import call  # noqa: F401  a fixture for all
from nvml_library import nvml_library  # noqa: F401  a fixture for all

from hwbench.records import Case, Unsupported


@pytest.fixture(scope="module", autouse=True)
def light_garbage() -> None:
    """The harness collects garbage before each window. With all of torch to look through, that
    would be most of the time of a fake one: what earlier modules left is looked through once, and
    frozen."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_compiler_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Inductor keeps its graphs for later processes, but not for which instructions it made them:
    with some turned off, it would run what it made with them on, and compute nonsense."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path_factory.mktemp("inductor"))


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """What tests store need not outlive a crash of the machine, and to wait until it would takes
    milliseconds a file. The processes that tests start wait as ever."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda handle: None)
    yield
    patch.undo()


@pytest.fixture
def training() -> Case:
    return Case("gpt/train", {"size": "nano", "batch": 1}, "fp32")


# each holds torch, half a gigabyte of memory, and the processes that its tests start hold it again
MOST_WORKERS = 8

TORCH_WARNS_OF_ITSELF = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch",  # as inductor is imported
    "ignore:TypedStorage is deprecated:UserWarning",  # inductor of torch 2.11
)
# in torch 2.11
PROFILER_WARNS_OF_CYCLES = pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Seeds torch and leaves it one thread: on tensors as small as those of tests, more only wait
    for one another."""
    import torch

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quick_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for the fastest matmul has one small shape and small caches, and neither rests nor
    loads."""
    import workloads.gemm
    from hwbench.devices.cpu import CpuDevice
    from workloads.ceilings import search

    monkeypatch.setattr(search, "SHAPES", search.SHAPES[:1])
    monkeypatch.setattr(search, "STEP_FLOPS", (1 << 26,))
    monkeypatch.setattr(CpuDevice, "caches", lambda self: {"l3": 1 << 20})
    monkeypatch.setattr(workloads.gemm, "REST_S", 0.0)
    monkeypatch.setattr(workloads.gemm, "LOAD_S", 0.0)


@pytest.fixture
def compiler() -> None:
    """Skips where torch.compile cannot work, for the reason that a user would be given."""
    from hwbench.devices.cpu import CpuDevice

    try:
        CpuDevice().require_compiler()
    except Unsupported as answer:
        pytest.skip(str(answer))


@pytest.fixture(params=["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def compile_backend(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, compiler: None
) -> None:
    """Makes torch.compile trace its functions, gradients included, and run the graphs as they are;
    in a slow test also translate them. Graph breaks and recompilations are the same either way; the
    C++ compiler takes most of the time."""
    import torch

    # what other tests compiled of the same code would count as compiling again
    torch._dynamo.reset()
    if request.param != "inductor":
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=request.param))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: a process for each processor that may be used. xdist also counts those
    that may not."""
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(allowed, MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of test_gpu.py know nothing of pytest, so that they run without it; their marks are
    put on here."""
    import torch

    for item in items:
        if item.path.name == "test_gpu.py":
            item.add_marker(pytest.mark.gpu)
            if not os.environ.get("GPU_CHECK_DEVICE") and not torch.cuda.is_available():
                item.add_marker(
                    pytest.mark.skip(
                        reason="no CUDA device here; `make gpu-check` on a machine with one"
                    )
                )
