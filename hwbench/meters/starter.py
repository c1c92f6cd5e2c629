"""A script, run by an interpreter of its own: `starter.py GO SAID COMMAND…`.

It waits for a byte on the file GO, starts the command as its child, and ends. The child writes its
number and its own peak memory (KiB) to the file SAID before it becomes the command, and the number
of the error if it cannot. It imports as little as it can, as its memory counts as the command's.
"""

import _signal  # type: ignore[import-not-found]  # signal is larger
import os
import sys

BLOCKED = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGHUP)
"""Signals that whoever starts this script has blocked for it."""

IGNORED = (_signal.SIGPIPE, _signal.SIGXFSZ)
"""Signals that an interpreter ignores from its start on."""


UNKNOWN_KIB = "16384"
"""More than the peak of this script, where the kernel does not show it."""


def main(go: int, said: int, words: list[str]) -> None:
    for file in (go, said):
        os.set_inheritable(file, False)
    if not os.read(go, 1) or os.fork():
        return
    with open("/proc/self/status", encoding="utf-8", errors="replace") as status:
        peak = status.read().partition("VmHWM:")[2].split()[:1] or [UNKNOWN_KIB]
    os.write(said, f"{os.getpid()} {peak[0]}".encode())
    for number in IGNORED:
        _signal.signal(number, _signal.SIG_DFL)
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:  # as a shell's background has it
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, BLOCKED)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        os.write(said, f" {error.errno}".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
