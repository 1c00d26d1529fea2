"""Losses against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from pictokg import catalogue
from pictokg.errors import ConfigError
from pictokg.losses.base import Scored
from pictokg.losses.binary import Binary
from pictokg.losses.logistic import Logistic
from pictokg.losses.margin import Margin
from pictokg.losses.self_adversarial import SelfAdversarial
from pictokg.losses.separate_margin import SeparateMargin
from pictokg.losses.separate_self_adversarial import SeparateSelfAdversarial
from pictokg.losses.softmax import Softmax

POSITIVE = torch.tensor([1.0, -0.5, 2.0])
NEGATIVE = torch.tensor([[0.5, -1.0], [0.0, 0.25], [3.0, -2.0]])
LOSSES = [catalogue.find("loss", name)() for name in catalogue.names("loss")]
PER_QUESTION = [loss for loss in LOSSES if not loss.per_term]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_margin_is_the_mean_hinge():
    expected = [
        sum(max(0.0, 1 - p + n) for n in row) / 2 for p, row in zip(POSITIVE.tolist(), NEGATIVE.tolist(), strict=True)
    ]
    assert Margin(1.0)(Scored(POSITIVE, NEGATIVE)).tolist() == pytest.approx(expected)


def test_separate_margin_of_one_term_is_margin_and_of_two_is_the_sum():
    other_positive, other_negative = POSITIVE + 0.3, NEGATIVE - 0.7
    both = SeparateMargin(1.0)(
        Scored(torch.stack([POSITIVE, other_positive], -1), torch.stack([NEGATIVE, other_negative], -1))
    )
    apart = Margin(1.0)(Scored(POSITIVE, NEGATIVE)) + Margin(1.0)(Scored(other_positive, other_negative))
    torch.testing.assert_close(both, apart)


def test_separate_self_adversarial_has_hard_negatives_of_each_term():
    positive, negative = torch.tensor([[0.5, -0.5]]), torch.tensor([[[3.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])
    weight = torch.tensor([[1.0, 0.0, 1.0]])
    separate = SeparateSelfAdversarial(2.0, 0.7, weights=[1.0, 0.25])(Scored(positive, negative, weight))
    alone = [SelfAdversarial(2.0, 0.7)(Scored(positive[:, term], negative[..., term], weight)) for term in range(2)]
    torch.testing.assert_close(separate, alone[0] + 0.25 * alone[1])
    with pytest.raises(ConfigError, match="has 3 weights, the model 2 terms"):
        SeparateSelfAdversarial(weights=[1.0, 1.0, 1.0])(Scored(positive, negative))


def test_separate_margin_weighs_its_terms_and_wants_one_weight_each():
    positive, negative = torch.tensor([[2.0, 0.0]]), torch.tensor([[[0.0, 0.0]], [[1.5, -3.0]]])
    weighted = SeparateMargin(1.0, weights=[1.0, 0.5])(Scored(positive.expand(2, 2), negative))
    torch.testing.assert_close(weighted, torch.tensor([0.5, 0.5]))  # hinges 0 and 1; 0.5 and 0
    with pytest.raises(ConfigError, match="3 weights, the model 2 terms"):
        SeparateMargin(weights=[1.0, 1.0, 1.0])(Scored(positive, negative[:1]))


def test_logistic_closed_form():
    margin = 0.4
    expected = [
        (-math.log(sigmoid(p + margin)) - sum(math.log(sigmoid(-n - margin)) for n in row) / 2) / 2
        for p, row in zip(POSITIVE.tolist(), NEGATIVE.tolist(), strict=True)
    ]
    assert Logistic(margin)(Scored(POSITIVE, NEGATIVE)).tolist() == pytest.approx(expected, abs=1e-6)


def test_softmax_is_cross_entropy_over_answer_and_negatives():
    logits = torch.cat([POSITIVE.unsqueeze(1), NEGATIVE], dim=1)
    expected = cross_entropy(logits, torch.zeros(3, dtype=torch.long), reduction="none")
    torch.testing.assert_close(Softmax()(Scored(POSITIVE, NEGATIVE)), expected)


def test_softmax_with_the_answer_among_the_candidates_counts_it_once():
    candidates = torch.cat([NEGATIVE, POSITIVE.unsqueeze(1)], dim=1)
    column = torch.full((3,), 2)
    apart = Softmax()(Scored(POSITIVE, NEGATIVE))
    torch.testing.assert_close(Softmax()(Scored(POSITIVE, candidates, answer_column=column)), apart)


def test_softmax_with_labels_targets_all_answers_alike():
    label = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    log_probability = NEGATIVE.log_softmax(dim=1)
    expected = -(log_probability * label).sum(1) / label.sum(1)
    torch.testing.assert_close(Softmax()(Scored(POSITIVE, NEGATIVE, label=label)), expected)


def test_binary_closed_form_with_and_without_labels():
    smoothing = 0.1
    label = torch.tensor([[1.0, 0.0]])
    scores = torch.tensor([[0.7, -0.3]])
    target = [(1 - smoothing) * y + smoothing / 2 for y in (1, 0)]
    expected = -sum(
        y * math.log(sigmoid(s)) + (1 - y) * math.log(1 - sigmoid(s)) for y, s in zip(target, (0.7, -0.3), strict=True)
    )
    labelled = Binary(smoothing)(Scored(torch.tensor([0.7]), scores, label=label))
    assert labelled.item() == pytest.approx(expected / 2, abs=1e-6)
    plain = Binary(0.0)(Scored(torch.tensor([0.7]), torch.tensor([[-0.3]])))
    assert plain.item() == pytest.approx((-math.log(sigmoid(0.7)) - math.log(sigmoid(0.3))) / 2, abs=1e-6)


def test_self_adversarial_weights_are_constants_and_peak_on_the_hardest():
    negative = NEGATIVE.clone().requires_grad_()
    loss = SelfAdversarial(margin=1.0, temperature=2.0)(Scored(POSITIVE, negative))
    weight = (2.0 * NEGATIVE).softmax(dim=1)
    expected = (-torch.sigmoid(POSITIVE + 1).log() - (weight * torch.sigmoid(-NEGATIVE - 1).log()).sum(1)) / 2
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    torch.testing.assert_close(negative.grad, weight * torch.sigmoid(NEGATIVE + 1) / 2)


def test_self_adversarial_at_temperature_zero_is_logistic():
    torch.testing.assert_close(
        SelfAdversarial(3.0, 0.0)(Scored(POSITIVE, NEGATIVE)), Logistic(3.0)(Scored(POSITIVE, NEGATIVE))
    )


@pytest.mark.parametrize("loss", PER_QUESTION, ids=lambda loss: type(loss).__name__)
def test_weight_zero_is_as_if_the_candidate_were_not_there(loss):
    padded = torch.cat([NEGATIVE, torch.full((3, 1), 50.0)], dim=1)
    weight = torch.tensor([1.0, 1.0, 0.0]).expand(3, 3)
    if type(loss) is Binary:
        loss = Binary(smoothing=0.0)  # smoothing spreads over the candidates asked for, padding included
    torch.testing.assert_close(loss(Scored(POSITIVE, padded, weight)), loss(Scored(POSITIVE, NEGATIVE)))


@pytest.mark.parametrize("loss", PER_QUESTION, ids=lambda loss: type(loss).__name__)
def test_no_candidate_left_gives_a_finite_loss_and_gradient(loss):
    positive, negative = POSITIVE.clone().requires_grad_(), NEGATIVE.clone().requires_grad_()
    values = loss(Scored(positive, negative, torch.zeros_like(NEGATIVE)))
    values.sum().backward()
    assert values.isfinite().all()
    assert positive.grad.isfinite().all()
    assert negative.grad.isfinite().all()


@pytest.mark.parametrize("loss", PER_QUESTION, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extreme_scores_stay_finite(loss, scale):
    positive = (POSITIVE * scale).requires_grad_()
    values = loss(Scored(positive, NEGATIVE * scale))
    values.sum().backward()
    assert values.isfinite().all()
    assert positive.grad.isfinite().all()


@pytest.mark.parametrize("loss", PER_QUESTION, ids=lambda loss: type(loss).__name__)
def test_a_better_answer_never_costs_more(loss):
    worse, better = loss(Scored(POSITIVE, NEGATIVE)), loss(Scored(POSITIVE + 0.1, NEGATIVE))
    assert (better <= worse + 1e-6).all()


def test_without_answer_masks_exactly_its_column():
    scored = Scored(POSITIVE, NEGATIVE, answer_column=torch.tensor([0, 1, 0])).without_answer()
    assert scored.weight.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert scored.answer_column is None
