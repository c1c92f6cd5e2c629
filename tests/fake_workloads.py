"""Workloads for the tests: some of known duration on the fake device, one for each kind of
failure."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time

from hwbench.records import Declared, Unsupported, Whole, Work
from hwbench.workload import Built, axis, workload


@workload("fake/known", ms=[3])
def known(p, device):
    """A step of `ms` milliseconds, a third of it forward: 30 tokens and 6,000 FLOPs."""

    def step(mark):
        device.launch(p.ms / 3e3)
        mark("forward")
        device.launch(2 * p.ms / 3e3)
        mark("backward")
        return 1.5

    return Built(step, Work(tokens=30, flops=6000, bytes=900))


@workload("fake/asleep", launched_us=[0])
def asleep(p, device):
    """A step of 10 ms in the world, and of `launched_us` on the fake device's clock."""

    def step(mark):
        time.sleep(0.01)
        device.launch(p.launched_us / 1e6)

    return Built(step)


@workload("fake/restless")
def restless(p, device):
    """A step whose duration differs from process to process, but not within one."""
    seconds = 0.001 * (1 + os.getpid() % 97)

    def step(mark):
        device.launch(seconds)

    return Built(step, Work(tokens=1))


@workload("fake/drifting")
def drifting(p, device):
    """A step that takes a thousandth longer each time."""
    count = itertools.count()

    def step(mark):
        device.launch(0.001 * 1.001 ** next(count))

    return Built(step)


@workload("fake/noisy")
def noisy(p, device):
    """Prints while it runs, as some libraries do."""

    def step(mark):
        print("{not json, and not a reply")
        device.launch(0.1)

    return Built(step)


@workload("fake/nan")
def nan(p, device):
    """A loss that is not a number."""

    def step(mark):
        device.launch(0.1)
        return float("nan")

    return Built(step, Work(tokens=1))


@workload("fake/raises")
def raises(p, device):
    """Fails when it is built."""
    raise ValueError("first line\nthe last line")


@workload("fake/oom")
def oom(p, device):
    """Asks for more memory than the fake device has."""
    device.allocate(1 << 40)


@workload("fake/killed")
def killed(p, device):
    """Is killed from outside, as by the kernel."""
    os.kill(os.getpid(), signal.SIGKILL)


@workload("fake/crashes")
def crashes(p, device):
    """Ends its process without an answer."""
    os._exit(7)


@workload("fake/unsupported")
def unsupported(p, device):
    """Cannot run here."""
    raise Unsupported("this machine has no such thing")


@workload("fake/interrupts")
def interrupts(p, device):
    """Raises what no `except Exception` catches."""
    raise KeyboardInterrupt


@workload("fake/babbles")
def babbles(p, device):
    """Writes to the file descriptors of the worker's replies."""
    for handle in range(3, 12):
        with contextlib.suppress(OSError):
            os.write(handle, b"[1]\n")


@workload("fake/odd_work")
def odd_work(p, device):
    """Declares impossible work."""
    return Built(lambda mark: None, Work(flops=-5))


@workload("fake/odd_slice", layers=[0, 1], whole=[0, 2])
def odd_slice(p, device):
    """A slice, or its whole, of a number of layers that no run stores."""
    return Built(lambda mark: None, declared=Declared(slice_of=Whole("layers", p.whole)))


@workload("fake/odd_words")
def odd_words(p, device):
    """Fails with a message that UTF-8 cannot encode."""
    raise ValueError("half a pair: \ud800")


@workload("fake/hangs", seconds=[60], leave=[False])
def hangs(p, device):
    """Starts a child process, prints its id on standard error, and never ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=p.leave
    )
    print(f"grandchild {child.pid}", file=sys.stderr, flush=True)
    time.sleep(p.seconds)
    return Built(lambda mark: None)


@workload("fake/slow", seconds=[1])
def slow(p, device):
    """A step that takes real time: long enough to be interrupted."""

    def step(mark):
        time.sleep(p.seconds)
        device.launch(1.0)

    return Built(step)


@workload("fake/sized", batch=axis(1, largest=True), mib=[100], bad=[0])
def sized(p, device):
    """Takes `mib` MiB a sample of the fake device's 1 GiB, and fails at a batch of `bad`."""
    if p.batch == p.bad:
        raise ValueError("this batch is bad")
    size = 1 << 20
    device.require_memory(p.batch * p.mib * size // 2)
    device.allocate(p.batch * p.mib * size)

    def step(mark):
        device.launch(0.001 * p.batch)

    return Built(step, Work(tokens=p.batch))


@workload("fake/served")
def served(p, device):
    """A whole test under load, which cannot be profiled; it fails if it is run."""
    return Built(lambda mark: 1 / 0, served=lambda: None)


@workload("fake/heavy", gflop=[100], seconds=[0.01], dtype=["fp32", "bf16"])
def heavy(p, device):
    """A step that declares many FLOPs, and takes real time."""

    def step(mark):
        time.sleep(p.seconds)
        device.launch(p.seconds)

    return Built(step, Work(flops=p.gflop * 10**9))


@workload("fake/lengthy", seconds=[900])
def lengthy(p, device):
    """A step that declares how long it takes."""
    return Built(lambda mark: time.sleep(p.seconds), least_s=p.seconds)


def unfit(params, named):
    """A fit that fails in the way that `mode` names."""
    if params["mode"] == "raises":
        raise RuntimeError("no idea")
    changes = {
        "unknown": {"nope": 1},
        "named": {"mode": "named"},
        "value": {"n": -1},
        "dtype": {"dtype": "bf16"},
    }
    return changes[params["mode"]]


@workload("fake/unfit", fit=unfit, mode=["raises"], n=[1])
def unfitted(p, device):
    """Has a `fit` that fails or changes what it may not."""
    return Built(lambda mark: device.launch(0.001))
