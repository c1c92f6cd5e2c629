"""The peaks of devices: each has its own figure or none."""

import pytest

from hwbench.datasheets import cpu as peaks_cpu
from hwbench.datasheets import peaks

BARE = {"kind": "cpu", "usable_cores": 64, "logical_cores": 64}
MILAN = {
    "vendor": "AuthenticAMD",
    "family": "25",
    "model": "1",
    "virtual": False,
    "cores": 32,
    "logical_cores": 64,
    "frequency_max_mhz": 3675.0,
    "vector_extensions": ["avx", "avx2"],
}
SAPPHIRE = MILAN | {"vendor": "GenuineIntel", "family": "6", "model": "143"}
SAPPHIRE |= {"vector_extensions": ["avx2", "avx512f", "amx_bf16", "amx_int8"]}


def on(units):
    return {"device": {"kind": "cuda", "multiprocessors": units}}


@pytest.mark.parametrize(
    ("device", "units", "dtype", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", 132, "bf16", 989.4),
        # its datasheet prints 1,513, which is with sparsity
        ("NVIDIA H100 PCIe", 114, "bf16", 756),
        ("NVIDIA H100 NVL", 132, "bf16", 835.5),
        ("NVIDIA H200", 132, "bf16", 989.5),
        ("NVIDIA B200", 148, "bf16", 2250),
        ("NVIDIA A100-SXM4-80GB", 108, "bf16", 312),
        ("A100-SXM4-40GB", 108, "fp32", 19.5),
        ("Tesla V100-SXM2-16GB", 80, "fp16", 125),
        ("NVIDIA Tesla V100-PCIE-32GB", 80, "fp16", 112),
        ("Tesla T4", 40, "int8", 130),
        ("NVIDIA L4", 58, "fp8", 242.5),
        ("NVIDIA GeForce RTX 4090", 128, "bf16", 165.2),  # 330.3 only with sums in fp16
        ("AMD Instinct MI250X", 110, "bf16", 191.5),  # torch's device is one die of two
        ("AMD Instinct MI300X", 304, "bf16", 1307.4),
    ],
)
def test_the_dense_peak_of_a_device_by_its_name(device, units, dtype, teraflops):
    assert peaks.flops(device, dtype, on(units)).value == pytest.approx(teraflops * 1e12)


def test_the_source_names_the_peak_and_its_origin():
    assert peaks.flops("NVIDIA H100 80GB HBM3", "bf16", on(132)).source == (
        "peak 989.4 TFLOP/s bf16 dense, NVIDIA H100 whitepaper v1.04"
    )
    found = peaks.bandwidth("NVIDIA A100 80GB PCIe", on(108))
    assert (found.value, found.source) == (1.935e12, "peak 1935 GB/s, NVIDIA A100 datasheet 2021")


@pytest.mark.parametrize(
    "device",
    [
        "NVIDIA H100",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA H800",
        "NVIDIA A10G",
        "NVIDIA L40",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "AMD Instinct MI250X/MI250",
        "NVIDIA",
        "",
        "Fake device",
    ],
)
def test_a_part_of_a_name_is_unknown(device):
    assert peaks.flops(device, "bf16", on(132)) is None
    assert peaks.bandwidth(device, on(132)) is None


@pytest.mark.parametrize(
    ("device", "units", "why"),
    [
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 16, "with 16 multiprocessors of 132, is a partition"),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", 42, "with 42 multiprocessors of 108, is a partition"),
        ("NVIDIA A100-SXM4-40GB MIG 7g.40gb", 98, "with 98 multiprocessors of 108, is a partition"),
        ("NVIDIA H100 80GB HBM3 MIG 7g.80gb", 132, "is a partition"),
        (
            "NVIDIA Unheard-of MIG 1g.10gb",
            None,
            "whose multiprocessors were not counted, is a partition",
        ),
        ("NVIDIA H100 80GB HBM3", 114, "with 114 multiprocessors of 132, is a partition"),
        ("NVIDIA A100-SXM4-40GB", 14, "with 14 multiprocessors of 108, is a partition"),
        ("AMD Instinct MI300X", 38, "with 38 multiprocessors of 304, is a partition"),
        ("AMD Instinct MI300X", None, "whose multiprocessors were not counted, may be a partition"),
        (
            "NVIDIA H100 80GB HBM3",
            None,
            "whose multiprocessors were not counted, may be a partition",
        ),
    ],
)
def test_a_partition_has_no_peak_and_a_reason(device, units, why):
    assert peaks.flops(device, "bf16", on(units)) is None
    assert peaks.bandwidth(device, on(units)) is None
    said = peaks.why_unknown(device, on(units))
    assert said.startswith(f"no known peak: {device}, ")
    assert why in said


@pytest.mark.parametrize(
    ("device", "units"),
    [
        ("NVIDIA H100 80GB HBM3", 132),
        ("NVIDIA GeForce GTX 1080", 20),
        ("AMD EPYC 7543", None),
        ("", 1),
    ],
)
def test_a_whole_device_is_no_partition(device, units):
    assert peaks.why_unknown(device, on(units)) == ""


