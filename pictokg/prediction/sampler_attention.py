"""What the cross-modal attention of a training sampler (`mmrns`, `mmrns_plus`) looked at, to be shown beside reasons.

The sampler chose what the model learned from and has no part in a score. A run keeps what it learned in the checkpoint
that training goes on from, with the relation vectors of the same moment.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pictokg.errors import DataWarning, PictoKGError
from pictokg.graph.query import Side
from pictokg.prediction.explanation import SlotAttention, SlotWeight
from pictokg.prediction.pieces import window_of
from pictokg.sampling._cross_modal import CrossModalSampler, Looks
from pictokg.sampling.base import Context
from pictokg.training.checkpoint import load_parameters, load_tensors
from pictokg.training.fit import last_path

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.prediction.explanation import Explanation, Parts
    from pictokg.sampling.base import Sampler


class SamplerAttention:
    """Shows the attention of a sampler as training left it.

    Args:
        name: of the sampler; sampler: with what it learned; context: with the relation vectors that belong to it.
    """

    def __init__(self, name: str, sampler: CrossModalSampler, context: Context) -> None:
        self.name, self.sampler, self.context = name, sampler, context

    def beside(self, found: Explanation, ids: tuple[int, int, int]) -> Explanation:
        """The explanation of a fact with the attention to its head and to its tail, each as an answer is looked at."""
        head, relation, tail = ids
        seen = {Side.HEAD: self.of(head, relation, Side.HEAD), Side.TAIL: self.of(tail, relation, Side.TAIL)}
        asked, given = (Side.TAIL, Side.HEAD) if found.side == "tail" else (Side.HEAD, Side.TAIL)
        both = replace(found.asked, sampler_attention=seen[asked]), replace(found.given, sampler_attention=seen[given])
        return replace(found, sampler_attention=self._words(*both), asked=both[0], given=both[1])

    def of(self, entity: int, relation: int, side: Side) -> tuple[SlotAttention, ...]:
        """The attention to an entity's pictures and to its words, as an answer on this side under a relation."""
        if entity >= self.context.data.graph.num_entities:
            return ()
        device = self.context.model.device
        one = torch.tensor([entity], device=device), torch.tensor([relation], device=device)
        pictures, words = self.sampler.look(*one, side, self.context)
        shown, told = self._slots(self.sampler.picture_table, entity), self._slots(self.sampler.text_table, entity)
        both = weighed(pictures, shown, told), weighed(words, told, shown)
        return tuple(attention for attention in both if attention is not None)

    def _slots(self, modality: str, entity: int) -> Slots:
        """The rows of an entity that are slots; none where the data lack the table."""
        table = self.context.data.tables.get(modality)
        if table is None:
            return Slots(modality, "", [], 0)
        rows = self.sampler.pictures if modality == self.sampler.picture_table else self.sampler.words
        return Slots(modality, table.name, table.instances(np.array([entity])).keys, rows.slots)

    def _words(self, *seen: Parts) -> str:
        """What is shown, or why nothing is."""
        strangers = [parts.entity for parts in seen if parts.entity not in self.context.data.graph.entities]
        unseen = f" It never saw {' and '.join(strangers)}." if strangers else ""
        if not any(parts.sampler_attention for parts in seen):
            return f"The sampler {self.name} has nothing to show here: it had no picture or words of either.{unseen}"
        return (
            f"This is how the sampler {self.name} looked at pictures and words to choose the wrong answers that the"
            f" model learned from; it has no part in the score.{unseen}"
        )


