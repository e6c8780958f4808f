"""What every head is: a module from latents to log-probabilities with a loss in named terms."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vcviz.errors import InputError, clip, unknown
from vcviz.records import LatentPrior


@dataclass(frozen=True)
class LossTerms:
    """The terms of a loss, each a scalar tensor in nats, with the weights they carry in the total.

    ``loss["cross_entropy"]`` gives a term before its weight; ``loss.total`` is what is minimised.
    """

    terms: Mapping[str, Tensor]
    weights: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        return self.terms[name]

    def keys(self) -> list[str]:
        """Return the names of the terms, in order."""
        return list(self.terms)

    @property
    def total(self) -> Tensor:
        """Scalar: the weighted sum of the terms (a term of weight 0 adds nothing, not even NaN)."""
        parts = [
            term * self.weights.get(name, 1.0)
            for name, term in self.terms.items()
            if self.weights.get(name, 1.0) != 0
        ]
        return torch.stack(parts).sum()


class Head(nn.Module, ABC):
    """The last layer of a classifier and the law of the latents that it stands for.

    Parameters
    ----------
    latent_dim : D
    n_classes : C

    Notes
    -----
    A subclass writes `log_probs` and `loss`; one that anticipates an explicit law p(z|y) also
    writes `prior`; one that trains a critic sets `critic` to a module and writes `critic_loss`
    (and `critic_terms` if more than that loss is minimised).
    Nothing is remembered between calls: randomness comes from the `generator` argument alone.
    """

    #: one line for menus and help
    summary: ClassVar[str] = ""
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

    @abstractmethod
    def log_probs(self, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return (B, C) log p(y|z) of latents (B, D); rows have logsumexp 0."""

    @abstractmethod
    def loss(self, z: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> LossTerms:
        """Return the training loss of latents (B, D) with labels (B,), averaged over the batch."""

    def prior(self) -> LatentPrior | None:
        """Return the law p(z|y) that the head states, or None if it states none."""
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

    def checked(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return `z`, in float32 at least, after a check of the shapes of latents and labels.

        Mixed precision ends here: densities and losses are never computed in half precision.
        """
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise InputError(f"z must have shape (B, {self.latent_dim}), got {tuple(z.shape)}")
        if y is not None and (y.shape != z.shape[:1] or y.dtype != torch.int64):
            raise InputError(
                f"y must be {len(z)} int64 labels, one per row of z, "
                f"got {tuple(y.shape)} {str(y.dtype).removeprefix('torch.')}"
            )
        return z.to(torch.promote_types(z.dtype, torch.float32))


def without_autocast(z: Tensor) -> torch.autocast:
    """Return a context in which operations keep the precision of their arguments."""
    return torch.autocast(z.device.type, enabled=False)


def head_options(head: type[Head]) -> dict[str, inspect.Parameter]:
    """Return the keyword options of a head class with their defaults."""
    parameters = inspect.signature(head.__init__).parameters
    return {n: p for n, p in parameters.items() if n not in ("self", "latent_dim", "n_classes")}


def check_options(kind: str, options: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse an option that `known` does not list, with the nearest name."""
    for name in options:
        if name not in known:
            raise unknown(f"option of {kind}", name, known)


def check_count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` if it is an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InputError(f"{name} must be an integer of at least {minimum}, got {clip(value)}")
    return int(value)


def check_number(name: str, value: Any, *, above: float | None = None) -> float:
    """Return `value` if it is a finite number, non-negative or larger than `above`."""
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (value < 0 if above is None else value <= above):
        bound = "at least 0" if above is None else f"above {above:g}"
        raise InputError(f"{name} must be a number {bound}, got {clip(value)}")
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False (a string such as "false" would count as true)."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {clip(value)}")
    return value


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise unknown(name, value, choices)
    return value
