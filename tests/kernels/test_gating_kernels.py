"""Gated sums beside the formula, and dropout beside its law."""

import pytest
import torch
from random_data import make_data

from pictokg.fusion.base import EntityTable
from pictokg.fusion.gating import DiagonalGating, Gating
from pictokg.fusion.rows import PooledRows
from pictokg.kernels.gating import diagonally_gated_sum, drop, gated_sum


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_gated_sums_and_their_gradients_are_those_of_the_formula(modalities: int) -> None:
    torch.manual_seed(0)
    logits = [(3 * torch.randn(300, 7)).requires_grad_() for _ in range(modalities)]
    values = [torch.randn(300, 7, requires_grad=True) for _ in range(modalities)]
    kept = (torch.rand(300, modalities) > 0.3).float()
    pull = torch.randn(300, 7)
    by_formula = sum(kept[:, m : m + 1] * logits[m].sigmoid() * values[m] for m in range(modalities))
    assert isinstance(by_formula, torch.Tensor)
    by_kernel = gated_sum(logits, values, kept)
    torch.testing.assert_close(by_kernel, by_formula, rtol=1e-5, atol=1e-6)
    found, wanted = (torch.autograd.grad((out * pull).sum(), [*logits, *values]) for out in (by_kernel, by_formula))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_gates_far_from_zero_are_open_or_shut() -> None:
    logits, values = torch.tensor([[200.0, -200.0, 0.0]]), torch.full((1, 3), 2.0)
    assert gated_sum([logits], [values], torch.ones(1, 1))[0].tolist() == pytest.approx([2.0, 0.0, 1.0], abs=1e-30)


@pytest.mark.parametrize("modalities", [1, 3])
def test_diagonally_gated_sums_and_their_gradients_are_those_of_the_formula(modalities: int) -> None:
    torch.manual_seed(0)
    values = [torch.randn(600, 7, requires_grad=True) for _ in range(modalities)]
    weights = [(3 * torch.randn(7)).requires_grad_() for _ in range(modalities)]
    biases = [torch.randn(7, requires_grad=True) for _ in range(modalities)]
    kept = (torch.rand(600, modalities) > 0.3).float()
    pull = torch.randn(600, 7)
    gates = [(b + u * z).sigmoid() for u, b, z in zip(weights, biases, values, strict=True)]
    by_formula = torch.stack([kept[:, m : m + 1] * gates[m] * values[m] for m in range(modalities)]).sum(dim=0)
    by_kernel = diagonally_gated_sum(values, weights, biases, kept)
    torch.testing.assert_close(by_kernel, by_formula, rtol=1e-5, atol=1e-6)
    leaves = [*values, *weights, *biases]
    found, wanted, again = (
        torch.autograd.grad((out * pull).sum(), leaves, retain_graph=True) for out in (by_kernel, by_formula, by_kernel)
    )
    for one, other, same in zip(found, wanted, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        assert torch.equal(one, same)  # sums over rows are taken in one order


def test_diagonal_gates_far_from_zero_are_open_or_shut() -> None:
    values, ones = torch.tensor([[200.0, -200.0, 0.0]]), torch.ones(3)
    found = diagonally_gated_sum([values], [ones], [0 * ones], torch.ones(1, 1))[0].tolist()
    assert found == pytest.approx([200.0, 0.0, 0.0], abs=1e-30)


@pytest.mark.parametrize("chance", [0.02, 0.2, 0.6])
@pytest.mark.parametrize("width", [1, 7, 64])
def test_every_number_is_dropped_with_its_chance_whatever_its_place(chance: float, width: int) -> None:
    torch.manual_seed(1)
    rows = torch.ones(4000, width)
    found = drop(rows, chance)
    scale = 1 / (1 - chance)
    assert set(found.unique().tolist()) == {0.0, torch.tensor(scale).item()}
    lost = (found == 0).double()
    expected, deviation = 4000 * chance, (4000 * chance * (1 - chance)) ** 0.5
    assert ((lost.sum(dim=0) - expected).abs() < 5 * deviation).all()  # columns
    squares = ((lost.sum(dim=1) - width * chance) ** 2 / (width * chance * (1 - chance))).sum()  # rows: χ² with 4000
    # The variance of a χ² of one binomial is 2 + (1 − 6 p q) / (n p q).
    variance = 4000 * (2 + (1 - 6 * chance * (1 - chance)) / (width * chance * (1 - chance)))
    assert abs(squares - 4000) < 5 * variance**0.5
    if width > 1:  # neighbours, and numbers a quarter of the row apart, do not know of each other
        for apart in (1, (width + 3) // 4):
            both = (lost[:, apart:] * lost[:, :-apart]).mean()
            assert abs(both - chance**2) < 6 * (chance**2 * (1 - chance**2) / (4000 * (width - apart))) ** 0.5 * 1.5


def test_gradients_pass_where_numbers_did_and_whole_rows_keep_everything() -> None:
    rows = torch.randn(50, 9, requires_grad=True)
    whole = torch.arange(50) % 3 == 0
    found = drop(rows, 0.5, whole)
    (gradient,) = torch.autograd.grad(found.sum(), rows)
    torch.testing.assert_close(found, gradient * rows)
    assert (gradient[whole] == 1).all()
    assert set(gradient[~whole].unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("width", [1, 4, 7, 256])
def test_the_mask_is_the_one_written_out(width: int) -> None:
    rows, whole = torch.randn(300, width), torch.arange(300) % 5 == 0
    torch.manual_seed(3)
    by_kernel = drop(rows, 0.3, whole)
    torch.manual_seed(3)
    torch.testing.assert_close(by_kernel, drop(rows, 0.3, whole, kernels=False))


def test_the_same_seed_drops_the_same_and_another_draw_other_numbers() -> None:
    rows = torch.ones(20, 30)
    torch.manual_seed(5)
    first, second = drop(rows, 0.3), drop(rows, 0.3)
    torch.manual_seed(5)
    assert torch.equal(drop(rows, 0.3), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", [Gating, DiagonalGating])
def test_gating_encodes_and_learns_as_by_the_plain_formulas(kind: type[Gating]) -> None:
    data = make_data(entities=40, triples=90)
    made = []
    for kernels in (True, False):
        torch.manual_seed(0)
        structure = EntityTable(40, 6)
        with torch.no_grad():
            structure.weight.normal_()
        tables = {name: PooledRows(table) for name, table in data.tables.items()}
        encoder = kind(structure, tables)
        encoder.kernels = kernels
        found = encoder.train().encode_static(torch.arange(40))
        pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
        (found * pull).sum().backward()
        made.append({"encodings": found.detach(), **{name: part.grad for name, part in encoder.named_parameters()}})
    for name, value in made[0].items():
        torch.testing.assert_close(value, made[1][name], rtol=1e-5, atol=1e-5, msg=name)


def test_structure_dropout_spares_entities_that_have_nothing_else() -> None:
    data = make_data(entities=40, triples=90)
    encoder = Gating(EntityTable(40, 64), {"image": PooledRows(data.tables["image"])}, structure_dropout=0.9).train()
    with torch.no_grad():
        encoder.structure.weight.fill_(1.0)
        encoder.gate["structure"].weight.zero_()
    rows, presence = encoder.rows(torch.arange(40))
    parts = encoder.contributions(encoder.structure(torch.arange(40)), rows, presence)["structure"]
    gate = encoder.gate["structure"].bias.sigmoid()
    alone = presence["image"] == 0
    torch.testing.assert_close(parts[alone], gate.expand_as(parts[alone]))
    assert (parts[~alone] == 0).double().mean() > 0.8
