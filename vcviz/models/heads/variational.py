"""Variational classification (VC): a mixture head whose law the latents are trained to follow."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count, check_flag, check_number
from vcviz.models.heads.base import LossTerms, without_autocast
from vcviz.models.heads.closed_form import encoder_terms
from vcviz.models.heads.critics import Critic, LinearCritics, SharedCritic, TanhCritics
from vcviz.models.heads.generative import GenerativeHead
from vcviz.models.laws import GaussianLaw, Law
from vcviz.models.posterior import LatentPosterior


class VariationalHead(GenerativeHead):
    """Bayes' rule over Gaussian classes, with a critic that holds the latents to their law.

    With q(z|y) the law of the latents that the encoder produces, the objective is

        -E log p(y|z) + beta E_y KL(q(z|y) || p(z|y)),     KL = E_q log q(z|y) / p(z|y),

    where a critic T stands for the log ratio. It learns to tell latents (real) from draws of the
    law with the same label (fake):

        critic loss = E softplus(-T(z, y)) + E softplus(T(z', y)),    z' ~ p(z|y),

    which is 2 log 2 = 1.386 when the two laws are equal, and whose best T is the log ratio. In
    training (`critic_terms`) a penalty gamma/2 E |grad T|^2 on the critic's slope over both is
    added. It vanishes where T = 0, so it leaves the solution where it is, but it keeps the game
    from diverging on the way. As grad_theta KL = -E_q grad_theta log p(z|y), the law itself learns
    from the likelihood of the latents. Who learns from what:

        term            weight   encoder            law              critic
        cross_entropy   1        yes                yes              no
        likelihood      lambda   `mle_to_encoder`   yes              no
        critic          beta     yes                no (detached)    no (frozen)
        rate            rho      yes                no (frozen)      no
        critic_loss     -        no (detached)      no (detached)    yes

    The rate is that of a stochastic encoder, KL(q(z|x) || p(z|y)), see `GenerativeHead.rate`;
    rho is `RunConfig.rate_weight` times `rate_scale`.

    **What T is.** Without penalty an estimate of the log ratio in nats, and its mean over latents
    one of the KL divergence. With the penalty a smoothed witness of the difference, in the same
    direction and much smaller while the laws differ: at gamma = 1 about a ninth for latents half
    as wide as their law in the plane, and less in more dimensions. It is 0 where the laws are
    equal. So ``critic`` in a history is no KL, and beta no weight of one; how far latents are
    from their law says `vcviz.latent_fit`. A critic with the right scale was tried and is worse
    to train with, see docs/defaults.md.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    likelihood_weight : lambda >= 0. The paper's algorithm has lambda = beta, as the defaults here;
        its code has 0.01 for both.
    critic_weight : beta >= 0; with 0 the critic only looks on
    mle_to_encoder : let the likelihood term reach the encoder too, as in the authors' code (that
        counts -log p(z|y) twice). With `critic_weight` 0 this is the mixture head without margin.
    critic : "shared", one network on the whitened residual (z - mu_y) / sigma_y and the label; or
        "per_class", the authors' one set of parameters a class on raw z
    critic_layers : for "shared" the hidden layers (LeakyReLU 0.2; default 1); for "per_class" 1 is
        linear (the default) and 2 has one hidden tanh layer
    critic_penalty : gamma >= 0, weight of the slope penalty. The authors have none (0), with which
        the critic wins beyond a few latent dimensions and accuracy collapses
    critic_init : initial weights of a critic "per_class": "uniform", or "normal" as the authors
        have them, N(0, 1) whatever the width
    critic_width : units of each hidden layer, default 64 ("shared") or 512 ("per_class")
    overlap : how much classes overlap under the initial law, see `GenerativeHead`; default 0.05
    rectified : latents are max(z, 0) of what the encoder gives, as the authors' are, whose encoder
        ends in a ReLU. The law is not cut off at 0, so that they cannot follow it
    bayes : what all heads with a stated law take, e.g. ``law="student_t"``, ``learn_scale=True`` or
        ``separation=4`` in place of `overlap`, see
        `vcviz.models.heads.generative.GenerativeHead`. The authors' code leaves pi out:
        ``use_class_prior=False``

    Notes
    -----
    Terms of the loss: ``cross_entropy``, ``likelihood`` (with its constant D/2 log 2 pi) and
    ``critic`` (mean T over the latents).

    Options not given here are settings of the run: `RunConfig` trains this head with a stochastic
    encoder, and its law at ten times the learning rate of the encoder, unless told otherwise.

    References
    ----------
    Dhuliawala, Sachan and Allen, Variational Classification: A Probabilistic Generalization of
    the Softmax Classifier, TMLR 2024, arXiv:2305.10406, algorithm 1.

    The penalty: Mescheder, Geiger and Nowozin, Which Training Methods for GANs do actually
    Converge?, ICML 2018, arXiv:1801.04406, section 4.1 (there on one of the two at a time).
    """

    summary = "Gaussian classes by Bayes' rule, the latents held to their law by a critic (VC)"
    critic: Critic

    def __init__(
        self,
        *,
        latent_dim: int,
        n_classes: int,
        likelihood_weight: float = 0.3,
        critic_weight: float = 0.3,
        mle_to_encoder: bool = False,
        critic: str = "shared",
        critic_layers: int | None = None,
        critic_width: int | None = None,
        critic_penalty: float = 1.0,
        critic_init: str = "uniform",
        overlap: float = 0.05,
        rectified: bool = False,
        **bayes: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_classes=n_classes,
            likelihood_weight=likelihood_weight,
            overlap=overlap,
            **bayes,
        )
        self.critic_weight = check_number("critic_weight", critic_weight, least=0)
        self.critic_penalty = check_number("critic_penalty", critic_penalty, least=0)
        self.mle_to_encoder = check_flag("mle_to_encoder", mle_to_encoder)
        self.rectified = check_flag("rectified", rectified)
        if self.rectified and type(self.law).place is not Law.place:
            law = bayes.get("law", "gaussian")
            raise InputError(f"law {law!r} has a place of its own for latents; leave rectified out")
        self.critic = _build_critic(
            critic, latent_dim, n_classes, critic_layers, critic_width, critic_init
        )

    def place(self, z: Tensor) -> Tensor:
        """Return latents (B, D) on the support of the law, or their positive parts."""
        return z.relu() if self.rectified else super().place(z)

    def rate(self, q: LatentPosterior, z: Tensor, y: Tensor) -> Tensor:
        """Return the rate, see `GenerativeHead`; what is rectified has none."""
        if self.rectified:
            raise InputError("rectified latents have no density, so no rate; use rate_weight=0")
        return super().rate(q, z, y)

    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the terms ``cross_entropy``, ``likelihood`` and ``critic``."""
        z = self.checked(z, y)
        return LossTerms(
            {
                "cross_entropy": F.cross_entropy(self.logits(z), y).to(z.dtype),
                "likelihood": self.likelihood(z if self.mle_to_encoder else z.detach(), y),
                "critic": self.critic.frozen(self._critic_input(z, y), y).mean().to(z.dtype),
            },
            {"likelihood": self.likelihood_weight, "critic": self.critic_weight},
        )

    def training_loss(
        self, q: LatentPosterior, z: Tensor, y: Tensor, weight: float, generator: torch.Generator
    ) -> LossTerms:
        """Return the terms of `loss` and ``rate``, whose gradients come from their total."""
        inverse = self._inverse_scale()
        if inverse is None or q.scale is None:
            return super().training_loss(q, z, y, weight, generator)
        z = self.checked(z, y)
        weights = {"likelihood": self.likelihood_weight, "critic": self.critic_weight}
        weights["rate"] = weight
        mean = cast(Tensor, self.law.mean)
        with without_autocast(z):
            terms, by_z, by_mean = encoder_terms(
                z, y, mean, inverse, self.log_weight, [*self.critic.parameters()], weights
            )
        with torch.no_grad():
            terms["rate"] = terms["likelihood"] - q.entropy()
            by_scale = q.scale.reciprocal() * (-weight / len(q.scale))
        return LossTerms(terms, weights, [(z, by_z), (q.scale, by_scale), (mean, by_mean)])

    def _inverse_scale(self) -> float | None:
        """Return 1 / sigma where law, critic and loss are what `encoder_terms` is written for."""
        written = (
            type(self).loss is VariationalHead.loss
            and type(self.law) is GaussianLaw
            and isinstance(self.critic, SharedCritic)
            and self.critic.layers == 1
            and self.critic_weight > 0
            and not (self.mle_to_encoder or self.rectified)
        )
        return cast(GaussianLaw, self.law).inverse_scale if written else None

    @property
    def rate_scale(self) -> float:
        """Return sqrt(10 / C) for more than ten classes: noise mixes up more of them.

        With 150 classes a weight that suits ten leaves a posterior that is right and unsure, see
        docs/defaults.md.
        """
        return min(1.0, (10 / self.n_classes) ** 0.5)

    def critic_loss(
        self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the scalar loss of the critic in nats, of one draw z' ~ p(z|y) for each latent.

        No gradient reaches `z` or the law.
        """
        return self.critic.terms(*self._real_and_drawn(z, y, generator), penalty=0.0).total

    def critic_terms(
        self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None
    ) -> LossTerms:
        """Return the terms ``loss``, see `critic_loss`, and ``slope``, E |grad T|^2 / 2.

        Gradients reach the critic from their total.
        """
        inputs, y = self._real_and_drawn(z, y, generator)
        return self.critic.terms(inputs, y, self.critic_penalty)

    def _real_and_drawn(
        self, z: Tensor, y: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return the critic's inputs and labels: the latents, then as many draws of the law."""
        z = self.checked(z.detach(), y)
        with torch.no_grad():
            drawn = self.law.sample(y, generator=generator).to(z.dtype)
        y = torch.cat([y, y])
        return self._critic_input(torch.cat([z, drawn]), y), y

    def log_ratio(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B,) the critic's T(z, y): of the sign of log q(z|y) / p(z|y), see the class.

        With `critic_penalty` 0 an estimate of that ratio in nats.
        """
        z = self.checked(z, y)
        return self.critic(self._critic_input(z, y), y).to(z.dtype)

    def _critic_input(self, z: Tensor, y: Tensor) -> Tensor:
        return self.law.whiten(z, y, frozen=True) if self.critic.whitened else z


def _build_critic(
    kind: str, latent_dim: int, n_classes: int, layers: int | None, width: int | None, init: str
) -> Critic:
    check_choice("critic", kind, ("shared", "per_class"))
    check_choice("critic_init", init, ("uniform", "normal"))
    if layers is not None:
        check_count("critic_layers", layers)
    if width is not None:
        check_count("critic_width", width)
    if kind == "shared":
        if init != "uniform":
            raise InputError(f"critic_init={init!r} is for critic='per_class'; leave it out")
        return SharedCritic(latent_dim, n_classes, layers or 1, width or 64)
    if layers in (None, 1):
        if width is not None:
            raise InputError(
                f"a linear critic has no width, got critic_width={width}; leave it out"
            )
        return LinearCritics(latent_dim, n_classes, init)
    if layers == 2:
        return TanhCritics(latent_dim, n_classes, width or 512, init)
    raise InputError(f"critic_layers must be 1 or 2 for critic='per_class', got {layers}")
