"""What every head is: a module from latents to log-probabilities with a loss in named terms."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.models.posterior import LatentPosterior
from vcviz.records import LatentPrior


class _Known(torch.autograd.Function):
    """A scalar whose gradients are written out."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *of: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.view_as(value)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(factor * g for g in ctx.gradients)


@dataclass(frozen=True)
class LossTerms:
    """The terms of a loss, each a scalar tensor in nats, with the weights they carry in the total.

    ``loss["cross_entropy"]`` gives a term before its weight; ``loss.total`` is what is minimised.
    """

    terms: Mapping[str, Tensor]
    weights: Mapping[str, float] = field(default_factory=dict)
    #: tensors and the gradients of the total by them, where these are written out
    gradients: Sequence[tuple[Tensor, Tensor]] = ()

    def __getitem__(self, name: str) -> Tensor:
        return self.terms[name]

    def keys(self) -> list[str]:
        """Return the names of the terms, in order."""
        return list(self.terms)

    def plus(self, name: str, term: Tensor, weight: float) -> LossTerms:
        """Return these terms and another."""
        return LossTerms({**self.terms, name: term}, {**self.weights, name: weight})

    def backward(self, weight: float = 1.0) -> None:
        """Set the gradients of `weight` times the total, where there are none yet."""
        for of, gradient in self.gradients:
            of.grad = gradient if weight == 1 else gradient * weight
        if not self.gradients:
            (self.total if weight == 1 else self.total * weight).backward()

    @cached_property
    def total(self) -> Tensor:
        """Scalar: the weighted sum of the terms (a term of weight 0 adds nothing, not even NaN)."""
        weighed = [(term, self.weights.get(name, 1.0)) for name, term in self.terms.items()]
        parts = [term if w == 1 else term * w for term, w in weighed if w != 0]
        total = reduce(torch.add, parts)
        if not self.gradients:
            return total
        of, slopes = zip(*self.gradients, strict=True)
        return _Known.apply(total, slopes, *of)  # type: ignore[no-any-return]


