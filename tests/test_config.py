"""Configuration: what is written can be read again; keys are found or refused with what would be right."""

from __future__ import annotations

import pytest

from pictokg.config import Config, configure
from pictokg.errors import ConfigError


@pytest.mark.parametrize("modality", ["image", "größe x", "a.b", 'a "quoted" one'])
def test_a_written_configuration_reads_as_itself(modality, tmp_path):
    config = configure("gated", settings=[("epochs", 3), ("modalities", "structure,image")])
    config = Config({**config.sections, "features": {modality: "table"}})
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert configure(file=tmp_path / "config.toml").sections == config.sections


def test_a_part_can_be_named_by_its_section_or_by_its_name_key():
    plain = configure("transe", settings=[("loss", "softmax")])
    assert configure("transe", settings=[("loss.name", "softmax")]) == plain
    assert configure(settings=[("model.name", "transe"), ("loss", "softmax")]) == plain


def test_an_option_of_a_part_that_was_not_chosen_says_whose_it_is():
    whose = r"it is an option of: sampler bernoulli, .*sampler uniform, sampler unknown$"
    with pytest.raises(ConfigError, match=whose):
        configure("gated", parts={"sampler": "one_vs_all"}, settings=[("negatives", 8)])
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        configure("gated", settings=[("epoch", 8)])


def test_asking_for_negatives_takes_a_sampler_that_draws_them_unless_one_was_chosen():
    assert configure("gated", settings=[("negatives", 8)]).sections["sampler"]["name"] == "uniform"
    chosen = configure("gated", parts={"sampler": "unknown"}, settings=[("negatives", 8)])
    assert chosen.sections["sampler"]["name"] == "unknown"
    assert chosen.sections["sampler"]["negatives"] == 8
