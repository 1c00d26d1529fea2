"""The page in a real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from pictokg.serving.served import Served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, live: str) -> Iterator[Page]:
    """A page that fails the test where a script fails or anything is asked of another host."""
    complaints: list[str] = []
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.set_default_timeout(15_000)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    opened.on("request", lambda asked: None if asked.url.startswith((live, "blob:")) else complaints.append(asked.url))
    yield opened
    opened.close()
    assert complaints == []


def settled(page: Page) -> Page:
    expect(page.locator("main [aria-busy]")).to_have_count(0)
    return page


def test_search_with_the_keyboard_leads_to_a_card(page: Page, live: str):
    page.goto(live)
    expect(page.get_by_role("link", name="entity 1", exact=False).first).to_be_visible()
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Entity")
    expect(box).to_be_focused()
    page.keyboard.type("ENTITY 1")
    options = page.get_by_role("listbox", name="Entity").get_by_role("option")
    expect(options).to_have_count(3)  # entity 1, 10 and 11
    assert box.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    card = page.get_by_role("article", name="entity 1")
    expect(card.get_by_text("The entity that is number 1.")).to_be_visible()
    expect(card.get_by_role("img")).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("heading", name="Or begin with one of these")).to_be_visible()


def test_answers_are_those_of_the_model_and_say_why(page: Page, live: str, served: list[Served]):
    page.goto(f"{live}/#ask?entity=e1")
    page.get_by_label("Relation", exact=True).select_option("r0")
    cards = page.get_by_role("region", name="Answers").get_by_role("listitem")
    expect(cards).to_have_count(12)
    direct = served[0].predictor.tails("e1", "r0", 12)
    titles = cards.locator(".title a").all_inner_texts()
    assert titles == [answer.label for answer in direct]
    chips = cards.locator(".chip").all_inner_texts()
    assert chips == ["known" if answer.known else "new" for answer in direct]
    cards.first.get_by_role("button", name="Why").click()
    why = page.get_by_role("dialog", name="Why this answer")
    expect(why.get_by_text("The answer:")).to_be_visible()
    expect(why.locator(".parts li").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(why).to_be_hidden()
    page.get_by_label("only new").check()
    expect(cards.locator(".chip.known")).to_have_count(0)
    page.get_by_role("button", name="Swap").click()
    heads = [answer.label for answer in served[0].predictor.answers([(None, "r0", "e1")], 12, new_only=True)[0]]
    expect(cards.locator(".title a").first).to_have_text(heads[0])


def test_windows_of_a_picture_are_drawn_as_heat_where_they_lie(page: Page, live: str):
    """The service's reasons with windows added: the upper left speaks for the answer, the lower right against it."""

    def with_windows(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        windows = [
            {"top": 0.0, "left": 0.0, "height": 0.5, "width": 0.5, "value": 1.0},
            {"top": 0.5, "left": 0.5, "height": 0.5, "width": 0.5, "value": -1.0},
        ]
        own = {"modality": "image", "key": "", "picture": 0, "share": 0.5, "removal": 0.0, "attention": 0.4}
        found["asked"]["contributions"].insert(0, {**own, "value": 0.0, "patches": windows})
        route.fulfill(response=answer, json=found)

    page.route("**/explain?*", with_windows)
    page.goto(f"{live}/#ask?entity=e1&relation=r0")
    page.get_by_role("button", name="Why entity 2?").click()
    figure = page.get_by_role("dialog").get_by_role("figure").first
    expect(figure).to_contain_text("attention 40 %")
    pixels = figure.locator("canvas").evaluate(
        "(canvas) => [[60, 60], [200, 200], [200, 60]]"
        ".map(([x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data])"
    )
    warm, cold, none = pixels
    assert warm[0] > warm[2]
    assert cold[2] > cold[0]
    assert none[3] == 0


def test_the_other_run_is_asked_where_it_is_chosen(page: Page, live: str, served: list[Served]):
    page.goto(f"{live}/#ask?entity=e1&relation=r0")
    expect(page.locator(".answer").first).to_be_visible()
    page.get_by_label("Run").select_option("triples")
    best = served[1].predictor.tails("e1", "r0", 1)[0].label
    expect(page.locator(".answer .title a").first).to_have_text(best)


def test_compare_puts_two_runs_side_by_side(page: Page, live: str, served: list[Served]):
    page.goto(f"{live}/#compare?entity=e1&relation=r0")
    for run in served:
        first = page.get_by_role("region", name=f"Answers of {run.name}").locator(".title a").first
        expect(first).to_have_text(run.predictor.tails("e1", "r0", 1)[0].label)
    expect(page.get_by_text("of the other").first).to_be_visible()


def test_new_facts_are_listed(page: Page, live: str):
    page.goto(f"{live}/#facts?relation=r1")
    rows = page.get_by_role("region", name="New facts").get_by_role("listitem")
    expect(rows.first).to_be_visible()
    rows.first.get_by_role("button", name="Why").click()
    expect(page.get_by_role("dialog").get_by_text("The question:")).to_be_visible()


def test_errors_and_empty_results_have_words(page: Page, live: str):
    page.goto(f"{live}/#ask?entity=nobody")
    expect(page.get_by_role("alert").first).to_contain_text("there is no entity named 'nobody'")
    page.goto(f"{live}/#ask")
    page.get_by_role("combobox", name="Entity").fill("xyzxyz")
    expect(page.get_by_text("No entity has this in its name")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_a_name_with_markup_is_text(page: Page, live: str):
    page.goto(f"{live}/#ask?entity=" + "%3Cimg src=x onerror=alert(1)%3E")
    expect(page.get_by_role("alert").first).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img[src=x]").count() == 0


def test_a_picture_of_someone_new_is_shown_and_can_be_taken_back(page: Page, live: str, served: list[Served]):
    page.goto(f"{live}/#newcomer")
    content = served[0].data.pictures["e1"][0].read_bytes()
    chosen = {"name": "a.png", "mimeType": "image/png", "buffer": content}
    page.get_by_label("Choose pictures").set_input_files([chosen])
    expect(page.get_by_alt_text("Chosen picture 1")).to_be_visible()
    page.get_by_role("button", name="Remove picture 1").click()
    expect(page.get_by_alt_text("Chosen picture 1")).to_have_count(0)
    page.get_by_label("What is it called?").fill("somebody")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("made elsewhere")  # these tests' features come from no encoder


@pytest.mark.parametrize("where", ["ask", "ask?entity=e1&relation=r0", "facts?relation=r1", "newcomer", "compare"])
def test_nothing_scrolls_sideways_on_a_phone(page: Page, live: str, where: str):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live}/#{where}")
    settled(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


ANSWERS = "ask?entity=e1&relation=r0"
AXE_VIEWS = ["ask", ANSWERS, "facts?relation=r1", "newcomer", "compare?entity=e1&relation=r0", "why"]


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("where", AXE_VIEWS)
def test_axe_finds_no_fault(page: Page, live: str, where: str, colours: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    page.emulate_media(color_scheme=colours)
    page.goto(f"{live}/#{ANSWERS if where == 'why' else where}")
    settled(page)
    if where == "why":
        page.get_by_role("button", name="Why").first.click()
        expect(page.get_by_role("dialog").locator(".parts li").first).to_be_visible()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
