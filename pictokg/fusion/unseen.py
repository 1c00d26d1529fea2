"""Entities that a trained encoder has no id for: the same encoder over feature tables of their own, on its scales."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import nn

from pictokg.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from pictokg.features.table import FeatureTable
    from pictokg.fusion.base import EntityEncoder

Part = TypeVar("Part", bound=nn.Module)


@runtime_checkable
class ReadsTable(Protocol):
    """A module that holds the rows of a feature table, and can hold those of another on the same scale.

    Attributes:
        table_name: the name of the table.
    """

    table_name: str

    def of(self, table: FeatureTable) -> Self:
        """Return the same module over another table: all that was learned or fitted is shared, the rows are not."""


def over(encoder: EntityEncoder, tables: Mapping[str, FeatureTable]) -> EntityEncoder:
    """Make the twin of an encoder whose ids are the entities of other tables; everything learned is shared.

        twin.fuse(structure, *twin.rows(ids))

    encodes those entities, with structure rows of the caller's, or None. Of the twin, nothing that reads the structure
    table by id makes sense.

    Args:
        encoder: any whose rows stand in modules that are `ReadsTable`, as those of `fusion.rows` and `fusion.slots`.
        tables: modality → table, of the width and with the name of the table the encoder was made with.

    Raises:
        ConfigError: the encoder reads a table that is not given.
    """
    by_name = {table.name: table for table in tables.values()}
    return _over(encoder, by_name)  # type: ignore[return-value]  # a module's twin is of its kind


def _over(module: nn.Module, tables: Mapping[str, FeatureTable]) -> nn.Module:
    if isinstance(module, ReadsTable):
        if module.table_name not in tables:
            raise ConfigError(f"the model reads the feature table {module.table_name!r}, which is not given")
        return module.of(tables[module.table_name])
    twin = copy.copy(module)
    twin._modules = {
        name: _over(part, tables) if part is not None and _reads(part) else part
        for name, part in module._modules.items()
    }
    return twin


def _reads(module: nn.Module) -> bool:
    return any(isinstance(part, ReadsTable) for part in module.modules())


def modalities_of(encoder: EntityEncoder) -> list[str]:
    """Which modalities an encoder reads beside the structure; none for one that knows the graph only."""
    return list(encoder.rows(torch.zeros(1, dtype=torch.long, device=_device(encoder)))[1])


def reads_structure(encoder: EntityEncoder) -> bool:
    """Whether the structure rows enter the encoding."""
    return bool(getattr(getattr(encoder, "gating", encoder), "use_structure", True))


def _device(encoder: EntityEncoder) -> torch.device:
    return encoder.structure.weight.device


def shallow(module: Part, buffers: Mapping[str, Tensor]) -> Part:
    """Make a copy of a module that shares all but these buffers."""
    twin = copy.copy(module)
    twin._buffers = {**module._buffers, **buffers}
    return twin
