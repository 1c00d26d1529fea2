"""DistMult: a diagonal bilinear form (Yang et al., ICLR 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.distmult import DistMult

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "one_vs_all"},
    "loss": {"name": "softmax"},
    "regulariser": {"name": "n3", "weight": 0.01},
    "optimiser": {"name": "adagrad", "learning_rate": 0.1},
    "training": {"epochs": 100, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 256, inverse: bool = True) -> Model:
    """DistMult: f(h, r, t) = Σ h_i r_i t_i (Yang et al., ICLR 2015).

    Args:
        data: graph to learn; dim: width of a vector.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = DistMult(dim)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
