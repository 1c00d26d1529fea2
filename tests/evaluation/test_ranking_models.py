"""Ranking with the real models: what is shared, cached and cut into blocks must not change a score."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pictokg.datasets.dataset import Dataset
from pictokg.evaluation.classification import classify
from pictokg.evaluation.options import RankingOptions
from pictokg.evaluation.ranking import rank
from pictokg.features.table import FeatureTable
from pictokg.fusion.lookup import Lookup
from pictokg.graph.query import Query, Side
from pictokg.models.base import Model
from pictokg.models.ikrl import build as build_ikrl
from pictokg.scoring.distmult import DistMult
from pictokg.scoring.rotate import RotatE
from pictokg.scoring.transe import TransE
from pictokg.scoring.transr import TransR
from pictokg.scoring.tucker import TuckER

ENTITIES, RELATIONS = 17, 3


@pytest.fixture
def data(make_graph):
    generator = np.random.default_rng(3)
    triples = np.unique(generator.integers(0, [ENTITIES, RELATIONS, ENTITIES], (90, 3)), axis=0)
    train, valid, test = np.split(generator.permutation(triples), [50, 65])
    counts = generator.integers(0, 4, ENTITIES)
    pictures = FeatureTable(
        name="image",
        values=generator.normal(size=(counts.sum(), 6)).astype(np.float32),
        offsets=np.concatenate([[0], counts.cumsum()]),
        keys=[f"{number}.png" for number in range(counts.sum())],
        fingerprint="made up",
    )
    graph = make_graph({"train": train, "valid": valid, "test": test}, ENTITIES, RELATIONS)
    return Dataset("random", graph, tables={"image": pictures})


def initialised(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.double()


def models(data):
    for scoring, inverse in (
        (DistMult(4), False),
        (DistMult(4), True),
        (TransE(4, norm=1), False),
        (RotatE(4), True),
        (TransR(4), False),
        (TuckER(4), True),
    ):
        yield initialised(Model(Lookup(ENTITIES, scoring.entity_width), scoring, RELATIONS, inverse=inverse))
    yield initialised(build_ikrl(data, dim=4))


def ranks_one_by_one(model, data, side):
    """Realistic filtered ranks, each from a question scored alone, candidate by candidate."""
    known = {tuple(triple) for triple in data.graph.triples().tolist()}
    ranks = []
    for triple in data.graph.split("test").tolist():
        scores = {}
        for candidate in range(RELATIONS if side is Side.RELATION else ENTITIES):
            slots = [torch.tensor([slot]) for slot in triple]
            slots[side] = None
            changed = (*triple[:side], candidate, *triple[side + 1 :])
            if changed == tuple(triple) or changed not in known:
                scores[candidate] = model.score(Query(*slots), torch.tensor([[candidate]])).item()
        own = scores.pop(triple[side])
        higher = sum(score > own + 1e-9 for score in scores.values())
        equal = sum(abs(score - own) <= 1e-9 for score in scores.values())
        ranks.append(1 + higher + equal / 2)
    return ranks


@pytest.mark.parametrize("number", range(7))
@torch.no_grad()
def test_every_kind_of_model_ranks_as_its_single_scores_say(data, number):
    model = list(models(data))[number].eval()
    ranks = rank(model, data, options=RankingOptions(sides=("head", "relation", "tail")))
    for side in Side:
        assert ranks.where(ranks.side == side).by("realistic").tolist() == ranks_one_by_one(model, data, side)


def test_terms_change_the_ranks(data):
    model = initialised(build_ikrl(data, dim=4))
    ranks = {}
    for terms in ("all", "sbr", "ibr", "union"):
        model.use_terms(terms)
        ranks[terms] = tuple(rank(model, data).by("realistic"))
    assert len(set(ranks.values())) == 4


def test_real_models_classify(data):
    report = classify(initialised(build_ikrl(data, dim=4)), data)
    assert report.count == 2 * len(data.graph.split("test"))
    assert 0 <= report.macro <= 1


def peak_memory():
    """The largest resident set of this process since the mark was last put back, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_peak_memory_stays_within_the_budget(make_graph):
    mark = Path("/proc/self/clear_refs")
    if not os.access(mark, os.W_OK):
        pytest.skip("this system does not put the mark of peak memory back")
    entities, width, budget = 150_000, 16, 48
    questions = np.random.default_rng(0).integers(0, [entities, 1, entities], (300, 3))  # 172 MiB of scores
    data = Dataset("wide", make_graph({"train": questions[:9], "test": questions}, entities, 1))
    scoring = DistMult(width)
    model = Model(Lookup(entities, width), scoring, 1)
    options, known = RankingOptions(sides=("tail",), memory=budget), data.known()
    rank(model, data, "train", options, known=known)
    encodings = 2 * entities * width * 4 / 2**20  # block by block, then whole
    mark.write_text("5")
    before = peak_memory()
    rank(model, data, options=options, known=known)
    assert peak_memory() - before < budget + encodings
