"""The index finds what a scan finds, says how much of it, and refuses what it cannot hold."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from random_data import make_data

import pictokg
from pictokg.errors import ConfigError, MissingExtraError
from pictokg.graph.query import Side, ask
from pictokg.prediction.completion import Completer, complete
from pictokg.prediction.index import Index, make_search, why_not_indexed
from pictokg.prediction.search import Scan

faiss = pytest.importorskip("faiss")
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__:DeprecationWarning")


@pytest.fixture(scope="module")
def data():
    return make_data(entities=600, relations=2, triples=1500)


def indexed(data, name, monkeypatch=None, **options):
    if monkeypatch:
        monkeypatch.setattr("pictokg.prediction.index._GRAPH_SIZE", 100)  # cells rather than a graph
    model = pictokg.build(name, data, dim=8, **options)
    return Index(Scan(model), data)


@pytest.mark.parametrize(
    ("name", "options"),
    [("distmult", {}), ("complex", {}), ("gated", {}), ("transe", {"norm": 1}), ("transe", {"norm": 2})],
)
@pytest.mark.parametrize("cells", [False, True])
def test_recall_reaches_its_target_and_is_what_comparing_gives(data, name, options, cells, monkeypatch):
    index = indexed(data, name, monkeypatch if cells else None, **options)
    assert index.kind.startswith("IVF" if cells else "HNSW")
    assert index.recall >= 0.95
    assert f"{index.recall:.3f}" in index.description
    triples = data.graph.triples()[:200].astype(np.int64)
    for side in (Side.HEAD, Side.TAIL):
        query, _ = ask(torch.from_numpy(triples), side)
        ours, exact = index.top(query, 10), index.scan.top(query, 10)
        shared = np.mean(
            [len(set(a) & set(b)) / 10 for a, b in zip(ours.ids.tolist(), exact.ids.tolist(), strict=True)]
        )
        assert shared >= 0.9
        same = ours.ids == exact.ids
        assert torch.allclose(ours.scores[same], exact.scores[same], atol=1e-5)


def test_known_answers_and_other_candidates_are_left_out(data):
    index, known = indexed(data, "distmult"), data.known()
    query, _ = ask(torch.from_numpy(data.graph.triples()[:50].astype(np.int64)), Side.TAIL)
    wide = torch.arange(0, 600, 2)
    for candidates in (None, wide, torch.tensor([5, 9, 200])):
        found = index.top(query, 20, candidates=candidates, exclude=known)
        exact = index.scan.top(query, 20, candidates=candidates, exclude=known)
        assert torch.equal((found.ids >= 0).sum(dim=1), (exact.ids >= 0).sum(dim=1))
        assert not known.contains(query, found.ids).any()
        if candidates is not None:
            assert torch.isin(found.ids[found.ids >= 0], candidates).all()


def test_completion_by_index_finds_what_completion_by_scan_finds(data):
    model = pictokg.build("distmult", data, dim=8)
    predictor = pictokg.Predictor(model, data)
    by_scan, by_index = (
        {
            (fact.head, fact.relation, fact.tail)
            for fact in complete(Completer(predictor, search=search, questions=300), per_query=3)
        }
        for search in (Scan(model), Index(Scan(model), data))
    )
    assert len(by_scan & by_index) > 0.9 * len(by_scan)


def test_one_seed_one_index(data, monkeypatch):
    query, _ = ask(torch.from_numpy(data.graph.triples()[:50].astype(np.int64)), Side.TAIL)
    first, second = (indexed(data, "distmult", monkeypatch).top(query, 10) for _ in range(2))
    assert torch.equal(first.ids, second.ids)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("rotate", "neither a dot product nor"), ("transh", "different to each relation"), ("ikrl", "2 vectors each")],
)
def test_what_cannot_be_indexed_says_so_and_is_scanned(data, name, reason, monkeypatch):
    model = pictokg.build(name, data, dim=4)
    assert reason in why_not_indexed(model)
    with pytest.raises(ConfigError, match=reason):
        make_search(model, data, kind="index")
    monkeypatch.setattr("pictokg.prediction.index.LARGE", 100)
    search = make_search(model, data)
    assert isinstance(search, Scan)
    assert reason in search.description


def test_auto_takes_an_index_of_large_graphs_only(data, monkeypatch):
    model = pictokg.build("distmult", data, dim=4)
    assert isinstance(make_search(model, data), Scan)
    monkeypatch.setattr("pictokg.prediction.index.LARGE", 100)
    assert isinstance(make_search(model, data), Index)
    with pytest.raises(ConfigError, match="auto, scan or index"):
        make_search(model, data, kind="fast")


def test_without_faiss_it_is_scanned_or_said(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr("pictokg.prediction.index.LARGE", 100)
    model = pictokg.build("distmult", data, dim=4)
    search = make_search(model, data)
    assert isinstance(search, Scan)
    assert "pictokg[ann]" in search.description
    with pytest.raises(MissingExtraError, match="faiss-cpu"):
        make_search(model, data, kind="index")
