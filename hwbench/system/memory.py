"""The memory of this machine, whatever part of it this process may use."""

import os

import psutil

from hwbench.system.cpu import FAILURES


def total_bytes() -> int | None:
    """The machine's memory; None if nothing tells it."""
    try:
        return int(psutil.virtual_memory().total)
    except FAILURES:
        return _pages("SC_PHYS_PAGES")


def available_bytes() -> int | None:
    """The memory that programs can have without swapping; None if nothing tells it."""
    try:
        return int(psutil.virtual_memory().available)
    except FAILURES:
        return _pages("SC_AVPHYS_PAGES")


def _pages(name: str) -> int | None:
    """What the C library counts in pages, in bytes: it asks the kernel and not /proc."""
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):  # Windows has no such call
        return None
