"""All facts of a set of characters as ids: what becomes the triples of the folder."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pictokg.datasets.glyphs.properties import entity
from pictokg.datasets.glyphs.relations import RELATIONS, Relation
from pictokg.datasets.glyphs.values import label


@dataclass(frozen=True)
class Facts:
    """The graph before it is split; ids are positions in `entities` and `relations`.

    Attributes:
        characters: one character per entity, in order of code points; they are the first entities.
        values: names of the value entities, sorted; they follow the characters.
        relations: those that hold of at least one pair.
        triples: (n, 3) head, relation, tail; sorted, each once.
        left_out: why → number of facts that are not among the triples.
    """

    characters: Sequence[str]
    values: Sequence[str]
    relations: Sequence[Relation]
    triples: np.ndarray
    left_out: dict[str, int]

    @property
    def entities(self) -> list[str]:
        """Names of all entities, characters first."""
        return [*map(entity, self.characters), *self.values]

    @property
    def texts(self) -> list[tuple[str, str, str]]:
        """Entity, label, description: a character's description is no more than the character itself."""
        shown = [character if character.isprintable() else "" for character in self.characters]
        labels = [unicodedata.name(character) for character in self.characters]
        words = zip(map(entity, self.characters), labels, map(str.strip, shown), strict=True)
        return [*words, *((value, label(value), "") for value in self.values)]

    @property
    def pairs(self) -> np.ndarray:
        """One number per triple, equal where two triples join the same two entities, whichever way round.

        Kept together by the split, such triples (upper and lower case, mirrored partners, the equal halves
        of a domino) cannot give away a test answer by being read backwards.
        """
        low = self.triples[:, [0, 2]].min(axis=1).astype(np.int64)
        high = self.triples[:, [0, 2]].max(axis=1)
        return np.unique(low * len(self.entities) + high, return_inverse=True)[1]


def collect(characters: Sequence[str]) -> Facts:
    """Apply every relation to every character.

    A fact is left out, and counted, when its tail is a character outside the set, or a value that no other
    fact points to: nothing could be learned about it.
    """
    found = [(head, relation, tail) for relation in RELATIONS for head in characters for tail in relation.tails(head)]
    inside = set(map(entity, characters))
    facts = [fact for fact in found if ":" in fact[2] or fact[2] in inside]
    uses = Counter(tail for _, _, tail in facts)
    shared = [fact for fact in facts if fact[2] in inside or uses[fact[2]] > 1]
    values = sorted({tail for _, _, tail in shared} - inside)
    used = {relation.name for _, relation, _ in shared}
    relations = [relation for relation in RELATIONS if relation.name in used]
    entity_ids = {name: index for index, name in enumerate([*map(entity, characters), *values])}
    relation_ids = {relation.name: index for index, relation in enumerate(relations)}
    triples = [(entity_ids[entity(head)], relation_ids[r.name], entity_ids[tail]) for head, r, tail in shared]
    left_out = {"tail_outside": len(found) - len(facts), "value_used_once": len(facts) - len(shared)}
    array = np.unique(np.array(triples, dtype=np.int32).reshape(-1, 3), axis=0)
    return Facts(characters, values, relations, array, left_out)
