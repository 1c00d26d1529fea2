"""Readers that other processes call: one that is slow, one that dies, one that fails."""

from __future__ import annotations

import os
import time

import numpy as np

from pictokg.features.encoders.base import Ready


class Counting:
    """Squares numbers; the text "bad" is skipped, "die" ends the process, "fail" raises."""

    def __init__(self, wait=0.0):
        self.wait = wait

    def __call__(self, items):
        print("said into the pipe of answers")
        time.sleep(self.wait)
        if "die" in items:
            os._exit(3)
        if "fail" in items:
            raise ValueError("a fault in the reader")
        good = [place for place, item in enumerate(items) if item != "bad"]
        values = np.array([int(items[place]) ** 2 for place in good]).reshape(-1, 1)
        return Ready(
            {"values": values, "process": np.full(len(good), os.getpid())},
            good,
            [(place, "it is bad") for place, item in enumerate(items) if item == "bad"],
        )


class Unloadable:
    """Cannot be made again in another process."""

    def __reduce__(self):
        return int, ("no number",)

    def __call__(self, items):
        raise AssertionError
