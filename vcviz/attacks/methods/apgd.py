"""Auto-PGD: steps with momentum that are halved where they stall."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vcviz.attacks.ball import Ball, per_row
from vcviz.attacks.methods.hooks import Attack

#: weight of the new step against the momentum of the last, and the share of steps between two
#: checkpoints that must improve the objective (Croce and Hein 2020, section 3)
_ALPHA, _RHO = 0.75, 0.75


class APGD(Attack):
    """Auto-PGD: momentum, steps halved where they stall, nothing to tune.

    It begins with steps of 2 epsilon and adds a quarter of the last one as momentum. At checkpoints
    the size is halved for every input whose loss has stalled, which goes back to its best point.

    References
    ----------
    Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks, ICML 2020, algorithm 1.
    """

    own_step = "adapts its own"
    ends_at_worst = True

    def __init__(self, steps: int, step_size: float) -> None:
        super().__init__(steps, step_size)
        self._checkpoints = checkpoints(steps)
        self._k = self._last_checkpoint = 0

    @staticmethod
    def default_step(epsilon: float, steps: int) -> float:
        """Return the size of the first step."""
        return 2 * epsilon

    def step(self, x: Tensor, ball: Ball, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the inputs after a step; `Attack.step` has the arguments."""
        r = self.rows
        first = not r
        if first:
            r["size"] = torch.full_like(value, self.step_size)
            # Nothing can have stalled before the first checkpoint.
            r["halved"] = torch.ones_like(value, dtype=torch.bool)
            r["gains"] = torch.zeros_like(value)
            r["best"] = r["best_then"] = r["last"] = value
            r["best_x"], r["best_gradient"], r["before"] = x, gradient, x
        else:
            r["gains"] = r["gains"] + (value > r["last"])
            r["last"] = value
            better = value > r["best"]
            wide = per_row(better, x)
            r["best"] = torch.where(better, value, r["best"])
            r["best_x"] = torch.where(wide, x, r["best_x"])
            r["best_gradient"] = torch.where(wide, gradient, r["best_gradient"])
            if self._k in self._checkpoints:
                x, gradient = self._check(x, gradient)
        step = per_row(r["size"], x) * ball.direction(gradient)
        there = ball.project(x + step.to(x.dtype))
        if not first:
            push = _ALPHA * (there - x) + (1 - _ALPHA) * (x - r["before"])
            there = ball.project(x + push)
        r["before"] = x
        self._k += 1
        return there

    def _check(self, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Halve the step and go back to the best point where a row has stalled."""
        r = self.rows
        few = r["gains"] < _RHO * (self._k - self._last_checkpoint)
        stalled = ~r["halved"] & (r["best_then"] >= r["best"])
        halve = few | stalled
        r["size"] = torch.where(halve, r["size"] / 2, r["size"])
        r["halved"], r["best_then"] = halve, r["best"]
        r["gains"] = torch.zeros_like(r["gains"])
        self._last_checkpoint = self._k
        wide = per_row(halve, x)
        return torch.where(wide, r["best_x"], x), torch.where(wide, r["best_gradient"], gradient)


def checkpoints(steps: int) -> set[int]:
    """Return the steps at which APGD looks back, ceil(p_j T), of Croce and Hein's section 3.1."""
    found, earlier, p = set(), 0.0, 0.22
    while p <= 1:
        found.add(math.ceil(round(p * steps, 9)))
        earlier, p = p, p + max(p - earlier - 0.03, 0.06)
    return found