@pytest.mark.parametrize("dtype", ["fp64", "fp4", "name", "units", "source", "bandwidth", ""])
def test_a_dtype_that_the_table_lacks_is_unknown(dtype):
    assert peaks.flops("NVIDIA A100-SXM4-80GB", dtype, {}) is None


def test_hardware_that_lacks_a_dtype_has_no_peak_in_it():
    assert peaks.flops("Tesla V100-SXM2-16GB", "bf16", {}) is None
    assert peaks.flops("NVIDIA A100-SXM4-80GB", "fp8", {}) is None


def test_fp32_has_the_peak_of_fp32_whatever_torch_was_set_to():
    """A process sets the precision that its case names, whatever the variable."""
    told = on(108) | {"variables": {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}}
    assert peaks.flops("NVIDIA A100-SXM4-80GB", "fp32", told).value == 19.5e12


@pytest.mark.parametrize("row", peaks.table().values(), ids=lambda row: row["name"])
def test_every_row_is_plausible(row):
    """Half the bits have twice the rate or the same, tensor cores are faster than plain ones, and
    each row has a source."""
    known = {dtype: float(row[dtype]) for dtype in peaks.DTYPES if row[dtype]}
    assert known.get("bf16", known["fp16"]) == known["fp16"]
    assert known.get("fp32", 0) <= known.get("tf32", known["fp16"]) <= known["fp16"]
    assert known.get("tf32", 0) <= 0.51 * known["fp16"]
    eights = {known[dtype] / known["fp16"] for dtype in ("fp8", "int8") if dtype in known}
    assert all(1 <= ratio < 2.03 or ratio == pytest.approx(4, rel=1e-3) for ratio in eights)
    assert row["source"]
    assert 100 < float(row["bandwidth"]) < 10_000
    assert not peaks.MAKERS.match(row["name"])[0]


# CPUs


def derived(dtype="fp32", cpu=MILAN, device=BARE):
    return peaks.flops(
        "AMD EPYC 7543 32-Core Processor (64 cores)", dtype, {"cpu": cpu, "device": device}
    )


def test_a_cpu_is_cores_times_clock_times_flop_a_cycle():
    assert derived().value == 32 * 3675e6 * 32
    assert derived().source == (
        "derived peak 3.763 TFLOP/s fp32, 32 cores × 3675 MHz (the highest clock) × "
        "32 FLOP a cycle of Zen 3 (AMD 56665: two 256-bit FMA pipes)"
    )


def test_the_matrix_unit_counts_for_bf16():
    assert derived("bf16", SAPPHIRE).value == 32 * 3675e6 * 1024
    assert derived("int8", SAPPHIRE).value == 32 * 3675e6 * 2048
    assert derived("fp32", SAPPHIRE).value == 32 * 3675e6 * 64


def test_the_peak_is_at_the_clock_observed_under_load():
    found = peaks.flops("AMD EPYC 7543", "fp32", {"cpu": MILAN, "device": BARE}, 2800.4)
    assert (found.value, found.dtype) == (32 * 2800.4e6 * 32, "fp32")
    assert "32 cores × 2800 MHz (sustained in gemm)" in found.source
    hidden = {"cpu": MILAN | {"frequency_max_mhz": None}, "device": BARE}
    assert peaks.flops("AMD EPYC 7543", "fp32", hidden, 2800.0).value == 32 * 2800e6 * 32
    assert (
        peaks.flops(
            "AMD EPYC 7543", "fp32", {"cpu": MILAN | {"virtual": True}, "device": BARE}, 2800.0
        )
        is None
    )
    assert (
        peaks.flops("NVIDIA A100-SXM4-80GB", "fp32", {"cpu": MILAN} | on(108), 2800.0).value
        == 19.5e12
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"virtual": True},  # its cores may be threads
        {"virtual": None},
        {"frequency_max_mhz": None},
        {"cores": None},
        {"model": "85"},
        {"model": None},
        {"vendor": None},
        {"vector_extensions": None},
        {"vector_extensions": ["avx"]},
        {"logical_cores": 128},  # half of them are for others
    ],
)
def test_a_cpu_with_an_unknown_fact_has_no_peak(changed):
    assert derived(cpu=MILAN | changed) is None


def test_a_cpu_has_no_peak_in_a_dtype_of_unknown_rate():
    assert derived("bf16") is None
    assert derived("bf16", SAPPHIRE | {"vector_extensions": ["avx512f"]}) is None


def test_a_gpu_does_not_have_the_peak_of_its_cpu():
    assert derived(device={"kind": "cuda"}) is None


@pytest.mark.parametrize("environment", [{}, {"cpu": "EPYC", "device": None, "variables": []}])
def test_a_run_without_an_environment_has_no_peak(environment):
    assert peaks.flops("AMD EPYC 7543", "fp32", environment) is None


def test_no_two_rows_are_of_one_processor():
    keys = [
        (row["vendor"], row["family"], model, row["dtype"])
        for row in peaks_cpu.table()
        for model in row["models"].split()
    ]
    assert len(keys) == len(set(keys))
