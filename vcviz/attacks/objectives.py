"""What an attack makes larger, row by row."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vcviz.attacks.options import Plan
from vcviz.base.errors import InputError

_TINY = 1e-12


def objective(plan: Plan, log_probs: Tensor, goal: Tensor, label: Tensor) -> Tensor:
    r"""Return (B,) values that grow as an attack gets better.

    With scores s (log-probabilities are as good as logits, a shift cancels), label y, target t,
    and pi the order of the scores from the largest:

    - "ce": the cross-entropy as log-odds, :math:`\log \sum_{i \ne y} e^{s_i} - s_y`, targeted
      :math:`s_t - \log \sum_{i \ne t} e^{s_i}`. It grows with :math:`-\log p(y|x)` and its gradient
      has the same direction, but does not vanish where p(y|x) rounds to one. Where gradients of
      several draws are averaged, and their lengths count, it is the cross-entropy itself;
    - "dlr": :math:`-(s_y - \max_{i \ne y} s_i) / (s_{\pi_1} - s_{\pi_3})`, targeted
      :math:`-(s_y - s_t) / (s_{\pi_1} - (s_{\pi_3} + s_{\pi_4}) / 2)`. Scaling the logits changes
      nothing, so a saturated softmax cannot hide the gradient.

    References
    ----------
    Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks, ICML 2020, eq. 6 and 7.
    """
    wanted = log_probs.gather(1, goal[:, None]).squeeze(1)
    if plan.loss == "ce":
        others = log_probs.scatter(1, goal[:, None], -torch.inf).logsumexp(1)
        odds = wanted - others if plan.targeted else others - wanted
        if plan.draws == 1:
            return odds
        return -softplus(-odds) if plan.targeted else softplus(odds)
    ordered, places = log_probs.sort(dim=1, descending=True)
    if plan.targeted:
        own = log_probs.gather(1, label[:, None]).squeeze(1)
        width = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
        return (wanted - own) / (width + _TINY)
    other = torch.where(places[:, 0] == goal, ordered[:, 1], ordered[:, 0])
    return (other - wanted) / (ordered[:, 0] - ordered[:, 2] + _TINY)


def reached(plan: Plan, log_probs: Tensor, goal: Tensor) -> Tensor:
    """Return (B,) whether a row is where the attack wants it: misread, or read as the target."""
    at_goal = log_probs.argmax(1) == goal
    return at_goal if plan.targeted else ~at_goal


def slope(
    plan: Plan, log_probs: Tensor, x: Tensor, goal: Tensor, label: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (B,) objectives and their gradient with respect to each row's input."""
    value = objective(plan, log_probs, goal, label)
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
