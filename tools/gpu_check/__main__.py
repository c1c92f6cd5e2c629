"""Run all checks that need a GPU, within a budget of seconds: `make gpu-check`, or `python
tools/gpu_check`.

Options come from the environment: BUDGET (seconds in total, 480), OUT (the folder of the results,
gpu-check), DEVICE (cuda), STAGES (names of stages, to run only these), DRY=1 (the smallest sizes:
tests the stages, measures nothing). This process uses only the standard library, so nothing that it
runs can make it crash.

Exit status: 0 all passed · 1 a stage failed or was out of time, or a target was missed · 2 the
check could not start.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from budget import Budget
from check import Check, Stopped, log_to, open_place, stop_on_signals
from handover import Handover
from stages import ROOT, Place, Stage, make_stages, opening

OPENING_S = 120.0
"""The most time for the device's first answer."""


def main() -> int:
    """Run the check with the options of the environment."""
    try:
        seconds = float(os.environ.get("BUDGET") or 480)
    except ValueError:
        return _refuse(f"BUDGET={os.environ['BUDGET']}: expected seconds, such as 480")
    if not 1 <= seconds < 1e6:
        return _refuse(f"BUDGET={seconds:g}: expected seconds from 1 on, such as 480")
    out = Path(os.environ.get("OUT") or "gpu-check").absolute()
    budget, work = Budget(seconds), Path(tempfile.mkdtemp(prefix="gpu-check-"))
    stop_on_signals()
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _check(out, work, budget)
    except OSError as error:
        return _refuse(f"{error.filename or out}: {error.strerror}")
    except Stopped as stopped:
        print(f"gpu-check: stopped by {stopped}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(out: Path, work: Path, budget: Budget) -> int:
    device = os.environ.get("DEVICE") or "cuda"
    dry = os.environ.get("DRY", "") not in ("", "0")
    environment = _environment(device, dry, work)
    place = Place(device, device.partition(":")[0], work, dry, environment)
    place.results.mkdir()
    try:
        _choose(make_stages(place))  # report a misspelt name before the device is opened
    except ValueError as error:
        return _refuse(str(error))
    facts, problem = open_place(place, opening(place), min(OPENING_S, budget.left_s()))
    if facts is None:
        problem = problem.removeprefix("hwbench: ")
        if "No module named" in problem:
            problem = f"{sys.executable}: {problem.partition(' (')[0]}; name another with PYTHON="
        return _refuse(problem)
    place = Place(device, str(facts["kind"]), work, dry, environment)
    tell = log_to(out / "gpu-check.log")
    mode = ", a dry run" if dry else ""
    tell(f"== gpu-check on {facts['name']} ({device}), {budget.seconds:.0f} s{mode}")
    return Check(place, budget, Handover(out, work, tell), tell).run(_choose(make_stages(place)))


def _choose(stages: list[Stage]) -> list[Stage]:
    """The stages named in STAGES, all if it is empty. ValueError for an unknown name."""
    names = os.environ.get("STAGES", "").replace(",", " ").split()
    known = [stage.name for stage in stages]
    for name in names:
        if name not in known:
            raise ValueError(f"STAGES: there is no stage {name}; there are {' '.join(known)}")
    return [stage for stage in stages if not names or stage.name in names]


def _environment(device: str, dry: bool, work: Path) -> dict[str, str]:
    """The variables that the commands get besides those of this process."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # on tensors so small threads only wait for each other
    threads = {"OMP_NUM_THREADS": "1"} if dry else {}
    return {
        **threads,
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        "HWBENCH_CACHE": str(work / "cache"),
        "GPU_CHECK_DEVICE": device,
        "GPU_CHECK_DRY": "1" if dry else "",
        "GPU_CHECK_RESULTS": str(work / "results"),
    }


def _refuse(problem: str) -> int:
    print(f"gpu-check: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
