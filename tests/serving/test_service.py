from __future__ import annotations

import json
import math
from io import BytesIO

import pytest
from PIL import Image
from starlette.testclient import TestClient

from pictokg.serving.served import Served

TOKEN = {"Authorization": "Bearer open-sesame"}


def test_answers_are_those_of_the_predictor(client: TestClient, served: list[Served]):
    for run in served:
        direct = run.predictor.tails("e1", "r0", k=5)
        asked = {"run": run.name, "head": "e1", "relation": "r0", "k": 5}
        got = client.get("/answers", params=asked).json()
        assert [answer["name"] for answer in got["answers"]] == [answer.name for answer in direct]
        for answer, twin in zip(got["answers"], direct, strict=True):
            assert answer["score"] == pytest.approx(twin.score, abs=1e-6)
            assert (answer["label"], answer["known"]) == (twin.label, twin.known)
    with pytest.raises(AssertionError):  # the two runs differ, so the check above could fail
        assert [a.name for a in served[0].predictor.tails("e1", "r0", 12)] == [
            a.name for a in served[1].predictor.tails("e1", "r0", 12)
        ]


def test_many_questions_are_answered_in_their_order(client: TestClient, served: list[Served]):
    questions = [{"head": "e1", "relation": "r0"}, {"relation": "r1", "tail": "e2"}, {"head": "e1", "tail": "e2"}]
    got = client.post("/answers", json={"questions": questions, "k": 3, "new_only": True}).json()["questions"]
    direct = served[0].predictor.answers([("e1", "r0", None), (None, "r1", "e2"), ("e1", None, "e2")], 3, new_only=True)
    assert [[answer["name"] for answer in one["answers"]] for one in got] == [[a.name for a in one] for one in direct]
    assert not any(answer["known"] for one in got for answer in one["answers"])
    assert got[2]["relation"] is None
    assert got[2]["head"] == "e1"


def test_a_score_that_is_no_number_is_null(client: TestClient, served: list[Served], monkeypatch: pytest.MonkeyPatch):
    from pictokg.prediction.predictor import Answer

    broken = [[Answer("e1", "entity 1", math.nan, math.inf, False)]]
    monkeypatch.setattr(served[0].predictor, "answers", lambda *_, **__: broken)
    got = client.get("/answers", params={"head": "e1", "relation": "r0"})
    assert got.json()["answers"][0]["score"] is None
    assert got.json()["answers"][0]["probability"] is None


def test_cards_hold_the_facts_of_the_graph(client: TestClient, served: list[Served]):
    card = client.get("/entities", params={"name": "e2"}).json()["cards"][0]
    graph = served[0].data.graph
    known = {tuple(triple) for triples in graph.splits.values() for triple in triples.tolist()}
    names = graph.entities.names, graph.relations.names, graph.entities.names
    expected = {tuple(names[slot][place] for slot, place in enumerate(triple)) for triple in known}
    told = {tuple(fact[slot]["name"] for slot in ("head", "relation", "tail")) for fact in card["as_head"]}
    assert told == {triple for triple in expected if triple[0] == "e2"}
    assert card["as_tail_total"] == len({triple for triple in expected if triple[2] == "e2"})
    assert card["description"] == "The entity that is number 2."
    assert card["pictures"] == 2


def test_entities_are_listed_page_by_page(client: TestClient):
    first = client.get("/entities", params={"limit": 8}).json()
    rest = client.get("/entities", params={"offset": 8, "limit": 8}).json()
    names = [entity["name"] for entity in first["entities"] + rest["entities"]]
    assert names == [f"e{number}" for number in range(12)]
    assert first["total"] == 12
    assert client.get("/entities", params={"offset": 99}).json()["entities"] == []


def test_search_and_relations(client: TestClient):
    found = client.get("/search", params={"q": "ENTITY 7"}).json()["entities"]
    assert found[0]["name"] == "e7"
    assert client.get("/search", params={"q": "zzz"}).json()["entities"] == []
    relations = client.get("/relations").json()["relations"]
    assert sorted(relation["name"] for relation in relations) == ["r0", "r1", "r2"]
    assert relations == sorted(relations, key=lambda relation: -relation["facts"])


def test_pictures_are_drawn_anew_and_small(client: TestClient):
    got = client.get("/images", params={"entity": "e2", "number": 1, "size": "96"})
    assert got.headers["content-type"] == "image/png"
    with Image.open(BytesIO(got.content)) as picture:
        assert picture.getpixel((0, 0)) == (40, 90, 50)
    again = client.get("/images", params={"entity": "e2", "number": 1}, headers={"If-None-Match": got.headers["etag"]})
    assert again.status_code in (200, 304)


@pytest.mark.parametrize(("entity", "number"), [("e0", 0), ("e1", 2), ("e4", 0), ("e4", 1)])
def test_a_picture_that_is_not_there_says_so(client: TestClient, entity: str, number: int):
    got = client.get("/images", params={"entity": entity, "number": number})
    assert got.status_code == 404
    assert got.headers["content-type"] == "application/problem+json"


