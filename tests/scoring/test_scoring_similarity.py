"""The four similarities against plain loops, at equal vectors, and within their memory."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from pictokg.errors import ConfigError
from pictokg.scoring import distance
from pictokg.scoring.distance import negative_l1, negative_l2, negative_modulus, negative_norm
from pictokg.scoring.similarity import dot


def plain(name, a, b):
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    if name == "dot":
        return sum(x * y for x, y in pairs)
    if name == "negative_l1":
        return -sum(abs(x - y) for x, y in pairs)
    if name == "negative_l2":
        return -math.sqrt(sum((x - y) ** 2 for x, y in pairs))
    differences = [x - y for x, y in pairs]
    half = len(differences) // 2
    return -sum(abs(complex(*parts)) for parts in zip(differences[:half], differences[half:], strict=True))


@pytest.fixture(params=[dot, negative_l1, negative_l2, negative_modulus], ids=lambda formula: formula.__name__)
def formula(request):
    return request.param


def test_own_and_shared_candidates_equal_plain_loops(formula, monkeypatch):
    monkeypatch.setattr(distance, "BLOCK_VALUES", 3 * 6 * 4)  # blocks of 4: the last of 30 is not full
    expected, shared = torch.randn(3, 6), torch.randn(30, 6)
    truth = torch.tensor([[plain(formula.__name__, row, column) for column in shared] for row in expected])
    torch.testing.assert_close(formula(expected, shared), truth, rtol=1e-5, atol=1e-5)
    own = torch.stack([shared.roll(row, dims=0) for row in range(3)])
    truth = torch.stack([truth[row].roll(row) for row in range(3)])
    torch.testing.assert_close(formula(expected, own), truth, rtol=1e-5, atol=1e-5)


def test_equal_vectors_are_nearest_with_finite_gradients(formula):
    vectors = torch.randn(4, 6)
    for own in (False, True):
        expected = vectors.clone().requires_grad_()
        candidates = (vectors.expand(4, -1, -1) if own else vectors).clone().requires_grad_()
        scores = formula(expected, candidates)
        scores.sum().backward()
        if formula is not dot:
            torch.testing.assert_close(scores.diagonal(), torch.zeros(4))
            assert (scores.argmax(dim=1) == torch.arange(4)).all()
        assert expected.grad.isfinite().all()
        assert candidates.grad.isfinite().all()


def test_near_vectors_far_from_zero_keep_their_distance():
    """A distance taken through a matrix product would be lost to cancellation here."""
    expected = torch.full((1, 8), 100.0)
    candidates = expected.repeat(30, 1)
    candidates[:, 0] += torch.arange(30) / 64
    torch.testing.assert_close(negative_l2(expected, candidates)[0], -torch.arange(30) / 64)


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation makes."""

    values = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor) and "expand" not in str(function):
            self.values = max(self.values, result.numel())
        return result


def test_shared_candidates_never_make_the_whole_block(formula, monkeypatch):
    batch, count, dim = 8, 64, 32
    monkeypatch.setattr(distance, "BLOCK_VALUES", batch * dim * 4)
    expected, candidates = torch.randn(batch, dim), torch.randn(count, dim).requires_grad_()
    saved = []
    with Largest() as largest, saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        formula(expected, candidates).sum().backward()
    assert largest.values <= batch * count * dim / 8
    assert sum(saved) <= batch * count * dim / 2


def test_a_norm_that_does_not_exist_is_refused():
    assert negative_norm(1) is negative_l1
    assert negative_norm(2) is negative_l2
    with pytest.raises(ConfigError, match="norm is 3; choose 1"):
        negative_norm(3)