class Head(nn.Module, ABC):
    """The last layer of a classifier and the law of the latents that it stands for.

    Parameters
    ----------
    latent_dim : D
    n_classes : C

    Notes
    -----
    A subclass writes `logits` and `loss`; one whose prediction is more than a softmax of the
    logits also writes `log_probs`; one that predicts for other label frequencies than those of
    training writes `label_prior`; one that anticipates an explicit law p(z|y) writes `prior`;
    one whose latents live on a surface writes `place`; one that computes along axis 1, whatever
    axes follow, sets `dense`; one that trains a critic sets `critic` to
    a module and writes `critic_loss` (and `critic_terms` if more than that loss is minimised);
    one whose loss changes in the course of training writes `begin_step`.
    Nothing else is remembered between calls: randomness comes from the `generator` argument alone.
    """

    #: one line for menus and help
    summary: ClassVar[str] = ""
    #: whether latents may also be maps (B, D, …) with a label for each place
    dense: ClassVar[bool] = False
    #: whether every loss trains every parameter; DropMax leaves some out in its simpler variants
    whole_loss: ClassVar[bool] = False
    #: the module that `critic_loss` trains, or None
    critic: nn.Module | None
    #: (C,) log pi
    log_class_prior: Tensor

    def __init__(self, latent_dim: int, n_classes: int) -> None:
        super().__init__()
        self.latent_dim = check_count("latent_dim", latent_dim)
        self.n_classes = check_count("n_classes", n_classes, minimum=2)
        # Not a class attribute: that would hide a submodule of the same name.
        self.register_module("critic", None)
        self.register_buffer("log_class_prior", torch.full((n_classes,), -math.log(n_classes)))
        self._counted = False

    def set_class_counts(self, counts: Tensor) -> None:
        """Set log pi to the label frequencies of the training data, their maximum-likelihood value.

        Parameters
        ----------
        counts : (C,) rows per class. A class without rows gets half a count, so that its
            log-weight stays finite.
        """
        counts = torch.as_tensor(counts, dtype=torch.float64)
        if counts.shape != (self.n_classes,):
            raise InputError(
                f"counts must have shape ({self.n_classes},), got {tuple(counts.shape)}"
            )
        counts = counts.clamp(min=0.5)
        self.log_class_prior.copy_((counts / counts.sum()).log())
        self._counted = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._counted = True  # as the head was that is loaded

    @abstractmethod
    def logits(self, z: Tensor) -> Tensor:
        """Return (B, C) scores of latents (B, D) before normalisation, without noise.

        Minus their logsumexp is the energy, an out-of-distribution score.
        """

    def log_probs(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, C) log p(y|z) of latents (B, D); rows have logsumexp 0."""
        return self.logits(z).log_softmax(1).to(self.checked(z).dtype)

    @abstractmethod
    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the training loss of latents (B, D) with labels (B,), averaged over the batch."""

    def training_loss(
        self, q: LatentPosterior, z: Tensor, y: Tensor, weight: float, generator: torch.Generator
    ) -> LossTerms:
        """Return `loss` of draws `z`, and with a `weight` the term ``rate``, see `rate`."""
        loss = self.loss(z, y, generator=generator)
        return loss.plus("rate", self.rate(q, z, y), weight)

    def begin_step(self, done: float) -> None:
        """Take note, before a training step, of the share of training in [0, 1) that is done.

        What follows from it must follow from it alone, so that resumed training goes on the same.
        """

    def predict(
        self, z: Tensor, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return `log_probs` (B, C) and the energies (B,), the logits computed once."""
        logits = self.logits(z)
        energy = -logits.logsumexp(1).to(self.checked(z).dtype)
        if type(self).log_probs is Head.log_probs:
            return logits.log_softmax(1).to(energy.dtype), energy
        return self.log_probs(z, generator=generator), energy

    def place(self, z: Tensor) -> Tensor:
        """Return latents moved onto the support of the head's law: for most heads, `z` itself."""
        return z

    def prior(self) -> LatentPrior | None:
        """Return the law p(z|y) that the head states, or None if it states none."""
        return None

    @property
    def label_prior(self) -> Tensor | None:
        """(C,) label frequencies that `log_probs` is for: those of training. Float64, on the CPU.

        Cross-entropy fits p(y|x) of the training labels, also where a head leaves pi out of its
        formula; only one whose loss and prediction differ in pi is for others. None for a head
        that was never told them (`set_class_counts`).
        """
        return self.log_class_prior.cpu().double().softmax(0) if self._counted else None

    def linear_layer(self) -> nn.Linear | None:
        """Return the linear layer whose softmax `log_probs` is, or None if it is of another form.

        Its weight and bias imply laws of the latents, see `vcviz.implied_prior`.
        """
        return None

    def critic_loss(
        self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the scalar loss of the critic; `z` must be detached."""
        raise NotImplementedError(f"{type(self).__name__} has no critic")

    def critic_terms(
        self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None
    ) -> LossTerms:
        """Return what the critic minimises in training: `critic_loss` and any regulariser."""
        return LossTerms({"loss": self.critic_loss(z, y, generator=generator)})

    def main_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the main optimiser owns: all but the critic's."""
        return [p for name, p in self.named_parameters() if not name.startswith("critic.")]

    def law_parameters(self) -> list[nn.Parameter]:
        """Return those of `main_parameters` that are of the law of the latents."""
        return [p for name, p in self.named_parameters() if name.startswith("law.")]

    def rate(self, q: LatentPosterior, z: Tensor, y: Tensor) -> Tensor:
        """Return the scalar mean of KL(q(z|x) || r) in nats, what a stochastic encoder pays.

        The reference r is N(0, I) (the rate of the variational information bottleneck) for a head
        that states no law, and p(z|y) for one that does.

        Parameters
        ----------
        q : the posteriors of a batch (B, D)
        z : (S B, D) draws of it, S for each input, on the support of the law
        y : (S B,) their labels
        """
        return q.rate()

    @property
    def rate_scale(self) -> float:
        """What the weight of the rate in the loss is multiplied by."""
        return 1.0

    def undecayed_parameters(self) -> list[nn.Parameter]:
        """Return those of `main_parameters` that weight decay leaves alone: by default none."""
        return []

    def checked(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return `z`, in float32 at least, after a check of the shapes of latents and labels.

        Mixed precision ends here: densities and losses are never computed in half precision.
        A dense head takes maps too: latents (B, D, …) with labels (B, …).
        """
        axes_fit = z.ndim == 2 or (self.dense and z.ndim > 2)
        if not axes_fit or z.shape[1] != self.latent_dim:
            maps = f" or (B, {self.latent_dim}, …)" if self.dense else ""
            raise InputError(
                f"z must have shape (B, {self.latent_dim}){maps}, got {tuple(z.shape)}"
            )
        places = (len(z), *z.shape[2:])
        if y is not None and (y.shape != places or y.dtype != torch.int64):
            wanted = f"{len(z)} int64 labels, one per row of z"
            if z.ndim > 2:
                wanted = f"int64 labels of shape {places}, one per place of z"
            raise InputError(
                f"y must be {wanted}, got {tuple(y.shape)} {str(y.dtype).removeprefix('torch.')}"
            )
        return z.to(torch.promote_types(z.dtype, torch.float32))


def without_autocast(z: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which operations keep the precision of their arguments."""
    kind = z.device.type
    # Entering it takes as long as three small operations, of which a step has hundreds.
    on = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()
