"""Several vectors an entity: one score term for each pair of views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pictokg.errors import ConfigError
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pictokg.scoring.base import ScoringFunction


def term_names(views: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the terms: initials of the head's view and of the tail's.

    >>> term_names(("structure", "image"))
    ('ss', 'si', 'is', 'ii')
    """
    return tuple(head[0] + tail[0] for head in views for tail in views)


def pairwise_terms(
    scoring: ScoringFunction,
    anchor: Float[Tensor, "batch views width"],
    relation: Float[Tensor, "batch relation_width"],
    candidates: Tensor,
    side: Side,
) -> Float[Tensor, "batch candidates terms"]:
    """Score every view of the anchor against every view of the candidates, head's view first.

    Candidates are own (B, K, views, width) or shared (N, views, width).
    """
    views = range(anchor.shape[1])
    pairs = ((own, other) if side is Side.TAIL else (other, own) for own in views for other in views)
    scored = [
        scoring.score(anchor[:, from_view], relation, candidates[..., to_view, :], side) for from_view, to_view in pairs
    ]
    return torch.stack(scored, dim=-1)


def weights_of(names: tuple[str, ...], chosen: str, sets: dict[str, tuple[str, ...]]) -> list[float]:
    """The weight of each term for a named set ("sbr") or a comma-separated list of terms ("ss,ii").

    >>> weights_of(("ss", "si", "is", "ii"), "sbr", {"sbr": ("ss",)})
    [1.0, 0.0, 0.0, 0.0]
    """
    wanted = sets.get(chosen.lower()) or tuple(term.strip() for term in chosen.lower().split(","))
    unknown = [term for term in wanted if term not in names]
    if unknown:
        allowed = ", ".join([*sets, *names])
        raise ConfigError(f"no such terms: {', '.join(unknown)}; the terms of this model are: {allowed}")
    return [1.0 if name in wanted else 0.0 for name in names]
