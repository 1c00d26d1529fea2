"""IGAN: a network learns to draw, from all entities, those that fool the model (Wang, Li and Pan, AAAI 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.sampling._needs import refuse_negative
from pictokg.sampling._picking import Choice, choose, reinforce, total
from pictokg.sampling.base import Context, Negatives, Question, Sampler, Turn
from pictokg.sampling.uniform import at_least_one
from pictokg.sampling.unknown import Asked, Unknown


class IGAN(nn.Module, Sampler):
    """A generator with vectors of its own draws from a softmax over every entity and is rewarded by the model

        p(· | e, r) = softmax(W₂ relu(W₁ [u_e; v_r] + b₁) + b₂),   reward = tanh(f(negative) − f(answer) + γ)

    with e the kept entity, v_r another vector for head questions than for tail questions, and f the model's score; it
    learns by REINFORCE. The two take turns: in one step the generator learns and the model does not, in the next it is
    the other way round, so that the model learns from every second batch. Known answers are never drawn.

    Each step computes (batch × entities) probabilities. Wrong relations are drawn uniformly and teach nobody but the
    model. The training loss needs a margin of its own; γ here is the reward's.

    Args:
        negatives: how many a question, drawn with replacement; the paper draws 1.
        width: of the generator's vectors and hidden layer; the paper has 100.
        generator_learning_rate: of the generator's Adam.
        reward_margin: γ; the paper tries 0.5 to 4.
        penalty: weight of the squared length of the generator's vectors, per question.
        side: "coin" asks one side of a triple with probability ½, as in the paper's link prediction; "bernoulli" as in
            its classification; "both" both.
    """

    def __init__(
        self,
        negatives: int = 1,
        *,
        width: int = 100,
        generator_learning_rate: float = 1e-3,
        reward_margin: float = 1.0,
        penalty: float = 1e-5,
        side: Asked = "coin",
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1; got {width}")
        refuse_negative(penalty=penalty, generator_learning_rate=generator_learning_rate)
        self.negatives, self.width, self.reward_margin = at_least_one(negatives), width, reward_margin
        self.learning_rate, self.penalty = generator_learning_rate, penalty
        self._uniform = Unknown(negatives, side=side)

    def prepare(self, context: Context) -> None:
        """Make the generator's vectors and layers."""
        entities, relations, width = context.model.num_entities, context.model.num_relations, self.width
        self.entities, self.relations = nn.Embedding(entities, width), nn.Embedding(2 * relations, width)
        self.hidden, self.out = nn.Linear(2 * width, width), nn.Linear(width, entities)
        for table in (self.entities, self.relations):
            nn.init.xavier_uniform_(table.weight)

    def turn(self, context: Context) -> Turn:
        """Generator and model by turns, the generator first."""
        return "model" if context.step % 2 else "sampler"

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """As the chosen side says."""
        return self._uniform.questions(triples, context)

    def logits(self, query: Query) -> Tensor:
        """Unnormalised log-probabilities of every entity (B, entities)."""
        assert query.relation is not None, "relations are not generated"
        relation = query.relation + (len(self.relations.weight) // 2 if query.side is Side.HEAD else 0)
        kept = torch.cat([self.entities(query.anchor), self.relations(relation)], dim=1)
        return self.out(relu(self.hidden(kept)))

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K + 1) with weights: the last column is the answer, whose score the reward needs."""
        if query.side is Side.RELATION:
            return self._uniform(query, answer, context)
        pool = context.pool
        with torch.set_grad_enabled(self.turn(context) == "sampler"):
            logits, known = self.logits(query), _known(query, context)
            if len(pool) < context.model.num_entities:
                logits, known = logits[:, pool], known[:, pool]
            choice = choose(logits, ~known, self.negatives, context)
        ids = torch.cat([pool[choice.columns], answer.unsqueeze(1)], dim=1)
        weight = torch.cat([choice.weight, torch.ones_like(choice.weight[:, :1])], dim=1)
        column = torch.full_like(answer, self.negatives)
        return Negatives(ids, weight=weight, answer_column=column, memory=(query, choice))

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> Tensor | None:
        """The generator's loss, when it is its turn."""
        if negatives.memory is None or self.turn(context) == "model":
            return None
        query, choice = negatives.memory
        length = self.entities(query.anchor).square().sum(dim=1) + self.relations(query.relation).square().sum(dim=1)
        return reinforce(choice, self.reward(choice, total(scores))) + self.penalty * length.mean()

    def reward(self, choice: Choice, scores: Tensor) -> Tensor:
        """The tanh of the hinge before it is clipped, of scores (B, K + 1) whose last column is the answer's."""
        return torch.tanh(scores[:, :-1] - scores[:, -1:] + self.reward_margin)


def _known(query: Query, context: Context) -> Tensor:
    """Which entities are known answers of each question (B, entities)."""
    rows, ids = context.known.answers(query)
    marked = torch.zeros(len(query), context.model.num_entities, dtype=torch.bool, device=ids.device)
    marked[rows, ids] = True
    return marked
