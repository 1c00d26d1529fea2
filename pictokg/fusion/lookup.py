"""No fusion: an entity is its learned row."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.fusion.base import EntityEncoder, EntityTable


class Lookup(EntityEncoder):
    """e = S[id], for models that know the graph only."""

    plain_rows = True

    def __init__(self, num_entities: int, width: int, *, sparse: bool = False) -> None:
        super().__init__()
        self.structure = EntityTable(num_entities, width, sparse=sparse)

    def rows(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Nothing beside the structure."""
        return {}, {}

    def fuse(self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """The structure row itself."""
        if structure is None:
            raise ConfigError(
                "this model knows entities by their rows only; for unseen entities train one with pictures or words"
            )
        return structure
