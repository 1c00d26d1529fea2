"""Together is its parts: their numbers when alone, their candidates joined, their states and options reachable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_every_sampler import assert_same, config_of, trainer_of
from test_samplers import context_of

from pictokg import catalogue
from pictokg.assembly import build_objective
from pictokg.config import configure
from pictokg.errors import ConfigError
from pictokg.graph.query import Side, ask
from pictokg.models.transe import build
from pictokg.sampling.base import Negatives, Sampler
from pictokg.sampling.nscaching import NSCaching
from pictokg.sampling.one_vs_all import OneVsAll
from pictokg.sampling.together import Together
from pictokg.sampling.uniform import Uniform

ALONE = [name for name in catalogue.names("sampler") if name not in {"together", "k_vs_all"}]


class Listening(Sampler):
    """Draws the same ids always, and remembers what it heard."""

    def __init__(self, ids, loss=None):
        self.ids, self.loss, self.heard = torch.tensor(ids), loss, None

    def __call__(self, query, answer, context):
        return Negatives(self.ids, memory="mine")

    def feedback(self, negatives, scores, context):
        assert negatives.memory == "mine"
        self.heard = scores
        return self.loss


@pytest.fixture
def context(data, generator):
    return context_of(build, data, generator)


@pytest.fixture
def asked(data):
    return ask(torch.from_numpy(data.graph.split("train").astype(np.int64))[:4], Side.TAIL)


@pytest.mark.parametrize("sampler", ALONE)
def test_a_part_alone_learns_as_it_does_by_itself(sampler, data):
    config = config_of(sampler, "ikrl")
    itself = trainer_of(config, data)
    alone = trainer_of(config_of("together", "ikrl", [("parts", [config.sections["sampler"]])]), data)
    list(itself.epochs())
    list(alone.epochs())
    for name, value in itself.model.state_dict().items():
        # Sums in another order, which Adam makes more of where gradients are tiny: a fraction of a step of 0.004.
        torch.testing.assert_close(alone.model.state_dict()[name], value, atol=2e-4, rtol=1e-4)


def test_candidates_stand_side_by_side_and_each_part_hears_its_own(context, asked):
    shared, own = Listening([1, 2, 3]), Listening([[4, 5], [6, 7], [8, 9], [0, 1]], loss=torch.tensor(2.0))
    sampler = Together([shared, own, Listening([11], loss=torch.tensor(0.5))], weights=[1.0, 2.0, 0.25])
    drawn = sampler(*asked, context)
    assert drawn.ids.tolist() == [[1, 2, 3, 4, 5, 11], [1, 2, 3, 6, 7, 11], [1, 2, 3, 8, 9, 11], [1, 2, 3, 0, 1, 11]]
    assert drawn.weight.tolist() == [[1.0, 1.0, 1.0, 2.0, 2.0, 0.25]] * 4
    scores = torch.arange(24.0).view(4, 6)
    assert sampler.feedback(drawn, scores, context) == 2.5
    assert torch.equal(shared.heard, scores[:, :3])
    assert torch.equal(own.heard, scores[:, 3:5])


def test_the_answer_among_a_parts_candidates_is_no_negative(context, asked):
    drawn = Together([Listening([1, 2]), OneVsAll()])(*asked, context)
    assert drawn.answer_column is None
    assert drawn.weight[:, :2].min() == 1
    for row, answer in enumerate(asked[1].tolist()):
        assert (drawn.weight[row, 2:] == 0).nonzero().flatten().tolist() == [answer]


def test_who_learns_in_a_step_is_whoever_learns_in_a_part(context):
    def turn_of(turn):
        part = Listening([1])
        part.turn = lambda context: turn
        return part

    for turns, together in ((("model", "model"), "model"), (("sampler", "model"), "both"), (("sampler",), "sampler")):
        assert Together([turn_of(turn) for turn in turns]).turn(context) == together


def test_parts_keep_their_states_apart(context, asked):
    first, second = (Together([NSCaching(cache=3), Uniform(2), NSCaching(cache=5)]) for _ in range(2))
    first.prepare(context)
    second.prepare(context)
    second.load_state(first.state())
    assert {name.split(".")[0] for name in first.state()} == {"0", "2"}
    assert_same(first.state(), second.state())


def test_every_part_learns_at_its_own_rate(data):
    settings = [("parts", "kbgan,igan"), ("parts.kbgan.generator_learning_rate", 0.5)]
    trainer = trainer_of(config_of("together", "transe", settings), data)
    of_samplers = trainer.optimisers.parts[trainer.optimisers.of_model :]
    assert [rate for _, rate in of_samplers] == [0.5, 1e-3]
    assert sum(len(part.param_groups[0]["params"]) for part, _ in of_samplers) == len(
        list(trainer.objective.sampler.parameters())
    )


def test_needs_are_those_of_the_parts(data):
    with pytest.raises(ConfigError, match="'mans' needs a model whose entities have several views"):
        trainer_of(config_of("together", "transe", [("parts", "uniform,mans")]), data)
    assert len(list(trainer_of(config_of("together", "ikrl", [("parts", "uniform,mans")]), data).epochs())) == 2


@pytest.mark.parametrize(
    ("parts", "weights", "said"),
    [([], None, "name them"), ([Uniform()], [1.0, 2.0], "weights must be 1"), ([Uniform()], [-1.0], "weights must be")],
)
def test_nothing_to_join_and_wrong_weights_are_refused(parts, weights, said):
    with pytest.raises(ConfigError, match=said):
        Together(parts, weights=weights)


def test_a_part_that_labels_is_refused():
    with pytest.raises(ConfigError, match="labels several answers"):
        Together([Uniform(), catalogue.find("sampler", "k_vs_all")()])


# Configuration


def sampler_section(settings, file=None):
    return configure("transe", file=file, parts={} if file else {"sampler": "together"}, settings=settings).sections[
        "sampler"
    ]


def test_parts_are_said_alike_in_toml_in_python_and_on_the_command_line(tmp_path):
    tables = [{"name": "uniform", "negatives": 8}, {"name": "nscaching", "cache": 20}]
    (tmp_path / "a.toml").write_text(
        '[sampler]\nname = "together"\nweights = [1, 2]\n'
        '[[sampler.parts]]\nname = "uniform"\nnegatives = 8\n[[sampler.parts]]\nname = "nscaching"\ncache = 20\n'
    )
    written = sampler_section([], tmp_path / "a.toml")
    assert written["parts"][0].items() >= {"name": "uniform", "negatives": 8, "shared": False}.items()
    assert sampler_section([("parts", tables), ("weights", [1, 2])]) == written
    dotted = [
        ("parts.uniform.negatives", 8),
        ("parts", "uniform,nscaching"),
        ("sampler.parts.1.cache", 20),
        ("weights", "1,2"),
    ]
    assert sampler_section(dotted) == written
    sampler = build_objective(configure("transe", file=tmp_path / "a.toml")).sampler
    assert [type(part).__name__ for part in sampler.parts()] == ["Uniform", "NSCaching"]
    assert (sampler.parts()[0].negatives, sampler.parts()[1].cache) == (8, 20)


def test_a_written_configuration_of_parts_reads_as_itself(tmp_path):
    nested = {"name": "together", "parts": ["sans", "uniform"]}
    config = configure("transe", parts={"sampler": "together"}, settings=[("parts", [nested, "kbgan"])])
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert configure(file=tmp_path / "config.toml").sections == config.sections
    deep = configure(file=tmp_path / "config.toml", settings=[("parts.together.parts.sans.hops", 3)])
    assert deep.sections["sampler"]["parts"][0]["parts"][0]["hops"] == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([("parts", "uniform,nothing")], "there is no sampler 'nothing'"),
        ([("parts", "uniform"), ("parts.uniform.negative", 3)], "did you mean 'negatives'"),
        ([("parts", "uniform"), ("parts.sans.hops", 3)], "parts.sans is not one of the parts .0 uniform.; name it"),
        ([("parts", "uniform,uniform"), ("parts.uniform.negatives", 3)], "say which: sampler.parts.0"),
        ([("parts", [3])], "holds names, or tables"),
        ([("parts", 3)], "holds names, or tables"),
        ([("parts", "uniform"), ("parts.uniform.negatives", "many")], "valid integer"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_could_be(settings, said):
    with pytest.raises(ConfigError, match=said):
        sampler_section(settings)
