"""Measure all that only a GPU can show, within a budget of seconds: `make gpu-check`, or `python
tools/gpu_check`.

Everything comes from the environment: BUDGET (seconds for all of it, 480), OUT (the folder of the
results, gpu-check), DEVICE (cuda), STAGES (names of stages, to run these alone), DRY=1 (the
smallest sizes: proves the stages, measures nothing). This process needs the standard library alone,
so that nothing that it runs can take it along.

Exit status: 0 all passed · 1 a stage failed or was out of time, or a target was missed · 2 it
cannot start.
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
"""How long the device may take to answer for the first time."""


def main() -> int:
    """Run the check that the environment asks for."""
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
        _choose(make_stages(place))  # a name that is misspelt is known before the device is asked
    except ValueError as error:
        return _refuse(str(error))
    found, problem = open_place(place, opening(place), min(OPENING_S, budget.left_s()))
    if found is None:
        if "No module named" in problem:
            problem = f"{sys.executable}: {problem.partition(' (')[0].removeprefix('hwbench: ')}; name another with PYTHON="
        return _refuse(problem.removeprefix("hwbench: "))
    place = Place(device, str(found["kind"]), work, dry, environment)
    tell = log_to(out / "gpu-check.log")
    tell(
        f"== gpu-check on {found['name']} ({device}), {budget.seconds:.0f} s{', a dry run' if dry else ''}"
    )
    return Check(place, budget, Handover(out, work, tell), tell).run(_choose(make_stages(place)))


def _choose(stages: list[Stage]) -> list[Stage]:
    """Those that STAGES names, all if it is empty. ValueError for a name that is none."""
    names = os.environ.get("STAGES", "").replace(",", " ").split()
    known = [stage.name for stage in stages]
    for name in names:
        if name not in known:
            raise ValueError(f"STAGES: there is no stage {name}; there are {' '.join(known)}")
    return [stage for stage in stages if not names or stage.name in names]


def _environment(device: str, dry: bool, work: Path) -> dict[str, str]:
    """What the commands have in their environment beside this process's."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # on tensors so small, threads only wait for one another
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
