"""The child process that measures one case, or says what a device is.

Started as `python -m hwbench.worker`. One JSON request comes in on standard input, JSON replies go
out on standard output, one a line: `{"phase": …}` as it goes and `{"measurement": …}`, `{"device":
…}` or `{"refused": …}` at the end. What libraries print goes to standard error, the case's log.
Standard input stays open as long as the parent lives; when it closes, the worker ends itself and
all it started.
"""

import json
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from hwbench import devices
from hwbench.recording.failures import in_a_line
from hwbench.recording.measure_case import CaseRequest, measure_case
from hwbench.records import UserError


def main() -> None:
    """Answer the one request on standard input."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the replies
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _volunteer_for_oom()

    def reply(**message: Any) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    if "case" in request:
        measurement = measure_case(
            CaseRequest.from_json(request),
            on_phase=lambda phase: reply(phase=phase),
            tell=lambda text: reply(tell=text),
        )
        reply(measurement=measurement.as_json())
    else:
        reply(**_describe(request["device"]))


def _describe(device: str) -> dict[str, Any]:
    """The reply to who asks what `device` is: the one device that it means and what that says of
    itself, or why it cannot be opened.

    Asked in a process that ends, so that the parent holds nothing of it.
    """
    try:
        spec = devices.resolve(device)
        opened = devices.open_device(spec)
        info = {
            **opened.describe(),
            "notes": opened.notes,
            "warnings": opened.findings.warnings,
        }
        return {"device": info, "spec": spec}
    except UserError as error:
        return {"refused": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a driver may raise, it is in the way of every command
        traceback.print_exc()
        return {"refused": f"device {device} cannot be opened: {in_a_line(error)}"}


def _end_with_parent() -> None:
    while os.read(0, 1):  # blocks until the parent is gone, however it went
        pass  # and holds no lock of sys.stdin, on which an interpreter that ends would abort
    # the parent gave this process a group of its own: all in it was started here
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _volunteer_for_oom() -> None:
    """Be the process that the kernel ends when memory runs out, so that the parent can write the
    row about it."""
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


if __name__ == "__main__":
    main()
