"""Attention over patches: the sum written out, masks, order, the relation's part in it, and what dot products allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from random_data import make_data

from pictokg.assembly import build, build_model, build_trainer
from pictokg.config import configure
from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError, DataWarning
from pictokg.features.table import FeatureTable
from pictokg.fusion.patch_rows import place_of
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.query import Side, ask
from pictokg.graph.vocabulary import Vocabulary
from pictokg.prediction.export import export_vectors
from pictokg.training.fit import Keeper, fit
from pictokg.training.step import training_loss

PARTS = ["", *(f"#patch {row},{column}" for row in range(2) for column in range(2))]


def with_patches(data: Dataset, seed: int = 0) -> Dataset:
    """The random graph, each picture cut into a whole and four parts; every third entity has no picture."""
    table = data.tables["image"]
    keys = [f"{key}.png{part}" for key in table.keys for part in PARTS]
    values = np.random.default_rng(seed).normal(size=(len(keys), 6)).astype(np.float32)
    return data.with_table("image", FeatureTable("image", values, table.offsets * len(PARTS), keys))


@pytest.fixture
def pictured(data):
    return with_patches(data)


def make(data, **options):
    """An untrained model with everything that starts at 0 moved away from it."""
    model = build("patches", data, **{"dim": 3, "aspects": 3, "scoring": "distmult", **options}).eval()
    generator = torch.Generator().manual_seed(1)
    encoder = model.encoder
    with torch.no_grad():
        for parameter in filter(lambda value: value is not None, (encoder.choice, encoder.trust, encoder.at_place)):
            parameter.normal_(generator=generator)
        encoder.structure.weight.normal_(generator=generator)
    return model


def everyone(data):
    return torch.arange(data.graph.num_entities)


def numbers(tensor):
    return tensor.detach().double().numpy()


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def written_out(model, data, entity, relation, most=10**6):
    """One entity's vector under one relation, from the table's rows, and how much it looks at each of them."""
    encoder, table = model.encoder, data.tables["image"]
    kept = np.concatenate(
        [np.arange(start, min(stop, start + most)) for start, stop in itertools.pairwise(table.offsets)]
    )
    centre, scale = table.values[kept].mean(axis=0), table.values[kept].std(axis=0)
    gating = encoder.gating

    def gated(name, vector):
        gate = gating.gate[name]
        return sigmoid(numbers(gate.weight) @ vector + numbers(gate.bias)) * vector

    trust = 2 * sigmoid(numbers(encoder.trust[relation])) if encoder.trust is not None else np.ones(3)
    total = trust[0] * gated("structure", numbers(gating.structure.weight[entity]))
    text, counted = gating.tables["text"](torch.tensor([entity]))
    if counted[0]:
        project = gating.project["text"]
        total += trust[1] * gated("text", numbers(project.weight) @ numbers(text[0]) + numbers(project.bias))
    rows = range(table.offsets[entity], min(table.offsets[entity + 1], table.offsets[entity] + most))
    shown = [(table.values[row] - centre) / scale for row in rows]
    place = [encoder.patches.places.index(place_of(table.keys[row])) for row in rows]
    choice, weights = softmax(numbers(encoder.choice[relation])), np.zeros(len(shown))
    for aspect in range(encoder.query.shape[1]) if shown else ():
        query, at_place = numbers(encoder.query[:, aspect]), numbers(encoder.at_place[:, aspect])
        looks = softmax(np.array([query @ x + at_place[where] for x, where in zip(shown, place, strict=True)]))
        project = gating.project["image"]
        seen = numbers(project.weight) @ sum(look * x for look, x in zip(looks, shown, strict=True)) + numbers(
            project.bias
        )
        total += trust[2] * choice[aspect] * gated("image", seen)
        weights += choice[aspect] * looks
    return total, list(rows), weights


@pytest.mark.parametrize("options", [{}, {"trust": False}, {"most_patches": 7}], ids=str)
def test_vectors_and_attention_are_those_written_out_entity_by_entity(options, pictured):
    model = make(pictured, **options)
    static = model.encode(everyone(pictured))
    most = options.get("most_patches", 32)
    for relation in (0, model.num_relations):  # a relation and a reciprocal one
        asked = torch.full((len(static),), relation)
        vectors = model.encoder.condition(static, asked)
        torch.testing.assert_close(model.encoder.condition(static, asked[:1]), vectors)
        rows, weights = model.encoder.attention(everyone(pictured), asked)
        found = iter(zip(rows.tolist(), weights.tolist(), strict=True))
        for entity in range(len(static)):
            expected, owned, looks = written_out(model, pictured, entity, relation, most)
            np.testing.assert_allclose(vectors[entity].detach(), expected, atol=1e-5)
            mine = list(itertools.islice(found, len(owned)))
            assert [row for row, _ in mine] == owned
            np.testing.assert_allclose([weight for _, weight in mine], looks, atol=1e-6)
            if owned:
                assert sum(weight for _, weight in mine) == pytest.approx(1, abs=1e-6)
        assert next(found, None) is None


def test_empty_slots_count_for_nothing_whatever_they_hold(pictured):
    encoder = make(pictured).encoder
    rows, presence = encoder.rows(everyone(pictured))
    structure = encoder.structure(everyone(pictured))
    before = encoder.fuse(structure, rows, presence)
    empty = torch.arange(rows["image"].shape[1]) >= presence["image"].unsqueeze(1)
    assert empty[presence["image"] == 0].all()
    rows["image"] = rows["image"].masked_fill(empty.unsqueeze(2), 1e4)
    torch.testing.assert_close(encoder.fuse(structure, rows, presence), before)
    aspects = before[presence["image"] == 0][:, len(encoder.single) :]
    assert not aspects.any()
    assert before[presence["image"] > 0][:, len(encoder.single) :].all()


def test_an_entity_without_an_id_is_encoded_from_its_rows_by_the_same_code(pictured):
    encoder = make(pictured).encoder
    rows, presence = encoder.rows(everyone(pictured))
    known, unseen = encoder.encode_static(everyone(pictured)), encoder.fuse(None, rows, presence)
    assert encoder.single[0] == "structure"
    assert not unseen[:, 0].any()
    torch.testing.assert_close(unseen[:, 1:], known[:, 1:])


def test_the_order_of_an_entitys_patches_does_not_matter(pictured):
    table, generator = pictured.tables["image"], np.random.default_rng(3)
    order = np.concatenate(
        [start + generator.permutation(stop - start) for start, stop in itertools.pairwise(table.offsets)]
    )
    keys = [table.keys[row] for row in order]
    shuffled = pictured.with_table("image", FeatureTable("image", table.values[order], table.offsets, keys))
    assert (order != np.arange(len(order))).any()
    first, second = make(pictured), make(shuffled)
    torch.testing.assert_close(first.encode(everyone(pictured)), second.encode(everyone(pictured)))


@pytest.mark.parametrize("scoring", ["distmult", "complex", "transe", "transr"])
def test_all_ways_to_score_shared_candidates_agree(scoring, pictured, monkeypatch):
    model = make(pictured, scoring=scoring)
    for side in (Side.HEAD, Side.TAIL):
        query, _ = ask(torch.from_numpy(pictured.graph.split("train").astype(np.int64)), side)
        own = model.score(query, everyone(pictured).expand(len(query), -1))
        for limit in (0, 10**6):  # a call a relation; all relations at once, where scores are dot products
            monkeypatch.setattr("pictokg.models._expansion.WORTH_A_CALL", limit)
            torch.testing.assert_close(model.score(query, everyone(pictured)), own, atol=1e-4, rtol=1e-4)


def test_the_same_pictures_answer_relations_differently(pictured):
    model = make(pictured, modalities=["image"])
    entity = torch.tensor([1, 1])
    rows, weights = model.encoder.attention(entity, torch.tensor([0, 1]))
    one, other = weights.chunk(2)
    assert torch.equal(*rows.chunk(2))
    assert (one - other).abs().max() > 0.01
    vectors = model.encoder.condition(model.encode(entity), torch.tensor([0, 1]))
    assert not torch.allclose(*vectors)


def test_gradients_are_those_of_the_formula(pictured):
    model = make(pictured).double()
    encoder, ids = model.encoder, torch.tensor([0, 1, 2, 5])
    encoder.patches.slots.values = encoder.patches.slots.values.double()
    monkey = encoder.looks  # float32 inside, for bfloat16's sake: too coarse for differences of 1e-6

    def looks(patches, place, count):
        logits = patches @ encoder.query + encoder.at_place[place]
        there = (torch.arange(patches.shape[1]) < count.unsqueeze(1)).unsqueeze(2)
        return logits.masked_fill(~there, -torch.inf).softmax(dim=1).nan_to_num(0) * there

    rows, presence = encoder.rows(ids)
    rows = {name: row if name == "place" else row.double() for name, row in rows.items()}
    plain = looks(rows["image"], rows["place"], presence["image"])
    torch.testing.assert_close(monkey(rows["image"], rows["place"], presence["image"]), plain, atol=1e-6, rtol=1e-5)
    parameters = (encoder.query, encoder.at_place, encoder.choice, encoder.trust)

    def vectors(*_):
        return encoder.condition(encoder.fuse(encoder.structure(ids), rows, presence), torch.tensor([0, 1, 2, 0]))

    encoder.looks = looks
    assert torch.autograd.gradcheck(vectors, parameters)


def settings(**options):
    return [*{"dim": 8, "epochs": 4, "batch_size": 16, "validate_every": 1, **options}.items()]


def trained(data, folder=None, resume=False, **options):
    config = configure("patches", settings=settings(**options))
    model = build_model(config, data)
    fit(build_trainer(config, model, data), data, folder=folder, resume=resume)
    return model


@pytest.mark.parametrize("sampler", ["one_vs_all", "k_vs_all", "uniform"])
def test_fast_paths_have_the_gradients_of_the_plain_formulas(sampler, pictured):
    found = {}
    for kernels in ("auto", "off"):
        config = configure("patches", parts={"sampler": sampler}, settings=settings(kernels=kernels))
        trainer = build_trainer(config, build_model(config, pictured), pictured)
        model = trainer.model.eval()  # no dropout
        trainer.context.generator.manual_seed(0)
        loss = training_loss(model, trainer.objective, trainer.triples[:16], trainer.context, trainer.memo)
        loss.backward()
        found[kernels] = [loss.detach(), *(value.grad for value in model.parameters())]
    for fast, plain in zip(*found.values(), strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-6, rtol=1e-4)


def test_a_resumed_run_equals_an_unbroken_one_for_patches(pictured, tmp_path, monkeypatch):
    monkeypatch.setattr("pictokg.training.fit.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole = trained(pictured, tmp_path / "whole", patience=0)
    saved, save = [], Keeper.save

    def stop(self, progress):
        save(self, progress)
        saved.append(self.trainer.epoch)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("pictokg.training.fit.Keeper.save", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(pictured, tmp_path / "broken", patience=0)
    resumed = trained(pictured, tmp_path / "broken", resume=True, patience=0)
    assert saved == [1, 2, 3, 4]
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def cards(suits=8, ranks=10, seed=0):
    """Cards whose picture shows the suit in one corner and the rank in another, and hides both in noise elsewhere.

    Suit and rank look alike (rows of one random table), so that only the place tells which of the two is meant.
    """
    generator = np.random.default_rng(seed)
    looks = generator.normal(size=(max(suits, ranks), 12)).astype(np.float32)
    pairs = [(suit, rank) for suit in range(suits) for rank in range(ranks)]
    names = (
        [f"card{number}" for number in range(len(pairs))]
        + [f"s{s}" for s in range(suits)]
        + [f"r{r}" for r in range(ranks)]
    )
    triples = []
    for card, (suit, rank) in enumerate(pairs):
        triples += [[card, 0, len(pairs) + suit], [card, 1, len(pairs) + suits + rank]]
    triples = np.array(triples, dtype=np.int32)
    hidden = np.isin(triples[:, 0], np.arange(0, len(pairs), ranks + 1))  # a card of every suit
    rows = np.concatenate([np.stack([looks[s], looks[r], *generator.normal(size=(2, 12))]) for s, r in pairs])
    keys = [f"{card}.png#patch {place}" for card in range(len(pairs)) for place in ("0,0", "1,1", "0,1", "1,0")]
    offsets = np.concatenate([np.arange(len(pairs) + 1) * 4, np.full(suits + ranks, len(pairs) * 4)])
    graph = KnowledgeGraph(
        Vocabulary(names), Vocabulary(["suit", "rank"]), {"train": triples[~hidden], "test": triples[hidden]}
    )
    table = FeatureTable("image", rows.astype(np.float32), offsets, keys)
    return Dataset("cards", graph, tables={"image": table})


def test_each_relation_learns_where_to_look():
    data = cards()
    options = {"dim": 16, "aspects": 2, "epochs": 25, "validate_every": 0, "network_learning_rate": 0.03}
    model = trained(data, **options, dropout=0.0)
    table, test = data.tables["image"], torch.from_numpy(data.graph.split("test").astype(np.int64))
    for relation, place in ((0, "0,0"), (1, "1,1")):
        unseen = test[test[:, 1] == relation, 0]
        rows, weights = model.encoder.attention(unseen, torch.full_like(unseen, relation))
        share = dict.fromkeys(("0,0", "1,1", "0,1", "1,0"), 0.0)
        for row, weight in zip(rows.tolist(), weights.tolist(), strict=True):
            share[place_of(table.keys[row])] += weight / len(unseen)
        assert share[place] > 0.5, share
    query, answer = ask(test, Side.TAIL)
    found = model.score(query, everyone(data)).argmax(dim=1)
    assert (found == answer).float().mean() > 0.7  # of 98 entities


def test_vectors_are_exported_part_by_part(pictured, tmp_path):
    model = make(pictured)
    written = {path.name: (rows, width) for path, rows, width in export_vectors(model, pictured, tmp_path)}
    assert set(written) == {*(f"entities_{part}.parquet" for part in model.encoder.parts), "relations.parquet"}
    assert set(written.values()) == {(12, 3), (3, 3)}


def test_what_cannot_be_attended_to_is_refused(pictured):
    with pytest.raises(ConfigError, match="did you mean 'image'"):
        build("patches", pictured, attended="images")
    with pytest.raises(ConfigError, match="not among the tables fused"):
        build("patches", pictured, modalities=["structure", "text"])
    with pytest.raises(ConfigError, match="aspects must be at least 1"):
        build("patches", pictured, aspects=0)
    with pytest.raises(ConfigError, match="most_patches"):
        build("patches", pictured, most_patches=0)
    single = make_data()
    table = single.tables["text"]
    with pytest.warns(DataWarning, match="patches=true"):
        build("patches", single.with_table("image", table))
