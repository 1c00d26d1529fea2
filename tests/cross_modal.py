"""Small graphs with several rows an entity, and samplers that look at them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pictokg.features.table import FeatureTable
from pictokg.graph.query import Side, ask
from pictokg.models.distmult import build as build_distmult
from pictokg.sampling.base import Context
from pictokg.sampling.mmrns import MMRNS
from pictokg.sampling.mmrns_plus import MMRNSPlus

BOTH = pytest.mark.parametrize("make", [MMRNS, MMRNSPlus])


def with_slots(data, most=3):
    """The data with up to three rows an entity in both tables, as the attention wants them."""
    generator = np.random.default_rng(5)
    tables = {}
    for name, width, every in (("image", 6, 3), ("text", 5, 4)):
        counts = [0 if entity % every == 0 else 1 + entity % most for entity in range(data.graph.num_entities)]
        values = generator.normal(size=(sum(counts), width)).astype("float32")
        offsets = np.concatenate([[0], np.cumsum(counts)])
        tables[name] = FeatureTable(name, values, offsets, [str(row) for row in range(sum(counts))])
    return replace(data, tables=tables)


def context_of(data, build=build_distmult, **options):
    model = build(data, dim=4, **options)
    with torch.no_grad():  # vectors of everyday size: those of DistMult start near 0, where cosines round
        for rows in (model.encoder.structure.weight, model.relations.weight):
            rows.normal_(generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(0)
    return Context(model, data, data.known("train"), generator, torch.arange(model.num_entities), model.encode)


def prepared(sampler, context):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sampler.prepare(context)
    return sampler


def tails(triples):
    return ask(triples, Side.TAIL)
