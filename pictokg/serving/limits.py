"""What one client may ask of the service: sizes, numbers, times."""

from __future__ import annotations

from dataclasses import dataclass

NAME_LETTERS = 1000
ANSWERS = 1000  # answers a question
BATCH = 256  # questions, or names, a request
PAGE = 500  # entities or facts listed at once
TEXT_LETTERS = 20_000
PICTURES = 8  # of a newcomer
FACTS = 64  # of a newcomer
QUESTIONS = 2000  # asked for one completion
PIXELS = 40_000_000  # of one picture, decoded

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a request meets before any of it is understood.

    Attributes:
        body: bytes of a request with JSON.
        upload: bytes of a request with pictures.
        uploads: requests with pictures at once, because their bodies are held in memory.
        requests: requests at work at once; more are told to come again.
        waiting: connections that are open at once.
        seconds_to_send: time in which a client must have sent its headers, and then its body.
        seconds_to_answer: time after which a request is given up.
    """

    body: int = MEGABYTE
    upload: int = 16 * MEGABYTE
    uploads: int = 4
    requests: int = 64
    waiting: int = 512
    seconds_to_send: float = 10.0
    seconds_to_answer: float = 60.0
