"""SANS: neighbourhoods against networkx and against powers of the adjacency; walks that start anew; what is drawn."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from random_data import make_data
from test_samplers import chi_square_is_plausible, context_of

from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.query import Query, Side, ask
from pictokg.graph.vocabulary import Vocabulary
from pictokg.models.transe import build
from pictokg.sampling import _neighbourhoods
from pictokg.sampling._neighbourhoods import adjacency, walked, within
from pictokg.sampling.sans import Sans


def dataset(pairs, entities):
    """A graph of one relation."""
    train = np.array([[head, 0, tail] for head, tail in pairs], dtype=np.int32)
    names = Vocabulary([f"e{number}" for number in range(entities)])
    return Dataset("small", KnowledgeGraph(names, Vocabulary(["r"]), {"train": train}))


def sampler_on(data, generator, **options):
    context = context_of(build, data, generator)
    sampler = Sans(**options)
    sampler.prepare(context)
    return sampler, context


def sets(near):
    return [
        set(near.members[near.offsets[row] : near.offsets[row + 1]].tolist()) for row in range(len(near.offsets) - 1)
    ]


@pytest.fixture
def sparse_triples():
    """40 entities, few edges, some of them loops, one entity alone."""
    triples = np.random.default_rng(1).integers(39, size=(34, 3))
    triples[:, 1] %= 3
    return np.concatenate([triples, [[5, 0, 5]]])


@pytest.mark.parametrize("hops", [1, 2, 3, 5])
@pytest.mark.parametrize("cells", [2**26, 1])  # all entities at once, or eight at a time
def test_exact_neighbourhoods_are_the_balls_of_networkx(hops, cells, sparse_triples, monkeypatch):
    monkeypatch.setattr(_neighbourhoods, "CELLS_AT_ONCE", cells)
    graph = networkx.Graph()
    graph.add_nodes_from(range(40))
    graph.add_edges_from(sparse_triples[:, [0, 2]].tolist())
    found = within(adjacency(sparse_triples, 40), hops, np.ones(40, dtype=bool))
    expected = [set(networkx.single_source_shortest_path_length(graph, entity, cutoff=hops)) for entity in range(40)]
    assert sets(found) == expected


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_the_balls_are_the_published_powers_of_the_adjacency(hops, sparse_triples):
    """Of A^k + A^(k−1), as the paper writes it; the entity alone in the graph has A^k = 0 and is left with itself."""
    matrix = np.zeros((40, 40), dtype=np.int64)
    matrix[sparse_triples[:, 0], sparse_triples[:, 2]] = 1
    matrix |= matrix.T
    power = np.linalg.matrix_power(matrix, hops) + np.linalg.matrix_power(matrix, hops - 1)
    expected = [set(np.flatnonzero(row)) | {entity} for entity, row in enumerate(power)]
    assert sets(within(adjacency(sparse_triples, 40), hops, np.ones(40, dtype=bool))) == expected


def test_many_walks_end_wherever_a_walk_of_that_length_can_end_and_nowhere_else(sparse_triples, generator):
    context = context_of(build, dataset([(0, 1)], 40), generator)
    found = walked(adjacency(sparse_triples, 40), 3, 3000, np.ones(40, dtype=bool), context)
    matrix = np.zeros((40, 40), dtype=np.int64)
    matrix[sparse_triples[:, 0], sparse_triples[:, 2]] = 1
    matrix |= matrix.T
    assert sets(found) == [set(np.flatnonzero(row)) for row in np.linalg.matrix_power(matrix, 3)]


def test_every_walk_starts_anew(generator):
    """On a path, one step from an entity leads to its two neighbours however many walks are made."""
    data = dataset([(number, number + 1) for number in range(19)], 20)
    sampler, _ = sampler_on(data, generator, hops=1, walks=200)
    assert sets(sampler._near) == [{number - 1, number + 1} & set(range(20)) for number in range(20)]


def test_walks_choose_each_neighbour_alike(generator):
    """Two steps from the middle of a spider with three legs of two: each foot, or back, as the degrees say."""
    near = adjacency(np.array([[0, 0, 1], [0, 0, 2], [0, 0, 3]]), 4)
    context = context_of(build, dataset([(0, 1)], 4), generator)
    ends = _neighbourhoods._step(near, torch.zeros(3000, dtype=torch.long), context)
    assert chi_square_is_plausible(torch.bincount(ends, minlength=4)[1:].float())


@pytest.mark.parametrize("walks", [0, 500])
def test_draws_are_uniform_over_the_unknown_part_of_the_neighbourhood(walks, data, generator):
    sampler, context = sampler_on(data, generator, negatives=400, hops=2, walks=walks)
    triples = torch.from_numpy(data.graph.split("train").astype(np.int64))
    near = sets(sampler._near)
    for side in (Side.HEAD, Side.TAIL):
        query, answer = ask(triples[:1], side)
        counts = sum(torch.bincount(sampler(query, answer, context).ids[0], minlength=12) for _ in range(10))
        known = set(context.known.answers(query)[1].tolist())
        allowed = sorted(near[int(query.anchor)] - known)
        assert set(counts.nonzero()[:, 0].tolist()) == set(allowed)
        assert chi_square_is_plausible(counts[allowed].float())


def test_where_the_whole_neighbourhood_is_known_negatives_come_from_anywhere(generator):
    """0 is linked with 1 and 2 and with itself, so that (0, r, ?) knows all that is one hop away."""
    data = dataset([(0, 0), (0, 1), (0, 2), (3, 4), (4, 5)], 6)
    sampler, context = sampler_on(data, generator, negatives=300, hops=1)
    query = Query(head=torch.tensor([0, 3]), relation=torch.tensor([0, 0]))
    drawn = sampler(query, torch.tensor([1, 4]), context)
    assert set(drawn.ids[0].tolist()) == {3, 4, 5}
    assert drawn.ids[1].unique().tolist() == [3]
    assert drawn.weight.min() == 1


def test_an_entity_without_walks_draws_from_anywhere(generator):
    sampler, context = sampler_on(dataset([(0, 1)], 4), generator, negatives=200, hops=1, walks=5)
    query = Query(head=torch.tensor([3]), relation=torch.tensor([0]))
    assert sampler(query, torch.tensor([0]), context).ids.unique().tolist() == [0, 1, 2, 3]


def test_the_same_seed_walks_the_same_way(data):
    first, second = (sampler_on(data, torch.Generator().manual_seed(4), hops=3, walks=6)[0] for _ in range(2))
    assert torch.equal(first._near.members, second._near.members)


def test_too_large_neighbourhoods_are_refused_with_the_way_out(generator, monkeypatch):
    monkeypatch.setattr(_neighbourhoods, "LARGEST", 10)
    data = make_data()
    with pytest.raises(ConfigError, match="draw them by random walks"):
        sampler_on(data, generator, hops=2)
    with pytest.raises(ConfigError, match="set fewer"):
        sampler_on(data, generator, hops=2, walks=100)


@pytest.mark.parametrize("options", [{"hops": 0}, {"walks": -1}, {"negatives": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match=r"at least"):
        Sans(**options)
