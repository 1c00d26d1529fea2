"""RotatE: a relation is a rotation in the complex plane (Sun et al., ICLR 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.rotate import RotatE

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "uniform", "negatives": 64},
    "loss": {"name": "self_adversarial", "margin": 9.0},
    "optimiser": {"name": "adam", "learning_rate": 0.002},
    "training": {"epochs": 200, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 128, inverse: bool = False) -> Model:
    """RotatE: f(h, r, t) = −Σ |h_i e^{iθ_i} − t_i| (Sun et al., ICLR 2019).

    Args:
        data: graph to learn; dim: complex numbers a vector.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = RotatE(dim)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
