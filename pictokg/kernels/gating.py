"""Gated sums and dropout in one pass each, as autograd functions; plain torch takes seven passes and as many copies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _gating
from pictokg.kernels.independent import array, spans
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

ROWS_A_TASK = 256
STEPS = 1 << 16  # a chance is a multiple of 1 / 65,536


def gated_sum(
    logits: list[Float[Tensor, "rows width"]],
    values: list[Float[Tensor, "rows width"]],
    kept: Float[Tensor, "rows modalities"],
) -> Float[Tensor, "rows width"]:
    """Σ_m p_m σ(u_m) ∘ z_m, differentiable in u and z, in float32 on the CPU.

    Args:
        logits: u of each modality; values: z of each; kept: p, a column each.
    """
    return _GatedSum.apply(kept, *logits, *values)


class _GatedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kept: Tensor, *parts: Tensor) -> Tensor:
        number, total = len(parts) // 2, torch.zeros(parts[0].shape)
        parts = (*(logits.sigmoid() for logits in parts[:number]), *parts[number:])
        ctx.save_for_backward(kept, *parts)
        columns, given, out = kept.T.contiguous().numpy(), [array(part) for part in parts], array(total)

        def add(span: tuple[int, int]) -> None:
            for m in range(number):
                _gating.gate_block((given[m], given[number + m], columns[m]), out, span)

        run([partial(add, span) for span in spans(len(total), ROWS_A_TASK)])
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        kept, *parts = ctx.saved_tensors
        number, pulled = len(parts) // 2, array(gradients[0])
        columns, given = kept.T.contiguous().numpy(), [array(part) for part in parts]
        found = [torch.empty(part.shape) for part in parts]
        made = [array(part) for part in found]

        def pull(span: tuple[int, int]) -> None:
            for m in range(number):
                part = given[m], given[number + m], columns[m]
                _gating.pull_block(part, pulled, made[m], made[number + m], span)

        run([partial(pull, span) for span in spans(len(pulled), ROWS_A_TASK)])
        return None, *found


def diagonally_gated_sum(
    values: Sequence[Float[Tensor, "rows width"]],
    weights: Sequence[Float[Tensor, " width"]],
    biases: Sequence[Float[Tensor, " width"]],
    kept: Float[Tensor, "rows modalities"],
) -> Float[Tensor, "rows width"]:
    """Σ_m p_m σ(b_m + u_m ∘ z_m) ∘ z_m, differentiable in z, u and b, in float32 on the CPU.

    Args:
        values: z of each modality; weights, biases: u and b of each; kept: p, a column each.
    """
    return _DiagonallyGatedSum.apply(kept, *values, *weights, *biases)


class _DiagonallyGatedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kept: Tensor, *parts: Tensor) -> Tensor:
        ctx.save_for_backward(kept, *parts)
        modalities, total = _modalities(kept, parts), torch.zeros(parts[0].shape)
        out = array(total)

        def add(span: tuple[int, int]) -> None:
            for part in modalities:
                _gating.open_block(part, out, span)

        run([partial(add, span) for span in spans(len(total), ROWS_A_TASK)])
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        kept, *parts = ctx.saved_tensors
        modalities, pulled = _modalities(kept, parts), array(gradients[0])
        number, width = len(modalities), pulled.shape[1]
        by_values = [torch.empty(pulled.shape) for _ in modalities]
        made, tasks = [array(part) for part in by_values], spans(len(pulled), ROWS_A_TASK)
        # Each task has sums of its own, which are added up in one order: the same however threads come.
        sums = np.zeros((len(tasks), number, 2, width), np.float32)

        def pull(task: int) -> None:
            for m, part in enumerate(modalities):
                _gating.pull_open_block(part, pulled, made[m], sums[task, m], tasks[task])

        run([partial(pull, task) for task in range(len(tasks))])
        by_gates = torch.from_numpy(sums.sum(axis=0))
        return None, *by_values, *by_gates[:, 0], *by_gates[:, 1]


def _modalities(kept: Tensor, parts: Sequence[Tensor]) -> list[tuple[np.ndarray, ...]]:
    """(z, u, b, p) of each modality."""
    columns, number = kept.T.contiguous().numpy(), len(parts) // 3
    return [(*(array(parts[m + kind * number].detach()) for kind in range(3)), columns[m]) for m in range(number)]


def drop(
    rows: Float[Tensor, "rows width"],
    chance: float,
    whole: Bool[Tensor, " rows"] | None = None,
    *,
    kernels: bool = True,
) -> Float[Tensor, "rows width"]:
    """Dropout: each number 0 with this chance, to 1 / 65,536, and else times 1 / (1 − chance); differentiable.

    The mask is drawn from one number of torch's global generator, and drawn again from it backwards.

    Args:
        rows: of float32 on the CPU; chance: below 1; whole: rows that keep everything.
        kernels: False computes the same plainly.
    """
    kept = np.zeros(len(rows), np.bool_) if whole is None else whole.numpy()
    seed = int(torch.randint(1 << 62, ()))
    if kernels:
        return _Drop.apply(rows, chance, kept, seed)
    scale = np.where(drawn(rows.shape, chance, seed), 1 / (1 - chance), 0.0)
    return rows * torch.from_numpy(np.where(kept[:, None], 1.0, scale).astype(np.float32))


def drawn(shape: tuple[int, ...], chance: float, seed: int) -> Bool[np.ndarray, "rows width"]:
    """What `drop` keeps, written out: SplitMix64 of seed and place, whose 64 bits decide four numbers of a row."""
    rows, width = shape
    z = (np.arange(rows * -(-width // 4), dtype=np.uint64) * _gating.GOLDEN + np.uint64(seed)).reshape(rows, -1)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    bits = np.concatenate([z >> np.uint64(16 * part) & np.uint64(0xFFFF) for part in range(4)], axis=1)
    return bits[:, :width] < round((1 - chance) * STEPS)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, chance: float, whole: np.ndarray, seed: int) -> Tensor:
        ctx.drawn = chance, whole, seed
        return _masked(rows, chance, whole, seed)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _masked(gradients[0], *ctx.drawn), None, None, None


def _masked(rows: Tensor, chance: float, whole: np.ndarray, seed: int) -> Tensor:
    found = torch.empty(rows.shape)
    law = np.uint64(seed), np.uint64(round((1 - chance) * STEPS)), np.float32(1 / (1 - chance))
    work = partial(_gating.drop_block, array(rows), whole, law, array(found))
    run([partial(work, span) for span in spans(len(rows), ROWS_A_TASK)])
    return found
