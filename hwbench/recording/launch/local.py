"""A worker as a process of this machine: started, listened to, ended with all that it started."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from hwbench.records import Measurement, UserError

OPENING_TIMEOUT_S = 300
"""A driver may take minutes on its first start, never this long."""


AT_REST_S = 10.0
"""How much longer a process may take that reads the device's power at rest when its case is
measured."""


END_S = 30.0
"""How long a process that was killed is waited for."""


POLL_S = 0.2
"""How often to look whether a silent child still lives."""


OOM_COUNTERS = ("/proc/vmstat", "/sys/fs/cgroup/memory.events")
"""Where Linux counts, in a line `oom_kill N`, the processes that it ended for want of memory."""


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


def run_process(
    request: dict[str, Any],
    timeout_s: float,
    log: Path,
    on_phase: Callable[[str], None],
    launch: Launch | None = None,
    on_tell: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """One case in a fresh process. The process and its descendants are gone when this returns or
    raises."""
    kills_before = _oom_kills()
    with log.open("wb") as output, _Worker(request, output, launch) as worker:
        try:
            for message in worker.messages(timeout_s):
                if "phase" in message:
                    on_phase(message["phase"])
                elif "tell" in message:
                    on_tell(message["tell"])
                else:
                    return Measurement.from_json(message["measurement"])
        except TimeoutError:
            return Measurement(
                "timeout", f"not done after {timeout_s:g} s; ended with all it had started"
            )
        except (ValueError, KeyError, TypeError):
            return Measurement("error", "something else stood where its process was to answer")
        status = worker.child.wait()
    return _death(status, _oom_kills() - kills_before)


def describe_device(
    device: str, warn: Callable[[str], None], launch: Launch | None = None
) -> tuple[str, dict[str, Any]]:
    """The one device that `device` means here (see devices.resolve), and what it says of itself.
    `warn` is told what keeps it from remembering what it found.

    Both are asked in a process that ends. This one never touches a device: a GPU would count it as
    another user, and a TPU would be taken from the processes that measure. UserError if there is no
    such device or it cannot be opened.
    """
    with tempfile.TemporaryFile() as output, _Worker({"device": device}, output, launch) as worker:
        try:
            for message in worker.messages(OPENING_TIMEOUT_S):
                if "refused" in message:
                    raise UserError(message["refused"])
                found: dict[str, Any] = message["device"]
                # a path is in it: it is for the user, and in no run
                for warning in found.pop("warnings", []):
                    warn(warning)
                # an older worker is given what it need not resolve
                return message.get("spec", device), found
        except TimeoutError:
            pass  # its last words say more
        except UserError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"device {device} cannot be opened: the worker's reply was not valid JSON"
            ) from error
        output.seek(0)
        words = output.read().decode(errors="replace").strip().splitlines() or ["no answer"]
    raise UserError(f"device {device} cannot be opened: {words[-1]}")


class _Worker:
    """A child process in a group of its own, sent one request. Leaving the context ends it and all
    its descendants."""

    def __init__(
        self, request: dict[str, Any], output: IO[bytes], launch: Launch | None = None
    ) -> None:
        launch = launch or here()
        self.child = subprocess.Popen(
            launch.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
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

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        children = []
        with suppress(psutil.Error):
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

    def messages(self, timeout_s: float) -> Iterator[dict[str, Any]]:
        """The worker's replies until it ends. TimeoutError if it has not ended after `timeout_s`
        seconds, to which come AT_REST_S once its case is measured and only the device at rest is
        not: that must not cost it the case."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            ended = self.child.poll() is not None
            try:
                line = self._lines.get(timeout=min(left, POLL_S))
            except queue.Empty:
                # and nothing came for a while: a grandchild may hold the pipe open for ever
                if ended:
                    return
                continue
            if not line:
                return
            message = json.loads(line)
            if "phase" in message and message["phase"] == "idle":
                deadline += AT_REST_S
            yield message
        raise TimeoutError

    def _read(self) -> None:
        assert self.child.stdout
        with self.child.stdout as replies:
            for line in replies:
                self._lines.put(line)
        self._lines.put(b"")


def _death(status: int, oom_kills: int) -> Measurement:
    """The outcome of a process that ended without an answer: from its exit status and the OOM kills
    counted since."""
    if status == -signal.SIGKILL:  # sent by nobody here
        if oom_kills:
            return Measurement("oom", "the kernel ended it for want of memory")
        doubt = (
            "though the kernel counted no such kill: a memory daemon or a person may have done it"
        )
        return Measurement("oom", f"killed from outside, as when memory runs out, {doubt}")
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return Measurement("error", f"its process ended without an answer: {how}")


def _oom_kills() -> int:
    """How many processes the kernel has ended for want of memory so far; 0 where nothing counts
    them."""
    total = 0
    for counter in OOM_COUNTERS:
        with suppress(OSError):
            words = [line.split() for line in Path(counter).read_text().splitlines()]
            total += sum(int(line[1]) for line in words if line[0] == "oom_kill")
    return total
