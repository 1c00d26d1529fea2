"""Attention over owned rows by the kernel, beside the formula that gathers and projects every row."""

import numpy as np
import pytest
import torch

from pictokg.features.table import FeatureTable
from pictokg.fusion.base import EntityTable
from pictokg.fusion.image_attention import ImageAttention

COUNTS = [3, 0, 1, 7, 2, 0, 5, 1]


def encoder(aggregation: str, dtype: str = "float32", scale: float = 1.0, **options: object) -> ImageAttention:
    """Entities with 0 to 7 pictures; features of norm up to about `scale` · 4."""
    generator = np.random.default_rng(1)
    values = (scale * generator.standard_normal((sum(COUNTS), 16))).astype(dtype)
    table = FeatureTable("image", values, np.cumsum([0, *COUNTS]), [str(n) for n in range(len(values))])
    torch.manual_seed(0)
    structure = EntityTable(len(COUNTS), 6)
    with torch.no_grad():
        structure.weight.normal_()
    return ImageAttention(structure, table, aggregation=aggregation, **options)  # type: ignore[arg-type]  # a name from the parameters


def values_and_gradients(made: ImageAttention, ids: torch.Tensor, *, kernels: bool) -> list[torch.Tensor]:
    made.kernels = kernels
    made.zero_grad()
    found = made.encode_static(ids)
    pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    (found * pull).sum().backward()
    return [found.detach(), *(part.grad.clone() for part in (made.structure.weight, made.project.weight))]


@pytest.mark.parametrize("aggregation", ["attention", "average", "maximum"])
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 0.1), ("float32", 1.0), ("float16", 0.1), ("float16", 1.0)])
def test_values_and_gradients_are_those_of_projected_pictures(aggregation: str, dtype: str, scale: float) -> None:
    made = encoder(aggregation, dtype, scale)
    assert made.within_ball == (scale < 1)
    ids = torch.tensor([6, 0, 3, 1, 2, 5, 4])
    plain = values_and_gradients(made, ids, kernels=False)
    for one, other in zip(values_and_gradients(made, ids, kernels=True), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_attention_that_is_held_constant_teaches_the_pooled_pictures_alone() -> None:
    made = encoder("attention", attention_gradient=False)
    ids = torch.arange(len(COUNTS))
    plain = values_and_gradients(made, ids, kernels=False)
    for one, other in zip(values_and_gradients(made, ids, kernels=True), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_first_of_equal_pictures_is_the_maximum() -> None:
    values = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 0.5]], np.float32)
    table = FeatureTable("image", values, np.array([0, 3]), ["a", "b", "c"])
    structure = EntityTable(1, 2)
    made = ImageAttention(structure, table, aggregation="maximum")
    with torch.no_grad():
        structure.weight.copy_(torch.tensor([[1.0, 0.0]]))
        made.project.weight.copy_(torch.eye(2))
    assert made.encode_static(torch.tensor([0]))[0, 1].tolist() == [0.5, 0.0]


def test_a_file_that_may_not_be_written_and_any_number_of_threads_give_the_same(tmp_path) -> None:
    made, ids = encoder("attention", "float16"), torch.arange(len(COUNTS))
    expected = values_and_gradients(made, ids, kernels=True)
    np.save(tmp_path / "values.npy", made.pictures.values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    made.pictures = FeatureTable("image", mapped, made.pictures.offsets, made.pictures.keys)
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            for one, other in zip(values_and_gradients(made, ids, kernels=True), expected, strict=True):
                torch.testing.assert_close(one, other)
    finally:
        torch.set_num_threads(threads)


def test_one_picture_each_needs_no_query() -> None:
    table = FeatureTable("image", np.eye(4, dtype=np.float16)[:3], np.array([0, 1, 1, 3 - 1, 3]), ["a", "b", "c"])
    made = ImageAttention(EntityTable(4, 2), table)
    assert not made.several
    ids = torch.arange(4)
    plain = values_and_gradients(made, ids, kernels=False)
    for one, other in zip(values_and_gradients(made, ids, kernels=True), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_every_float16_is_read_as_numpy_reads_it() -> None:
    """All finite bit patterns, subnormal numbers and both zeros among them: the mean of one row is the row."""
    from pictokg.kernels.attention import Owned, pool

    bits = np.arange(1 << 16, dtype=np.uint16)
    numbers = bits.view(np.float16)
    rows = numbers[np.isfinite(numbers)].reshape(-1, 64)
    owned = Owned(rows, np.arange(len(rows)), np.ones(len(rows), np.int64))
    assert (pool(None, owned, "average").numpy() == rows.astype(np.float32)).all()
