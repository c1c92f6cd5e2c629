"""Files that are replaced whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".part"
"""Ends the name of a file that is still being written. No search for results or pages meets it."""


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Give the block a path beside `target` to write to. It becomes `target` when the block ends.

    The content is on disk before it gets the name, so `target` survives a crash of the machine as
    it was before or as it is after. Whatever the block or the file system raises (OSError for a
    full disk, say), the temporary file is removed and `target` stays as it was.
    """
    # two processes that write the same file must not write into each other's
    temporary = target.with_name(f"{target.name}.{os.getpid()}{TEMPORARY}")
    try:
        yield temporary
        with temporary.open("rb+") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk too, where the platform can: some let no folder be opened,
    some network file systems let none be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
