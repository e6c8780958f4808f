"""A classifier is an encoder and a head: an ordinary module, x -> log p(y|x)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_flag
from vcviz.models.heads.base import Head
from vcviz.models.posterior import LatentPosterior


class Classifier(nn.Module):
    """Encoder x -> z followed by a head z -> log p(y|z).

    The output is log-probabilities, which serve as logits wherever a classifier's logits are
    asked for (their softmax is exp of themselves).

    Parameters
    ----------
    encoder : any module from inputs to latents (B, D); of a stochastic classifier to (B, 2 D), the
        means and scales (before a softplus) of a Gaussian q(z|x)
    head : a head for latents of D dimensions, see `vcviz.build_head`
    stochastic : whether the encoder gives a Gaussian rather than a point. The output is then
        log E_q p(y|z), of `predict_draws` draws: the probabilities are averaged, not their logs.
    predict_draws : S, draws of a prediction; of the head alone, the encoder runs once. 32 are
        within 0.01 to 0.015 of the largest probability in the mean, see docs/defaults.md

    Examples
    --------
    >>> import torch
    >>> encoder = vcviz.build_encoder("mlp", kind="table", input_shape=(4,), latent_dim=2)
    >>> head = vcviz.build_head("softmax", latent_dim=2, n_classes=3)
    >>> model = vcviz.models.Classifier(encoder, head)
    >>> x = torch.zeros(5, 4)
    >>> model.encode(x).shape, model(x).shape
    (torch.Size([5, 2]), torch.Size([5, 3]))
    >>> torch.allclose(model(x).exp().sum(dim=1), torch.ones(5))
    True
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: Head,
        *,
        stochastic: bool = False,
        predict_draws: int = 32,
    ) -> None:
        super().__init__()
        if not isinstance(encoder, nn.Module):
            raise InputError(f"encoder must be a torch module, got {type(encoder).__name__}")
        if not isinstance(head, Head):
            raise InputError(f"head must come from vcviz.build_head, got {type(head).__name__}")
        self.encoder = encoder
        self.head = head
        self.stochastic = check_flag("stochastic", stochastic)
        self.predict_draws = check_count("predict_draws", predict_draws)

    def posterior(self, x: Tensor) -> LatentPosterior:
        """Return q(z|x) of a batch of inputs, in float32 at least.

        Parameters
        ----------
        x : a batch of inputs. Images of type uint8 are scaled from 0..255 to [0, 1] here; all
            else is passed on as it is.
        """
        if x.dtype == torch.uint8:
            x = x.to(self._dtype()) / 255
        features = self.encoder(x)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        if self.stochastic:
            return LatentPosterior.from_features(features)
        return LatentPosterior(features)

    def encode(self, x: Tensor) -> Tensor:
        """Return (B, D) latents, the means of `posterior`, on the support of the head's law."""
        return self.head.place(self.posterior(x).mean)

    def forward(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, C) log p(y|x); `generator` serves encoders and heads that draw samples."""
        return self.predict(self.posterior(x), generator=generator)[0]

    def predict(
        self, posterior: LatentPosterior, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (B, C) log p(y|x) and (B,) energies of what `posterior` gave.

        The energy is minus the log of the mean of sum_k exp(logit_k): for a head that states a
        law, -log p(z).
        """
        draws = 1 if posterior.scale is None else self.predict_draws
        z = self.head.place(posterior.draw(draws, generator))
        log_probs, energy = self.head.predict(z, generator=generator)
        if draws == 1:
            return log_probs, energy
        log_probs = log_probs.unflatten(0, (draws, -1)).logsumexp(0) - math.log(draws)
        evidence = (-energy).unflatten(0, (draws, -1)).logsumexp(0) - math.log(draws)
        return log_probs, -evidence

    def _dtype(self) -> torch.dtype:
        floating = (p.dtype for p in self.encoder.parameters() if p.is_floating_point())
        return next(floating, torch.get_default_dtype())
