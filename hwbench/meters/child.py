"""Start a command and wait for it, so that the kernel's figure of its memory is its own.

On Linux the peak memory of a process survives exec, so a command that this process started would
have this process's peak, some 100 MiB. Hence a small interpreter starts it (`starter`) and ends.
The command then comes to this process, which is its subreaper (prctl(2)). So do the processes that
leave the command, as daemons do.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from hwbench.meters import starter
from hwbench.system import files

KIB = 1 if sys.platform == "darwin" else 1024
"""The unit of ru_maxrss in bytes: bytes on macOS, KiB elsewhere."""

SET_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of linux/prctl.h."""

SLACK_BYTES = 2 << 20
"""More than a process takes between its last look at its own peak and exec: 1 MiB was seen."""


class Child:
    """A command that is ready to be started at once.

    After `wait`: `peak_bytes`, the peak memory of the largest of its processes that somebody waited
    for (ru_maxrss of getrusage(2)), None if the system does not say; `floor_bytes`, below which
    that may be the peak of who started it; `alone`, whether the command had no other process than
    itself, False if that is not known.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Prepare the command; nothing of it runs yet."""
        self._words = words
        self.pid: int | None = None
        self.peak_bytes: int | None = None
        self.floor_bytes, self.alone = 0, False
        self._adopts = _become_subreaper() and self._prepare()

    def start(self) -> None:
        """Start the command. OSError if that fails."""
        if not (self._adopts and self._start_prepared()):
            self._adopts = False
            self.floor_bytes = _own_peak_bytes()
            self.pid = subprocess.Popen(self._words).pid

    def wait(self) -> int:
        """Wait for the command's end. Returns its exit status, negative for a signal."""
        assert self.pid is not None
        others_bytes = self._wait_for_adopted() if self._adopts else []
        self.alone = self._adopts and not others_bytes and not _had_children(self.pid)
        _, status, usage = os.wait4(self.pid, 0)
        self.pid = None
        if self._adopts and _is_anyone_left():
            self.alone = False
        self.peak_bytes = max(usage.ru_maxrss * KIB, *others_bytes, 0) or None
        return os.waitstatus_to_exitcode(status)

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Send the signal to the command, if it runs; a signal handler."""
        if self.pid is not None:
            with suppress(ProcessLookupError):  # it may have been waited for a moment ago
                os.kill(self.pid, number)

    def _prepare(self) -> bool:
        """Start the small interpreter. False if that fails."""
        if not sys.executable:
            return False
        go, self._go = os.pipe()
        self._said, said = os.pipe()
        script = [sys.executable, "-I", "-S", starter.__file__, str(go), str(said)]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, starter.BLOCKED)
        try:
            self._starter = subprocess.Popen([*script, *self._words], pass_fds=(go, said))
        except OSError:
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(go)
            os.close(said)
        return True

    def _start_prepared(self) -> bool:
        """Let the small interpreter start the command. False if that interpreter does not work."""
        with suppress(BrokenPipeError):
            os.write(self._go, b"!")
        os.close(self._go)
        with open(self._said, encoding="utf-8") as file:
            said = list(map(int, file.read().split()))
        self._starter.wait()
        if not said:
            return False
        pid, peak_kib, *failure = said
        if failure:
            os.waitpid(pid, 0)
            raise OSError(failure[0], os.strerror(failure[0]))
        self.pid, self.floor_bytes = pid, peak_kib * KIB + SLACK_BYTES
        return True

    def _wait_for_adopted(self) -> list[int]:
        """Wait until the command has ended, and for the processes that left it and end earlier.
        Returns the peak memory of these."""
        peaks = []
        while (ended := _next_to_end()) != self.pid:
            peaks.append(os.wait4(ended, 0)[2].ru_maxrss * KIB)
        return peaks


def _next_to_end() -> int:
    """The number of a child that has ended, which stays to be waited for."""
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return ended.si_pid


def _had_children(pid: int) -> bool:
    """Whether a process that has ended had waited for children: the page faults of these are
    counted (cminflt of proc(5)), and none lives without one. True if that is not shown."""
    fields = (files.read(f"proc/{pid}/stat") or "").rpartition(")")[2].split()
    try:
        return int(fields[8]) > 0
    except (ValueError, IndexError):
        return True


def _is_anyone_left() -> bool:
    """Whether processes of the command go on after its end."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _become_subreaper() -> bool:
    """Make this process the parent of its descendants whose parents end. False if it cannot be."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(SET_SUBREAPER, 1, 0, 0, 0) == 0)
    except (AttributeError, OSError):
        return False


def _own_peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
