"""Rows taken often: their gradients, and that they are the same whatever threads do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pictokg.fusion.gather import gather
from pictokg.fusion.image_attention import segment_softmax


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(7,), (4, 3)])
def test_a_row_s_gradient_is_the_sum_over_its_places(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 2, 3, generator=generator, requires_grad=True)
    place = torch.randint(0, 4, shape, generator=generator)
    weight = torch.randn(*shape, 2, 3, generator=generator)
    taken = gather(rows, place)
    assert torch.equal(taken, rows[place])
    (taken * weight).sum().backward()
    expected = torch.zeros(5, 2, 3)
    for at, own in zip(place.reshape(-1).tolist(), weight.reshape(-1, 2, 3), strict=True):
        expected[at] += own
    torch.testing.assert_close(rows.grad, expected)


@pytest.mark.usefixtures("two_threads")
def test_gradients_of_rows_taken_often_repeat_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    start, place = torch.randn(3, 8, generator=generator), torch.randint(0, 3, (20_000,), generator=generator)
    weight = torch.randn(20_000, 8, generator=generator)

    def gradient() -> Tensor:
        rows = start.clone().requires_grad_()
        (gather(rows, place) * weight).sum().backward()
        assert rows.grad is not None
        return rows.grad

    first = gradient()
    assert all(torch.equal(first, gradient()) for _ in range(5))


@pytest.mark.usefixtures("two_threads")
def test_gradients_through_attention_over_many_pictures_repeat_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(2)
    start, owner = torch.randn(60_000, generator=generator), torch.randint(0, 3, (60_000,), generator=generator)
    weight = torch.randn(60_000, generator=generator)

    def gradient() -> Tensor:
        logits = start.clone().requires_grad_()
        (segment_softmax(logits, owner, 3) * weight).sum().backward()
        assert logits.grad is not None
        return logits.grad

    first = gradient()
    assert all(torch.equal(first, gradient()) for _ in range(5))
