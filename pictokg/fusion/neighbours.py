"""Structure rows lent by entities that look or read alike, to those of which the graph says little.

    s'_i = a_i s_i + b_i Σ_j w_ij s_j,   b_i = κ / (κ + n_i),   w_ij = softmax_j(β · cos_ij) over the nearest j

n_i is the number of training triples that entity i stands in; j are trained entities. Where scores are dot products
a_i = 1, for the length of a row says how sure it is; where they are distances a_i = 1 − b_i; where n_i = 0 it is 0.
Training knows nothing of it: rows are lent in use, so that an entity never seen is the mean of those like it, and one
seen often is itself. (A sampler that asks the model as it is in use, as NSCaching does, is answered with lent rows.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.fusion.base import EntityEncoder, EntityTable
from pictokg.fusion.rows import AttributeRows, PooledRows, rows_of
from pictokg.fusion.trained_rows import TrainedRows
from pictokg.fusion.unseen import reads_structure
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from pictokg.datasets.dataset import Dataset
    from pictokg.features.table import FeatureTable

MOST_LENDERS = 100_000  # drawn where there are more: each entity is compared with every lender
AT_ONCE = 1 << 25  # similarities held together


@dataclass(frozen=True, slots=True)
class NeighbourOptions:
    """Who lends structure rows, and how much they count.

    Attributes:
        by: the feature tables that say who is alike; of an empty list nobody lends.
        worth: κ, how many facts of its own what its neighbours lend is worth to an entity; of 0 only those without
            facts borrow.
        nearest: neighbours an entity.
        sharpness: β; the larger, the more the most alike of them count.
    """

    by: list[str] | None = None
    worth: float = 1.0
    nearest: int = 20
    sharpness: float = 20.0

    def __post_init__(self) -> None:
        if self.by is None:
            raise ConfigError("neighbours lend by features; name some: --set neighbours.by=text")
        for key, least in (("worth", 0), ("nearest", 1), ("sharpness", 0)):
            value = getattr(self, key)
            if not least <= value < float("inf"):
                raise ConfigError(f"neighbours.{key} is a number of at least {least}; got {value}")


class LentRows(TrainedRows):
    """Structure rows that learn as those of another table, and in use are lent to entities of few facts.

    An entity without features borrows nothing, and without facts either it has the mean of the trained rows.

    Args:
        table: whose weights to share, and how to behave in training.
        degree: training triples of each entity.
        likeness: who is like whom.
        worth: κ.
        adds: what is lent is added to an entity's own row, which else makes room for it.
    """

    def __init__(
        self, table: EntityTable, degree: Int[Tensor, " entities"], likeness: Likeness, *, worth: float, adds: bool
    ) -> None:
        nn.Module.__init__(self)
        self.weight, self.sparse = table.weight, table.sparse
        self.likeness, self._plain = likeness, not isinstance(table, TrainedRows)
        trained = degree > 0
        self.all_trained, self._mean = bool(trained.all()), None
        neighbours, weights = likeness.of()
        borrows = weights.any(dim=1)
        lent = torch.where(borrows, worth / (worth + degree).clamp_min(1e-9), 0.0)
        lent = torch.where(borrows & ~trained, 1.0, lent)
        own = trained.float() if adds else 1 - lent
        self.register_buffer("trained", trained, persistent=False)
        self.register_buffer("neighbours", neighbours, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("own", own, persistent=False)
        self.register_buffer("lent", lent, persistent=False)
        self.trained: Tensor
        self.neighbours: Tensor
        self.weights: Tensor
        self.own: Tensor
        self.lent: Tensor

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of these ids, (…, width)."""
        if self.training:
            return EntityTable.forward(self, ids) if self._plain else super().forward(ids)
        own, flat = super().forward(ids), ids.reshape(-1)
        near = self.mixed(self.neighbours[flat], self.weights[flat]).view_as(own)
        nobody = ~self.trained[ids] & (self.lent[ids] == 0)  # has the mean row, which is not its own to weigh
        weight = torch.where(nobody, 1.0, self.own[ids])
        return weight.unsqueeze(-1) * own + self.lent[ids].unsqueeze(-1) * near

    def mixed(
        self, neighbours: Int[Tensor, "asked nearest"], weights: Float[Tensor, "asked nearest"]
    ) -> Float[Tensor, "asked width"]:
        """Σ_j w_j s_j."""
        weights = weights.to(self.weight.dtype)
        return nn.functional.embedding_bag(neighbours, self.weight, per_sample_weights=weights, mode="sum")

    def of_others(self, tables: Mapping[str, FeatureTable]) -> Loans:
        """What is lent to entities that the graph does not have, by feature tables of their own."""
        neighbours, weights = (found.to(self.weight.device) for found in self.likeness.of(tables))
        return Loans(self.mixed(neighbours, weights), neighbours, weights)

    def lenders(self, entity: int) -> list[int]:
        """Who lends to an entity, the nearest first; nobody where what is lent counts for less than a tenth."""
        return self.neighbours[entity][self.weights[entity] > 0].tolist() if self.lent[entity] >= 0.1 else []


class Loans(NamedTuple):
    """What is lent to some entities, zeros where nothing is.

    Attributes:
        rows: structure rows (entities, width).
        neighbours, weights: who lends, and the share of each, (entities, nearest), the nearest first.
    """

    rows: Tensor
    neighbours: Tensor
    weights: Tensor

    @property
    def given(self) -> Tensor:
        """Whether anything is lent to each of them, (entities,)."""
        return self.weights.any(dim=1)

    def times(self, kept: Bool[Tensor, " times"], number: int) -> Loans:
        """The loan of one of the entities as often as asked, with nothing in it where it is not kept."""
        one = slice(number, number + 1)
        rows, weights = kept.unsqueeze(1) * self.rows[one], kept.unsqueeze(1) * self.weights[one]
        return Loans(rows, self.neighbours[one].expand(len(kept), -1), weights)

    def lenders(self, number: int) -> list[int]:
        """Who lends to one of the entities, the nearest first."""
        return self.neighbours[number][self.weights[number] > 0].tolist()


