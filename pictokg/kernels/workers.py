"""The threads that kernels run on: as many as torch uses, started when first needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

Task = Callable[[], object]


def run(tasks: Sequence[Task]) -> None:
    """Run tasks that give up the interpreter's lock, on all threads, each taking the next one when it is free.

    Which thread runs a task is left to chance, so a task must write where no other does.
    """
    threads = min(torch.get_num_threads(), len(tasks))
    queue = iter(tasks)  # taking the next item of a list's iterator is atomic
    helpers = [_pool(threads - 1, os.getpid()).submit(_drain, queue) for _ in range(threads - 1)]
    _drain(queue)
    for helper in helpers:
        helper.result()


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked child inherits none, and gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="pictokg-kernels")


def _drain(queue: Iterator[Task]) -> None:
    for task in queue:
        task()
