"""One head under several laws of its latents, and encoders at several rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.distributions import Distribution

from vcviz.base.errors import InputError
from vcviz.runs import Run
from vcviz.training.train_runs import train


def train_laws(
    laws: Sequence[str | Distribution | Mapping[str, Any]],
    *,
    head: str = "variational",
    head_options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> list[Run]:
    """Return one run per law p(z|y), with otherwise equal settings.

    Parameters
    ----------
    laws : names of families, `torch.distributions` objects, or mappings of head options such as
        ``{"law": "student_t", "law_options": {"df": 3}}`` or ``{"covariance": "full"}``
    head : "variational" or "gaussian_mixture"
    head_options : options that all share
    settings : as for `train`

    Returns
    -------
    list of Run
        In the order of `laws`.

    Raises
    ------
    InputError
        For an unknown law, or as for `train`.

    Examples
    --------
    >>> laws = ["gaussian", "student_t"]
    >>> settings = {"head": "gaussian_mixture", "dataset": "mixture", "epochs": 2}
    >>> runs = vcviz.training.train_laws(laws, **settings, progress=False)
    >>> [run.prior().family for run in runs]
    ['gaussian', 'student_t']
    """
    if isinstance(laws, (str, Mapping)) or not laws:
        raise InputError('laws must be a list of at least one law, e.g. ["gaussian", "laplace"]')
    shared = dict(head_options or {})
    return [train(head=head, head_options={**shared, **_options(e)}, **settings) for e in laws]


def train_rates(
    rates: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1),
    heads: Sequence[str] = ("softmax",),
    *,
    head_options: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> list[Run]:
    """Return runs with stochastic encoders at several weights of their rate, for each head.

    Parameters
    ----------
    rates : weights of KL(q(z|x) || r) in the loss. With a softmax head r is N(0, I), as in the
        variational information bottleneck (Alemi et al., ICLR 2017); a head that states a law has
        that, unless ``rate_to="normal"``
    heads : names of heads
    head_options : options by head, as for `train_heads`
    settings : as for `train`

    Returns
    -------
    list of Run
        By head, then rate.

    Raises
    ------
    InputError
        As for `train`.

    Examples
    --------
    >>> runs = vcviz.training.train_rates([0.01, 1.0], dataset="mixture", epochs=2, progress=False)
    >>> [(run.config.latent, run.config.rate_to) for run in runs]
    [('q(z|x), rate 0.01', 'law'), ('q(z|x), rate 1', 'law')]
    """
    if isinstance(rates, (int, float)) or not rates:
        raise InputError("rates must be a list of at least one weight, e.g. [0, 0.01]")
    own = dict(head_options or {})
    return [
        train(
            head=head,
            head_options=dict(own.get(head, {})),
            stochastic=True,
            rate_weight=float(rate),
            **settings,
        )
        for head in heads
        for rate in rates
    ]


def _options(law: str | Distribution | Mapping[str, Any]) -> dict[str, Any]:
    """Return head options; the default law is left out, so that its run is the default's."""
    if isinstance(law, Mapping) and "distribution" not in law:
        return dict(law)
    return {} if law == "gaussian" else {"law": law}
