"""Training on an entity table that is larger than memory: two partitions of it at a time, all pairs once an epoch.

A triple is learned while the partitions of its head and tail are both in memory, as in PyTorch-BigGraph and Marius
(Lerer et al., MLSys 2019; Mohoney et al., OSDI 2021); negatives are drawn from what is there. The rows of the optimiser
travel with those of the table. Everything else is a training run as any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.files import write_atomically
from pictokg.sampling.uniform import Uniform
from pictokg.training.checkpoint import load_optimiser_state, load_tensors, optimiser_state, save_tensors
from pictokg.training.fused import step_of, why_not
from pictokg.training.loop import Trainer, TrainingOptions
from pictokg.training.optimiser import KINDS, OptimiserOptions
from pictokg.training.partitions import Partitions, Swap
from pictokg.training.streamed import Rows, write_rows

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.training.step import Objective

SMALLEST_BATCH = 256  # triples, below which a step costs more than its triples do


@dataclass(frozen=True)
class OnDisk:
    """Where the table lies, how it is cut, and who hears of each step (`Trainer`'s on_batch)."""

    path: Path
    partitions: Partitions
    on_batch: Callable[[int], None] | None = None


class PartitionedTrainer(Trainer):
    """A trainer whose model holds two partitions of the entities; the others lie in a file.

    Args:
        model: made for `partitions.local(data)`, whose "entities" are the rows in memory.
        data: the whole graph; its training split is learned from.
        objective, optimiser, options: as of any trainer that takes the fused step, with uniform negatives.
        disk: where the table lies; the file is made, and written over, when training begins.

    Raises:
        ConfigError: a choice that needs more than the rows of two partitions.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        objective: Objective,
        optimiser: OptimiserOptions,
        options: TrainingOptions,
        disk: OnDisk,
    ) -> None:
        if not isinstance(objective.sampler, Uniform):
            kind = type(objective.sampler).__name__
            raise ConfigError(f"sampler {kind} cannot draw from a part of the entities; choose sampler uniform")
        partitions = disk.partitions
        optimiser = hastened(optimiser, min(1.0, 2 * partitions.capacity / data.graph.num_entities))
        super().__init__(model, partitions.local(data), objective, optimiser, options, disk.on_batch)
        if self.fused is None:
            reason = why_not(model, objective, self.optimisers, options) or "kernels=off"
            raise ConfigError(f"training larger than memory needs the fused step, which {reason} rules out")
        place = torch.from_numpy(partitions.place)
        self.triples = torch.from_numpy(data.graph.split("train").astype("int64"))
        self.triples[:, 0], self.triples[:, 2] = place[self.triples[:, 0]], place[self.triples[:, 2]]
        table = model.encoder.structure.weight
        self.swap = Swap(disk.path, partitions, table, step_of(table, self.optimisers, 0.0).sums)
        self._begun, self._done = False, 0

    def begin(self) -> None:
        """Make the file with the rows to start from; once, and before the first epoch at the latest."""
        if not self._begun:
            self.swap.create(self._first_rows())
            self._begun = True

    def _first_rows(self) -> Iterator[Tensor]:
        """The initial rows of each partition, from a generator of its own."""
        table, relations = self.model.encoder.structure.weight, self.model.relations.weight
        for number, size in enumerate(np.diff(self.swap.partitions.starts).tolist()):
            generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + number)
            rows = torch.empty(size, table.shape[1])
            self.model.scoring.initialise(rows, torch.empty_like(relations), generator)
            yield rows

    def _epoch(self) -> float:
        """All pairs of partitions, and for each its triples in a random order; the mean loss."""
        self.begin()
        self.model.train()
        total, self._done = 0.0, 0
        seed = self.options.seed * 1_000_003 + self.epoch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.context.generator.manual_seed(seed)
            if self.epoch:
                self._deal()
            pairs = list(self.swap.partitions.pairs(self.context.generator))
            for pair, rows in zip(pairs, self._triples_of(pairs), strict=True):
                if len(rows):
                    self.swap.hold(pair)
                    total += self._bucket(rows)
        self.swap.flush()
        self.swap.forget()  # which partition lies where decides what is drawn; a resumed run starts with none too
        self.context.epoch += 1
        return total / len(self.triples)

    def _deal(self) -> None:
        """Deal entities to the partitions anew.

        Else a question would meet, in all epochs, the same few partitions' entities as wrong answers, and never learn
        how it compares with the others.
        """
        before = self.swap.partitions
        self.swap.deal(before.dealt(self.context.generator))
        self._renumber(before)

    def _renumber(self, before: Partitions) -> None:
        """Let triples say where their entities stand now, and no longer where they stood `before`."""
        moved = torch.from_numpy(self.swap.partitions.place[before.order])
        self.triples[:, 0], self.triples[:, 2] = moved[self.triples[:, 0]], moved[self.triples[:, 2]]

    def _triples_of(self, pairs: list[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Rows of the triples of each pair; those within one partition go with the first pair that has it."""
        visit = torch.full((len(self.swap.partitions),) * 2, -1)
        for number, (one, two) in enumerate(pairs):
            visit[one, two] = visit[two, one] = number
            for part in (one, two):
                if visit[part, part] < 0:
                    visit[part, part] = number
        order = torch.randperm(len(self.triples), generator=self.context.generator)
        of = self.swap.partitions.of
        turn = visit[of(self.triples[:, 0].contiguous()), of(self.triples[:, 2].contiguous())][order]
        sizes = turn.bincount(minlength=len(pairs)).tolist()
        return order[turn.argsort(stable=True)].split(sizes)

    def _bucket(self, rows: Tensor) -> float:
        """Learn the triples of the pair in memory; the sum of their losses."""
        offsets, self.context.pool = self.swap.offsets(), self.swap.ids()
        total, share = 0.0, len(self.context.pool) / len(self.swap.partitions.order)
        # A row takes one step a batch however many triples pull at it: with fewer rows, fewer triples make a batch.
        whole = self.options.batch_size
        for part in rows.split(min(whole, max(SMALLEST_BATCH, round(whole * share)))):
            triples = self.triples[part]
            for slot in (0, 2):
                places = triples[:, slot].contiguous()
                triples[:, slot] = places + offsets[self.swap.partitions.of(places)]
            total += self._step(triples) * len(part)
            self._done += len(part)
            self.on_batch(self._done)
        return total

    def _progress(self) -> float:
        return min(1.0, (self.epoch + self._done / len(self.triples)) / self.options.epochs)

    def publish(self, model: Model) -> None:
        """Write what was learned into a model of the whole graph, whose own table may be memory-mapped."""
        self.begin()
        self.swap.flush()
        with torch.no_grad():
            model.relations.weight.copy_(self.model.relations.weight)
            for entities, rows in self.swap.blocks():
                model.encoder.structure.weight[torch.from_numpy(entities)] = torch.from_numpy(rows)

    def write_model(self, path: Path) -> None:
        """Write the parameters of the whole model as `save_tensors` does, without having all of them in memory."""
        self.begin()
        self.swap.flush()
        table, rows = self.model.encoder.structure.weight, self.swap.partitions.order
        named = {name: value.detach() for name, value in self.model.state_dict(keep_vars=True).items()}
        (entities,) = (name for name, value in self.model.state_dict(keep_vars=True).items() if value is table)
        write_rows(path, named, Rows(entities, len(rows), self.swap.blocks()))

    def save(self, folder: Path, progress: Mapping[str, Any] | None = None) -> None:
        """Write what a resumed run needs: the table as a copy of its file, then all else, which names that copy."""
        self.begin()
        self.swap.flush()
        copy, clock = f"entities-{self.epoch}.npy", {"epoch": self.epoch, "step": self.context.step}
        write_atomically(folder / copy, self._copy_to)
        tensors = {f"model/{name}": value for name, value in self._beside_rows().items()}
        tensors |= {f"optimiser/{name}": value for name, value in self._states().items()}
        tensors |= {"order": torch.from_numpy(self.swap.partitions.order)}
        tensors |= {"starts": torch.from_numpy(self.swap.partitions.starts)}
        save_tensors(
            folder / "last.safetensors", tensors, {"clock": clock, "entities": copy, "progress": dict(progress or {})}
        )
        for old in folder.glob("entities-*.npy"):
            if old.name != copy:
                old.unlink()

    def load(self, folder: Path) -> dict[str, Any]:
        """Go on from what `save` wrote; the progress that it was given."""
        tensors, notes = load_tensors(folder / "last.safetensors")
        self.swap.forget()
        self.swap.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / notes["entities"], self.swap.path)
        before, order = self.swap.partitions, tensors["order"].numpy()
        self.swap.partitions = Partitions(order, np.argsort(order), tensors["starts"].numpy())
        self._renumber(before)
        with torch.no_grad():
            for name, value in self._beside_rows().items():
                value.copy_(tensors[f"model/{name}"])
        table = self.model.encoder.structure.weight
        sums = step_of(table, self.optimisers, 0.0).sums
        states = {name.split("/", 1)[1]: value for name, value in tensors.items() if name.startswith("optimiser/")}
        load_optimiser_state(self.optimisers, {**optimiser_state(self.optimisers), **states})
        for part, _ in self.optimisers.parts:  # the state of rows in memory is the swap's own tensor, not a copy
            if table in part.state and "sum" in part.state[table]:
                part.state[table]["sum"] = sums
        self.context.epoch, self.context.step = notes["clock"]["epoch"], notes["clock"]["step"]
        self._begun = True
        return notes["progress"]

    def _copy_to(self, path: Path) -> None:
        shutil.copyfile(self.swap.path, path)

    def _beside_rows(self) -> dict[str, Tensor]:
        """Parameters and buffers that are no rows of entities."""
        table = self.model.encoder.structure.weight
        return {name: value for name, value in self.model.state_dict(keep_vars=True).items() if value is not table}

    def _states(self) -> dict[str, Tensor]:
        """The optimisers' state, without that of rows of entities, which lies beside them on disk."""
        table, on_disk = self.model.encoder.structure.weight, set()
        for number, (part, _) in enumerate(self.optimisers.parts):
            owned = [parameter for group in part.param_groups for parameter in group["params"]]
            on_disk |= {f"{number}.{place}.sum" for place, parameter in enumerate(owned) if parameter is table}
        return {name: value for name, value in optimiser_state(self.optimisers).items() if name not in on_disk}


def hastened(options: OptimiserOptions, share: float) -> OptimiserOptions:
    """Adagrad with a learning rate that makes up for training on a `share` of the entities at a time: η / √share.

    What one pair of partitions asks of a row and the next takes back moves it nowhere, but counts among the squares
    that make all its later steps smaller.

    >>> hastened(OptimiserOptions(name="row_adagrad", learning_rate=0.1), share=0.25).learning_rate
    0.2
    """
    if options.name not in ("adagrad", "row_adagrad"):
        return options
    rate = KINDS[options.name][2] if options.learning_rate is None else options.learning_rate
    return replace(options, learning_rate=rate / share**0.5)
