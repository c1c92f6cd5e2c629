"""A server in this process: requests wait in a queue, and those that wait are computed together, up
to a batch.

The batches are dynamic and static: who waits when the server gets free goes into the next one,
whose members start and end together. A request that comes a moment later waits until that batch is
done, and its wait is in its time to first token. All prompts are equally long, and so are all
answers.
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
    """One request: its place among all in the order in which they came, the generator's name of it,
    its prompt."""

    number: int
    name: int
    prompt: int


Tell = Callable[[Sequence[Request]], None]
"""Told of requests that have just come this far."""


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
        """Requests that arrive together."""
        self._arrivals.put(requests)

    def close(self) -> None:
        """No more will come: `serve` returns once all have their answer."""
        self._arrivals.put(None)

    def serve(self, first_token: Tell, done: Tell, mark: Mark) -> None:
        """Answer what comes until `close`. The marks are `wait`, for somebody to come, and `serve`,
        a batch."""
        while group := self._gather():
            mark("wait")
            self.answer(group, first_token, done)
            mark("serve")
        self._closed = False  # for the next test

    @torch.inference_mode()
    def answer(self, group: Sequence[Request], first_token: Tell, done: Tell) -> None:
        """Compute the answers of a group; each token reaches the host before the next, as a user
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
        """Those who wait, the first to come first, up to a batch; waits for one if nobody does.
        Empty once closed."""
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
