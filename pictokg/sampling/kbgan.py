"""KBGAN: a second model learns which of some candidates fool the first (Cai and Wang, NAACL 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.graph.query import Query
from pictokg.sampling._needs import refuse_negative
from pictokg.sampling._picking import Choice, choose, reinforce, scores_of_own, total
from pictokg.sampling.base import Context, Negatives, Question, Sampler, pool_of
from pictokg.sampling.uniform import at_least_one
from pictokg.sampling.unknown import Asked, Unknown

if TYPE_CHECKING:
    from pictokg.models.base import Model


class KBGAN(nn.Module, Sampler):
    """A generator draws from uniform candidates c₁ … c_n by its scores g, and is rewarded with the model's score f

        p(c_i) = softmax_i g(c_i),   loss of the generator = −mean (f(c) − b) ln p(c)

    for the drawn c; b is the mean reward of the epoch before, 0 in the first (REINFORCE with a baseline). Model and
    generator learn in every step, each from its own loss. The generator is any model of the catalogue with its
    feature tables; its vectors obey the norm constraints of its scoring function. Wrong relations are drawn alike.

    Args:
        negatives: how many a question, drawn with replacement; the paper draws 1.
        candidates: n; the paper has 20.
        generator: the folder of a finished run to start from, as in the paper, whose generator was trained before;
            or the name of a model, which then starts at random.
        generator_learning_rate: of the generator's Adam.
        side: "bernoulli" asks one side of a triple, as in the paper; "coin" one with probability ½; "both" both.
        mask_known: never draw known answers. The paper does draw them.
    """

    previous: Tensor
    running: Tensor

    def __init__(
        self,
        negatives: int = 1,
        *,
        candidates: int = 20,
        generator: str = "distmult",
        generator_learning_rate: float = 1e-3,
        side: Asked = "bernoulli",
        mask_known: bool = True,
    ) -> None:
        super().__init__()
        if candidates < 1:
            raise ConfigError(f"candidates must be at least 1; got {candidates}")
        refuse_negative(generator_learning_rate=generator_learning_rate)
        self.negatives, self.candidates, self.mask_known = at_least_one(negatives), candidates, mask_known
        self.generator, self.learning_rate = generator, generator_learning_rate
        self._asker = Unknown(side=side)
        self.writer: Model | None = None
        self.register_buffer("previous", torch.zeros((), dtype=torch.float64))  # b
        self.register_buffer("running", torch.zeros(3, dtype=torch.float64))  # epoch, sum and number of rewards

    def take_generator(self, model: Model) -> None:
        """Receive the model that `generator` names."""
        self.writer = model

    def prepare(self, context: Context) -> None:
        """Check that the generator is there and knows the same graph."""
        if self.writer is None:
            raise ConfigError("kbgan has no generator; build the trainer with pictokg.assembly, or call take_generator")
        own, other = context.model, self.writer
        if (own.num_entities, own.num_relations) != (other.num_entities, other.num_relations):
            raise ConfigError(
                f"the generator knows {other.num_entities} entities and {other.num_relations} relations, the model"
                f" {own.num_entities} and {own.num_relations}; they must learn the same graph"
            )

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """As the chosen side says."""
        return self._asker.questions(triples, context)

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K) with weights (B, K)."""
        assert self.writer is not None, "prepare comes first"
        pool = pool_of(query, context)
        candidates = pool[context.random_integers(len(pool), (len(query), self.candidates))]
        self._constrain(query, candidates)
        logits = scores_of_own(self.writer, query, candidates)
        known = context.known.contains(query, candidates)
        choice = choose(logits, ~known if self.mask_known else torch.ones_like(known), self.negatives, context)
        return Negatives(candidates.gather(1, choice.columns), weight=choice.weight, memory=choice)

    def _constrain(self, query: Query, candidates: Tensor) -> None:
        """Put the generator's vectors back where its scoring function wants them, before they are used."""
        assert self.writer is not None, "prepare comes first"
        asked = query.given if query.relation is None else (query.anchor, candidates.reshape(-1))
        every = torch.arange(len(self.writer.relations.weight), device=candidates.device)
        self.writer.constrain(torch.cat(asked).unique(), every)

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> Tensor:
        """The generator's loss."""
        choice: Choice = negatives.memory
        reward = total(scores)
        if self.running[0] != context.epoch:
            self.previous.copy_(self.running[1] / self.running[2].clamp_min(1.0))
            self.running.copy_(self.running.new_tensor([float(context.epoch), 0.0, 0.0]))
        loss = reinforce(choice, reward - self.previous.to(reward.dtype))
        self.running[1] += (choice.weight * reward).sum()
        self.running[2] += choice.weight.sum()
        return loss
