"""Run one command: pass its output on line by line, and end it at its limit with all processes that
it started."""

import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GRACE_S, GRACE_SHARE = 8.0, 0.25
"""How long before its limit a command is interrupted; `hwbench run` then stores its results and
writes its page."""

KILL_S, KILL_SHARE = 1.5, 0.1
"""How long before its limit a command that ignores the interrupt is killed."""

POLL_S = 0.1
STOP_S = 3.0
"""The grace of a command when the check itself is stopped: its caller may not wait long."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (None if it could not be started or killed), its time,
    and whether it ended by itself."""

    status: int | None
    seconds: float
    in_time: bool


def run_command(
    words: Sequence[str],
    limit_s: float,
    tell: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    output: Path | None = None,
) -> Ended:
    """Run `words` for at most `limit_s` seconds; each line that it prints goes to `tell`.

    With `output`, standard output goes to that file and only standard error to `tell`. The command
    has its own process group, which gets SIGINT and then SIGKILL; descendants in other groups are
    killed, too. An exception (a signal to the check) ends the command and passes through.
    """
    began = time.monotonic()
    deadline = began + limit_s
    ask_at = deadline - min(GRACE_S, GRACE_SHARE * limit_s)
    kill_at = deadline - min(KILL_S, KILL_SHARE * limit_s)
    adopt_orphans()
    file = output.open("wb") if output else None
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file or subprocess.PIPE,
            stderr=subprocess.PIPE if file else subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_prepare,
        )
    except OSError as error:
        tell(f"{words[0]}: {error.strerror}")
        return Ended(None, time.monotonic() - began, in_time=True)
    finally:
        if file:
            file.close()
    stream = child.stderr if file else child.stdout
    assert stream
    lines, in_time = _Lines(stream, tell), True
    try:
        while child.poll() is None:
            now = time.monotonic()
            if now >= kill_at:
                break
            if now >= ask_at and in_time:
                in_time = False
                tell(f"== interrupted after {now - began:.0f} s")
                _signal_group(child, signal.SIGINT)
            lines.read(POLL_S)
        in_time = in_time and child.poll() is not None
    except BaseException:
        _signal_group(child, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S)
        raise
    finally:
        kill_descendants(child)
        lines.close()
    return Ended(child.poll(), time.monotonic() - began, in_time)


class _Lines:
    """Passes the lines of a pipe on; never waits for a process that holds the pipe open and prints
    nothing."""

    def __init__(self, stream: IO[bytes], tell: Callable[[str], None]) -> None:
        self._stream, self._tell, self._rest, self._open = stream, tell, b"", True
        os.set_blocking(stream.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(stream, selectors.EVENT_READ)

    def read(self, seconds: float) -> bool:
        """Wait at most `seconds` for output. Returns whether there was any."""
        if not self._open:
            time.sleep(seconds)
            return False
        if not self._selector.select(seconds):
            return False
        data = os.read(self._stream.fileno(), 1 << 16)
        self._open = bool(data)
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            self._tell(line.decode(errors="replace"))
        return bool(data)

    def close(self) -> None:
        """Pass on what is in the pipe, also an unfinished last line."""
        while self.read(0):
            pass
        if self._rest:
            self._tell(self._rest.decode(errors="replace"))
        self._selector.close()
        self._stream.close()


def _prepare() -> None:
    """In the child: accept interrupts even if the check was started in a shell's background, and
    end with the check."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()


def end_with_parent() -> None:
    """Let this process be killed when its parent ends (Linux)."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that all can be found (Linux)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _LIBC:
        _LIBC.prctl(option, value, 0, 0, 0)


def _libc() -> ctypes.CDLL | None:
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        if hasattr(library, "prctl"):
            return library
    return None


_LIBC = _libc()


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    # macOS raises EPERM for a group of zombies
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def kill_descendants(child: "subprocess.Popen[bytes]") -> None:
    """Kill the command, its group and all other descendants of this process, in at most a
    second."""
    end = time.monotonic() + 1.0
    while True:
        _signal_group(child, signal.SIGKILL)
        child.poll()
        living = descendants(os.getpid())
        for pid in living:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if (not living and child.poll() is not None) or time.monotonic() > end:
            return
        time.sleep(0.02)


def descendants(root: int) -> list[int]:
    """The processes below `root`; empty where there is no /proc. Zombies of `root` that it adopted
    are reaped."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            pid = int(stat.parent.name)
            rest = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            state, parent = rest[0], int(rest[1])
            if state != "Z":
                children[parent].append(pid)
            # a leader is the command itself, which Popen waits for
            elif parent == root and os.getpgid(pid) != pid:
                os.waitpid(pid, os.WNOHANG)
    found, pending = [], [root]
    while pending:
        below = children[pending.pop()]
        found += below
        pending += below
    return found
