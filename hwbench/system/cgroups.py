"""The limits that control groups set on this process: for each the least on the way from its own
group to the root, in cgroup v1, v2 and hierarchies of both (cgroups(7), cgroup_namespaces(7)).

A Slurm step, a systemd scope and a container have their limits in their own group or in one above
it; the root of the tree has none. A limit of a group that no mount shows cannot be known in v2; in
v1 `hierarchical_memory_limit` includes it.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from hwbench.system import files

V2 = ""
"""The name of v2's one hierarchy, which has all controllers."""

NO_LIMIT = 1 << 60
"""v1 writes no limit as the largest number of pages that it can count: 2^63 bytes less a page."""

LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")
"""The files with a group's memory limit, of v2 and v1. Above memory.high the kernel stops the
processes to reclaim: nothing is killed, and no figure would be the machine's. Swap is not counted:
a case that swaps measures the disk."""

USES = ("memory.current", "memory.usage_in_bytes")
"""The files with a group's memory use, of v2 and v1, with its page cache."""

CACHES = ("inactive_file", "active_file")
CACHES_V1 = ("total_inactive_file", "total_active_file")
"""The entries of memory.stat with the page cache, which gives way. In v1 those without `total_`
leave out the groups below."""

OOM_COUNTERS = ("memory.events", "memory.oom_control")
"""The files in which v2 and v1 count, in a line `oom_kill N`, the processes that were ended for
want of memory, in the group or below it. /proc/vmstat counts those of the whole machine."""


@dataclass(frozen=True)
class Mount:
    """A mounted hierarchy (V2, or the name of a controller): `folder` shows the group `root` and
    what is below it."""

    hierarchy: str
    root: str
    folder: str


def cpu_quota() -> str | None:
    """The tightest quota as in v2's cpu.max: microseconds of processor time, and the period for
    which they are the limit.

    Where no group has a limit, what the innermost says ("max 100000"; "-1 100000" in v1); None
    where no group says anything.
    """
    quotas = filter(None, map(_quota, folders("cpu")))
    return min(quotas, key=lambda quota: processors(quota) or math.inf, default=None)


def processors(quota: str | None) -> float | None:
    """The processors that a quota is worth; None if it is no limit."""
    spent, _, period = (quota or "").partition(" ")
    if not (spent.isdecimal() and period.isdecimal() and int(period)):
        return None
    return int(spent) / int(period)


def memory_limit_bytes() -> int | None:
    """The least memory limit; None if there is none."""
    limits = [limit for folder in folders("memory") for limit in _memory_limits(folder)]
    return min(limits, default=None)


def memory_free_bytes() -> int | None:
    """The memory that is left below the limits: the least difference between a group's limit and
    its use, without the page cache. None if there is no limit, or no use is known."""
    free = []
    for folder in folders("memory"):
        limit, use = min(_memory_limits(folder), default=None), _memory_use(folder)
        if limit is not None and use is not None:
            free.append(max(0, limit - use))
    return min(free, default=None)


def oom_kills() -> int:
    """How many processes the kernel has killed so far because memory ran out; 0 where nothing
    counts them. A kill may count several times, once for each group that it was in."""
    counters = [f"{folder}/{file}" for folder in folders("memory") for file in OOM_COUNTERS]
    return sum(_entries(file).get("oom_kill", 0) for file in ["proc/vmstat", *counters])


def folders(controller: str) -> list[str]:
    """The folders of the groups that `controller` ("cpu", "memory") limits this process by, as
    paths below the root folder, from its own group up to that of the mount, each once."""
    own = _own_groups()
    found: dict[str, None] = {}
    for mount in [*_mounts(), *_usual_mounts(controller)]:
        if mount.hierarchy in (V2, controller):
            found |= dict.fromkeys(_way_up(mount, own.get(mount.hierarchy, "/")))
    return list(found)


