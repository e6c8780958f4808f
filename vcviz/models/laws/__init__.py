"""Class-conditional laws p(z|y) of the latents, by name. A new one: a file here, a line in `LAWS`.

A law is a module with `log_prob`, `excess`, `whiten`, `sample`, `prior` and `place` (`Law`); the
NumPy side of its family is in `vcviz.records.families`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.distributions import Distribution

from vcviz.base.errors import InputError, clip, unknown
from vcviz.models.laws.base import Law
from vcviz.models.laws.custom import CustomLaw
from vcviz.models.laws.description import describe
from vcviz.models.laws.gaussian import GaussianLaw
from vcviz.models.laws.laplace import LaplaceLaw
from vcviz.models.laws.student_t import StudentTLaw
from vcviz.models.laws.von_mises_fisher import VonMisesFisherLaw
from vcviz.models.options import options_of

LAWS: dict[str, type[Law]] = {
    "gaussian": GaussianLaw,
    "student_t": StudentTLaw,
    "laplace": LaplaceLaw,
    "von_mises_fisher": VonMisesFisherLaw,
}

__all__ = ["LAWS", "Law", "build_law", "describe"]

#: options that a head passes on to any law, with the values that stand for "not given"
COMMON = {
    "covariance": "isotropic",
    "shared_scale": False,
    "separation": None,
    "initial_scale": None,
    "overlap": None,
}


def build_law(
    law: str | Distribution | Mapping[str, Any] = "gaussian",
    *,
    latent_dim: int,
    n_classes: int,
    **options: Any,
) -> Law:
    """Return a new law.

    Parameters
    ----------
    law : one of `LAWS`; or a `torch.distributions` object with batch_shape (C,) and event_shape
        (D,), or what `describe` made of one
    latent_dim, n_classes : D, C
    options : ``covariance``, ``shared_scale``, ``learn_mean``, ``learn_scale``, ``separation``,
        ``initial_scale``, ``overlap``, and those of the law's own, see its docstring

    Returns
    -------
    Law
        In torch; ``prior`` makes a `LatentPrior` of it.

    Raises
    ------
    InputError
        For an unknown law, or an option that this law does not have.

    Examples
    --------
    >>> import torch
    >>> law = vcviz.models.build_law("student_t", latent_dim=2, n_classes=3)
    >>> law.prior(torch.zeros(3)).family
    'student_t'
    """
    if isinstance(law, Distribution | Mapping):
        kind, name = CustomLaw, "a distribution of your own"
        options |= {"law": law}
    elif isinstance(law, str) and law in LAWS:
        kind, name = LAWS[law], f"law {law!r}"  # type: ignore[assignment]
    elif isinstance(law, str):
        raise unknown("law", law, LAWS)
    else:
        raise InputError(
            f"law must be one of {', '.join(LAWS)} or a torch.distributions object, got {clip(law)}"
        )
    known = options_of(kind)
    for option, value in list(options.items()):
        if option in known:
            continue
        if option in COMMON and value == COMMON[option]:
            del options[option]
            continue
        if option in COMMON:
            raise InputError(f"{name} has no {option}; leave it out")
        raise unknown(f"option of {name}", option, known)
    return kind(latent_dim, n_classes, **options)
