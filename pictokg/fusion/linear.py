"""Encodings whose last step is a weighted sum, and what that allows with dot products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


@runtime_checkable
class WeightedParts(Protocol):
    """An encoder with condition(static, r) = Σ_p w_rp static_p, static (…, parts, width).

    A dot product with it is one with the parts themselves, ⟨x, Σ_p w_rp s_p⟩ = ⟨⊕_p w_rp x, ⊕_p s_p⟩. So candidates
    that look different to each relation are scored for all relations in one matrix product: the questions bear what
    depends on the relation.

    Attributes:
        parts: names of the parts, in their order.
    """

    parts: tuple[str, ...]

    def weights(self, relation: Int[Tensor, " batch"]) -> Float[Tensor, "batch parts"]:
        """What each part counts under each relation."""


def fold(
    encoder: WeightedParts, expected: Float[Tensor, "batch width"], relation: Int[Tensor, " batch"]
) -> Float[Tensor, "batch wide"]:
    """What to take dot products with flattened static encodings (parts · width) with."""
    weights = encoder.weights(relation).to(expected.dtype)
    return (weights.unsqueeze(2) * expected.unsqueeze(1)).flatten(1)
