"""Distances, with the sign turned: higher is nearer. Candidates are each question's own (B, K, e) or shared (N, e)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pictokg.errors import ConfigError
from pictokg.scoring._vectors import complex_moduli

if TYPE_CHECKING:
    from jaxtyping import Float

# Differences held at once by a blocked formula: 4 MiB of float32, which a processor's cache still holds and
# which is far below what the scores themselves take in a large evaluation.
BLOCK_VALUES = 1 << 20


def negative_l1(
    expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
) -> Float[Tensor, "batch n"]:
    """Return −‖expected − candidate‖₁, for own (B, K, e) or shared (N, e) candidates.

    >>> negative_l1(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0], [0.0, 4.0]])).tolist()
    [[-0.0, -3.0]]
    """
    return -_distance(expected, candidates, p=1)


def negative_l2(
    expected: Float[Tensor, "batch dim"], candidates: Float[Tensor, "*some dim"]
) -> Float[Tensor, "batch n"]:
    """Return −‖expected − candidate‖₂, for own (B, K, e) or shared (N, e) candidates.

    >>> negative_l2(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).tolist()
    [[-5.0]]
    """
    return -_distance(expected, candidates, p=2)


def negative_modulus(
    expected: Float[Tensor, "batch twice_dim"], candidates: Float[Tensor, "*some twice_dim"]
) -> Float[Tensor, "batch n"]:
    """Return −Σⱼ |expectedⱼ − candidateⱼ| over complex vectors [real; imaginary], own or shared candidates.

    >>> negative_modulus(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).tolist()
    [[-5.0]]
    """
    if candidates.dim() == 3:
        return _modulus_block(expected, candidates)
    block = max(1, BLOCK_VALUES // max(1, expected.numel()))
    # Checkpointing computes a block's differences again in the backward pass instead of keeping all of them.
    parts = [
        checkpoint(_modulus_block, expected, part, use_reentrant=False, preserve_rng_state=False)
        for part in candidates.split(block)
    ]
    return torch.cat(parts, dim=1)


def negative_norm(norm: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the formula of a distance option: 1 is the L1 norm, 2 the L2 norm.

    Raises:
        ConfigError: for any other number.
    """
    if norm not in (1, 2):
        raise ConfigError(f"norm is {norm!r}; choose 1 (sum of absolute differences) or 2 (Euclidean distance)")
    return negative_l1 if norm == 1 else negative_l2


def _distance(expected: Tensor, candidates: Tensor, p: int) -> Tensor:
    """Return the Lp distance, with gradient zero (not NaN) where the vectors are equal."""
    if candidates.dim() == 3:
        return torch.linalg.vector_norm(expected.unsqueeze(1) - candidates, ord=p, dim=-1)
    # The matrix-product form of L2 is faster, but loses the distances of near vectors to cancellation.
    return torch.cdist(expected, candidates, p=p, compute_mode="donot_use_mm_for_euclid_dist")


def _modulus_block(expected: Tensor, candidates: Tensor) -> Tensor:
    return -complex_moduli(expected.unsqueeze(1) - candidates).sum(dim=-1)
