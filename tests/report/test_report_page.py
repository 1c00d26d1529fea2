from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_report import MODELS, PICTURE, RELATIONS, SCRIPT

from pictokg.errors import PictoKGError
from pictokg.report.content import Content, DataSummary, ModelResult
from pictokg.report.page import render, write_report

VOID = {"meta", "img", "source", "line", "circle"}  # of SVG, those that close themselves


class Checker(HTMLParser):
    """Reads a page, failing on tags that do not match, and keeps the text and the attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID or (tag == "circle" and not self.get_starttag_text().endswith("/>")):
            self.open.append(tag)
        assert len(dict(attributes)) == len(attributes), f"an attribute twice in {self.get_starttag_text()}"
        self.tags.append((tag, dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def read(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open, f"never closed: {checker.open}"
    return checker


def attributes(page: str, *names: str) -> Iterator[str]:
    for _, found in read(page).tags:
        yield from (found[name] or "" for name in names if name in found)


def test_page_is_well_formed(content: Content):
    page = render(content)
    assert page.startswith("<!doctype html>")
    read(page)


def test_page_loads_nothing(content: Content):
    page = render(content)
    sources = list(attributes(page, "src", "srcset", "href", "poster", "data"))
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"@import|url\(|<script|<link|<iframe", page)


def test_names_are_escaped_everywhere(content: Content):
    named = replace(content.models[0], name=SCRIPT, settings=SCRIPT, modalities=(SCRIPT,))
    hostile = replace(
        content,
        title=SCRIPT,
        models=[named, *content.models[1:]],
        data=replace(content.data, splits={SCRIPT: 1}),
        relation_labels={"relation_1": SCRIPT + "' onload='x"},
        versions={SCRIPT: SCRIPT},
        predicted_by=SCRIPT,
        notes=[SCRIPT],
        time=SCRIPT,
    )
    page = render(hostile)
    assert "<script" not in page
    assert "<b>diacritic" not in page
    assert not list(attributes(page, "onload"))
    assert SCRIPT in read(page).texts


def test_template_marks_in_names_stay_as_they_are(content: Content):
    assert "$title costs $5" in read(render(replace(content, title="$title costs $5"))).texts


def test_every_metric_of_every_model_is_on_the_page(content: Content):
    rows = table_rows(render(content), "Figures of every model")
    assert [row[0] for row in rows] == list(MODELS)
    for row, model in zip(rows, content.models, strict=True):
        figures = [model.metric(name) for name in ("mrr", "hits@1", "hits@3", "hits@10")]
        assert row[2:6] == [f"{value:.3f}" for value in figures]
        assert row[6:] == [
            f"{model.metric('mr'):,.1f}",
            f"{model.metric('amri'):.3f}",
            f"{model.seconds:,.1f}",
        ]


def test_best_of_each_metric_is_bold_and_lower_is_better_for_the_mean_rank(content: Content):
    page = render(content)
    for name, digits, choose in (("mrr", 3, max), ("mr", 1, min)):
        best = choose(model.metric(name) for model in content.models)
        assert f"<strong>{best:,.{digits}f}</strong>" in page


def test_every_slice_is_on_the_page_with_its_count(content: Content):
    rows = {row[0]: row[1:] for row in table_rows(render(content), "MRR by slice and model")}
    for group in ("by_side", "by_kind", "slices"):
        for key, metrics in content.models[0].evaluation[group].items():
            values = [model.metric("mrr", group, key) for model in content.models]
            shown = ["–" if value is None else f"{value:.3f}" for value in values]
            assert rows[key.replace("_", " ")] == [f"{metrics['count']:,}", *shown]
    assert rows["unseen in training"][0] == "0"


def test_relations_stand_in_the_order_of_what_pictures_and_words_bring(content: Content):
    plain, rich = content.models[1], content.models[5]  # the best without and with
    gain = {
        name: rich.metric("mrr", "by_relation", name) - plain.metric("mrr", "by_relation", name) for name in RELATIONS
    }
    page = render(content)
    shown = re.findall(r"<th scope='row' title='(relation_\d+)'>.*?<td class='figure'>(.*?)</td>", page)
    assert [name for name, _ in shown] == sorted(RELATIONS, key=lambda name: -gain[name])
    assert {name: text.replace("−", "-") for name, text in shown} == {name: f"{gain[name]:+.3f}" for name in RELATIONS}
    assert "has general category" in page


def test_marks_of_a_relation_stand_where_its_figures_say(content: Content):
    page = render(content)
    strip = re.search(r"title='relation_7'>.*?<svg.*?aria-label='(.*?)'>(.*?)</svg>", page)
    values = [model.metric("mrr", "by_relation", "relation_7") for model in content.models]
    assert strip[1] == "MRR: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(MODELS, values, strict=True))
    places = [float(place) for place in re.findall(r"<circle cx='(.*?)%'", strip[2])]
    assert places == pytest.approx([4 + 92 * value for value in values], abs=0.01)


def test_new_facts_show_pictures_labels_and_scores(content: Content):
    page = render(content)
    images = [found for tag, found in read(page).tags if tag == "img" and found["src"] == PICTURE]
    assert len(images) == sum(len(fact.head.pictures) + len(fact.tail.pictures) for fact in content.new_facts)
    assert images[1]["alt"] == "LATIN CAPITAL LETTER A WITH ACUTE, picture 2"
    texts = read(page).texts
    assert {"U+00C1", "category:Lu", "12.35", "−3.50", "new"} <= {text.strip() for text in texts}


def test_footer_says_how_to_get_the_same_figures(content: Content):
    texts = read(render(content)).texts
    assert {content.command, "17", "pictokg 0.1.0, torch 2.13.0", content.time} <= set(texts)


def test_what_is_missing_leaves_no_empty_section(content: Content):
    bare = Content(
        title="t",
        models=[ModelResult("m")],
        data=DataSummary("d", 0, 0, {}),
        seed=0,
        versions={},
        command="",
        time="",
    )
    page = render(bare)
    read(page)
    assert "No model has been evaluated yet." in page
    assert re.findall("<h2>(.*?)</h2>", page) == ["Models"]
    assert "None" not in page


def test_one_model_gets_its_loss_and_its_relations_by_mrr(content: Content):
    only = content.models[-1]
    page = render(replace(content, models=[only]))
    read(page)
    assert "loss of each model" in page
    assert "relative to the first epoch" not in page
    shown = re.findall(r"<th scope='row' title='(relation_\d+)'>.*?<td class='figure'>(.*?)</td>", page)
    figures = {name: only.metric("mrr", "by_relation", name) for name in RELATIONS}
    assert shown == [(name, f"{figures[name]:.3f}") for name in sorted(RELATIONS, key=lambda name: -figures[name])]


def test_figures_that_do_not_exist_are_dashes(content: Content):
    empty = {
        **content.models[0].evaluation,
        "metrics": dict.fromkeys(("mrr", "mr", "hits@1", "hits@3", "hits@10", "amri")),
    }
    page = render(replace(content, models=[replace(content.models[0], evaluation=empty), *content.models[1:]]))
    assert table_rows(page, "Figures of every model")[0][2:] == ["–"] * 6 + ["8.2"]


def test_page_is_small_and_written_whole(content: Content, tmp_path: Path):
    path = tmp_path / "deep" / "report.html"
    write_report(path, content)
    assert path.read_text(encoding="utf-8") == render(content)
    assert path.stat().st_size < 1_000_000
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_a_clear_error(content: Content, tmp_path: Path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(PictoKGError, match=r"cannot write .*report\.html"):
        write_report(tmp_path / "report.html", content)


def table_rows(page: str, caption: str) -> list[list[str]]:
    """The texts of the cells of each body row of a table."""
    table = re.search(rf"<caption class='unseen'>{caption}</caption>.*?<tbody>(.*?)</tbody>", page)[1]
    return [read(row).texts for row in re.findall(r"<tr[ >].*?</tr>", table)]
