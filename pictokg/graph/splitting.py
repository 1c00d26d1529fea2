"""Splitting triples so that every entity and relation can be learned: each stays in the first part."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from pictokg.errors import ConfigError, DataError, DataWarning


def split(
    triples: np.ndarray,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    *,
    seed: int,
    per_relation: bool = False,
    keep_together: np.ndarray | None = None,
) -> tuple[np.ndarray, ...]:
    """Split triples (n, 3) at random into parts of these fractions; rows keep their order within a part.

    Args:
        triples: ids in the order head, relation, tail.
        fractions: of each part, the first (training) one above 0; they add up to 1.
        seed: the same seed gives the same parts.
        per_relation: the fractions hold for every relation rather than for all triples together.
        keep_together: (n,) group of each row; a group is never divided, so the fractions hold approximately.
            None: rows of the same triple are a group.

    Raises:
        ConfigError: the fractions are no fractions.
        DataError: a part would be empty, because every triple is some entity's or relation's only one.

    >>> train, test = split(np.array([[0, 0, 1], [1, 0, 2], [2, 0, 0]]), (0.7, 0.3), seed=0)
    >>> len(train), len(test), sorted(set(train[:, [0, 2]].ravel().tolist()))
    (2, 1, [0, 1, 2])
    """
    wanted = np.asarray(fractions, dtype=np.float64)
    if len(wanted) < 2 or not (wanted >= 0).all() or wanted[0] == 0 or abs(wanted.sum() - 1) > 1e-6:
        raise ConfigError(
            f"the fractions {tuple(fractions)} cannot split triples; give two or more that add up to 1,"
            " the first (training) above 0, for instance (0.8, 0.1, 0.1)"
        )
    return _split(triples, wanted[1:], seed, per_relation, keep_together)


def carve(
    train: np.ndarray,
    amount: float,
    *,
    seed: int,
    per_relation: bool = False,
    keep_together: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Take a part out of training triples (n, 3), for a clean validation set: (the rest, the part).

    Args:
        train: ids in the order head, relation, tail.
        amount: a number of triples (1 or more) or a fraction of them (below 1).
        seed: as for `split`.
        per_relation: as for `split`.
        keep_together: as for `split`.

    >>> triangle = np.array([[0, 0, 1], [1, 0, 2], [2, 0, 0]])
    >>> [len(part) for part in carve(triangle, 1, seed=0)]
    [2, 1]
    """
    fraction = amount if amount < 1 else amount / max(len(train), 1)
    if not 0 < fraction < 1:
        raise ConfigError(
            f"cannot carve {amount:,} of {len(train):,} triples;"
            " give a fraction between 0 and 1, or a number below all of them"
        )
    rest, carved = _split(train, np.array([fraction]), seed, per_relation, keep_together)
    return rest, carved


def _split(
    triples: np.ndarray,
    fractions: np.ndarray,
    seed: int,
    per_relation: bool,
    keep_together: np.ndarray | None,
) -> tuple[np.ndarray, ...]:
    """Parts of these fractions after the first part, which gets the rest."""
    if not len(triples):
        raise DataError("there are no triples to split")
    generator = np.random.default_rng(seed)
    _, group = np.unique(_same_triple(triples) if keep_together is None else keep_together, return_inverse=True)
    size = np.bincount(group)
    stratum = np.zeros(len(size), dtype=np.int64)
    if per_relation:
        stratum[group[::-1]] = triples[::-1, 1]  # a group counts for the relation of its first row
    free = generator.permutation(len(size))
    needed = _needed(triples, group, generator, rarest_first=False)
    if size[~needed].sum() < fractions.sum() * len(triples):
        needed = _needed(triples, group, generator, rarest_first=True)
    free = free[~needed[free]]
    quotas = _quotas(fractions, size, stratum, free)
    part_of = np.zeros(len(size), dtype=np.int64)
    for part in np.argsort(quotas.sum(1), kind="stable"):  # the smallest first, so that none starves
        chosen = _take(free, size, stratum, quotas[part])
        part_of[chosen] = part + 1
        free = free[part_of[free] == 0]
    row_part = part_of[group]
    _check(np.bincount(row_part, minlength=len(fractions) + 1)[1:], fractions * len(triples))
    return tuple(triples[row_part == part] for part in range(len(fractions) + 1))


