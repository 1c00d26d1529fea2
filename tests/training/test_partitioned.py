"""Training with two partitions of the entities in memory: every triple once, rows and their state travel, resumes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from random_data import make_data

from pictokg import assembly
from pictokg.config import configure
from pictokg.errors import ConfigError
from pictokg.evaluation.ranking import evaluate
from pictokg.training import partitions as partitions_module
from pictokg.training.partitioned import OnDisk, PartitionedTrainer
from pictokg.training.partitions import Partitions, Swap

ENTITIES = 46


@pytest.fixture
def graph():
    return make_data(ENTITIES, 3, triples=400)


def config_of(model="distmult", optimiser="row_adagrad", loss="softmax", sampler="uniform", **settings):
    simple = {"dim": 6, "epochs": 3, "batch_size": 16, "learning_rate": 0.2, "validate_every": 0}
    parts = {"sampler": sampler, "loss": loss, "optimiser": optimiser, "regulariser": "none"}
    return configure(model, parts=parts, settings=[*{**simple, **settings}.items()])


def trainer_of(graph, path, parts=5, **choices):
    """A trainer of a table in so many partitions."""
    config = config_of(**choices)
    rows = -(-ENTITIES // parts)
    partitions = Partitions.plan(ENTITIES, 1, 2 * rows, seed=0)
    assert len(partitions) == parts
    options = assembly.TrainingOptions(**config.options("training"))
    optimiser = assembly.OptimiserOptions(**config.sections["optimiser"])
    model = assembly.build_model(config, partitions.local(graph))
    disk = OnDisk(path / "table.npy", partitions)
    trainer = PartitionedTrainer(model, graph, assembly.build_objective(config), optimiser, options, disk)
    trainer.begin()
    return trainer


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
def test_all_pairs_meet_once_and_one_partition_changes_at_a_time(count):
    partitions = Partitions(np.arange(count), np.arange(count), np.arange(count + 1))
    pairs = list(partitions.pairs(torch.Generator().manual_seed(1)))
    if count == 1:
        assert pairs == [(0, 0)]
        return
    assert sorted(tuple(sorted(pair)) for pair in pairs) == list(itertools.combinations(range(count), 2))
    assert all(len(set(one) & set(two)) == 1 for one, two in itertools.pairwise(pairs))


def test_a_plan_stays_within_the_budget_and_deals_entities_at_random():
    partitions = Partitions.plan(1000, row_bytes=40, budget=10_000, seed=3)
    assert 2 * partitions.capacity * 40 <= 10_000
    assert len(partitions) == 8
    assert sorted(partitions.order) == list(range(1000))
    assert (partitions.order[partitions.place] == np.arange(1000)).all()
    assert abs(np.corrcoef(partitions.order, np.arange(1000))[0, 1]) < 0.1
    with pytest.raises(ConfigError, match="holds no two rows"):
        Partitions.plan(10, row_bytes=40, budget=79)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_every_triple_is_learned_once_an_epoch_against_rows_in_memory(parts, graph, tmp_path, monkeypatch):
    trainer = trainer_of(graph, tmp_path, parts)
    partitions, seen = trainer.swap.partitions, []
    step = trainer._step

    def spy(triples):
        """Back from rows in memory to entities."""
        inside, offsets = trainer.swap.ids(), trainer.swap.offsets()
        assert torch.equal(trainer.context.pool, inside)
        for head, relation, tail in triples.tolist():
            assert {head, tail} <= set(inside.tolist())
            held = [trainer.swap.held[row // partitions.capacity] for row in (head, tail)]
            places = [row - offsets[part] for row, part in zip((head, tail), held, strict=True)]
            seen.append((partitions.order[places[0]], relation, partitions.order[places[1]]))
        return step(triples)

    monkeypatch.setattr(trainer, "_step", spy)
    next(trainer.epochs())
    assert sorted(seen) == sorted(map(tuple, graph.graph.split("train").tolist()))
    assert trainer.swap.swaps == 2 + parts * (parts - 1) // 2 - 1


@pytest.mark.parametrize("optimiser", ["sgd", "adagrad", "row_adagrad"])
def test_rows_and_their_state_travel_together(optimiser, graph, tmp_path):
    trainer = trainer_of(graph, tmp_path, optimiser=optimiser, learning_rate=0.0)
    before = np.load(trainer.swap.path)
    next(trainer.epochs())
    after = np.load(trainer.swap.path)
    width = trainer.model.encoder.structure.weight.shape[1]
    assert after.shape == (ENTITIES, width + {"sgd": 0, "adagrad": width, "row_adagrad": 1}[optimiser])
    assert np.array_equal(before[:, :width], after[:, :width])
    assert (before[:, width:] == 0).all()
    assert (after[:, width:].sum(axis=1) > 0).all() or optimiser == "sgd"
    first = after[trainer.swap.partitions.place, width:]
    next(trainer.epochs())  # which deals rows anew
    assert (np.load(trainer.swap.path)[trainer.swap.partitions.place, width:] >= first).all()


@pytest.mark.parametrize(
    ("model", "loss", "sharing"),
    [
        ("transe", "self_adversarial", {}),
        ("complex", "softmax", {"sampler.shared": True}),
        ("rotate", "margin", {"sampler.shared": True, "chunk": 4}),
    ],
)
def test_it_learns_what_training_in_memory_learns(model, loss, sharing, graph, tmp_path):
    choices = {"model": model, "loss": loss, "epochs": 20, "batch_size": 32, "negatives": 8, **sharing}
    trainer = trainer_of(graph, tmp_path, parts=3, **choices)
    losses = [report.loss for report in trainer.epochs()]
    config = config_of(**choices)
    whole, published = (assembly.build_model(config, graph) for _ in range(2))
    for _ in assembly.build_trainer(config, whole, graph).epochs():
        pass
    untrained = evaluate(published, graph, "train").metrics["mrr"]
    trainer.publish(published)
    mrr = {name: evaluate(made, graph, "train").metrics["mrr"] for name, made in (("in", whole), ("out", published))}
    assert losses[-1] < losses[0]
    assert mrr["out"] > untrained + 0.6 * (mrr["in"] - untrained) > untrained


@pytest.mark.parametrize(("optimiser", "usual"), [("adagrad", 0.1), ("row_adagrad", 0.1), ("sgd", 0.01)])
@pytest.mark.parametrize("given", [None, 0.3])
def test_adagrad_learns_faster_the_less_is_in_memory(optimiser, usual, given, graph, tmp_path):
    rate = usual if given is None else given
    trainer = trainer_of(graph, tmp_path, parts=5, optimiser=optimiser, learning_rate=given)
    in_memory = len(trainer.model.encoder.structure.weight) / ENTITIES
    expected = rate if optimiser == "sgd" else rate / in_memory**0.5
    assert trainer.optimisers.learning_rate == pytest.approx(expected)
    assert [part_rate for _, part_rate in trainer.optimisers.parts] == pytest.approx([expected])
    whole = trainer_of(graph, tmp_path / "whole", parts=2, optimiser=optimiser, learning_rate=given)
    assert whole.optimisers.learning_rate == pytest.approx(rate)


@pytest.mark.parametrize("optimiser", ["sgd", "adagrad", "row_adagrad"])
def test_a_resumed_run_equals_an_unbroken_one(optimiser, graph, tmp_path):
    choices = {"optimiser": optimiser, "epochs": 4, "schedule": "linear"}
    unbroken = trainer_of(graph, tmp_path / "unbroken", **choices)
    list(unbroken.epochs())
    broken = trainer_of(graph, tmp_path / "broken", **choices)
    for report in broken.epochs():
        if report.epoch == 2:
            break
    broken.save(tmp_path / "saved")
    broken.swap.path.write_bytes(b"lost")
    resumed = trainer_of(graph, tmp_path / "resumed", **choices)
    resumed.load(tmp_path / "saved")
    assert resumed.epoch == 2
    list(resumed.epochs())
    assert np.array_equal(np.load(unbroken.swap.path), np.load(resumed.swap.path))
    assert torch.equal(unbroken.model.relations.weight, resumed.model.relations.weight)


def test_the_assembly_cuts_by_the_budget(graph, tmp_path):
    config = config_of(dim=4096, memory_budget=1)
    trainer = assembly.build_partitioned(config, graph, tmp_path / "table.npy")
    rows = trainer.model.encoder.structure.weight
    assert rows.numel() * 4 + len(rows) * 4 <= 2**20
    assert len(trainer.swap.partitions) == 2


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"sampler": "bernoulli"}, "sampler Bernoulli cannot draw from a part"),
        ({"kernels": "off"}, "needs the fused step, which kernels=off rules out"),
        ({"optimiser": "adam"}, "optimiser adam"),
    ],
)
def test_what_needs_more_than_two_partitions_is_refused(choices, said, graph, tmp_path):
    with pytest.raises(ConfigError, match=said):
        trainer_of(graph, tmp_path, **choices)


def test_swapping_reads_and_writes_only_what_changes(tmp_path):
    partitions = Partitions(np.arange(6), np.arange(6), np.array([0, 2, 4, 6]))
    rows, state = torch.zeros(4, 3), torch.zeros(4, 1)
    swap = Swap(tmp_path / "rows.npy", partitions, rows, state)
    swap.create(torch.full((2, 3), float(part)) for part in range(3))
    swap.hold((0, 1))
    rows += 10
    state += 1
    swap.hold((1, 2))
    assert np.load(swap.path)[:, 0].tolist() == [10, 10, 1, 1, 2, 2]
    assert rows[:, 0].tolist() == [2, 2, 11, 11]
    swap.flush()
    assert np.load(swap.path)[:, 3].tolist() == [1, 1, 1, 1, 0, 0]


def test_rows_dealt_anew_are_the_same_rows_in_partitions_of_the_same_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions_module, "STRETCH", 7)
    before = Partitions.plan(46, row_bytes=1, budget=20, seed=0)
    rows, state = torch.zeros(2 * before.capacity, 3), torch.zeros(2 * before.capacity, 1)
    swap = Swap(tmp_path / "rows.npy", before, rows, state)
    of_entity = torch.arange(46.0).unsqueeze(1).expand(46, 3)
    swap.create(of_entity[torch.from_numpy(part)] for part in np.split(before.order, before.starts[1:-1]))
    after = before.dealt(torch.Generator().manual_seed(1))
    swap.deal(after)
    assert sorted(np.diff(after.starts)) == sorted(np.diff(before.starts))
    assert (after.place[after.order] == np.arange(46)).all()
    assert (np.load(swap.path)[:, 0] == after.order).all()
    found = {entity: row[0] for entities, block in swap.blocks(10) for entity, row in zip(entities, block, strict=True)}
    assert found == {entity: float(entity) for entity in range(46)}


def test_every_two_entities_come_to_be_together_about_equally_often():
    partitions, generator, together = (
        Partitions.plan(40, 1, 20, seed=0),
        torch.Generator().manual_seed(2),
        np.zeros((40, 40)),
    )
    for _ in range(2000):
        partitions = partitions.dealt(generator)
        of = partitions.of(torch.from_numpy(partitions.place)).numpy()
        together += of[:, None] == of[None, :]
    expected = 2000 * 9 / 39  # four partitions of ten
    apart = together[~np.eye(40, dtype=bool)]
    assert apart.mean() == pytest.approx(expected)
    assert abs(apart - expected).max() < 5 * (expected * (1 - 9 / 39)) ** 0.5
