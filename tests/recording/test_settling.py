"""Plans of the built-in workloads, made for devices that are not here: formats settled, defaults
made to fit."""

from pathlib import Path

import pytest

from hwbench.discovery import discover
from hwbench.recording import matrix
from hwbench.recording.suites import from_suite, load_suite
from hwbench.records import Policy, UserError
from hwbench.workload import axis, workload

KNOWN = discover()

CPU_WITHOUT_BF16 = {
    "formats": {"fp32": 93e9, "bf16": 2.8e9, "fp16": 2.9e9},
    "formats_of": "one thread",
}
CPU_WITH_BF16 = {
    "formats": {"fp32": 93e9, "bf16": 190e9, "fp16": 2.9e9},
    "formats_of": "one thread",
}


class TestSettling:
    """A plan that is made before the device is known, settled for two of them."""

    def dtypes(self, found, *settings, suite=None):
        choices = from_suite(load_suite(suite), KNOWN) if suite else [(KNOWN["gpt/train"], {})]
        settled = matrix.settle(
            matrix.make_plan(choices, matrix.parse_settings(settings), Policy()), found
        )
        return {case.dtype: settled.left_out.get(case.case_id, "") for case in settled.cases}

    def test_auto_is_the_fastest_native_format(self):
        assert self.dtypes(CPU_WITHOUT_BF16) == {"fp32": ""}
        assert self.dtypes(CPU_WITH_BF16) == {"bf16": ""}
        assert self.dtypes({}) == {"fp32": ""}

    def test_auto_may_be_asked_for_beside_others(self):
        assert self.dtypes(CPU_WITH_BF16, "dtype=auto,fp32") == {"bf16": "", "fp32": ""}
        assert self.dtypes(CPU_WITHOUT_BF16, "dtype=auto,fp32") == {"fp32": ""}

    def test_format_asked_for_by_name_is_measured(self):
        assert self.dtypes(CPU_WITHOUT_BF16, "dtype=bf16") == {"bf16": ""}

    def test_a_suite_leaves_an_emulated_format_out_with_the_rates_and_the_cure(self):
        assert self.dtypes(CPU_WITHOUT_BF16, suite="quick") == {
            "fp32": "",
            "bf16": "bf16 is emulated here: 2.8 GFLOP/s of one thread, fp32 93 GFLOP/s; "
            "--dtype bf16 measures it anyway; fast is --dtype fp32",
        }
        assert self.dtypes(CPU_WITH_BF16, suite="quick") == {"fp32": "", "bf16": ""}

    def test_quick_measures_all_models_in_fp32_everywhere(self):
        made = matrix.make_plan(from_suite(load_suite("quick"), KNOWN), {}, Policy())
        shared = [
            {c.case_id for c in settled.cases if c.case_id not in settled.left_out}
            for settled in (
                matrix.settle(made, CPU_WITHOUT_BF16),
                matrix.settle(made, CPU_WITH_BF16),
            )
        ]
        assert shared[0] < shared[1]
        models = {c.workload for c in made.cases if c.case_id in shared[0]}
        assert models >= {"gpt/train", "gpt/prefill", "gpt/decode", "gemm", "copy"}

    def test_a_case_that_is_left_out_is_not_searched_for(self):
        choices = [(KNOWN["gpt/train"], {"dtype": ["bf16"]})]
        settled = matrix.settle(
            matrix.make_plan(choices, {"batch": ["max"]}, Policy()), CPU_WITHOUT_BF16
        )
        assert (settled.searched, settled.cases[0].params["batch"]) == ({}, 1)
        assert set(settled.left_out) == {settled.cases[0].case_id}

    def test_the_cure_names_only_a_format_that_the_workload_has(self):
        @workload("halves", dtype=axis("bf16", choices=("bf16", "fp16")))
        def halves(p, device): ...

        settled = matrix.settle(matrix.make_plan([(halves, {})], {}, Policy()), CPU_WITHOUT_BF16)
        assert "fast is" not in next(iter(settled.left_out.values()))

    def test_a_case_whose_batch_is_searched_is_still_searched(self):
        made = matrix.make_plan([(KNOWN["gpt/train"], {})], {"batch": ["max"]}, Policy())
        settled = matrix.settle(made, CPU_WITH_BF16)
        assert settled.searched == {settled.cases[0].case_id: ("batch", 1, 1 << 20)}


