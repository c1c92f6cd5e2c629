"""NVIDIA's GPUs, through the driver's library."""

from hwbench.meters.nvml.meter import open_meter, sources

__all__ = [
    "open_meter",
    "sources",
]
