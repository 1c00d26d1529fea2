"""A process that reads items for another one: batches come in by stdin, what became of them goes out by stdout."""

from __future__ import annotations

import os
import pickle
import signal
import sys

STARTED = "started"


def main() -> None:
    """Take a reader, then batches of items until the other end closes; answer each with what the reader makes of it.

    Both ends are ours and joined by a pipe, so that pickles are safe here.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked; this one ends with it
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get between answers
        read = pickle.load(sys.stdin.buffer)
        pickle.dump(STARTED, answers)
        answers.flush()
        while True:
            try:
                items = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            try:
                answer = read(items)
            except Exception as error:  # carried over to the process that asked
                answer = f"{type(error).__name__}: {error}"
            pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
