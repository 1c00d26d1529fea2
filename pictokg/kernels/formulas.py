"""What the kernels can compute, by the names that scoring functions, losses and optimisers declare as `kernel`."""

from __future__ import annotations

from typing import NamedTuple

SIMILARITIES = {"dot": 0, "l1": 1, "l2": 2, "modulus": 3}
# Logistic loss is self-adversarial loss at temperature 0, where all negatives weigh alike.
LOSSES = {"self_adversarial": 0, "logistic": 0, "softmax": 1, "margin": 2}
COMPOSITIONS = {"sum": 0, "product": 1, "complex": 2}
RULES = {"sgd": 0, "adagrad": 1, "row_adagrad": 2, "gradient": 3}


class Formula(NamedTuple):
    """What is computed of questions, as numbers that compiled loops understand.

    Attributes:
        similarity: code of `SIMILARITIES`; loss: code of `LOSSES`.
        margin, temperature: constants of the loss; those that it has not are 0.
        scale: what every question's loss is multiplied with before gradients are taken (1 / questions).
    """

    similarity: int
    loss: int
    margin: float = 0.0
    temperature: float = 0.0
    scale: float = 1.0
