"""Which part of the work is this process's, where several were started to share it, as by torchrun."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pictokg.errors import ConfigError


@dataclass(frozen=True)
class Share:
    """Process `rank` of `world`.

    >>> Share(1, 3).order([1, 2, 3, 4, 5, 6, 7])
    [2, 5, 3, 6, 1, 4, 7]
    """

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ConfigError(f"rank {self.rank} of {self.world}: ranks go from 0 to WORLD_SIZE − 1")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Share:
        """Read RANK and WORLD_SIZE, as torchrun sets them; a process alone where they are not set.

        >>> Share.from_environment({"RANK": "1", "WORLD_SIZE": "2"})
        Share(rank=1, world=2)
        """
        given = os.environ if environment is None else environment
        values = [given.get("RANK", "0"), given.get("WORLD_SIZE", "1")]
        try:
            return cls(int(values[0]), int(values[1]))
        except ValueError as error:
            raise ConfigError(f"RANK and WORLD_SIZE should be numbers, got {values[0]!r} and {values[1]!r}") from error

    def order(self, parts: Sequence[int]) -> list[int]:
        """Sort parts: this process's own first, then those of the ranks after it, to help where they lag or died."""
        return sorted(parts, key=lambda part: ((part - 1 - self.rank) % self.world, part))
