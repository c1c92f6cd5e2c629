import pytest

from hwbench.machine import environment
from hwbench.machine.checks import check

QUIET = {
    "device": {"kind": "cuda", "nvml_index": 1, "usable_cores": 8, "torch_threads": 4},
    "cpu": {"governor": "performance", "boost": "0", "smt": "off", "cores": 8, "logical_cores": 8},
    "memory_bytes": 8 << 30,
    "container": {"cpu_quota": "max 100000", "memory_limit": "max"},
    "load_average_1min": 0.3,
    "nvidia": [
        {"persistence_mode": False, "compute_processes": 9},
        {"persistence_mode": True, "ecc": None, "compute_processes": 0, "sm_clock_max_mhz": 1980},
    ],
}


def changed(path, value):
    """QUIET with another value at a dotted path."""
    head, _, rest = path.partition(".")
    if head == "gpu":
        return QUIET | {"nvidia": [QUIET["nvidia"][0], QUIET["nvidia"][1] | {rest: value}]}
    return QUIET | {head: QUIET[head] | {rest: value} if rest else value}


def test_a_quiet_machine_raises_nothing():
    assert check(QUIET) == []


@pytest.mark.parametrize(
    ("path", "value", "code", "severity", "says"),
    [
        ("cpu.governor", "powersave", "governor", "warning", "the clock governor is powersave"),
        ("cpu.boost", "1", "turbo", "warning", "turbo is on"),
        ("cpu.smt", "on", "smt", "info", "SMT is on"),
        ("cpu.logical_cores", 16, "smt", "info", "16 logical processors on 8 cores"),
        ("container.cpu_quota", "150000 100000", "cpu_quota", "warning", "1.5 of 8 processors"),
        ("container.memory_limit", str(2 << 30), "memory_limit", "info", "2.0 of 8.0 GiB"),
        ("load_average_1min", 5.2, "load", "warning", "the load average is 5.2 on 8 processors"),
        ("gpu.persistence_mode", False, "persistence_mode", "warning", "persistence mode is off"),
        (
            "gpu.sm_clock_application_mhz",
            1200,
            "application_clocks",
            "info",
            "1200 MHz of at most 1980 MHz",
        ),
        (
            "gpu.compute_processes",
            2,
            "gpu_processes",
            "warning",
            "2 other processes compute on the GPU",
        ),
        ("gpu.ecc", True, "ecc", "info", "ECC is on"),
        ("gpu.ecc", False, "ecc", "info", "ECC is off"),
    ],
)
def test_each_check_alone(path, value, code, severity, says):
    (found,) = check(changed(path, value))
    assert (found.code, found.severity) == (code, severity)
    assert says in found.finding
    assert bool(found.cure) or severity == "info"
    assert "\n" not in found.finding + found.cure


def test_threads_that_share_cores_make_smt_a_warning():
    shared = {"governor": None, "smt": "on", "cores": 4, "logical_cores": 8}
    (found,) = check({"device": {"torch_threads": 8}, "cpu": shared})
    assert (found.severity, found.cure) == ("warning", "OMP_NUM_THREADS=4, or turn SMT off")


def test_a_quota_that_is_enough_is_none():
    assert check(changed("container.cpu_quota", "800000 100000")) == []


@pytest.mark.parametrize("quota", ["", "max", "x y", "-1 100000", "100000 0"])
def test_a_quota_that_is_none_is_no_limit(quota):
    assert check(changed("container.cpu_quota", quota)) == []


def test_what_is_not_known_raises_nothing():
    unknown = {
        "device": None,
        "cpu": None,
        "container": None,
        "nvidia": None,
        "load_average_1min": None,
    }
    assert check({}) == check(unknown) == []


def test_a_gpu_that_is_not_measured_does_not_count():
    assert check(changed("device", {"kind": "cpu"})) == []
    assert check(changed("device", {"kind": "cuda", "nvml_index": None})) == []
    assert check(changed("device", {"kind": "cuda", "nvml_index": 5})) == []
    only = QUIET | {"device": {"kind": "cuda"}, "nvidia": QUIET["nvidia"][:1]}
    assert {found.code for found in check(only)} == {"persistence_mode", "gpu_processes"}


def test_a_partition_is_told_with_what_it_costs():
    (found,) = check(
        {
            "device": {
                "kind": "cuda",
                "name": "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
                "multiprocessors": 42,
            }
        }
    )
    assert (found.code, found.severity) == ("partition", "info")
    assert "no known peak" in found.finding


def test_the_environment_holds_what_was_found():
    for found in environment.collect({"kind": "fake"})["checks"]:
        assert set(found) == {"code", "severity", "finding", "cure"}


def test_an_x86_processor_is_told_by_its_vendor_family_and_model(monkeypatch):
    text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7543\n"
    monkeypatch.setattr(
        environment, "_read", lambda file: text if file == "/proc/cpuinfo" else None
    )
    cpu = environment.collect({"kind": "fake"})["cpu"]
    assert [cpu[key] for key in ("vendor", "family", "model", "name")] == [
        "AuthenticAMD",
        "25",
        "1",
        "AMD EPYC 7543",
    ]


def test_another_processor_has_no_such_words(monkeypatch):
    monkeypatch.setattr(environment, "_read", lambda file: None)
    cpu = environment.collect({"kind": "fake"})["cpu"]
    assert [cpu[key] for key in ("vendor", "family", "model")] == [None] * 3
