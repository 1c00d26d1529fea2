"""TransD: projection by a vector of the entity and one of the relation (Ji et al., ACL 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.transd import TransD

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "unknown", "negatives": 16},
    "loss": {"name": "margin", "margin": 1.0},
    "optimiser": {"name": "adam", "learning_rate": 0.002},
    "training": {"epochs": 200, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 128, constrain: bool = True, inverse: bool = False) -> Model:
    """TransD: f(h, r, t) = −‖(r_p h_pᵀ + I) h + r − (r_p t_pᵀ + I) t‖ (Ji et al., ACL 2015).

    Args:
        data: graph to learn; dim: width of a vector.
        constrain: keep all lengths at most 1, as published.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = TransD(dim, constrain=constrain)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
