"""The momentum iterative fast gradient sign method."""

from __future__ import annotations

import torch
from torch import Tensor

from vcviz.attacks.ball import Ball, per_row
from vcviz.attacks.methods.hooks import Attack

#: how much of the last momentum is kept (Dong et al. 2018, section 4)
_DECAY = 1.0


class MIFGSM(Attack):
    r"""Steps of ε/T along the accumulated gradient: its momentum carries it over small bumps.

    With the gradient g of the loss, :math:`m_{t+1} = \mu m_t + g / \lVert g \rVert_1` with
    :math:`\mu = 1`, and the step goes along m as PGD's does along g.

    References
    ----------
    Dong et al., Boosting Adversarial Attacks with Momentum, CVPR 2018, algorithm 1.
    """

    @staticmethod
    def default_step(epsilon: float, steps: int) -> float:
        """Return the size of the first step."""
        return epsilon / steps

    def step(self, x: Tensor, ball: Ball, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the inputs after a step; `Attack.step` has the arguments."""
        size = per_row(gradient.flatten(1).abs().sum(1), gradient)
        momentum = gradient / torch.where(size > 0, size, 1)
        if "momentum" in self.rows:
            momentum = _DECAY * self.rows["momentum"] + momentum
        self.rows["momentum"] = momentum
        return ball.project(x.add(ball.direction(momentum), alpha=self.step_size))
