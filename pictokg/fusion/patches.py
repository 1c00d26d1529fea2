"""Attention over the patches of all of an entity's pictures, conditioned on the relation of the question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

from pictokg.errors import ConfigError
from pictokg.fusion.base import EntityEncoder, EntityTable
from pictokg.fusion.gather import gather
from pictokg.fusion.gating import STRUCTURE, Gating
from pictokg.fusion.patch_rows import Patches

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class PatchAttention(EntityEncoder):
    """e(r) = Σ_m t_rm g_m + t_rI Σ_a c_ra g_a over modalities m (structure too) and aspects a of the pictures

        α_ap = softmax_p(q_a · x_p + b_a,place(p))      how much aspect a of the entity looks at its patch p
        g_a = σ(b + U z_a) ∘ z_a,   z_a = W Σ_p α_ap x_p      what it sees there, let in as `Gating` does
        c_r = softmax(C_r)      which aspects relation r asks for;   t_r = 2σ(T_r): what it trusts (1 where not learned)

    So relation r looks at patch p with a_rp = Σ_a c_ra α_ap, a distribution over the patches of all pictures of an
    entity. Attention by a few aspects that relations mix, instead of by a query for each relation, makes everything
    costly independent of the relation: an entity is (parts, width) however many patches it has, and a relation costs
    one weighted sum, or with dot products nothing (`fusion.linear`).

    Args:
        gating: fuses structure and all modalities; of the attended one it holds `Patches`.
        relations: rows of the relation table, reciprocal ones too.
        attended: the modality whose rows are attended to; aspects: ways to look at them.
        trust: learn what each relation makes of each modality.
    """

    depends_on_relation = True

    def __init__(self, gating: Gating, relations: int, *, attended: str, aspects: int, trust: bool) -> None:
        super().__init__()
        if aspects < 1:
            raise ConfigError(f"aspects must be at least 1; got {aspects}")
        self.gating, self.attended, self.use_structure = gating, attended, gating.use_structure
        patches = self.patches
        self.single = (*([STRUCTURE] if gating.use_structure else []), *(m for m in gating.project if m != attended))
        self.parts = (*self.single, *(f"{attended}_{aspect}" for aspect in range(aspects)))
        self.query = nn.Parameter(torch.randn(patches.width, aspects) / patches.width**0.5)
        self.at_place = nn.Parameter(torch.zeros(len(patches.places), aspects))
        self.choice = nn.Parameter(torch.zeros(relations, aspects))
        self.trust = nn.Parameter(torch.zeros(relations, len(self.single) + 1)) if trust else None

    @property
    def structure(self) -> EntityTable:  # type: ignore[override]  # registered once, in the gating
        """The table of learned rows."""
        return self.gating.structure

    @property
    def patches(self) -> Patches:
        """The rows that are attended to."""
        return self.gating.tables[self.attended]  # type: ignore[return-value]  # given so

    @property
    def kernels(self) -> bool:  # as the gating has it
        """Whether fast paths may be taken."""
        return self.gating.kernels

    @kernels.setter
    def kernels(self, allowed: bool) -> None:
        self.gating.kernels = allowed

    def rows(self, ids: Int[Tensor, " entities"]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The pooled row of every modality; of the attended one all rows, and under "place" where each is."""
        rows, presence = self._pooled(ids)
        rows[self.attended], rows["place"], presence[self.attended] = self.patches(ids)
        return rows, presence

    def _pooled(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(rows, presence) of every modality but the attended one."""
        pooled = {name: table(ids) for name, table in self.gating.tables.items() if name != self.attended}
        return {name: row for name, (row, _) in pooled.items()}, {name: count for name, (_, count) in pooled.items()}

    def encode_static(self, ids: Int[Tensor, " entities"]) -> Tensor:
        """Encode entities as `fuse` does; where it can, without gathering their patches."""
        slots, weight = self.patches.slots, self.query
        plain = {(part.device.type, part.dtype) for part in (weight, slots.values)} != {("cpu", torch.float32)}
        if plain or not self.kernels:
            return super().encode_static(ids)
        from pictokg.kernels.aspects import look, owned

        seen, presence = self._pooled(ids)
        presence[self.attended] = slots.count[ids]
        rows = owned(slots.values, self.patches.place, slots.start[ids], slots.count[ids])
        seen[self.attended] = look(self.query, self.at_place, rows)
        return self._joined(self.structure(ids), seen, presence)

    def fuse(self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """The parts (entities, parts, width) that relations weigh; empty ones are 0."""
        patches = rows[self.attended]
        looks = self.looks(patches, rows["place"], presence[self.attended])
        seen = {name: row for name, row in rows.items() if name not in (self.attended, "place")}
        seen[self.attended] = looks.transpose(1, 2) @ patches
        return self._joined(structure, seen, presence)

    def _joined(self, structure: Tensor | None, seen: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """The parts, from what is seen of each modality; of the attended one (entities, aspects, width)."""
        parts = self.gating.contributions(structure, seen, presence)
        aspects = parts[self.attended]
        nothing = aspects.new_zeros(aspects.shape[0], aspects.shape[2])  # the structure of an entity without an id
        single = [parts.get(name, nothing).unsqueeze(1) for name in self.single]
        return torch.cat([*single, aspects], dim=1)

    def looks(
        self,
        patches: Float[Tensor, "entities slots width"],
        place: Int[Tensor, "entities slots"],
        count: Int[Tensor, " entities"],
    ) -> Float[Tensor, "entities slots aspects"]:
        """How much each aspect looks at each patch; sums to 1 over an entity's patches, 0 in empty slots."""
        # A batch of small products: one of all rows with so few columns is much slower, forward and backward.
        query = self.query.expand(len(patches), -1, -1)
        logits = torch.bmm(patches, query) + F.embedding(place, self.at_place)
        there = (torch.arange(patches.shape[1], device=patches.device) < count.unsqueeze(1)).unsqueeze(2)
        weights = logits.float().masked_fill(~there, torch.finfo(torch.float32).min).softmax(dim=1)
        return (weights * there).to(patches.dtype)

    def weights(self, relation: Int[Tensor, " batch"]) -> Float[Tensor, "batch parts"]:
        """What each part counts under each relation."""
        choice = gather(self.choice, relation).softmax(dim=1)
        if self.trust is None:
            return torch.cat([choice.new_ones(len(choice), len(self.single)), choice], dim=1)
        trust = 2 * torch.sigmoid(gather(self.trust, relation))
        return torch.cat([trust[:, :-1], trust[:, -1:] * choice], dim=1)

    def condition(self, static: Tensor, relation: Int[Tensor, " batch"]) -> Tensor:
        """Weigh the parts, (batch or any number, [candidates,] width), for one relation each or one for all."""
        weights = self.weights(relation).to(static.dtype)
        if len(relation) == 1 and len(static) != 1:
            return torch.einsum("...pw,p->...w", static, weights[0])
        return torch.einsum("b...pw,bp->b...w", static, weights)

    @torch.no_grad()
    def attention(
        self, ids: Int[Tensor, " entities"], relation: Int[Tensor, " entities"]
    ) -> tuple[Int[Tensor, " patches"], Float[Tensor, " patches"]]:
        """Where each of these entities is looked at under its relation: rows of the feature table, and their weights.

        One entity's rows after another's; the weights of an entity sum to 1.
        """
        patches, place, count = self.patches(ids)
        looks = self.looks(patches, place, count)
        weights = torch.einsum("nsa,na->ns", looks, gather(self.choice, relation).softmax(dim=1).to(looks.dtype))
        slot = torch.arange(patches.shape[1], device=ids.device)
        there = slot < count.unsqueeze(1)
        packed = (self.patches.slots.start[ids].unsqueeze(1) + slot)[there]
        return torch.from_numpy(self.patches.position).to(ids.device)[packed], weights[there]
