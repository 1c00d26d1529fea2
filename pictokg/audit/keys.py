"""Triples as sortable keys, and joins of key arrays: the arithmetic under every count of the audit."""

from __future__ import annotations

import numpy as np

_LARGEST = np.iinfo(np.int64).max


def triple_keys(triples: np.ndarray, num_entities: int, num_relations: int) -> np.ndarray:
    """One key a triple (n, 3) → (n,), in the order of (head, relation, tail).

    The key is (h · R + r) · N + t; where that could overflow 64 bits, the bytes of the three ids.

    >>> triple_keys(np.array([[1, 0, 2]]), num_entities=10, num_relations=3).tolist()
    [32]
    """
    if num_entities * num_relations * num_entities <= _LARGEST:
        head, relation, tail = triples.astype(np.int64).T
        return (head * num_relations + relation) * num_entities + tail
    big_endian = np.ascontiguousarray(triples, dtype=">i4")  # so that bytes sort as the ids do
    return big_endian.view("V12").reshape(-1)


def pair_keys(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One key for two ids below 2³², sorted by the first, then the second.

    >>> pair_keys(np.array([0, 1]), np.array([5, 0])).tolist()
    [5, 4294967296]
    """
    return first.astype(np.int64) << 32 | second


def distinct(triples: np.ndarray, num_entities: int, num_relations: int) -> np.ndarray:
    """Each triple once, in the order of first occurrence.

    >>> distinct(np.array([[5, 0, 1], [0, 0, 2], [5, 0, 1]]), 10, 3).tolist()
    [[5, 0, 1], [0, 0, 2]]
    """
    _, first = np.unique(triple_keys(triples, num_entities, num_relations), return_index=True)
    return triples[np.sort(first)]


def ends_of_runs(keys: np.ndarray) -> np.ndarray:
    """Mark the last of each run of equal keys.

    >>> ends_of_runs(np.array([4, 4, 7])).tolist()
    [False, True, True]
    """
    last = np.ones(len(keys), dtype=bool)
    last[:-1] = keys[1:] != keys[:-1]
    return last


def occurrences(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """For each key, how often it stands in the sorted table.

    >>> occurrences(np.array([2, 5, 5, 9]), np.array([5, 6, 9])).tolist()
    [2, 0, 1]
    """
    return np.searchsorted(table, keys, side="right") - np.searchsorted(table, keys, side="left")


def match(keys: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join keys with a sorted table: all pairs (i, j) with keys[i] == table[j], i ascending.

    >>> [rows.tolist() for rows in match(np.array([7, 3, 7]), np.array([3, 7, 7]))]
    [[0, 0, 1, 2, 2], [1, 2, 0, 1, 2]]
    """
    start, count = np.searchsorted(table, keys, side="left"), occurrences(table, keys)
    rows = np.repeat(np.arange(len(keys)), count)
    before = np.cumsum(count) - count
    return rows, np.arange(len(rows)) - before[rows] + start[rows]
