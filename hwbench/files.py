"""Files that are replaced whole or not at all, and where they can be."""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path

TEMPORARY = ".part"
"""Ends the name of a file that is still being written. No search for results or pages meets it."""

WAITS_NOT = getattr(os, "O_NONBLOCK", 0)
"""Opens a pipe without waiting for its other end."""

PIPE_S, POLL_S = 5.0, 0.02
"""How long a pipe may have nothing to read, or nobody who reads it, and how often it is asked."""

SHORT = 50
"""The most characters of a name that stay in that of its temporary file: 200 bytes of UTF-8."""

LONGEST_NAME = 255
"""Bytes of a name that file systems take."""


def require_folder(folder: Path, name: str = "") -> None:
    """OSError unless files can be made in the folder, or in the first one above it that exists.
    `name` is that of the file to be made."""
    for part in (*folder.parts, name):
        if len(os.fsencode(part)) > LONGEST_NAME:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    existing.stat()  # links in a circle are an error
    if not existing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def read_regular(file: Path) -> str:
    """The text of a file in UTF-8. OSError for what is no file, such as a pipe, whose reading may
    have no end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(errno.EINVAL, "not a file")
    return file.read_text(encoding="utf-8")


def read_start(file: Path, most_bytes: int) -> bytes:
    """The first bytes of a file, or of a pipe that the user names, such as `<(command)`.

    OSError for what cannot be read: a device, or a pipe that nothing comes from for PIPE_S seconds.
    """
    with os.fdopen(os.open(file, os.O_RDONLY | WAITS_NOT), "rb", buffering=0) as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISFIFO(mode):
            return _read_pipe(stream, most_bytes)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a device, not a file")
        with BufferedReader(stream) as whole:  # one read of a file may give a part of it
            return whole.read(most_bytes)


def _read_pipe(stream: FileIO, most_bytes: int) -> bytes:
    """What comes through a pipe until its writers have closed it."""
    content = b""
    until = time.monotonic() + PIPE_S
    while len(content) < most_bytes:
        part = stream.read(min(most_bytes - len(content), 1 << 20))
        if part:
            content, until = content + part, time.monotonic() + PIPE_S
        elif part == b"" and content:
            break
        elif time.monotonic() > until:
            raise OSError(errno.ETIMEDOUT, f"nothing has come through this pipe for {PIPE_S:g} s")
        else:  # no writer yet, or one that has nothing yet
            time.sleep(POLL_S)
    return content


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Give the block a path beside `target` to write to. It becomes `target` when the block ends.

    The content is on disk before it gets the name, so `target` survives a crash of the machine as
    it was before or as it is after. Whatever the block or the file system raises (OSError for a
    full disk, say), the temporary file is removed and `target` stays as it was.
    """
    # two processes that write the same file must not write into each other's; and a name that is
    # as long as names may be leaves no room for more
    temporary = target.with_name(f"{target.name[:SHORT]}.{os.getpid()}{TEMPORARY}")
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
