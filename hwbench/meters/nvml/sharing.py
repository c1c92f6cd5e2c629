"""How many foreign processes compute on a GPU, from the process numbers that its driver gives."""

import os
from collections.abc import Iterable
from contextlib import suppress

import psutil

ALL_PROCESSES = "pid:[4026531836]"
"""The root namespace of processes: PROC_PID_INIT_INO of Linux (include/linux/proc_ns.h)."""


def others(pids: Iterable[int]) -> int:
    """How many of the processes on a GPU that this process uses are foreign to it.

    In a container a driver may give the host's process numbers, so that all of them look foreign.
    One of them is then taken to be ours, since only a GPU in use is measured. If a measured command
    has several processes on the GPU, all but one count as foreign there.
    """
    numbers = list(pids)
    count = foreign(numbers)
    all_foreign = count == len(numbers) > 0
    return count - 1 if all_foreign and _in_container() else count


def foreign(pids: Iterable[int]) -> int:
    """How many of the processes are neither this one, nor its ancestors, nor its descendants.

    So a worker and a measured command are not foreign, nor are the command, notebook or test that
    started the worker, if they have opened the GPU, too. Their other descendants are foreign.
    """
    own = os.getpid()
    numbers = set(pids) - {own}
    if not numbers:
        return 0
    numbers -= _ancestors(own)
    return sum(own not in _ancestors(pid) for pid in numbers)


def _ancestors(pid: int) -> set[int]:
    """The ancestors of a process; to list descendants would read every process. Empty if it does
    not exist."""
    with suppress(psutil.Error):
        return {parent.pid for parent in psutil.Process(pid).parents()}
    return set()


def _in_container() -> bool:
    """Whether this process sees only a part of the machine's processes. False if unknown."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid") != ALL_PROCESSES
    return False
