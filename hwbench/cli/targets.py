"""The files that commands write for users: checked before the work, written when it is done."""

import errno
import os
import stat
import time
from pathlib import Path

from hwbench.files import PIPE_S, POLL_S, WAITS_NOT, atomic_write, require_folder
from hwbench.records import UserError


def require_target(file: Path, option: str = "") -> None:
    """UserError, which begins with `option`, if the file could not be written: known before the
    work, it costs none. Folders that are missing are made when it is written."""
    try:
        mode = _mode(file)
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if mode is None or stat.S_ISREG(mode):  # it is replaced, so it is its folder that counts
            target = Path(os.path.realpath(file))
            require_folder(target.parent, target.name)
        if mode is not None and not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _cannot_write(f"{option}{file}", error) from error


def require_target_folder(folder: Path) -> None:
    """UserError if no files could be written into the folder, which need not be there yet."""
    try:
        if folder.is_file():
            raise UserError(f"{folder}: is a file; name a folder")
        require_folder(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def write_page(file: Path, text: str) -> None:
    """Write a page whole or not at all. UserError if it cannot be written.

    A link is followed, and what is no plain file (a pipe, a device, /dev/stdout) is written into,
    not replaced. A reader that leaves such a pipe has seen enough.
    """
    try:
        mode = _mode(file)
        # an open file by its number, such as /dev/stdout, goes on where it is
        is_open = file.is_absolute() and file.parts[1:2] in (("dev",), ("proc",))
        if mode is not None and (is_open or not stat.S_ISREG(mode)):
            append(file, text)
            return
        target = Path(os.path.realpath(file))
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except BrokenPipeError:
        pass
    except OSError as error:
        raise _cannot_write(file, error) from error


def append(file: Path, text: str) -> None:
    """Write to the end of a file, or into a pipe. OSError if it cannot be written, or if nobody
    reads the pipe for PIPE_S seconds."""
    until = time.monotonic() + PIPE_S
    while (handle := _opened(file)) is None:
        if time.monotonic() > until:
            raise OSError(errno.ENXIO, "nobody reads this pipe")
        time.sleep(POLL_S)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)


def _opened(file: Path) -> int | None:
    """The file, open at its end; None if it is a pipe that nobody reads yet."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | WAITS_NOT, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
    if WAITS_NOT:
        os.set_blocking(handle, True)
    return handle


def _mode(file: Path) -> int | None:
    """What the file is; None if there is none. OSError if it cannot be known, as of links in a
    circle."""
    try:
        return file.stat().st_mode
    except FileNotFoundError:
        return None


def _cannot_write(file: Path | str, error: OSError) -> UserError:
    return UserError(f"{file}: cannot be written: {error.strerror}")
