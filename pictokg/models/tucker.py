"""TuckER: a Tucker decomposition with a shared core (Balažević et al., EMNLP 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.tucker import TuckER

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "k_vs_all"},
    "loss": {"name": "binary", "smoothing": 0.1},
    "optimiser": {"name": "adam", "learning_rate": 0.001},
    "training": {"epochs": 100, "batch_size": 128},
}


def build(data: Dataset, *, dim: int = 128, relation_dim: int | None = None) -> Model:
    """TuckER: f(h, r, t) = W ×₁ h ×₂ r ×₃ t, with reciprocal relations (Balažević et al., EMNLP 2019).

    Args:
        data: graph to learn; dim: width of an entity; relation_dim: of a relation (as dim unless given).
    """
    scoring = TuckER(dim, relation_dim=relation_dim)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=True)
