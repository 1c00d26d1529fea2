"""NSCaching against a plain one of dictionaries and loops that uses the same random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_samplers import context_of

from pictokg.errors import ConfigError
from pictokg.graph.query import Side, ask
from pictokg.models.distmult import build
from pictokg.sampling.nscaching import EMPTY, NSCaching

N1, N2 = 4, 3


@pytest.fixture
def context(data, generator):
    context = context_of(build, data, generator)
    context.model.encoder.structure.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    context.model.relations.weight.data.normal_(generator=torch.Generator().manual_seed(2))
    return context


@pytest.fixture
def triples(data):
    return torch.from_numpy(data.graph.split("train").astype(np.int64))


def sampler_on(context, **options):
    sampler = NSCaching(**{"cache": N1, "fresh": N2, **options})
    sampler.prepare(context)
    return sampler


def caches_by_question(sampler, context, triples):
    """Side and given pair → ids, without padding."""
    found = {}
    for side, cache in sampler._caches.items():
        query, _ = ask(triples, side)
        for row, pair in zip(
            context.known.index(query).tolist(), zip(*(s.tolist() for s in query.given), strict=True), strict=True
        ):
            found[side, pair] = [id_ for id_ in cache[row].tolist() if id_ != EMPTY]
    return found


def refreshed_plainly(cached, questions, context, known, mask_known):
    """The caches after `questions` (side, pair), in the order of their keys, with the numbers of the generator."""
    side, after = questions[0][0], dict(cached)
    fresh = torch.randint(12, (len(questions), N2), generator=context.generator)
    uniform = torch.rand((len(questions), N1 + N2), generator=context.generator, dtype=torch.float64)
    for row, question in enumerate(questions):
        both = sorted([*cached[question], *[-1] * (N1 - len(cached[question])), *fresh[row].tolist()])
        keys = {}
        for place, id_ in enumerate(both):
            first_time = place == 0 or both[place - 1] != id_
            if id_ >= 0 and first_time and not (mask_known and id_ in known[question]):
                keys[id_] = score_of(question, id_, context) - math.log(-math.log(uniform[row, place].item()))
        after[question] = sorted(keys, key=keys.get, reverse=True)[:N1]
        assert side is question[0]
    return after


def score_of(question, id_, context):
    """DistMult with reciprocal relations, by hand."""
    side, (first, second) = question
    entities, relations = context.model.encoder.structure.weight.detach(), context.model.relations.weight.detach()
    anchor, relation = (first, second) if side is Side.TAIL else (second, first + context.model.num_relations)
    return float((entities[anchor] * relations[relation] * entities[id_]).sum())


@pytest.mark.parametrize("mask_known", [True, False])
@pytest.mark.parametrize("side", [Side.HEAD, Side.TAIL])
def test_caches_are_refreshed_as_published(side, mask_known, context, triples):
    sampler = sampler_on(context, mask_known=mask_known)
    facts = triples.tolist()
    known = {}
    for fact in facts:
        for asked in (Side.HEAD, Side.TAIL):
            pair = tuple(fact[slot] for slot in Side if slot is not asked)
            known.setdefault((asked, pair), set()).add(fact[asked])
    for round_ in range(4):
        batch = triples[round_ * 9 : round_ * 9 + 20]
        expected = caches_by_question(sampler, context, triples)
        query, answer = ask(batch, side)
        drawn = sampler(query, answer, context)
        questions = sorted({(side, pair) for pair in zip(*(slot.tolist() for slot in query.given), strict=True)})
        context.generator.manual_seed(round_)
        expected = refreshed_plainly(expected, questions, context, known, mask_known)
        context.generator.manual_seed(round_)
        sampler.feedback(drawn, torch.zeros(drawn.ids.shape), context)
        assert caches_by_question(sampler, context, triples) == expected


def test_a_one_sided_batch_refreshes_the_caches_it_used_and_no_other(context, triples):
    sampler = sampler_on(context)
    before = {side: cache.clone() for side, cache in sampler._caches.items()}
    query, answer = ask(triples[:5], Side.TAIL)
    for _ in range(5):
        sampler.feedback(sampler(query, answer, context), torch.zeros(5, 1), context)
    changed = {side: (before[side] != cache).any(dim=1).nonzero()[:, 0] for side, cache in sampler._caches.items()}
    assert len(changed[Side.HEAD]) == 0
    assert set(changed[Side.TAIL].tolist()) == set(context.known.index(query).tolist())


def test_what_stays_is_drawn_by_importance(context, triples):
    """With a cache of one the id that stays follows the softmax of the scores of the (here fixed) union."""
    sampler = sampler_on(context, cache=1, fresh=200, mask_known=False)
    query, answer = ask(triples[:1], Side.TAIL)
    counts = torch.zeros(12)
    for _ in range(3000):  # 200 of 12 ids: the union is everything
        drawn = sampler(query, answer, context)
        sampler.feedback(drawn, torch.zeros(1, 1), context)
        counts[sampler._caches[Side.TAIL][context.known.index(query)[0], 0].long()] += 1
    question = (Side.TAIL, tuple(int(slot) for slot in query.given))
    expected = torch.tensor([score_of(question, id_, context) for id_ in range(12)]).softmax(dim=0) * counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert abs(statistic - 11) < 5 * 22**0.5


def test_draws_from_a_cache_are_uniform_and_distinct(context, triples):
    sampler = sampler_on(context, cache=12, negatives=3, mask_known=False)
    query, answer = ask(triples[:1], Side.HEAD)
    sampler._caches[Side.HEAD][:] = torch.arange(12, dtype=torch.int32)
    counts = torch.zeros(12)
    for _ in range(500):
        ids = sampler(query, answer, context).ids[0]
        assert len(ids.unique()) == 3
        counts += torch.bincount(ids, minlength=12)
    assert counts.min() > 0
    # Drawn without replacement the counts vary less than a multinomial's, by (n − k) / (n − 1).
    statistic = float(((counts - 125) ** 2 / 125).sum()) * 11 / 9
    assert abs(statistic - 11) < 5 * 22**0.5


def test_a_cache_holds_each_id_once_and_no_known_answer(context, triples):
    sampler = sampler_on(context)
    for side in (Side.HEAD, Side.TAIL):
        query, answer = ask(triples, side)
        for _ in range(6):
            sampler.feedback(sampler(query, answer, context), torch.zeros(len(query), 1), context)
        cache = sampler._caches[side].long()
        rows = context.known.index(query)
        assert not context.known.contains(query, cache[rows]).any()
        assert all(len(ids) == len(set(ids)) for ids in caches_by_question(sampler, context, triples).values())


def test_lazy_caches_rest_in_between(context, triples):
    sampler = sampler_on(context, lazy=2)
    query, answer = ask(triples, Side.TAIL)
    changed = []
    for epoch in range(6):
        context.epoch = epoch
        before = sampler._caches[Side.TAIL].clone()
        sampler.feedback(sampler(query, answer, context), torch.zeros(len(query), 1), context)
        changed.append(not torch.equal(before, sampler._caches[Side.TAIL]))
    assert changed == [True, False, False, True, False, False]


def test_caches_shrink_to_the_pool(data, generator):
    context = context_of(build, data, generator)
    context.pool = torch.arange(5)
    sampler = sampler_on(context, cache=50)
    assert all(cache.shape[1] == 5 for cache in sampler._caches.values())


def test_caches_of_another_size_are_refused(context):
    with pytest.raises(ConfigError, match="another size"):
        sampler_on(context, cache=3).load_state(sampler_on(context, cache=5).state())


@pytest.mark.parametrize("options", [{"cache": 0}, {"fresh": 0}, {"lazy": -1}, {"negatives": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="at least"):
        NSCaching(**options)
