"""What the recording of a run asks of a launcher: that which starts workers.

A launcher starts one request at a time and hands back its messages, one JSON object each (see
`hwbench.worker`). Processes of this machine are the first kind (`local`); several ranks of one job
or another framework are launchers of their own.
"""

from typing import IO, Any, Protocol

from hwbench.records import Measurement

Message = dict[str, Any]
"""A request or a reply, as JSON has it."""


class Job(Protocol):
    """A request that was started."""

    def receive(self, timeout_s: float) -> Message | None:
        """The next message; None once the job has ended and no more will come.

        TimeoutError if there is none within `timeout_s` seconds, ValueError if what came is not a
        JSON object.
        """

    def death(self) -> Measurement:
        """The outcome of a job that has ended without an answer, `oom` or `error`, with how it
        ended as the reason."""

    def close(self) -> None:
        """End all that the job has started. Nothing of it runs after this returns."""


class Launcher(Protocol):
    """Starts workers in one way."""

    def start(self, request: Message, log: IO[bytes]) -> Job:
        """Start a worker on `request`. What it prints beside its messages goes to `log`."""
