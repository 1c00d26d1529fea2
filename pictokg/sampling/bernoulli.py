"""Bernoulli negatives: one side a triple, chosen so that false negatives are rarer."""

from __future__ import annotations

import torch
from torch import Tensor

from pictokg.graph.query import Query, Side, ask
from pictokg.sampling.base import Context, Negatives, Question, Sampler
from pictokg.sampling.uniform import Uniform


class Bernoulli(Sampler):
    """Ask for the head with probability tph / (tph + hpt), else for the tail (Wang et al., TransH, AAAI 2014).

    tph is the relation's mean number of tails per head, hpt its mean number of heads per tail, both over training.

    Args:
        negatives: how many a question.
        balanced: ask for either side with probability ½ instead, as the released IKRL code does ("unif").
    """

    kernel = True

    def __init__(self, negatives: int = 64, *, balanced: bool = False) -> None:
        self._uniform, self._balanced = Uniform(negatives), balanced
        self._head_probability: Tensor | None = None

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """One question a triple, on a side drawn by its relation; relation questions, if any, for all."""
        if self._head_probability is None:
            train = torch.as_tensor(context.data.graph.split("train")).long()
            probability = head_probability(train, context.data.graph.num_relations)
            self._head_probability = torch.full_like(probability, 0.5) if self._balanced else probability
        probability = self._head_probability.to(triples.device)[triples[:, Side.RELATION]]
        coin = torch.rand(len(triples), generator=context.generator, device=context.generator.device)
        asks_head = coin.to(triples.device) < probability
        questions = [ask(triples[asks_head], Side.HEAD), ask(triples[~asks_head], Side.TAIL)]
        if Side.RELATION in context.sides:
            questions.append(ask(triples, Side.RELATION))
        return [question for question in questions if len(question[0])]

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw uniformly."""
        return self._uniform(query, answer, context)


def head_probability(triples: Tensor, num_relations: int) -> Tensor:
    """The probability of corrupting the head, per relation id: tph / (tph + hpt).

    >>> head_probability(torch.tensor([[0, 0, 1], [0, 0, 2], [0, 0, 3]]), 1)    # one head, three tails
    tensor([0.7500])
    """
    distinct = triples.unique(dim=0)

    def pairs(slot: Side) -> Tensor:
        return torch.bincount(
            distinct[:, [Side.RELATION, slot]].unique(dim=0)[:, 0], minlength=num_relations
        ).clamp_min(1)

    count = torch.bincount(distinct[:, Side.RELATION], minlength=num_relations)
    tails_per_head, heads_per_tail = count / pairs(Side.HEAD), count / pairs(Side.TAIL)
    return tails_per_head / (tails_per_head + heads_per_tail).clamp_min(1e-12)
