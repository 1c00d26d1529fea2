"""What the facts of an entity say of its vector: the mean of what they expect in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from pictokg.models.base import Model


@torch.no_grad()
def expected_by_facts(model: Model, facts: np.ndarray) -> Float[Tensor, " width"]:
    """Return the vector f that comes nearest to what the facts of one entity expect in its place

        argmin_f Σ_k ‖P_k f − expected_k‖²     P_k: the projection of the relation of fact k

    the mean of expected_k where nothing is projected; of those f the shortest. Each view of a known entity has its say.

    Args:
        model: a trained model; facts: triples (n, 3), of which one entity, the same in all, has no id in the model.

    Raises:
        ConfigError: the scoring function bends what it projects, so that there is no such f.
    """
    pairs = [pair for fact in facts.tolist() for pair in _expected(model, fact)]
    expected = torch.cat([vector for vector, _ in pairs])
    if all(projection is None for _, projection in pairs):
        return expected.mean(dim=0)
    return (
        torch.linalg.lstsq(
            torch.cat([projection for _, projection in pairs if projection is not None]).double().cpu(),
            expected.flatten().double().cpu().unsqueeze(1),
            driver="gelsd",
        )
        .solution[:, 0]
        .to(expected)
    )


def _expected(model: Model, fact: list[int]) -> list[tuple[Tensor, Tensor | None]]:
    """What one fact expects, (1, e), from each view of the known entity, with P (e, width); None: the identity."""
    head, relation, tail = (torch.tensor([slot], device=model.device) for slot in fact)
    open_slot = Side.HEAD if fact[0] >= model.num_entities else Side.TAIL
    query = Query(head=None, relation=relation, tail=tail) if open_slot is Side.HEAD else Query(head, relation, None)
    anchor, asked, side = model.direct(query)
    vectors = model.encoder.condition(model.encode(anchor), asked)
    vector = model.relations(asked)
    views = [vectors] if len(model.encoder.views) == 1 else list(vectors.unbind(dim=1))
    projection = _projection(model, vector, side) if model.scoring.projects else None
    return [(model.scoring.expect(view, vector, side), projection) for view in views]


def _projection(model: Model, relation: Tensor, side: Side) -> Tensor:
    """The matrix by which a scoring function projects an entity into the open slot, but for the result's length."""
    width = model.scoring.entity_width
    rows = model.scoring.project(torch.eye(width, device=model.device), relation, side)
    any_vector = torch.linspace(-1, 2, width, device=model.device).cos().unsqueeze(0)
    projected = model.scoring.project(any_vector, relation, side)
    if torch.cosine_similarity(projected, any_vector @ rows).item() < 1 - 1e-4:
        raise ConfigError(
            f"{type(model.scoring).__name__} does not project entities by a matrix, so facts of a new entity say"
            " nothing of its vector; give pictures or words of it, or train with another scoring function"
        )
    return rows.T
