"""Together: several samplers side by side, their candidates joined."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.graph.query import Query
from pictokg.sampling.base import Context, Negatives, Question, Sampler, Turn


@dataclass(frozen=True, slots=True)
class Share:
    """What one sampler drew, and the columns where it stands among all."""

    drawn: Negatives
    columns: slice


class Together(nn.Module, Sampler):
    """Each question gets the candidates of every part; scores, state and parameters go to the part they belong to.

    The weight of a candidate is its own times that of its part, so a part counts as weight × candidates. The first part
    says which questions are asked, and how much each counts. In a step the model learns when any part lets it, and
    likewise the samplers; a part whose turn it is not adds no loss of its own, so nothing moves it. Every part learns
    at its own rate. A part that labels several answers (`k_vs_all`) cannot share its candidates and is refused.

    Args:
        parts: samplers. In a configuration their names, or tables of a name and options; see docs/sampling.md.
        weights: of the parts, one each; 1 unless given.
    """

    def __init__(self, parts: list[Sampler] | None = None, *, weights: list[float] | None = None) -> None:
        super().__init__()
        self.members = list(parts or [])
        if not self.members:
            raise ConfigError("together joins several samplers; name them, as in: --set parts=uniform,nscaching")
        self.weights = weights or [1.0] * len(self.members)
        if len(self.weights) != len(self.members) or min(self.weights) < 0:
            raise ConfigError(f"weights must be {len(self.members)} numbers of 0 or more; got {self.weights}")
        self.needs = frozenset().union(*(member.needs for member in self.members))
        if "labels" in self.needs:
            raise ConfigError("together cannot hold a sampler that labels several answers, as k_vs_all; take it out")
        self.learners = nn.ModuleList(member for member in self.members if isinstance(member, nn.Module))

    def parts(self) -> list[Sampler]:
        """The samplers it is made of, those of its parts' too."""
        return [part for member in self.members for part in member.parts()]

    def prepare(self, context: Context) -> None:
        """Prepare the parts in their order."""
        for member in self.members:
            member.prepare(context)

    def turn(self, context: Context) -> Turn:
        """Whoever learns in any part."""
        turns = {member.turn(context) for member in self.members}
        return turns.pop() if len(turns) == 1 else "both"

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """Those of the first part."""
        return self.members[0].questions(triples, context)

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Join the parts' candidates: ids (B, ΣK), weights (B, ΣK), vectors where a part has some."""
        shares, start = [], 0
        for member in self.members:
            drawn = member(query, answer, context)
            shares.append(Share(drawn, slice(start, start + drawn.ids.shape[-1])))
            start += drawn.ids.shape[-1]
        ids = torch.cat([share.drawn.ids.expand(len(query), -1) for share in shares], dim=1)
        weight = torch.cat(
            [number * weight_of(share.drawn, len(query)) for number, share in zip(self.weights, shares, strict=True)],
            dim=1,
        )
        return Negatives(
            ids,
            weight=weight,
            question_weight=shares[0].drawn.question_weight,
            vectors=joined_vectors(shares, len(query), context),
            memory=shares,
        )

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> Tensor | None:
        """The sum of the parts' losses, each having heard its own candidates' scores."""
        heard = [
            member.feedback(share.drawn, scores[:, share.columns], context)
            for member, share in zip(self.members, negatives.memory, strict=True)
        ]
        losses = [loss for loss in heard if loss is not None]
        return torch.stack(losses).sum() if losses else None

    def state(self) -> dict[str, Tensor]:
        """The parts' states, by their number."""
        return {
            f"{number}.{key}": value
            for number, member in enumerate(self.members)
            for key, value in member.state().items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Give each part what is its own."""
        for number, member in enumerate(self.members):
            own = {key.split(".", 1)[1]: value for key, value in state.items() if key.split(".", 1)[0] == str(number)}
            member.load_state(own)


def weight_of(drawn: Negatives, questions: int) -> Tensor:
    """A part's weights (B, K); 0 at the answer, which is no negative, where the part has it among its candidates."""
    weight = torch.ones((), device=drawn.ids.device) if drawn.weight is None else drawn.weight
    weight = weight.expand(questions, drawn.ids.shape[-1])
    if drawn.answer_column is None:
        return weight
    return weight.scatter(1, drawn.answer_column.unsqueeze(1), 0.0)


def joined_vectors(shares: list[Share], questions: int, context: Context) -> Tensor | None:
    """The vectors of all candidates, where a part made its own; those of the others are encoded."""
    if all(share.drawn.vectors is None for share in shares):
        return None
    found = []
    for drawn in (share.drawn for share in shares):
        own = context.encode(drawn.ids) if drawn.vectors is None else drawn.vectors
        found.append(own.expand(questions, *own.shape) if drawn.ids.dim() == 1 else own)
    return torch.cat(found, dim=1)
