"""The error of predicted memory: each case runs a few steps in a fresh process.

Run it as `python tests/bench/memory.py [DEVICE]`. Half an hour on two cores, up to 4 GiB; one row a
case.
"""

import sys
import tempfile
from pathlib import Path

from hwbench import devices
from hwbench.discovery import find
from hwbench.recording.launch.exchange import run_process
from hwbench.recording.matrix import make_plan
from hwbench.records import Policy

POLICY = Policy(processes=1, max_processes=1, min_time_s=0.0, max_time_s=0.5, min_samples=1)

CASES: list[tuple[str, dict[str, list[str]]]] = [
    ("gpt/train", {"batch": ["1", "2", "4"], "seq": ["128", "512"], "dtype": ["fp32", "bf16"]}),
    (
        "gpt/train",
        {"batch": ["2"], "seq": ["128", "512"], "dtype": ["fp32", "bf16"], "compile": ["true"]},
    ),
    (
        "gpt/train",
        {
            "batch": ["4"],
            "seq": ["128"],
            "dtype": ["fp32"],
            "optimizer": ["gd", "sgd", "sgd-minibatch"],
        },
    ),
    ("gpt/train", {"size": ["355m"], "layers": ["6"], "batch": ["2"], "dtype": ["fp32"]}),
    ("lstm/train", {"batch": ["1", "4"], "seq": ["64"], "dtype": ["fp32", "bf16"]}),
    ("mlp/train", {"dtype": ["fp32", "bf16"]}),
    ("gpt/prefill", {"dtype": ["fp32", "bf16"]}),
    ("gpt/decode", {"dtype": ["fp32", "bf16"]}),
]


def main() -> None:
    device = devices.resolve(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    for name, settings in CASES:
        for case in make_plan([(find(name), {})], settings, POLICY).cases:
            request = {"case": {**vars(case), "params": dict(case.params)}, "policy": vars(POLICY)}
            with tempfile.TemporaryDirectory() as folder:
                log = Path(folder) / "log"
                done = run_process(
                    request | {"device": device, "files": []}, POLICY.timeout_s, log, lambda _: None
                )
            if (
                done.window is None
                or done.window.memory_peak_bytes is None
                or done.memory_base_bytes is None
            ):
                print(f"{case}: {done.outcome} {done.reason}", flush=True)
                continue
            measured = done.window.memory_peak_bytes - done.memory_base_bytes
            predicted = done.declared.memory_bytes or 0
            figures = f"{measured / 2**20:7.0f} MiB measured, {predicted / 2**20:7.0f} predicted"
            print(f"{figures}, {predicted / measured - 1:+6.1%}  {case}", flush=True)


if __name__ == "__main__":
    main()
