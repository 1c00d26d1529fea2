"""ConvE: a convolution over the reshaped head and relation (Dettmers et al., AAAI 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.conve import ConvE

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "k_vs_all"},
    "loss": {"name": "binary", "smoothing": 0.1},
    "optimiser": {"name": "adam", "learning_rate": 0.001},
    "training": {"epochs": 100, "batch_size": 128},
}


def build(data: Dataset, *, dim: int = 200, channels: int = 32) -> Model:
    """ConvE: f(h, r, t) = relu(vec(relu([h̄; r̄] * ω)) W) · t + b_t, with reciprocal relations (Dettmers et al., 2018).

    Args:
        data: graph to learn; dim: width of a vector; channels: feature maps of the convolution.
    """
    scoring = ConvE(dim, channels=channels)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=True)
