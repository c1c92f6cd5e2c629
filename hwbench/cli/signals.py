"""Signals that ask a command to end: it ends its workers, keeps what was measured, shows it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C; the end of a job's time (Slurm, Kubernetes, CI); the end of the terminal."""

AS_ONE_S = 0.5
"""Signals within this time count as one: `timeout`, for one, sends its signal to the process and
then to the group that the process is in."""


class Ended(KeyboardInterrupt):
    """A signal asked this process to end; the text says which. It is a KeyboardInterrupt, so that
    each passes through what must not catch it."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__("interrupted" if number == signal.SIGINT else f"ended by {name}")
        self.status = 128 + number  # as a shell has it


@contextmanager
def raised() -> Iterator[None]:
    """A context in which the first signal raises `Ended`, and a later one ends the process at once.

    A signal that is ignored stays so: `nohup`, or a shell's background, has asked for that.
    """
    first_at: list[float] = []

    def end(number: int, frame: FrameType | None) -> None:
        if not first_at:
            first_at.append(time.monotonic())
            raise Ended(number)
        if time.monotonic() - first_at[0] > AS_ONE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
        heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
