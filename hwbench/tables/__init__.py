"""Records as Parquet and back: the result tables."""

from hwbench.tables.writer import (
    RAW,
    VERSION_KEY,
    RunTables,
    Writer,
    find_run,
    read_heads,
    read_noise,
    read_run,
    write_metrics,
    write_noise,
    write_span_metrics,
)

__all__ = [
    "RAW",
    "VERSION_KEY",
    "RunTables",
    "Writer",
    "find_run",
    "read_heads",
    "read_noise",
    "read_run",
    "write_metrics",
    "write_noise",
    "write_span_metrics",
]
