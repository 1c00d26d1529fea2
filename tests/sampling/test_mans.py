"""MANS: the answer's structure with another's picture; how many, by variant; who has no picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_samplers import context_of

from pictokg.errors import ConfigError
from pictokg.graph.query import Side, ask
from pictokg.losses.separate_margin import SeparateMargin
from pictokg.models.ikrl import build
from pictokg.sampling.base import Negatives
from pictokg.sampling.mans import Mans
from pictokg.training.step import Memo, score_batch


@pytest.fixture
def context(data, generator):
    context = context_of(build, data, generator)
    context.model.encoder.structure.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    return context


@pytest.fixture
def asked(data):
    return ask(torch.from_numpy(data.graph.split("train").astype(np.int64)), Side.TAIL)


def drawn_by(context, asked, **options):
    sampler = Mans(**{"negatives": 5, **options})
    sampler.prepare(context)
    return sampler(*asked, context)


def test_a_modality_level_negative_is_the_answers_structure_with_anothers_picture(context, asked):
    drawn = drawn_by(context, asked, variant="visual")
    pictured = torch.from_numpy(context.data.tables["image"].counts > 0)[drawn.ids]
    assert 0 < pictured.float().mean() < 1
    own, other = context.model.encode(asked[1]), context.model.encode(drawn.ids)
    for row, column in np.ndindex(*drawn.ids.shape):
        structure, image = drawn.vectors[row, column]
        # an entity without a picture has none to lend, and stays as it is
        torch.testing.assert_close(structure, own[row, 0] if pictured[row, column] else other[row, column, 0])
        torch.testing.assert_close(image, other[row, column, 1])


def test_its_terms_are_those_of_the_answer_where_only_structure_is_read(context, asked):
    query, answer = asked
    drawn = drawn_by(context, asked, variant="visual")
    memo = Memo(context.model.encoder.encode_static, 12, torch.device("cpu"))
    scored = score_batch(context.model, SeparateMargin(), query, answer, drawn, memo)
    whole = context.model.terms(query, drawn.ids)
    pictured = torch.from_numpy(context.data.tables["image"].counts > 0)[drawn.ids]
    names = context.model.term_names
    for number, name in enumerate(names):
        mixed = scored.positive[:, None, number].expand(drawn.ids.shape) if name[1] == "s" else whole[..., number]
        torch.testing.assert_close(scored.negative[..., number], torch.where(pictured, mixed, whole[..., number]))


@pytest.mark.parametrize(
    ("options", "epoch", "share"),
    [
        ({"variant": "visual"}, 0, 1.0),
        ({"variant": "hybrid", "share": 0.3}, 0, 0.3),
        ({"variant": "hybrid", "share": 0.0}, 0, 0.0),
        ({"variant": "two_stage", "first_epochs": 2}, 1, 1.0),
        ({"variant": "two_stage", "first_epochs": 2}, 2, 0.0),
    ],
)
def test_each_variant_has_its_share_of_modality_level_negatives(options, epoch, share, context, asked):
    context.data.tables["image"].counts[:] = 1  # everybody has a picture to lend
    context.epoch = epoch
    drawn = drawn_by(context, asked, **options)
    if share == 0:
        assert drawn.vectors is None
    else:
        assert int(drawn.memory.sum()) == int(share * drawn.ids.numel())


def test_the_adaptive_share_counts_negatives_that_fool_across_modalities(context, asked):
    query, _ = asked
    sampler = Mans(5, variant="adaptive")
    ids = torch.randint(12, (len(query), 5), generator=context.generator)
    fooled, tied = 0, 0  # sums of four L1 norms are often equal but for rounding
    for row, column in np.ndindex(*ids.shape):
        head, relation, tail = int(query.head[row]), int(query.relation[row]), int(ids[row, column])
        views = context.model.encode(torch.tensor([head, tail])).detach()
        r = context.model.relations.weight[relation].detach()
        distance = {(x, y): float((views[0, x] + r - views[1, y]).abs().sum()) for x in range(2) for y in range(2)}
        gap = distance[0, 1] + distance[1, 0] - distance[0, 0] - distance[1, 1]
        fooled, tied = fooled + (gap < -1e-5), tied + (abs(gap) <= 1e-5)
    counted = sampler.share_of(query, ids, context) * ids.numel()
    assert 0 < fooled - 1e-3 <= counted <= fooled + tied + 1e-3 < ids.numel()


def test_wrong_relations_are_whole(context, data):
    triples = torch.from_numpy(data.graph.split("train").astype(np.int64))
    drawn = drawn_by(context, ask(triples, Side.RELATION), variant="visual")
    assert isinstance(drawn, Negatives)
    assert drawn.vectors is None


@pytest.mark.parametrize("options", [{"share": 1.5}, {"first_epochs": -1}, {"negatives": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        Mans(**options)
