"""Remembers the results of trials in one small JSON file, so that a machine runs each trial once.

The file maps keys to answers. A key holds the question and all that the answer depends on, so one
file serves several devices and versions. A damaged file is replaced. If the file cannot be written,
the trials run again next time.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from hwbench.files import atomic_write, read_regular

Answer = TypeVar("Answer")

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux has a number of its own for each boot."""


class Remembered(Generic[Answer]):
    """The answers in `file` that hold under `where`: all that they depend on besides the question.

    `is_answer` recognises a valid answer. `warn` gets one line, once, if the file is of no use.
    """

    def __init__(
        self,
        file: Path,
        where: Mapping[str, Any],
        is_answer: Callable[[Any], bool],
        warn: Callable[[str], None],
    ) -> None:
        self.file = file
        self._where, self._is_answer, self._warn = where, is_answer, warn
        self._has_warned = False

    def get(self, question: str) -> Answer | None:
        """The answer; None if it is unknown or not valid."""
        answer = self._read().get(self._key(question))
        return answer if self._is_answer(answer) else None

    def put(self, question: str, answer: Answer) -> None:
        """Store the answer beside those that other processes have stored meanwhile."""
        content = self._read() | {self._key(question): answer}
        text = json.dumps(content, indent=1, sort_keys=True)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.file) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            self._warn_once(f"{self.file}: nothing is remembered: {error.strerror}")

    def _key(self, question: str) -> str:
        return json.dumps({"case": question, **self._where}, sort_keys=True)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(read_regular(self.file))
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._warn_once(f"{self.file}: nothing is remembered: {error.strerror}")
            return {}
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            return content
        self._warn_once(f"{self.file}: not a file of remembered answers; it is replaced")
        return {}

    def _warn_once(self, problem: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._warn(problem)


def until_reboot() -> str:
    """A key for what holds on this machine until it boots again: for answers about a device that
    nothing identifies, in a file that several machines may share. Where the kernel tells no boot
    it is that of this process."""
    try:
        return BOOT.read_text(encoding="utf-8").strip()
    except OSError:
        return f"process {os.getpid()}"


def cache_folder() -> Path:
    """HWBENCH_CACHE if it is set, else `hwbench` in the user's folder for caches."""
    if named := os.environ.get("HWBENCH_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches/hwbench"))
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "hwbench"
