"""The choices of a training run that are neither model, sampler nor loss."""

from __future__ import annotations

from dataclasses import dataclass

from pictokg.errors import ConfigError


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
        warm_start: a run folder, or a file of vectors with names, whose rows to start from; empty starts at random.
        seed: of every random draw.
    """

    epochs: int = 100
    batch_size: int = 512
    validate_every: int = 5
    patience: int = 4
    validation_triples: int = 2000
    schedule: str = "constant"
    warmup: float = 0.0
    relation_questions: bool = False
    gradient_clip: float = 0.0
    warm_start: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("validate_every", 0), ("patience", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"training.{name} must be at least {least}; got {getattr(self, name)}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"training.warmup is a fraction in [0, 1); got {self.warmup}")
