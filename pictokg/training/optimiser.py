"""Optimisers: one for the rows of entities and relations, dense or row-sparse; Adam for the network around them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import nn
from torch.optim import SGD, Adagrad, Adam, Optimizer, SparseAdam

from pictokg.errors import ConfigError, nearest
from pictokg.training.row_adagrad import RowAdagrad

if TYPE_CHECKING:
    from pictokg.models.base import Model
    from pictokg.sampling.base import Sampler, Turn


KINDS: dict[str, tuple[Callable[..., Optimizer], Callable[..., Optimizer], float, str]] = {
    # name: (dense, row-sparse, learning rate unless told, rule by which kernels take the step, if they can)
    "adam": (Adam, SparseAdam, 1e-3, ""),
    "adagrad": (Adagrad, partial(RowAdagrad, per_row=False), 0.1, "adagrad"),
    "row_adagrad": (RowAdagrad, RowAdagrad, 0.1, "row_adagrad"),
    "sgd": (SGD, SGD, 0.01, "sgd"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserOptions:
    """How parameters move.

    Attributes:
        name: of the optimiser of entity and relation rows: adam, adagrad, row_adagrad or sgd.
        learning_rate: its step size; by default one that suits it.
        network_learning_rate: step size of Adam for everything else (projections, gates, convolutions): the large
            steps that suit rows would throw shared weights about.
        sparse: update only the entity rows that a step touched; pays off when steps touch few of many entities.
    """

    name: str = "adagrad"
    learning_rate: float | None = None
    network_learning_rate: float = 1e-3
    sparse: bool = False

    def __post_init__(self) -> None:
        if min(self.learning_rate or 0.0, self.network_learning_rate) < 0:
            raise ConfigError("learning_rate and network_learning_rate must be at least 0")


class Optimisers:
    """The optimisers of one model, and of a sampler that learns, behind the verbs of one."""

    def __init__(self, model: Model, options: OptimiserOptions, sampler: Sampler | None = None) -> None:
        if options.name not in KINDS:
            raise ConfigError(f"unknown optimiser {options.name!r}; {nearest(options.name, KINDS)}")
        self.name = options.name
        dense, row_sparse, usual_rate, self.kernel = KINDS[options.name]
        entities, relations = model.encoder.structure, model.relations.weight
        entities.sparse = options.sparse
        rows = [relations] if options.sparse else [entities.weight, relations]
        network = [p for p in model.parameters() if p is not entities.weight and p is not relations]
        self.learning_rate = usual_rate if options.learning_rate is None else options.learning_rate
        self.parts = [(dense(rows, lr=self.learning_rate), self.learning_rate)]
        if options.sparse:
            self.parts.append((row_sparse([entities.weight], lr=self.learning_rate), self.learning_rate))
        if network:
            self.parts.append((Adam(network, lr=options.network_learning_rate), options.network_learning_rate))
        self.of_model = len(self.parts)
        for part in sampler.parts() if sampler is not None else []:
            own: list[nn.Parameter] = list(part.parameters()) if isinstance(part, nn.Module) else []
            if own:
                self.parts.append((Adam(own, lr=part.learning_rate), part.learning_rate))

    def step(self, factor: float, turn: Turn = "both") -> None:
        """Update the parameters of those whose turn it is, at `factor` times their rate; forget all gradients."""
        for number, (part, rate) in enumerate(self.parts):
            if turn == "both" or (turn == "model") == (number < self.of_model):
                for group in part.param_groups:
                    group["lr"] = rate * factor
                part.step()
            part.zero_grad()


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
