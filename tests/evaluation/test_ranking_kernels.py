"""Ranks by kernels: those that a count of scores in double precision gives, ties and near ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_data import make_data

from pictokg.evaluation import scored
from pictokg.evaluation.options import RankingOptions
from pictokg.evaluation.ranking import rank
from pictokg.fusion.lookup import Lookup
from pictokg.graph.query import Side, ask
from pictokg.kernels.formulas import SIMILARITIES
from pictokg.kernels.over_candidates import count, score_all
from pictokg.kernels.twins import compare
from pictokg.models.base import Model
from pictokg.scoring.complex import ComplEx
from pictokg.scoring.distmult import DistMult
from pictokg.scoring.rotate import RotatE
from pictokg.scoring.transe import TransE

ENTITIES, RELATIONS = 70, 3
SCORINGS = [
    TransE(9, norm=1, constrain=False),
    TransE(9, norm=2, constrain=False),
    RotatE(5),
    DistMult(9),
    ComplEx(5),
]


def model_of(scoring, *, inverse=False):
    """A model with small whole numbers as vectors, so that sums are exact; some entities are twins."""
    model = Model(Lookup(ENTITIES, scoring.entity_width), scoring, RELATIONS, inverse=inverse)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        rows = model.encoder.structure.weight
        rows.copy_(torch.randint(-2, 3, rows.shape, generator=generator))
        if isinstance(scoring, RotatE):
            rows[:, scoring.dim :] = 0.0  # moduli of real numbers: sums of square roots are not exact
        rows[40:] = rows[:30]
        turns = torch.randint(0, 2, model.relations.weight.shape, generator=generator)
        model.relations.weight.copy_(turns * (0.0 if isinstance(scoring, RotatE) else 1.0))
    return model


def ranks_in_double(model, data, side, *, filtered):
    """Higher, equal and all candidates of each question, by definition."""
    model = model.double()
    known = {tuple(triple) for triple in data.graph.triples().tolist()}
    found = []
    for triple in data.graph.split("test").tolist():
        query, _ = ask(torch.tensor([triple]), side)
        scores = model.score(query, torch.arange(ENTITIES))[0]
        others = [e for e in range(ENTITIES) if e != triple[side]]
        if filtered:
            others = [e for e in others if (*triple[:side], e, *triple[side + 1 :]) not in known]
        rest, own = scores[others], scores[triple[side]]
        found.append([int((rest > own + 1e-9).sum()), int(((rest - own).abs() <= 1e-9).sum()), len(rest) + 1])
    model.float()
    return np.array(found)


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("scoring", SCORINGS, ids=lambda scoring: f"{type(scoring).__name__}-{scoring.kernel}")
@torch.no_grad()
def test_ranks_are_those_of_the_definition(scoring, inverse, filtered):
    model, data = model_of(scoring, inverse=inverse), make_data(ENTITIES, RELATIONS, triples=200)
    assert scored.is_fast(model)
    ranks = rank(model, data, options=RankingOptions(filtered=filtered))
    for side in (Side.HEAD, Side.TAIL):
        mine = ranks.where(ranks.side == side)
        wanted = ranks_in_double(model, data, side, filtered=filtered)
        assert np.array_equal(np.stack([mine.higher, mine.equal, mine.candidates], axis=1), wanted)
    assert (ranks.equal > 0).any(), "twins must tie for this test to mean something"


@pytest.mark.parametrize("scoring", SCORINGS, ids=lambda scoring: f"{type(scoring).__name__}-{scoring.kernel}")
@torch.no_grad()
def test_sampled_candidates_and_the_plain_path_agree(scoring, monkeypatch):
    model, data = model_of(scoring), make_data(ENTITIES, RELATIONS, triples=200)
    for options in (RankingOptions(), RankingOptions(sampled=20, seed=3)):
        fast = rank(model, data, options=options)
        monkeypatch.setattr("pictokg.evaluation.ranking.is_fast", lambda model: False)
        plain = rank(model, data, options=options)
        monkeypatch.undo()
        assert np.array_equal(fast.higher, plain.higher)
        assert np.array_equal(fast.equal, plain.equal)
        assert np.array_equal(fast.candidates, plain.candidates)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("questions", "candidates", "dim"), [(1, 1, 2), (3, 70, 34), (8, 515, 256), (0, 5, 4)])
def test_scores_equal_their_twin(similarity, questions, candidates, dim):
    generator = torch.Generator().manual_seed(1)
    x, e = torch.randn(questions, dim, generator=generator), torch.randn(candidates, dim, generator=generator)
    wanted = compare(SIMILARITIES[similarity], x.double().unsqueeze(1), e.double())
    torch.testing.assert_close(score_all(x, e, similarity).double(), wanted, atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equal_rows_have_equal_scores_wherever_they_stand(similarity):
    generator = torch.Generator().manual_seed(2)
    row, x = torch.randn(1, 38, generator=generator), torch.randn(5, 38, generator=generator)
    x[3] = x[0]
    scores = score_all(x, row.expand(1031, -1), similarity)
    assert torch.equal(scores, scores[:, :1].expand_as(scores))
    assert torch.equal(scores[0], scores[3])


def test_counts_are_exact_and_leave_not_a_number_out():
    generator = torch.Generator().manual_seed(3)
    scores = torch.randint(0, 9, (4, 3000), generator=generator).float()
    scores[2, 7] = torch.nan
    question, own = torch.tensor([0, 1, 1, 2, 3]), torch.tensor([4.0, 0.0, 8.0, 3.0, torch.inf])
    higher, at_least = count(scores, question, own, 2500)
    offered = scores[question, :2500]
    assert torch.equal(higher, (offered > own[:, None]).sum(1))
    assert torch.equal(at_least, (offered >= own[:, None]).sum(1))


def test_near_euclidean_distances_are_told_apart_where_products_could_not():
    """Vectors far from the origin and close to each other: |e|²/2 − x · e has no digit left of what matters."""
    generator = torch.Generator().manual_seed(4)
    vectors = 1000 + torch.randint(-3, 4, (400, 16), generator=generator).float() / 64
    expected = 1000 + torch.randint(-3, 4, (6, 16), generator=generator).float() / 64
    exact = -(expected.double().unsqueeze(1) - vectors.double()).square().sum(-1).sqrt().float()
    scores = score_all(expected, vectors, "l2")
    torch.testing.assert_close(scores, exact, rtol=3e-7, atol=0)
    question, column = torch.arange(6).repeat_interleave(3), torch.arange(18)
    own, wanted = exact[question, column], exact[question, :390]
    higher, at_least = count(scores, question, scores[question, column], 390)
    assert torch.equal(higher, (wanted > own[:, None]).sum(1))
    assert torch.equal(at_least, (wanted >= own[:, None]).sum(1))
