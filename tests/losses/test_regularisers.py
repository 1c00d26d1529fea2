"""Regularisers against their closed forms."""

from __future__ import annotations

import torch

from pictokg.regularisers.lp import Lp
from pictokg.regularisers.n3 import N3


def test_n3_is_the_mean_of_cubes_over_the_batch_summed_over_factors():
    factors = [torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0], [1.0, 1.0]])]
    expected = 0.1 * ((1 + 8 + 0 + 1) / 2 + (8 + 0 + 1 + 1) / 2)
    torch.testing.assert_close(N3(0.1)(factors), torch.tensor(expected))


def test_lp_of_power_three_is_n3():
    factors = [torch.rand(4, 3), torch.rand(4, 2)]
    torch.testing.assert_close(Lp(0.2, 3)(factors), N3(0.2)(factors))
