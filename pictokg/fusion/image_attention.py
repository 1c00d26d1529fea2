"""IKRL: an entity's pictures are projected, attended to by its structure vector, and become its second view."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError, nearest
from pictokg.fusion.base import EntityEncoder, EntityTable
from pictokg.fusion.gather import gather

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.features.table import FeatureTable

Aggregation = Literal["attention", "average", "maximum"]


class ImageAttention(EntityEncoder):
    """Two views an entity, (entities, 2, dim): structure vector e_S and image vector e_I (Xie et al., IJCAI 2017)

        e_I = Σ_k a_k p_k,   p_k = M f_k,   a_k = softmax_k(p_k · e_S)

    with f_k the picture's features, scaled to norm 1 where longer. "average" sets a_k = 1/n, "maximum" keeps the
    picture of the largest a_k alone. An entity without pictures has e_I = e_S, one without structure e_S = e_I.

    Args:
        structure: learned rows e_S; table: picture features, several rows an entity.
        aggregation: attention, average or maximum.
        attention_gradient: let gradients flow through a_k (the released code holds a_k constant).
        norm_penalty: λ of the soft constraint λ · mean max(0, ‖e_I‖² − 1), which stands in for the released code's
            extra descent step.
    """

    views = ("structure", "image")

    def __init__(
        self,
        structure: EntityTable,
        table: FeatureTable,
        *,
        aggregation: Aggregation = "attention",
        attention_gradient: bool = True,
        norm_penalty: float = 0.2,
    ) -> None:
        super().__init__()
        if aggregation not in get_args(Aggregation):
            raise ConfigError(f"unknown aggregation {aggregation!r}; {nearest(aggregation, get_args(Aggregation))}")
        self.structure = structure
        self.pictures, self.table_name = table, table.name
        self.within_ball = longest_row(table) <= 1 + 1e-4  # then there is nothing to scale, at every step
        self.several = int(table.counts.max(initial=0)) > 1  # one picture has weight 1, whatever attends to it
        self.project = nn.Linear(table.width, structure.weight.shape[1], bias=False)
        self.aggregation, self.attention_gradient, self.norm_penalty = (
            aggregation,
            attention_gradient,
            norm_penalty,
        )

    def of(self, table: FeatureTable) -> ImageAttention:
        """The same over the pictures of other entities."""
        twin = copy.copy(self)
        twin.pictures, twin.within_ball = table, self.within_ball and longest_row(table) <= 1 + 1e-4
        twin.several = int(table.counts.max(initial=0)) > 1
        return twin

    def rows(self, ids: Int[Tensor, " entities"]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The features of all pictures of these entities, one after another, and how many each has."""
        wanted = ids.cpu().numpy()
        values = torch.from_numpy(self.pictures.instances(wanted).values).to(ids.device)
        count = torch.from_numpy(self.pictures.counts[wanted].astype("int64")).to(ids.device)
        return {"image": values}, {"image": count}

    def encode_static(self, ids: Int[Tensor, " entities"]) -> Tensor:
        """Encode entities as `fuse` does; where it can, without gathering or projecting single pictures."""
        weight = self.structure.weight
        plain = (weight.device.type, weight.dtype) != ("cpu", torch.float32) or torch.is_autocast_enabled("cpu")
        if plain or not self.kernels:
            return super().encode_static(ids)
        from pictokg.kernels.attention import Owned, pool, two_views

        structure, wanted = self.structure(ids), ids.numpy()
        count = self.pictures.counts[wanted]
        owned = Owned(self.pictures.values, self.pictures.offsets[wanted], count, shorten=not self.within_ball)
        kind = self.aggregation if self.several else "average"
        queries = None if kind == "average" else structure @ self.project.weight
        if queries is not None and not self.attention_gradient:
            queries = queries.detach()
        image = self.project(pool(queries, owned, kind))
        return two_views(structure, image, torch.from_numpy(np.flatnonzero(count == 0)))

    def fuse(self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """Stack the two views (entities, 2, dim)."""
        count = presence["image"]
        features = rows["image"].to(self.project.weight.dtype)
        projected = self.project(features if self.within_ball else unit_ball(features)).to(features.dtype)
        weights = self.attention(structure, projected, count)
        owner = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
        image = projected.new_zeros(len(count), projected.shape[1])
        image = image.index_add(0, owner, weights.unsqueeze(1) * projected)
        if structure is None:
            return torch.stack([image, image], dim=1)
        image = torch.where((count > 0).unsqueeze(1), image, structure)
        return torch.stack([structure, image], dim=1)

    def attention(
        self,
        structure: Float[Tensor, "entities dim"] | None,
        projected: Float[Tensor, "pictures dim"],
        count: Tensor,
    ) -> Float[Tensor, " pictures"]:
        """The weight of each picture; the weights of an entity's pictures sum to 1.

        Without structure there is nothing to attend with, so every picture of an entity counts alike.
        """
        owner = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
        if self.aggregation == "average" or structure is None:
            return 1.0 / count[owner].to(projected.dtype)
        weights = segment_softmax((projected * gather(structure, owner)).sum(dim=1), owner, len(count))
        if self.aggregation == "maximum":
            return first_maximum(weights, owner, len(count))
        return weights if self.attention_gradient else weights.detach()

    def penalty(self, static: Tensor) -> Tensor | None:
        """λ · mean over entities of max(0, ‖e_I‖² − 1)."""
        if self.norm_penalty == 0:
            return None
        return self.norm_penalty * torch.relu(static[:, 1].square().sum(dim=-1) - 1).mean()


def longest_row(table: FeatureTable, block: int = 65536) -> float:
    """The largest norm of a table's rows; 0 when it has none."""
    parts = (table.values[start : start + block] for start in range(0, len(table.values), block))
    return max((float(np.linalg.norm(part.astype(np.float32), axis=1).max()) for part in parts), default=0.0)


def unit_ball(rows: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
    """Scale rows longer than 1 to norm 1.

    >>> unit_ball(torch.tensor([[3.0, 4.0], [0.3, 0.4]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.30000001192092896, 0.4000000059604645]]
    """
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1.0)


def segment_softmax(
    logits: Float[Tensor, " pictures"], owner: Int[Tensor, " pictures"], entities: int
) -> Float[Tensor, " pictures"]:
    """Softmax over the pictures of each entity.

    >>> segment_softmax(torch.tensor([0.0, 0.0, 5.0]), torch.tensor([0, 0, 1]), 2).tolist()
    [0.5, 0.5, 1.0]
    """
    largest = logits.new_full((entities,), -torch.inf).scatter_reduce(0, owner, logits.detach(), reduce="amax")
    powers = (logits - largest[owner]).exp()
    total = powers.new_zeros(entities).index_add(0, owner, powers)
    return powers / total.index_select(0, owner)


def first_maximum(weights: Float[Tensor, " pictures"], owner: Tensor, entities: int) -> Float[Tensor, " pictures"]:
    """1 at the first largest weight of each entity, 0 elsewhere."""
    largest = weights.new_full((entities,), -torch.inf).scatter_reduce(0, owner, weights, reduce="amax")
    position = torch.arange(len(weights), device=weights.device)
    candidate = torch.where(weights == largest[owner], position, len(weights))
    first = candidate.new_full((entities,), len(weights)).scatter_reduce(0, owner, candidate, reduce="amin")
    return (position == first[owner]).to(weights.dtype)
