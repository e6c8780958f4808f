"""The heteroscedastic softmax: logits with noise whose size depends on the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count, check_number
from vcviz.models.heads.base import Head, LossTerms, without_autocast
from vcviz.models.heads.noisy_softmax import NOISES, noisy_log_softmax

COVARIANCES = ("diagonal", "low_rank", "low_rank_efficient")
# Of torch's own initial weights of mean and scale.
_INITIAL = 0.1


class HeteroscedasticHead(Head):
    """Monte-Carlo softmax of utilities u = mu(z) + noise, the covariance a function of z.

    The label is taken to be the class of largest utility. As an argmax has no gradient, it is
    replaced by a softmax at temperature tau,

        p(y|z) = E_u softmax_y(u / tau),    loss = -log 1/S sum_s softmax_y(u_s / tau),

    which is exact as tau falls to 0 and easier to train when tau is large: bias against the
    variance of the gradient. mu is linear, and the covariance of u is

        "diagonal"            diag(d(z)^2)                      Kendall & Gal with tau = 1
        "low_rank"            V(z) V(z)' + diag(d(z)^2)         D C R weights
        "low_rank_efficient"  the same with V(z) = v(z) * V     D C + C R weights

    with d = softplus(linear) + `smallest_scale`. Without noise this is a softmax layer with
    weights divided by tau. No law p(z|y) is stated or implied: the noise lives in logit space.

    Multiplying mu, d, V and tau by one number changes nothing, so that tau sets the effective
    learning rate and initial scale too: compare a tuned tau with longer training as well. For the
    same reason show the standard deviation of u_k - u_j divided by tau, never d itself.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    covariance : "diagonal", "low_rank" or "low_rank_efficient"
    rank : R, columns of V
    noise : "normal"; or "logistic" or "gumbel", which are diagonal only. Gumbel noise of one
        scale s gives softmax(mu / s) as tau falls to 0
    temperature : tau
    draws : S in training
    predict_draws : S of a prediction
    smallest_scale : added to d
    scale_width : units of a tanh layer between the latents and the noise; 0 for none

    Notes
    -----
    The loss has one term, ``cross_entropy``. Latents may also be maps (B, D, H, W) with labels
    (B, H, W): then every pixel is classified, and the loss is the mean over pixels.

    Initial means are small beside the noise, so that every class wins some draws. Below tau of
    about 0.1 a class that wins none has no gradient, and runs that start with large means of the
    wrong sign stay far off (0.07 nats from the truth instead of 0.01 on ``utilities`` data).

    The authors' efficient form draws V e by a layer with a bias b, so that the mean of u is
    mu + v(z) * b and no longer mu; here there is none.

    References
    ----------
    Kendall & Gal, NeurIPS 2017, arXiv:1703.04977. Collier, Mustafa, Kokiopoulou, Jenatton &
    Berent, 2020, arXiv:2003.06778; Correlated Input-Dependent Label Noise in Large-Scale Image
    Classification, CVPR 2021, arXiv:2105.10305.
    """

    summary = "softmax of noisy logits, the noise a function of the input"
    dense = True

    def __init__(
        self,
        *,
        latent_dim: int,
        n_classes: int,
        covariance: str = "diagonal",
        rank: int = 6,
        noise: str = "normal",
        temperature: float = 1.0,
        draws: int = 100,
        predict_draws: int = 300,
        smallest_scale: float = 1e-3,
        scale_width: int = 0,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        self.covariance = check_choice("covariance", covariance, COVARIANCES)
        self.rank = check_count("rank", rank)
        self.noise = check_choice("noise", noise, NOISES)
        if noise != "normal" and covariance != "diagonal":
            raise InputError(f"{noise} noise has covariance='diagonal' only, got {covariance!r}")
        self.temperature = check_number("temperature", temperature, above=0)
        self.draws = check_count("draws", draws)
        self.predict_draws = check_count("predict_draws", predict_draws)
        self.smallest_scale = check_number("smallest_scale", smallest_scale, least=0)
        width = check_count("scale_width", scale_width, minimum=0)
        # Not called `linear`: a softmax layer of that name implies a law of the latents.
        self.mean = nn.Linear(latent_dim, n_classes)
        self.hidden = nn.Sequential(nn.Linear(latent_dim, width), nn.Tanh()) if width else None
        self.scale = nn.Linear(width or latent_dim, n_classes)
        if covariance == "low_rank":
            self.factor = nn.Linear(width or latent_dim, n_classes * rank)
        elif covariance == "low_rank_efficient":
            self.factor = nn.Linear(width or latent_dim, n_classes)
            self.directions = nn.Linear(rank, n_classes, bias=False)
        with torch.no_grad():
            for layer in (self.mean, self.scale):
                layer.weight.mul_(_INITIAL)
                layer.bias.zero_()

    def logit_law(self, z: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return mean (B, C), factor (B, C, R) or None, and scale (B, C) of the utilities.

        Of maps (B, D, H, W) they are (B, C, H, W), (B, C, H, W, R) and (B, C, H, W).
        """
        z = self.checked(z)
        with without_autocast(z):
            rows = z.movedim(1, -1)
            features = rows if self.hidden is None else self.hidden(rows)
            scale = F.softplus(self.scale(features)) + self.smallest_scale
            factor = None
            if self.covariance == "low_rank":
                factor = self.factor(features).unflatten(-1, (self.n_classes, self.rank))
            elif self.covariance == "low_rank_efficient":
                factor = self.factor(features)[..., None] * self.directions.weight
            if factor is not None:
                factor = factor.movedim(-2, 1)
            return self.mean(rows).movedim(-1, 1), factor, scale.movedim(-1, 1)

    def logits(self, z: Tensor) -> Tensor:
        """Return (B, C) mu / tau."""
        z = self.checked(z)
        with without_autocast(z):
            return self.mean(z.movedim(1, -1)).movedim(-1, 1) / self.temperature

    def log_probs(
        self,
        z: Tensor,
        *,
        generator: torch.Generator | None = None,
        temperature: float | None = None,
        draws: int | None = None,
    ) -> Tensor:
        """Return (B, C) log p(y|z), estimated from draws of the noise.

        Parameters
        ----------
        z : (B, D) latents, or (B, D, H, W)
        generator : of the noise
        temperature, draws : tau and S, in place of the head's own
        """
        draws = self.predict_draws if draws is None else draws
        return self._log_probs(z, None, temperature, draws, generator)

    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the term ``cross_entropy``."""
        self.checked(z, y)
        log_p = self._log_probs(z, y, None, self.draws, generator)
        return LossTerms({"cross_entropy": -log_p.mean()})

    def _log_probs(
        self,
        z: Tensor,
        y: Tensor | None,
        temperature: float | None,
        draws: int,
        generator: torch.Generator | None,
    ) -> Tensor:
        mean, factor, scale = self.logit_law(z)
        return noisy_log_softmax(
            mean,
            scale,
            factor,
            temperature=self.temperature if temperature is None else temperature,
            draws=draws,
            noise=self.noise,
            y=y,
            generator=generator,
        )