def _own_groups() -> dict[str, str]:
    """By hierarchy, the group that this process is in."""
    own = {}
    for line in (files.read("proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            own[V2] = path
        else:
            own |= dict.fromkeys(controllers.split(","), path)
    return own


def _mounts() -> Iterator[Mount]:
    """The hierarchies that /proc/self/mountinfo lists (proc_pid_mountinfo(5))."""
    for line in (files.read("proc/self/mountinfo") or "").splitlines():
        about, _, kind = line.partition(" - ")
        where, what = about.split(), kind.split()
        if len(where) < 5 or len(what) < 3:
            continue
        root, folder = _unescaped(where[3]), _unescaped(where[4]).strip("/")
        if what[0] == "cgroup2":
            yield Mount(V2, root, folder)
        elif what[0] == "cgroup":
            yield from (Mount(name, root, folder) for name in what[2].split(","))


def _usual_mounts(controller: str) -> list[Mount]:
    """Where hierarchies are mounted nearly everywhere, for sandboxes whose /proc does not list
    them (gVisor, pods that share their processes)."""
    v1 = (controller, "cpu,cpuacct", "cpuacct,cpu") if controller == "cpu" else (controller,)
    return [
        *(Mount(V2, "/", f"sys/fs/cgroup{name}") for name in ("", "/unified")),
        *(Mount(controller, "/", f"sys/fs/cgroup/{name}") for name in v1),
    ]


def _way_up(mount: Mount, group: str) -> list[str]:
    """The folders from the group's own up to the mount's."""
    inside = _inside(mount, group)
    return ["/".join([mount.folder, *inside[:depth]]) for depth in range(len(inside), -1, -1)]


def _inside(mount: Mount, group: str) -> list[str]:
    """The names that lead from the mount's folder to the group's; none if the mount does not show
    the group: what it shows is then the container's own, or the nearest to it.

    Both paths are relative to the root of the reader's cgroup namespace. A mount from outside of it
    begins some groups higher ("/../.."), whose names nobody tells: the group is looked for.
    """
    root, own = _names(mount.root), _names(group)
    if own[: len(root)] == root:
        below = own[len(root) :]
        return [] if ".." in below else below
    higher = len(root) - _steps_up(own)
    if _steps_up(root) == len(root) and higher > 0:
        return _found_by_process(mount.folder, higher, own[_steps_up(own) :])
    return []


def _found_by_process(folder: str, levels: int, below: list[str]) -> list[str]:
    """The names that lead to the group of this process, `levels` of which are not known."""
    pattern = "/".join([*["*"] * levels, *below, "cgroup.procs"])
    for file in sorted((files.ROOT / folder).glob(pattern)):
        group = file.parent.relative_to(files.ROOT / folder)
        members = files.read(f"{folder}/{group}/cgroup.procs") or ""
        if str(os.getpid()) in members.split():
            return list(group.parts)
    return []


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _steps_up(names: list[str]) -> int:
    return len(list(takewhile(lambda name: name == "..", names)))


def _unescaped(path: str) -> str:
    r"""A path of mountinfo, which writes a space as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _quota(folder: str) -> str | None:
    v1 = [files.read(f"{folder}/cpu.cfs_{word}_us") for word in ("quota", "period")]
    return files.read(f"{folder}/cpu.max") or (" ".join(map(str, v1)) if all(v1) else None)


def _memory_limits(folder: str) -> list[int]:
    """The limits that a group states: none, one or several."""
    stated = [_number(files.read(f"{folder}/{file}")) for file in LIMITS]
    stated.append(_entries(f"{folder}/memory.stat").get("hierarchical_memory_limit"))
    return [limit for limit in stated if limit is not None and limit < NO_LIMIT]


def _memory_use(folder: str) -> int | None:
    """What a group holds that does not give way."""
    v2, v1 = (_number(files.read(f"{folder}/{file}")) for file in USES)
    stat, use = _entries(f"{folder}/memory.stat"), v1 if v2 is None else v2
    if use is None:
        return None
    caches = CACHES_V1 if v2 is None else CACHES
    return max(0, use - sum(stat.get(entry, 0) for entry in caches))


def _entries(file: str) -> dict[str, int]:
    """The lines `name number` of a file."""
    words = [line.split() for line in (files.read(file) or "").splitlines()]
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
