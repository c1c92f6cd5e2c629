"""Shares of a device's peak, also for runs that others have published."""

import json
from dataclasses import replace

import pytest
from runs import frame, run_of, whole, with_measurements

from hwbench.accounts.sizes import SIZES
from hwbench.analysis import metrics
from hwbench.analysis.metrics import peak_shares
from hwbench.datasheets import peaks
from hwbench.records import Case
from hwbench.report.terminal.run import summary_rows

TRAIN = Case("gpt/train", {"size": "124m"}, "bf16")
A100 = "NVIDIA A100-SXM4-80GB"
CPU = {
    "cpu": {
        "vendor": "AuthenticAMD",
        "family": "25",
        "model": "1",
        "virtual": False,
        "cores": 32,
        "logical_cores": 64,
        "frequency_max_mhz": 3675.0,
        "vector_extensions": ["avx2"],
    },
    "device": {"kind": "cpu", "usable_cores": 64, "logical_cores": 64},
}


def run_on(device, seconds=(1.0, 1.0, 1.0), case=TRAIN, environment=None, **work):
    """A run with a process for each of `seconds`, the time of each of its ten steps of this
    work."""
    head = {"device": device, "environment": json.dumps(whole(device) | (environment or {}))}
    return with_measurements(run_of((case, [[s] * 10 for s in seconds]), **head), case, **work)


def rows(run):
    return metrics.summarize(run).set_index("metric")


def test_a_share_is_work_over_time_over_the_peak_and_says_which():
    found = rows(
        run_on(A100, flops=156 * 10**12, flops_full_attention=234 * 10**12, bytes=2039 * 10**8)
    )
    assert found.value[["mfu", "mfu_palm", "mbu"]].tolist() == pytest.approx([0.5, 0.75, 0.1])
    assert set(found.unit[["mfu", "mfu_palm", "mbu"]]) == {"1"}
    assert (
        found.source["mfu"]
        == found.source["mfu_palm"]
        == "peak 312 TFLOP/s bf16 dense, NVIDIA A100 datasheet 2021"
    )
    assert found.source["mbu"] == "peak 2039 GB/s, NVIDIA A100 datasheet 2021"
    assert found.loc["mfu", ["uncertainty", "grade"]].isna().all()


def test_a_share_is_of_each_process():
    values = metrics.per_process(run_on(A100, seconds=(1.0, 2.0, 4.0), flops=312 * 10**12))
    assert values[values.metric == "mfu"].value.tolist() == pytest.approx([1, 0.5, 0.25])
    assert rows(run_on(A100, seconds=(1.0, 2.0, 4.0), flops=312 * 10**12)).n["mfu"] == 3


@pytest.mark.parametrize("device", ["Fake device", "NVIDIA A100X", ""])
def test_an_unknown_peak_has_no_share(device):
    assert not {"mfu", "mfu_palm", "mbu"} & set(
        rows(run_on(device, flops=1, bytes=1, flops_full_attention=1)).index
    )


def test_no_share_without_a_peak_of_the_dtype_or_declared_work():
    found = set(rows(run_on("Tesla V100-SXM2-16GB", flops=1, bytes=1)).index)
    assert "mbu" in found
    assert not {"mfu", "mfu_palm"} & found


def test_a_share_is_json_beside_the_other_figures():
    (row,) = summary_rows(run_on(A100, flops=156 * 10**12))
    assert (row["mfu"], row["mfu_palm"], row["mbu"]) == (pytest.approx(0.5), None, None)


def test_a_higher_share_is_better_and_depends_on_the_work():
    assert {"mfu", "mfu_palm", "mbu"} <= metrics.HIGHER_IS_BETTER & metrics.WORK_METRICS & set(
        metrics.METRICS
    )


def test_hfu_counts_what_is_computed_again():
    found = rows(run_on(A100, flops=156 * 10**12, hardware_flops=208 * 10**12))
    assert found.value[["mfu", "hfu"]].tolist() == pytest.approx([1 / 2, 2 / 3])
    # not declared: unknown, and not that of the model
    assert "hfu" not in rows(run_on(A100, flops=1)).index


