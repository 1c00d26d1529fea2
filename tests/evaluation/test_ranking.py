from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError, DataError, PictoKGError
from pictokg.evaluation import workspace
from pictokg.evaluation.options import RankingOptions
from pictokg.evaluation.ranking import evaluate, rank
from pictokg.graph.query import Side

ALL = ("head", "relation", "tail")


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("side", Side)
def test_ranks_are_those_of_the_definition(tied, by_definition, side, filtered):
    model, data = tied
    ranks = rank(model, data, options=RankingOptions(filtered=filtered, sides=ALL))
    ranks = ranks.where(ranks.side == side)
    optimistic, pessimistic, candidates = by_definition(model, data, "test", side, filtered=filtered)
    assert ranks.triple.tolist() == list(range(len(data.graph.split("test"))))
    assert ranks.by("optimistic").tolist() == optimistic.tolist()
    assert ranks.by("pessimistic").tolist() == pessimistic.tolist()
    assert ranks.by("realistic").tolist() == ((optimistic + pessimistic) / 2).tolist()
    assert ranks.candidates.tolist() == candidates.tolist()
    assert (pessimistic > optimistic).any(), "the graph must have ties for this test to mean something"


@pytest.mark.parametrize(("chunk", "most"), [(1, 1), (5, 3), (22, 2), (23, 100)])
def test_blocks_do_not_change_the_ranks(tied, monkeypatch, chunk, most):
    model, data = tied
    options = RankingOptions(sides=ALL)
    whole = rank(model, data, options=options)
    plan = workspace.Workspace.plan

    def small(*args):
        planned = plan(*args)
        return workspace.Workspace(planned.budget, planned.columns, planned.question, chunk, most)

    monkeypatch.setattr(workspace.Workspace, "plan", small)
    model.blocks.clear()
    blocked = rank(model, data, options=options)
    assert all(questions <= most and columns <= chunk for _, questions, columns in model.blocks)
    assert np.array_equal(blocked.higher, whole.higher)
    assert np.array_equal(blocked.equal, whole.equal)


def test_a_constant_model_is_as_good_as_guessing(make_graph, table_model):
    data = Dataset("line", make_graph({"train": [[0, 0, 1]], "test": [[1, 0, 2], [3, 0, 4]]}, 11, 1))
    report = evaluate(table_model(torch.zeros(11, 1, 11)), data)
    assert report.metrics["mr"] == pytest.approx(6.0, abs=0.3)
    assert report.metrics["amri"] == pytest.approx(0.0, abs=1e-12)
    assert report.metrics["amr"] == pytest.approx(1.0)
    assert report.by_tie_rule["optimistic"]["mrr"] == 1.0
    assert report.by_tie_rule["pessimistic"]["hits@3"] == 0.0


def test_a_perfect_model_is_first_everywhere(tied):
    model, data = tied
    known = torch.from_numpy(data.graph.triples().astype(np.int64))
    model.table[tuple(known.T)] = 100.0
    report = evaluate(model, data, options=RankingOptions(sides=ALL))
    assert report.metrics == pytest.approx(
        {"mrr": 1, "mr": 1, "hits@1": 1, "hits@3": 1, "hits@10": 1, "amr": report.metrics["amr"], "amri": 1}
    )
    assert report.relations["mrr"] == 1
    raw = evaluate(model, data, options=RankingOptions(filtered=False))
    assert raw.by_tie_rule["pessimistic"]["mrr"] < 1, "raw ranks count other true answers"


def test_equal_questions_are_scored_once(make_graph, table_model):
    test = [[0, 0, tail] for tail in range(1, 6)]
    data = Dataset("star", make_graph({"train": test[:1], "test": test}, 8, 1))
    model = table_model(torch.rand(8, 1, 8, generator=torch.Generator().manual_seed(0)))
    rank(model, data, options=RankingOptions(sides=("tail",)))
    assert model.blocks == [(Side.TAIL, 1, 8)]
    assert model.encodings == 1


def test_the_memory_budget_bounds_a_block(make_graph, table_model):
    entities, count = 400, 3000
    triples = np.random.default_rng(0).integers(0, [entities, 1, entities], (count, 3))
    data = Dataset("large", make_graph({"train": triples[:10], "test": triples}, entities, 1))
    model = table_model(torch.zeros(entities, 1, entities))
    rank(model, data, options=RankingOptions(memory=1))
    assert max(questions * columns * 4 for _, questions, columns in model.blocks) < 2**20
    small = len(model.blocks)
    rank(model, data, options=RankingOptions(memory=64))
    assert len(model.blocks) - small < small


