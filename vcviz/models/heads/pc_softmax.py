"""Probability-corrected softmax: class frequencies enter the loss, not the scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.base.options import check_choice
from vcviz.models.heads.base import Head, LossTerms, without_autocast

PREDICT_PRIORS = ("uniform", "train")


class PCSoftmaxHead(Head):
    """Linear scores f = W z + b whose softmax is weighted by the class frequencies in training.

    With pi the label frequencies of the training data, the density ratio

        p(y|x) / p(y) = exp(f_y) / sum_k pi_k exp(f_k)

    is what the loss fits: -log of it is the cross-entropy of f + log pi, up to the constant
    log pi_y, so that its gradient is that of logit adjustment. At the optimum f_y is log p(x|y)
    up to a term that does not depend on y: the scores do not encode how frequent a class is, and
    a law of the labels can be put in afterwards. The mean of the log ratio on new data is a lower
    bound on the mutual information I(X; Y) (`vcviz.mutual_information`).

    Parameters
    ----------
    latent_dim, n_classes : D, C
    predict_prior : the law of the labels that log p(y|x) is for; latents keep it as `label_prior`.
        "uniform", the authors' argmax of f: Bayes' rule where every class is equally likely, and
        so for the mean accuracy per class whatever the test labels are. "train": softmax of
        f + log pi, Bayes' rule where test labels are as frequent as in training; the same posterior
        as a plain softmax layer's. The default is "uniform", since it is what this head is for;
        `vcviz.metrics.shift_prior` goes from one to the other afterwards.

    Notes
    -----
    The loss has one term, ``cross_entropy``, of f + log pi. A plain softmax layer whose
    log p(y|x) - log pi_y is predicted with (`vcviz.metrics.shift_prior`) is the control that any
    gain must be held against: the optima are the same.

    References
    ----------
    Qin, Kim and Gedeon, Rethinking Softmax with Cross-Entropy: Neural Network Classifier as
    Mutual Information Estimator, 2019, arXiv:1911.10688; Informative Class Activation Maps, 2021,
    arXiv:2106.10471.

    Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, arXiv:2007.07314, eq. 10.
    """

    summary = "linear scores freed from class frequencies, for imbalanced data (PC-softmax)"
    whole_loss = True

    def __init__(self, *, latent_dim: int, n_classes: int, predict_prior: str = "uniform") -> None:
        super().__init__(latent_dim, n_classes)
        self.predict_prior = check_choice("predict_prior", predict_prior, PREDICT_PRIORS)
        self.linear = nn.Linear(latent_dim, n_classes)

    @property
    def label_prior(self) -> Tensor | None:
        """(C,) label frequencies that `log_probs` is for, see ``predict_prior``."""
        known = super().label_prior
        if known is None or self.predict_prior == "train":
            return known
        return torch.full_like(known, 1 / self.n_classes)

    def scores(self, z: Tensor) -> Tensor:
        """Return (B, C) scores f = W z + b, without any class frequencies."""
        z = self.checked(z)
        with without_autocast(z):
            return self.linear(z)

    def logits(self, z: Tensor) -> Tensor:
        """Return (B, C) f, or f + log pi if ``predict_prior`` is "train"."""
        scores = self.scores(z)
        return scores + self.log_class_prior if self.predict_prior == "train" else scores

    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the term ``cross_entropy`` of f + log pi, whatever ``predict_prior`` is."""
        z = self.checked(z, y)
        return LossTerms(
            {"cross_entropy": F.cross_entropy(self.scores(z) + self.log_class_prior, y)}
        )

    def log_ratio(self, z: Tensor) -> Tensor:
        """Return (B, C) log p(y|x) / p(y) in nats, the pointwise information of every label.

        Not normalised over the labels: weighted by pi its exponentials sum to 1.
        """
        scores = self.scores(z)
        return scores - (scores + self.log_class_prior).logsumexp(1, keepdim=True)

    def linear_layer(self) -> nn.Linear:
        """Return the linear layer whose softmax is `log_probs`: b, or b + log pi for "train"."""
        if self.predict_prior == "uniform":
            return self.linear
        layer = nn.Linear(self.latent_dim, self.n_classes, device="meta")
        layer.weight = self.linear.weight
        layer.bias = nn.Parameter(self.linear.bias.detach() + self.log_class_prior)
        return layer
