"""llama-bench's JSON and JSON Lines as a run."""

import json

import pandas as pd
import pytest
from foreign import (
    DATA,
    DROP,
    FILES,
    SOURCES,
    read_changed,
    reason_among_others,
    refusal,
    steps_of,
    written,
)

from hwbench.records import UserError
from hwbench.tables import importers

TOOL = "llama-bench"
LINES = DATA / "llama-bench.jsonl"
TESTS = SOURCES[TOOL]
FOUND = importers.read(TOOL, [FILES[TOOL]])


def test_each_test_is_a_case_and_each_repetition_a_sample():
    for (case, process), test in zip(FOUND.measured, TESTS, strict=True):
        assert case.workload == "llama-bench/qwen2 7B Q4_K - Medium"
        assert steps_of(process) == pytest.approx([ns * 1e-9 for ns in test["samples_ns"]])
        assert process.work.tokens == test["n_prompt"] + test["n_gen"]


def test_a_setting_that_no_column_holds_is_a_text(tmp_path):
    found = read_changed(tmp_path, TOOL, 0, "n_batch", to=2**70)
    assert found.measured[0][0].params["n_batch"] == str(2**70)


def test_tokens_a_second_are_those_that_the_file_states(call, tmp_path):
    done = call("import", TOOL, FILES[TOOL], "--json")
    assert done.returncode == 0, done.stderr
    metrics = pd.concat(map(pd.read_parquet, tmp_path.glob("results/*/metrics/*.parquet")))
    rates = metrics[metrics.metric == "tokens_per_s"].value
    assert sorted(rates) == pytest.approx(sorted(test["avg_ts"] for test in TESTS), rel=1e-3)


def test_a_case_is_the_model_and_what_is_not_a_default():
    case, _ = FOUND.measured[0]
    assert {name: value for name, value in case.params.items() if value is not False} == {
        "model": "Qwen2.5-7B-Instruct-Q4_K_M.gguf",
        "n_threads": 8,
        "n_gpu_layers": 99,
        "n_prompt": 512,
    }


def test_json_lines_are_further_processes_of_the_same_cases():
    both = importers.read(TOOL, [FILES[TOOL], LINES])
    ids = [case.case_id for case, _ in both.measured]
    assert len(ids) == 4
    assert ids[:2] == ids[2:]


def test_one_line_is_one_test(tmp_path):
    file = written(tmp_path, LINES.read_text().splitlines()[0])
    assert len(importers.read(TOOL, [file]).measured) == 1


class TestDevice:
    def test_is_the_gpu(self):
        assert (FOUND.device_kind, FOUND.device_name) == ("cuda", "NVIDIA GeForce RTX 4080")
        assert FOUND.environment["cpu"]["name"] == "AMD Ryzen 7 7800X3D 8-Core Processor"
        assert FOUND.environment["packages"] == {"llama.cpp": "8cf427ff"}
        assert FOUND.started_at == "2025-04-24T11:58:50+00:00"

    @pytest.mark.parametrize(
        ("fields", "kind", "name"),
        [
            ({"gpu_info": ""}, "cpu", "AMD Ryzen 7 7800X3D 8-Core Processor"),
            ({"devices": "none"}, "cpu", "AMD Ryzen 7 7800X3D 8-Core Processor"),
            ({"gpu_info": "", "cpu_info": ""}, "cpu", "unknown CPU"),
            ({"gpu_info": "", "cpu_info": "CPU"}, "cpu", "unknown CPU"),
            ({"gpu_info": "", "cpu_info": "OpenBLAS, CPU"}, "cpu", "unknown CPU"),
            ({"gpu_info": "", "cpu_info": "aarch64"}, "cpu", "unknown CPU"),
            ({"gpu_info": "", "cpu_info": "Accelerate, Apple M1"}, "cpu", "Accelerate, Apple M1"),
            ({"backends": "Metal,BLAS", "gpu_info": "Apple M2 "}, "mps", "Apple M2"),
            (
                {"backends": "ROCm", "gpu_info": "AMD Instinct MI300X"},
                "cuda",
                "AMD Instinct MI300X",
            ),
            ({"backends": "Vulkan", "gpu_info": "NVIDIA L4"}, "cuda", "NVIDIA L4"),
            ({"backends": "Vulkan", "gpu_info": "Mali-G57"}, "gpu", "Mali-G57"),
            ({"backends": "", "cuda": True, "gpu_info": "Tesla T4"}, "cuda", "Tesla T4"),
        ],
    )
    def test_is_what_the_backends_ran_on(self, tmp_path, fields, kind, name):
        file = written(tmp_path, json.dumps([TESTS[0] | fields]))
        found = importers.read(TOOL, [file])
        assert (found.device_kind, found.device_name) == (kind, name)

    def test_the_backend_is_no_part_of_the_case(self, tmp_path):
        file = written(tmp_path, json.dumps([TESTS[0] | {"backends": "Vulkan"}]))
        ((case, _),) = importers.read(TOOL, [file]).measured
        assert case == FOUND.measured[0][0]


WRONG = {
    "a number": ((), 3, "the file has no list of tests"),
    "a test that is a number": ((0,), 3, "test 0 has no model_type"),
    "no samples": ((0, "samples_ns"), DROP, "test 0 has no samples_ns"),
    "the same test twice": ((1,), TESTS[0], "test 1 is another one a second time"),
    "two machines": (
        (1, "gpu_info"),
        "NVIDIA L4",
        "tests 0 and 1 do not belong together: they were measured on NVIDIA GeForce RTX 4080, CUDA",
    ),
    "two builds": ((1, "build_commit"), "abc", "they are of the builds 8cf427ff and abc"),
    "a path that is a number": ((0, "model_filename"), 3, "test 0 has no model_filename"),
}
UNUSABLE = {
    "one sample": (
        (0, "samples_ns"),
        [5],
        "test 0: samples_ns has one time, which is no distribution; run",
    ),
    "no tokens": ((0, "n_prompt"), 0, "test 0 has no numbers of tokens, n_prompt and n_gen"),
    "tokens below zero": ((0, "n_gen"), -1, "test 0 has no numbers of tokens"),
    "tokens of no column": ((0, "n_gen"), 2**64, "test 0 has no numbers of tokens"),
    "tokens that are true": ((0, "n_gen"), True, "test 0 has no numbers of tokens"),
    "no n_gen": ((0, "n_gen"), DROP, "test 0 has no numbers of tokens"),
    **{
        f"a time of {bad}": (
            (0, "samples_ns", 1),
            bad,
            "test 0: samples_ns[1] is no time above zero",
        )
        for bad in (0, -1, float("nan"), 10**400, "1", None, True)
    },
}


@pytest.mark.parametrize(("path", "to", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_by_the_name_of_the_field(tmp_path, path, to, says):
    assert says in refusal(tmp_path, TOOL, *path, to=to)


@pytest.mark.parametrize(("path", "to", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_has_no_times_is_a_row_with_the_reason_among_others(tmp_path, path, to, says):
    assert says in reason_among_others(read_changed(tmp_path, TOOL, *path, to=to))


@pytest.mark.parametrize("text", ["", "\n\n", '{"a": 1}\n{"b"', "[1]\nx"])
def test_lines_that_are_cut_short_are_refused(tmp_path, text):
    with pytest.raises(UserError, match="not JSON, or cut short"):
        importers.read(TOOL, [written(tmp_path, text)])


def test_an_empty_list_is_refused(tmp_path):
    with pytest.raises(UserError, match="no benchmark in it"):
        importers.read(TOOL, [written(tmp_path, "[]")])
