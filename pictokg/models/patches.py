"""Patches: gated fusion with attention to parts of pictures, to other parts under each relation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError, DataWarning, nearest
from pictokg.fusion.gating import STRUCTURE, Gating
from pictokg.fusion.network import RAW
from pictokg.fusion.patch_rows import Patches
from pictokg.fusion.patches import PatchAttention
from pictokg.fusion.rows import rows_of
from pictokg.fusion.trained_rows import TrainedRows
from pictokg.models import gated
from pictokg.models.base import Model
from pictokg.scoring.base import ScoringFunction

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

MODALITIES = "any"
# As `gated`, so that what attention adds shows in a comparison of the two.
DEFAULTS, DEFAULTS_SMALL, DEFAULTS_LARGE = gated.DEFAULTS, gated.DEFAULTS_SMALL, gated.DEFAULTS_LARGE


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
    chosen = gated.chosen_modalities(data, modalities)
    names = [name for name in chosen if name != STRUCTURE]
    if attended not in names:
        raise ConfigError(f"attended is {attended!r}, which is not among the tables fused; {nearest(attended, names)}")
    if RAW.search(data.table(attended).name):
        raise ConfigError("patches attends to encoded rows; for raw pictures take gated with trainable=true")
    function = scoring(dim)
    patches = Patches(data.table(attended), most_patches)
    if patches.slots.slots == 1:
        message = f"no entity has more than one row of {attended!r} to attend to; encode pictures with patches=true"
        warnings.warn(message, DataWarning, stacklevel=2)
    tables = {name: patches if name == attended else rows_of(data.table(name)) for name in names}
    gating = Gating(
        TrainedRows.of(data, function.entity_width),
        tables,
        use_structure=STRUCTURE in chosen,
        dropout=dropout,
        structure_dropout=structure_dropout,
        modality_dropout=modality_dropout,
    )
    relations = data.graph.num_relations * (2 if inverse else 1)
    encoder = PatchAttention(gating, relations, attended=attended, aspects=aspects, trust=trust)
    return Model(encoder, function, data.graph.num_relations, inverse=inverse)
