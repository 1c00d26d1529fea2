"""/explain and the page's "why" of a run whose sampler looked at pictures and words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from cross_modal import context_of, prepared
from starlette.testclient import TestClient

from pictokg.datasets.dataset import Dataset
from pictokg.features.table import FeatureTable
from pictokg.prediction.reasons import explain
from pictokg.prediction.sampler_attention import NoSamplerAttention, SamplerAttention
from pictokg.sampling.mmrns_plus import MMRNSPlus
from pictokg.serving.app import make_app
from pictokg.serving.served import Served, Service

FACT = {"head": "e1", "relation": "r0", "tail": "e2"}


@pytest.fixture(scope="module")
def seen(pictured: Dataset) -> tuple[Dataset, SamplerAttention]:
    """Entities 1 and 2 have two pictures in a file and two windows each, and two sentences."""
    owners = {"image": (1, 2), "text": (1, 2, 3)}
    tables = {}
    for modality, entities in owners.items():
        keys = [key for entity in entities for key in keys_of(modality, entity)]
        counts = [len(keys_of(modality, entity)) if entity in entities else 0 for entity in range(12)]
        values = np.random.default_rng(1).normal(size=(len(keys), 5)).astype("float32")
        tables[modality] = FeatureTable(f"{modality}-hf", values, np.concatenate([[0], np.cumsum(counts)]), keys)
    data = replace(pictured, tables=tables)
    context = context_of(data)
    return data, SamplerAttention("mmrns_plus", prepared(MMRNSPlus(3), context), context)


def keys_of(modality: str, entity: int) -> list[str]:
    if modality == "text":
        return ["text#sentence 0", "text#sentence 1"]
    first = f"{entity}-0.png"
    return [f"{first}#patch 0,0", f"{first}#patch 0,1", f"{entity}-1.png"]


@pytest.fixture(scope="module")
def runs(seen: tuple[Dataset, SamplerAttention]) -> list[Served]:
    data, attention = seen
    model = attention.context.model
    why_not = NoSamplerAttention("The attention of the sampler mmrns is not shown: it is gone.")
    return [
        Served("sampled", model, data, attention=lambda: attention),
        Served("gone", model, data, attention=lambda: why_not),
        Served("plain", model, data),
    ]


@pytest.fixture(scope="module")
def asked(runs: list[Served]) -> Iterator[TestClient]:
    with TestClient(make_app(Service.of(runs))) as found:
        yield found


def test_slots_are_those_of_the_library_and_pictures_go_by_their_number(asked: TestClient, runs: list[Served]):
    got = asked.get("/explain", params=FACT).json()
    direct = explain(runs[0].predictor, tuple(FACT.values()), sampler=runs[0].sampler_attention)
    assert got["sampler_attention"] == direct.sampler_attention
    for side, parts in (("asked", direct.asked), ("given", direct.given)):
        pictures, words = got[side]["sampler_attention"]
        assert [slot["picture"] for slot in pictures["slots"]] == [0, 0, 1]
        assert [slot["window"] for slot in pictures["slots"]] == [[0, 0, 1, 0.5], [0, 0.5, 1, 0.5], None]
        assert [slot["key"] for slot in words["slots"]] == ["text#sentence 0", "text#sentence 1"]
        for one, own in zip((pictures, words), parts.sampler_attention, strict=True):
            for name in ("independent", "guided"):
                expected = [getattr(slot, name) for slot in own.slots]
                assert [slot[name] for slot in one["slots"]] == pytest.approx(expected)
    assert ".png" not in asked.get("/explain", params=FACT).text


def test_what_is_not_there_is_said_and_a_run_without_it_says_nothing(asked: TestClient):
    gone, plain = (asked.get("/explain", params={**FACT, "run": run}).json() for run in ("gone", "plain"))
    assert gone["sampler_attention"] == "The attention of the sampler mmrns is not shown: it is gone."
    assert plain["sampler_attention"] == ""
    assert [gone["asked"]["sampler_attention"], plain["given"]["sampler_attention"]] == [[], []]


def test_it_is_loaded_once_and_when_it_is_asked_for(seen: tuple[Dataset, SamplerAttention]):
    data, attention = seen
    loads: list[int] = []
    run = Served("lazy", attention.context.model, data, attention=lambda: loads.append(1) or attention)
    assert loads == []
    assert (run.sampler_attention, run.sampler_attention) == (attention, attention)
    assert loads == [1]


def test_the_page_shows_it_apart_from_the_reasons(runs: list[Served], on_a_port: type):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with on_a_port(make_app(Service.of(runs))) as address, sync_api.sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.goto(f"{address}/#ask?entity=e1&relation=r0")
        page.get_by_role("button", name="Why entity 2?").click()
        why = page.get_by_role("dialog", name="Why this answer")
        sync_api.expect(why.get_by_role("heading", name="What the sampler looked at")).to_be_visible(timeout=20_000)
        _, *rows = (row.split("\t") for row in why.get_by_role("table").first.inner_text().splitlines())
        shown = {label: figures for label, *figures in rows}
        assert "no part in the score" in why.inner_text()
        page.context.browser.close()
    direct = explain(runs[0].predictor, ("e1", "r0", "e2"), sampler=runs[0].sampler_attention)
    pictures, words = direct.asked.sampler_attention
    independent, guided = (
        sum(getattr(slot, name) for slot in pictures.slots[:2]) for name in ("independent", "guided")
    )
    assert shown["picture 1"] == [f"{100 * independent:.0f} %", f"{100 * guided:+.0f} %".replace("-", "−")]
    assert set(shown) == {"picture 1", "picture 2", *(slot.key for slot in words.slots)}
