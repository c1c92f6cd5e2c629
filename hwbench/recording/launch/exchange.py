"""A request to a worker, followed to its answer, whatever launcher starts it."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hwbench.recording.launch.local import LocalLauncher
from hwbench.recording.launch.protocol import Job, Launcher, Message
from hwbench.records import Case, Measurement, UserError

OPENING_TIMEOUT_S = 300
"""A driver may take minutes on its first start, never this long."""

AT_REST_S = 10.0
"""How much longer a process may take that reads the device's power at rest when its case is
measured."""

NOT_A_MESSAGE = "the worker's reply was not a valid JSON message"


def case_request(
    case: Case, policy: Mapping[str, Any], device: str, files: Sequence[str], **options: Any
) -> Message:
    """The request to measure `case` on `device`. `options` are those of measure_case.CaseRequest
    that are not left at their defaults."""
    return {
        "case": {**vars(case), "params": dict(case.params)},
        "policy": dict(policy),
        "device": device,
        "files": list(files),
        **options,
    }


def run_process(
    request: Message,
    timeout_s: float,
    log: Path,
    on_phase: Callable[[str], None],
    launcher: Launcher | None = None,
    on_tell: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """Measure one case in a fresh worker, of this machine unless `launcher` says otherwise.

    Whatever goes wrong in it becomes the measurement's outcome and reason. All that the worker has
    started is gone when this returns or raises.
    """
    with (
        log.open("wb") as output,
        closing((launcher or LocalLauncher()).start(request, output)) as job,
    ):
        try:
            for message in _messages(job, timeout_s):
                if "phase" in message:
                    on_phase(message["phase"])
                elif "tell" in message:
                    on_tell(message["tell"])
                else:
                    return Measurement.from_json(message["measurement"])
        except TimeoutError:
            reason = f"not done after {timeout_s:g} s; the worker and all it had started were ended"
            return Measurement("timeout", reason)
        except (ValueError, KeyError, TypeError):
            return Measurement("error", NOT_A_MESSAGE)
        return job.death()


def describe_device(
    device: str, warn: Callable[[str], None], launcher: Launcher | None = None
) -> tuple[str, dict[str, Any]]:
    """The one device that `device` means here (see devices.resolve), and what it says of itself.
    `warn` is called with what keeps it from remembering its trials.

    Both are asked in a worker that ends. This process never touches a device: a GPU would count it
    as another user, and a TPU would be taken from the processes that measure. UserError if there is
    no such device or it cannot be opened.
    """
    launcher = launcher or LocalLauncher()
    with tempfile.TemporaryFile() as log, closing(launcher.start({"device": device}, log)) as job:
        try:
            for message in _messages(job, OPENING_TIMEOUT_S):
                if "refused" in message:
                    raise UserError(message["refused"])
                device_info: dict[str, Any] = message["device"]
                # a path is in it: it is for the user, and in no run
                for warning in device_info.pop("warnings", []):
                    warn(warning)
                # an older worker does not name the device, and need not resolve it
                return message.get("spec", device), device_info
        except TimeoutError:
            pass  # the last words in its log say more
        except UserError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"device {device} cannot be opened: {NOT_A_MESSAGE}") from error
        log.seek(0)
        words = log.read().decode(errors="replace").strip().splitlines() or ["no answer"]
    raise UserError(f"device {device} cannot be opened: {words[-1]}")


def _messages(job: Job, timeout_s: float) -> Iterator[Message]:
    """The messages of a job until it ends. TimeoutError if it has not ended after `timeout_s`
    seconds.

    AT_REST_S are added once its case is measured and only the device at rest is not: that must not
    cost it the case.
    """
    deadline = time.monotonic() + timeout_s
    while (message := job.receive(deadline - time.monotonic())) is not None:
        if message.get("phase") == "idle":
            deadline += AT_REST_S
        yield message
