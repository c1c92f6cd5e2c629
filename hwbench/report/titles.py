"""How metrics are called in front of people."""

METRICS = {
    "tokens_per_s": "Tokens per second",
    "flops_per_s": "Model FLOP/s",
    "bytes_per_s": "Memory traffic",
    "step_s_p50": "Step, p50",
    "ttft_s_p50": "Time to first token, p50",
    "tpot_s_p50": "Time per output token, p50",
    "memory_peak_bytes": "Memory peak",
    "energy_j_per_token": "Energy per token",
    "energy_j": "Energy per step",
    "power_w": "Power",
}
"""The headline metrics of `compare`, in tables."""

RATES = {
    "tokens_per_s": "Tokens per second",
    "flops_per_s": "Model FLOP per second",
    "bytes_per_s": "Memory traffic",
}
"""The throughput metrics, above figures."""
