import pytest

from hwbench.machine import environment
from hwbench.machine.checks import check
from hwbench.system import files

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
    if rest:
        value = QUIET[head] | {rest: value}
    return QUIET | {head: value}


def test_quiet_machine_raises_no_check():
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
def test_each_check_is_raised_alone(path, value, code, severity, says):
    (found,) = check(changed(path, value))
    assert (found.code, found.severity) == (code, severity)
    assert says in found.finding
    assert bool(found.cure) or severity == "info"
    assert "\n" not in found.finding + found.cure


def test_threads_that_share_cores_make_smt_a_warning():
    shared = {"governor": None, "smt": "on", "cores": 4, "logical_cores": 8}
    (found,) = check({"device": {"torch_threads": 8}, "cpu": shared})
    assert (found.severity, found.cure) == ("warning", "OMP_NUM_THREADS=4, or turn SMT off")


def test_sufficient_quota_raises_no_check():
    assert check(changed("container.cpu_quota", "800000 100000")) == []


@pytest.mark.parametrize("quota", ["", "max", "x y", "-1 100000", "100000 0"])
def test_invalid_quota_is_no_limit(quota):
    assert check(changed("container.cpu_quota", quota)) == []


def test_unknown_facts_raise_no_check():
    unknown = dict.fromkeys(("device", "cpu", "container", "nvidia", "load_average_1min"))
    assert check({}) == check(unknown) == []


def test_gpu_that_is_not_measured_is_not_checked():
    assert check(changed("device", {"kind": "cpu"})) == []
    assert check(changed("device", {"kind": "cuda", "nvml_index": None})) == []
    assert check(changed("device", {"kind": "cuda", "nvml_index": 5})) == []
    only = QUIET | {"device": {"kind": "cuda"}, "nvidia": QUIET["nvidia"][:1]}
    assert {found.code for found in check(only)} == {"persistence_mode", "gpu_processes"}


def test_partition_is_reported_without_peak():
    device = {"kind": "cuda", "name": "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "multiprocessors": 42}
    (found,) = check({"device": device})
    assert (found.code, found.severity) == ("partition", "info")
    assert "no known peak" in found.finding


def test_environment_has_the_checks():
    for found in environment.collect({"kind": "fake"})["checks"]:
        assert set(found) == {"code", "severity", "finding", "cure"}


def test_x86_processor_has_vendor_family_and_model(monkeypatch, tmp_path):
    lines = ["processor\t: 0", "vendor_id\t: AuthenticAMD", "cpu family\t: 25", "model\t\t: 1"]
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("\n".join([*lines, "model name\t: AMD EPYC 7543\n"]))
    monkeypatch.setattr(files, "ROOT", tmp_path)
    cpu = environment.collect({"kind": "fake"})["cpu"]
    assert (cpu["vendor"], cpu["family"], cpu["model"]) == ("AuthenticAMD", "25", "1")
    assert cpu["name"] == "AMD EPYC 7543"


def test_other_processor_has_no_vendor_family_and_model(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    cpu = environment.collect({"kind": "fake"})["cpu"]
    assert [cpu[key] for key in ("vendor", "family", "model")] == [None] * 3
