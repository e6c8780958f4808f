"""What the heads share that classify by Bayes' rule from a stated law of the latents."""

from __future__ import annotations

import torch
from torch import Tensor

from vcviz.heads.base import Head, without_autocast
from vcviz.laws import Law
from vcviz.options import check_flag, check_number
from vcviz.records import LatentPrior


class GenerativeHead(Head):
    """Bayes' rule over a class-conditional law: p(y|z) is proportional to pi_y p(z|y).

    Parameters
    ----------
    law : p(z|y), see `vcviz.laws`
    likelihood_weight : lambda, weight of the term -log p(z|y)
    use_class_prior : take pi from the training labels (`set_class_counts`); otherwise uniform
    """

    def __init__(
        self,
        latent_dim: int,
        n_classes: int,
        law: Law,
        *,
        likelihood_weight: float,
        use_class_prior: bool,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        self.law = law
        self.likelihood_weight = check_number("likelihood_weight", likelihood_weight, least=0)
        self.use_class_prior = check_flag("use_class_prior", use_class_prior)

    @property
    def log_weight(self) -> Tensor:
        """(C,) log pi as the posterior uses it."""
        if self.use_class_prior:
            return self.log_class_prior
        uniform = torch.zeros_like(self.log_class_prior)
        return uniform.log_softmax(0)

    def logits(self, z: Tensor) -> Tensor:
        """Return (B, C) log pi_y + log p(z|y) in nats, float64 where possible."""
        z = self.checked(z)
        with without_autocast(z):
            return self.law.log_prob(z) + self.log_weight

    def likelihood(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the scalar mean of -log p(z|y) in nats, the likelihood term."""
        z = self.checked(z, y)
        with without_autocast(z):
            return -self.law.log_prob(z, y).mean().to(z.dtype)

    def place(self, z: Tensor) -> Tensor:
        """Return latents (B, D) on the support of the law."""
        return self.law.place(z)

    def prior(self) -> LatentPrior:
        """Return p(z|y) and pi as a NumPy record."""
        return self.law.prior(self.log_weight)
