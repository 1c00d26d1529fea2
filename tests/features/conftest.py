"""Small models with random weights, made once a session and only where they are asked for."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub's client

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Kind of a model → the folder where it is saved."""
    pytest.importorskip("transformers", reason="pip install 'pictokg[encoders]' for models of transformers")
    from small_models import save

    made = {}

    def folder_of(kind):
        if kind not in made:
            made[kind] = save(kind, tmp_path_factory.mktemp("models") / kind)
        return made[kind]

    return folder_of


@pytest.fixture
def pictures():
    """Three pictures of several shapes, none much larger than the small models take."""
    generator = np.random.default_rng(1)
    drawn = [generator.integers(0, 256, (5, 5, 3), dtype=np.uint8) for _ in range(3)]
    sizes = ((70, 50), (33, 36), (60, 110))
    return [Image.fromarray(d).resize(size, Image.Resampling.BICUBIC) for d, size in zip(drawn, sizes, strict=True)]
