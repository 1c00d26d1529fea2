"""The attention of a training sampler beside reasons: whose weights, which slots, and what where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape

import numpy as np
import pytest
import torch
from cross_modal import BOTH, context_of, prepared, with_slots

from pictokg.graph.query import Side
from pictokg.prediction.explanation import SlotAttention, SlotWeight
from pictokg.prediction.newcomer import Fact, Newcomer
from pictokg.prediction.newcomers import Reception
from pictokg.prediction.predictor import Predictor
from pictokg.prediction.reasons import explain
from pictokg.prediction.sampler_attention import SamplerAttention, Slots, weighed
from pictokg.report.reasons import render
from pictokg.sampling._cross_modal import Looks
from pictokg.sampling.mmrns import MMRNS
from pictokg.sampling.mmrns_plus import MMRNSPlus
from pictokg.training.checkpoint import load_tensors, save_tensors

THREE = Slots("image", "image-hf", ["a.png#patch 0,0", "a.png#patch 0,1", "b.png"], 2)
TWO = Slots("text", "text-tfidf", ["text#sentence 0", "text#sentence 1"], 4)


def looks_at(independent, guided, keys, queries):
    """Looks of one entity."""
    weights = (torch.tensor([part], dtype=torch.float32) for part in (independent, guided))
    return Looks(*weights, torch.tensor([queries]), torch.tensor([keys]))


def test_means_over_who_looks_written_out():
    looks = looks_at(
        [[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], [[1, 3], [-1, 1], [7, 7]], [True, True], [True, True, False]
    )
    found = weighed(looks, THREE, TWO)
    assert (found.modality, found.by, found.by_keys) == ("image", "text", ("text#sentence 0", "text#sentence 1"))
    assert [slot.key for slot in found.slots] == ["a.png#patch 0,0", "a.png#patch 0,1"]
    assert [slot.independent for slot in found.slots] == [0.375, 0.625]
    assert [slot.guided for slot in found.slots] == [(1 / 4 - 1 / 2) / 2, (3 / 4 + 1 / 2) / 2]
    assert [slot.guided_by for slot in found.slots] == [(1.0, -1.0), (3.0, 1.0)]
    assert [slot.window for slot in found.slots] == [(0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 0.5)]


def test_what_empty_slots_take_stands_behind_the_others_and_nothing_where_they_are_masked():
    released = looks_at([[0.5, 0.2, 0.2, 0.1]], [[2.0, 1.0, 0.5, -0.5]], [True, False, False, False], [True])
    one = Slots("text", "text-tfidf", ["text"], 4)
    shown, empty = weighed(released, one, THREE).slots
    assert (shown.key, shown.independent, shown.guided) == ("text", 0.5, pytest.approx(2 / 3))
    assert (empty.key, empty.independent, empty.guided) == ("", pytest.approx(0.5), pytest.approx(1 / 3))
    masked = looks_at([[1.0, 0, 0, 0]], [[-2.0, 0, 0, 0]], [True, False, False, False], [True])
    assert [(slot.key, slot.guided) for slot in weighed(masked, one, THREE).slots] == [("text", -1.0)]
    assert weighed(masked, replace(one, rows=[]), THREE) is None


def test_nothing_under_the_relation_is_0_and_not_a_division_by_it():
    looks = looks_at([[0.5, 0.5]], [[0.0, 0.0]], [True, True], [True])
    assert [slot.guided for slot in weighed(looks, THREE, TWO).slots] == [0.0, 0.0]


def test_the_foremost_are_those_looked_at_most_where_they_stand():
    slots = tuple(SlotWeight(str(n), (n % 5) / 10, 0.0, (), ()) for n in range(12))
    shown, rest = SlotAttention("image", slots, "text", ("text",)).foremost(4)
    assert [slot.key for slot in shown] == ["3", "4", "8", "9"]
    assert len(rest) == 8
    few = SlotAttention("image", slots[:5], "text", ("text",))
    assert few.foremost(4) == (list(slots[:5]), [])


def attention_of(make, data, **options):
    context = context_of(data)
    sampler = prepared(make(3, **options), context)
    with torch.no_grad():
        for parameter in sampler.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return SamplerAttention("made up", sampler, context)


@BOTH
@pytest.mark.parametrize("side", ["tail", "head"])
def test_each_entity_is_seen_as_an_answer_and_its_slots_are_its_rows(make, side, data):
    slotted = with_slots(data)
    attention = attention_of(make, slotted)
    predictor = Predictor(attention.context.model, slotted)
    found = explain(predictor, ("e2", "r1", "e5"), side=side, sampler=attention)
    assert "no part in the score" in found.sampler_attention
    asked, given = (found.asked, found.given) if side == "tail" else (found.given, found.asked)
    for parts, entity, way in ((asked, 5, Side.TAIL), (given, 2, Side.HEAD)):
        looks = attention.sampler.look(torch.tensor([entity]), torch.tensor([1]), way, attention.context)
        assert [one.modality for one in parts.sampler_attention] == ["image", "text"]
        for one, look in zip(parts.sampler_attention, looks, strict=True):
            own = slotted.tables[one.modality].instances(np.array([entity])).keys
            shown = [slot for slot in one.slots if slot.key]
            assert [slot.key for slot in shown] == own
            weights = look.independent[0][look.queries[0]].mean(dim=0)[look.keys[0]]
            assert [slot.independent for slot in shown] == pytest.approx(weights.tolist())
            assert sum(slot.independent for slot in one.slots) == pytest.approx(1)
            for row in range(len(one.by_keys)):
                assert sum(slot.independent_by[row] for slot in one.slots) == pytest.approx(1)
            assert sum(abs(slot.guided) for slot in one.slots) <= 1 + 1e-6
    json.dumps(found.as_json(), allow_nan=False)
    plain = explain(predictor, ("e2", "r1", "e5"), side=side)
    assert replace(found, sampler_attention="", asked=plain.asked, given=plain.given) == plain


@pytest.mark.parametrize(("make", "empties"), [(MMRNS, True), (MMRNSPlus, False)])
def test_padded_slots_weigh_as_released_and_nothing_where_they_are_masked(make, empties, data):
    (pictures, _) = attention_of(make, with_slots(data)).of(1, 0, Side.TAIL)  # two pictures in three slots
    assert [slot.key for slot in pictures.slots if not slot.key] == [""] * empties
    shown = sum(slot.independent for slot in pictures.slots if slot.key)
    assert (shown == pytest.approx(1)) != empties


def test_more_rows_than_slots_are_left_out(data):
    attention = attention_of(MMRNSPlus, with_slots(data), picture_slots=2)
    (pictures, _) = attention.of(5, 0, Side.TAIL)
    assert [slot.key for slot in pictures.slots] == attention.context.data.tables["image"].instances(
        np.array([5])
    ).keys[:2]


@BOTH
def test_an_entity_without_pictures_has_no_attention_to_them_and_one_without_both_none(make, data):
    attention = attention_of(make, with_slots(data))
    (words,) = attention.of(9, 0, Side.TAIL)  # words, no picture
    assert (words.modality, words.by_keys) == ("text", ("",))
    assert sum(slot.independent for slot in words.slots) == pytest.approx(1)
    assert attention.of(0, 0, Side.TAIL) == ()
    predictor = Predictor(attention.context.model, attention.context.data)
    assert "nothing to show" in explain(predictor, ("e0", "r0", "e0"), sampler=attention).sampler_attention


@pytest.mark.filterwarnings("ignore::pictokg.errors.DataWarning")
@BOTH
def test_data_with_words_alone_show_words_alone(make, data):
    slotted = with_slots(data)
    attention = attention_of(make, replace(slotted, tables={"text": slotted.tables["text"]}))
    assert [one.modality for one in attention.of(5, 0, Side.TAIL)] == ["text"]


@pytest.mark.filterwarnings("ignore::pictokg.errors.DataWarning")
def test_a_newcomer_was_never_seen(data):
    attention = attention_of(MMRNSPlus, with_slots(data))
    model = attention.context.model
    new = Newcomer("new", facts=[Fact("r0", "e1")])
    longer = Reception(model, attention.context.data).predictor(Predictor(model, attention.context.data), [new])
    found = explain(longer, ("new", "r0", "e5"), sampler=attention)
    assert found.sampler_attention.endswith("It never saw new.")
    assert found.given.sampler_attention == ()
    assert len(found.asked.sampler_attention) == 2


def test_of_a_checkpoint_only_what_is_wanted_is_read(tmp_path):
    whole = {name: torch.full((2,), float(number)) for number, name in enumerate(["model/a", "model/b", "sampler/a"])}
    save_tensors(tmp_path / "file", whole, {"note": 1})
    assert set(load_tensors(tmp_path / "file")[0]) == set(whole)
    some, notes = load_tensors(tmp_path / "file", ("model/b", "sampler/"))
    assert (set(some), notes) == ({"model/b", "sampler/a"}, {"note": 1})


def test_the_page_shows_slots_by_picture_with_their_windows(data):
    slotted = with_slots(data)
    keys = [f"<b>/{row // 2}.png#patch 0,{row % 2}" for row in range(len(slotted.tables["image"].values))]
    slotted = slotted.with_table("image", replace(slotted.tables["image"], keys=keys))
    attention = attention_of(MMRNSPlus, slotted)
    predictor = Predictor(attention.context.model, slotted)
    page = render(explain(predictor, ("e1", "r1", "e5"), sampler=attention), slotted)
    assert page.count("What the sampler looked at</h3>") == 2
    assert "no part in the score" in page
    assert "<b>" not in page
    (pictures, _), (others, _) = attention.of(5, 1, Side.TAIL), attention.of(1, 1, Side.HEAD)
    assert page.count("<title>") - 1 == len(pictures.slots) + len(others.slots)  # a window each
    for owner, slots in pictures.owners().items():
        guided = f"{sum(slot.guided for slot in slots):+.0%}".replace("-", "−")
        independent = f"{sum(slot.independent for slot in slots):.0%}"
        row = f"image: {escape(owner)}</td><td class='figure'>{independent}</td><td class='figure'>{guided}</td>"
        assert row in page
    assert "What the sampler looked at" not in render(explain(predictor, ("e1", "r1", "e5")), slotted)