@dataclass(frozen=True, slots=True)
class NoSamplerAttention:
    """Says why the attention that a sampler has cannot be shown."""

    why: str

    def beside(self, found: Explanation, ids: tuple[int, int, int]) -> Explanation:
        """The explanation with the reason."""
        return replace(found, sampler_attention=self.why)


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one modality of an entity.

    Attributes:
        modality: its name; table: that of its feature table; rows: keys of all the entity's rows.
        most: how many of them, the first, are slots.
    """

    modality: str
    table: str
    rows: list[str]
    most: int

    @property
    def keys(self) -> list[str]:
        """Of the rows that are slots."""
        return self.rows[: self.most]

    def window(self, number: int) -> tuple[float, float, float, float] | None:
        """Where on its picture a slot looks; None where it is no window."""
        owner, inside, _ = self.keys[number].partition("#")
        if not inside:
            return None
        rows = [key for key in self.rows if key.partition("#")[0] == owner]
        found = window_of(self.table, rows, rows.index(self.keys[number]))
        return None if found == (0.0, 0.0, 1.0, 1.0) else found


def weighed(looks: Looks, keys: Slots, queries: Slots) -> SlotAttention | None:
    """Name the slots of one entity's looks and take the means over those that look; None where there are no slots.

    Slots that hold none have weight too where nothing masks them, as in the released MMRNS; it stands behind the
    others, as of one slot with an empty key.
    """
    if not keys.keys:
        return None
    independent, guided = (_gathered(part, looks) for part in (looks.independent, looks.guided))
    share = guided / guided.abs().sum(dim=1, keepdim=True).clamp_min(torch.finfo(guided.dtype).tiny)
    windows = [keys.window(number) for number in range(len(keys.keys))]
    slots = [
        SlotWeight(
            key,
            float(independent[:, place].mean()),
            float(share[:, place].mean()),
            tuple(independent[:, place].tolist()),
            tuple(guided[:, place].tolist()),
            window,
        )
        for place, (key, window) in enumerate(zip([*keys.keys, ""], [*windows, None], strict=True))
    ]
    if not any((*slots[-1].independent_by, *slots[-1].guided_by)):
        slots.pop()
    return SlotAttention(keys.modality, tuple(slots), queries.modality, tuple(queries.keys or [""]))


def _gathered(weights: Tensor, looks: Looks) -> Tensor:
    """Weights (looking, filled slots and one for all others) of the one entity, in double precision."""
    rows, filled = weights[0][looks.queries[0]].double(), looks.keys[0]
    return torch.cat([rows[:, filled], rows[:, ~filled].sum(dim=1, keepdim=True)], dim=1).cpu()


def sampler_attention(
    folder: Path, sampler: Sampler, model: Model, data: Dataset
) -> SamplerAttention | NoSamplerAttention | None:
    """The attention that the sampler of a run has learned, or why it cannot be shown; None where it has none.

    Args:
        folder: of the run.
        sampler: that of the run's configuration, not prepared; it is prepared here, and given what it learned.
        model: the run's; data: what it was trained on, with the tables of the sampler.
    """
    name, part = _attending(sampler)
    if part is None:
        return None
    called, path = type(part).__module__.rpartition(".")[2], last_path(folder)
    why = f"The attention of the sampler {called} is not shown: "
    if not path.is_file():
        place = path.relative_to(folder).as_posix()
        return NoSamplerAttention(f"{why}it is kept in {place}, which the run folder does not have.")
    try:
        context = _restored(part, f"sampler_module/{name}", path, model, data)
    except PictoKGError as error:
        return NoSamplerAttention(why + str(error).replace(f"{folder}/", "") + ".")
    return SamplerAttention(called, part, context)


def _attending(sampler: Sampler) -> tuple[str, CrossModalSampler | None]:
    """The first part of a sampler that has cross-modal attention, and what its parameters' names begin with."""
    if isinstance(sampler, nn.Module):
        for name, part in sampler.named_modules():
            if isinstance(part, CrossModalSampler):
                return f"{name}." if name else "", part
    return "", None


def _restored(sampler: CrossModalSampler, begin: str, path: Path, model: Model, data: Dataset) -> Context:
    """Prepare a sampler, give it its learned parameters and return what it looks through: the relations of then."""
    tensors, _ = load_tensors(path, (begin, "model/relations."))
    own = {name.removeprefix(begin): tensor for name, tensor in tensors.items() if name.startswith(begin)}
    twin = copy.copy(model)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # training has said which table is missing
        relations = nn.Embedding(*model.relations.weight.shape)
        # a dictionary of its own: to set the attribute would change the model that the copy shares its modules with
        twin._modules = {**model._modules, "relations": relations.to(model.device)}
        everyone = torch.arange(model.num_entities, device=model.device)
        context = Context(twin, data, data.known("train"), torch.Generator(), everyone, twin.encode)
        sampler.prepare(context)
    load_parameters(sampler, own, path, of="sampler")
    then = {name.removeprefix("model/relations."): row for name, row in tensors.items() if name.startswith("model/")}
    load_parameters(relations, then, path)
    sampler.to(model.device)
    return context
