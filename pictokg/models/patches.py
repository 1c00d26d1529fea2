"""Patches: gated fusion with attention to parts of pictures, to other parts under each relation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError, DataWarning, nearest
from pictokg.fusion.base import EntityTable
from pictokg.fusion.gating import STRUCTURE, Gating
from pictokg.fusion.network import RAW
from pictokg.fusion.patches import PatchAttention, Patches
from pictokg.fusion.rows import rows_of
from pictokg.models.base import Model
from pictokg.scoring.base import ScoringFunction

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

MODALITIES = "any"
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
    attended: str = "image",
    aspects: int = 4,
    most_patches: int = 32,
    trust: bool = True,
    dropout: float = 0.2,
    structure_dropout: float = 0.6,
    modality_dropout: float = 0.02,
    inverse: bool = True,
) -> Model:
    """Entities are e(r) = Σ_m t_rm g_m + t_rI Σ_a c_ra g_a (see `fusion.patches`); r is the question's relation.

    Args:
        data: graph with feature tables, pictures encoded with patches=true; scoring: any, made for a width.
        dim: rank of the scoring function.
        modalities: "structure" and names of feature tables to fuse; by default structure and every table there is.
        attended: the modality whose rows are attended to; the others are pooled.
        aspects: ways to look at pictures that relations choose from; most_patches: rows of an entity that are kept.
        trust: learn what each relation makes of each modality.
        dropout, structure_dropout, modality_dropout, inverse: as of `gated`.
    """
    allowed = [STRUCTURE, *data.tables]
    chosen = modalities or allowed
    for modality in [*chosen, attended]:
        if modality not in allowed:
            raise ConfigError(f"no modality {modality!r} in the data; {nearest(modality, allowed)}")
    if attended not in chosen or attended == STRUCTURE:
        raise ConfigError(f"attended is {attended!r}, which is not among the tables fused: {', '.join(chosen)}")
    if RAW.search(data.table(attended).name):
        raise ConfigError("patches attends to encoded rows; for raw pictures take gated with trainable=true")
    function = scoring(dim)
    patches = Patches(data.table(attended), most_patches)
    if patches.slots.slots == 1:
        message = f"no entity has more than one row of {attended!r} to attend to; encode pictures with patches=true"
        warnings.warn(message, DataWarning, stacklevel=2)
    names = [name for name in chosen if name != STRUCTURE]
    tables = {name: patches if name == attended else rows_of(data.table(name)) for name in names}
    gating = Gating(
        EntityTable(data.graph.num_entities, function.entity_width),
        tables,
        use_structure=STRUCTURE in chosen,
        dropout=dropout,
        structure_dropout=structure_dropout,
        modality_dropout=modality_dropout,
    )
    relations = data.graph.num_relations * (2 if inverse else 1)
    encoder = PatchAttention(gating, relations, attended=attended, aspects=aspects, trust=trust)
    return Model(encoder, function, data.graph.num_relations, inverse=inverse)
