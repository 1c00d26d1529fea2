"""Starting from vectors that exist already."""

import pytest
import torch

from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import DataError
from pictokg.graph.names import write_names
from pictokg.training.fit import fit
from pictokg.training.warm_start import warm_start


@pytest.fixture
def start(data, tmp_path):
    """The run folder of a small TransE, and the model."""
    config = configure("transe", settings=[("dim", 6), ("norm", 2), ("epochs", 2), ("validate_every", 0)])
    model = build_model(config, data)
    fit(build_trainer(config, model, data), data, folder=tmp_path)
    write_names(tmp_path / "entities.txt", data.graph.entities)
    write_names(tmp_path / "relations.txt", data.graph.relations)
    return tmp_path, model


@pytest.mark.parametrize(("name", "own"), [("transe", [("norm", 2)]), ("transr", [])])
def test_transr_started_from_transe_scores_like_it_because_its_matrices_are_the_identity(name, own, start, data):
    folder, source = start
    model = build_model(configure(name, settings=[("dim", 6), *own]), data, seed=7)
    triples = torch.from_numpy(data.graph.split("train")[:9].astype("int64"))
    other = model.score_triples(triples)
    assert warm_start(model, data, folder) == data.graph.num_entities
    expected = source.score_triples(triples)
    assert not torch.allclose(other, expected)
    torch.testing.assert_close(model.score_triples(triples), expected)


def test_another_width_is_refused_with_the_one_to_set(start, data):
    model = build_model(configure("transe", settings=[("dim", 8)]), data)
    with pytest.raises(DataError, match="vectors of width 6 but the model wants 8"):
        warm_start(model, data, start[0])
