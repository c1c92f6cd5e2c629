"""The stages of the check: the commands of each, its time, and the changes of a dry run.

The most valuable stages come first, so a check that is cut short loses the least. The times are for
one H200, where a process takes about eight seconds before its first step.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SUITES = HERE / "suites"
CPU_RUN = ROOT / "results" / "reference" / "cpu-quick"

PAGE, TRACE = "cpu-gpu.html", "trace.json.gz"

TINY = {
    **dict.fromkeys(("m", "n", "k"), 256),
    "mb": 16,
    "op": "copy",
    "size": "nano",
    "batch": 1,
    "seq": 64,
    "prompt": 32,
    "new": 4,
    "compile": "false",
}
"""The values of axes in a dry run. It compiles nothing: that takes longer than everything else."""

SHORT = ("--processes", "1", "--min-time", "1", "--max-time", "2")
DRY_SHORT = ("--processes", "1", "--min-time", "0.02", "--max-time", "0.05")
DRY_TIMEOUT = "15"
"""The limit for the ceilings measured with a profile, whose sizes cannot be set: if they are too
slow, they are refused."""

DRY_S, DRY_LEAST_S = 60.0, 1.0
"""The most and the least time of a stage in a dry run."""


@dataclass(frozen=True)
class Command:
    """A command of a stage. `output` is the file in the results folder for its standard output
    (figures as JSON).

    It passes if its exit status is in `statuses` and all its cases have an outcome in `outcomes`.
    """

    words: tuple[str, ...]
    output: str = ""
    statuses: tuple[int | None, ...] = (0,)
    outcomes: tuple[str, ...] = ("ok", "unsupported")

    def __str__(self) -> str:
        """The command as a user would type it, without the folders of this machine."""
        words = [word.removeprefix(f"{ROOT}/") for word in self.words]
        if self.words[0] != sys.executable:
            return " ".join(words)
        return " ".join(words[2:] if words[1] == "-m" else ["python", *words[1:]])


@dataclass(frozen=True)
class Stage:
    """Commands that share `seconds`; not run if less than `least_s` is left. `lacks` is the reason
    why it cannot run on this device."""

    name: str
    seconds: float
    least_s: float
    commands: tuple[Command, ...]
    lacks: str = ""


@dataclass(frozen=True)
class Place:
    """Where the stages run: the device as for `--device`, its kind, the work folder, and whether it
    is a dry run."""

    device: str
    kind: str
    work: Path
    dry: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        return self.work / "results"


def make_stages(place: Place) -> list[Stage]:
    """All stages, in their order."""
    quick = _run(place, "quick", "--suite", "quick", real=_long(6), dry=QUICK_AXES)
    models = _run(place, "models", "--suite", _suite("models"), dry="size batch seq")
    stages = [
        Stage("facts", 40, 5, _facts(place)),
        Stage("quick", 215, 60, (quick, _page(place))),
        Stage("tests", 80, 30, (_functions("tests/test_gpu.py", "test_"),), _lacks_queue(place)),
        Stage("profile", 75, 30, (_profile(place),)),
        Stage("products", 110, 40, (_products(place),)),
        Stage("training", 170, 80, (_training(place),)),
        Stage("compile", 100, 45, (_compile(place),)),
        Stage("probes", 100, 50, _probes(place), _lacks_cuda(place)),
        Stage("costs", 50, 25, _costs(place)),
        Stage("gate", 90, 45, _gate(place)),
        Stage("decode", 100, 40, (_decode(place),)),
        Stage("models", 70, 25, (models,)),
        Stage("memory", 110, 40, _memory(place)),
    ]
    return [_shorten(stage) for stage in stages] if place.dry else stages


def _shorten(stage: Stage) -> Stage:
    return Stage(stage.name, min(stage.seconds, DRY_S), DRY_LEAST_S, stage.commands, stage.lacks)


def opening(place: Place) -> Command:
    """The command that opens the device: it prints facts as JSON; without the device it ends with
    exit status 2 and a line."""
    words = ("info", "--device", place.device, "--json")
    return Command((sys.executable, "-m", "hwbench", *words), "info.json")


QUICK_AXES = "m n k mb op size batch seq prompt new"


def _hwbench(*words: str, **expected: object) -> Command:
    return Command((sys.executable, "-m", "hwbench", *words), **expected)  # type: ignore[arg-type]


def _run(
    place: Place,
    run_id: str,
    *words: str,
    real: tuple[str, ...] = SHORT,
    dry: str = "",
    statuses: tuple[int, ...] = (0,),
    outcomes: tuple[str, ...] = ("ok", "unsupported"),
) -> Command:
    """`hwbench run` of `words`. In a dry run the axes in `dry` have their TINY values, in fp32."""
    common = ("--device", place.device, "--output", str(place.results), "--run-id", run_id)
    if place.dry:
        words, real, statuses = _replace_settings(words, dry), DRY_SHORT, (0,)
        outcomes = ("ok", "unsupported")
    expected = {"statuses": statuses, "outcomes": outcomes}
    return _hwbench("run", *words, *real, *common, "--json", output=f"{run_id}.json", **expected)


def _replace_settings(words: tuple[str, ...], axes: str) -> tuple[str, ...]:
    """`words` with the dtype and `--set AXIS=…` of these axes replaced."""
    tiny, kept, rest = axes.split(), [], list(words)
    while rest:
        word = rest.pop(0)
        if word not in ("--set", "--dtype"):
            kept.append(word)
            continue
        value = rest.pop(0)
        if word == "--set" and value.partition("=")[0] not in tiny:
            kept += [word, value]
    settings = [part for axis in tiny for part in ("--set", f"{axis}={TINY[axis]}")]
    return (*kept, *settings, "--dtype", "fp32")


def _suite(name: str) -> str:
    return str(SUITES / f"{name}.toml")


def _settings(**axes: object) -> tuple[str, ...]:
    return tuple(part for axis, value in axes.items() for part in ("--set", f"{axis}={value}"))


def _long(seconds: float) -> tuple[str, ...]:
    """One process, with windows long enough for energy of the grade B (5.2 s)."""
    return ("--processes", "1", "--max-time", f"{seconds:g}")


def _facts(place: Place) -> tuple[Command, ...]:
    facts = Command((sys.executable, str(HERE / "facts.py")))
    # a container may have the driver without this tool
    driver = Command(("nvidia-smi",), statuses=(0, None))
    meters = _hwbench("meter", "--list")
    return (facts, driver, meters) if place.kind == "cuda" else (facts, meters)


def _page(place: Place) -> Command:
    folders = ("--output", str(place.results), "-o", str(place.work / PAGE))
    return _hwbench("report", str(CPU_RUN), "quick", *folders)


def _functions(file: str, prefix: str) -> Command:
    return Command((sys.executable, str(HERE / "functions.py"), file, prefix))


def _profile(place: Place) -> Command:
    words = ("--device", place.device, "--output", str(place.results), "--run-id", "profile")
    trace = ("--trace", str(place.work / TRACE))
    if place.dry:
        tiny = _replace_settings((), "size batch seq")
        limits = (*DRY_SHORT[2:], "--timeout", DRY_TIMEOUT)
        # torch.profiler sees no kernels of other devices
        statuses = (0,) if place.kind in ("cpu", "cuda", "xpu") else (0, 1)
        return _hwbench("profile", "gpt/train", *tiny, *limits, *words, *trace, statuses=statuses)
    return _hwbench("profile", "gpt/train", "--dtype", "bf16", "--max-time", "2", *words, *trace)


def _products(place: Place) -> Command:
    """A dry run omits the search for the best product, whose shapes cannot be set."""
    chosen = ("gemm", "gpt/train") if place.dry else ()
    words = (*chosen, "--suite", _suite("products"))
    return _run(place, "products", *words, dry="m n k size batch seq")


def _training(place: Place) -> Command:
    axes = _settings(size="1.5b", batch=16, seq=1024, compile="true")
    words = ("gpt/train", *axes, "--dtype", "bf16")
    return _run(place, "training", *words, dry="size batch seq compile")


def _compile(place: Place) -> Command:
    axes = _settings(size="124m", batch=8, seq=1024, compile="true,reduce-overhead")
    words = ("gpt/train", *axes, "--dtype", "bf16")
    return _run(place, "compile", *words, dry="size batch seq compile")


def _decode(place: Place) -> Command:
    axes = _settings(size="llama-2-7b", batch=1, prompt=128, new=64, compile="reduce-overhead")
    words = ("gpt/decode", *axes, "--dtype", "bf16")
    return _run(place, "decode", *words, dry="size batch prompt new compile")


def _probes(place: Place) -> tuple[Command, ...]:
    """A run that checks its own parent, then the probes, some of which read that run."""
    run = _run(place, "probes", "gemm", "--dtype", "bf16", real=_long(6), dry="m n k")
    parent = replace(run, words=(sys.executable, str(HERE / "parent.py"), *run.words[3:]))
    return parent, _functions("tools/gpu_check/probes.py", "probe_")


def _costs(place: Place) -> tuple[Command, ...]:
    folder = ROOT / "tests" / "bench"
    harness_pairs, meter_pairs = ("4", "1") if place.dry else ("200", "16")
    return (
        Command((sys.executable, str(folder / "harness_cost.py"), place.device, harness_pairs)),
        Command((sys.executable, str(folder / "meter_cost.py"), place.device, meter_pairs)),
    )


def _gate(place: Place) -> tuple[Command, ...]:
    """The same run twice through the gate, which must find no regression. In a dry run the figures
    are noise, so any verdict passes."""
    words = ("gemm", "--dtype", "bf16")
    real = ("--processes", "3", "--min-time", "0.5", "--max-time", "1")
    runs = [_run(place, name, *words, real=real, dry="m n k") for name in ("gate-a", "gate-b")]
    statuses = (0, 1, 3) if place.dry else (0,)
    pair = ("--baseline", "gate-a", "--candidate", "gate-b")
    gate = _hwbench("gate", *pair, "--output", str(place.results), statuses=statuses)
    return (*runs, gate)


def _memory(place: Place) -> tuple[Command, ...]:
    """The largest batch that fits, and one that does not: for a Llama no prediction refuses it
    before it runs. In a dry run both would be the same small case."""
    largest = _settings(size="124m", batch="max", seq=1024)
    too_large = _settings(size="llama-3.2-1b", batch=1024, seq=1024)
    words = ("--dtype", "bf16")
    fits = _run(place, "largest", "gpt/train", *largest, *words, dry="size batch seq")
    if place.dry:
        return (fits,)
    words = ("gpt/train", *too_large, *words)
    return _run(place, "oom", *words, statuses=(1,), outcomes=("oom",)), fits


def _lacks_queue(place: Place) -> str:
    return "a CPU has no queue and no events" if place.kind == "cpu" else ""


def _lacks_cuda(place: Place) -> str:
    return "" if place.kind == "cuda" else f"the probes need CUDA; this is {place.kind}"
