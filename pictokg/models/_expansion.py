"""Questions that take several calls of the scoring function: of several relations, of relations, of whole triples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.fusion.linear import WeightedParts, fold
from pictokg.graph.query import Query, Side
from pictokg.models._factored import folds
from pictokg.scoring.views import weights_of

if TYPE_CHECKING:
    from jaxtyping import Float

    from pictokg.models.base import Model

Encode = Callable[[Tensor], Tensor]
WORTH_A_CALL = 16  # questions of one relation for which weighing every candidate's parts is cheaper than wide products


def terms_by_relation(
    model: Model, anchor: Tensor, relation: Tensor, candidates: Tensor, side: Side, encode: Encode
) -> Float[Tensor, "batch candidates terms"]:
    """Score shared candidates that look different to each relation: one call a distinct relation.

    Where scores are dot products with a weighted sum, relations of few questions are answered in one product instead.
    """
    if not len(relation):
        return model.relations.weight.new_zeros(0, len(candidates), len(model.term_names))
    different = relation.unique()
    if len(relation) < WORTH_A_CALL * len(different) and folds(model):
        return folded_terms(model, anchor, relation, candidates, side, encode)
    order, parts = [], []
    for distinct in different:
        rows = (relation == distinct).nonzero().squeeze(1)
        order.append(rows)
        parts.append(model.entity_terms(anchor[rows], relation[rows], candidates, side, encode))
    return torch.cat(parts)[torch.cat(order).argsort()]


def folded_terms(
    model: Model, anchor: Tensor, relation: Tensor, candidates: Tensor, side: Side, encode: Encode
) -> Float[Tensor, "batch candidates terms"]:
    """As `terms_by_relation`, with what depends on the relation on the side of the questions (`fusion.linear`)."""
    encoder = model.encoder
    assert isinstance(encoder, WeightedParts), "checked by folds"
    expected = model.scoring.expect(encoder.condition(encode(anchor), relation), model.relations(relation), side)
    return model.scoring.similarity(fold(encoder, expected, relation), encode(candidates).flatten(1)).unsqueeze(-1)


def relation_terms(
    model: Model, query: Query, candidates: Tensor, encode: Encode
) -> Float[Tensor, "batch candidates terms"]:
    """Score relations for (h, ?, t): each makes a whole triple."""
    head, tail = query.given
    relations = candidates.expand(len(query), -1)
    count = relations.shape[1]
    heads, tails = head.repeat_interleave(count), tail.repeat_interleave(count)
    triples = torch.stack([heads, relations.reshape(-1), tails], dim=1)
    terms = triple_terms(model, triples, encode).unflatten(0, (len(query), count))
    if model.training and model.relation_terms != "all":
        return terms * terms.new_tensor(weights_of(model.term_names, model.relation_terms, model.term_sets))
    return terms


def triple_terms(model: Model, triples: Tensor, encode: Encode) -> Float[Tensor, "batch terms"]:
    """Score whole triples: the tail question's terms, with reciprocal relations the mean of both sides'."""
    head, relation, tail = triples.unbind(dim=1)
    forward = model.entity_terms(head, relation, tail.unsqueeze(1), Side.TAIL, encode)[:, 0]
    if not model.inverse:
        return forward
    reciprocal = relation + model.num_relations
    backward = model.entity_terms(tail, reciprocal, head.unsqueeze(1), Side.TAIL, encode)[:, 0]
    return (forward + backward) / 2