def test_health_and_metrics_count(client: TestClient):
    health = client.get("/health").json()
    assert [run["name"] for run in health["runs"]] == ["both", "triples"]
    assert health["runs"][0]["modalities"] == ["image", "text"]

    def counted() -> float:
        lines = client.get("/metrics").text.splitlines()
        wanted = 'pictokg_requests_total{method="GET",route="/search",status="200"} '
        return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))

    before = counted()
    client.get("/search", params={"q": "e"})
    assert counted() == before + 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/answers?head=e11x&relation=r0", None, 404),
        ("GET", "/answers?head=e1&relation=r00", None, 404),
        ("GET", "/answers?head=e1", None, 422),
        ("GET", "/answers?head=e1&relation=r0&tail=e2", None, 422),
        ("GET", "/answers?head=e1&relation=r0&k=0", None, 422),
        ("GET", "/answers?head=e1&relation=r0&k=1001", None, 422),
        ("GET", "/answers?head=e1&relation=r0&typo=1", None, 422),
        ("GET", "/answers?head=e1&relation=r0&run=bot", None, 404),
        ("GET", "/images?entity=e1&size=97", None, 422),
        ("GET", "/images?entity=nobody", None, 404),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/answers", None, 405),
        ("POST", "/health", "{}", 405),
        ("POST", "/answers", '{"questions": []}', 422),
        ("POST", "/answers", '{"questions": [{"head": "e99", "relation": "r0"}]}', 422),
        ("POST", "/answers", '{"questions": [{"head": "e1", "relation": "r0"}], "k": NaN}', 422),
        ("POST", "/answers", '{"questions": [{"head": "e1", "relation": "r0"}], "k": 1e400}', 422),
        ("POST", "/answers", '{"questions": [{"head": "e1", "relation": "r0"}], "k": %s}' % ("9" * 5000), 400),
        ("POST", "/answers", '{"questions": [{"head": "\\ud800", "relation": "r0"}]}', 422),
        ("POST", "/answers", '{"questions": [{"head": "e1\\u0000", "relation": "r0"}]}', 422),
        ("POST", "/answers", '{"questions": [{"head": "ｅ１", "relation": "r0"}]}', 422),
        ("POST", "/answers", "[" * 100_000, 400),
        ("POST", "/answers", "not json", 422),
        ("POST", "/answers", b"\xff\xfe", 422),
    ],
)
def test_what_is_wrong_is_a_problem_with_words(
    client: TestClient, method: str, path: str, body: str | bytes, status: int
):
    got = client.request(method, path, content=body, headers={"content-type": "application/json"} if body else {})
    assert got.status_code == status, got.text
    assert got.headers["content-type"] == "application/problem+json"
    said = json.loads(got.content.decode("ascii"))
    assert said["status"] == status
    assert said["detail"]
    assert len(said["detail"]) < 500


def test_a_wrong_name_brings_the_nearest(client: TestClient):
    said = client.get("/answers", params={"head": "entity 7", "relation": "r0"}).json()
    assert said["nearest"][0] == "e7"
    assert "perhaps 'e7'" in said["detail"]
    assert client.get("/answers", params={"head": "e1", "relation": "r9"}).json()["nearest"] == ["r0", "r1", "r2"]


def test_a_method_that_is_not_allowed_names_those_that_are(client: TestClient):
    assert client.put("/relations").headers["allow"] == "GET"


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page/....//app.py",
        "/page//etc/passwd",
        "/page/%5c..%5capp.py",
        "/images?entity=../secret.txt",
        "/images?entity=e1&number=../0",
        "/images?entity=e1&number=-1",
        "/images/../../etc/passwd",
        "/entities?name=../../etc/passwd",
    ],
)
def test_no_path_leads_out(client: TestClient, path: str):
    got = client.get(path)
    assert got.status_code in (404, 422)
    assert b"secret" not in got.content.replace(b"secret.txt", b"")
    assert b"make_app" not in got.content


def test_every_response_forbids_what_the_page_does_not_need(client: TestClient):
    for path in ("/", "/health", "/nothing", "/page/index.html"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for_everywhere_but_at_the_door(strict: TestClient):
    assert strict.get("/").status_code == 200
    assert strict.get("/health").status_code == 200
    for path in ("/search?q=e", "/metrics", "/openapi.json", "/entities", "/images?entity=e1"):
        refused = strict.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer open-sesam", "Bearer ", "Basic open-sesame", "open-sesame", "Bearer open-sesame2"):
            assert strict.get(path, headers={"Authorization": wrong}).status_code == 401
        assert strict.get(path, headers=TOKEN).status_code == 200


def test_bodies_are_bounded_whether_announced_or_not(strict: TestClient):
    def parts():
        for _ in range(100):
            yield b" " * 1000

    assert strict.post("/answers", content=b" " * 3000, headers=TOKEN).status_code == 413
    assert strict.post("/answers", content=parts(), headers=TOKEN).status_code == 413
    lying = {**TOKEN, "content-type": "multipart/form-data; boundary=x"}  # the larger bound is for newcomers only
    assert strict.post("/answers", content=b" " * 3000, headers=lying).status_code == 413


def test_pages_of_other_origins_and_other_host_names_are_refused(strict: TestClient):
    asked = "/search?q=e"
    assert strict.get(asked, headers={**TOKEN, "Host": "evil.example"}).status_code == 403
    assert strict.get(asked, headers={**TOKEN, "Origin": "http://evil.example"}).status_code == 403
    assert strict.get(asked, headers={**TOKEN, "Origin": "null"}).status_code == 403
    assert strict.get(asked, headers={**TOKEN, "Origin": "http://testserver"}).status_code == 200


def test_nothing_is_loaded_from_elsewhere(client: TestClient):
    for path in ("/docs", "/redoc"):
        assert client.get(path).status_code == 404