def _same_triple(triples: np.ndarray) -> np.ndarray:
    """Give each row a number, the same for the same triple; without a product that could overflow."""
    head, relation, tail = triples.astype(np.int64).T
    _, pair = np.unique(head * (relation.max() + 1) + relation, return_inverse=True)
    return pair * (tail.max() + 1) + tail


def _needed(
    triples: np.ndarray, group: np.ndarray, generator: np.random.Generator, *, rarest_first: bool
) -> np.ndarray:
    """Which groups stay in the first part so that every entity and relation is in it: (groups,) bool.

    Groups that are the only one of an entity have to stay in any case and come first; the others come at random, or
    `rarest_first`, from those whose rarest entity is rarest, which keeps fewer but always those of rare entities. Each
    entity holds on to the first group that has it, and each relation that is then missing to one of its own.
    """
    groups = int(group.max()) + 1
    entities = int(triples[:, [0, 2]].max()) + 1
    owner, member = (
        np.concatenate([group, group]),
        np.concatenate([triples[:, 0], triples[:, 2]]).astype(np.int64),
    )
    distinct = np.unique(owner * entities + member)
    degree = np.bincount(distinct % entities, minlength=entities)
    rarest = np.full(groups, len(triples))
    np.minimum.at(rarest, owner, degree[member])
    needed = np.zeros(groups, dtype=bool)
    urgency = rarest if rarest_first else rarest > 1
    needed[_first_holders(owner, member, np.lexsort((generator.random(groups), urgency)))] = True
    missing = np.ones(int(triples[:, 1].max()) + 1, dtype=bool)
    missing[triples[needed[group], 1]] = False
    rows = missing[triples[:, 1]]
    if rows.any():
        needed[_first_holders(group[rows], triples[rows, 1], generator.permutation(groups))] = True
    return needed


def _first_holders(owner: np.ndarray, member: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Find, for each member, the group that holds it and comes first in this order of all groups."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    first = np.full(int(member.max()) + 1, len(order))
    np.minimum.at(first, member, rank[owner])
    return order[first[first < len(order)]]


def _quotas(fractions: np.ndarray, size: np.ndarray, stratum: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Count the rows each part takes of each stratum (parts, strata); scaled down where too few are free."""
    rows = np.bincount(stratum, weights=size)
    available = np.bincount(stratum[free], weights=size[free], minlength=len(rows))
    share = np.minimum(1, available / np.maximum(rows * fractions.sum(), 1e-9))
    exact = fractions[:, None] * rows * share
    quotas = np.diff(np.round(np.cumsum(exact, axis=1)), axis=1, prepend=0)  # each row sums to what it should
    for part, fraction in enumerate(fractions):
        if fraction > 0 and quotas[part].sum() == 0:
            quotas[part, np.argmax(available)] = 1
    return quotas


def _take(free: np.ndarray, size: np.ndarray, stratum: np.ndarray, quota: np.ndarray) -> np.ndarray:
    """Take the first free groups of each stratum that fill its quota; far larger ones are left out."""
    fitting = free[size[free] <= 2 * quota[stratum[free]]]
    fitting = fitting[np.argsort(stratum[fitting], kind="stable")]
    before = np.cumsum(size[fitting]) - size[fitting]
    strata, start = np.unique(stratum[fitting], return_index=True)
    base = np.zeros(len(quota))
    base[strata] = before[start]
    middle = before - base[stratum[fitting]] + size[fitting] / 2
    return fitting[middle <= quota[stratum[fitting]]]


def _check(found: np.ndarray, wanted: np.ndarray) -> None:
    """Refuse an empty part, and say when one is much smaller than asked for."""
    for count, goal in zip(found, wanted, strict=True):
        if goal > 0 and count == 0:
            raise DataError(
                f"cannot take {goal:,.0f} triples: (nearly) every one is the only one of an entity or a"
                " relation, or in a group that is too large",
                remedy="ask for fewer parts or for more triples, or leave out rare entities",
            )
        if count < 0.9 * goal - 1:
            warnings.warn(
                f"a part has {count:,} triples instead of {goal:,.0f}: the others are the only ones of an"
                " entity or a relation, or in groups too large, and stay in the first part",
                DataWarning,
                stacklevel=4,
            )
