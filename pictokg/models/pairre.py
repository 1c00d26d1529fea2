"""PairRE: a relation scales heads and tails (Chao et al., ACL 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.pairre import PairRE

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "uniform", "negatives": 64},
    "loss": {"name": "self_adversarial", "margin": 6.0},
    "optimiser": {"name": "adam", "learning_rate": 0.002},
    "training": {"epochs": 200, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 128, inverse: bool = False) -> Model:
    """PairRE: f(h, r, t) = −‖h ∘ r_H − t ∘ r_T‖, ‖h‖ = ‖t‖ = 1 (Chao et al., ACL 2021).

    Args:
        data: graph to learn; dim: width of a vector.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = PairRE(dim)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
