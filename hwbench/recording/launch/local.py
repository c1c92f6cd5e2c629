"""Workers as processes of this machine: started, listened to, ended with all that they started."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from hwbench.recording.launch.protocol import Message
from hwbench.records import Measurement
from hwbench.system import cgroups

END_S = 30.0
"""How long a process that was killed is waited for."""

POLL_S = 0.2
"""How often to look whether a silent child still lives."""


@dataclass(frozen=True)
class Launch:
    """How a worker is started: the command, its environment, its working folder (None: that of this
    process)."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path | None = None


def here() -> Launch:
    """A worker of this interpreter. It imports what this process would, whatever lies in the
    working folder."""
    path = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return Launch([sys.executable, "-P", "-m", "hwbench.worker"], os.environ | {"PYTHONPATH": path})


@dataclass(frozen=True)
class LocalLauncher:
    """Starts each worker as `launch` says; without it, as a worker of this interpreter."""

    launch: Launch | None = None

    def start(self, request: Message, log: IO[bytes]) -> "LocalJob":
        return LocalJob(self.launch or here(), request, log)


class LocalJob:
    """A child process in a group of its own, sent one request."""

    def __init__(self, launch: Launch, request: Message, log: IO[bytes]) -> None:
        self._oom_kills_before = cgroups.oom_kills()
        self.child = subprocess.Popen(
            launch.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=launch.environment,
            cwd=launch.folder,
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self.child.stdin
        with suppress(BrokenPipeError):  # it died at once; its exit status will tell
            self.child.stdin.write(json.dumps(request).encode() + b"\n")
            self.child.stdin.flush()

    def receive(self, timeout_s: float) -> Message | None:
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            has_ended = self.child.poll() is not None
            try:
                line = self._lines.get(timeout=min(left_s, POLL_S))
            except queue.Empty:
                # and nothing came for a while: a grandchild may hold the pipe open for ever
                if has_ended:
                    return None
                continue
            return _parse(line) if line else None
        raise TimeoutError

    def death(self) -> Measurement:
        try:
            status = self.child.wait(END_S)
        except subprocess.TimeoutExpired:
            return Measurement("error", "the worker closed its output and did not end")
        return describe_death(status, cgroups.oom_kills() - self._oom_kills_before)

    def close(self) -> None:
        children = []
        # hidepid hides the processes of others behind a PermissionError
        with suppress(psutil.Error, OSError):
            children = psutil.Process(self.child.pid).children(recursive=True)
        # macOS answers EPERM for a group of zombies
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)
        for child in children:  # one that has left the group
            with suppress(psutil.Error):
                child.kill()
        # stuck in a driver, where nothing ends it: it is left behind
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(END_S)
        assert self.child.stdin
        with suppress(BrokenPipeError):
            self.child.stdin.close()

    def _read(self) -> None:
        assert self.child.stdout
        with self.child.stdout as replies:
            for line in replies:
                self._lines.put(line)
        self._lines.put(b"")


def _parse(line: bytes) -> Message:
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def describe_death(status: int, kills: int) -> Measurement:
    """The outcome of a process that ended without an answer, from its exit status and the OOM kills
    that the kernel counted meanwhile."""
    if status == -signal.SIGKILL:  # not sent by this process, which kills only as it closes a job
        if kills:
            return Measurement("oom", "the kernel killed the worker because memory ran out")
        doubt = "but the kernel counted no such kill: a memory daemon or a person may have sent it"
        return Measurement("oom", f"the worker was killed, as when memory runs out, {doubt}")
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return Measurement("error", f"the worker ended without an answer: {how}")
