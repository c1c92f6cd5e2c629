"""Records as Parquet and back: the result tables."""

from hwbench.tables.reader import find_run, read_heads, read_noise, read_run
from hwbench.tables.run import RunDevice, RunTables
from hwbench.tables.schema import RAW, VERSION_KEY
from hwbench.tables.writer import Writer, write_derived

__all__ = [
    "RAW",
    "VERSION_KEY",
    "RunDevice",
    "RunTables",
    "Writer",
    "find_run",
    "read_heads",
    "read_noise",
    "read_run",
    "write_derived",
]
