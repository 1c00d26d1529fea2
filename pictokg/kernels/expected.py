"""What questions expect, and the gradients of their anchors and relations, by closed forms, a row at a time.

The plain form is a scoring function's own `expect` and autograd, with which tests compare whole training runs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.kernels import _blocks, _expected
from pictokg.kernels.formulas import COMPOSITIONS
from pictokg.kernels.independent import array, empty_places, spans
from pictokg.kernels.workers import run

if TYPE_CHECKING:
    from jaxtyping import Float, Int

QUESTIONS_A_TASK, RELATIONS_A_TASK = 256, 4


class Expected:
    """What questions expect of rows of entities (E, d) and relations (R, d), both float32 and on the CPU.

    Args:
        composition: "sum" (a + r, for heads a − r), "product" (a ∘ r), or "complex": a product of complex numbers
            [real; imaginary], for heads with r conjugated.
    """

    def __init__(self, entities: Tensor, relations: Tensor, composition: str) -> None:
        self._entities, self._relations, self._kind = array(entities), array(relations), COMPOSITIONS[composition]

    def ask(
        self, anchor: Int[Tensor, " batch"], relation: Int[Tensor, " batch"], sign: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """What is expected; `sign` is 1 for tails and −1 for heads."""
        self._asked = _expected.Composed(
            self._entities, self._relations, array(anchor), array(relation), array(sign.float())
        )
        self._places = empty_places(len(relation), len(self._relations))
        found: list[int] = []
        expected = torch.empty(len(anchor), self._entities.shape[1])
        slot, none = np.full(len(self._relations), -1, np.int32), np.empty(0, np.int64)
        asked = array(relation.unsqueeze(1))
        work = partial(_expected.expect_block, self._kind, self._asked, expected.numpy())
        blocks = spans(len(anchor), QUESTIONS_A_TASK)
        run([lambda: found.append(_blocks.group(asked, none, slot, self._places)), *(partial(work, b) for b in blocks)])
        self._distinct = found[0]
        return expected

    def gradients(
        self, gradient: Float[Tensor, "batch dim"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "relations dim"]]:
        """The gradients of the anchors, question by question, and of the relations, from those of what was expected."""
        by_anchor, by_relation = torch.empty_like(gradient), torch.zeros(self._relations.shape)
        given = self._kind, self._asked, array(gradient)
        anchors = partial(_expected.anchor_block, *given, by_anchor.numpy())
        relations = partial(_expected.relation_block, *given, by_relation.numpy(), self._places)
        run(
            [
                *(partial(relations, block) for block in spans(self._distinct, RELATIONS_A_TASK)),
                *(partial(anchors, block) for block in spans(len(gradient), QUESTIONS_A_TASK)),
            ]
        )
        return by_anchor, by_relation
