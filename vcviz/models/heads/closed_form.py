"""The variational head as it is by default: its losses and their gradients, written out.

With Gaussians of one fixed scale and a critic of one hidden layer every gradient is a few matrix
products. Automatic differentiation takes more than twice the operations, and with a small encoder
operations are what a step costs. `tests/models/test_closed_form.py` holds both to the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vcviz.models.precision import wide

#: slope of the critic's LeakyReLU below 0
LEAK = 0.2


def leaky(slope: Tensor, seen: Tensor) -> Tensor:
    """Return `slope` where `seen` > 0, and `LEAK` times it elsewhere: LeakyReLU's chain rule.

    One pass; `torch.where` of the two factors takes up to thirty times as long.
    """
    return torch.ops.aten.leaky_relu_backward.default(slope, seen, LEAK, False)


@torch.no_grad()
def encoder_terms(
    z: Tensor,
    y: Tensor,
    mean: Tensor,
    inverse_scale: float,
    log_weight: Tensor,
    critic: Sequence[Tensor],
    weight: Mapping[str, float],
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the terms of latents under N(mu_y, sigma^2 I), and the gradients of their total.

    Parameters
    ----------
    z, y : (N, D) latents and their labels
    mean : (C, D) mu
    inverse_scale : 1 / sigma
    log_weight : (C,) log pi
    critic : weights, see `critic_terms`
    weight : of ``likelihood``, -log p(z|y) as the law learns from it; of ``rate``, the same as the
        encoder does; and of ``critic``, T

    Returns
    -------
    terms : scalars ``cross_entropy``, ``likelihood`` and ``critic``
    by_z, by_mean : (N, D) and (C, D)
    """
    (n, d), precision, label = z.shape, inverse_scale**2, y[None]
    # Scores log pi_k + log p(z|k) in float64, as everywhere, and without |z|^2, which classes
    # share. Classes come first: a softmax along rows of ten takes six times as long.
    points, centres = wide(z), wide(mean)
    squares = centres.square().sum(1, keepdim=True)
    constant = torch.sub(log_weight[:, None], squares, alpha=precision / 2)
    log_probs = torch.addmm(constant, centres, points.T, alpha=precision).log_softmax(0)

    # N dL / dlog p(z|k), as the encoder and as the law see it: p(k|z) - [k = y], and -[k = y] once
    # more with the weight of -log p(z|y). The slope of log p(z|k) is (mu_k - z) / sigma^2 in z, and
    # minus that in mu_k; summed over k, what stands before z in `by_z` is the weight.
    probs = log_probs.exp()
    of_encoder = probs.scatter(0, label, -1 - weight["rate"], reduce="add").T
    of_law = probs.scatter_(0, label, -1 - weight["likelihood"], reduce="add")
    unit = precision / n
    pull = centres * of_law.sum(1, keepdim=True)
    by_mean = torch.addmm(pull, of_law, points, alpha=unit, beta=-unit)
    by_z = torch.addmm(points, of_encoder, centres, alpha=unit, beta=weight["rate"] * unit)

    u = (z - mean.index_select(0, y)) * inverse_scale
    of_u, seen, gate = _hidden(u, y, critic)
    by_z = torch.addmm(by_z.to(z.dtype), gate, of_u, alpha=weight["critic"] * inverse_scale / n)
    log_det = d * (math.log(2 * math.pi) / 2 - math.log(inverse_scale))
    terms = {
        "cross_entropy": -log_probs.gather(0, label).mean().to(z.dtype),
        "likelihood": _product(u, u) / (2 * n) + log_det,
        "critic": _product(gate, seen) / n + critic[-1][0],  # v'h(seen) is gate'seen
    }
    return terms, by_z, by_mean.to(mean.dtype)


@torch.no_grad()
def critic_terms(
    u: Tensor, y: Tensor, critic: Sequence[Tensor], penalty: float
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return what a critic of one hidden layer minimises, and the gradients of the total.

    Parameters
    ----------
    u, y : (2 B, D) residuals and their labels, those of latents before those of draws
    critic : weights (W, D + C), (W,), (1, W) and (1,) of T = v'h(W u + w_y + b) + c, where h is
        LeakyReLU
    penalty : weight gamma of the slope

    Returns
    -------
    terms : scalars ``loss``, E softplus(-T) over the latents + E softplus(T) over the draws, and
        ``slope``, E |grad T|^2 / 2 over both
    gradients : of loss + gamma slope, one for each of `critic`
    """
    first, _, last, offset = critic
    n, half = len(u), len(u) // 2
    of_u, seen, gate = _hidden(u, y, critic)
    hidden = F.leaky_relu(seen, LEAK)
    slope = gate @ of_u  # grad T; of the weights alone, as h is straight on either side of 0
    values = torch.addmv(offset, hidden, last[0])
    values[:half].neg_()  # -T over the latents, T over the draws
    terms = {
        "loss": F.softplus(values).sum() / half,
        "slope": _product(slope, slope) / (2 * n),
    }
    by_value = values.sigmoid() / half
    by_value[:half].neg_()
    by_label = gate.new_zeros(first.shape[1] - u.shape[1], gate.shape[1])
    by_label.index_add_(0, y, gate * by_value[:, None])
    by_u = gate.T @ torch.addcmul(slope * (penalty / n), u, by_value[:, None])
    by_gate = leaky(slope @ of_u.T, seen).sum(0)
    by_last = torch.add(hidden.T @ by_value, by_gate, alpha=penalty / n)[None]
    by_first = torch.cat([by_u, by_label.T], 1)
    return terms, [by_first, by_label.sum(0), by_last, by_value.sum(0, keepdim=True)]


def _hidden(u: Tensor, y: Tensor, critic: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return W, what every hidden unit sees, and the slope of T in that, v h'(seen)."""
    first, bias, last, _ = critic
    of_u, of_label = first[:, : u.shape[1]], first[:, u.shape[1] :].T.contiguous() + bias
    seen = torch.addmm(of_label.index_select(0, y), u, of_u.T)
    return of_u, seen, leaky(last.expand_as(seen), seen)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Return the scalar sum of all products."""
    return torch.dot(a.flatten(), b.flatten())
