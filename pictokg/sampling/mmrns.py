"""MMRNS: negatives chosen by cross-modal attention under the relation, learned with the model (Xu et al., MM 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.fusion.cross_modal import CrossModalAttention, Guidance, Independent, Sizes, Slots
from pictokg.graph.query import Query, Side, ask
from pictokg.sampling._cross_modal import CrossModalSampler, answers_among, refuse_not_positive, wrong_relations
from pictokg.sampling._gumbel import successive_draws
from pictokg.sampling.base import Context, Negatives, Question

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from pictokg.models.base import Model


@dataclass(frozen=True, slots=True)
class Drawn:
    """What `feedback` needs of a draw.

    Attributes:
        alike: cosines of answer and candidate, pictures, words and structure; known: candidates that are known answers;
            columns, allowed: of the negatives in the pool, and which of them count.
    """

    alike: Float[Tensor, "3 batch pool"]
    known: Bool[Tensor, "batch pool"]
    columns: Int[Tensor, "batch k"]
    allowed: Bool[Tensor, "batch k"]


@dataclass(eq=False, repr=False)
class MMRNS(CrossModalSampler):
    """As released: candidates most like the answer under the relation, by pictures, words and structure.

        q(c | answer, r) ∝ Σ_m softmax_c( s_m(c) / τ ), m ∈ {pictures, words, structure}, τ = T₀ / (1 + ln(step + 1))

    s_m is the cosine of candidate and answer after knowledge-guided cross-modal attention (`fusion/cross_modal.py`). Of
    a pool that the step shares, negatives are drawn without replacement by hard Gumbel-softmax, known answers masked;
    backwards the choice is soft, so the model's loss moves the sampler too, and through it entities and relations. Its
    own loss holds known answers in the pool (Pos) against the others (Neg), drawn ones weighted by α = softmax(a f):

        Σ_m −ln( Σ_Pos e^{s_m} / Σ_Neg ω e^{s_m} ) / (3 λ),   ω = α for drawn candidates, 1 for others

    Xu et al., *Relation-enhanced Negative Sampling for Multimodal Knowledge Graph Completion*, ACM MM 2022. Defaults
    are the constants of the released run. Kept as they are: empty slots attend as rows of zeros, norms are constants
    to the gradient, both sides share the relation's vector, the answer's image attention is not normalised. Where the
    pool holds no known answer of any question, the released term is infinite; here it is left out.

    Args:
        negatives: n, how many a question; pool: candidates a step.
        temperature: T₀; loss_rate: λ; weighting: a.
        hidden: width of the attention; gate: hidden width of the structure gate; slope: of LeakyReLU below 0.
        sampler_learning_rate: step size of its own Adam.
        softness: temperature of the Gumbel-softmax backwards; the higher, the more candidates share the gradient.
        subsampling: weigh a question by 1/√(c(h, r) + c(r, t)), c the number of such training triples counted from
            `first_count`, which is the c of a single one.
        alternate: ask each batch from one side, tails and heads in turn; False asks every triple from both.
        two_paths: encode answers as the released code does, image attention not normalised; False encodes all alike.
        picture_table, text_table: names of the feature tables; picture_slots, text_slots: rows an entity at most.
    """

    negatives: int = 20
    pool: int = 1500
    temperature: float = 10.0
    loss_rate: float = 100.0
    weighting: float = 0.5
    hidden: int = 50
    gate: int = 100
    slope: float = 0.1
    sampler_learning_rate: float = 1e-4
    softness: float = 1.0
    subsampling: bool = True
    first_count: int = 4
    alternate: bool = True
    two_paths: bool = True
    picture_table: str = "image"
    text_table: str = "text"
    picture_slots: int = 24
    text_slots: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.learning_rate = self.sampler_learning_rate
        positive = {name: getattr(self, name) for name in ("temperature", "loss_rate", "softness", "first_count")}
        refuse_not_positive(**positive)

    def prepare(self, context: Context) -> None:
        """Read the tables and make the attention."""
        self.read_tables(context, standardise=False)
        pictures, words = ((rows.slots, rows.width) for rows in (self.pictures, self.words))
        with torch.no_grad():  # not context.encode, which would remember this for the first step
            width = context.model.encode(context.pool[:1]).flatten(1).shape[1]
        relation = context.model.relations.weight.shape[1]
        sizes = Sizes(pictures, words, width, relation, self.hidden, self.gate, self.slope)
        self.attention = CrossModalAttention(sizes)

    def questions(self, triples: Tensor, context: Context) -> list[Question]:
        """One side a batch where sides alternate; relation questions, if any, for all."""
        asked = super().questions(triples, context)
        if not self.alternate:
            return asked
        turn = Side.HEAD if context.step % 2 else Side.TAIL
        return [ask(triples, side) for side in dict.fromkeys((turn, *context.sides)) if side in (turn, Side.RELATION)]

    def __call__(self, query: Query, answer: Tensor, context: Context) -> Negatives:
        """Draw ids (B, K) with their vectors; weight 0 where a question has no unknown candidate left."""
        if query.side is Side.RELATION:
            return wrong_relations(query, self.negatives, context)
        assert query.relation is not None, "it is no relation query"
        pool = self.pool_of_step(context)
        alike = self.compare(pool, answer, self.directed(query.relation, query.side, context), context)
        known = answers_among(query, answer, pool.ids, context)
        logits = self.logits(alike, context.step)
        count = min(self.negatives, len(pool.ids))
        columns, allowed, flat = successive_draws(
            logits, known, pool.static.flatten(1), count, context.generator, self.softness
        )
        vectors = flat.unflatten(2, pool.static.shape[1:])
        return Negatives(
            pool.ids[columns],
            weight=allowed.float(),
            question_weight=rarity(query, answer, context, self.first_count) if self.subsampling else None,
            vectors=vectors,
            memory=Drawn(alike, known, columns, allowed),
        )

    def logits(self, alike: Float[Tensor, "3 batch pool"], step: int) -> Float[Tensor, "batch pool"]:
        """How likely each candidate is, but for a constant: ln Σ_m softmax(s_m / τ)."""
        return (self._of_present(alike) / annealed(self.temperature, step)).log_softmax(dim=2).logsumexp(dim=0)

    def feedback(self, negatives: Negatives, scores: Tensor, context: Context) -> Tensor | None:
        """The contrastive loss, in which a drawn candidate weighs as much as the model finds it plausible."""
        drawn = negatives.memory
        if drawn is None:
            return None
        plausible = scores @ context.model.term_weights if scores.dim() == 3 else scores
        loss = self.contrast(drawn, plausible)
        sides = 1 if self.alternate else len([side for side in context.sides if side is not Side.RELATION])
        return loss / (self.loss_rate * sides)

    def contrast(self, drawn: Drawn, scores: Float[Tensor, "batch k"]) -> Tensor:
        """The mean over modalities of −ln( Σ_Pos e^s / Σ_Neg ω e^s ), one number for the batch."""
        if not drawn.known.any() or drawn.known.all():
            return drawn.alike.sum() * 0.0
        weight = (self.weighting * scores).masked_fill(~drawn.allowed, -torch.inf).log_softmax(dim=1)
        weight = torch.where(drawn.allowed, weight, 0.0)  # a row of nothing but padding weighs nothing anew
        omega = torch.zeros_like(drawn.alike[0]).scatter_add(1, drawn.columns, weight)
        alike = self._of_present(drawn.alike)
        positive = alike.masked_fill(~drawn.known, -torch.inf).flatten(1).logsumexp(dim=1)
        negative = (alike + omega).masked_fill(drawn.known, -torch.inf).flatten(1).logsumexp(dim=1)
        return (negative - positive).mean()

    def static(self, ids: Tensor, context: Context) -> Tensor:
        """The model's vectors, with their gradients: the sampler is trained jointly with it."""
        return context.encode(ids)

    def attend(self, ids: Tensor, structure: Tensor, context: Context, *, answers: bool = False) -> Independent:
        """Rows of zeros where an entity has no picture or word, as in the released tables."""
        pictures, words = Slots(self.pictures(ids)[0]), Slots(self.words(ids)[0])
        return self.attention.independent(pictures, words, structure, norm_attention=not (answers and self.two_paths))

    def directed(self, relation: Tensor, side: Side, context: Context) -> Tensor:
        """Both sides share the relation's vector, as released."""
        return relation

    def guide(self, relation: Tensor, model: Model) -> Guidance:
        """Gates of the model's relation vectors."""
        return self.attention.guide(model.relations(relation))

    def looking(self, filled: Tensor) -> Tensor:
        """Every row of zeros, for an entity that has no other."""
        return filled | ~filled.any(dim=1, keepdim=True)

    def unit(self, vectors: Tensor) -> Tensor:
        """Vectors over their norms, which are constants to the gradient, as released."""
        vectors = vectors.float()
        return vectors / vectors.detach().norm(dim=-1, keepdim=True).clamp_min(1e-12)

    def _of_present(self, alike: Tensor) -> Tensor:
        """The modalities that the data have a table of, and structure."""
        present = [place for place, there in enumerate((self.has_pictures, self.has_words, True)) if there]
        return alike if len(present) == 3 else alike[present]


def rarity(query: Query, answer: Tensor, context: Context, first: int = 4) -> Float[Tensor, " batch"]:
    """1/√(c(h, r) + c(r, t)), c the number of such training triples counted from `first` (Sun et al., 2019)."""
    head, relation, tail = query.with_answer(answer).unbind(dim=1)
    tails, heads = Query(head=head, relation=relation), Query(relation=relation, tail=tail)
    return (2.0 * (first - 1) + context.known.count(tails) + context.known.count(heads)).rsqrt()


def annealed(start: float, step: int) -> float:
    """The temperature T₀ / (1 + ln(step + 1)).

    >>> [round(annealed(10.0, step), 2) for step in (0, 1_000, 10_000, 100_000)]
    [10.0, 1.26, 0.98, 0.8]
    """
    return start / (1.0 + math.log(step + 1))
