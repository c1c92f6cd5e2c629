"""A server in this process: requests wait in a queue, and are computed together, up to a batch.

Batching is dynamic and static. The requests that wait when the server becomes free make the next
batch, whose members start and end together. A request that arrives a moment later waits until that
batch is done, and its wait is part of its time to first token. All prompts are equally long, and so
are all answers.
"""

import queue
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hwbench.workload import Mark
from workloads.models.gpt import GPT


@dataclass(frozen=True)
class Request:
    """One request."""

    number: int  # in the order of arrival, from 0
    name: int  # the load generator's
    prompt: int  # index of its prompt


Report = Callable[[Sequence[Request]], None]
"""Called with requests that have just reached a stage."""


class Server:
    """Answers requests for `new` tokens after prompts (N, T), at most `batch` of them at once.

    `put` and `close` may be called from any thread; `serve` computes in the thread that calls it.
    """

    def __init__(self, model: GPT, prompts: Tensor, new: int, batch: int) -> None:
        self.prompts, self.new, self.batch = prompts, new, batch
        self._model = model
        self._cache = model.new_cache(batch, prompts.shape[1] + new)
        self._positions = [
            torch.tensor([prompts.shape[1] + i], device=prompts.device) for i in range(new - 1)
        ]
        self._arrivals: queue.SimpleQueue[Sequence[Request] | None] = queue.SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._closed = False

    def put(self, requests: Sequence[Request]) -> None:
        """Add requests that arrive together to the queue."""
        self._arrivals.put(requests)

    def close(self) -> None:
        """Take no more requests: `serve` returns once all have their answer."""
        self._arrivals.put(None)

    def serve(self, first_token: Report, done: Report, mark: Mark) -> None:
        """Answer requests until `close`. Marks are `wait`, for a request, and `serve`, a batch."""
        while group := self._gather():
            mark("wait")
            self.answer(group, first_token, done)
            mark("serve")
        self._closed = False  # for the next test

    @torch.inference_mode()
    def answer(self, group: Sequence[Request], first_token: Report, done: Report) -> None:
        """Compute the answers of a group. Each token reaches the host before the next, as a user
        would see it."""
        cache = [(keys[: len(group)], values[: len(group)]) for keys, values in self._cache]
        token = self._model.prefill(self.prompts[[request.prompt for request in group]], cache)
        token.tolist()
        first_token(group)
        for position in self._positions:
            token = self._model.decode(token, position, cache)
            token.tolist()
        done(group)

    def _gather(self) -> list[Request]:
        """Take the oldest waiting requests, up to a batch; wait for one if there is none.

        Empty once closed.
        """
        while not (self._waiting or self._closed):
            self._take()
        while not self._arrivals.empty():
            self._take()
        return [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]

    def _take(self) -> None:
        arrived = self._arrivals.get()
        if arrived is None:
            self._closed = True
        else:
            self._waiting.extend(arrived)
