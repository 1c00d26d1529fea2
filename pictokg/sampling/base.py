"""The seam of negative sampling: a sampler sees the model, and hears the scores back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side, ask

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.known import Known
    from pictokg.models.base import Model

Question = tuple[Query, Tensor]
Turn = Literal["model", "sampler", "both"]


@dataclass(frozen=True, slots=True)
class Negatives:
    """Candidates to train against.

    Attributes:
        ids: entities (or relations, for relation queries): each question's own (B, K), or shared by all (N,).
        weight: 0 masks a candidate (a known answer; padding when fewer exist than asked), broadcastable to (B, K).
        labelled: (rows, columns), rows ascending, of the candidates that are themselves known answers, which the loss
            should count as true (KvsAll).
        question_weight: how much each question counts, (B,); None: all alike.
        answer_column: where the answer stands among the candidates, (B,), when it is one of them.
        vectors: static encodings of the candidates (B, K, [views,] d), where the sampler made them itself: because its
            choice is differentiable, or because they are no encodings of one entity. They are scored in place of `ids`.
        memory: whatever the sampler wants back with the scores.
        chunk: how many consecutive questions have the same ids (B, K), for those who can use that.
    """

    ids: Tensor
    weight: Tensor | None = None
    labelled: tuple[Tensor, Tensor] | None = None
    question_weight: Tensor | None = None
    answer_column: Tensor | None = None
    vectors: Tensor | None = None
    memory: Any = None
    chunk: int = 1


@dataclass(slots=True)
class Context:
    """All that a sampler may look at; the training loop owns it and moves it from step to step.

    Attributes:
        model: the model in training.
        data: graph and feature tables, whether or not the model uses them.
        known: true answers of the training split.
        generator: the only source of randomness.
        pool: the entity ids that may be drawn, ascending, (P,).
        encode: ids → static entity vectors, each distinct entity once per step whoever asks.
        step: steps done; epoch: epochs done.
        sides: the slots that every triple is asked for.
    """

    model: Model
    data: Dataset
    known: Known
    generator: torch.Generator
    pool: Tensor
    encode: Callable[[Tensor], Tensor]
    step: int = 0
    epoch: int = 0
    sides: tuple[Side, ...] = (Side.HEAD, Side.TAIL)

    def random_integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Draw integers uniformly from [0, high)."""
        drawn = torch.randint(high, shape, generator=self.generator, device=self.generator.device)
        return drawn.to(self.pool.device)


class Sampler(ABC):
    """Draws negatives for a batch of questions of one side.

    A sampler with parameters of its own is also an `nn.Module` and makes them in `prepare`; an Adam of their own moves
    them at `learning_rate`. One with a memory keeps it in `state`. Both are saved in the checkpoint. `needs` names
    what the model or the data must have ("views", "image", "text", …).
    """

    needs: frozenset[str] = frozenset()
    kernel: bool = False  # whether it draws ids, with weights perhaps, and nothing else: what the fused step can take
    learning_rate: float = 1e-3
    modalities: tuple[str, ...] = ()  # feature tables that it reads where the data have them, whatever the model reads
    generator: str = ""  # a second model that it wants to be given: a name of the catalogue, or a run folder

    def take_generator(self, model: Model) -> None:
        """Receive, before `prepare`, the model that `generator` names."""
        raise ConfigError(f"{type(self).__name__} uses no second model")

    def parts(self) -> list[Sampler]:
        """The samplers it is made of: itself, unless it joins others."""
        return [self]

    @property
    def hears(self) -> bool:
        """Whether it wants the candidates' scores back."""
        return type(self).feedback is not Sampler.feedback

    def prepare(self, context: Context) -> None:
        """Look at the model and the data once, before the first step; make parameters; ConfigError on an unmet need."""
        return

    def turn(self, context: Context) -> Turn:
        """Who learns from this step; by default the model and, where it has parameters, the sampler too."""
        return "both"

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """Turn a batch of triples into questions; by default each is asked on every side of the run."""
        return [ask(triples, side) for side in context.sides]

    @abstractmethod
    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw negatives for these questions."""

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> Tensor | None:
        """Hear the candidates' scores (detached); may return a loss term of the sampler's own."""
        return None

    def state(self) -> dict[str, Tensor]:
        """What must be saved so that a resumed run equals an unbroken one."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        if state:
            raise ConfigError(
                f"the checkpoint holds sampler state {sorted(state)} that {type(self).__name__} does not know"
            )


def pool_of(query: Query, context: Context) -> Tensor:
    """The ids, ascending, that may stand in the open slot: the entity pool, or every relation for relation queries."""
    if query.side is Side.RELATION:
        return torch.arange(context.model.num_relations, device=context.pool.device)
    return context.pool
