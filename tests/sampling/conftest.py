"""A small graph with several rows an entity, its training triples, and what a sampler is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cross_modal import context_of, with_slots


@pytest.fixture
def slotted(data):
    return with_slots(data)


@pytest.fixture
def context(slotted):
    return context_of(slotted)


@pytest.fixture
def triples(slotted):
    return torch.from_numpy(slotted.graph.split("train").astype(np.int64))
