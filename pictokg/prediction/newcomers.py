"""Entities never seen in training, encoded by what the run has learned and fitted: they are asked about at once.

e = fuse(None, rows, presence)                      from pictures, words and numbers
f = argmin_f Σ_k ‖P_k f − expected_k‖²              from facts; where nothing is projected, the mean expected vector
with both:  (κ e + n f) / (κ + n)                   for n facts
"""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.fusion.base import EntityEncoder
from pictokg.fusion.neighbours import LentRows, Loans, lent_by
from pictokg.fusion.unseen import modalities_of, over
from pictokg.graph.graph import KnowledgeGraph
from pictokg.models._factored import is_linear
from pictokg.models.base import Model
from pictokg.prediction.facts import expected_by_facts
from pictokg.prediction.longer import LongerKnown, LongerVocabulary, longer_table
from pictokg.prediction.newcomer import Newcomer, Reading

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.features.table import FeatureTable
    from pictokg.models.base import Encode
    from pictokg.prediction.predictor import Predictor

SPLIT = "newcomers"  # where the facts of newcomers stand in the longer graph
WEIGHT = 3.0  # κ: how many facts pictures and words count for; of 1, 3 and 10 the best about held-out glyphs


def with_newcomer(model: Model, data: Dataset, newcomer: Newcomer) -> tuple[Model, Dataset]:
    """Return model and data with one more entity, which can be asked about like any other; neither is changed.

    Raises:
        ConfigError: its name is taken, or the model can do nothing with what is known of it. DataError: a picture that
            cannot be read, a text without a word that is known, rows of another width.
    """
    return Reception(model, data).admit([newcomer])


