"""How the learning rate moves over a run."""

from __future__ import annotations

import math

from pictokg.errors import ConfigError, nearest

SHAPES = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: (1.0 + math.cos(math.pi * progress)) / 2,
}


def learning_rate_factor(name: str, warmup: float, progress: float) -> float:
    """What to multiply the learning rate with after a fraction `progress` of all steps.

    >>> [round(learning_rate_factor("linear", 0.5, p), 2) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if name not in SHAPES:
        raise ConfigError(f"unknown schedule {name!r}; {nearest(name, SHAPES)}")
    if progress < warmup:
        return progress / warmup
    return SHAPES[name]((progress - warmup) / (1 - warmup))
