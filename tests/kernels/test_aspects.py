"""Attention of common queries to the rows that entities own: against the formula written out, and inside the model."""

from __future__ import annotations

import pytest
import torch
from random_data import make_data

from pictokg.assembly import build
from pictokg.kernels.aspects import look, owned

SPOTS, WIDTH = 5, 7


def draw(entities: int, most: int, seed: int = 0):
    """Rows, their spots, where each entity's start and how many there are; entities in no order, some without any."""
    generator = torch.Generator().manual_seed(seed)
    count = torch.randint(0, most + 1, (entities,), generator=generator)
    first, order = count.cumsum(0) - count, torch.randperm(entities, generator=generator)
    rows = torch.randn(int(count.sum()) + 1, WIDTH, generator=generator)
    spot = torch.randint(0, SPOTS, (len(rows),), generator=generator)
    return rows, spot, first[order], count[order]


def by_formula(queries, bias, rows, spot, first, count):
    seen = []
    for start, number in zip(first.tolist(), count.tolist(), strict=True):
        own = rows[start : start + number]
        weights = (own @ queries + bias[spot[start : start + number]]).softmax(dim=0)
        seen.append(weights.T @ own)
    return torch.stack(seen)


@pytest.mark.parametrize("aspects", [1, 3, 4])
@pytest.mark.parametrize(("entities", "most"), [(1, 1), (150, 9), (70, 40)])
def test_what_is_seen_and_its_gradients_are_those_of_the_formula(aspects, entities, most):
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(WIDTH, aspects, generator=generator).requires_grad_()
    bias = torch.randn(SPOTS, aspects, generator=generator).requires_grad_()
    rows, spot, first, count = draw(entities, most)
    pull = torch.randn(entities, aspects, WIDTH, generator=generator)
    expected = by_formula(queries, bias, rows, spot, first, count)
    seen = look(queries, bias, owned(rows, spot, first, count))
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=1e-5)
    assert not seen[count == 0].any()
    wanted = torch.autograd.grad((expected * pull).sum(), (queries, bias))
    found = torch.autograd.grad((seen * pull).sum(), (queries, bias))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_threads_do_not_change_a_bit():
    rows, spot, first, count = draw(500, 9)
    queries, bias = torch.randn(WIDTH, 4).requires_grad_(), torch.randn(SPOTS, 4).requires_grad_()
    threads, found = torch.get_num_threads(), []
    for number in (1, 4):
        torch.set_num_threads(number)
        seen = look(queries, bias, owned(rows, spot, first, count))
        found.append((seen.detach(), *torch.autograd.grad(seen.square().sum(), (queries, bias))))
    torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_patches_encode_and_learn_as_by_the_plain_formulas():
    data = make_data(entities=30)
    model = build("patches", data, dim=4, dropout=0.0, structure_dropout=0.0, modality_dropout=0.0)
    torch.nn.init.normal_(model.encoder.at_place)
    ids = torch.tensor([7, 0, 29, 3, 12])  # 0, 3 and 12 have no picture
    found = {}
    for allowed in (True, False):
        model.encoder.kernels = allowed
        assert model.encoder.gating.kernels is allowed
        encoded = model.encode(ids)
        gradients = torch.autograd.grad(encoded.square().sum(), list(model.encoder.parameters()), allow_unused=True)
        found[allowed] = [encoded, *(g for g in gradients if g is not None)]
    assert len(found[True]) == len(found[False])
    for one, other in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
