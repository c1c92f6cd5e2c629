"""Who else computes on a GPU, from the numbers of processes that its driver gives."""

import os
from collections.abc import Iterable
from contextlib import suppress

import psutil

ALL_PROCESSES = "pid:[4026531836]"
"""The namespace of processes that is not inside another: PROC_PID_INIT_INO of Linux
(include/linux/proc_ns.h)."""


def others(pids: Iterable[int]) -> int:
    """How many of the processes on a GPU that this process uses are foreign to it.

    In a container a driver may give the numbers that the host has for its processes, where none is
    found again: one of them is then taken to be ours, since only a GPU that is used is measured. A
    measured command with several processes on the GPU has all but one counted as others there.
    """
    numbers = list(pids)
    count = foreign(numbers)
    nothing_found_again = count == len(numbers) > 0
    return count - 1 if nothing_found_again and _in_container() else count


def foreign(pids: Iterable[int]) -> int:
    """How many of the processes are not this one, nor started it, nor were started by it, directly
    or through others.

    So neither a worker nor a command that is measured counts, nor the command, notebook or test
    that started the worker and has opened the GPU, too. What else those have started is foreign.
    """
    own = os.getpid()
    numbers = set(pids) - {own}
    if not numbers:
        return 0
    numbers -= _ancestors(own)
    return sum(own not in _ancestors(pid) for pid in numbers)


def _ancestors(pid: int) -> set[int]:
    """Upwards, since looking downwards reads every process. None of a process that is not found."""
    with suppress(psutil.Error):
        return {parent.pid for parent in psutil.Process(pid).parents()}
    return set()


def _in_container() -> bool:
    """Whether this process sees only a part of the machine's. False where the system does not
    tell."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid") != ALL_PROCESSES
    return False
