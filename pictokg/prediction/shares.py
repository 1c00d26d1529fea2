"""Dividing a value fairly among those who made it (Shapley, 1953)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

WHOLE = 10  # players up to which all 2^n coalitions are looked at
LOOKS = 512  # coalitions looked at beyond, about
Game = Callable[["Bool[np.ndarray, 'coalitions players']"], "Float[np.ndarray, ' coalitions']"]


@dataclass(frozen=True, slots=True)
class Division:
    """What each player is due.

    Attributes:
        shares: (players,); they sum to the value of all less the value of none.
        removal: what is lost when one player alone leaves (players,).
        none, everyone: the values of nobody and of all.
        method: "exact" where players do not interact, else "shapley", or "sampled" over some of the orders.
    """

    shares: Float[np.ndarray, " players"]
    removal: Float[np.ndarray, " players"]
    none: float
    everyone: float
    method: str


def divide(game: Game, players: int, *, seed: int = 0, looks: int = LOOKS) -> Division:
    """Give each player the mean, over all orders in which they may come, of what its coming adds

        φ_i = Σ_S |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)),   Σ_i φ_i = v(all) − v(none)

    Beyond `WHOLE` players the mean is over a sample of orders, each with its reverse, and sums to the same.

    Args:
        game: values of coalitions, rows of a mask; players: how many; seed: of the sample of orders; looks:
            coalitions looked at in it, about.

    >>> votes = divide(lambda mask: (mask @ np.array([2, 1, 1]) >= 3).astype(float), 3)
    >>> votes.shares.round(3).tolist(), votes.method
    ([0.667, 0.167, 0.167], 'shapley')
    >>> divide(lambda mask: mask @ np.array([2.0, 1.0]) + 5, 2).method
    'exact'
    """
    if not players:
        alone = float(game(np.zeros((1, 0), dtype=bool))[0])
        return Division(np.zeros(0), np.zeros(0), alone, alone, "exact")
    return _over_all(game, players) if players <= WHOLE else _over_some(game, players, seed, looks)


def _over_all(game: Game, players: int) -> Division:
    number = np.arange(2**players)
    mask = (number[:, None] >> np.arange(players) & 1).astype(bool)
    values, size = game(mask).astype(np.float64), mask.sum(axis=1)
    factorial = np.cumprod([1.0, *range(1, players + 1)])
    weight = factorial[size] * factorial[np.maximum(players - size - 1, 0)] / factorial[players]
    shares = np.empty(players)
    for player in range(players):
        without = ~mask[:, player]
        shares[player] = (weight * (values[number | 1 << player] - values))[without].sum()
    none, everyone = float(values[0]), float(values[-1])
    alone = values[1 << np.arange(players)] - none
    spread = max(np.abs(values - none).max(), 1e-12)
    additive = np.abs(mask @ alone - (values - none)).max() <= 1e-5 * spread + 1e-6 * np.abs(values).max()
    removal = everyone - values[(2**players - 1) ^ (1 << np.arange(players))]
    return Division(shares, removal, none, everyone, "exact" if additive else "shapley")


def _over_some(game: Game, players: int, seed: int, looks: int) -> Division:
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(players) for _ in range(max(1, looks // (2 * players)))]
    orders = [one for order in orders for one in (order, order[::-1])]
    masks = np.zeros((len(orders), players + 1, players), dtype=bool)
    for row, order in enumerate(orders):
        for step, player in enumerate(order, start=1):
            masks[row, step:, player] = True
    removed = ~np.eye(players, dtype=bool)
    values = game(np.concatenate([masks.reshape(-1, players), removed])).astype(np.float64)
    steps = values[:-players].reshape(len(orders), players + 1)
    shares = np.zeros(players)
    for row, order in enumerate(orders):
        shares[order] += np.diff(steps[row]) / len(orders)
    everyone = float(steps[0, -1])
    return Division(shares, everyone - values[-players:], float(steps[0, 0]), everyone, "sampled")
