"""Which questions belong together: kinds of relations, and slices by what is known of triple and answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import DataError
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.evaluation.ranks import Ranks

KINDS = ("1-1", "1-n", "n-1", "n-n")
_WORDS = {"image": "picture"}  # what a slice calls a modality, where that is not its own name


def relation_kinds(train: np.ndarray, num_entities: int, num_relations: int, cutoff: float = 1.5) -> np.ndarray:
    """Sort relations by how many heads a tail has and how many tails a head: positions in `KINDS` (R,).

    A side is "n" when its mean over the distinct training triples is above the cut-off (Bordes et al., 2013:
    1.5). A relation without training triples has -1.

    >>> train = np.array([[0, 0, 1], [0, 0, 2], [3, 1, 4]])
    >>> [KINDS[kind] for kind in relation_kinds(train, 5, 2)]
    ['1-n', '1-1']
    """
    head, relation, tail = train.astype(np.int64).T
    heads, which = np.unique(head * num_relations + relation, return_inverse=True)
    triples = np.unique(which * num_entities + tail)
    tails = np.unique(tail * num_relations + relation)
    count = np.bincount(heads[triples // num_entities] % num_relations, minlength=num_relations)
    tails_per_head = count / np.maximum(1, np.bincount(heads % num_relations, minlength=num_relations))
    heads_per_tail = count / np.maximum(1, np.bincount(tails % num_relations, minlength=num_relations))
    return np.where(count > 0, 2 * (heads_per_tail > cutoff) + (tails_per_head > cutoff), -1)


def slices_of(ranks: Ranks, triples: np.ndarray, data: Dataset) -> dict[str, np.ndarray]:
    """Name the slices of head and tail questions: name → mask (questions,).

    - with_picture, with_text, with_<modality> and their opposites: what the *answer* entity has; by the
      feature tables, and where there is none by the pictures and words of the data.
    - unseen_in_training: the triple's head or tail stands in no training triple.
    - inverse_in_training: some (t, ·, h) is a training triple.
    - <group> and not_<group> for each group of relations that the data name.

    Args:
        ranks: of head and tail questions.
        triples: the split (n, 3) they were made from.
        data: what the slices are about.
    """
    asked = triples[ranks.triple]
    answer = np.where(ranks.side == Side.HEAD, asked[:, Side.HEAD], asked[:, Side.TAIL])
    slices: dict[str, np.ndarray] = {}
    for word, present in _presence(data).items():
        slices |= {f"with_{word}": present[answer], f"without_{word}": ~present[answer]}
    seen = data.graph.seen_entities("train")
    slices["unseen_in_training"] = ~(seen[asked[:, Side.HEAD]] & seen[asked[:, Side.TAIL]])
    inverse = _inverse_in(data.graph.split("train"), triples, data.graph.num_entities)[ranks.triple]
    slices |= {"inverse_in_training": inverse, "inverse_not_in_training": ~inverse}
    for group, relations in data.relation_groups.items():
        member = np.isin(asked[:, Side.RELATION], _ids(data, group, relations))
        slices |= {group: member, f"not_{group}": ~member}
    return slices


def _presence(data: Dataset) -> dict[str, np.ndarray]:
    """Tell what each entity has: word → mask (entities,)."""
    names = data.graph.entities.names
    presence = {_WORDS.get(modality, modality): table.present for modality, table in data.tables.items()}
    if "picture" not in presence:
        presence["picture"] = np.fromiter((bool(data.pictures.get(name)) for name in names), bool, len(names))
    if "text" not in presence:
        presence["text"] = np.fromiter((bool(data.text_of(name)) for name in names), bool, len(names))
    return presence


def _inverse_in(train: np.ndarray, triples: np.ndarray, num_entities: int) -> np.ndarray:
    """Whether the reversed pair of a triple (n, 3) is linked by any relation in train: (n,)."""
    links = train[:, Side.HEAD].astype(np.int64) * num_entities + train[:, Side.TAIL]
    return np.isin(triples[:, Side.TAIL].astype(np.int64) * num_entities + triples[:, Side.HEAD], links)


def _ids(data: Dataset, group: str, relations: list[str]) -> np.ndarray:
    ids = data.graph.relations.ids(relations)
    if (ids < 0).any():
        unknown = relations[int(np.argmax(ids < 0))]
        raise DataError(f"the relation group {group!r} names {unknown!r}, which is no relation of the graph")
    return ids
