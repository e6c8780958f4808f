"""Projected gradient descent, and its single step."""

from __future__ import annotations

from torch import Tensor

from vcviz.attacks.ball import Ball
from vcviz.attacks.methods.hooks import Attack


class PGD(Attack):
    """Steps of one size along the gradient, kept in the ball.

    References
    ----------
    Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018.
    """

    def step(self, x: Tensor, ball: Ball, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the inputs after a step; `Attack.step` has the arguments."""
        return ball.project(x.add(ball.direction(gradient), alpha=self.step_size))


class FGSM(PGD):
    """One step of size ε along the gradient.

    References
    ----------
    Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015.
    """

    own_step = "takes one step of size epsilon"
    one_step = True

    @staticmethod
    def default_step(epsilon: float, steps: int) -> float:
        """Return the size of the first step."""
        return epsilon
