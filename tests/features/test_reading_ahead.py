"""Reading ahead: order, bounds, processes that die, and programs that are not run twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from readers_of_tests import Counting, Unloadable

from pictokg.errors import PictoKGError
from pictokg.features.ahead import AHEAD, DIED, ReadAhead, default_workers


def batches(count):
    return [(number, [str(number), "bad", str(number + 100)]) for number in range(count)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_answers_come_in_order_and_from_other_processes(workers):
    with ReadAhead(Counting(), workers) as ahead:
        found = list(ahead.map(batches(9)))
    assert [tag for tag, _ in found] == list(range(9))
    for tag, ready in found:
        assert ready.arrays["values"][:, 0].tolist() == [tag**2, (tag + 100) ** 2]
        assert (ready.places, ready.skipped) == ([0, 2], [(1, "it is bad")])
    processes = {int(number) for _, ready in found for number in ready.arrays["process"]}
    assert (os.getpid() in processes) == (workers == 0)
    assert len(processes) <= max(workers, 1)


def test_no_more_is_drawn_than_needed():
    drawn = []

    def draw():
        for batch in batches(50):
            drawn.append(batch)
            yield batch

    with ReadAhead(Counting(), 0) as ahead:
        taken = ahead.map(draw())
        for number in range(20):
            next(taken)
            assert len(drawn) <= number + AHEAD + 1


def test_of_a_process_that_dies_only_the_item_it_died_of_is_lost():
    work = [*batches(2), (2, ["5", "die", "6", "die"]), *((tag + 3, items) for tag, items in batches(2))]
    with ReadAhead(Counting(), 1) as ahead:
        found = dict(ahead.map(work))
    assert found[2].arrays["values"][:, 0].tolist() == [25, 36]
    assert found[2].places == [0, 2]
    assert found[2].skipped == [(1, DIED), (3, DIED)]
    assert found[4].arrays["values"][:, 0].tolist() == [1, 101**2]


def test_when_all_items_of_a_batch_kill_there_is_nothing():
    with ReadAhead(Counting(), 1) as ahead:
        ((_, ready),) = ahead.map([(0, ["die"])])
    assert (dict(ready.arrays), ready.places, ready.skipped) == ({}, [], [(0, DIED)])


def test_a_reader_that_fails_is_an_error_and_not_a_picture_skipped():
    for items in (["fail"], ["die", "fail"]):
        with pytest.raises(PictoKGError, match="ValueError: a fault in the reader"), ReadAhead(Counting(), 1) as ahead:
            list(ahead.map([(0, items)]))


def test_processes_that_cannot_start_are_an_error():
    with pytest.raises(PictoKGError, match="cannot be started"), ReadAhead(Unloadable(), 1) as ahead:
        list(ahead.map(batches(3)))


def test_leaving_early_ends_all_processes():
    with ReadAhead(Counting(0.05), 2) as ahead:
        _, ready = next(ahead.map(batches(40)))
    process = int(ready.arrays["process"][0])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from readers_of_tests import Counting
from pictokg.features.ahead import ReadAhead
print("running")
with ReadAhead(Counting(), 1) as ahead:
    print(sum(len(ready.places) for _, ready in ahead.map([(0, ["1", "2"])])))
"""


def test_a_program_without_a_main_guard_runs_once(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "running\n2\n"


def test_several_processes_share_the_cores_of_a_machine(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert default_workers() == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert default_workers() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(640)))
    assert default_workers() == 8


def test_arrays_come_back_whole():
    with ReadAhead(Counting(), 1) as ahead:
        ((_, ready),) = ahead.map([(0, [str(number) for number in range(5_000)])])
    assert np.array_equal(ready.arrays["values"][:, 0], np.arange(5_000) ** 2)
