"""IKRL: translations between structure vectors and vectors attended from several pictures (Xie et al., IJCAI 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pictokg.fusion.base import EntityTable
from pictokg.fusion.image_attention import Aggregation, ImageAttention
from pictokg.models.base import Model
from pictokg.scoring.transe import TransE

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

MODALITIES = ("image",)
DEFAULTS = {
    "sampler": {"name": "uniform", "negatives": 32},
    "loss": {"name": "separate_self_adversarial", "margin": 6.0},
    "optimiser": {"name": "adam", "learning_rate": 0.004},
    "training": {"epochs": 200, "batch_size": 512},
}
TERM_SETS = {
    "all": ("ss", "si", "is", "ii"),
    "sbr": ("ss",),  # structure-based representation
    "ibr": ("ii",),  # image-based representation
    "union": ("ss", "ii"),  # both vectors put together: with the L1 norm, the sum of the two energies
}


def build(
    data: Dataset,
    *,
    dim: int = 128,
    norm: int = 1,
    constrain: bool = False,
    aggregation: Aggregation = "attention",
    attention_gradient: bool = True,
    norm_penalty: float = 0.2,
    relation_energies: Literal["all", "sbr", "ibr", "union"] = "all",
) -> Model:
    """IKRL: E(h, r, t) = E_SS + E_SI + E_IS + E_II,  E_XY = ‖h_X + r − t_Y‖;  the score is −E.

    Trained by default with self-adversarial negatives for each energy, which suit it better than one hinge on their sum
    with entity and relation corruption, the paper's: loss=margin, loss.margin=4, sampler=unknown, negatives=16,
    relation_questions=true, constrain=true. For the released code's objective: loss=separate_margin,
    loss.weights=1,0.5,0.5,1, attention_gradient=false, relation_energies=sbr, sampler=unknown, side=coin, negatives=1,
    constrain=true. Both start from a TransE run, training.warm_start=RUN, which helps with the default as well.

    Args:
        data: graph with a feature table "image"; dim: width of a vector; norm: 1 or 2.
        constrain: keep structure vectors and relations at length 1 or less.
        aggregation: attention (ATT), average (AVG) or maximum (MAX) over an entity's pictures.
        attention_gradient: let the loss teach the attention; the released code does not.
        norm_penalty: weight of the soft constraint on the length of image vectors.
        relation_energies: which energies learn from wrong relations; the released code teaches sbr alone.
    """
    structure = EntityTable(data.graph.num_entities, dim)
    encoder = ImageAttention(
        structure,
        data.table("image"),
        aggregation=aggregation,
        attention_gradient=attention_gradient,
        norm_penalty=norm_penalty,
    )
    return Model(
        encoder,
        TransE(dim, norm=norm, constrain=constrain, ball=True),
        data.graph.num_relations,
        term_sets=TERM_SETS,
        relation_terms=relation_energies,
    )
