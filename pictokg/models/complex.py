"""ComplEx: a complex bilinear form (Trouillon et al., ICML 2016), trained as by Lacroix et al. (ICML 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.complex import ComplEx

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "one_vs_all"},
    "loss": {"name": "softmax"},
    "regulariser": {"name": "n3", "weight": 0.01},
    "optimiser": {"name": "adagrad", "learning_rate": 0.1},
    "training": {"epochs": 100, "batch_size": 512},
}


def build(data: Dataset, *, dim: int = 200, inverse: bool = True) -> Model:
    """ComplEx: f(h, r, t) = Re Σ h_i r_i conj(t_i) (Trouillon et al., ICML 2016).

    Args:
        data: graph to learn; dim: complex numbers a vector (rank).
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = ComplEx(dim)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
