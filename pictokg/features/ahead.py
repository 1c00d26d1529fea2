"""Reading ahead: other processes read and prepare items while the network is busy with those before."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from pictokg.errors import PictoKGError
from pictokg.features.encoders.base import Ready, without_warnings
from pictokg.features.worker import STARTED

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Item, Reader

Tag = TypeVar("Tag")
AHEAD = 2  # batches under way for each process: one being prepared, one waiting
MOST = 8  # processes that are started where nobody chose: each takes memory of its own
DIED = "the process that read it died, out of memory or by a fault of the decoder"


def default_workers() -> int:
    """As many processes as this one may use cores, its share where several run on the machine, at most MOST."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    beside = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return max(1, min(cores // beside, MOST))


class ReadAhead:
    """Calls a reader on batches in other processes; answers come in the order of the batches.

    Processes are fresh ones, neither forked nor running the user's program again: a pipe leads to each. At most
    AHEAD × workers batches are under way, whatever their number. A process that dies is replaced, and the item that
    it died of is skipped by name.

    Args:
        reader: what to call; it and its answers are pickled.
        workers: processes; 0 reads in a thread of this one, which is right for few items.
    """

    def __init__(self, reader: Reader, workers: int) -> None:
        self._reader, self._workers = reader, workers
        self._threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="ahead")
        self._idle: SimpleQueue[Worker | None] = SimpleQueue()
        for _ in range(workers):
            self._idle.put(None)  # started when first needed
        self._closed = False
        self._quiet = ExitStack()

    def __enter__(self) -> Self:
        if not self._workers:
            self._quiet.enter_context(without_warnings())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._quiet.close()
        self._threads.shutdown(cancel_futures=True)
        while not self._idle.empty():
            if (worker := self._idle.get()) is not None:
                worker.close()

    def map(self, batches: Iterable[tuple[Tag, Sequence[Item]]]) -> Iterator[tuple[Tag, Ready]]:
        """Yield (tag, what the reader made of the items) for each (tag, items), which are drawn no sooner than needed.

        Raises:
            PictoKGError: the reader failed other than by skipping items.
        """
        waiting: deque[tuple[Tag, Future[Ready]]] = deque()
        for tag, items in batches:
            waiting.append((tag, self._threads.submit(self._read, items)))
            if len(waiting) >= AHEAD * max(1, self._workers):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def _read(self, items: Sequence[Item]) -> Ready:
        """Read a batch here or in another process; where that dies, its items one by one, to find which it was."""
        if not self._workers:
            return self._reader(items)
        worker = self._idle.get()
        try:
            worker = worker or Worker(self._reader)
            answer = worker.ask(items)
            if answer is None and not self._closed:
                worker, answer = self._one_by_one(items)
            return _checked(answer)
        finally:
            self._idle.put(worker)

    def _one_by_one(self, items: Sequence[Item]) -> tuple[Worker, Ready | str]:
        """Read items apart, each death costing only the item it happens at; return the worker left, and the whole."""
        worker, parts = Worker(self._reader), []
        for item in items:
            answer = worker.ask([item])
            if answer is None:
                worker, answer = Worker(self._reader), Ready({}, [], [(0, DIED)])
            if isinstance(answer, str):
                return worker, answer
            parts.append(answer)
        return worker, merged(parts)


class Worker:
    """A process that runs `worker.main`, at the other end of a pipe."""

    def __init__(self, reader: Reader) -> None:
        path = os.pathsep.join(place for place in sys.path if place)  # to find what the reader is made of
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from pictokg.features.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries in C complain there of files that they do read
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None, "it was asked for"
        assert self._process.stdout is not None, "likewise"
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self._started = False
        self._send(reader)

    def ask(self, items: Sequence[Item]) -> Any:
        """Have items read; None where the process has died.

        Raises:
            PictoKGError: it has not even started.
        """
        self._wait_for_start()
        try:
            self._send(list(items))
            return pickle.load(self._answers)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            return None

    def _wait_for_start(self) -> None:
        if self._started:
            return
        try:
            self._started = pickle.load(self._answers) == STARTED
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self.close()
            raise PictoKGError(
                f"a process to read pictures cannot be started (exit code {self._process.returncode}):"
                " free some memory, or use --workers 0"
            ) from error

    def close(self) -> None:
        """End the process, which waits for a question or has died."""
        for pipe in (self._questions, self._answers):
            with suppress(OSError):  # what could not be sent to a process that has died
                pipe.close()
        self._process.kill()
        self._process.wait()

    def _send(self, message: Any) -> None:
        with suppress(BrokenPipeError):  # it has died; whoever waits for the answer finds out
            pickle.dump(message, self._questions, protocol=pickle.HIGHEST_PROTOCOL)
            self._questions.flush()


def merged(parts: Sequence[Ready]) -> Ready:
    """One batch of batches of one item each."""
    read = [(place, part) for place, part in enumerate(parts) if part.places]
    names = read[0][1].arrays if read else {}
    return Ready(
        {name: np.concatenate([part.arrays[name] for _, part in read]) for name in names},
        [place for place, _ in read],
        [(place, why) for place, part in enumerate(parts) for _, why in part.skipped],
    )


def _checked(answer: Ready | str | None) -> Ready:
    if isinstance(answer, Ready):
        return answer
    raise PictoKGError(f"pictures cannot be prepared: {answer or DIED}; --workers 0 reads them in one process")