class Reception:
    """Encodes newcomers for one model; keeps the encoders that it has loaded, so that the next is fast.

    Args:
        model: a trained model; data: what it was trained on, with the feature tables that it reads.
        weight: how many facts an entity's pictures and words together count for, where it has both.
    """

    def __init__(self, model: Model, data: Dataset, *, weight: float = WEIGHT) -> None:
        self.model, self.data, self.weight = model.eval(), data, weight
        self.modalities = list(dict.fromkeys([*modalities_of(model.encoder), *lent_by(model.encoder)]))
        self._reading = Reading(data, self.modalities)
        self._length: float | None = None

    def admit(self, newcomers: Sequence[Newcomer], encode: Encode | None = None) -> tuple[Model, Dataset]:
        """Return the model and the data with these entities behind the last.

        Args:
            newcomers: names must be new.
            encode: static encodings of the entities there are, where they exist already.
        """
        self._check(newcomers)
        tables = self._reading.tables(newcomers)
        facts = self._facts(newcomers)
        told, known = self._told(facts, len(newcomers))
        table = self.model.encoder.structure
        loans = table.of_others(tables) if isinstance(table, LentRows) else None
        self._check_loans(newcomers, loans, known)
        guests = Guests(tables, told, known, self.weight, loans)
        with torch.no_grad():
            vectors = guests.encode(self.model.encoder)
        longer = _LongerModel.of(self.model, JoinedEncoder(self.model.encoder, guests, vectors), encode)
        return longer, self._longer_data(newcomers, tables, facts)

    def predictor(self, predictor: Predictor, newcomers: Sequence[Newcomer]) -> Predictor:
        """Return a predictor that knows these entities too and shares the vectors of the others."""
        twin = copy.copy(predictor)
        twin.model, twin.data = self.admit(newcomers, predictor.encode)
        twin.encode = twin.model.encode_all()
        graph, split = twin.data.graph, twin.data.graph.splits[SPLIT]
        start = self.model.num_entities
        twin.known = LongerKnown(predictor.known, split, graph.num_entities, graph.num_relations, start)
        return twin

    def _check(self, newcomers: Sequence[Newcomer]) -> None:
        names = [newcomer.name for newcomer in newcomers]
        for newcomer in newcomers:
            if not newcomer.name.strip():
                raise ConfigError("a new entity needs a name to ask about it by")
            if newcomer.name in self.data.graph.entities or names.count(newcomer.name) > 1:
                raise ConfigError(
                    f"the name {newcomer.name!r} is taken; give the new entity another, or leave it out and ask"
                    " about the entity that has it"
                )
            if not self.modalities and not newcomer.facts:
                raise ConfigError(
                    f"{newcomer.name!r} comes without facts, and this model was trained on triples alone; give some"
                    " facts of it, or train a model that reads pictures or words (gated, ikrl)"
                )
            newcomer.check(self.modalities)

    def _check_loans(self, newcomers: Sequence[Newcomer], loans: Loans | None, known: Tensor) -> None:
        """ConfigError where rows are all that the model reads, and one of these gets none."""
        if loans is None or modalities_of(self.model.encoder):
            return
        for newcomer, given, facts in zip(newcomers, loans.given.tolist(), known.tolist(), strict=True):
            if not given and not facts:
                raise ConfigError(f"no trained entity has what {newcomer.name!r} could borrow by; give facts of it")

    def _facts(self, newcomers: Sequence[Newcomer]) -> np.ndarray:
        """The facts as triples (n, 3) of ids, newcomers numbered behind the last entity."""
        graph, found = self.data.graph, []
        for number, newcomer in enumerate(newcomers, start=graph.num_entities):
            for fact in newcomer.facts:
                try:
                    relation, other = graph.relations.id(fact.relation), graph.entities.id(fact.entity)
                except ConfigError as error:
                    raise ConfigError(f"a fact of {newcomer.name!r}: {error}") from None
                found.append((number, relation, other) if fact.as_head else (other, relation, number))
        return np.array(found, dtype=np.int32).reshape(-1, 3)

    def _told(self, facts: np.ndarray, count: int) -> tuple[Tensor, Tensor]:
        """What the facts of each newcomer say of its vector, (n, width), zero without facts, and how many it has."""
        told = torch.zeros(count, self.model.scoring.entity_width, device=self.model.device)
        known = torch.zeros(count, dtype=torch.long, device=self.model.device)
        for number in range(count):
            own = facts[(facts[:, [0, 2]] == self.model.num_entities + number).any(axis=1)]
            known[number] = len(own)
            if len(own):
                told[number] = self._scaled(expected_by_facts(self.model, own))
        return told, known

    @torch.no_grad()
    def _scaled(self, vector: Tensor) -> Tensor:
        """Where scores are dot products what is expected has a direction only; give it the usual length."""
        if not is_linear(self.model.scoring):
            return vector
        if self._length is None:
            step = max(1, self.model.num_entities // 4096)
            sample = torch.arange(0, self.model.num_entities, step, device=self.model.device)
            self._length = float(self.model.encode(sample).norm(dim=-1).mean())
        return vector * (self._length / vector.norm().clamp_min(1e-9))

    def _longer_data(
        self, newcomers: Sequence[Newcomer], tables: Mapping[str, FeatureTable], facts: np.ndarray
    ) -> Dataset:
        data, names = self.data, [newcomer.name for newcomer in newcomers]
        entities = LongerVocabulary(data.graph.entities, names)
        graph = KnowledgeGraph(entities, data.graph.relations, {**data.graph.splits, SPLIT: facts})
        pictures = {one.name: [path for path in one.images if isinstance(path, Path)] for one in newcomers}
        nothing = self._reading.nothing(len(newcomers))
        return replace(
            data,
            graph=graph,
            tables={name: longer_table(table, tables.get(name, nothing[name])) for name, table in data.tables.items()},
            labels=ChainMap({one.name: one.label for one in newcomers if one.label}, dict_of(data.labels)),
            descriptions=ChainMap({one.name: one.text for one in newcomers if one.text}, dict_of(data.descriptions)),
            pictures=ChainMap(pictures, dict_of(data.pictures)),
        )


def dict_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping itself where it is a dictionary already, which is the usual case."""
    return mapping if isinstance(mapping, dict) else dict(mapping)


@dataclass(frozen=True)
class Guests:
    """Entities that an encoder has no id for.

    Attributes:
        tables: modality → their feature rows.
        told: what their facts say of their vectors (n, width), zero without facts; known: how many facts (n,).
        weight: κ, how many facts pictures and words count for.
        loans: structure rows lent by entities like them, where the encoder's rows are lent.
    """

    tables: Mapping[str, FeatureTable]
    told: Tensor
    known: Tensor
    weight: float
    loans: Loans | None = None

    def encode(self, encoder: EntityEncoder) -> Tensor:
        """Their static encodings."""
        twin, count = over(encoder, self.tables), len(self.told)
        rows, presence = twin.rows(torch.arange(count, device=self.told.device))
        if not presence and self.loans is None:
            return twin.fuse(self.told, rows, presence)
        bare = self._without_facts(twin, rows, presence)
        if not self.known.any():
            return bare
        if bare.shape != self.told.shape:  # several views or parts, of which one takes what the facts say
            full = twin.fuse(self.told, rows, presence)
            return torch.where((self.known > 0).view(-1, *[1] * (full.dim() - 1)), full, bare)
        said = [*([self.loans.given] if self.loans else []), *(number > 0 for number in presence.values())]
        shown = torch.stack(said).any(dim=0)
        share = self.known / (self.known + self.weight * shown).clamp_min(1e-9)
        return share.unsqueeze(1) * self.told + (1 - share).unsqueeze(1) * bare

    def _without_facts(self, twin: EntityEncoder, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        if self.loans is None:
            return twin.fuse(None, rows, presence)
        lent = twin.fuse(self.loans.rows, rows, presence)
        if not presence:  # entities are rows and nothing else
            return lent
        given = self.loans.given.view(-1, *[1] * (lent.dim() - 1))
        return torch.where(given, lent, twin.fuse(None, rows, presence))


class JoinedEncoder(EntityEncoder):
    """An encoder, and the vectors of entities behind its last.

    Attributes:
        base: the encoder; guests: the entities behind; vectors: their static encodings.
    """

    def __init__(self, base: EntityEncoder, guests: Guests, vectors: Tensor) -> None:
        super().__init__()
        self.base, self.structure, self.guests = base, base.structure, guests
        self.views, self.depends_on_relation = base.views, base.depends_on_relation
        self.register_buffer("vectors", vectors, persistent=False)
        self.vectors: Tensor

    @property
    def known(self) -> int:
        """How many entities the encoder itself knows."""
        return self.structure.weight.shape[0]

    def rows(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Rows of entities that were there before; newcomers have gone through theirs already."""
        return self.base.rows(ids)

    def fuse(self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """As the encoder does."""
        return self.base.fuse(structure, rows, presence)

    def encode_static(self, ids: Tensor) -> Tensor:
        """Encode by the encoder, and look newcomers up."""
        return _look_up(ids, self.known, self.base.encode_static, self.vectors)

    def condition(self, static: Tensor, relation: Tensor) -> Tensor:
        """As the encoder does."""
        return self.base.condition(static, relation)


class _LongerModel(Model):
    """A trained model that knows newcomers."""

    encoder: JoinedEncoder
    _encode: Encode | None

    @classmethod
    def of(cls, model: Model, encoder: JoinedEncoder, encode: Encode | None) -> _LongerModel:
        """Share all of a model but the encoder."""
        longer = cls.__new__(cls)
        longer.__dict__.update(model.__dict__)
        longer._modules = {**model._modules, "encoder": encoder}
        longer.__dict__["_encode"] = encode
        return longer.eval()

    @property
    def num_entities(self) -> int:
        """Entities with an id, newcomers included."""
        return self.encoder.known + len(self.encoder.vectors)

    def encode_all(self, block: int = 65536) -> Encode:
        """Encode every entity once; the look-up of those that were there before is shared where it is given."""
        known = self._encode or self._encode_known(block)
        return lambda ids: _look_up(ids, self.encoder.known, known, self.encoder.vectors)

    @torch.no_grad()
    def _encode_known(self, block: int) -> Encode:
        parts = torch.arange(self.encoder.known, device=self.device).split(block)
        return torch.cat([self.encoder.base.encode_static(part) for part in parts]).__getitem__


def _look_up(ids: Tensor | slice, known: int, encode: Encode, vectors: Tensor) -> Tensor:
    """Encodings of entities that were there before, and vectors of newcomers; ids may be a slice, as of a tensor."""
    if isinstance(ids, slice):
        if ids.stop is not None and 0 <= ids.stop <= known and (ids.start or 0) >= 0:
            return encode(ids)  # type: ignore[arg-type]  # a tensor's look-up, which takes slices
        ids = torch.arange(known + len(vectors), device=vectors.device)[ids]
    new = ids >= known
    if not new.any():
        return encode(ids)
    found = encode(ids.clamp(max=known - 1))
    return found.index_put((new,), vectors[ids[new] - known].to(found.dtype))
