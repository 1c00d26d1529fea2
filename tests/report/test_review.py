"""The review page: self-contained, every fact with its pictures, nothing that a name could break."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from PIL import Image
from random_data import make_data

import pictokg
from pictokg.prediction.calibration import fit_calibration
from pictokg.prediction.completion import Fact, complete
from pictokg.report.review import nearest_fact, render_review, write_review


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag, css=None):
        return [attrs for name, attrs in self.found if name == tag and (css is None or attrs.get("class") == css)]


@pytest.fixture
def predictor(tmp_path):
    data = make_data()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    data = type(data)(**{**vars(data), "pictures": {"e1": [tmp_path / "red.png"]}})
    model = pictokg.build("distmult", data, dim=4)
    return pictokg.Predictor(model, data, fit_calibration(model, data))


def test_every_fact_is_a_card_with_buttons_and_pictures(predictor, tmp_path):
    facts = list(complete(predictor, entities=["e1"], limit=6))
    write_review(tmp_path / "page.html", predictor.data, facts, nearest_fact(predictor), predictor.calibration)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    elements = Elements(page)
    cards = elements.of("li", "fact")
    assert [(c["data-head"], c["data-relation"], c["data-tail"]) for c in cards] == [
        (fact.head, fact.relation, fact.tail) for fact in facts
    ]
    assert [float(card["data-probability"]) for card in cards] == pytest.approx(
        [fact.probability for fact in facts], abs=1e-5
    )
    assert len(elements.of("img")) == len(facts)
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in elements.of("img"))
    assert len(elements.of("button", "yes")) == len(elements.of("button", "no")) == len(facts)
    assert "similarity" in page
    assert "1 unknown stood beside each true one" in page


def test_the_page_loads_nothing(predictor):
    page = render_review(predictor.data, list(complete(predictor, limit=3)))
    elements = Elements(page)
    assert not elements.of("link")
    assert all("src" not in attributes for attributes in elements.of("script"))
    assert not re.search(r"https?://|url\(|@import", page)


def test_names_cannot_break_the_page(predictor):
    evil = "x' onfocus='alert(1)</script><script>alert(2)//"
    page = render_review(predictor.data, [Fact(evil, evil, evil, 0.0, 0.5)], lambda fact: evil)
    elements = Elements(page)
    assert len(elements.of("script")) == 1
    (card,) = elements.of("li", "fact")
    assert card["data-head"] == evil
    assert "onfocus" not in card


def test_other_facts_have_other_decisions_and_none_are_said(predictor):
    facts = list(complete(predictor, limit=3))
    keys = [re.search("pictokg-review-(\\w+)", render_review(predictor.data, part))[1] for part in (facts, facts[:2])]
    assert keys[0] != keys[1]
    assert "There are no new facts" in render_review(predictor.data, [])


def test_without_probabilities_there_are_scores(predictor):
    page = render_review(predictor.data, [Fact("e1", "r0", "e2", -1.25, None)])
    assert "score −1.250" in page
    assert "scores only" in page
