"""Entity tables on disk, in partitions of which two are in memory at a time; and the order in which all pairs meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset

Pair = tuple[int, int]
STRETCH = 65_536  # rows that are dealt together: each partition gets its share of them in one piece


@dataclass(frozen=True, eq=False)
class Partitions:
    """Which entities stand together.

    Entities are dealt at random, so that every two partitions are a sample of the graph, and negatives drawn from them
    are as good as any.

    Attributes:
        order: entities as they stand on disk, (entities,); place: where each stands, (entities,).
        starts: where each partition starts, and the end, (partitions + 1,).
    """

    order: np.ndarray
    place: np.ndarray
    starts: np.ndarray

    @staticmethod
    def plan(entities: int, row_bytes: int, budget: int, seed: int = 0) -> Partitions:
        """As few partitions as let two of them, with their optimiser's state, stay within `budget` bytes.

        Raises:
            ConfigError: the budget does not hold two rows.
        """
        rows = min(budget // (2 * row_bytes), entities)
        if rows < 1:
            raise ConfigError(f"a memory budget of {budget:,} bytes holds no two rows of {row_bytes:,} bytes; raise it")
        count = max(2, -(-entities // rows)) if entities > 1 else 1
        order = np.random.default_rng(seed).permutation(entities)
        starts = np.append(np.arange(count) * entities // count, entities)
        return Partitions(order, np.argsort(order), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def capacity(self) -> int:
        """Rows of the largest partition."""
        return int(np.diff(self.starts).max())

    def of(self, places: Tensor) -> Tensor:
        """The partition of rows at these places on disk."""
        return torch.searchsorted(torch.from_numpy(self.starts[1:]), places, right=True)

    def dealt(self, generator: torch.Generator) -> Partitions:
        """Other partitions of the same sizes, to which the rows of each stretch on disk are dealt one by one.

        The rows of a stretch, shuffled, go round the partitions, so each gets its share of them as one piece.
        """
        count, order, starts = len(self), self.order.copy(), np.append(0, np.cumsum(self._hands()))
        for first in range(0, len(order), STRETCH):
            stretch = order[first : first + STRETCH]
            stretch[:] = stretch[torch.randperm(len(stretch), generator=generator).numpy()]
        order = np.concatenate([order[number::count] for number in range(count)])
        return Partitions(order, np.argsort(order), starts)

    def _hands(self) -> np.ndarray:
        """How many rows each partition gets, dealt one by one."""
        return (len(self.order) - np.arange(len(self)) + len(self) - 1) // len(self)

    def local(self, data: Dataset) -> Dataset:
        """Data whose entities are the rows in memory: what the model that is trained must be made for."""
        names = Vocabulary([f"row{number}" for number in range(2 * self.capacity)])
        graph = KnowledgeGraph(names, data.graph.relations, {"train": np.zeros((1, 3), np.int32)})
        return replace(data, graph=graph, tables={}, features={}, folder=None)

    def pairs(self, generator: torch.Generator) -> Iterator[Pair]:
        """All pairs of partitions, in a random order in which each differs from the last in one partition.

        One partition is held while all that it has not met yet pass by, forwards and backwards in turn.
        """
        named = torch.randperm(len(self), generator=generator).tolist()
        if len(named) == 1:
            yield named[0], named[0]
        for held in range(len(named) - 1):
            others = range(held + 1, len(named))
            for other in others if held % 2 == 0 else reversed(others):
                yield named[held], named[other]


class Swap:
    """The file with all rows, each beside its optimiser's state, and the two partitions that are in memory.

    Args:
        path: a .npy file (entities, width + state), in the order of the partitions.
        partitions: how it is cut.
        rows: the table in memory (2 · capacity, width); state: of its optimiser, one number a row or as many; or empty.
    """

    def __init__(self, path: Path, partitions: Partitions, rows: Tensor, state: Tensor) -> None:
        self.path, self.partitions, self._width = path, partitions, rows.shape[1]
        self._tensors = [tensor for tensor in (rows.detach(), state) if tensor.numel()]  # some optimisers have no state
        self.held: list[int | None] = [None, None]
        self.swaps = 0

    def create(self, rows: Iterator[Tensor]) -> None:
        """Make the file from the rows of one partition after the other, with states of 0."""
        shape = (int(self.partitions.starts[-1]), sum(tensor.shape[1] for tensor in self._tensors))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(rows):
            file = np.lib.format.open_memmap(self.path, "w+", np.float32, shape) if number == 0 else self._open("r+")
            start = self.partitions.starts[number]
            file[start : start + len(part), : self._width] = part.numpy()

    def hold(self, pair: Pair) -> None:
        """Bring a pair of partitions into memory, writing back what has to leave."""
        for slot, held in enumerate(self.held):
            if held is not None and held not in pair:
                self._write(slot)
                self.held[slot] = None
        for wanted in dict.fromkeys(pair):
            if wanted not in self.held:
                self._read(self.held.index(None), wanted)
                self.swaps += 1

    def flush(self) -> None:
        """Write back what is in memory, which stays."""
        for slot, held in enumerate(self.held):
            if held is not None:
                self._write(slot)

    def deal(self, partitions: Partitions) -> None:
        """Bring the rows on disk, none of which may be in memory, into the order of other partitions."""
        assert self.held == [None, None], "rows in memory would be lost"
        source, other = self._open("r"), self.path.with_name(f"{self.path.name}.dealt")
        goal = np.lib.format.open_memmap(other, "w+", np.float32, source.shape)
        goes = partitions.place[self.partitions.order]
        for first in range(0, len(source), STRETCH):
            source, goal = self._open("r"), np.load(other, mmap_mode="r+")
            place = goes[first : first + STRETCH]
            order = np.argsort(place)  # pieces one after the other, each written at once
            goal[place[order]] = source[first : first + STRETCH][order]
        del source, goal
        other.replace(self.path)
        self.partitions = partitions

    def forget(self) -> None:
        """Let go of what is in memory without writing it back."""
        self.held = [None, None]

    def ids(self) -> Tensor:
        """Rows in memory that are entities."""
        sizes = [0 if part is None else int(np.diff(self.partitions.starts)[part]) for part in self.held]
        return torch.cat([torch.arange(size) + slot * self.partitions.capacity for slot, size in enumerate(sizes)])

    def offsets(self) -> Tensor:
        """For each partition, what to add to a place on disk to get the row in memory, (partitions,)."""
        found = torch.zeros(len(self.partitions), dtype=torch.long)
        for slot, part in enumerate(self.held):
            if part is not None:
                found[part] = slot * self.partitions.capacity - int(self.partitions.starts[part])
        return found

    def blocks(self, rows: int = 65536) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Entities and their rows, a block at a time, as they are on disk."""
        file = self._open("r")
        for start in range(0, len(file), rows):
            yield self.partitions.order[start : start + rows], np.array(file[start : start + rows, : self._width])

    def _open(self, mode: Literal["r", "r+"]) -> np.ndarray:
        # Mapped anew each time: pages that were looked at count as the process's own only while they are mapped.
        return np.load(self.path, mmap_mode=mode)

    def _read(self, slot: int, part: int) -> None:
        first, end = self.partitions.starts[part : part + 2]
        block, done = self._open("r")[first:end], 0
        for tensor in self._tensors:
            here = tensor.numpy()[slot * self.partitions.capacity :][: end - first]
            here[:] = block[:, done : done + tensor.shape[1]]
            done += tensor.shape[1]
        self.held[slot] = part

    def _write(self, slot: int) -> None:
        part = self.held[slot]
        assert part is not None, "an empty place has nothing to write"
        first, end = self.partitions.starts[part : part + 2]
        file, done = self._open("r+"), 0
        for tensor in self._tensors:
            here = tensor.numpy()[slot * self.partitions.capacity :][: end - first]
            file[first:end, done : done + tensor.shape[1]] = here
            done += tensor.shape[1]
