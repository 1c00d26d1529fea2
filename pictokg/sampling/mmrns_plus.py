"""MMRNS corrected: masks, one encoder, a loss a question, directed relations, and hard negatives without true ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.features.table import offsets_of
from pictokg.fusion.cross_modal import CrossModalAttention, Guidance, Independent, Sizes, Slots
from pictokg.graph.query import Query, Side
from pictokg.sampling._cross_modal import CrossModalSampler, answers_among, refuse_not_positive, wrong_relations
from pictokg.sampling._gumbel import BARRED, top_k_draws
from pictokg.sampling.base import Context, Negatives

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from pictokg.models.base import Model

COLDEST, HOTTEST = 0.05, 1.0  # bounds of the learned temperature


@dataclass(frozen=True, slots=True)
class Compared:
    """What the contrastive loss needs.

    Attributes:
        alike: cosines of answer and candidate, a modality each; both: where both have the modality; known: candidates
            that are known answers; own: where the answer itself has the modality.
    """

    alike: Float[Tensor, "3 batch pool"]
    both: Bool[Tensor, "3 batch pool"]
    known: Bool[Tensor, "batch pool"]
    own: Bool[Tensor, "3 batch"]


@dataclass(eq=False, repr=False)
class MMRNSPlus(CrossModalSampler):
    """MMRNS with its faults mended: candidates like the answer, but not so like it that they may be true.

        q(c) = (1 − ε) softmax_c( mean_m s_m(c) / τ ) + ε / n,   the mean over what both have, τ learned in [0.05, 1]

    over the n candidates of the pool that are no known answers and not among the most alike (`guard`). Negatives are
    drawn without replacement at once, the largest of ln q + Gumbel noise. The sampler's own loss, for each question and
    modality, with the answer itself and its known answers in the pool as Pos (Khosla et al., NeurIPS 2020):

        mean over p ∈ Pos of −ln( e^{s(p)/t} / Σ_{c ∈ pool ∪ answer} e^{s(c)/t} )

    Missing modalities and padded slots are masked; an entity without pictures has one learned slot for its words to
    attend to. A relation has one vector a direction, and the entity's other relations guide its attention too. Rows are
    standardised. The sampler reads the model's vectors and does not move them.

    Args:
        negatives: how many a question; pool: candidates a step.
        temperature: τ to begin with; contrast: t.
        gradient: of the model's loss to the sampler: "cooperative" lowers the loss, as released (easy negatives),
            "adversarial" raises it (hard ones), "stopped" leaves the contrastive loss alone.
        mix: ε; guard: fraction of the candidates, the most alike, that is never drawn.
        hidden: width of the attention; gate: hidden width of the structure gate.
        sampler_learning_rate: step size of its own Adam.
        picture_table, text_table: names of the feature tables; picture_slots, text_slots: rows an entity at most.
    """

    negatives: int = 64
    pool: int = 1500
    temperature: float = 0.2
    contrast: float = 0.1
    gradient: Literal["cooperative", "stopped", "adversarial"] = "stopped"
    mix: float = 0.1
    guard: float = 0.005
    hidden: int = 50
    gate: int = 100
    sampler_learning_rate: float = 1e-3
    picture_table: str = "image"
    text_table: str = "text"
    picture_slots: int = 24
    text_slots: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.learning_rate = self.sampler_learning_rate
        if self.gradient not in ("cooperative", "stopped", "adversarial"):
            raise ConfigError(f"gradient is cooperative, stopped or adversarial; got {self.gradient!r}")
        for name in ("mix", "guard"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a fraction in [0, 1]; got {getattr(self, name)}")
        if not COLDEST < self.temperature < HOTTEST:
            raise ConfigError(f"temperature must be between {COLDEST} and {HOTTEST}; got {self.temperature}")
        refuse_not_positive(contrast=self.contrast)

    def prepare(self, context: Context) -> None:
        """Read the tables and the relations of every entity, and make all that is learned."""
        self.read_tables(context, standardise=True)
        pictures, words = ((rows.slots, rows.width) for rows in (self.pictures, self.words))
        width = self.static(context.pool[:1], context).flatten(1).shape[1]
        relation = context.model.relations.weight.shape[1]
        sizes = Sizes(pictures, words, width, relation, self.hidden, self.gate)
        self.attention = CrossModalAttention(sizes)
        self.absent = nn.Parameter(torch.randn(2, self.hidden) / self.hidden**0.5)
        self.direction = nn.Parameter(0.1 * torch.randn(2, relation))
        self.others = nn.Parameter(torch.zeros(()))
        heat = (self.temperature - COLDEST) / (HOTTEST - COLDEST)
        self.heat = nn.Parameter(torch.logit(torch.tensor(heat)))
        graph = context.data.graph
        offsets, incident = incident_relations(graph.split("train"), graph.num_entities, graph.num_relations)
        self.register_buffer("offsets", torch.from_numpy(offsets), persistent=False)
        self.register_buffer("incident", torch.from_numpy(incident), persistent=False)
        self.offsets: Tensor
        self.incident: Tensor

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K); weight 0 where a question has no unknown candidate left."""
        if query.side is Side.RELATION:
            return wrong_relations(query, self.negatives, context)
        assert query.relation is not None, "it is no relation query"
        pool = self.pool_of_step(context)
        alike = self.compare(pool, answer, self.directed(query.relation, query.side, context), context)
        own, theirs = self.present(answer), self.present(pool.ids)
        both = own.unsqueeze(2) & theirs.unsqueeze(1)
        known = answers_among(query, answer, pool.ids, context)
        q = self.distribution(alike, both, known)
        columns, allowed = top_k_draws(log_or_barred(q), min(self.negatives, len(pool.ids)), context.generator)
        ids = pool.ids[columns]
        vectors = None
        if self.gradient != "stopped":
            soft = q @ pool.static.flatten(1).to(q.dtype)
            choice = (soft - soft.detach()) * (1.0 if self.gradient == "cooperative" else -1.0)
            vectors = context.encode(ids)
            vectors = vectors + choice.to(vectors.dtype).unflatten(1, pool.static.shape[1:]).unsqueeze(1)
        return Negatives(ids, weight=allowed.float(), vectors=vectors, memory=Compared(alike, both, known, own))

    @property
    def tau(self) -> Tensor:
        """The temperature, between 0.05 and 1."""
        return COLDEST + (HOTTEST - COLDEST) * torch.sigmoid(self.heat)

    def distribution(self, alike: Tensor, both: Tensor, known: Tensor) -> Float[Tensor, "batch pool"]:
        """q: the chance of each candidate, 0 for known answers and for the most alike of the others."""
        mean = (alike * both).sum(dim=0) / both.sum(dim=0)
        open_ = ~known & ~most_alike(mean.detach().masked_fill(known, BARRED), ~known, self.guard)
        chosen = (mean / self.tau).masked_fill(~open_, BARRED).softmax(dim=1) * open_
        even = open_ / open_.sum(dim=1, keepdim=True).clamp_min(1)
        return (1 - self.mix) * chosen + self.mix * even

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> Tensor | None:
        """The contrastive loss of these questions, mean over questions and modalities."""
        compared = negatives.memory
        if compared is None:
            return None
        return self.contrastive(compared) / len([side for side in context.sides if side is not Side.RELATION])

    def contrastive(self, compared: Compared) -> Tensor:
        """Mean over questions, and over modalities that their answer has, of InfoNCE at temperature t."""
        logits = (compared.alike / self.contrast).masked_fill(~compared.both, BARRED)
        itself = logits.new_full((*logits.shape[:2], 1), 1 / self.contrast)  # a cosine of 1
        everyone = torch.cat([logits, itself], dim=2).logsumexp(dim=2)
        positive = compared.known & compared.both
        total = (logits * positive).sum(dim=2) + 1 / self.contrast
        loss = (everyone - total / (positive.sum(dim=2) + 1)) * compared.own
        return loss.sum() / compared.own.sum().clamp_min(1)

    def present(self, ids: Tensor) -> Bool[Tensor, "3 n"]:
        """Which of pictures, words and structure an entity has."""
        pictures, words = self.pictures.count[ids] > 0, self.words.count[ids] > 0
        return torch.stack([pictures, words, torch.ones_like(pictures)])

    @torch.no_grad()
    def static(self, ids: Tensor, context: Context) -> Tensor:
        """The model's vectors, without dropout or gradient: the sampler reads the model and does not move it."""
        encoder = context.model.encoder
        training = encoder.training
        encoder.eval()
        with torch.autocast(ids.device.type, enabled=False):  # it would keep weights cast here, without their gradients
            vectors = encoder.encode_static(ids)
        encoder.train(training)
        return vectors

    def attend(self, ids: Tensor, structure: Tensor, context: Context, *, answers: bool = False) -> Independent:
        """Slots with their masks, and one learned slot where an entity has none."""
        shown, told = self.attention.project(Slots(*self.pictures(ids)), Slots(*self.words(ids)))
        shown, told = (filled(slots, absent) for slots, absent in zip((shown, told), self.absent, strict=True))
        return self.attention.of_slots(shown, told, structure, others=self.other_gates(ids, context.model))

    def directed(self, relation: Tensor, side: Side, context: Context) -> Tensor:
        """The number of a relation seen from the slot that is asked for: r for tails, r + R for heads."""
        return relation + context.model.num_relations if side is Side.HEAD else relation

    def looking(self, filled: Tensor) -> Tensor:
        """The learned slot, in the first place of an entity that has no other."""
        return with_first(filled)

    def guide(self, relation: Tensor, model: Model) -> Guidance:
        """Gates of directed relations, as far as they share in the attention with the entity's other relations."""
        guidance = self.attention.guide(self.relation_vectors(model)[relation])
        share = 1 - torch.sigmoid(self.others)
        return Guidance(guidance.pictures * share, guidance.words * share, guidance.gate)

    def other_gates(self, ids: Tensor, model: Model) -> tuple[Tensor, Tensor]:
        """The mean gates of the relations that each entity has in training, times their learned share."""
        count = self.offsets[ids + 1] - self.offsets[ids]
        owner = torch.repeat_interleave(count)
        place = (
            torch.arange(len(owner), device=ids.device) - (count.cumsum(0) - count)[owner] + self.offsets[ids][owner]
        )
        relation = self.incident[place]
        share = torch.sigmoid(self.others) / count.clamp_min(1)
        pictures, words = (
            gates.new_zeros(len(ids), *gates.shape[1:]).index_add(0, owner, gates[relation])
            for gates in self.attention.gates(self.relation_vectors(model))
        )
        return pictures * share.view(-1, 1, 1), words * share.view(-1, 1, 1)

    def relation_vectors(self, model: Model) -> Float[Tensor, "directed width"]:
        """One vector a relation and direction: r for candidates as tails, then r⁻¹ or r again for heads."""
        rows = model.relations.weight.detach()
        backward = rows[model.num_relations :] if model.inverse else rows
        forward = rows[: model.num_relations]
        return torch.cat([forward + self.direction[0], backward + self.direction[1]])


