"""KCA: knowledge-guided cross-modal attention between an entity's pictures and its words (MMRNS, ACM MM 2022).

With V' and T' an entity's picture and text slots after a layer each, C = V'T'ᵀ their affinity and r a relation:

    independent of r:  A_v = softmax(Cᵀ) V',       A_t = softmax(C) T'
    guided by r:       R_v = (G_v(r) ∘ C)ᵀ V',     R_t = (G_t(r) ∘ C) T',     G(r) = σ(W r + b)
    out:               z_m = W_m vec(LN(R_m) + LN(A_m)) + b_m,   m ∈ {v, t}
    structure:         z_s = e ∘ σ(W_b φ(W_a [e; r]))

A sampler asks for these of every candidate under every relation of its batch, and nothing in them depends on more than
the two. So all that needs the candidate alone is computed once a candidate, and LN and W_m, both linear but for a
deviation, are drawn in front of the sum over slots: with K̄ the centred keys (V' or T'), γ and β the affine part of LN

    W_m vec(LN(R)) = Σ_q Σ_k (g_qk / σ_q) · W_m,q (γ ∘ K̄_k) + Σ_q W_m,q β,     σ_q² = g_q (K̄ K̄ᵀ) g_qᵀ / width + ε

so that a pair of candidate and relation costs one product with a matrix of the candidate, and never holds a row a slot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

from pictokg.fusion.gather import gather

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

MODALITIES = ("pictures", "words", "structure")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What goes in and how wide the inside is.

    Attributes:
        pictures, words: (slots, width) of the two tables.
        entity, relation: width of an entity's structure vector and of a relation's vector.
        hidden: width inside the attention; gate: hidden width of the structure gate; slope: of LeakyReLU below 0.
    """

    pictures: tuple[int, int]
    words: tuple[int, int]
    entity: int
    relation: int
    hidden: int = 50
    gate: int = 100
    slope: float = 0.1


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one modality for some entities, and which of them are filled (None: all count, empty ones too)."""

    rows: Float[Tensor, "entities slots width"]
    mask: Bool[Tensor, "entities slots"] | None = None


@dataclass(frozen=True, slots=True)
class Half:
    """One direction of the attention as far as no relation is needed; queries attend to keys.

    Attributes:
        affinity: of queries and keys, 0 where either is masked, (n, queries, keys).
        offset: what other relations of the entity add to the gated affinity, (n, queries, keys); None: nothing.
        gram: K̄ K̄ᵀ / width, (n, keys, keys).
        values: W_q (γ ∘ K̄_k), (n, queries · keys, hidden).
        constant: all of z that no relation changes, (n, hidden).
        weights: the attention softmax(affinity) itself, (n, queries, keys).
    """

    affinity: Tensor
    offset: Tensor | None
    gram: Tensor
    values: Tensor
    constant: Tensor
    weights: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Half:
        """Select entities."""
        offset = None if self.offset is None else self.offset[rows]
        gram, values, constant = self.gram[rows], self.values[rows], self.constant[rows]
        return Half(self.affinity[rows], offset, gram, values, constant, self.weights[rows])

    def guided(self, gates: Float[Tensor, "entities relations queries keys"]) -> Tensor:
        """The weights G(r) ∘ C of keys under relations, not normalised; the gates may be (1, relations, …)."""
        gated = self.affinity.unsqueeze(1) * gates
        return gated if self.offset is None else gated + self.offset.unsqueeze(1)


@dataclass(frozen=True, slots=True)
class Independent:
    """Entities as far as no relation is needed."""

    pictures: Half
    words: Half
    structure: Float[Tensor, "entities width"]
    gate: Float[Tensor, "entities gate"]

    def __len__(self) -> int:
        return len(self.structure)

    def __getitem__(self, rows: Tensor | slice) -> Independent:
        """Select entities."""
        return Independent(self.pictures[rows], self.words[rows], self.structure[rows], self.gate[rows])


@dataclass(frozen=True, slots=True)
class Guidance:
    """Relations as the attention sees them: (1, relations, …) for all entities, or (entities, 1, …), one each.

    Attributes:
        pictures, words: the gates G_v and G_t, (·, ·, picture slots, text slots).
        gate: W_a's share of the relation, (·, ·, gate).
    """

    pictures: Tensor
    words: Tensor
    gate: Tensor

    @property
    def of_pictures(self) -> Tensor:
        """G_v as words look at pictures, (·, ·, text slots, picture slots)."""
        return self.pictures.transpose(2, 3)

    def one_each(self) -> Guidance:
        """The same relations, but the first for the first entity, the second for the second …"""
        return Guidance(*(part.transpose(0, 1) for part in (self.pictures, self.words, self.gate)))

    def __getitem__(self, rows: Tensor) -> Guidance:
        """Select relations, of those for all entities."""
        return Guidance(*(gather(part[0], rows).unsqueeze(0) for part in (self.pictures, self.words, self.gate)))


class CrossModalAttention(nn.Module):
    """Knowledge-guided cross-modal attention over any number of slots of any width.

    Xu et al., *Relation-enhanced Negative Sampling for Multimodal Knowledge Graph Completion*, ACM MM 2022.
    `independent(pictures, words, structure)` once an entity, `guide(relation)` once a relation, then
    `forward(independent, guidance)` for every pair of the two.

    >>> attention = CrossModalAttention(Sizes(pictures=(3, 6), words=(2, 5), entity=8, relation=4))
    >>> entities = attention.independent(Slots(torch.randn(7, 3, 6)), Slots(torch.randn(7, 2, 5)), torch.randn(7, 8))
    >>> pictures, words, structure = attention(entities, attention.guide(torch.randn(2, 4)))
    >>> pictures.shape, words.shape, structure.shape
    (torch.Size([7, 2, 50]), torch.Size([7, 2, 50]), torch.Size([7, 2, 8]))
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        (picture_slots, picture_width), (text_slots, text_width) = sizes.pictures, sizes.words
        hidden, cells = sizes.hidden, picture_slots * text_slots
        self.picture_layer = nn.Linear(picture_width, hidden)
        self.text_layer = nn.Linear(text_width, hidden)
        self.picture_gate = nn.Linear(sizes.relation, cells)
        self.text_gate = nn.Linear(sizes.relation, cells)
        self.norm = nn.LayerNorm(hidden)
        self.picture_out = nn.Linear(text_slots * hidden, hidden)
        self.text_out = nn.Linear(picture_slots * hidden, hidden)
        self.structure_in = nn.Linear(sizes.entity + sizes.relation, sizes.gate)
        self.structure_out = nn.Linear(sizes.gate, sizes.entity)
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)

    def project(self, pictures: Slots, words: Slots) -> tuple[Slots, Slots]:
        """The slots after their layers, (n, slots, hidden): V' and T'."""
        slope = self.sizes.slope
        shown = F.leaky_relu(self.picture_layer(pictures.rows), slope)
        told = F.leaky_relu(self.text_layer(words.rows), slope)
        return Slots(shown, pictures.mask), Slots(told, words.mask)

    def independent(
        self,
        pictures: Slots,
        words: Slots,
        structure: Float[Tensor, "entities width"],
        *,
        others: tuple[Tensor, Tensor] | None = None,
        norm_attention: bool = True,
    ) -> Independent:
        """Compute all that needs the entity alone, from its raw slots and its structure vector.

        `others` are gates (n, picture slots, text slots) that other relations of each entity add to the guided half.
        The released code takes the positive's A_v as it is, `norm_attention=False`.
        """
        return self.of_slots(*self.project(pictures, words), structure, others=others, norm_attention=norm_attention)

    def of_slots(
        self,
        pictures: Slots,
        words: Slots,
        structure: Tensor,
        *,
        others: tuple[Tensor, Tensor] | None = None,
        norm_attention: bool = True,
    ) -> Independent:
        """As `independent`, from slots that have gone through their layers."""
        affinity = pictures.rows @ words.rows.transpose(1, 2)
        shown = self._half(affinity.transpose(1, 2), words, pictures, self.picture_out, norm_attention=norm_attention)
        told = self._half(affinity, pictures, words, self.text_out)
        if others is not None:
            shown = replace(shown, offset=shown.affinity * others[0].transpose(1, 2))
            told = replace(told, offset=told.affinity * others[1])
        gate = F.linear(structure, self.structure_in.weight[:, : self.sizes.entity], self.structure_in.bias)
        return Independent(shown, told, structure, gate)

    def gates(self, relation: Float[Tensor, "relations width"]) -> tuple[Tensor, Tensor]:
        """G_v and G_t of these relations, (relations, picture slots, text slots)."""
        shape = (self.sizes.pictures[0], self.sizes.words[0])
        gates = self.picture_gate(relation), self.text_gate(relation)
        return torch.sigmoid(gates[0]).unflatten(1, shape), torch.sigmoid(gates[1]).unflatten(1, shape)

    def guide(self, relation: Float[Tensor, "relations width"]) -> Guidance:
        """Compute all that needs the relation alone."""
        pictures, words = self.gates(relation)
        gate = F.linear(relation, self.structure_in.weight[:, self.sizes.entity :])
        return Guidance(pictures.unsqueeze(0), words.unsqueeze(0), gate.unsqueeze(0))

    def forward(self, entities: Independent, relations: Guidance) -> tuple[Tensor, Tensor, Tensor]:
        """z_v, z_t (entities, relations, hidden) and z_s (entities, relations, width)."""
        pictures = self._guided(entities.pictures, relations.of_pictures)
        words = self._guided(entities.words, relations.words)
        hidden = F.leaky_relu(entities.gate.unsqueeze(1) + relations.gate, self.sizes.slope)
        return pictures, words, entities.structure.unsqueeze(1) * torch.sigmoid(self.structure_out(hidden))

    def _half(
        self, affinity: Tensor, queries: Slots, keys: Slots, out: nn.Linear, *, norm_attention: bool = True
    ) -> Half:
        """One direction: `queries` attend to `keys` with this affinity (n, queries, keys)."""
        logits = affinity
        if keys.mask is not None:
            logits = logits.masked_fill(~keys.mask.unsqueeze(1), torch.finfo(logits.dtype).min)
            affinity = affinity * keys.mask.unsqueeze(1)
        if queries.mask is not None:
            affinity = affinity * queries.mask.unsqueeze(2)
        weights = logits.float().softmax(dim=2)
        attended = weights.to(keys.rows.dtype) @ keys.rows
        both = (self.norm(attended) if norm_attention else attended) + self.norm.bias
        count, hidden = affinity.shape[1], self.sizes.hidden
        if queries.mask is not None:
            both = both * queries.mask.unsqueeze(2)
        centred = keys.rows - keys.rows.mean(dim=2, keepdim=True)
        into = out.weight.unflatten(1, (count, hidden)).permute(2, 1, 0).flatten(1)  # hidden × (queries · hidden)
        values = ((centred * self.norm.weight) @ into).unflatten(2, (count, hidden)).transpose(1, 2).flatten(1, 2)
        with torch.autocast(centred.device.type, enabled=False):  # a variance is a small difference of large numbers
            gram = centred.float() @ centred.float().transpose(1, 2) / hidden
        return Half(affinity, None, gram, values, out(both.flatten(1)), weights)

    def _guided(self, half: Half, gates: Tensor) -> Tensor:
        """One direction's z, (n, relations, hidden), from gates (1 or n, relations, queries, keys)."""
        gated = half.guided(gates)
        rows = gated.flatten(1, 2)
        with torch.autocast(rows.device.type, enabled=False):
            spread = (torch.bmm(rows.float(), half.gram) * rows).sum(dim=2, keepdim=True)
            scaled = rows * torch.rsqrt(spread.clamp_min(0) + self.norm.eps)
        scaled = scaled.unflatten(1, gated.shape[1:3]).flatten(2)
        return torch.baddbmm(half.constant.unsqueeze(1), scaled.to(half.values.dtype), half.values)