def test_a_hopeless_budget_says_what_is_needed(make_graph, table_model):
    entities = 100_000
    data = Dataset("huge", make_graph({"train": [[0, 0, 1]], "test": [[0, 0, 1]]}, entities, 1))
    model = table_model(torch.zeros(2, 1, 2))
    type(model).num_entities, before = property(lambda self: entities), type(model).num_entities
    try:
        with pytest.raises(ConfigError, match=r"100,000 candidates needs \d+ MiB and memory is 1; raise memory"):
            rank(model, data, options=RankingOptions(memory=1))
    finally:
        type(model).num_entities = before


def test_many_known_answers_make_smaller_blocks(make_graph, table_model):
    entities = 300
    hub = [[0, 0, tail] for tail in range(entities)]
    data = Dataset("hub", make_graph({"train": hub, "test": hub}, entities, 1))
    model = table_model(torch.zeros(entities, 1, entities))
    counted = []
    ranks = rank(
        model,
        data,
        options=RankingOptions(memory=1, sides=("tail",)),
        progress=lambda done, total: counted.append(done),
    )
    assert np.diff([0, *counted]).max() * entities * workspace._KNOWN < 2**20
    assert ranks.by("realistic").tolist() == [1.0] * entities
    assert ranks.candidates.tolist() == [1] * entities


def test_sampled_ranks_count_the_sample_and_say_so(tied, by_definition):
    model, data = tied
    report = evaluate(model, data, options=RankingOptions(sampled=9, seed=3))
    offered = torch.randperm(23, generator=torch.Generator().manual_seed(3))[:9].tolist()
    for side in (Side.HEAD, Side.TAIL):
        ranks = report.ranks.where(report.ranks.side == side)
        optimistic, pessimistic, candidates = by_definition(model, data, "test", side, offered=offered)
        assert ranks.by("optimistic").tolist() == optimistic.tolist()
        assert ranks.by("pessimistic").tolist() == pessimistic.tolist()
        assert ranks.candidates.tolist() == candidates.tolist()
    assert report.protocol["sampled"] is True
    assert report.protocol["candidates"] == 9
    assert "SAMPLED" in str(report)
    assert evaluate(model, data, options=RankingOptions(sampled=23)).protocol["sampled"] is False


def test_sampling_sees_ties_with_the_answer(make_graph, table_model):
    data = Dataset("line", make_graph({"train": [[0, 0, 1]], "test": [[1, 0, 2], [3, 0, 4]]}, 50, 1))
    report = evaluate(table_model(torch.full((50, 1, 50), 0.3)), data, options=RankingOptions(sampled=20))
    assert report.metrics["amri"] == pytest.approx(0.0, abs=1e-12)


def test_nan_scores_are_an_error_that_names_the_triple(tied):
    model, data = tied
    model.table[:, :, 4] = math.nan
    with pytest.raises(PictoKGError, match=r"score of \(e\d+, r\d, e4\) is not a number"):
        evaluate(model, data)


def test_infinite_scores_are_ranked(tied, by_definition):
    model, data = tied
    model.table[:, :, 4] = -math.inf
    model.table[:, :, 5] = math.inf
    ranks = rank(model, data, options=RankingOptions(sides=("tail",)))
    assert ranks.by("optimistic").tolist() == by_definition(model, data, "test", Side.TAIL)[0].tolist()


def test_modes_and_gradients_are_put_back(tied):
    model, data = tied
    model.train()
    model.part.eval()
    evaluate(model, data)
    assert model.training
    assert not model.part.training
    assert torch.is_grad_enabled()
    model.table[:] = math.nan
    with pytest.raises(PictoKGError):
        evaluate(model, data)
    assert model.training


def test_progress_counts_every_question(tied):
    model, data = tied
    calls = []
    evaluate(model, data, progress=lambda *call: calls.append(call))
    assert calls[-1] == (92, 92)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_an_empty_split_is_an_error(make_graph, table_model):
    data = Dataset("empty", make_graph({"train": [[0, 0, 1]], "test": np.empty((0, 3))}, 2, 1))
    with pytest.raises(DataError, match="'test' has no triples"):
        evaluate(table_model(torch.zeros(2, 1, 2)), data)
    with pytest.raises(ConfigError, match="no split 'dev'"):
        evaluate(table_model(torch.zeros(2, 1, 2)), data, "dev")


def test_a_model_of_another_graph_is_refused(tied, table_model):
    with pytest.raises(ConfigError, match="the model knows 2 entities"):
        evaluate(table_model(torch.zeros(2, 1, 2)), tied[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sides": ("head", "tails")}, "did you mean 'tail'"),
        ({"sides": ()}, "each once"),
        ({"memory": 0}, "at least 1"),
        ({"sampled": 0}, "at least 1"),
    ],
)
def test_options_are_checked(wrong, message):
    with pytest.raises(ConfigError, match=message):
        RankingOptions(**wrong)
