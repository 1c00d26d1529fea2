"""Ranks to figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Metrics = dict[str, float | None]

METRICS = ("mrr", "mr", "hits@1", "hits@3", "hits@10", "amr", "amri")


def summarise(ranks: np.ndarray, candidates: np.ndarray) -> Metrics:
    """Sum ranks (n,) up, given how many candidates (n,) each was among.

        MRR = mean(1 / rank)    MR = mean(rank)    Hits@k = mean(rank ≤ k)
        AMR = MR / E[MR]    AMRI = 1 − (MR − 1) / (E[MR] − 1)    with E[MR] = mean((candidates + 1) / 2)

    AMR and AMRI (Berrendorf et al., 2020) compare with guessing: AMRI is 1 when every answer is first and 0
    when answers stand anywhere. Figures that do not exist (no ranks; AMRI where no question had a choice) are
    None.

    >>> metrics = summarise(np.array([1.0, 4.0]), np.array([7, 7]))
    >>> metrics["mrr"], metrics["mr"], metrics["hits@3"], metrics["amr"], metrics["amri"]
    (0.625, 2.5, 0.5, 0.625, 0.5)
    """
    if not len(ranks):
        return dict.fromkeys(METRICS)
    mean, expected = float(ranks.mean()), float((candidates.mean() + 1) / 2)
    return {
        "mrr": float((1 / ranks).mean()),
        "mr": mean,
        **{f"hits@{k}": float((ranks <= k).mean()) for k in (1, 3, 10)},
        "amr": mean / expected,
        "amri": 1 - (mean - 1) / (expected - 1) if expected > 1 else None,
    }


def counted(ranks: np.ndarray, candidates: np.ndarray) -> Metrics:
    """Sum up as `summarise` does, with the number of questions beside the figures."""
    return {"count": len(ranks), **summarise(ranks, candidates)}


def by_group(ranks: np.ndarray, candidates: np.ndarray, group: np.ndarray) -> Mapping[int, Metrics]:
    """Sum up the ranks of each group number (n,) that occurs, smallest first.

    >>> by_group(np.array([1.0, 4.0, 2.0]), np.array([7, 7, 7]), np.array([5, 3, 5]))[5]["mr"]
    1.5
    """
    numbers, first = np.unique(np.sort(group), return_index=True)
    rows = np.split(np.argsort(group, kind="stable"), first[1:])
    return {int(number): counted(ranks[row], candidates[row]) for number, row in zip(numbers, rows, strict=False)}
