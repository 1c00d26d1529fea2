"""TransH: a translation on the relation's hyperplane (Wang et al., AAAI 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.transh import TransH

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "unknown", "negatives": 16},
    "loss": {"name": "margin", "margin": 1.0},
    "optimiser": {"name": "adam", "learning_rate": 0.002},
    "training": {"epochs": 200, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 128, constrain: bool = True, inverse: bool = False) -> Model:
    """TransH: f(h, r, t) = −‖h⊥ + d_r − t⊥‖, x⊥ = x − (w_r·x) w_r (Wang et al., AAAI 2014).

    Args:
        data: graph to learn; dim: width of a vector.
        constrain: keep ‖e‖ ≤ 1 and ‖w_r‖ = 1, as published.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = TransH(dim, constrain=constrain)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
