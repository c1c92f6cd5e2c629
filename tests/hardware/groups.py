"""Control groups as machines show them, and what they allow. Each row names the public report that
it comes from, with the paths and figures of that report where it has them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .reports import NONE_FOUND

GIB = 1 << 30
V1_NO_LIMIT = "9223372036854771712"
"""PAGE_COUNTER_MAX pages of 4 KiB."""


@dataclass(frozen=True)
class Groups:
    """The files of a machine, and the right quota, limit and free memory; `cores`: how many of 8
    processors the quota leaves."""

    report: str
    files: Mapping[str, str | bytes | None]
    quota: str | None = None
    cores: int = 8
    limit: int | None = None
    free: int | None = None


def mounted(*lines: str) -> dict[str, str]:
    """/proc/self/mountinfo of mounts `root folder type options`."""
    entries = []
    for number, line in enumerate(lines):
        root, folder, kind, options = line.split()
        entries.append(
            f"{30 + number} 24 0:{number} {root} {folder} rw shared:9 - {kind} x {options}"
        )
    return {"proc/self/mountinfo": "\n".join(entries) + "\n"}


def group(folder: str, **values: str) -> dict[str, str]:
    """The files of a group: `memory_max="1"` is the file memory.max."""
    return {f"{folder}/{name.replace('_', '.', 1)}": f"{text}\n" for name, text in values.items()}


V2 = mounted("/ /sys/fs/cgroup cgroup2 rw,nsdelegate")
V1 = mounted(
    "/ /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct", "/ /sys/fs/cgroup/memory cgroup rw,memory"
)
TOP = "sys/fs/cgroup"
STEP = f"{TOP}/system.slice/worker_slurmstepd.scope/job_4749/step_0"
POD = "kubepods/burstable/pod9a18/d28e"

UNLIMITED = group(TOP, cgroup_procs="1")  # the root of v2 has no files of limits

ROWS = {
    "v2, no limit anywhere": Groups(
        "openjdk/jdk#20646",
        V2
        | {"proc/self/cgroup": "0::/user.slice/session-3.scope\n"}
        | group(f"{TOP}/user.slice", cpu_max="max 100000", memory_max="max", memory_high="max")
        | group(f"{TOP}/user.slice/session-3.scope", cpu_max="max 100000", memory_max="max"),
        quota="max 100000",
    ),
    "v2, the container's own group is the root of its namespace": Groups(
        "vertti/preflight#226",
        V2
        | {"proc/self/cgroup": "0::/\n"}
        | group(TOP, cpu_max="150000 100000", memory_max=str(GIB // 2), memory_current="1048576"),
        quota="150000 100000",
        cores=2,
        limit=GIB // 2,
        free=GIB // 2 - (1 << 20),
    ),
    "v2, Docker with the host's namespace": Groups(
        "google/nsjail#219",
        V2
        | {"proc/self/cgroup": "0::/docker/d71c9d0cd816\n"}
        | UNLIMITED
        | group(f"{TOP}/docker", memory_max="max", cpu_max="max 100000")
        | group(f"{TOP}/docker/d71c9d0cd816", memory_max="104857600", memory_current="4857600"),
        quota="max 100000",
        limit=104857600,
        free=100000000,
    ),
    "v2, a Slurm step whose task has no limit of its own": Groups(
        "NVIDIA/enroot#169",
        V2
        | {"proc/self/cgroup": f"0::{STEP.removeprefix(TOP)}/user/task_0\n"}
        | group(f"{STEP}/user/task_0", memory_max="max", memory_current="1000000")
        | group(f"{STEP}/user", memory_max="4194304000", memory_current="94304000")
        | group(f"{STEP}", memory_max="8388608000", memory_current="94304000"),
        limit=4194304000,
        free=4100000000,
    ),
    "v2, a systemd scope inside a tighter slice": Groups(
        "openjdk/jdk#20646",
        V2
        | {"proc/self/cgroup": "0::/user.slice/user-cg.slice/run-r634.scope\n"}
        | group(
            f"{TOP}/user.slice/user-cg.slice/run-r634.scope",
            cpu_max="400000 100000",
            memory_max=str(8 * GIB),
            memory_current=str(GIB),
        )
        | group(
            f"{TOP}/user.slice/user-cg.slice",
            cpu_max="100000 50000",
            memory_max=str(6 * GIB),
            memory_current=str(5 * GIB),
        ),
        quota="100000 50000",
        cores=2,
        limit=6 * GIB,
        free=GIB,
    ),
    "v2, a sibling uses what a roomy ancestor has": Groups(
        "jdx/mr-boxington#386",
        V2
        | {"proc/self/cgroup": "0::/a/b\n"}
        | group(f"{TOP}/a/b", memory_max=str(4 * GIB), memory_current="0")
        | group(f"{TOP}/a", memory_max=str(16 * GIB), memory_current=str(15 * GIB)),
        limit=4 * GIB,
        free=GIB,
    ),
    "v2, memory.high alone": Groups(
        "cockroachdb/cockroach#114774",
        V2
        | {"proc/self/cgroup": "0::/user.slice\n"}
        | group(
            f"{TOP}/user.slice",
            memory_high="1073741824",
            memory_max="max",
            memory_current="73741824",
        ),
        limit=1073741824,
        free=1000000000,
    ),
    "v2, the page cache gives way": Groups(
        "kubernetes/kubernetes#43916",
        V2
        | {"proc/self/cgroup": "0::/\n"}
        | group(
            TOP,
            memory_max="1000",
            memory_current="900",
            memory_stat="anon 300\nfile 600\ninactive_file 400\nactive_file 150\nshmem 50",
        ),
        limit=1000,
        free=650,
    ),
    "v2, a limit of zero is a limit": Groups(
        "ClickHouse/ClickHouse#59435",
        V2 | {"proc/self/cgroup": "0::/\n"} | group(TOP, memory_max="0", memory_current="0"),
        limit=0,
        free=0,
    ),
    "v2, Kubernetes: a fraction of a processor in the pod's group": Groups(
        "google/gvisor#9580",
        V2
        | {"proc/self/cgroup": "0::/kubepods.slice/pod.slice/cri-a991.scope\n"}
        | group(f"{TOP}/kubepods.slice/pod.slice/cri-a991.scope", cpu_max="max 100000")
        | group(f"{TOP}/kubepods.slice/pod.slice", cpu_max="50000 100000", memory_max=str(GIB)),
        quota="50000 100000",
        cores=1,
        limit=GIB,
    ),
    "v2, mounted elsewhere, with a space": Groups(
        NONE_FOUND,
        mounted(r"/ /mnt/my\040groups cgroup2 rw")
        | {"proc/self/cgroup": "0::/job\n"}
        | group("mnt/my groups/job", cpu_max="300000 100000", memory_max="7", memory_current="2"),
        quota="300000 100000",
        cores=3,
        limit=7,
        free=5,
    ),
    "v2, the mount shows a sub-tree": Groups(
        "envoyproxy/envoy#47321",
        mounted("/kubepods.slice/pod123 /sys/fs/cgroup cgroup2 rw")
        | {"proc/self/cgroup": "0::/kubepods.slice/pod123/containerA\n"}
        | group(f"{TOP}/containerA", cpu_max="200000 100000")
        | group(TOP, cpu_max="800000 100000"),
        quota="200000 100000",
        cores=2,
    ),
    "namespace: joined from outside, by nsenter": Groups(
        "util-linux/util-linux#2006",
        V2
        | {"proc/self/cgroup": "0::/../../../user.slice/user-60122.slice/vte-spawn.scope\n"}
        | group(TOP, memory_max="500", memory_current="100", cpu_max="100000 100000"),
        quota="100000 100000",
        cores=1,
        limit=500,
        free=400,
    ),
    "namespace: the host's mount, begun above it": Groups(
        "util-linux/util-linux#2006",
        mounted("/../../.. /sys/fs/cgroup cgroup2 rw")
        | {"proc/self/cgroup": "0::/../../../user.slice/vte-spawn.scope\n"}
        | group(f"{TOP}/user.slice/vte-spawn.scope", memory_max="500", memory_current="100"),
        limit=500,
        free=400,
    ),
    "namespace: unshared under the host's mount, names unknown": Groups(
        "systemd/systemd#3589",
        mounted("/../.. /sys/fs/cgroup cgroup2 rw")
        | {"proc/self/cgroup": "0::/\n"}
        | group(f"{TOP}/a.slice/other.scope", cgroup_procs="999999999", memory_max="1")
        | group(
            f"{TOP}/a.slice/own.scope",
            cgroup_procs=f"{os.getpid()}",
            memory_max="500",
            memory_current="100",
        ),
        limit=500,
        free=400,
    ),
    "v1, no limit": Groups(
        "scylladb/seastar#413",
        V1
        | {"proc/self/cgroup": "5:memory:/\n3:cpu,cpuacct:/user.slice\n"}
        | group(f"{TOP}/memory", memory_limit_in_bytes=V1_NO_LIMIT, memory_usage_in_bytes="5")
        | group(f"{TOP}/cpu,cpuacct/user.slice", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000"),
        quota="-1 100000",
    ),
    "v1, no limit in pages of 64 KiB": Groups(
        NONE_FOUND,
        V1
        | {"proc/self/cgroup": "5:memory:/\n"}
        | group(f"{TOP}/memory", memory_limit_in_bytes=str((2**63 - 1) // 65536 * 65536)),
    ),
    "v1, Docker without a namespace: the path is not under the mount": Groups(
        "moby/moby#34584",
        mounted(
            f"/{POD} /sys/fs/cgroup/cpu cgroup rw,cpu",
            f"/{POD} /sys/fs/cgroup/memory cgroup rw,memory",
        )
        | {"proc/self/cgroup": f"4:memory:/{POD}\n2:cpu:/{POD}\n"}
        | group(f"{TOP}/cpu", cpu_cfs_quota_us="250000", cpu_cfs_period_us="100000")
        | group(
            f"{TOP}/memory",
            memory_limit_in_bytes="1000",
            memory_usage_in_bytes="900",
            memory_stat="inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 100",
        ),
        quota="250000 100000",
        cores=3,
        limit=1000,
        free=500,
    ),
    "v1, moved out of its container's group": Groups(
        "openjdk/jdk#21808",
        mounted("/docker/abc /sys/fs/cgroup/memory cgroup rw,memory")
        | {"proc/self/cgroup": "9:memory:/test\n"}
        | group(
            f"{TOP}/memory", memory_limit_in_bytes="419430400", memory_usage_in_bytes="9430400"
        ),
        limit=419430400,
        free=410000000,
    ),
    "v1, an ancestor that the mount does not show": Groups(
        "cloudfoundry/gosigar#57",
        mounted("/docker/abc /sys/fs/cgroup/memory cgroup rw,memory")
        | {"proc/self/cgroup": "9:memory:/docker/abc\n"}
        | group(
            f"{TOP}/memory",
            memory_limit_in_bytes=V1_NO_LIMIT,
            memory_usage_in_bytes="100",
            memory_stat="cache 0\nhierarchical_memory_limit 2147483648",
        ),
        limit=2147483648,
        free=2147483548,
    ),
    "v1, nested, controllers mounted together": Groups(
        "dotnet/runtime#850",
        V1
        | {"proc/self/cgroup": "5:memory:/outer/inner\n3:cpu,cpuacct:/outer/inner\n"}
        | group(f"{TOP}/cpu,cpuacct/outer/inner", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000")
        | group(f"{TOP}/cpu,cpuacct/outer", cpu_cfs_quota_us="350000", cpu_cfs_period_us="100000")
        | group(f"{TOP}/memory/outer/inner", memory_limit_in_bytes="800", memory_usage_in_bytes="1")
        | group(f"{TOP}/memory/outer", memory_limit_in_bytes="900", memory_usage_in_bytes="850"),
        quota="350000 100000",
        cores=4,
        limit=800,
        free=50,
    ),
    "hybrid: v2 without controllers beside v1": Groups(
        "GuillaumeGomez/sysinfo#1669",
        mounted(
            "/ /sys/fs/cgroup/unified cgroup2 rw",
            "/ /sys/fs/cgroup/memory cgroup rw,memory",
            "/ /sys/fs/cgroup/cpu cgroup rw,cpu",
        )
        | {
            "proc/self/cgroup": "11:memory:/memory.slice/service.scope\n4:cpu:/\n"
            "1:name=systemd:/system.slice/service.scope\n0::/system.slice/service.scope\n"
        }
        | group(f"{TOP}/unified/system.slice/service.scope", memory_max="max", cgroup_procs="1")
        | group(
            f"{TOP}/memory/memory.slice/service.scope",
            memory_limit_in_bytes="700",
            memory_usage_in_bytes="200",
        ),
        limit=700,
        free=500,
    ),
    "no mountinfo, as in pods that share their processes": Groups(
        "uber-go/automaxprocs#38",
        {"proc/self/cgroup": "0::/../cri-containerd-1.scope\n"}
        | group(TOP, cpu_max="200000 100000", memory_max="300", memory_current="100"),
        quota="200000 100000",
        cores=2,
        limit=300,
        free=200,
    ),
    "gVisor: no /proc/self/cgroup, v1 of its own": Groups(
        "google/gvisor#13007",
        group(
            f"{TOP}/memory", memory_limit_in_bytes="2147483648", memory_usage_in_bytes="69672960"
        ),
        limit=2147483648,
        free=2077810688,
    ),
    "no cgroups at all": Groups("google/gvisor#1906", {}),
    "files that cannot be read": Groups(
        "containers/crun#582",
        V2
        | {"proc/self/cgroup": "0::/a\n", f"{TOP}/a/cpu.max": None, f"{TOP}/a/memory.max": None}
        | group(TOP, memory_max="300"),
        limit=300,
    ),
    "contents of another kind": Groups(
        "ccfos/huatuo#637",
        V2
        | {
            "proc/self/cgroup": b"0::/\xff\nnonsense\n::\n",
            "proc/self/mountinfo": b"\xfe\n1 2\n - -\n",
        }
        | group(TOP, cpu_max="?", memory_max="-5", memory_stat="a b c\nd\ne \u00b2"),
        quota="?",
    ),
}
"""By what is odd, a machine's control groups."""
