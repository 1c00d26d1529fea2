"""Makes the pictures of the page in docs/: python docs/screenshots.py runs/demo/gated-image-text runs/demo/complex.

Needs the extras `serve` and `test`, and a Chromium on the machine (Debian: apt-get install chromium).
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from pictokg.cli.serve import open_service
from pictokg.serving.app import make_app
from pictokg.serving.server import make_server

HERE = Path(__file__).parent
QUESTION = "entity=U%2B00C1&relation=base_character"
LARGE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


def main(runs: list[Path]) -> None:
    """Serve the runs on a free port, and photograph the page."""
    server = make_server(make_app(open_service(runs, "cpu", 2)), "127.0.0.1", 0, "WARNING")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport=LARGE)
            page.set_default_timeout(60_000)
            shoot(page, f"{address}/#ask?{QUESTION}", "page-answers")
            why(page, "page-why")
            shoot(page, f"{address}/#compare?{QUESTION}", "page-compare")
            something_new(page, address, "page-newcomer")
            page.emulate_media(color_scheme="dark")
            shoot(page, f"{address}/#facts?relation=lowercase", "page-facts-dark")
            page.set_viewport_size(PHONE)
            page.emulate_media(color_scheme="light")
            shoot(page, f"{address}/#ask?{QUESTION}", "page-phone")
            browser.close()
    finally:
        server.should_exit = True
        thread.join()


def shoot(page: Page, address: str, name: str) -> None:
    """Wait until everything is there, and write a picture."""
    page.goto("about:blank")
    page.goto(address)
    keep(page, name)


def keep(page: Page, name: str) -> None:
    """Write a picture of the page as it is, once nothing is awaited."""
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=HERE / f"{name}.png")


def why(page: Page, name: str) -> None:
    """Open the reasons of the first answer."""
    page.get_by_role("button", name="Why").first.click()
    expect(page.locator(".parts li").first).to_be_visible(timeout=60_000)
    keep(page, name)
    page.keyboard.press("Escape")


def something_new(page: Page, address: str, name: str) -> None:
    """Show the model a letter that Unicode does not have: a W with a double stroke, drawn here."""
    from io import BytesIO

    from PIL import Image, ImageDraw

    letter = Image.new("RGB", (64, 64), "white")
    pen = ImageDraw.Draw(letter)
    pen.line([(10, 16), (20, 52), (32, 24), (44, 52), (54, 16)], "black", 5)
    pen.line([(8, 32), (56, 32)], "black", 3)
    pen.line([(8, 40), (56, 40)], "black", 3)
    out = BytesIO()
    letter.save(out, "PNG")
    page.goto(f"{address}/#newcomer")
    chosen = {"name": "letter.png", "mimeType": "image/png", "buffer": out.getvalue()}
    page.get_by_label("Choose pictures").set_input_files([chosen])
    page.get_by_label("What is it called?").fill("LATIN CAPITAL LETTER W WITH DOUBLE STROKE")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".told > li").first).to_be_visible(timeout=60_000)
    keep(page, name)


if __name__ == "__main__":
    main([Path(run) for run in sys.argv[1:]])
