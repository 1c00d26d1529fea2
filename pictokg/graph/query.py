"""The one unit that flows through the library: a question about a triple, and its answer.

A triple (h, r, t) is three questions: (?, r, t) with answer h, (h, ?, t) with answer r, (h, r, ?) with answer t.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor


class Side(IntEnum):
    """The slot of the triple that a question asks for; its value is the column in a triple array."""

    HEAD = 0
    RELATION = 1
    TAIL = 2


@dataclass(frozen=True, slots=True)
class Query:
    """A batch of questions of one side: two of the three slots are given as ids (B,), the third is asked for.

    >>> Query(head=torch.tensor([3]), relation=torch.tensor([0])).side
    <Side.TAIL: 2>
    """

    head: Tensor | None = None
    relation: Tensor | None = None
    tail: Tensor | None = None

    def __post_init__(self) -> None:
        if sum(slot is None for slot in (self.head, self.relation, self.tail)) != 1:
            raise ValueError("a query gives exactly two of head, relation and tail, and asks for the third")

    @property
    def side(self) -> Side:
        """The slot that is asked for."""
        return Side.HEAD if self.head is None else Side.RELATION if self.relation is None else Side.TAIL

    @property
    def given(self) -> tuple[Tensor, Tensor]:
        """The two known slots, in the order head, relation, tail."""
        first, second = (slot for slot in (self.head, self.relation, self.tail) if slot is not None)
        return first, second

    @property
    def anchor(self) -> Tensor:
        """The entity that a head or tail query gives."""
        anchor = self.head if self.side is Side.TAIL else self.tail
        assert self.side is not Side.RELATION, "a relation query has no single anchor"
        assert anchor is not None, "the other slots are given"
        return anchor

    def __len__(self) -> int:
        return len(self.given[0])

    def __getitem__(self, rows: Tensor | slice) -> Query:
        """Select questions by row."""
        return Query(*(None if slot is None else slot[rows] for slot in (self.head, self.relation, self.tail)))

    def to(self, device: torch.device | str) -> Query:
        """Move the ids to a device."""
        return Query(*(None if slot is None else slot.to(device) for slot in (self.head, self.relation, self.tail)))

    def with_answer(self, answer: Tensor) -> Tensor:
        """Put answers (B,) into the open slot: triples (B, 3)."""
        slots = (self.head, self.relation, self.tail)
        return torch.stack([answer if slot is None else slot for slot in slots], dim=1)


def ask(triples: Tensor, side: Side) -> tuple[Query, Tensor]:
    """Turn triples (B, 3) into the questions of one side and their answers (B,).

    >>> query, answer = ask(torch.tensor([[4, 1, 7]]), Side.TAIL)
    >>> query.anchor.tolist(), answer.tolist()
    ([4], [7])
    """
    head, relation, tail = triples.unbind(dim=1)
    query = Query(
        head=None if side is Side.HEAD else head,
        relation=None if side is Side.RELATION else relation,
        tail=None if side is Side.TAIL else tail,
    )
    return query, triples[:, side]
