"""The large-margin Gaussian mixture head (L-GM)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.base.options import check_fraction, check_number
from vcviz.models.heads.base import LossTerms
from vcviz.models.heads.generative import GenerativeHead


class GaussianMixtureHead(GenerativeHead):
    """Bayes' rule over Gaussian classes, with a likelihood term that pulls latents to their mean.

    With d_k = (z - mu_k)^T Sigma_k^-1 (z - mu_k) / 2 and the logits
    a_k = log pi_k + log N(z; mu_k, Sigma_k),

        loss = -log [ e^(a_y - alpha d_y) / (e^(a_y - alpha d_y) + sum_{k != y} e^(a_k)) ]
               + lambda (-log N(z; mu_y, Sigma_y)).

    Encoder, means and scales all receive both terms. The likelihood term has no entropy beside
    it, so the latents of a class shrink towards its mean (and a learned scale with them).

    Parameters
    ----------
    latent_dim, n_classes : D, C
    likelihood_weight : lambda >= 0
    margin : alpha >= 0, in the training loss only; 0 is the plain mixture (GM)
    initial_margin : alpha at the start of training, above 0, from which it doubles until it is
        `margin`; default `margin` from the start
    margin_doubling : share of training in which a growing margin doubles, between 0 and 1
    bayes : what all heads with a stated law take, e.g. ``law="student_t"``, ``covariance="full"``
        or ``separation=4``, see `vcviz.models.heads.generative.GenerativeHead`. The paper's prior
        of the classes is uniform: ``use_class_prior=False``

    Notes
    -----
    Terms of the loss: ``cross_entropy`` (with the margin) and ``likelihood`` (with its constant
    D/2 log 2 pi). The paper scales the margin in the classification term only, as here.

    References
    ----------
    Wan et al., Rethinking Feature Distribution for Loss Functions in Image Classification,
    CVPR 2018, arXiv:1803.02988.
    """

    summary = "Gaussian classes by Bayes' rule, with likelihood and margin (L-GM)"

    def __init__(
        self,
        *,
        latent_dim: int,
        n_classes: int,
        likelihood_weight: float = 0.1,
        margin: float = 0.0,
        initial_margin: float | None = None,
        margin_doubling: float = 1 / 24,
        **bayes: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_classes=n_classes,
            likelihood_weight=likelihood_weight,
            **bayes,
        )
        self.margin = check_number("margin", margin, least=0)
        self.initial_margin = self.margin
        if initial_margin is not None:
            self.initial_margin = check_number("initial_margin", initial_margin, above=0)
            if self.initial_margin > self.margin:
                raise InputError(
                    "a margin grows from initial_margin to margin, "
                    f"got {initial_margin} and {margin}"
                )
        self.margin_doubling = check_fraction("margin_doubling", margin_doubling)
        # Of a head that is not being trained: the margin that training ends with.
        self.margin_now = self.margin

    def begin_step(self, done: float) -> None:
        """Set the margin of the next losses, as it is after a share `done` of training."""
        doublings = math.floor(min(done / self.margin_doubling, 1000.0))
        self.margin_now = min(self.margin, self.initial_margin * 2.0**doublings)

    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the terms ``cross_entropy`` and ``likelihood``."""
        z = self.checked(z, y)
        logits = self.logits(z)
        if self.margin_now:
            distance = self.law.excess(z, y)
            own = F.one_hot(y, self.n_classes)
            logits = logits - self.margin_now * distance[:, None] * own
        return LossTerms(
            {
                "cross_entropy": F.cross_entropy(logits, y).to(z.dtype),
                "likelihood": self.likelihood(z, y),
            },
            {"likelihood": self.likelihood_weight},
        )
