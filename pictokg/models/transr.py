"""TransR: a translation in a space of each relation's own (Lin et al., AAAI 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.fusion.lookup import Lookup
from pictokg.models.base import Model
from pictokg.scoring.transr import TransR

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

DEFAULTS = {
    "sampler": {"name": "unknown", "negatives": 16},
    "loss": {"name": "margin", "margin": 1.0},
    "optimiser": {"name": "adam", "learning_rate": 0.001},
    "training": {"epochs": 200, "batch_size": 512},
}


def build(
    data: Dataset,
    *,
    dim: int = 50,
    relation_dim: int | None = None,
    constrain: bool = True,
    inverse: bool = False,
) -> Model:
    """TransR: f(h, r, t) = −‖M_r h + r − M_r t‖ (Lin et al., AAAI 2015).

    Args:
        data: graph to learn; dim: width of an entity; relation_dim: of the relation's space (as dim unless given).
        constrain: keep all lengths at most 1, as published.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    scoring = TransR(dim, relation_dim=relation_dim, constrain=constrain)
    encoder = Lookup(data.graph.num_entities, scoring.entity_width)
    return Model(encoder, scoring, data.graph.num_relations, inverse=inverse)
