"""IKRL against an independent, plain computation: one triple and one picture at a time, gradients by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pictokg.graph.query import Query, Side, ask
from pictokg.losses.base import Scored
from pictokg.losses.margin import Margin
from pictokg.losses.separate_margin import SeparateMargin
from pictokg.models.ikrl import build

TERMS = ("ss", "si", "is", "ii")


def plain_views(model, table, entity: int, aggregation: str) -> tuple[np.ndarray, np.ndarray]:
    """e_S and e_I of one entity, as the paper writes them."""
    structure = model.encoder.structure.weight.detach().double().numpy()[entity]
    matrix = model.encoder.project.weight.detach().double().numpy()
    features = np.asarray(table.values[table.offsets[entity] : table.offsets[entity + 1]], dtype=np.float64)
    if not len(features):
        return structure, structure
    projected = [matrix @ (f / max(1.0, np.sqrt((f * f).sum()))) for f in features]
    logits = np.array([p @ structure for p in projected])
    if aggregation == "average":
        weights = np.ones(len(logits)) / len(logits)
    elif aggregation == "maximum":
        weights = np.eye(len(logits))[int(logits.argmax())]
    else:
        weights = np.exp(logits - logits.max())
        weights = weights / weights.sum()
    return structure, sum(a * p for a, p in zip(weights, projected, strict=True))


def plain_energies(model, table, triple, aggregation="attention", norm=1) -> list[float]:
    head, relation, tail = triple
    r = model.relations.weight.detach().double().numpy()[relation]
    heads, tails = plain_views(model, table, head, aggregation), plain_views(model, table, tail, aggregation)
    return [float(np.linalg.norm(h + r - t, ord=norm)) for h in heads for t in tails]


@pytest.fixture
def make(data):
    def make_model(**options):
        torch.manual_seed(1)
        model = build(data, dim=4, **options)
        model.initialise(torch.Generator().manual_seed(2))
        with torch.no_grad():
            model.encoder.project.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(3))
        return model

    return make_model


@pytest.mark.parametrize("aggregation", ["attention", "average", "maximum"])
@pytest.mark.parametrize("norm", [1, 2])
def test_the_four_energies(make, data, aggregation, norm):
    model = make(aggregation=aggregation, norm=norm)
    triples = torch.from_numpy(data.graph.split("train").astype(np.int64))
    assert model.term_names == TERMS
    for side in (Side.HEAD, Side.TAIL):
        query, answer = ask(triples, side)
        terms = model.terms(query, answer.unsqueeze(1))[:, 0].detach().numpy()
        expected = [
            [-energy for energy in plain_energies(model, data.tables["image"], triple, aggregation, norm)]
            for triple in triples.tolist()
        ]
        np.testing.assert_allclose(terms, expected, atol=1e-5)


def test_terms_chosen_at_test_are_sums_of_energies(make, data):
    model = make()
    triples = torch.from_numpy(data.graph.split("train")[:5].astype(np.int64))
    energies = np.array([plain_energies(model, data.tables["image"], triple) for triple in triples.tolist()])
    for name, columns in {
        "sbr": [0],
        "IBR": [3],
        "union": [0, 3],
        "all": [0, 1, 2, 3],
        "si,is": [1, 2],
    }.items():
        model.use_terms(name)
        np.testing.assert_allclose(
            model.score_triples(triples).detach().numpy(), -energies[:, columns].sum(axis=1), atol=1e-5
        )


def test_objective_of_the_paper_and_of_the_released_code(make, data):
    model, table, margin = make(), data.tables["image"], 1.5
    triples = torch.from_numpy(data.graph.split("train")[:6].astype(np.int64))
    query, answer = ask(triples, Side.TAIL)
    wrong = (answer.unsqueeze(1) + torch.tensor([1, 5])) % data.graph.num_entities
    positive, negative = model.terms(query, answer.unsqueeze(1))[:, 0], model.terms(query, wrong)
    summed = Margin(margin)(Scored(positive.sum(-1), negative.sum(-1)))
    separate = SeparateMargin(margin)(Scored(positive, negative))
    for row, (head, relation, tail) in enumerate(triples.tolist()):
        true = plain_energies(model, table, (head, relation, tail))
        false = [plain_energies(model, table, (head, relation, entity)) for entity in wrong[row].tolist()]
        paper = np.mean([max(0.0, margin + sum(true) - sum(energies)) for energies in false])
        code = np.mean(
            [sum(max(0.0, margin + e - f) for e, f in zip(true, energies, strict=True)) for energies in false]
        )
        assert summed[row].item() == pytest.approx(paper, abs=1e-5)
        assert separate[row].item() == pytest.approx(code, abs=1e-5)


def image_energy(model, triple) -> torch.Tensor:
    model.use_terms("ibr")
    return -model.score_triples(torch.tensor([triple])).sum()


def test_gradients_equal_finite_differences_when_they_flow_through_the_attention(make, data):
    model = make(norm=2).double()
    triple = data.graph.split("train")[4].tolist()
    image_energy(model, triple).backward()
    for parameter in (model.encoder.project.weight, model.encoder.structure.weight, model.relations.weight):
        analytic, step = parameter.grad, 1e-6
        for place in list(np.ndindex(*parameter.shape))[:60]:
            with torch.no_grad():
                parameter[place] += step
                above = image_energy(model, triple).item()
                parameter[place] -= 2 * step
                below = image_energy(model, triple).item()
                parameter[place] += step
            assert analytic[place].item() == pytest.approx((above - below) / (2 * step), abs=1e-5)


def test_without_attention_gradient_the_structure_hears_nothing_of_the_image_energy(make, data):
    """As in the released code: a_k is a constant of the backward pass; e_I reaches the projection alone."""
    model = make(attention_gradient=False)
    image_energy(model, next(t for t in data.graph.split("train").tolist() if t[0] % 3 and t[2] % 3)).backward()
    assert model.encoder.structure.weight.grad is None or not model.encoder.structure.weight.grad.any()
    assert model.encoder.project.weight.grad.abs().sum() > 0


def encode(model, ids=None):
    return model.encoder.encode_static(torch.arange(model.num_entities) if ids is None else ids).detach()


def test_weights_sum_to_one_and_one_picture_has_weight_one(make, data):
    model = make()
    rows, presence = model.encoder.rows(torch.arange(model.num_entities))
    projected = model.encoder.project(rows["image"])
    weights = model.encoder.attention(model.encoder.structure.weight, projected, presence["image"]).detach()
    owner = np.repeat(np.arange(model.num_entities), data.tables["image"].counts)
    sums = np.bincount(owner, weights.numpy(), minlength=model.num_entities)
    np.testing.assert_allclose(sums, data.tables["image"].present.astype(float), atol=1e-6)


def test_a_zero_structure_vector_averages_and_a_zero_projection_leaves_the_relation(make):
    attended, averaged = make(), make(aggregation="average")
    for model in (attended, averaged):
        with torch.no_grad():
            model.encoder.structure.weight.zero_()
    torch.testing.assert_close(encode(attended)[:, 1], encode(averaged)[:, 1])
    with torch.no_grad():
        attended.encoder.project.weight.zero_()
    attended.use_terms("ibr")
    expected = -attended.relations.weight[1].abs().sum()
    torch.testing.assert_close(attended.score_triples(torch.tensor([[1, 1, 2]]))[0], expected)


def test_an_entity_without_pictures_stands_in_with_its_structure(make):
    views = encode(make())
    torch.testing.assert_close(views[0, 1], views[0, 0])  # entity 0 has none


def test_an_entity_nobody_has_seen_is_the_average_of_its_pictures(make, data):
    model = make()
    rows, presence = model.encoder.rows(torch.tensor([1]))
    unseen = model.encoder.fuse(None, rows, presence)
    average = make(aggregation="average")
    average.load_state_dict(model.state_dict())
    torch.testing.assert_close(unseen[0, 1], average.encoder.encode_static(torch.tensor([1]))[0, 1])
    torch.testing.assert_close(unseen[0, 0], unseen[0, 1])


def test_structure_and_relations_stay_in_the_unit_ball_and_short_rows_stay_as_they_are(make):
    model = make(constrain=True)
    with torch.no_grad():
        model.encoder.structure.weight.copy_(torch.rand(12, 4))
        model.encoder.structure.weight[::2] *= 0.1
        model.relations.weight.fill_(3.0)
    before = model.encoder.structure.weight.clone()
    model.constrain(torch.arange(12), torch.arange(3))
    after, lengths = model.encoder.structure.weight, before.norm(dim=1)
    torch.testing.assert_close(after.norm(dim=1), lengths.clamp(max=1))
    assert torch.equal(after[lengths <= 1], before[lengths <= 1])
    torch.testing.assert_close(model.relations.weight.norm(dim=1), torch.ones(3))


def test_relation_questions_score_like_whole_triples(make, data):
    model = make()
    triples = torch.from_numpy(data.graph.split("train")[:7].astype(np.int64))
    query = Query(head=triples[:, 0], tail=triples[:, 2])
    scores = model.score(query, torch.arange(data.graph.num_relations))
    picked = scores[torch.arange(7), triples[:, 1]]
    torch.testing.assert_close(picked, model.score_triples(triples))


def test_the_released_code_teaches_wrong_relations_to_the_structure_energy_alone(make, data):
    model = make(relation_energies="sbr")
    query, _ = ask(torch.tensor([[0, 0, 1], [2, 1, 3]]), Side.RELATION)
    ids = torch.arange(model.num_relations)
    evaluated = model.eval().terms(query, ids)
    taught = model.train().terms(query, ids)
    torch.testing.assert_close(taught[..., 0], evaluated[..., 0])
    assert not taught[..., 1:].any()
    assert evaluated[..., 1:].all()