def test_a_share_has_its_convention_its_peak_and_the_dtype_of_that():
    work = {"flops": 1, "hardware_flops": 1, "bytes": 1, "flops_full_attention": 1}
    found = rows(run_on(A100, case=Case("gemm", {}, "tf32"), **work))
    assert found.loc["mfu", ["peak", "peak_dtype"]].tolist() == [156e12, "tf32"]
    assert found.peak["mbu"] == 2.039e12
    assert found.loc[["mbu", "step_s_p50"], "peak_dtype"].isna().all()
    assert found.convention[["mfu", "mfu_palm", "hfu", "mbu"]].nunique() == 4


def test_a_copy_within_a_cache_has_no_share_of_memory():
    cached = Case("copy", {"op": "copy", "level": "l2"}, "fp32")
    assert "mbu" not in rows(run_on(A100, case=cached, bytes=10**12)).index
    assert (
        "mbu"
        in rows(run_on(A100, case=Case("copy", {"level": "memory"}, "fp32"), bytes=10**12)).index
    )


class TestClock:
    """The clock that a CPU sustains while it multiplies matrices."""

    TRAIN = Case("gpt/train", {}, "fp32")

    def run(self, *shown, dtype="fp32"):
        """A run with a gemm from 0 to 10 s and clocks of (process, seconds, MHz)."""
        case = Case("gemm", {"n": 64}, dtype)
        run = run_of(
            (case, [[1.0] * 10] * 2), (self.TRAIN, [[1.0] * 10]), environment=json.dumps(CPU)
        )
        run = with_measurements(run, self.TRAIN, flops=10**12)
        starts = run.samples.assign(start_ns=run.samples.step * 10**9)
        common = {"case_id": case.case_id, "meter": "host", "scope": "system"}
        common |= {"quantity": "cpu_clock", "unit": "Hz"}
        telemetry = []
        for process, seconds, mhz in shown:
            row = {"process": process, "time_ns": int(seconds * 1e9), "value": mhz * 1e6}
            telemetry.append(common | row)
        return replace(run, samples=starts, telemetry=frame("telemetry", telemetry))

    def test_the_clock_is_the_median_in_windows_then_over_processes(self):
        run = self.run(
            (0, -1.0, 9000),
            (0, 1.0, 2000),
            (0, 2.0, 2100),
            (0, 3.0, 2200),
            (0, 11.0, 9000),
            (1, 5.0, 2500),
        )
        assert peak_shares.sustained_mhz(run, "fp32") == pytest.approx(2300)
        row = rows(run).loc["mfu"]
        assert row.peak == pytest.approx(32 * 2300e6 * 32)
        assert "32 cores × 2300 MHz (sustained in gemm) × 32 FLOP a cycle" in row.source

    @pytest.mark.parametrize("shown", [(), ((0, -1.0, 2000),)])
    def test_without_telemetry_the_highest_clock_counts(self, shown):
        run = self.run(*shown)
        assert peak_shares.sustained_mhz(run, "fp32") is None
        assert "3675 MHz (the highest clock)" in rows(run).source["mfu"]

    def test_a_gemm_of_another_dtype_does_not_count(self):
        """Matrix units lower the clock more than vector pipes do."""
        assert peak_shares.sustained_mhz(self.run((0, 1.0, 2000), dtype="bf16"), "fp32") is None


# Published runs


def test_gpt2_trained_by_llmc_on_an_a100():
    """llm.c (its discussion 481) on one A100, a user's log: 524,288 tokens of 1,024 in 4,187.58 ms,
    "32.2% bf16 MFU". llm.c counts biases, norms, positions and padding too: 0.7 % more FLOPs than
    we do."""
    run = run_on(A100, seconds=(4.18758,) * 3, flops=SIZES["124m"].train_flops(512, 1024))
    assert rows(run).value["mfu"] == pytest.approx(0.322, rel=0.008)


def test_palm_540b_as_its_paper_counts(monkeypatch):
    """Chowdhery et al. 2022, appendix B: 238.3K tokens/s, 6,144 TPU v4 of 275 TFLOP/s, 540.35B
    parameters, 118 layers, 48 heads of 256, 2,048 tokens: 46.2 %."""
    monkeypatch.setattr(peaks, "flops", lambda *_: peaks.Peak(6144 * 275e12, "TPU v4"))
    a_token = 6 * 540.35e9 + 12 * 118 * 48 * 256 * 2048
    run = run_on("6144 TPU v4", flops_full_attention=int(238_300 * a_token))
    assert rows(run).value["mfu_palm"] == pytest.approx(0.462, abs=0.0005)
