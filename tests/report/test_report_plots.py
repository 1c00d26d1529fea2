from __future__ import annotations

import base64
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pictokg.report.content import Content, ModelResult
from pictokg.report.plots import draw, loss_plot, validation_plot


def test_losses_of_several_models_start_at_one_on_seconds_of_training(content: Content):
    plot = loss_plot(content.models)
    for (x, y), model in zip(plot.lines, content.models, strict=True):
        assert y[0] == 1.0
        assert y[-1] == pytest.approx(model.history[-1]["loss"] / model.history[0]["loss"])
        assert x[-1] == pytest.approx(sum(record["seconds"] for record in model.history))
    assert plot.filled == [False, False, True, True, True, True]


def test_loss_of_one_model_is_itself(content: Content):
    plot = loss_plot(content.models[:1])
    assert plot.lines[0][1] == [record["loss"] for record in content.models[0].history]


def test_validation_stands_at_the_second_it_was_made(content: Content):
    x, y = validation_plot(content.models).lines[0]
    assert x == pytest.approx([2.0, 4.0, 6.0, 8.0])
    assert y == [record["validation"]["mrr"] for record in content.models[0].history if "validation" in record]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plot_is_an_svg_and_the_same_bytes_each_time(content: Content, scheme: str):
    uri = draw(validation_plot(content.models), scheme)
    kind, coded = uri.split(";base64,")
    assert kind == "data:image/svg+xml"
    assert ElementTree.fromstring(base64.b64decode(coded)).tag.endswith("svg")
    assert draw(validation_plot(content.models), scheme) == uri


def test_models_without_history_draw_nothing():
    assert loss_plot([ModelResult("a"), ModelResult("b")]).is_empty
    assert validation_plot([ModelResult("a", history=[{"epoch": 1, "loss": 1.0, "seconds": 1.0}])]).is_empty


def test_losses_below_zero_are_drawn_on_a_plain_axis(content: Content):
    model = replace(content.models[0], history=[{"epoch": 1, "loss": -1.0, "seconds": 1.0}] * 2)
    plot = loss_plot([model])
    assert not plot.logarithmic
    draw(plot, "light")
