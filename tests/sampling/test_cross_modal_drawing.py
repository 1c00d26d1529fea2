"""How MMRNS draws, as released and corrected: distributions, known answers, the pool of a step."""

from __future__ import annotations

import math

import pytest
import torch
from cross_modal import BOTH, prepared

from pictokg.graph.query import Query, Side, ask
from pictokg.sampling._gumbel import BARRED, gumbel_like, successive_draws, top_k_draws
from pictokg.sampling.mmrns import MMRNS
from pictokg.sampling.mmrns_plus import MMRNSPlus


def brute_force_pairs(q):
    """The chance of drawing i first and j second, without replacement."""
    pairs = q[:, None] * q[None, :] / (1 - q[:, None])
    return pairs.fill_diagonal_(0)


@pytest.mark.parametrize("how", ["successive", "top_k"])
def test_draws_without_replacement_have_the_chances_of_a_brute_force_count(how, generator):
    q = torch.tensor([0.5, 0.25, 0.15, 0.1, 0.0])
    logits = q.clamp_min(1e-30).log().masked_fill(q == 0, BARRED).expand(60_000, -1)
    if how == "top_k":
        columns, allowed = top_k_draws(logits, 2, generator)
    else:
        columns, allowed, _ = successive_draws(logits, (q == 0).expand(60_000, -1), torch.zeros(5, 1), 2, generator)
    assert allowed.all()
    counts = torch.bincount(columns[:, 0] * 5 + columns[:, 1], minlength=25).double()
    expected = brute_force_pairs(q.double()).flatten() * 60_000
    assert counts[expected == 0].sum() == 0
    there = expected > 0
    statistic = float(((counts - expected)[there] ** 2 / expected[there]).sum())
    freedom = int(there.sum()) - 1
    assert abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


def test_nothing_left_to_draw_is_said(generator):
    logits, barred = torch.zeros(3, 4), torch.tensor([True, True, True, False]).expand(3, -1)
    columns, allowed, _ = successive_draws(logits, barred, torch.zeros(4, 2), 3, generator)
    assert columns[:, 0].tolist() == [3, 3, 3]
    assert allowed.tolist() == [[True, False, False]] * 3
    columns, allowed = top_k_draws(logits.masked_fill(barred, BARRED), 3, generator)
    assert (columns[:, 0].tolist(), allowed.sum().item()) == ([3, 3, 3], 3)


def test_gumbel_noise_has_its_mean_and_variance(generator):
    noise = gumbel_like(torch.empty(200_000), generator).double()
    assert noise.isfinite().all()
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, rel=0.03)


@pytest.mark.parametrize("softness", [1.0, 0.4])
def test_a_drawn_vector_is_its_row_and_its_gradient_that_of_the_soft_choice(softness):
    logits = torch.randn(4, 6, requires_grad=True)
    barred = torch.zeros(4, 6, dtype=torch.bool)
    barred[:, 0] = True
    vectors, direction = torch.randn(6, 3, requires_grad=True), torch.randn(4, 2, 3)
    generator = torch.Generator().manual_seed(7)
    columns, _, drawn = successive_draws(logits, barred, vectors, 2, generator, softness)
    assert torch.equal(drawn, vectors[columns])
    ours = torch.autograd.grad((drawn * direction).sum(), [logits, vectors])
    generator.manual_seed(7)
    blocked, soft = barred.clone(), []
    for draw in range(2):  # the same noise, the soft choice alone
        noisy = (logits + gumbel_like(logits, generator)).masked_fill(blocked.clone(), -torch.inf)
        soft.append((noisy / softness).softmax(dim=1) @ vectors.detach())
        blocked[torch.arange(4), columns[:, draw]] = True
    theirs = torch.autograd.grad((torch.stack(soft, dim=1) * direction).sum(), logits)[0]
    torch.testing.assert_close(ours[0], theirs)
    hard = torch.zeros(6, 3).index_put((columns,), direction, accumulate=True)
    torch.testing.assert_close(ours[1], hard)


