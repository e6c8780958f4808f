"""The plain softmax layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.models.heads.base import Head, LossTerms, without_autocast


class SoftmaxHead(Head):
    """Linear layer and softmax: log p(y|z) = log softmax_y(W z + b).

    It states no law of the latents, yet its output is Bayes' rule for many: for every positive
    definite Sigma and every m, Gaussians with means Sigma w_y + m, covariance Sigma and class
    prior log pi_y = b_y + mu_y^T Sigma^-1 mu_y / 2 + const have this posterior. Nothing in the
    loss asks whether the latents follow any of them; `vcviz.implied_prior` gives one.

    Parameters
    ----------
    latent_dim, n_classes : D, C

    Notes
    -----
    The loss has one term, ``cross_entropy`` = -log p(y|z). Latents may also be maps (B, D, H, W)
    with labels (B, H, W).
    """

    summary = "linear layer and softmax: no stated law of the latents"
    dense = True
    whole_loss = True

    def __init__(self, *, latent_dim: int, n_classes: int) -> None:
        super().__init__(latent_dim, n_classes)
        self.linear = nn.Linear(latent_dim, n_classes)

    def logits(self, z: Tensor) -> Tensor:
        """Return (B, C) W z + b."""
        z = self.checked(z)
        with without_autocast(z):
            if z.ndim == 2:
                return self.linear(z)
            return self.linear(z.movedim(1, -1)).movedim(-1, 1)

    def linear_layer(self) -> nn.Linear:
        """Return the linear layer."""
        return self.linear

    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the term ``cross_entropy``."""
        z = self.checked(z, y)
        return LossTerms({"cross_entropy": F.cross_entropy(self.logits(z), y)})
