"""What the heads share that classify by Bayes' rule from a stated law of the latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_flag, check_fraction, check_number
from vcviz.models.heads.base import Head, without_autocast
from vcviz.models.laws import build_law
from vcviz.models.posterior import LatentPosterior
from vcviz.records import LatentPrior


class GenerativeHead(Head):
    """Bayes' rule over a class-conditional law: p(y|z) is proportional to pi_y p(z|y).

    Parameters
    ----------
    latent_dim, n_classes : D, C
    likelihood_weight : lambda >= 0, weight of the term -log p(z|y)
    law : family of p(z|y): "gaussian", "student_t", "laplace" or "von_mises_fisher" (latents on the
        unit sphere), see `vcviz.models.laws`; or a `torch.distributions` object of your own with
        batch_shape (C,) and event_shape (D,)
    law_options : what one family alone has, e.g. ``{"df": 3}`` or ``{"concentration": 50}``
    use_class_prior : take pi from the training labels (`set_class_counts`); otherwise uniform
    covariance : "isotropic", "diagonal" or (Gaussian and Student-t) "full"
    shared_scale : one scale for all classes rather than one a class
    learn_mean, learn_scale : whether the law is trained or fixed
    separation : smallest distance between initial means, in units of `initial_scale`; default by
        `overlap`, and without one 6 for a Gaussian and where neighbours overlap as much for others
    overlap : how much classes overlap under the initial law: an upper bound of the error of Bayes'
        rule there, which sets the separation by C and D (at 0.05, 3.9 for ten classes in the plane,
        5.1 in nine dimensions or more, 6.5 for 150 in 32); for other families where neighbours
        overlap as much. The less, the surer a fresh posterior, and the worse when it errs
    initial_scale : initial scale, for a Gaussian the standard deviation; default 1, and for other
        families that at which neighbouring means lie as far apart as those of Gaussians
    """

    def __init__(
        self,
        *,
        latent_dim: int,
        n_classes: int,
        likelihood_weight: float,
        law: str | Mapping[str, Any] | Distribution = "gaussian",
        law_options: Mapping[str, Any] | None = None,
        use_class_prior: bool = True,
        covariance: str = "isotropic",
        shared_scale: bool = False,
        learn_mean: bool = True,
        learn_scale: bool = False,
        separation: float | None = None,
        overlap: float | None = None,
        initial_scale: float | None = None,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        own = {} if law_options is None else law_options
        if not isinstance(own, Mapping) or not all(isinstance(name, str) for name in own):
            raise InputError(f"law_options must be a mapping of names to values, got {clip(own)}")
        if overlap is not None:
            check_fraction("overlap", overlap)
        form: dict[str, Any] = {
            "latent_dim": latent_dim,
            "n_classes": n_classes,
            "covariance": covariance,
            "shared_scale": shared_scale,
            "learn_mean": learn_mean,
            "learn_scale": learn_scale,
            "separation": separation,
            # A distribution of one's own has means of its own.
            "overlap": overlap if isinstance(law, str) else None,
            "initial_scale": initial_scale,
        }
        if twice := sorted(own.keys() & {"law", *form}):
            raise InputError(f"{twice[0]} belongs beside law_options, not within; take it out")
        self.law = build_law(law, **form, **own)
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

    def rate(self, q: LatentPosterior, z: Tensor, y: Tensor) -> Tensor:
        """Return the scalar mean of KL(q(z|x) || p(z|y)) in nats, with the law held fixed.

        In the mean over the inputs of a class it is KL(q(z|y) || p(z|y)) + I(X; Z | Y = y): how far
        the latents of the class are from its law, and what they tell of the input beside the
        label (the residual information of the conditional entropy bottleneck, Fischer, Entropy
        2020, arXiv:2002.05379). Unlike the rate against N(0, I) it does not pull the means of the
        classes together.
        """
        return -self.law.frozen_log_prob(z, y).mean() - q.entropy()

    def place(self, z: Tensor) -> Tensor:
        """Return latents (B, D) on the support of the law."""
        return self.law.place(z)

    def prior(self) -> LatentPrior:
        """Return p(z|y) and pi as a NumPy record."""
        return self.law.prior(self.log_weight)
