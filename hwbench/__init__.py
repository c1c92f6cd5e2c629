"""hwbench measures what a machine can do for large models: tokens/s, FLOP/s, latency, memory."""

__version__ = "0.1.0"
