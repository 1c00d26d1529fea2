"""What every test may ask for: a small random graph, its known answers, a generator."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported

import pytest
import torch
from random_data import make_data

from pictokg.datasets.dataset import Dataset
from pictokg.graph.known import Known


@pytest.fixture
def data() -> Dataset:
    return make_data()


@pytest.fixture
def known(data: Dataset) -> Known:
    return data.known("train")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
