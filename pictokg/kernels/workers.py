"""The threads that kernels run on: as many as torch uses, started when first needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import torch

Task = Callable[[], object]


def run(tasks: Sequence[Task]) -> None:
    """Run tasks that give up the interpreter's lock, on all threads, each taking the next one when it is free.

    Which thread runs a task is left to chance, so a task must write where no other does.
    """
    queue = iter(tasks)  # taking the next item of a list's iterator is atomic
    helpers = _start(lambda: _drain(queue), len(tasks))
    _drain(queue)
    for helper in helpers:
        if not helper.cancel():  # one that has not woken up yet has nothing left to do
            helper.result()


def together(job: Callable[..., bool], *arguments: object) -> None:
    """Let all threads call a job that shares its work out by itself, until it says that it is over.

    It says False where it has waited for others in vain, and goes on when it is called again.
    """

    def take_part() -> None:
        while not job(*arguments):
            time.sleep(0)  # whoever is waited for may need this core

    helpers = _start(take_part, torch.get_num_threads())
    while not job(*arguments):
        for helper in helpers:
            if helper.done():
                helper.result()  # what it died of
        time.sleep(0)
    for helper in helpers:
        helper.cancel()


def _start(task: Task, most: int) -> list[Future[object]]:
    """Give a task to all threads beside this one, of which `most` with this one can be used."""
    threads = min(torch.get_num_threads(), most)
    return [_pool(threads - 1, os.getpid()).submit(task) for _ in range(threads - 1)]


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked child inherits none, and gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="pictokg-kernels")


def _drain(queue: Iterator[Task]) -> None:
    for task in queue:
        task()
