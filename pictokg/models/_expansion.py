"""Questions that take several calls of the scoring function: of several relations, of relations, of whole triples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Query, Side
from pictokg.scoring.views import weights_of

if TYPE_CHECKING:
    from jaxtyping import Float

    from pictokg.models.base import Model

Encode = Callable[[Tensor], Tensor]


def terms_by_relation(
    model: Model, anchor: Tensor, relation: Tensor, candidates: Tensor, side: Side, encode: Encode
) -> Float[Tensor, "batch candidates terms"]:
    """Score shared candidates that look different to each relation: one call a distinct relation."""
    if not len(relation):
        return model.relations.weight.new_zeros(0, len(candidates), len(model.term_names))
    order, parts = [], []
    for distinct in relation.unique():
        rows = (relation == distinct).nonzero().squeeze(1)
        order.append(rows)
        parts.append(model.entity_terms(anchor[rows], relation[rows], candidates, side, encode))
    return torch.cat(parts)[torch.cat(order).argsort()]


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