class Likeness:
    """Which trained entities are like an entity, by the cosine of its standardised feature rows:

        cos_ij = Σ_m p_im p_jm cos(x_im, x_jm) / Σ_m p_im      over modalities m; p_im: 1 where i has it, else 0

    Args:
        tables: modality → features of the graph's entities.
        trained: which entities can lend, (entities,).
        nearest, sharpness: see `NeighbourOptions`.
    """

    def __init__(
        self, tables: Mapping[str, FeatureTable], trained: Tensor, *, nearest: int = 20, sharpness: float = 20.0
    ) -> None:
        self.tables, self.nearest, self.sharpness = dict(tables), nearest, sharpness
        has = np.any([table.present for table in tables.values()], axis=0)
        lenders = np.flatnonzero(trained.cpu().numpy() & has)
        if len(lenders) > MOST_LENDERS:
            lenders = np.sort(np.random.default_rng(0).choice(lenders, MOST_LENDERS, replace=False))
        self.lenders = torch.from_numpy(lenders)

    @cached_property
    def _scales(self) -> dict[str, PooledRows | AttributeRows]:
        """The graph's own rows; kept for entities that come later, who are put on their scale."""
        return self._rows()

    @cached_property
    def _lender_rows(self) -> list[Float[Tensor, "lenders width"]]:
        return [_unit(rows, self.lenders) for rows in self._scales.values()]

    def _rows(self) -> dict[str, PooledRows | AttributeRows]:
        return {name: rows_of(table) for name, table in self.tables.items()}

    @torch.no_grad()
    def of(
        self, tables: Mapping[str, FeatureTable] | None = None
    ) -> tuple[Int[Tensor, "entities nearest"], Float[Tensor, "entities nearest"]]:
        """The ids of the nearest lenders and their weights, which sum to 1; all 0 where there is nothing to go by.

        Args:
            tables: of the entities that ask, where the graph does not have them; None asks for all of the graph,
                each of which leaves itself out.
        """
        if tables is None:  # once, when a model is made: nothing is kept
            asking = list(self._rows().values())
            theirs = [_unit(rows, self.lenders) for rows in asking]
        else:
            asking, theirs = [rows.of(tables[name]) for name, rows in self._scales.items()], self._lender_rows
        count, nearest = len(asking[0].count), min(self.nearest, len(self.lenders))
        neighbours = torch.zeros(count, max(nearest, 1), dtype=torch.int32)
        weights = torch.zeros(neighbours.shape)
        if not nearest:
            return neighbours, weights
        place_of = torch.full((count,), -1)
        if tables is None:
            place_of[self.lenders] = torch.arange(len(self.lenders))
        for block in torch.arange(count).split(max(1, AT_ONCE // len(self.lenders))):
            cosine, there = torch.zeros(len(block), len(self.lenders)), torch.zeros(len(block))
            for rows, lenders in zip(asking, theirs, strict=True):
                cosine.addmm_(_unit(rows, block), lenders.T)
                there += rows.count[block] > 0
            cosine /= there.clamp_min(1).unsqueeze(1)
            itself = place_of[block]
            asks = (itself >= 0).nonzero().squeeze(1)
            cosine[asks, itself[asks]] = -torch.inf
            best, place = cosine.topk(nearest, dim=1)
            share = torch.softmax(self.sharpness * best, dim=1).nan_to_num(0.0)  # nobody but itself: no one to ask
            weights[block] = share * (there > 0).unsqueeze(1)
            neighbours[block] = self.lenders[place].int()
        return neighbours, weights


def lend(encoder: EntityEncoder, data: Dataset, options: NeighbourOptions, *, adds: bool) -> None:
    """Give an encoder structure rows that neighbours lend.

    Args:
        encoder: changed in place; data: what it learns, with the tables to go by.
        options: who lends, and how much; adds: whether scores are dot products.

    Raises:
        ConfigError: a table that the data do not have, or a model without structure rows.
    """
    if not reads_structure(encoder):
        raise ConfigError("neighbours lend structure rows, and this model has none; add structure to modalities")
    tables = {name: data.table(name) for name in options.by or ()}
    train = data.graph.split("train")
    ends = train[:, [Side.HEAD, Side.TAIL]].astype(np.int64)
    loops = np.bincount(ends[ends[:, 0] == ends[:, 1], 0], minlength=data.graph.num_entities)
    degree = torch.from_numpy(np.bincount(ends.reshape(-1), minlength=data.graph.num_entities) - loops)
    likeness = Likeness(tables, degree > 0, nearest=options.nearest, sharpness=options.sharpness)
    holder: EntityEncoder = getattr(encoder, "gating", encoder)
    holder.structure = LentRows(holder.structure, degree, likeness, worth=options.worth, adds=adds)


def lent_by(encoder: EntityEncoder) -> Sequence[str]:
    """The tables by which an encoder's structure rows are lent; none where they are not."""
    return list(encoder.structure.likeness.tables) if isinstance(encoder.structure, LentRows) else []


def _unit(rows: PooledRows | AttributeRows, ids: Tensor) -> Float[Tensor, "ids width"]:
    return nn.functional.normalize(rows.values[ids], dim=1)
