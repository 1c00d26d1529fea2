"""A data set: a graph, the feature tables of its entities, and what its names mean to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pictokg.features.table import FeatureTable
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.known import Known


@dataclass(frozen=True)
class Dataset:
    """A graph and all that is known about its entities.

    Attributes:
        name: what to call it in reports.
        graph: triples as ids, in splits.
        tables: modality → features, row-aligned with the graph's entities; any names, usually "image" and "text".
        features: modality → table or encoder that its rows came from, to ask for them again.
        labels, descriptions: entity name → words; relation_labels: relation name → words.
        pictures: entity name → picture files.
        negatives: split → triples (n, 3) known to be false, where a folder gives them.
        relation_groups: group → relation names, for which metrics are also given apart.
        encoders: modality → folder of what the table's encoder fitted, where one made it.
        folder: where it was read from; None for graphs made in memory.
        notes: what was skipped while reading, to be shown to the user.
    """

    name: str
    graph: KnowledgeGraph
    tables: Mapping[str, FeatureTable] = field(default_factory=dict)
    features: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    relation_labels: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, list[Path]] = field(default_factory=dict)
    negatives: Mapping[str, np.ndarray] = field(default_factory=dict)
    relation_groups: Mapping[str, list[str]] = field(default_factory=dict)
    encoders: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for modality, table in self.tables.items():
            if table.num_entities != self.graph.num_entities:
                raise DataError(
                    f"features/{modality} has {table.num_entities:,} rows but the graph has"
                    f" {self.graph.num_entities:,} entities; row i must be entity i",
                    remedy="align the table by name with pictokg.features.align",
                )

    def table(self, modality: str) -> FeatureTable:
        """The feature table of a modality; raises ConfigError with the remedy when there is none."""
        if modality not in self.tables:
            have = ", ".join(sorted(self.tables)) or "none"
            raise ConfigError(
                f"the data have no feature table {modality!r} (there are: {have});"
                " add images/ or text.tsv to the folder, or run: pictokg encode FOLDER"
            )
        return self.tables[modality]

    def with_table(self, modality: str, table: FeatureTable) -> Dataset:
        """The same data with one more (or another) feature table."""
        return replace(self, tables={**self.tables, modality: table})

    def known(self, *splits: str) -> Known:
        """The packed true answers of these splits (of all of them when none is named)."""
        from pictokg.graph.known import Known

        return Known(self.graph.triples(*splits), self.graph.num_entities, self.graph.num_relations)

    def label(self, entity: str) -> str:
        """The words for an entity; its name when it has none."""
        return self.labels.get(entity) or entity

    def text_of(self, entity: str) -> str:
        """All words of an entity, label before description; empty when it has none."""
        return words_of(entity, self.labels, self.descriptions)


def words_of(entity: str, labels: Mapping[str, str], descriptions: Mapping[str, str]) -> str:
    r"""Label and description of an entity, a line each; empty when it has neither.

    >>> words_of("Q90", {"Q90": "Paris"}, {"Q90": "Capital of France."})
    'Paris\nCapital of France.'
    """
    return "\n".join(filter(None, (labels.get(entity), descriptions.get(entity))))
