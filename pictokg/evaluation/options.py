"""The choices of a ranking evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from pictokg.errors import ConfigError, nearest
from pictokg.evaluation.ranks import TIE_RULES
from pictokg.graph.query import Side

SIDES = {side.name.lower(): side for side in Side}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingOptions:
    """What to rank the answers against, and how.

    Attributes:
        filtered: leave other known answers (of all splits) out of the candidates; False ranks raw.
        ties: which rank the metrics use: optimistic, realistic or pessimistic; the report has all three.
        sides: what to ask of each triple: "head" (?, r, t) and "tail" (h, r, ?), whose ranks make the
            metrics, and "relation" (h, ?, t), which is reported apart.
        memory: MiB that ranking may use beside the model and the encodings of all entities.
        sampled: rank against this many random entities instead of all, for graphs of millions. The ranks are
            then not comparable with others, and the report says so.
        seed: of the draw of those entities.

    >>> RankingOptions(ties="optimist")
    Traceback (most recent call last):
    pictokg.errors.ConfigError: unknown tie rule 'optimist'; did you mean 'optimistic'?
    """

    filtered: bool = True
    ties: str = "realistic"
    sides: tuple[str, ...] = ("head", "tail")
    memory: int = 512
    sampled: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ties not in TIE_RULES:
            raise ConfigError(f"unknown tie rule {self.ties!r}; {nearest(self.ties, TIE_RULES)}")
        for side in self.sides:
            if side not in SIDES:
                raise ConfigError(f"unknown side {side!r}; {nearest(side, SIDES)}")
        if not self.sides or len(set(self.sides)) < len(self.sides):
            raise ConfigError(f"sides are some of {', '.join(SIDES)}, each once; got {self.sides}")
        if self.memory < 1:
            raise ConfigError(f"memory is a number of MiB, at least 1; got {self.memory}")
        if self.sampled is not None and self.sampled < 1:
            raise ConfigError(f"sampled is a number of entities, at least 1; got {self.sampled}")

    @property
    def asked(self) -> tuple[Side, ...]:
        """The sides in the order head, relation, tail."""
        return tuple(side for name, side in SIDES.items() if name in self.sides)
