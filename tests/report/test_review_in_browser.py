"""The review page in a real Chromium: keys, buttons, downloads, what is kept, a phone's width, both colour schemes."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect, sync_playwright
from random_data import make_data

from pictokg.prediction.completion import Fact
from pictokg.report.review import write_review

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)

FACTS = [Fact("e1", "r0", "e2", 3.0, 0.9999), Fact("e2", "r1", "e3", 2.0, 0.75), Fact("e4", "r2", "e5", 1.0, 0.5)]
STATE = "{} accepted, {} rejected, {} undecided"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    path = tmp_path_factory.mktemp("review") / "review.html"
    write_review(path, make_data(), FACTS, lambda fact: "like another fact of " + "a very long name " * 12)
    return path.as_uri()


@pytest.fixture
def page(browser, where):
    """The page, opened for the first time; a test fails where a script fails or anything else is asked for."""
    complaints = []
    context = browser.new_context(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    known = (where, "data:", "blob:")
    opened.on("request", lambda asked: None if asked.url.startswith(known) else complaints.append(asked.url))
    opened.goto(where)
    yield opened
    context.close()
    assert complaints == []


def state(page, *counts):
    expect(page.get_by_role("status")).to_have_text(STATE.format(*counts))


def press(page, keys):
    for key in keys:
        page.keyboard.press(key)


def test_keys_decide_and_move_on(page):
    state(page, 0, 0, 3)
    press(page, "jar")
    state(page, 1, 1, 1)
    cards = page.locator(".fact")
    expect(cards.nth(2)).to_be_focused()
    expect(cards.nth(0).get_by_role("button", name="Accept")).to_have_attribute("aria-pressed", "true")
    expect(cards.nth(1).get_by_role("button", name="Reject")).to_have_attribute("aria-pressed", "true")
    press(page, "ku")
    expect(cards.nth(1)).to_be_focused()
    state(page, 1, 0, 2)
    page.keyboard.press("Control+a")  # the browser's own
    state(page, 1, 0, 2)


def test_buttons_decide_and_take_back(page):
    reject = page.locator(".fact").nth(1).get_by_role("button", name="Reject")
    reject.click()
    state(page, 0, 1, 2)
    reject.click()
    state(page, 0, 0, 3)


def test_decisions_outlive_the_visit(page):
    press(page, "jjr")
    page.reload()
    state(page, 0, 1, 2)


def test_decided_facts_can_be_shown_alone(page):
    press(page, "ja")
    page.get_by_label("Show").focus()  # a card with the focus stays
    page.get_by_label("Show").select_option("accept")
    expect(page.locator(".fact:visible")).to_have_count(1)
    page.get_by_label("Show").select_option("open")
    expect(page.locator(".fact:visible")).to_have_count(2)


def test_decisions_are_downloaded(page):
    press(page, "jar")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download TSV").click()
    assert download.value.suggested_filename == "decisions.tsv"
    assert download.value.path().read_text() == "e1\tr0\te2\t0.9999\taccept\ne2\tr1\te3\t0.75\treject\n"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    found = json.loads(download.value.path().read_text())
    assert [(one["tail"], one["probability"], one["decision"]) for one in found] == [
        ("e2", 0.9999, "accept"),
        ("e3", 0.75, "reject"),
    ]


def test_nothing_is_said_to_be_certain(page):
    expect(page.locator(".chance strong")).to_have_text(["> 99.9%", "75.0%", "50.0%"])


def test_a_phone_shows_all_of_it(page):
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    assert page.locator(".bar").bounding_box()["height"] < 120  # it stays on the screen: facts need the room
    page.get_by_role("button", name="Accept").first.click()
    state(page, 1, 0, 2)


def test_dark_is_dark(page):
    page.emulate_media(color_scheme="dark")
    shade = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(shade) < 60


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_fault(page, colours):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    page.emulate_media(color_scheme=colours)
    press(page, "jar")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