class TestFit:
    """Defaults give way to what was chosen; what was asked for by name stays, and is refused where
    it cannot be."""

    def only(self, name, *settings):
        made = matrix.make_plan([(KNOWN[name], {})], matrix.parse_settings(settings), Policy())
        (case,) = made.cases
        return case.params, made.remarks

    @pytest.mark.parametrize(
        ("name", "axis", "value"),
        [("gpt/train", "seq", 256), ("gpt/forward", "seq", 256), ("gpt/prefill", "prompt", 256)],
    )
    def test_default_longer_than_the_size_is_shortened_with_a_remark(self, name, axis, value):
        params, remarks = self.only(name, "size=nano")
        assert params[axis] == value
        assert remarks == (
            f"{name} size=nano: {axis}={value}; the default 512 is not possible here",
        )

    def test_a_size_with_room_keeps_the_default(self):
        assert self.only("gpt/train", "size=355m")[0]["seq"] == 512
        assert self.only("gpt/decode", "size=nano") == (
            {**self.only("gpt/decode", "size=nano")[0], "prompt": 128},
            (),
        )

    def test_tokens_give_way_to_the_prompt_asked_for(self):
        params, remarks = self.only("gpt/decode", "size=nano", "prompt=250")
        assert (params["prompt"], params["new"]) == (250, 6)
        assert remarks == ("gpt/decode size=nano: new=6; the default 32 is not possible here",)

    def test_misfit_is_left_for_the_workload_to_refuse(self):
        params, remarks = self.only("gpt/decode", "size=nano", "new=300")
        assert (params["prompt"], params["new"], remarks) == (128, 300, ())

    def test_values_asked_for_stay(self):
        assert self.only("gpt/train", "size=nano", "seq=512")[0]["seq"] == 512

    def test_a_prompt_makes_room_for_the_tokens_asked_for(self):
        params, _ = self.only("gpt/decode", "size=nano", "new=200")
        assert (params["prompt"], params["new"]) == (56, 200)

    @pytest.mark.parametrize("name", ["gpt/train", "lstm/train", "mlp/train", "hf/train"])
    def test_a_default_batch_falls_into_the_parts_asked_for(self, name):
        params, _ = self.only(name, "accumulate=3")
        assert params["batch"] % 3 == 0

    def test_heads_are_a_multiple_of_the_heads_of_keys(self):
        assert self.only("attention", "kv_heads=3")[0]["heads"] == 18

    def test_the_largest_batch_is_left_to_the_search(self):
        assert self.only("gpt/train", "batch=max", "accumulate=3")[0]["batch"] == "max"

    @pytest.mark.parametrize(
        ("mode", "says"),
        [
            ("raises", "fake/unfit: its fit failed: RuntimeError: no idea"),
            ("unknown", "its fit changes nope, which is not an axis at its default"),
            ("named", "its fit changes mode, which is not an axis at its default"),
            ("dtype", "its fit changes dtype, which"),
            ("value", "fake/unfit: n=-1: expected a number from 1"),
        ],
    )
    def test_bad_fit_is_refused_with_the_reason(self, mode, says):
        unfit = discover(
            [str(Path(__file__).parent.with_name("fake_workloads.py"))], ["fake/unfit"]
        )["fake/unfit"]
        with pytest.raises(UserError, match=says):
            matrix.make_plan([(unfit, {})], {"mode": [mode]}, Policy())
