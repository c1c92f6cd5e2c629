"""The GPT and Llama sizes by their published names.

GPT-2: Radford et al. 2019, table 2, and the released checkpoints, which corrected the paper's
parameter counts (117M is 124M, 345M is 355M, 762M is 774M, 1542M is 1.5B).

GPT-3: Brown et al. 2020, table 2.1. Two of its rows do not multiply out; here the heads divide the
width. 1.3B is printed as 24 heads of 128 on a width of 2048 (here 16 heads), 13B as a width of 5140
with 40 heads of 128 (here 5120). GPT-3 alternates dense and sparse attention layers; here all
layers are dense.

Llama: the released params.json and config.json of Llama 2 (Touvron et al. 2023), Llama 3
(Grattafiori et al. 2024, table 3), Llama 3.2 and TinyLlama (Zhang et al. 2024). Llama 3.2 reaches
its 131,072 positions by scaling its slower frequencies. Ours are unscaled: other numbers at the
same cost.
"""

from dataclasses import replace
from typing import Any

from hwbench.accounts.gpt import GPTConfig
from hwbench.records import Unsupported

_GPT2: dict[str, Any] = {"positions": 1024, "vocab": 50257}
_GPT3: dict[str, Any] = {"positions": 2048, "vocab": 50257}
_LLAMA: dict[str, Any] = {
    "norm": "rmsnorm",
    "encoding": "rotary",
    "mlp": "swiglu",
    "tied": False,
    "biases": False,
}
_LLAMA2 = _LLAMA | {"vocab": 32_000}
_LLAMA3 = _LLAMA | {"vocab": 128_256, "rope_base": 500_000.0, "kv_heads": 8}
_LLAMA_NANO = _LLAMA | {"positions": 256, "vocab": 1000, "kv_heads": 2}
_TINYLLAMA = _LLAMA2 | {"positions": 2048, "kv_heads": 4}
_LLAMA32 = _LLAMA3 | {"positions": 131_072, "tied": True}

SIZES = {
    config.size: config
    for config in (
        # ours, for smoke tests
        GPTConfig("nano", layers=2, heads=4, width=128, positions=256, vocab=1000),
        GPTConfig("124m", layers=12, heads=12, width=768, **_GPT2),
        GPTConfig("355m", layers=24, heads=16, width=1024, **_GPT2),
        GPTConfig("774m", layers=36, heads=20, width=1280, **_GPT2),
        GPTConfig("1.5b", layers=48, heads=25, width=1600, **_GPT2),
        # the shape of 355m, twice its positions
        GPTConfig("350m", layers=24, heads=16, width=1024, **_GPT3),
        GPTConfig("760m", layers=24, heads=16, width=1536, **_GPT3),
        GPTConfig("1.3b", layers=24, heads=16, width=2048, **_GPT3),
        GPTConfig("2.7b", layers=32, heads=32, width=2560, **_GPT3),
        GPTConfig("6.7b", layers=32, heads=32, width=4096, **_GPT3),
        GPTConfig("13b", layers=40, heads=40, width=5120, **_GPT3),
        GPTConfig("175b", layers=96, heads=96, width=12288, **_GPT3),
        # ours, for smoke tests
        GPTConfig("llama-nano", layers=2, heads=4, width=128, inner=352, **_LLAMA_NANO),
        GPTConfig("tinyllama", layers=22, heads=32, width=2048, inner=5632, **_TINYLLAMA),
        GPTConfig(
            "llama-2-7b", layers=32, heads=32, width=4096, positions=4096, inner=11_008, **_LLAMA2
        ),
        GPTConfig("llama-3.2-1b", layers=16, heads=32, width=2048, inner=8192, **_LLAMA32),
        GPTConfig(
            "llama-3-8b", layers=32, heads=32, width=4096, positions=8192, inner=14_336, **_LLAMA3
        ),
        GPTConfig(
            "llama-3-70b", layers=80, heads=64, width=8192, positions=8192, inner=28_672, **_LLAMA3
        ),
    )
}


def gpt_config(size: str, layers: int | None = None) -> GPTConfig:
    """Look up the shape of a published size, cut to its first `layers` layers (None: all of them).

    Unsupported if it has fewer.
    """
    full = SIZES[size]
    if layers is not None and layers > full.layers:
        raise Unsupported(
            f"gpt {size} has {full.layers} layers, not {layers}; lower layers or leave it at all"
        )
    return replace(full, layers=layers or full.layers)
