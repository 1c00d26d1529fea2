"""Who is near whom in the graph: balls of k hops, or where random walks of k steps end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Side
from pictokg.sampling._picking import uniform_noise

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

    from pictokg.sampling.base import Context

LARGEST = 2**29  # ids in all neighbourhoods together: 2 GiB
CELLS_AT_ONCE = 2**26  # of the walkers, or of the bits, that are held at a time


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """For each entity the ids near it, ascending, in compressed rows.

    Attributes:
        offsets: (entities + 1,); members: (ids,) of 4 bytes each.
    """

    offsets: Tensor
    members: Tensor

    def count(self, entities: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many ids are near each entity."""
        return self.offsets[entities + 1] - self.offsets[entities]

    def draw(self, entities: Int[Tensor, " batch"], number: int, context: Context) -> Int[Tensor, "batch k"]:
        """Draw uniformly, with replacement, from who is near; −1 where nobody is."""
        count = self.count(entities).unsqueeze(1)
        if not len(self.members):
            return count.new_full((len(entities), number), -1)
        place = (uniform_noise((len(entities), number), context) * count).long().minimum((count - 1).clamp_min(0))
        place = (self.offsets[entities].unsqueeze(1) + place).clamp_max(len(self.members) - 1)
        return torch.where(count > 0, self.members[place].long(), -1)


def adjacency(triples: Int[np.ndarray, "triples 3"], num_entities: int) -> Neighbourhoods:
    """Each entity's neighbours by any relation in either direction, each once.

    >>> near = adjacency(np.array([[0, 0, 1], [0, 1, 1], [2, 0, 0]]), 4)
    >>> near.offsets.tolist(), near.members.tolist()
    ([0, 2, 3, 4, 4], [1, 2, 0, 0])
    """
    head, tail = triples[:, Side.HEAD].astype(np.int64), triples[:, Side.TAIL].astype(np.int64)
    pairs = np.unique(np.concatenate([head * num_entities + tail, tail * num_entities + head]))
    return _packed(pairs // num_entities, pairs % num_entities, num_entities)


def within(near: Neighbourhoods, hops: int, pool: Bool[np.ndarray, " entities"]) -> Neighbourhoods:
    """All ids of the pool at most so many hops away, the entity itself included: the support of Aᵏ + Aᵏ⁻¹.

    In a graph whose edges run both ways a walk of k or k − 1 steps ends everywhere within k hops.

    Raises:
        ConfigError: when they are too many to keep.
    """
    entities, offsets, members = len(near.offsets) - 1, near.offsets.numpy(), near.members.numpy()
    linked = np.flatnonzero(np.diff(offsets))
    bits = max(8, CELLS_AT_ONCE // max(entities, len(members) // 8) // 8 * 8)
    counts, found, kept = np.zeros(entities, dtype=np.int64), [], 0
    for start in range(0, entities, bits):
        sources = np.arange(start, min(start + bits, entities))
        reached = np.zeros((entities, -(-len(sources) // 8)), dtype=np.uint8)  # who reaches each, a bit a source
        column = sources - start
        reached[sources, column // 8] = 128 >> column % 8
        for _ in range(hops):
            reached[linked] |= np.bitwise_or.reduceat(reached[members], offsets[linked], axis=0)
        inside = np.unpackbits(reached, axis=1, count=len(sources)).T.astype(bool) & pool
        counts[sources] = inside.sum(axis=1)
        found.append(np.nonzero(inside)[1].astype(np.int32))
        kept += len(found[-1])
        if kept > LARGEST:
            raise ConfigError(
                f"the neighbourhoods of {hops} hops hold more than {LARGEST:,} ids; draw them by random walks"
                " (sampler sans, walks=1000) or choose fewer hops"
            )
    return _of_counts(counts, np.concatenate(found) if found else np.zeros(0, dtype=np.int32))


def walked(
    near: Neighbourhoods, hops: int, walks: int, pool: Bool[np.ndarray, " entities"], context: Context
) -> Neighbourhoods:
    """The ids of the pool where so many walks of `hops` steps end, every walk starting anew from the entity."""
    entities = len(near.offsets) - 1
    if entities * min(walks, entities) > LARGEST:
        raise ConfigError(
            f"{walks} walks from each of {entities:,} entities may end at more than {LARGEST:,} ids together; set fewer"
        )
    allowed, counts, found = torch.from_numpy(pool), np.zeros(entities, dtype=np.int64), []
    for sources in torch.arange(entities).split(max(1, CELLS_AT_ONCE // 8 // walks)):
        position = sources.repeat_interleave(walks)
        for _ in range(hops):
            position = _step(near, position, context)
        inside = (position >= 0) & allowed[position]
        owner = sources.repeat_interleave(walks) - sources[0]
        pairs = (owner * entities + position)[inside].unique()
        counts[sources.numpy()] = torch.bincount(pairs // entities, minlength=len(sources)).numpy()
        found.append((pairs % entities).int().numpy())
    return _of_counts(counts, np.concatenate(found))


def _step(near: Neighbourhoods, position: Tensor, context: Context) -> Tensor:
    """One step of every walker; one without neighbours leaves the graph (−1)."""
    at = position.clamp_min(0)
    first, degree = near.offsets[at], near.count(at)
    place = (uniform_noise((len(at),), context).cpu() * degree).long().minimum((degree - 1).clamp_min(0))
    moved = near.members[(first + place).clamp_max(len(near.members) - 1)].long()
    return torch.where((position >= 0) & (degree > 0), moved, -1)


def _packed(rows: np.ndarray, members: np.ndarray, entities: int) -> Neighbourhoods:
    return _of_counts(np.bincount(rows, minlength=entities), members.astype(np.int32))


def _of_counts(counts: np.ndarray, members: np.ndarray) -> Neighbourhoods:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Neighbourhoods(torch.from_numpy(offsets), torch.from_numpy(members))
