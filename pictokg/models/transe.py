"""TransE: a relation is a translation (Bordes et al., NeurIPS 2013)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.transe import TransE

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "uniform", "negatives": 64},
    "loss": {"name": "self_adversarial", "margin": 6.0},
    "optimiser": {"name": "adam", "learning_rate": 0.002},
    "training": {"epochs": 200, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 128, norm: int = 1, constrain: bool = False, inverse: bool = False) -> Model:
    """TransE: f(h, r, t) = −‖h + r − t‖ (Bordes et al., NeurIPS 2013).

    Trained by default with self-adversarial negatives, which suit it better than the paper's hinge; for the paper's
    set-up choose loss=margin, sampler=unknown and constrain=true.

    Args:
        data: graph to learn; dim: width of a vector; norm: 1 or 2.
        constrain: keep entity vectors at length 1, as published.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = TransE(dim, norm=norm, constrain=constrain)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
