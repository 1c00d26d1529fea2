"""Completion: the facts are new, they are the best, and files are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from random_data import make_data

import pictokg
from pictokg.errors import ConfigError, PictoKGError
from pictokg.graph.query import Query, Side
from pictokg.graph.read import read_triples
from pictokg.prediction.calibration import fit_calibration
from pictokg.prediction.completion import Completer, Fact, complete
from pictokg.prediction.fact_files import write_facts
from pictokg.prediction.questions import choose_questions
from pictokg.prediction.search import Scan


@pytest.fixture(scope="module")
def predictor():
    data = make_data(entities=30, relations=3, triples=200)
    model = pictokg.build("complex", data, dim=4)
    return pictokg.Predictor(model, data, fit_calibration(model, data))


def triples_of(facts):
    return {(fact.head, fact.relation, fact.tail) for fact in facts}


def brute_force(predictor, per_query):
    """Ask every question of every relation with everything, and sort by hand."""
    data, model, graph = predictor.data, predictor.model, predictor.data.graph
    known = {tuple(triple) for triple in graph.triples().tolist()}
    loops = {r for h, r, t in known if h == t}
    expected = set()
    for relation in range(3):
        for side in (Side.TAIL, Side.HEAD):
            domain = {triple[2 - side] for triple in known if triple[1] == relation}
            values = {triple[side] for triple in known if triple[1] == relation}
            asks = 2 * relation + (side is Side.HEAD)
            for anchor in range(30):
                if anchor not in domain and not alike(known, anchor, asks):
                    continue
                given = {"relation": torch.tensor([relation])}
                given["head" if side is Side.TAIL else "tail"] = torch.tensor([anchor])
                scores = model.score(Query(**given), torch.arange(30), predictor.encode)[0].tolist()
                best = []
                for entity in sorted(range(30), key=lambda e, scores=scores: -scores[e]):
                    triple = (anchor, relation, entity) if side is Side.TAIL else (entity, relation, anchor)
                    if entity in values and triple not in known and (entity != anchor or relation in loops):
                        best.append(triple)
                expected |= set(best[:per_query])
    names = graph.entities.names
    return {(names[h], data.graph.relations.names[r], names[t]) for h, r, t in expected}


def questions_of(known, entity):
    return {2 * r for h, r, _ in known if h == entity} | {2 * r + 1 for _, r, t in known if t == entity}


def alike(known, anchor, question):
    mine = questions_of(known, anchor)
    return any(question in (theirs := questions_of(known, other)) and mine & theirs for other in range(30))


def test_completion_equals_brute_force(predictor):
    with torch.no_grad():
        assert triples_of(complete(predictor, per_query=2)) == brute_force(predictor, 2)


def test_known_facts_are_never_proposed(predictor):
    graph = predictor.data.graph
    names = (graph.entities.names, graph.relations.names, graph.entities.names)
    known = {tuple(n[i] for n, i in zip(names, triple, strict=True)) for triple in graph.triples().tolist()}
    found = list(complete(predictor, per_query=100))
    assert len(found) > 500
    assert not triples_of(found) & known
    assert len(triples_of(found)) == len(found)


def test_scores_and_probabilities_are_those_of_the_triples(predictor):
    facts = list(complete(predictor, per_query=1))
    scores = predictor.scores([(fact.head, fact.relation, fact.tail) for fact in facts])
    relations = np.array([predictor.data.graph.relations.id(fact.relation) for fact in facts])
    assert [fact.score for fact in facts] == pytest.approx(scores)
    expected = predictor.calibration.probabilities(np.array(scores), relations)
    assert [fact.probability for fact in facts] == pytest.approx(expected.tolist())


def test_within_a_relation_the_most_probable_comes_first(predictor):
    facts = list(complete(predictor, relations=["r1"], per_query=3))
    chances = [fact.probability for fact in facts]
    assert chances == sorted(chances, reverse=True)
    assert {fact.relation for fact in facts} == {"r1"}


def test_a_limit_keeps_the_most_probable_of_all(predictor):
    everything = list(complete(predictor, per_query=3))
    best = sorted((fact.probability for fact in everything), reverse=True)[:20]
    assert [fact.probability for fact in complete(predictor, per_query=3, limit=20)] == best


def test_min_probability_leaves_out_the_rest(predictor):
    everything = list(complete(predictor, per_query=3))
    middle = float(np.median([fact.probability for fact in everything]))
    expected = {fact for fact in everything if fact.probability >= middle}
    assert set(complete(predictor, per_query=3, min_probability=middle)) == expected


def test_entities_are_what_is_asked_about(predictor):
    for fact in complete(predictor, entities=["e7"], per_query=2):
        assert "e7" in (fact.head, fact.tail)


def test_without_calibration_there_are_scores_only(predictor):
    bare = pictokg.Predictor(predictor.model, predictor.data)
    facts = list(complete(bare, limit=5))
    assert [fact.probability for fact in facts] == [None] * 5
    assert [fact.score for fact in facts] == sorted((fact.score for fact in complete(bare)), reverse=True)[:5]
    with pytest.raises(ConfigError, match="not calibrated"):
        list(complete(bare, min_probability=0.5))


def test_progress_ends_with_all_questions(predictor):
    heard = []
    list(complete(Completer(predictor, progress=lambda done, total: heard.append((done, total)))))
    assert heard[-1][0] == heard[-1][1] > 0
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"relations": ["r9"]}, "'r9'"),
        ({"entities": ["nobody"]}, "'nobody'"),
        ({"per_query": 0}, "per_query"),
        ({"limit": 0}, "limit"),
    ],
)
def test_bad_options(predictor, options, message):
    with pytest.raises(ConfigError, match=message):
        list(complete(predictor, **options))


# Questions


def test_lacking_is_the_formula(predictor):
    triples = np.unique(predictor.data.graph.triples(), axis=0)
    chosen = choose_questions(triples, 30, 3)
    has = {e: questions_of(triples.tolist(), e) for e in range(30)}
    for anchor, relation, side, lacking in zip(
        chosen.anchor, chosen.relation, chosen.side, chosen.lacking, strict=True
    ):
        question = 2 * relation + (side == Side.HEAD)
        column = 2 - side
        own = ((triples[:, 1] == relation) & (triples[:, column] == anchor)).sum()
        owners = [e for e in range(30) if question in has[e]]
        mean = (triples[:, 1] == relation).sum() / len(owners)
        shares = [
            sum(question in has[e] for e in range(30) if other in has[e]) / sum(other in has[e] for e in range(30))
            for other in has[anchor]
        ]
        chance = 1 if question in has[anchor] else np.mean(shares)
        assert lacking == pytest.approx(chance * mean - own, abs=1e-5)


def test_the_most_lacking_questions_are_kept(predictor, monkeypatch):
    triples = predictor.data.graph.triples()
    everything = choose_questions(triples, 30, 3)
    monkeypatch.setattr("pictokg.prediction.questions._CELLS", 20)  # in blocks of three entities
    for count in (1, 7, 50):
        chosen = choose_questions(triples, 30, 3, at_most=count)
        assert len(chosen) == count
        assert sorted(chosen.lacking) == sorted(np.sort(everything.lacking)[-count:])


def test_entities_in_no_triple_are_asked_about():
    chosen = choose_questions(np.array([[0, 0, 1], [2, 0, 1]]), 4, 1, entities=[3])
    assert list(zip(chosen.side.tolist(), chosen.lacking.tolist(), strict=True)) == [
        (Side.TAIL, pytest.approx(2 / 4)),
        (Side.HEAD, pytest.approx(1 / 4 * 2)),
    ]


# Search


@pytest.mark.parametrize("name", ["distmult", "transe", "transh", "ikrl", "gated"])
@pytest.mark.parametrize("side", [Side.HEAD, Side.TAIL])
def test_scan_equals_sorting_all_scores(name, side):
    data = make_data()
    model = pictokg.build(name, data, dim=4).eval()
    scan, known = Scan(model), data.known()
    scan.chunk, scan._scores = 5, 15  # many parts, few rows
    anchors, relations = torch.arange(12), torch.arange(12) % 3
    query = Query(head=anchors, relation=relations) if side is Side.TAIL else Query(relation=relations, tail=anchors)
    candidates = torch.tensor([0, 2, 3, 5, 6, 7, 9, 11])
    with torch.no_grad():
        scores = model.score(query, torch.arange(12))
    rows, ids = known.answers(query)
    scores[rows, ids] = -torch.inf
    mask = torch.ones(12, dtype=torch.bool)
    mask[candidates] = False
    for given in (None, candidates):
        allowed = scores if given is None else scores.masked_fill(mask, -torch.inf)
        found = scan.top(query, 6, candidates=given, exclude=known)
        assert torch.allclose(found.scores, allowed.topk(6, dim=1).values)
        there = found.ids >= 0
        assert torch.equal(there, found.scores > -torch.inf)
        assert torch.allclose(allowed.gather(1, found.ids.clamp(min=0))[there], found.scores[there])


def test_scan_refuses_nan_and_too_little_memory():
    data = make_data()
    model = pictokg.build("distmult", data, dim=4)
    with pytest.raises(ConfigError, match="memory"):
        Scan(model, memory=0)
    with torch.no_grad():
        model.relations.weight.fill_(torch.nan)
    with pytest.raises(PictoKGError, match="NaN"):
        Scan(model).top(Query(head=torch.tensor([0]), relation=torch.tensor([0])), 3)


# Files

FACTS = [
    Fact("http://example.org/a b", "knows", "京都", 1.5, 0.75),
    Fact("_:b1", "urn:r%20", "a|b<c>", -2.0, 0.125),
]


def test_files_hold_every_fact(tmp_path, monkeypatch):
    monkeypatch.setattr("pictokg.prediction.fact_files.BLOCK", 2)
    facts = [Fact(f"h{n}", "r", f"t{n}", n / 7, n / 10) for n in range(7)]
    for ending in ("parquet", "tsv", "nt"):
        assert write_facts(tmp_path / f"facts.{ending}", iter(facts)) == 7
    frame = pl.read_parquet(tmp_path / "facts.parquet")
    assert [Fact(*row) for row in frame.iter_rows()] == facts
    lines = (tmp_path / "facts.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t") for line in lines] == [[f.head, f.relation, f.tail, f"{f.probability:.6g}"] for f in facts]
    names = read_triples(tmp_path / "facts.nt").rows()
    assert names == [(f"urn:pictokg:h{n}", "urn:pictokg:r", f"urn:pictokg:t{n}") for n in range(7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.nt", "facts.parquet", "facts.tsv"]


def test_ntriples_take_any_name(tmp_path):
    write_facts(tmp_path / "facts.nt", iter(FACTS))
    assert (tmp_path / "facts.nt").read_text(encoding="utf-8").splitlines() == [
        "<http://example.org/a%20b> <urn:pictokg:knows> <urn:pictokg:京都> . # probability 0.75",
        "_:b1 <urn:r%20> <urn:pictokg:a%7Cb%3Cc%3E> . # probability 0.125",
    ]
    assert read_triples(tmp_path / "facts.nt").height == 2


def test_no_facts_make_an_empty_file_of_the_right_kind(tmp_path):
    assert write_facts(tmp_path / "facts.parquet", iter([])) == 0
    assert pl.read_parquet(tmp_path / "facts.parquet").columns == ["head", "relation", "tail", "score", "probability"]


@pytest.mark.parametrize("ending", ["parquet", "tsv", "nt"])
def test_an_error_on_the_way_keeps_the_old_file(tmp_path, ending):
    path: Path = tmp_path / f"facts.{ending}"
    path.write_text("before")

    def facts():
        yield FACTS[0]
        raise ConfigError("it stopped")

    with pytest.raises(ConfigError, match="it stopped"):
        write_facts(path, facts())
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["parquet", "tsv", "nt"])
def test_ctrl_c_leaves_nothing_behind(tmp_path, ending, monkeypatch):
    monkeypatch.setattr("pictokg.prediction.fact_files.BLOCK", 1)

    def facts():
        yield FACTS[0]
        yield FACTS[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_facts(tmp_path / f"facts.{ending}", facts())
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"\.parquet, \.tsv, \.nt"):
        write_facts(tmp_path / "facts.xlsx", iter(FACTS))
