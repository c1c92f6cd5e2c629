"""The stages of the check: what each runs, how long it may take, and what a dry run changes.

The order is that of worth: a check that is cut short has lost the least. The times are for one
H200, where a process takes about eight seconds before its first step.
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
    "m": 256,
    "n": 256,
    "k": 256,
    "mb": 16,
    "op": "copy",
    "size": "nano",
    "batch": 1,
    "seq": 64,
    "prompt": 32,
    "new": 4,
    "compile": "false",
}
"""The values that a dry run gives to axes. It compiles nothing: that takes longer than all the rest
of it."""

SHORT = ("--processes", "1", "--min-time", "1", "--max-time", "2")
DRY_SHORT = ("--processes", "1", "--min-time", "0.02", "--max-time", "0.05")
DRY_TIMEOUT = "15"
"""For the ceilings beside a profile, whose sizes cannot be set: where they are too slow they are
refused."""

DRY_S, DRY_LEAST_S = 60.0, 1.0
"""The most and the least time of a stage of a dry run."""


@dataclass(frozen=True)
class Command:
    """A command of a stage. `output` names a file of the results folder for its standard output
    (figures as JSON).

    It passes with an exit status in `statuses`, if all its cases have an outcome in `outcomes`.
    """

    words: tuple[str, ...]
    output: str = ""
    statuses: tuple[int | None, ...] = (0,)
    outcomes: tuple[str, ...] = ("ok", "unsupported")

    def __str__(self) -> str:
        """The command as one would type it, without the folders of this machine."""
        words = [word.removeprefix(f"{ROOT}/") for word in self.words]
        if self.words[0] == sys.executable:
            words = words[2:] if words[1] == "-m" else ["python", *words[1:]]
        return " ".join(words)


@dataclass(frozen=True)
class Stage:
    """Commands that share `seconds`; left out if less than `least_s` is left. `lacks` says why not
    on this device."""

    name: str
    seconds: float
    least_s: float
    commands: tuple[Command, ...]
    lacks: str = ""


@dataclass(frozen=True)
class Place:
    """Where the stages run: a device by its name for `--device`, its kind, the folder of the work;
    `dry` or not."""

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
    stages = [
        Stage("facts", 40, 5, _facts(place)),
        Stage(
            "quick",
            215,
            60,
            (_run(place, "quick", "--suite", "quick", real=_long(6), dry=QUICK_AXES), _page(place)),
        ),
        Stage("tests", 80, 30, (_functions("tests/test_gpu.py", "test_"),), _lacks_queue(place)),
        Stage("profile", 75, 30, (_profile(place),)),
        Stage("products", 110, 40, (_products(place),)),
        Stage("training", 170, 80, (_training(place),)),
        Stage("compile", 100, 45, (_compile(place),)),
        Stage("probes", 100, 50, _probes(place), _lacks_cuda(place)),
        Stage("costs", 50, 25, _costs(place)),
        Stage("gate", 90, 45, _gate(place)),
        Stage("decode", 100, 40, (_decode(place),)),
        Stage(
            "models",
            70,
            25,
            (_run(place, "models", "--suite", _suite("models"), dry="size batch seq"),),
        ),
        Stage("memory", 110, 40, _memory(place)),
    ]
    return [_shorten(stage) for stage in stages] if place.dry else stages


def _shorten(stage: Stage) -> Stage:
    return Stage(stage.name, min(stage.seconds, DRY_S), DRY_LEAST_S, stage.commands, stage.lacks)


def opening(place: Place) -> Command:
    """What says whether the device is there: exit status 2 and a line if not, else facts as
    JSON."""
    return Command(
        (sys.executable, "-m", "hwbench", "info", "--device", place.device, "--json"), "info.json"
    )


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
    """`hwbench run` of `words`. In a dry run the axes named by `dry` take their TINY values, in
    fp32."""
    common = (
        "--device",
        place.device,
        "--output",
        str(place.results),
        "--run-id",
        run_id,
        "--json",
    )
    if place.dry:
        words, real, statuses = _replace_settings(words, dry), DRY_SHORT, (0,)
        outcomes = ("ok", "unsupported")
    return _hwbench(
        "run", *words, *real, *common, output=f"{run_id}.json", statuses=statuses, outcomes=outcomes
    )


def _replace_settings(words: tuple[str, ...], axes: str) -> tuple[str, ...]:
    """`words` with `--set AXIS=…` of those axes, and the dtype, replaced."""
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
    # a container may lack it, and the driver be there
    driver = Command(("nvidia-smi",), statuses=(0, None))
    meters = _hwbench("meter", "--list")
    return (facts, driver, meters) if place.kind == "cuda" else (facts, meters)


def _page(place: Place) -> Command:
    return _hwbench(
        "report",
        str(CPU_RUN),
        "quick",
        "--output",
        str(place.results),
        "-o",
        str(place.work / PAGE),
    )


def _functions(file: str, prefix: str) -> Command:
    return Command((sys.executable, str(HERE / "functions.py"), file, prefix))


def _profile(place: Place) -> Command:
    words = ("--device", place.device, "--output", str(place.results), "--run-id", "profile")
    trace = ("--trace", str(place.work / TRACE))
    if place.dry:
        tiny = _replace_settings((), "size batch seq")
        limits = (*DRY_SHORT[2:], "--timeout", DRY_TIMEOUT)
        # torch.profiler sees no others' kernels
        statuses = (0,) if place.kind in ("cpu", "cuda", "xpu") else (0, 1)
        return _hwbench("profile", "gpt/train", *tiny, *limits, *words, *trace, statuses=statuses)
    return _hwbench("profile", "gpt/train", "--dtype", "bf16", "--max-time", "2", *words, *trace)


def _products(place: Place) -> Command:
    """A dry run leaves the search for the best product out, whose shapes cannot be set."""
    chosen = ("gemm", "gpt/train") if place.dry else ()
    return _run(
        place, "products", *chosen, "--suite", _suite("products"), dry="m n k size batch seq"
    )


def _training(place: Place) -> Command:
    axes = _settings(size="1.5b", batch=16, seq=1024, compile="true")
    return _run(
        place, "training", "gpt/train", *axes, "--dtype", "bf16", dry="size batch seq compile"
    )


def _compile(place: Place) -> Command:
    axes = _settings(size="124m", batch=8, seq=1024, compile="true,reduce-overhead")
    return _run(
        place, "compile", "gpt/train", *axes, "--dtype", "bf16", dry="size batch seq compile"
    )


def _decode(place: Place) -> Command:
    axes = _settings(size="llama-2-7b", batch=1, prompt=128, new=64, compile="reduce-overhead")
    return _run(
        place, "decode", "gpt/decode", *axes, "--dtype", "bf16", dry="size batch prompt new compile"
    )


def _probes(place: Place) -> tuple[Command, ...]:
    """A run whose parent is looked at, then the probes, some of which read that run."""
    run = _run(place, "probes", "gemm", "--dtype", "bf16", real=_long(6), dry="m n k")
    parent = replace(run, words=(sys.executable, str(HERE / "parent.py"), *run.words[3:]))
    return parent, _functions("tools/gpu_check/probes.py", "probe_")


def _costs(place: Place) -> tuple[Command, ...]:
    folder, (harness, meters) = ROOT / "tests" / "bench", ("4", "1") if place.dry else ("200", "16")
    return (
        Command((sys.executable, str(folder / "harness_cost.py"), place.device, harness)),
        Command((sys.executable, str(folder / "meter_cost.py"), place.device, meters)),
    )


def _gate(place: Place) -> tuple[Command, ...]:
    """The same thing twice, held against itself: no regression may be found. A dry run's figures
    are noise."""
    words, real = (
        ("gemm", "--dtype", "bf16"),
        ("--processes", "3", "--min-time", "0.5", "--max-time", "1"),
    )
    runs = [_run(place, name, *words, real=real, dry="m n k") for name in ("gate-a", "gate-b")]
    statuses = (0, 1, 3) if place.dry else (0,)
    judge = (
        "gate",
        "--baseline",
        "gate-a",
        "--candidate",
        "gate-b",
        "--output",
        str(place.results),
    )
    return (*runs, _hwbench(*judge, statuses=statuses))


def _memory(place: Place) -> tuple[Command, ...]:
    """The largest batch that fits, and one that does not: no closed form refuses a Llama's before
    it is tried. In a dry run both would be the same small case."""
    largest = _settings(size="124m", batch="max", seq=1024)
    too_large = _settings(size="llama-3.2-1b", batch=1024, seq=1024)
    words = ("--dtype", "bf16")
    fits = _run(place, "largest", "gpt/train", *largest, *words, dry="size batch seq")
    if place.dry:
        return (fits,)
    return _run(
        place, "oom", "gpt/train", *too_large, *words, statuses=(1,), outcomes=("oom",)
    ), fits


def _lacks_queue(place: Place) -> str:
    return "a CPU has no queue and no events" if place.kind == "cpu" else ""


def _lacks_cuda(place: Place) -> str:
    return "" if place.kind == "cuda" else f"the probes are of CUDA's faults; this is {place.kind}"
