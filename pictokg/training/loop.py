"""The one training loop: a generator of epoch reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError, PictoKGError
from pictokg.graph.query import Side
from pictokg.sampling._needs import check_needs
from pictokg.sampling.base import Context
from pictokg.training.fused import fuse
from pictokg.training.optimiser import OptimiserOptions, Optimisers, learning_rate_factor
from pictokg.training.step import Memo, Objective, training_loss

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.sampling.base import Sampler


NOT_NEGATIVE = ("validate_every", "patience", "validation_triples", "gradient_clip", "memory_budget", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How long and how to train.

    Attributes:
        epochs: passes over the training triples at most.
        batch_size: triples a step; each is asked from both sides.
        validate_every: epochs between validations; 0 never validates and keeps the last epoch.
        patience: validations without a better MRR before training stops; 0 never stops early.
        validation_triples: validate on a seeded sample of at most this many triples; 0 takes all.
        schedule: of the learning rate: constant, linear or cosine (both fall to 0 over all epochs).
        warmup: fraction of all steps during which the learning rate rises to its value.
        relation_questions: also ask (h, ?, t), with wrong relations as negatives.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        precision: fp32; or bf16, which computes matrix products in bfloat16 and keeps parameters and losses in fp32.
        kernels: auto computes by fast paths where there are some; off by the plain formulas, to compare.
        lock_free: let threads move rows without waiting for each other; then no two runs are the same.
        memory_budget: MiB for entity rows and their optimiser's state, most of which then lie on disk; 0 has no bound.
        warm_start: a run folder, or a file of vectors with names, whose rows to start from; empty starts at random.
        seed: of every random draw.
    """

    epochs: int = 100
    batch_size: int = 512
    validate_every: int = 5
    patience: int = 4
    validation_triples: int = 2000
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: float = 0.0
    relation_questions: bool = False
    gradient_clip: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    kernels: Literal["auto", "off"] = "auto"
    lock_free: bool = False
    memory_budget: int = 0
    warm_start: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", *NOT_NEGATIVE):
            if getattr(self, name) < (least := 0 if name in NOT_NEGATIVE else 1):
                raise ConfigError(f"training.{name} must be at least {least}; got {getattr(self, name)}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"training.warmup is a fraction in [0, 1); got {self.warmup}")
        if self.lock_free and self.kernels == "off":
            raise ConfigError("training.lock_free is a fast path, which kernels=off rules out; set kernels=auto")


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one pass over the training triples cost and gave; `epoch` counts from 1, seconds include no validation."""

    epoch: int
    loss: float
    seconds: float
    triples_per_second: float


class Trainer:
    """All that changes while a model learns.

    Args:
        model: trained in place.
        data: its training split is learned from.
        objective: sampler, loss and regulariser.
        optimiser: which optimiser; options: how long and how.
        on_batch: called after each step with the number of triples done in this epoch, for progress bars.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        objective: Objective,
        optimiser: OptimiserOptions,
        options: TrainingOptions,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        self.model, self.options = model, options
        self.objective = replace(objective, kernels=options.kernels == "auto")
        model.encoder.kernels = self.objective.kernels
        self.on_batch = on_batch or (lambda done: None)
        self.triples = torch.from_numpy(data.graph.split("train").astype("int64")).to(model.device)
        if not len(self.triples):
            raise PictoKGError("the training split has no triples; there is nothing to learn from")
        self.memo = Memo(model.encoder.encode_static, model.num_entities, model.device)
        known, generator = data.known("train"), torch.Generator()
        pool = torch.arange(model.num_entities, device=model.device)
        sides = tuple(Side) if options.relation_questions else (Side.HEAD, Side.TAIL)
        self.context = Context(model, data, known, generator, pool=pool, encode=self.memo, sides=sides)
        self._prepare(objective.sampler)
        self.optimisers = Optimisers(model, optimiser, objective.sampler)
        self.fused = fuse(self.model, self.objective, self.optimisers, options) if self.objective.kernels else None

    def _prepare(self, sampler: Sampler) -> None:
        """Let the sampler look at the data; layers of torch draw from the global generator, hence the fork."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.seed)
            self.context.generator.manual_seed(self.options.seed)
            for part in sampler.parts():
                if part.needs:
                    check_needs(part, self.context)
            sampler.prepare(self.context)
        if isinstance(sampler, nn.Module):
            sampler.to(self.model.device)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.context.epoch

    def epochs(self) -> Iterator[EpochReport]:
        """Train epoch by epoch, up to the number asked for; the caller may stop, validate or save in between."""
        while self.epoch < self.options.epochs:
            start = time.perf_counter()
            loss = self._epoch()
            seconds = time.perf_counter() - start
            yield EpochReport(self.epoch, loss, seconds, len(self.triples) / seconds)

    def _epoch(self) -> float:
        """One pass over the training triples in a random order; the mean loss."""
        self.model.train()
        total = 0.0
        # Every epoch starts from its own seed, so an epoch's draws do not depend on how the run got there: a resumed
        # run repeats an unbroken one without saving generators. Dropout draws from the global one, hence the fork.
        seed = self.options.seed * 1_000_003 + self.epoch
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            self.context.generator.manual_seed(seed)
            order = torch.randperm(len(self.triples), generator=self.context.generator).to(self.triples.device)
            for number, rows in enumerate(order.split(self.options.batch_size), start=1):
                loss = self._step(self.triples.index_select(0, rows))
                total += loss * len(rows)
                self.on_batch(min(number * self.options.batch_size, len(order)))
        self.context.epoch += 1
        return total / len(self.triples)

    def _step(self, triples: Tensor) -> float:
        """Loss, gradients, update, constraints; the loss."""
        factor = learning_rate_factor(self.options.schedule, self.options.warmup, self._progress())
        loss = self.fused.loss(triples, self.context, factor) if self.fused else self._loss(triples)
        value = loss.item()
        if not value - value == 0:  # NaN or infinite
            raise PictoKGError(
                f"the loss became {value} in epoch {self.epoch + 1}; lower the learning rate"
                f" (now {self.optimisers.learning_rate:g}) or check the feature tables with: pictokg inspect"
            )
        if self.options.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_clip)
        turn = self.objective.sampler.turn(self.context)
        touched = self.fused.move() if self.fused else self.memo.touched
        self.optimisers.step(factor, turn)
        if turn != "sampler":
            self.model.constrain(touched, self.model.touched_relations(triples))
        self.memo.clear()
        self.context.step += 1
        return value

    def _loss(self, triples: Tensor) -> Tensor:
        """The loss, whose gradients autograd leaves with the parameters."""
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            loss = training_loss(self.model, self.objective, triples, self.context, self.memo)
        loss.backward()
        return loss.detach()

    def _progress(self) -> float:
        """The fraction of all steps that are done."""
        steps_an_epoch = -(-len(self.triples) // self.options.batch_size)
        return min(1.0, self.context.step / (steps_an_epoch * self.options.epochs))
