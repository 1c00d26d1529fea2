"""Every scoring function against its published formula, written plainly for one triple."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch

from pictokg.errors import ConfigError
from pictokg.graph.query import Side
from pictokg.scoring.complex import ComplEx
from pictokg.scoring.conve import ConvE
from pictokg.scoring.distmult import DistMult
from pictokg.scoring.pairre import PairRE
from pictokg.scoring.rotate import RotatE
from pictokg.scoring.transd import TransD
from pictokg.scoring.transe import TransE
from pictokg.scoring.transh import TransH
from pictokg.scoring.transr import TransR
from pictokg.scoring.tucker import TuckER

DIM, SPACE, COUNT = 6, 4, 5
BATCH_NORM_EPSILON = 1e-5


def norm(values, p):
    return sum(abs(value) ** p for value in values) ** (1 / p)


def transe(h, r, t, p=1):
    return -norm([h[j] + r[j] - t[j] for j in range(DIM)], p)


def transh(h, r, t, p=2):
    step, normal = r[:DIM], r[DIM:]

    def shadow(e):
        along = sum(normal[j] * e[j] for j in range(DIM))
        return [e[j] - along * normal[j] for j in range(DIM)]

    return -norm([x + s - y for x, s, y in zip(shadow(h), step, shadow(t), strict=True)], p)


def transr(h, r, t, p=2):
    step, matrix = r[:SPACE], r[SPACE:].reshape(DIM, SPACE)

    def moved(e):
        return [sum(e[i] * matrix[i, k] for i in range(DIM)) for k in range(SPACE)]

    return -norm([x + s - y for x, s, y in zip(moved(h), step, moved(t), strict=True)], p)


def transd(h, r, t, p=2):
    space = len(r) // 2
    step, relation_transfer = r[:space], r[space:]

    def moved(e):
        matrix = np.zeros((space, DIM))
        for k in range(space):
            for i in range(DIM):
                matrix[k, i] = relation_transfer[k] * e[DIM + i] + (1.0 if k == i else 0.0)
        return matrix @ e[:DIM]

    return -norm(moved(h) + step - moved(t), p)


def distmult(h, r, t):
    return sum(h[j] * r[j] * t[j] for j in range(DIM))


def to_complex(row):
    return [complex(row[j], row[DIM + j]) for j in range(DIM)]


def complex_bilinear(h, r, t):
    triple = zip(to_complex(h), to_complex(r), to_complex(t), strict=True)
    return sum(x * y * z.conjugate() for x, y, z in triple).real


def rotate(h, r, t):
    return -sum(abs(x * cmath.exp(1j * a) - z) for x, a, z in zip(to_complex(h), r, to_complex(t), strict=True))


def pairre(h, r, t):
    long_h, long_t = norm(h, 2), norm(t, 2)
    return -sum(abs(h[j] / long_h * r[j] - t[j] / long_t * r[DIM + j]) for j in range(DIM))


TWO_SIDED = [
    (TransE(DIM), transe),
    (TransE(DIM, norm=2), lambda h, r, t: transe(h, r, t, 2)),
    (TransH(DIM), transh),
    (TransH(DIM, norm=1), lambda h, r, t: transh(h, r, t, 1)),
    (TransR(DIM, relation_dim=SPACE), transr),
    (TransR(DIM, relation_dim=SPACE, norm=1), lambda h, r, t: transr(h, r, t, 1)),
    (TransD(DIM), transd),
    (TransD(DIM, relation_dim=SPACE), transd),
    (TransD(DIM, relation_dim=DIM + 2, norm=1), lambda h, r, t: transd(h, r, t, 1)),
    (DistMult(DIM), distmult),
    (ComplEx(DIM), complex_bilinear),
    (RotatE(DIM), rotate),
    (PairRE(DIM), pairre),
]


@pytest.mark.parametrize(("function", "formula"), TWO_SIDED, ids=lambda part: getattr(part, "__name__", None))
def test_both_sides_own_and_shared_equal_the_published_formula(function, formula):
    random = np.random.default_rng(0)
    entities = random.normal(size=(COUNT, function.entity_width))
    relation = random.normal(size=function.relation_width)
    truth = torch.tensor([[formula(h, relation, t) for t in entities] for h in entities], dtype=torch.float64)
    rows, relations = torch.tensor(entities), torch.tensor(relation).expand(COUNT, -1)
    own = rows.expand(COUNT, -1, -1)
    for candidates in (rows, own):
        torch.testing.assert_close(function.score(rows, relations, candidates, Side.TAIL), truth)
        torch.testing.assert_close(function.score(rows, relations, candidates, Side.HEAD), truth.T)


def batch_norm(values, layer, channel):
    """Normalise one channel by its running figures."""
    mean, variance = layer.running_mean[channel].item(), layer.running_var[channel].item()
    weight, bias = layer.weight[channel].item(), layer.bias[channel].item()
    return (values - mean) / math.sqrt(variance + BATCH_NORM_EPSILON) * weight + bias


def shake_batch_norms(function):
    """Give running figures and weights values that are not the neutral ones."""
    generator = torch.Generator().manual_seed(5)
    for layer in function.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            for values in layer.parameters():
                values.data.uniform_(0.5, 2, generator=generator)


def initialised(function):
    function = function.double().eval()
    rows = (
        torch.empty(COUNT, function.entity_width).double(),
        torch.empty(COUNT, function.relation_width).double(),
    )
    function.initialise(*rows, torch.Generator().manual_seed(0))
    shake_batch_norms(function)
    entities, relations = (2 * torch.randn(values.shape, dtype=torch.float64) for values in rows)
    return function, entities, relations


def plain_conve(function, head, relation, tail):
    height, width = function.height, function.dim // function.height
    picture = np.concatenate([head[: function.dim].reshape(height, width), relation.reshape(height, width)])
    picture = batch_norm(picture, function.input_norm, 0)
    filters = function.convolution.weight.detach().numpy()
    biases = function.convolution.bias.detach().numpy()
    maps = []
    for channel in range(len(filters)):
        for row in range(2 * height - 2):
            for column in range(width - 2):
                total = biases[channel]
                for i in range(3):
                    for j in range(3):
                        total += filters[channel, 0, i, j] * picture[row + i, column + j]
                maps.append(max(0.0, batch_norm(total, function.map_norm, channel)))
    hidden = function.dense.weight.detach().numpy() @ np.array(maps) + function.dense.bias.detach().numpy()
    expected = [max(0.0, batch_norm(value, function.output_norm, j)) for j, value in enumerate(hidden)]
    return sum(x * y for x, y in zip(expected, tail[: function.dim], strict=True)) + tail[function.dim]


@pytest.mark.parametrize("height", [None, 2, 3])
def test_conve_equals_a_convolution_in_plain_loops(height):
    function, entities, relations = initialised(ConvE(dim=12, channels=3, height=height))
    truth = [
        [plain_conve(function, head, relation, tail) for tail in entities.numpy()]
        for head, relation in zip(entities.numpy(), relations.numpy(), strict=True)
    ]
    scores = function.score(entities, relations, entities, Side.TAIL)
    torch.testing.assert_close(scores, torch.tensor(truth))


def test_conve_lays_out_200_values_as_published():
    function = ConvE(dim=200)
    assert function.height == 20
    assert function.dense.in_features == 32 * 38 * 8  # 9,728, the published hidden size


@pytest.mark.parametrize(
    ("dim", "options", "found"), [(12, {"height": 5}, "divide"), (7, {}, "filter"), (4, {}, "filter")]
)
def test_conve_refuses_pictures_it_cannot_convolve(dim, options, found):
    with pytest.raises(ConfigError, match=found):
        ConvE(dim=dim, **options)


@pytest.mark.parametrize("width", [3, 4])
def test_tucker_equals_the_full_product_with_its_core(width):
    function, entities, relations = initialised(TuckER(dim=4, relation_dim=width))
    core = function.core.detach().numpy()
    truth = np.zeros((COUNT, COUNT))
    for query in range(COUNT):
        head = [batch_norm(value, function.input_norm, j) for j, value in enumerate(entities.numpy()[query])]
        middle = np.einsum("kij,k,i->j", core, relations.numpy()[query], np.array(head))
        expected = np.array([batch_norm(value, function.output_norm, j) for j, value in enumerate(middle)])
        for answer in range(COUNT):
            truth[query, answer] = expected @ entities.numpy()[answer]
    scores = function.score(entities, relations, entities, Side.TAIL)
    torch.testing.assert_close(scores, torch.tensor(truth))


def drawn(function, entities=200, relations=50):
    rows = torch.empty(entities, function.entity_width), torch.empty(relations, function.relation_width)
    function.initialise(*rows, torch.Generator().manual_seed(0))
    return rows


def test_first_values_are_the_published_ones():
    entities, relations = drawn(TransE(DIM))
    torch.testing.assert_close(entities.norm(dim=1), torch.ones(200))
    torch.testing.assert_close(relations.norm(dim=1), torch.ones(50))
    entities, relations = drawn(RotatE(DIM, init_margin=10))
    assert entities.abs().max() <= 12 / DIM < 1.05 * entities.abs().max()
    assert relations.abs().max() <= math.pi < 1.05 * relations.abs().max()
    entities, _ = drawn(ComplEx(DIM, init_scale=0.01))
    assert entities.std().item() == pytest.approx(0.01, rel=0.1)
    function = TuckER(dim=DIM)
    drawn(function)
    assert 0.9 < function.core.abs().max() <= 1
    entities, _ = drawn(ConvE(dim=12))
    assert (entities[:, 12] == 0).all()


@pytest.mark.parametrize("function", [TransR(DIM), TransD(DIM)], ids=["TransR", "TransD"])
def test_matrices_start_as_the_identity(function):
    entities, relations = drawn(function)
    projected = function.project(entities, relations[:1], Side.TAIL)
    torch.testing.assert_close(projected, entities[:, :DIM])


def test_constraints_are_the_published_ones():
    rows = torch.randn(20, 2 * DIM) * torch.linspace(0.01, 3, 20).unsqueeze(1)  # short ones and long ones
    ones = torch.ones(20)
    torch.testing.assert_close(TransE(DIM).constrain_entities(rows[:, :DIM]).norm(dim=1), ones)
    assert TransE(DIM, constrain=False).constrain_entities(rows) is rows
    assert (TransH(DIM).constrain_entities(rows[:, :DIM]).norm(dim=1) <= 1 + 1e-6).all()
    constrained = TransH(DIM).constrain_relations(rows)
    torch.testing.assert_close(constrained[:, DIM:].norm(dim=1), ones)
    assert torch.equal(constrained[:, :DIM], rows[:, :DIM])
    for constrain in (TransD(DIM).constrain_entities, TransD(DIM).constrain_relations):
        assert (constrain(rows)[:, :DIM].norm(dim=1) <= 1 + 1e-6).all()
        assert torch.equal(constrain(rows)[:, DIM:], rows[:, DIM:])
    wide = torch.randn(20, 2 * (1 + DIM))
    function = TransR(DIM, relation_dim=2)
    assert (function.constrain_relations(3 * wide)[:, :2].norm(dim=1) <= 1 + 1e-6).all()
    assert torch.equal(function.constrain_relations(wide)[:, 2:], wide[:, 2:])
    for function in (DistMult(DIM), ComplEx(DIM), RotatE(DIM), PairRE(DIM)):
        assert function.constrain_entities(rows) is rows
        assert function.constrain_relations(rows) is rows


def test_moduli_of_complex_functions_pair_real_with_imaginary():
    row = torch.tensor([[3.0, 0.0, 4.0, 2.0]])
    assert ComplEx(2).moduli(row).tolist() == [[5.0, 2.0]]
    assert RotatE(2).moduli(row).tolist() == [[5.0, 2.0]]
    torch.testing.assert_close(RotatE(2).moduli(torch.randn(3, 2)), torch.ones(3, 2))
    assert DistMult(4).moduli(-row).tolist() == row.tolist()
