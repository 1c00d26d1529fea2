"""What needs more than one question: completion, reasons, newcomers."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pictokg.prediction.completion import complete
from pictokg.prediction.reasons import explain
from pictokg.serving.served import Served


def png(size: tuple[int, int] = (20, 20), colour: str = "red") -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def test_completion_is_that_of_the_library(client: TestClient, served: list[Served]):
    got = client.get("/complete", params={"relation": "r1", "per_query": 3, "limit": 9}).json()["facts"]
    direct = list(complete(served[0].predictor, relations=["r1"], per_query=3, limit=9))
    assert [(fact["head"]["name"], fact["tail"]["name"]) for fact in got] == [(fact.head, fact.tail) for fact in direct]
    assert got, "a random graph lacks facts"
    known = {tuple(triple) for triple in served[0].data.graph.triples().tolist()}
    ids = served[0].data.graph.entities.id
    assert not known & {(ids(fact["head"]["name"]), 1, ids(fact["tail"]["name"])) for fact in got}
    posted = client.post("/complete", json={"relation": ["r1"], "per_query": 3, "limit": 9}).json()["facts"]
    assert posted == got


def test_a_probability_that_nobody_has_cannot_be_asked_for(client: TestClient):
    refused = client.get("/complete", params={"min_probability": 0.5})
    assert refused.status_code == 422
    assert "calibrated" in refused.json()["detail"]
    assert client.get("/complete", params={"min_probability": "nan"}).status_code == 422
    assert client.post("/complete", content='{"min_probability": Infinity}').status_code == 422


def test_reasons_are_those_of_the_library_and_sum_up(client: TestClient, served: list[Served]):
    got = client.get("/explain", params={"head": "e1", "relation": "r0", "tail": "e2"}).json()
    direct = explain(served[0].predictor, ("e1", "r0", "e2"))
    assert got["score"] == pytest.approx(direct.score, abs=1e-6)
    assert got["rank"] == direct.rank
    for side in ("asked", "given"):
        values = [one["value"] for one in got[side]["contributions"]]
        assert sum(values) == pytest.approx(got[side]["score"] - got[side]["baseline"], abs=1e-4)
    assert got["labels"] == {"head": "entity 1", "relation": "r0", "tail": "entity 2"}
    assert client.post("/explain", json={"head": "e1", "relation": "r0", "tail": "e2"}).json() == got
    assert client.get("/explain", params={"head": "e1", "relation": "r0", "tail": "e99"}).json()["nearest"]


def test_a_newcomer_is_answered_by_facts_and_forgotten(client: TestClient, served: list[Served]):
    """Against the library, which is given the same fact."""
    from pictokg.prediction.newcomer import Fact, Newcomer

    form = {
        "facts": json.dumps([{"relation": "r0", "entity": "e3"}]),
        "questions": json.dumps([{"relation": "r1"}, {"relation": "r2", "side": "head"}]),
        "options": json.dumps({"run": "triples", "k": 4}),
    }
    got = client.post("/newcomers", data=form).json()["questions"]
    run = served[1]
    twin = run.reception.predictor(run.predictor, [Newcomer("x", facts=[Fact("r0", "e3")])])
    for question, answers in zip(got, twin.answers([("x", "r1", None), (None, "r2", "x")], 4), strict=True):
        names = [answer.name for answer in answers if answer.name != "x"]
        assert [answer["name"] for answer in question["answers"]] == names
    assert [question["side"] for question in got] == ["tail", "head"]
    assert client.get("/entities").json()["total"] == 12
    assert client.post("/newcomers", data=form).json()["questions"] == got


def test_an_overview_asks_every_relation_and_keeps_what_fits(client: TestClient, served: list[Served]):
    form = {"facts": json.dumps([{"relation": "r0", "entity": "e3"}]), "options": '{"run": "triples"}'}
    got = client.post("/newcomers", data=form).json()["questions"]
    assert {question["relation"]["name"] for question in got} == {"r0", "r1", "r2"}
    graph, triples = served[1].data.graph, served[1].data.graph.triples()
    for question in got:
        seen = set(np.unique(triples[triples[:, 1] == graph.relations.id(question["relation"]["name"]), 2]).tolist())
        assert {graph.entities.id(answer["name"]) for answer in question["answers"]} <= seen


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ([], {}),
        ([("pictures", ("a.png", b"no picture", "image/png"))], {}),
        ([("pictures", ("a.png", png()[:60], "image/png"))], {}),
        ([("pictures", ("../../a.svg", b"<svg onload='alert(1)'/>", "image/svg+xml"))], {}),
        ([("pictures", ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/png"))], {}),
        ([("pictures", ("bomb.png", png((8000, 8000)), "image/png"))], {}),
        ([("pictures", (f"{n}.png", png(), "image/png")) for n in range(9)], {}),
        ([], {"facts": "[{]"}),
        ([], {"facts": '[{"relation": "r0", "entity": "e99"}]'}),
        ([], {"facts": '[{"relation": "r0", "entity": "e3", "as_head": NaN}]'}),
        ([], {"questions": '[{"relation": "r99"}]', "text": "x"}),
        ([], {"options": '{"run": "nobody"}', "text": "x"}),
        ([], {"options": '{"k": 100000}', "text": "x"}),
        ([], {"text": "x" * 30_000}),
        ([], {"text": "only words", "options": '{"run": "triples"}'}),
    ],
)
def test_newcomers_that_cannot_be_taken_in_are_told_why(client: TestClient, files: list, data: dict):
    got = client.post("/newcomers", files=files, data=data)
    assert got.status_code == 422, got.text
    assert got.headers["content-type"] == "application/problem+json"
    assert len(got.json()["detail"]) > 10


def test_uploads_are_bounded(strict: TestClient):
    files = [("pictures", ("a.png", b"x" * 60_000, "image/png"))]
    refused = strict.post("/newcomers", files=files, headers={"Authorization": "Bearer open-sesame"})
    assert refused.status_code == 413


def test_an_index_gives_the_answers_of_a_scan(served: list[Served], monkeypatch: pytest.MonkeyPatch):
    """With an index that looks at everything, names, scores and known facts are those of the predictor."""
    from pictokg.prediction.search import Scan
    from pictokg.serving.asking import ask
    from pictokg.serving.schema import AskedMany

    class Index:
        def __init__(self, run: Served) -> None:
            self.top = Scan(run.model, run.predictor.encode).top

    run = served[1]
    questions = [{"head": "e1", "relation": "r0"}, {"relation": "r1", "tail": "e2"}, {"head": "e1", "tail": "e2"}]
    for new_only in (False, True):
        asked = AskedMany(questions=questions, k=7, new_only=new_only)
        direct = run.predictor.answers([question.slots for question in asked.questions], 7, new_only=new_only)
        monkeypatch.setattr(run, "search", Index(run))
        for own, found in zip(direct, ask(run, asked), strict=True):
            assert [(a.name, a.label, a.known) for a in own] == [(a.name, a.label, a.known) for a in found]
            assert [a.score for a in own] == pytest.approx([a.score for a in found], abs=1e-5)
