"""Gated fusion of structure, pictures and words, under any scoring function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pictokg.errors import ConfigError, nearest
from pictokg.fusion.gating import STRUCTURE, DiagonalGating, Gating
from pictokg.fusion.network import Kind, tables_of
from pictokg.fusion.trained_rows import TrainedRows
from pictokg.models.base import Model
from pictokg.scoring.base import ScoringFunction

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

MODALITIES = "any"  # structure is no table: it needs nothing of the data
DEFAULTS = {
    "scoring": {"name": "complex"},
    "sampler": {"name": "one_vs_all"},
    "loss": {"name": "softmax"},
    "regulariser": {"name": "n3", "weight": 0.005},
    "optimiser": {"name": "adagrad", "learning_rate": 0.1, "network_learning_rate": 0.005},
    "training": {"epochs": 16, "batch_size": 512, "validate_every": 2, "patience": 2},
}
DEFAULTS_SMALL = {"training": {"epochs": 100, "batch_size": 128, "validate_every": 5, "patience": 4}}
DEFAULTS_LARGE = {
    "sampler": {"name": "uniform", "negatives": 1024, "shared": True},
    "optimiser": {"name": "row_adagrad", "learning_rate": 0.1, "network_learning_rate": 0.005, "sparse": True},
    "training": {"epochs": 10, "batch_size": 2048, "validate_every": 2, "patience": 2},
}


def build(
    data: Dataset,
    scoring: Callable[[int], ScoringFunction],
    *,
    dim: int = 64,
    modalities: list[str] | None = None,
    gates: Literal["matrix", "diagonal"] = "matrix",
    dropout: float = 0.2,
    structure_dropout: float = 0.6,
    modality_dropout: float = 0.02,
    trainable: bool = False,
    network: Kind = "conv",
    inverse: bool = True,
) -> Model:
    """Entities are e = Σ_m p_m σ(b_m + U_m z_m) ∘ z_m over structure and modalities (see `fusion.gating`).

    Args:
        data: graph with feature tables; scoring: any scoring function, made for a width.
        dim: rank of the scoring function.
        modalities: "structure" and names of feature tables to fuse; by default structure and every table there is.
        gates: matrix or diagonal, what U_m is; diagonal ones cost no products and stay open under a strong N3, and are
            worth as much or a little less.
        dropout: on feature rows; structure_dropout: on the structure rows of entities that have something else too,
            numbers aside; modality_dropout: chance that an entity loses a whole modality in a training step.
        trainable: train a network on raw pictures (encoder `raw`) with the rest; network: a small convolutional one or
            vision transformer. Raw pictures without trainable go through the network as it was drawn.
        inverse: give every relation a reciprocal, so that head questions become tail questions.
    """
    chosen = chosen_modalities(data, modalities)
    function = scoring(dim)
    structure = TrainedRows.of(data, function.entity_width)
    tables = {name: data.table(name) for name in chosen if name != STRUCTURE}
    fusion = Gating if gates == "matrix" else DiagonalGating
    encoder = fusion(
        structure,
        tables_of(tables, network, trainable=trainable),
        use_structure=STRUCTURE in chosen,
        dropout=dropout,
        structure_dropout=structure_dropout,
        modality_dropout=modality_dropout,
    )
    return Model(encoder, function, data.graph.num_relations, inverse=inverse)


def chosen_modalities(data: Dataset, modalities: list[str] | None) -> list[str]:
    """The modalities to fuse, by default structure and every table there is; ConfigError for one that there is not."""
    allowed = [STRUCTURE, *data.tables]
    for modality in modalities or []:
        if modality not in allowed:
            raise ConfigError(f"no modality {modality!r} in the data; {nearest(modality, allowed)}")
    return modalities or allowed