@BOTH
@pytest.mark.parametrize("side", [Side.HEAD, Side.TAIL])
def test_negatives_are_distinct_and_never_known(make, side, context, triples):
    sampler = prepared(make(8, pool=10), context)
    query, answer = ask(triples, side)
    for _ in range(40):
        drawn = sampler(query, answer, context)
        counts = drawn.weight > 0
        assert counts.any()
        assert not (context.known.contains(query, drawn.ids) & counts).any()
        assert not ((drawn.ids == answer.unsqueeze(1)) & counts).any()
        for row, there in zip(drawn.ids.tolist(), counts.tolist(), strict=True):
            kept = [entity for entity, counted in zip(row, there, strict=True) if counted]
            assert len(kept) == len(set(kept))


@pytest.mark.parametrize(
    "sampler", [MMRNS(1, temperature=1e9), MMRNS(1, pool=5, temperature=1e9), MMRNSPlus(1, mix=1.0, guard=0.0)]
)
def test_at_an_infinite_temperature_every_unknown_entity_is_drawn_alike(sampler, context):
    prepared(sampler, context)
    query = Query(relation=torch.zeros(200, dtype=torch.long), tail=torch.full((200,), 6))
    counts = torch.zeros(len(context.pool))
    for _ in range(40):
        drawn = sampler(query, torch.full((200,), 5), context)
        counts += torch.bincount(drawn.ids[drawn.weight > 0], minlength=len(counts))
    one = query[:1]
    open_ = ~context.known.contains(one, context.pool.unsqueeze(0))[0]
    open_[5] = False
    assert open_[0]
    assert open_[-1]
    assert counts[~open_].sum() == 0
    expected = counts.sum() / open_.sum()
    spread = 200 if sampler.pool < 12 else 1  # a small pool is shared by 200 questions: draws come in clumps
    statistic = float(((counts[open_] - expected) ** 2 / expected).sum()) / spread
    freedom = int(open_.sum()) - 1
    assert counts[open_].min() > 0
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


@BOTH
def test_both_sides_of_a_step_share_one_pool_and_the_next_step_has_another(make, context, triples):
    options = {"alternate": False} if make is MMRNS else {}
    sampler = prepared(make(5, pool=5, **options), context)
    seen = []
    for step in range(12):
        context.step = step
        questions = sampler.questions(triples, context)
        assert [query.side for query, _ in questions] == [Side.HEAD, Side.TAIL]
        drawn = [set(sampler(query, answer, context).ids.flatten().tolist()) for query, answer in questions]
        assert all(len(ids) <= 5 for ids in (drawn[0] | drawn[1], *drawn))
        seen.append(frozenset(drawn[0] | drawn[1]))
    assert len(set(seen)) > 3


@BOTH
def test_where_all_is_known_padding_has_weight_0_and_the_loss_is_finite(make, context):
    sampler = prepared(make(20), context)
    query = Query(head=torch.tensor([0]), relation=torch.tensor([0]))
    context.pool = context.known.answers(query)[1]
    drawn = sampler(query, context.pool[:1], context)
    assert drawn.weight.tolist() == [[0.0] * len(context.pool)]
    loss = sampler.feedback(drawn, torch.zeros(drawn.ids.shape), context)
    assert loss.isfinite()
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in sampler.parameters())


@BOTH
def test_relation_questions_draw_relations_and_mask_known_ones(make, context, triples):
    query, answer = ask(triples, Side.RELATION)
    sampler = prepared(make(6), context)
    drawn = sampler(query, answer, context)
    assert int(drawn.ids.max()) < context.model.num_relations
    assert torch.equal(drawn.weight == 0, context.known.contains(query, drawn.ids))
    assert sampler.feedback(drawn, torch.zeros(len(query), 6), context) is None
