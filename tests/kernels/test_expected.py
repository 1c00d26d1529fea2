"""What questions expect, and its gradients, by closed forms: those of the scoring function and autograd."""

from __future__ import annotations

import pytest
import torch

from pictokg.graph.query import Side
from pictokg.kernels.expected import Expected
from pictokg.scoring.complex import ComplEx
from pictokg.scoring.distmult import DistMult
from pictokg.scoring.transe import TransE

ENTITIES, RELATIONS, BATCH = 30, 5, 600


def drawn():
    generator = torch.Generator().manual_seed(0)
    anchor, relation = (torch.randint(high, (BATCH,), generator=generator) for high in (ENTITIES, RELATIONS - 1))
    tails = torch.rand(BATCH, generator=generator) < 0.5
    return anchor, relation, tails, generator


@pytest.mark.parametrize("scoring", [TransE(6), DistMult(7), ComplEx(5)], ids=lambda scoring: scoring.composition)
def test_expected_vectors_and_their_gradients_are_those_of_the_scoring_function(scoring):
    anchor, relation, tails, generator = drawn()
    entities, relations = (
        torch.randn(count, scoring.entity_width, generator=generator, requires_grad=True)
        for count in (ENTITIES, RELATIONS)
    )
    rows = entities[anchor]
    rows.retain_grad()
    by_side = [scoring.expect(rows, relations[relation], side) for side in (Side.TAIL, Side.HEAD)]
    wanted = torch.where(tails[:, None], *by_side)
    gradient = torch.randn(wanted.shape, generator=generator)
    wanted.backward(gradient)
    kernel = Expected(entities, relations, scoring.composition)
    torch.testing.assert_close(kernel.ask(anchor, relation, tails * 2.0 - 1.0), wanted.detach())
    by_anchor, by_relation = kernel.gradients(gradient)
    torch.testing.assert_close(by_anchor, rows.grad)
    torch.testing.assert_close(by_relation, relations.grad, atol=1e-4, rtol=1e-5)
    assert not by_relation[RELATIONS - 1].any(), "nobody asked with the last relation"


def test_any_number_of_threads_gives_the_same_numbers():
    anchor, relation, tails, generator = drawn()
    entities, relations = torch.randn(ENTITIES, 8, generator=generator), torch.randn(RELATIONS, 8, generator=generator)
    gradient, before, found = torch.randn(BATCH, 8, generator=generator), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            kernel = Expected(entities, relations, "complex")
            expected = kernel.ask(anchor, relation, tails * 2.0 - 1.0)
            found.append((expected, *kernel.gradients(gradient)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], other, strict=True))
