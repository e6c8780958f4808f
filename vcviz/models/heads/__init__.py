"""The heads, by name. Adding one: a file here and a line in `HEADS`."""

from __future__ import annotations

from typing import Any

from vcviz.base.errors import unknown
from vcviz.base.options import check_options
from vcviz.models.heads.base import Head, LossTerms
from vcviz.models.heads.dropmax import DropMaxHead
from vcviz.models.heads.gaussian_mixture import GaussianMixtureHead
from vcviz.models.heads.heteroscedastic import HeteroscedasticHead
from vcviz.models.heads.pc_softmax import PCSoftmaxHead
from vcviz.models.heads.softmax import SoftmaxHead
from vcviz.models.heads.variational import VariationalHead
from vcviz.models.options import options_of

HEADS: dict[str, type[Head]] = {
    "softmax": SoftmaxHead,
    "gaussian_mixture": GaussianMixtureHead,
    "pc_softmax": PCSoftmaxHead,
    "variational": VariationalHead,
    "dropmax": DropMaxHead,
    "heteroscedastic": HeteroscedasticHead,
}

__all__ = ["HEADS", "Head", "LossTerms", "build_head"]


def build_head(name: str, *, latent_dim: int, n_classes: int, **options: Any) -> Head:
    """Return a new head.

    Parameters
    ----------
    name : one of `HEADS`
    latent_dim : D
    n_classes : C
    options : keyword options of that head, see its docstring

    Returns
    -------
    Head
        On the CPU, its parameters drawn from torch's global generator.

    Raises
    ------
    InputError
        For an unknown name or option, with the nearest known one.

    Examples
    --------
    >>> head = vcviz.build_head("gaussian_mixture", latent_dim=2, n_classes=3)
    >>> head.prior().mean.shape  # the head states a law p(z|y), one Gaussian per class
    (3, 2)
    """
    if name not in HEADS:
        raise unknown("head", name, HEADS)
    check_options(f"head {name!r}", options, options_of(HEADS[name]))
    return HEADS[name](latent_dim=latent_dim, n_classes=n_classes, **options)
