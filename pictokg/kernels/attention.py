"""Attention over the rows of features that each entity owns, as an autograd function that gathers and projects no row.

A projected row p = M f meets its entity's vector e as p · e = f · Mᵀe, and Σ_k a_k p_k = M Σ_k a_k f_k. So what has to
be projected is one query and one weighted sum an entity, not every picture; features are read where they are, once
forwards and once backwards, from memory or from a file that is mapped.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _attention
from pictokg.kernels.independent import array, spans
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Float, Int

KINDS = {"attention": _attention.ATTENTION, "average": _attention.AVERAGE, "maximum": _attention.MAXIMUM}
ENTITIES_A_TASK = 64


class Owned(NamedTuple):
    """The rows of features of U entities: entity u owns rows first[u] … first[u] + rows[u] − 1 of `values`.

    Attributes:
        values: float32 or float16 (P, w), finite; first, rows: (U,).
        shorten: take rows that are longer than 1 as if they had length 1.
    """

    values: np.ndarray
    first: np.ndarray
    rows: np.ndarray
    shorten: bool = False


def pool(queries: Float[Tensor, "entities width"] | None, owned: Owned, kind: str) -> Float[Tensor, "entities width"]:
    """Σ_k a_k f_k of each entity's rows, with a = softmax_k(f_k · q), differentiable in the queries q; 0 without rows.

    Args:
        queries: (U, w), of float32 on the CPU; None where the kind needs none.
        owned: whose rows.
        kind: "attention"; "average", where a_k = 1/n; or "maximum", where a_k is 1 for the first largest logit, else 0.
    """
    given = torch.empty(len(owned.first), owned.values.shape[1]) if queries is None else queries
    return _Pool.apply(given, owned, KINDS[kind])


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, owned: Owned, kind: int) -> Tensor:
        ragged, pooled = _ragged(owned), torch.empty(queries.shape)
        weights = np.empty(ragged.place[-1], np.float32)
        work = partial(_attention.pool_block, kind, ragged, array(queries), weights, array(pooled))
        run([partial(work, block) for block in spans(len(queries), ENTITIES_A_TASK)])
        ctx.ragged, ctx.weights, ctx.kind = ragged, weights, kind
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.kind != KINDS["attention"]:
            return None, None, None
        by_query = torch.empty(gradients[0].shape)
        work = partial(_attention.query_block, ctx.ragged, ctx.weights, array(gradients[0]), array(by_query))
        run([partial(work, block) for block in spans(len(by_query), ENTITIES_A_TASK)])
        return by_query, None, None


def two_views(
    structure: Float[Tensor, "entities dim"], image: Float[Tensor, "entities dim"], without: Int[Tensor, " some"]
) -> Float[Tensor, "entities 2 dim"]:
    """The two vectors of each entity side by side; those `without` pictures, whose image is 0, have the first twice."""
    return _TwoViews.apply(structure, image, without)


class _TwoViews(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, structure: Tensor, image: Tensor, without: Tensor) -> Tensor:
        ctx.without = without
        views = torch.stack([structure, image], dim=1)
        views[without, 1] = structure[without]
        return views

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_structure, by_image = (part.clone(memory_format=torch.contiguous_format) for part in gradients[0].unbind(1))
        by_structure[ctx.without] += by_image[ctx.without]
        by_image[ctx.without] = 0
        return by_structure, by_image, None


def _ragged(owned: Owned) -> _attention.Ragged:
    values = np.asarray(owned.values)
    none, is_half = (0, values.shape[1]), values.dtype == np.float16
    single = np.empty(none, np.float32) if is_half else values.view()
    half = values.view(np.uint16) if is_half else np.empty(none, np.uint16)
    for part in (single, half):  # one type for the compiler, whether or not the rows may be written to
        part.flags.writeable = False
    place = np.append(0, np.cumsum(owned.rows))
    return _attention.Ragged(single, half, owned.first.astype(np.int64), place.astype(np.int64), owned.shorten)
