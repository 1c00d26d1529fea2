"""A model: entities to vectors, relations to vectors, and one verb, `score(query, candidates)`; higher is truer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.models._expansion import relation_terms, terms_by_relation, triple_terms
from pictokg.scoring.views import pairwise_terms, term_names, weights_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.fusion.base import EntityEncoder
    from pictokg.scoring.base import ScoringFunction

Encode = Callable[[Tensor], Tensor]


class Model(nn.Module):
    """Fusion + scoring + relation vectors.

    Args:
        encoder: entities to vectors.
        scoring: vectors to scores.
        num_relations: relations of the graph.
        inverse: give every relation a reciprocal r⁻¹ and turn each head query (?, r, t) into (t, r⁻¹, ?)
            (Lacroix et al., ICML 2018).
        term_sets: names for sets of score terms, for models whose entities have several views.
        relation_terms: the set of terms that learns from questions for relations; all by default.

    Attributes:
        name: what `build` was asked for; tells `fit` which defaults suit the model.

    >>> from pictokg.fusion.lookup import Lookup
    >>> from pictokg.scoring.distmult import DistMult
    >>> model = Model(Lookup(5, 4), DistMult(4), num_relations=2)
    >>> query = Query(head=torch.tensor([0, 1]), relation=torch.tensor([0, 1]))
    >>> model.score(query, torch.arange(5)).shape                # every entity, shared by both questions
    torch.Size([2, 5])
    """

    def __init__(
        self,
        encoder: EntityEncoder,
        scoring: ScoringFunction,
        num_relations: int,
        *,
        inverse: bool = False,
        term_sets: dict[str, tuple[str, ...]] | None = None,
        relation_terms: str = "all",
    ) -> None:
        super().__init__()
        self.name = ""
        if scoring.tail_only and not inverse:
            raise ConfigError(
                f"{type(scoring).__name__} scores tails only and needs reciprocal relations; set inverse=true"
            )
        self.encoder, self.scoring = encoder, scoring
        self.num_relations, self.inverse = num_relations, inverse
        self.relations = nn.Embedding(num_relations * (2 if inverse else 1), scoring.relation_width)
        self.term_names = ("score",) if len(encoder.views) == 1 else term_names(encoder.views)
        self.term_sets = {name.lower(): terms for name, terms in (term_sets or {"all": self.term_names}).items()}
        self.register_buffer("term_weights", torch.ones(len(self.term_names)), persistent=False)
        self.term_weights: Tensor
        self.relation_terms = relation_terms
        self.initialise(torch.Generator().manual_seed(0))

    @property
    def num_entities(self) -> int:
        """Entities with an id."""
        return self.encoder.structure.weight.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.relations.weight.device

    @property
    def depends_on_relation(self) -> bool:
        """Whether candidates look different to each relation, so that shared ones are scored relation by relation."""
        return self.encoder.depends_on_relation or self.scoring.projects

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the entity and relation rows as the scoring function's paper does."""
        with torch.no_grad():
            self.scoring.initialise(self.encoder.structure.weight, self.relations.weight, generator)

    def use_terms(self, chosen: str) -> None:
        """Choose which score terms count: a set's name ("sbr"), or terms ("ss,ii")."""
        self.term_weights = self.term_weights.new_tensor(weights_of(self.term_names, chosen, self.term_sets))

    def score(
        self, query: Query, candidates: Tensor, encode: Encode | None = None
    ) -> Float[Tensor, "batch candidates"]:
        """Score candidates for each question; higher is truer.

        Args:
            query: B questions of one side.
            candidates: ids of entities, or of relations for relation queries: own (B, K) or shared (N,).
            encode: ids → static encodings where they exist already; by default the encoder runs.
        """
        terms = self.terms(query, candidates, encode)
        return terms[..., 0] if terms.shape[-1] == 1 else terms @ self.term_weights

    def terms(
        self, query: Query, candidates: Tensor, encode: Encode | None = None
    ) -> Float[Tensor, "batch candidates terms"]:
        """Score as `score` does, but keep the terms apart, in the order of `term_names`."""
        encode = encode or self.encode
        if query.side is Side.RELATION:
            return relation_terms(self, query, candidates, encode)
        anchor, relation, side = self.direct(query)
        if candidates.dim() == 1 and self.depends_on_relation:
            return terms_by_relation(self, anchor, relation, candidates, side, encode)
        return self.entity_terms(anchor, relation, candidates, side, encode)

    def score_triples(self, triples: Int[Tensor, "batch 3"], encode: Encode | None = None) -> Float[Tensor, " batch"]:
        """Score whole triples: the tail question's score, or with reciprocal relations the mean of both sides'."""
        return triple_terms(self, triples, encode or self.encode) @ self.term_weights

    @torch.no_grad()
    def constrain(self, entities: Tensor, relations: Tensor) -> None:
        """Apply the norm constraints of the scoring function to touched rows."""
        self.encoder.constrain(entities, self.scoring.constrain_entities)
        nothing = self.relations.weight[:0]
        if self.scoring.constrain_relations(nothing) is not nothing:  # else gathering rows would be for nothing
            self.relations.weight[relations] = self.scoring.constrain_relations(self.relations.weight[relations])

    def touched_relations(self, triples: Tensor) -> Tensor:
        """Rows of the relation table that questions about these triples may use."""
        relations = triples[:, Side.RELATION].unique()
        return torch.cat([relations, relations + self.num_relations]) if self.inverse else relations

    def encode(self, ids: Int[Tensor, "*shape"]) -> Tensor:
        """Encode entities as far as no relation is needed: (*shape, [views,] width)."""
        return self.encoder.encode_static(ids.reshape(-1)).unflatten(0, ids.shape)

    @torch.no_grad()
    def encode_all(self, block: int = 65536) -> Encode:
        """Encode every entity once; returns the look-up to pass as `encode`."""
        was_training = self.training
        self.eval()
        parts = torch.arange(self.num_entities, device=self.device).split(block)
        first = self.encoder.encode_static(parts[0])
        static = first.new_empty(self.num_entities, *first.shape[1:])
        static[: len(first)] = first  # filled part by part: joining them at the end would need them twice
        for part in parts[1:]:
            static[part] = self.encoder.encode_static(part)
        self.train(was_training)
        return static.__getitem__

    def direct(self, query: Query) -> tuple[Tensor, Tensor, Side]:
        """The question as the scoring function will see it: reciprocal relations turn heads into tails."""
        relation = query.relation
        assert relation is not None, "relation queries are expanded before"
        if self.inverse and query.side is Side.HEAD:
            return query.anchor, relation + self.num_relations, Side.TAIL
        return query.anchor, relation, query.side

    def entity_terms(
        self, anchor: Tensor, relation: Tensor, candidates: Tensor, side: Side, encode: Encode
    ) -> Float[Tensor, "batch candidates terms"]:
        """Score candidates with one call of the scoring function, for a question as `direct` gives it."""
        condition = self.encoder.condition
        anchors = condition(encode(anchor), relation)
        vectors = condition(encode(candidates), relation[:1] if candidates.dim() == 1 else relation)
        if len(self.encoder.views) > 1:
            return pairwise_terms(self.scoring, anchors, self.relations(relation), vectors, side)
        return self.scoring.score(anchors, self.relations(relation), vectors, side).unsqueeze(-1)
