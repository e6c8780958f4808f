"""Independent Bernoulli masks over the classes, by their logits: draws, divergence, entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: uniform noise stays this far from 0 and 1, as in the authors' code
_EDGE = 1e-6


def relaxed_log_mask(
    logit: Tensor, y: Tensor, n: int, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    """Return (n, B, C) log z of draws from the concrete relaxation, the target's z being 1.

    z = sigmoid((logit + log u / (1 - u)) / temperature) with uniform u (Maddison et al., ICLR 2017,
    arXiv:1611.00712). The log is taken of the sigmoid as a whole, so that no small z becomes 0.

    Parameters
    ----------
    logit : (B, C) logits of the retain probabilities
    y : (B,) labels
    n : draws
    temperature : above 0; at 0 masks would be 0 or 1
    generator : source of u, which is drawn on its device
    """
    u = uniform((n, *logit.shape), logit, generator)
    log_mask = F.logsigmoid((logit + u.logit(eps=_EDGE)) / temperature)
    return log_mask.masked_fill(targets(y, logit), 0.0)


def hard_mask(retain: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Return (n, B, C) draws, True where a class is retained, of (B, C) retain probabilities."""
    return uniform((n, *retain.shape), retain, generator) < retain


def mask_divergence(prior: Tensor, posterior: Tensor, y: Tensor) -> Tensor:
    """Return (B,) KL(q || p) in nats of masks q that keep the target from masks p that may not.

    log(1 / rho_y) + sum over k != y of KL(Ber(g_k) || Ber(rho_k)), rho and g the sigmoids of the
    (B, C) logits `prior` and `posterior`. 1 - rho is never formed: it would round to 0.
    """
    g = posterior.sigmoid()
    retained = g * (F.logsigmoid(posterior) - F.logsigmoid(prior))
    dropped = (-posterior).sigmoid() * (F.logsigmoid(-posterior) - F.logsigmoid(-prior))
    return torch.where(targets(y, prior), -F.logsigmoid(prior), retained + dropped).sum(1)


def mask_entropy(logit: Tensor) -> Tensor:
    """Return (B,) the entropy in nats of masks with (B, C) logits, summed over the classes."""
    retained = logit.sigmoid() * F.logsigmoid(logit)
    dropped = (-logit).sigmoid() * F.logsigmoid(-logit)
    return -(retained + dropped).sum(1)


def targets(y: Tensor, like: Tensor) -> Tensor:
    """Return (B, C), True at each row's label; C and the device are those of `like`."""
    return F.one_hot(y, like.shape[1]).bool()


def uniform(
    shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Return uniform noise in the dtype and on the device of `like`, drawn on the generator's."""
    device = like.device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=device, dtype=like.dtype).to(like.device)
