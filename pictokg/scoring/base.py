"""What a scoring function is: what it expects in the open slot of a query, and how near a candidate is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from jaxtyping import Float


class ScoringFunction(nn.Module, ABC):
    """Scores a triple by comparing the entity that a query expects with the entities it is offered.

        score(h, r, ?; t) = similarity(expect_tail(project(h, r), r), project(t, r))

    Everything an entity or a relation owns lies in one row: `entity_width` and `relation_width` say how wide.
    Its options are the keyword arguments of its constructor. Concrete functions are final:
    wrap one to change it.

    Args:
        dim: the rank, as the field counts it (ComplEx of rank d has 2d real numbers an entity).
        entity_width: values in an entity's row; `dim` unless given.
        relation_width: values in a relation's row; `dim` unless given.
    """

    kernel: str = ""
    """What the fast paths may take `similarity` for: "dot", or "" when it is something of its own."""
    composition: ClassVar[str] = ""  # how `expect` joins anchor and relation: "sum", "product", "complex", "turn"

    tail_only: ClassVar[bool] = False
    """True when only tail queries are defined, so that head queries need reciprocal relations."""

    projects: ClassVar[bool] = False
    """True when `project` depends on the relation, so that candidates have no vector of their own."""

    def __init__(self, dim: int, *, entity_width: int | None = None, relation_width: int | None = None) -> None:
        super().__init__()
        if dim < 1:
            raise ConfigError(f"dim is {dim}; an embedding needs at least one dimension")
        self.dim = dim
        self.entity_width = dim if entity_width is None else entity_width
        self.relation_width = dim if relation_width is None else relation_width

    def project(
        self, entities: Float[Tensor, "*some entity"], relation: Float[Tensor, "*#some relation"], slot: Side
    ) -> Float[Tensor, "*some e"]:
        """Carry entities that stand in `slot` (head or tail) into the relation's space; identity by default.

        The leading axes of `relation` broadcast against those of `entities`.
        """
        return entities

    @abstractmethod
    def expect_tail(
        self, head: Float[Tensor, "batch e"], relation: Float[Tensor, "batch relation"]
    ) -> Float[Tensor, "batch e"]:
        """Return the vector that the tail of (head, relation, ?) should have, from a projected head."""

    def expect_head(
        self, tail: Float[Tensor, "batch e"], relation: Float[Tensor, "batch relation"]
    ) -> Float[Tensor, "batch e"]:
        """Return the vector that the head of (?, relation, tail) should have, from a projected tail.

        Raises:
            ConfigError: when the function is defined for tail queries only.
        """
        raise ConfigError(
            f"{type(self).__name__} answers tail queries only, and this is a head query; "
            "train the model with reciprocal relations (inverse=true), which turn it into a tail query"
        )

    @abstractmethod
    def similarity(
        self, expected: Float[Tensor, "batch e"], candidates: Float[Tensor, "*some e"]
    ) -> Float[Tensor, "batch n"]:
        """Say how near projected candidates, own (B, K, e) or shared (N, e), are to what was expected."""

    def score(
        self,
        anchor: Float[Tensor, "batch entity"],
        relation: Float[Tensor, "batch relation"],
        candidates: Float[Tensor, "*some entity"],
        side: Side,
    ) -> Float[Tensor, "batch n"]:
        """Score candidates for the open slot `side` of queries given by their entity (anchor) and relation.

        Candidates are each query's own (B, K, w), or shared by all (N, w). A function that `projects` takes
        shared candidates only for queries of one relation, because they are projected once.

        Raises:
            ConfigError: for a head query when the function is `tail_only`.
        """
        expected = self.expect(anchor, relation, side)
        if candidates.dim() == 3:
            return self.similarity(expected, self.project(candidates, relation.unsqueeze(1), side))
        if not len(relation):  # no query, hence no relation to project with
            return anchor.new_zeros(0, len(candidates))
        return self.similarity(expected, self.project(candidates, relation[:1], side))

    def expect(
        self, anchor: Float[Tensor, "batch entity"], relation: Float[Tensor, "batch relation"], side: Side
    ) -> Float[Tensor, "batch e"]:
        """Return the vector that the open slot `side` should have, from an anchor that is not projected yet."""
        given, expect = {
            Side.TAIL: (Side.HEAD, self.expect_tail),
            Side.HEAD: (Side.TAIL, self.expect_head),
        }[side]
        return expect(self.project(anchor, relation, given), relation)

    def constrain_entities(self, rows: Float[Tensor, "n entity"]) -> Float[Tensor, "n entity"]:
        """Return entity rows moved to where the norm constraints allow them; identity by default."""
        return rows

    def constrain_relations(self, rows: Float[Tensor, "n relation"]) -> Float[Tensor, "n relation"]:
        """Return relation rows moved to where the norm constraints allow them; identity by default."""
        return rows

    @abstractmethod
    @torch.no_grad()
    def initialise(
        self,
        entities: Float[Tensor, "entities entity"],
        relations: Float[Tensor, "relations relation"],
        generator: torch.Generator,
    ) -> None:
        """Fill the rows (and the function's own parameters, where it has some) in place, as published."""

    def moduli(self, vectors: Float[Tensor, "*some width"]) -> Float[Tensor, "*some n"]:
        """Return the absolute values of what the rows hold (complex moduli where numbers are complex)."""
        return vectors.abs()
