"""The step without autograd over candidates: scores, loss, gradients and the optimiser's step of entity rows.

It is taken when entities are plain rows and scoring function, loss, sampler and optimiser each declare that they can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.kernels.formulas import COMPOSITIONS, LOSSES, SIMILARITIES, Formula
from pictokg.kernels.questions import Questions, Step
from pictokg.models._factored import similarity_of
from pictokg.training.expected import ByAutograd
from pictokg.training.factors import factors_of
from pictokg.training.row_adagrad import first_sums

if TYPE_CHECKING:
    from pictokg.models.base import Model
    from pictokg.sampling.base import Context, Negatives
    from pictokg.training.loop import TrainingOptions
    from pictokg.training.optimiser import Optimisers
    from pictokg.training.step import Objective

CHUNK = 64  # questions that are asked together where all share one set of negatives
Drawn = tuple[Query, Tensor, "Negatives"]


def why_not(model: Model, objective: Objective, optimisers: Optimisers, options: TrainingOptions) -> str:
    """The first thing that forbids the fused step; empty where nothing does."""
    weight = model.encoder.structure.weight
    forbidden = {
        "a processor other than the CPU": weight.device.type != "cpu",
        "precision=bf16": options.precision != "fp32" or weight.dtype != torch.float32,
        "gradient_clip": options.gradient_clip > 0,
        "relation_questions": options.relation_questions,
        "a model whose entities are more than rows": not model.encoder.plain_rows,
        f"scoring function {_name(model.scoring)}": similarity_of(model) not in SIMILARITIES,
        f"loss {_name(objective.loss)}": objective.loss.kernel not in LOSSES,
        f"sampler {_name(objective.sampler)}": not objective.sampler.kernel,
        f"optimiser {optimisers.name}": not optimisers.kernel,
    }
    return next((reason for reason, holds in forbidden.items() if holds), "")


def fuse(
    model: Model, objective: Objective, optimisers: Optimisers, options: TrainingOptions
) -> FusedStep | WholeStep | None:
    """The fused step where every part allows it; ConfigError where one that it forbids was asked for."""
    reason = why_not(model, objective, optimisers, options)
    if reason and options.lock_free:
        raise ConfigError(f"lock_free needs the fused training step, which {reason} rules out; set lock_free=false")
    if reason:
        return None
    closed = model.scoring.composition == "turn" or model.scoring.composition in COMPOSITIONS
    kind = WholeStep if closed and objective.regulariser is None else FusedStep  # penalties need autograd
    return kind(model, objective, optimisers, lock_free=options.lock_free)


class FusedStep:
    """Steps of one model, each in two halves: `loss`, which leaves gradients behind, and `move`, which uses them up.

    `lock_free` moves candidates in the first half already, without waiting for other threads (see `kernels`).
    Relations, and whatever else has parameters, only get gradients, by autograd, and move with the optimisers.
    """

    def __init__(self, model: Model, objective: Objective, optimisers: Optimisers, *, lock_free: bool = False) -> None:
        from pictokg.kernels.independent import Hurried, Independent
        from pictokg.kernels.shared import Shared

        self._model, self._objective, self._optimisers = model, objective, optimisers
        table = model.encoder.structure.weight
        self._own, self._shared = (Hurried if lock_free else Independent)(table), Shared(table)
        self._expecting = ByAutograd(model)

    def loss(self, triples: Tensor, context: Context, factor: float) -> Tensor:
        """The loss of a batch of triples, as `training_loss` has it; `factor` is that of the learning rate."""
        drawn = draw(self._objective, triples, context)
        expected = self._expecting([query for query, _, _ in drawn])
        penalties = self._penalties(drawn)
        questions = questions_of(drawn, expected.detach())
        self._work = self._own if questions.starts is None else self._shared
        step = step_of(self._model.encoder.structure.weight, self._optimisers, factor)
        self._asked = self._work.ask(
            questions, formula_of(self._model, self._objective, drawn), self._expecting.ids, step
        )
        self._gradients = self._expecting.backward(self._asked.gradient, penalties)
        return self._asked.loss.mean() + sum(penalty.detach() for penalty in penalties)

    def move(self) -> Tensor:
        """Let the rows of entities take their step; the entities touched."""
        self._work.move(self._asked, self._gradients)
        return self._asked.touched

    def _penalties(self, drawn: list[Drawn]) -> list[Tensor]:
        """What the regulariser says of each group of questions."""
        regulariser, total = self._objective.regulariser, sum(len(query) for query, _, _ in drawn)
        if regulariser is None:
            return []
        rows = self._expecting.rows
        return [
            regulariser(factors_of(self._model, query, answer, negatives, rows)) * len(query) / total
            for query, answer, negatives in drawn
        ]


class WholeStep:
    """As `FusedStep`, for scoring functions whose `composition` kernels know: `loss` does it all, without autograd.

    Rows of entities and relations move unless the loss is no number. Phases of relations ("turn") are given as their
    cosines and sines, and only get gradients.
    """

    def __init__(self, model: Model, objective: Objective, optimisers: Optimisers, *, lock_free: bool = False) -> None:
        from pictokg.kernels.whole import Whole

        self._model, self._objective, self._optimisers = model, objective, optimisers
        self._turns = model.scoring.composition == "turn"
        self._table = model.encoder.structure.weight
        composition = "complex" if self._turns else model.scoring.composition
        self._whole = Whole(self._table, composition, lock_free=lock_free)

    def loss(self, triples: Tensor, context: Context, factor: float) -> Tensor:
        """As `FusedStep.loss`; rows have moved."""
        from pictokg.kernels.whole import Composed, Moving

        drawn, table, weight = draw(self._objective, triples, context), self._table, self._model.relations.weight
        direct = [self._model.direct(query) for query, _, _ in drawn]
        anchor, relation = torch.cat([ids for ids, _, _ in direct]), torch.cat([kinds for _, kinds, _ in direct])
        sign = torch.cat([torch.full((len(ids),), 1.0 if side is Side.TAIL else -1.0) for ids, _, side in direct])
        relations = target = weight.detach()
        if self._turns:
            relations = torch.cat([relations.cos(), relations.sin()], dim=1)
            target, step = torch.zeros_like(relations), Step("gradient", 0.0, table.new_empty(0, 0))
        else:
            step = step_of(weight, self._optimisers, factor)
        questions = questions_of(drawn, table.new_empty(len(anchor), table.shape[1]))
        answered = self._whole.step(
            Composed(anchor, relation, sign, relations),
            questions,
            formula_of(self._model, self._objective, drawn),
            Moving(step_of(table, self._optimisers, factor), step, target),
        )
        if self._turns:  # d(cos, sin) = (−sin, cos)
            (cosine, sine), (real, imaginary) = relations.chunk(2, dim=1), target.chunk(2, dim=1)
            weight.grad = imaginary * cosine - real * sine
        self._touched = answered.touched
        return answered.loss.mean()

    def move(self) -> Tensor:
        """The entities touched."""
        return self._touched


def draw(objective: Objective, triples: Tensor, context: Context) -> list[Drawn]:
    """Questions and negatives, a group for each side."""
    asked = objective.sampler.questions(triples, context)
    return [(query, answer, objective.sampler(query, answer, context)) for query, answer in asked]


def questions_of(drawn: list[Drawn], expected: Tensor) -> Questions:
    """The questions of all sides together, as kernels take them."""
    answers = torch.cat([answer for _, answer, _ in drawn])
    groups = [negatives for _, _, negatives in drawn]
    candidates, starts = [], []
    first = 0
    for query, _, negatives in drawn:
        chunk = CHUNK if negatives.ids.dim() == 1 else negatives.chunk
        begins = torch.arange(0, len(query), chunk)
        shared = negatives.ids.dim() == 1
        candidates.append(negatives.ids.expand(len(begins), -1) if shared else negatives.ids[::chunk])
        starts.append(begins + first)
        first += len(query)
    own = all(negatives.ids.dim() == 2 and negatives.chunk == 1 for negatives in groups)
    weight = None
    if any(negatives.weight is not None for negatives in groups):
        weight = torch.cat([weight_of(len(query), negatives) for query, _, negatives in drawn])
    ends = None if own else torch.cat([*starts, torch.tensor([first])])
    return Questions(expected, answers, torch.cat(candidates), weight, ends)


def weight_of(questions: int, negatives: Negatives) -> Tensor:
    """The weight of each negative (B, K)."""
    weight = torch.ones(()) if negatives.weight is None else negatives.weight
    return weight.expand(questions, negatives.ids.shape[-1])


def step_of(table: Tensor, optimisers: Optimisers, factor: float) -> Step:
    """The next step of a table's rows, with the state that its optimiser keeps."""
    part = next(part for part, _ in optimisers.parts if any(own is table for own in part.param_groups[0]["params"]))
    state, rule = part.state[table], optimisers.kernel
    if rule != "sgd" and "sum" not in state:
        state["sum"] = first_sums(table, per_row=rule == "row_adagrad")
    if "step" in state:  # torch counts them
        state["step"] += 1
    return Step(rule, optimisers.learning_rate * factor, state.get("sum", table.new_zeros(0, 0)))


def formula_of(model: Model, objective: Objective, drawn: list[Drawn]) -> Formula:
    """What the kernels compute: names that the parts declare, as numbers."""
    loss = objective.loss
    margin, temperature = (float(getattr(loss, name, 0.0)) for name in ("margin", "temperature"))
    scale = 1.0 / sum(len(query) for query, _, _ in drawn)
    return Formula(SIMILARITIES[similarity_of(model)], LOSSES[loss.kernel], margin, temperature, scale)


def _name(part: object) -> str:
    return type(part).__name__
