"""DropMax: a softmax over a random subset of the classes, drawn anew for each input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count, check_number
from vcviz.models.heads.base import Head, LossTerms, without_autocast
from vcviz.models.heads.masks import (
    hard_mask,
    mask_divergence,
    mask_entropy,
    relaxed_log_mask,
    targets,
)

VARIANTS = ("variational", "prior", "random", "deterministic")


class DropMaxHead(Head):
    """Softmax over the classes that a mask retains, with retain probabilities learned per input.

    With scores o = W_o z + b_o and retain probabilities rho = sigmoid(theta), theta = W_t z + b_t,

        m_k ~ Ber(rho_k),    p(y|z, m) = m_y exp(o_y) / sum_k m_k exp(o_k),

    so each mask is a classifier of its own among the classes it retains, and the head is their
    ensemble. The masks of training come from a posterior that knows the label: the target is always
    retained, the others with g = sigmoid(stop(theta) + r), r = W_r z + b_r. Minimised is

        -E_q log p(y|z, m) + KL(q || p) - H(rho) + sum_k BCE(sigmoid(r_k), 1[k = y]),
        KL(q || p) = log 1/rho_y + sum over k != y of KL(Ber(g_k) || Ber(rho_k)),

    with H the entropy of the masks, summed over the classes and maximised, as in the authors' code
    (their poster prints H without its minus). Masks are relaxed:
    m = sigmoid((theta + r + log u/(1 - u)) / temperature). Who learns from what (all terms reach
    the encoder through what they train):

        term             weight              scores o   theta   r
        cross_entropy    1                   yes        no      yes
        divergence       kl_weight           no         yes     yes
        entropy          -entropy_weight     no         yes     no
        auxiliary        auxiliary_weight    no         no      yes

    There is no law p(z|y): the prior is over masks. The prediction is a softmax of
    o_k + log rho_k, which is not linear in z, so not Bayes' rule over Gaussians of one covariance.

    Parameters
    ----------
    latent_dim, n_classes : D, C
    variant : "variational", as above; "prior", q = p but for the target: there is no r, the
        divergence is log 1/rho_y, and the cross-entropy trains theta through the masks; "random",
        classes other than the target are dropped at a fixed rate, with the cross-entropy alone;
        "deterministic", attention: m = rho, not drawn, the target's too, the cross-entropy alone
    temperature : of the relaxation; lower is closer to masks of 0 and 1, with noisier gradients
    draws : S, masks per input and training step
    predict : "expected", the mask replaced by rho, in one pass; or "monte_carlo", the mean of the
        probabilities under masks of 0 and 1 drawn from rho (not for "deterministic")
    predict_draws : masks of a Monte-Carlo prediction
    retain : retain probability of "random", in (0, 1]; 1 makes it the softmax head
    kl_weight, entropy_weight, auxiliary_weight : of the terms above

    Notes
    -----
    Of divergence and entropy alone, rho tends to 0.782 for the target (the solution of
    log rho/(1 - rho) = 1/rho) and 0.218 for the others, so the masks contribute at most a factor
    3.59 to the odds. Confidence has to come from o, and o is trained among fewer classes than it
    predicts: the auxiliary term teaches g to drop what is not the target, while the prediction
    brings all classes back with rho near 0.23. Measured with the defaults, digits at D = 16 and
    CLINC150 at D = 32: masks of training retain 0.1 of 9 and 2 of 149 wrong classes, mean
    confidence 0.91 at accuracy 0.97, and 0.24 at 0.82. The more classes, the less sure. The order
    of the classes is not affected, so one temperature mends it: an ECE of 0.066 becomes 0.015, one
    of 0.58 becomes 0.021 (`vcviz.recalibrate`). A smaller `entropy_weight` does not: rho of the
    others then tends to 0, o is hardly trained, and accuracy falls (0.97 to 0.88, 0.82 to 0.34 at
    0.1). Variant "prior" trains with the masks that it predicts with, and has no such gap: an ECE
    of 0.027 and 0.076, an accuracy of 0.953 and 0.903.

    A Monte-Carlo mask that retains no class counts as one that retains all, the limit of the
    authors' m + 1e-20. Gradients of a Monte-Carlo prediction pass through o only.

    References
    ----------
    Lee, Lee, Kim, Yang and Hwang, DropMax: Adaptive Variational Softmax, NeurIPS 2018,
    arXiv:1712.07834.
    """

    summary = "softmax over a random subset of the classes, its law learned per input (DropMax)"

    def __init__(
        self,
        *,
        latent_dim: int,
        n_classes: int,
        variant: str = "variational",
        temperature: float = 0.1,
        draws: int = 1,
        predict: str = "expected",
        predict_draws: int = 100,
        retain: float = 0.5,
        kl_weight: float = 1.0,
        entropy_weight: float = 1.0,
        auxiliary_weight: float = 1.0,
    ) -> None:
        super().__init__(latent_dim, n_classes)
        self.variant = check_choice("variant", variant, VARIANTS)
        self.temperature = check_number("temperature", temperature, above=0)
        self.draws = check_count("draws", draws)
        self.prediction = check_choice("predict", predict, ("expected", "monte_carlo"))
        self.predict_draws = check_count("predict_draws", predict_draws)
        self.retain = check_number("retain", retain, above=0)
        if self.retain > 1:
            raise InputError(f"retain must be a probability in (0, 1], got {retain}")
        if (variant, predict) == ("deterministic", "monte_carlo"):
            raise InputError("variant 'deterministic' draws no masks; use predict='expected'")
        self.weights = {
            "divergence": check_number("kl_weight", kl_weight, least=0),
            "entropy": -check_number("entropy_weight", entropy_weight, least=0),
            "auxiliary": check_number("auxiliary_weight", auxiliary_weight, least=0),
        }
        # None of them is called `linear`: that name is read as a layer that implies a law p(z|y).
        self.scores = nn.Linear(latent_dim, n_classes)
        if variant != "random":
            self.gate = nn.Linear(latent_dim, n_classes)
        if variant == "variational":
            self.residual = nn.Linear(latent_dim, n_classes)

    def logits(self, z: Tensor) -> Tensor:
        """Return (B, C) o + log rho; for "random" o, which a rho that is equal for all leaves."""
        z = self.checked(z)
        with without_autocast(z):
            scores = self.scores(z)
            return scores if self.variant == "random" else scores + F.logsigmoid(self.gate(z))

    def log_probs(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, C) log p(y|z); a Monte-Carlo prediction draws its masks with `generator`.

        A class that no mask retained gets the smallest positive probability instead of zero.
        """
        if self.prediction == "expected":
            return super().log_probs(z)
        z = self.checked(z)
        with without_autocast(z):
            scores, retain = self.scores(z), self.retain_probs(z)
            total = torch.full_like(scores, -math.inf)
            for _ in range(self.predict_draws):
                total = torch.logaddexp(total, _under(hard_mask(retain, 1, generator)[0], scores))
        return total - math.log(self.predict_draws)

    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return ``cross_entropy`` and, where masks are learned as such, the terms of their law."""
        z = self.checked(z, y)
        with without_autocast(z):
            scores = self.scores(z)
            if self.variant == "random":
                kept = hard_mask(self.retain_probs(z), self.draws, generator) | targets(y, scores)
                return LossTerms({"cross_entropy": _cross_entropy(_masked(scores, kept), y)})
            gate = self.gate(z)
            if self.variant == "deterministic":
                log_rho = F.logsigmoid(gate)
                return LossTerms({"cross_entropy": F.cross_entropy(scores + log_rho, y)})
            residual = self.residual(z) if self.variant == "variational" else None
            # The stop-gradient: the label may pull at the masks through r, not through theta.
            posterior = gate if residual is None else gate.detach() + residual
            log_mask = relaxed_log_mask(posterior, y, self.draws, self.temperature, generator)
            terms = {
                "cross_entropy": _cross_entropy(scores + log_mask, y),
                "divergence": mask_divergence(gate, posterior, y).mean(),
                "entropy": mask_entropy(gate).mean(),
            }
            if residual is not None:
                label = targets(y, residual).to(residual.dtype)
                bits = F.binary_cross_entropy_with_logits(residual, label, reduction="none")
                terms["auxiliary"] = bits.sum(1).mean()
            return LossTerms(terms, self.weights)

    def retain_probs(self, z: Tensor) -> Tensor:
        """Return (B, C) rho, the probability that a mask retains each class."""
        z = self.checked(z)
        with without_autocast(z):
            if self.variant == "random":
                return z.new_full((len(z), self.n_classes), self.retain)
            return self.gate(z).sigmoid()

    def posterior_retain_probs(self, z: Tensor, y: Tensor) -> Tensor:
        """Return (B, C) g, the same given the label: 1 for the label itself.

        Of "deterministic", which has no posterior, rho as it is.
        """
        z = self.checked(z, y)
        if self.variant == "deterministic":
            return self.retain_probs(z)
        with without_autocast(z):
            if self.variant == "variational":
                g = (self.gate(z) + self.residual(z)).sigmoid()
            else:
                g = self.retain_probs(z)
        return g.masked_fill(targets(y, g), 1.0)

    def masked_log_probs(self, z: Tensor, masks: Tensor) -> Tensor:
        """Return (n, B, C) log p(y|z, m) under masks (n, B, C), or (n, 1, C) for all rows alike.

        A class that a mask drops gets the smallest positive probability instead of zero; a mask
        that retains none counts as one that retains all.
        """
        z = self.checked(z)
        with without_autocast(z):
            return _under(masks, self.scores(z))

    def undecayed_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of rho and r, which the authors leave out of the weight decay."""
        branches = [getattr(self, name, None) for name in ("gate", "residual")]
        return [p for branch in branches if branch is not None for p in branch.parameters()]


def _cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the scalar mean of -log softmax of (S, B, C) logits at the labels (B,)."""
    return F.cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)))


def _masked(scores: Tensor, kept: Tensor) -> Tensor:
    return scores.masked_fill(~kept, -math.inf)


def _under(mask: Tensor, scores: Tensor) -> Tensor:
    """Return log-probabilities of the scores' softmax over what the mask retains."""
    kept = mask | ~mask.any(-1, keepdim=True)
    smallest = math.log(torch.finfo(scores.dtype).tiny)
    return _masked(scores, kept).log_softmax(-1).clamp(min=smallest)
