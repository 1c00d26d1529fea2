"""MANS: negatives that are wrong in one modality only (Zhang et al., IJCNN 2023)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.sampling._picking import plain_terms
from pictokg.sampling.base import Context, Negatives, Question, Sampler
from pictokg.sampling.unknown import Asked, Unknown

Variant = Literal["visual", "two_stage", "hybrid", "adaptive"]


class Mans(Sampler):
    """Keep the answer's structure vector and take another entity's picture, so that a model learns to align the two.

    Other entities are drawn as `unknown` draws them. A share of the draws, β, becomes modality-level negatives: views
    (structure of the answer, picture of the other). The rest stay whole entities.

        visual     β = 1
        two_stage  β = 1 in the first epochs, then 0
        hybrid     β = share
        adaptive   β = the share of draws, in this batch, whose cross-modal terms (si, is) score above the terms
                   within a modality (ss, ii)

    An entity without a picture has none to lend and stays whole. Wrong relations have no modalities: they are drawn
    uniformly. The model's entities must have several views, the first of them structure, as those of `ikrl`.

    Args:
        negatives: how many a question; the paper has 1.
        variant: visual, two_stage, hybrid or adaptive.
        share: β of hybrid.
        first_epochs: with modality-level negatives, of two_stage.
        side: "bernoulli" asks one side of a triple, as in the paper; "coin" one with probability ½; "both" both.
    """

    needs = frozenset({"views"})

    def __init__(
        self,
        negatives: int = 16,
        *,
        variant: Variant = "adaptive",
        share: float = 0.3,
        first_epochs: int = 50,
        side: Asked = "bernoulli",
    ) -> None:
        if not 0 <= share <= 1 or first_epochs < 0:
            raise ConfigError(f"share is in [0, 1] and first_epochs at least 0; got {share} and {first_epochs}")
        self.variant, self.share, self.first_epochs = variant, share, first_epochs
        self._entities = Unknown(negatives, side=side)
        self._shown: Tensor | None = None

    def prepare(self, context: Context) -> None:
        """Find out who has a picture (or whatever the other views show)."""
        tables = [context.data.tables[view] for view in context.model.encoder.views[1:] if view in context.data.tables]
        shown = np.logical_or.reduce([table.counts > 0 for table in tables]) if tables else True
        everyone = torch.ones(context.model.num_entities, dtype=torch.bool, device=context.pool.device)
        self._shown = everyone & torch.as_tensor(shown).to(everyone.device)

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """As the chosen side says."""
        return self._entities.questions(triples, context)

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K) with weights, and vectors (B, K, views, d) where some are modality-level."""
        drawn = self._entities(query, answer, context)
        share = 0.0 if query.side is Side.RELATION else self.share_of(query, drawn.ids, context)
        chosen = first_cells(share, *drawn.ids.shape).to(drawn.ids.device)
        assert self._shown is not None, "prepare comes first"
        chosen = chosen & self._shown[drawn.ids] if query.side is not Side.RELATION else chosen
        if not chosen.any():
            return drawn
        vectors, own = context.encode(drawn.ids), context.encode(answer)
        structure = torch.where(chosen.unsqueeze(2), own[:, None, 0], vectors[:, :, 0])
        vectors = torch.cat([structure.unsqueeze(2), vectors[:, :, 1:]], dim=2)
        return Negatives(drawn.ids, weight=drawn.weight, vectors=vectors, memory=chosen)

    def share_of(self, query: Query, ids: Tensor, context: Context) -> float:
        """β for these draws."""
        if self.variant == "adaptive":
            terms, views = plain_terms(context.model, query, ids), range(len(context.model.encoder.views))
            within = torch.tensor([own == other for own in views for other in views], device=terms.device)
            return float((terms[..., ~within].mean(-1) > terms[..., within].mean(-1)).float().mean())
        if self.variant == "two_stage":
            return float(context.epoch < self.first_epochs)
        return self.share if self.variant == "hybrid" else 1.0


def first_cells(share: float, rows: int, columns: int) -> Tensor:
    """Mark the first ⌊share · rows · columns⌋ cells (rows, columns), column by column; a batch is in random order.

    >>> first_cells(0.5, 3, 2).int().tolist()
    [[1, 0], [1, 0], [1, 0]]
    """
    number = torch.arange(rows * columns).view(columns, rows).T
    return number < int(share * rows * columns)
