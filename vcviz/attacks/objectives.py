"""What an attack raises, one class a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vcviz.base.errors import InputError

_TINY = 1e-12


@dataclass(frozen=True)
class Objective(ABC):
    """A loss of each sample that grows as an attack gets better.

    Attributes
    ----------
    targeted : whether `goal` is a class to be read as; else the label, to be left
    averaged : whether gradients of several draws are averaged, so that their lengths count
    title : how it is written in menus
    classes, targeted_classes : least number of classes that it is defined for
    """

    targeted: bool = False
    averaged: bool = False
    title: ClassVar[str]
    classes: ClassVar[int] = 2
    targeted_classes: ClassVar[int] = 2

    @abstractmethod
    def __call__(self, log_probs: Tensor, goal: Tensor, label: Tensor) -> Tensor:
        """Return (B,) values of (B, C) log-probabilities; `goal` and `label` are (B,) classes."""

    def reached(self, log_probs: Tensor, goal: Tensor) -> Tensor:
        """Return (B,) whether a row is where it should be: misread, or read as the target."""
        at_goal = log_probs.argmax(1) == goal
        return at_goal if self.targeted else ~at_goal

    def slope(
        self, log_probs: Tensor, x: Tensor, goal: Tensor, label: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (B,) values and their gradient with respect to each row's input."""
        value = self(log_probs, goal, label)
        found = None
        if value.requires_grad:
            found = torch.autograd.grad(value.sum(), x, allow_unused=True)[0]
        if found is None:
            raise InputError(
                "the model's output does not depend on its input in a differentiable way "
                "(a detach, no_grad or rounding inside?), so it has no gradient to attack with"
            )
        if not found.isfinite().all():
            raise InputError("the gradient of the model's loss is NaN or infinite at its input")
        return value.detach(), found


class CrossEntropy(Objective):
    r"""The cross-entropy as log-odds.

    With scores s (log-probabilities are as good as logits, a shift cancels), label y and target t
    it is :math:`\log \sum_{i \ne y} e^{s_i} - s_y`, targeted
    :math:`s_t - \log \sum_{i \ne t} e^{s_i}`. It grows with :math:`-\log p(y|x)` and its gradient
    has the same direction, but does not vanish where p(y|x) rounds to one. Where gradients of
    several draws are averaged it is the cross-entropy itself.
    """

    title = "cross-entropy"

    def __call__(self, log_probs: Tensor, goal: Tensor, label: Tensor) -> Tensor:
        """Return (B,) values."""
        wanted = _at(log_probs, goal)
        others = log_probs.scatter(1, goal[:, None], -torch.inf).logsumexp(1)
        odds = wanted - others if self.targeted else others - wanted
        if not self.averaged:
            return odds
        return -softplus(-odds) if self.targeted else softplus(odds)


class LogitsRatio(Objective):
    r"""The difference of logits ratio (DLR), which a saturated softmax cannot hide.

    With pi the order of the scores from the largest it is
    :math:`-(s_y - \max_{i \ne y} s_i) / (s_{\pi_1} - s_{\pi_3})`, targeted
    :math:`-(s_y - s_t) / (s_{\pi_1} - (s_{\pi_3} + s_{\pi_4}) / 2)`. Scaling the logits changes
    nothing.

    References
    ----------
    Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks, ICML 2020, eq. 6 and 7.
    """

    title = "ratio of logits (DLR)"
    classes, targeted_classes = 3, 4

    def __call__(self, log_probs: Tensor, goal: Tensor, label: Tensor) -> Tensor:
        """Return (B,) values."""
        wanted = _at(log_probs, goal)
        ordered, places = log_probs.sort(dim=1, descending=True)
        if self.targeted:
            width = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
            return (wanted - _at(log_probs, label)) / (width + _TINY)
        other = torch.where(places[:, 0] == goal, ordered[:, 1], ordered[:, 0])
        return (other - wanted) / (ordered[:, 0] - ordered[:, 2] + _TINY)


#: name -> loss; one more is a class and a line here
LOSSES: dict[str, type[Objective]] = {"ce": CrossEntropy, "dlr": LogitsRatio}


def _at(log_probs: Tensor, column: Tensor) -> Tensor:
    """Return (B,) of each row the value in its column."""
    return log_probs.gather(1, column[:, None]).squeeze(1)