def incident_relations(train: np.ndarray, entities: int, relations: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct directed relations of every entity: offsets (entities + 1), relations entity by entity."""
    head, relation, tail = train.astype(np.int64).T
    pairs = np.concatenate([tail * 2 * relations + relation, head * 2 * relations + relation + relations])
    pairs = np.unique(pairs)
    counts = np.bincount(pairs // (2 * relations), minlength=entities)
    return offsets_of(counts), pairs % (2 * relations)


def filled(slots: Slots, absent: Tensor) -> Slots:
    """The slots, with `absent` in the first place of an entity that has none."""
    assert slots.mask is not None, "slots of a table have a mask"
    mask = with_first(slots.mask)
    rows = torch.where((mask & ~slots.mask).unsqueeze(2), absent.to(slots.rows.dtype), slots.rows)
    return Slots(rows, mask)


def with_first(mask: Bool[Tensor, "n slots"]) -> Bool[Tensor, "n slots"]:
    """The mask, with the first place of those that have none.

    >>> with_first(torch.tensor([[False, False], [True, False]])).tolist()
    [[True, False], [True, False]]
    """
    first = torch.zeros_like(mask)
    first[:, 0] = ~mask.any(dim=1)
    return mask | first


def most_alike(alike: Tensor, open_: Tensor, fraction: float) -> Bool[Tensor, "batch pool"]:
    """True at the highest of each row, floor(fraction · open candidates) many.

    >>> most_alike(torch.tensor([[0.1, 0.9, 0.5, 0.3]]), torch.ones(1, 4, dtype=torch.bool), 0.5).tolist()
    [[False, True, True, False]]
    """
    count = (fraction * open_.sum(dim=1)).long()
    columns = alike.topk(int(count.max()) if len(count) else 0, dim=1).indices
    guarded = torch.arange(columns.shape[1], device=alike.device) < count.unsqueeze(1)
    return torch.zeros_like(open_).scatter(1, columns, guarded)


def log_or_barred(q: Tensor) -> Tensor:
    """Logarithm of chances; where there is none, below every logarithm, but finite."""
    return q.clamp_min(torch.finfo(q.dtype).tiny).log().masked_fill(q == 0, 2 * BARRED)
