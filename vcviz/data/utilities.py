"""Labels by noisy utilities: data whose noise of labels depends on the input, in a known way.

y is the class of largest utility u_k = mu_k(x) + sigma_k(x) e_k with e_k standard normal, the
random-utility model that the heteroscedastic softmax is built on (Collier et al. 2020,
arXiv:2003.06778, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, expit

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_number
from vcviz.data.subsets import TEST_FRACTION, train_and_test
from vcviz.data.tables import plain_table
from vcviz.metrics.noisy_scores import argmax_probs
from vcviz.records import LogitLaw, Split, as_float

#: half the side of the cube that x fills evenly
REACH = 2.0
# Points a side of the grid that means over x are taken on.
_SIDE = 64


def load_utilities(
    *,
    seed: int = 0,
    test_fraction: float = TEST_FRACTION,
    n: int = 3000,
    n_classes: int = 4,
    dim: int = 2,
    slope: float = 1.0,
    quiet: float = 0.1,
    loud: float = 1.0,
) -> tuple[Split, Split]:
    """Return a train and a test split whose noise of labels is known at every input.

    x fills the cube [-2, 2]^dim evenly. mu_k = slope w_k'x, with the directions w_k spread over a
    circle in the first two dimensions, and

        sigma_k(x) = quiet (loud / quiet)^(1 / (1 + exp(-3 v_k'x))),

    v_k being w_k turned by a quarter: each class is undecided in a half-plane of its own.

    `label_probs` holds the true p(y|x), by quadrature. `truth` holds the parameters,
    ``bayes_error`` (fraction), ``mutual_information`` I(X;Y) and ``label_entropy`` H(Y) (nats), by
    quadrature over a grid of x. `true_utilities` gives mu and sigma.

    Parameters
    ----------
    seed : which samples are drawn, and their split
    test_fraction : share of the rows that becomes the test split
    n : rows in all
    n_classes : C, at least 2
    dim : dimensions of x, at least 2; those beyond the second say nothing about the label
    slope : steepness of mu
    quiet, loud : smallest and largest standard deviation of the noise

    Raises
    ------
    InputError
        For options out of range.
    """
    check_count("n_classes", n_classes, minimum=2)
    check_count("dim", dim, minimum=2)
    check_count("n", n, minimum=2 * n_classes)
    check_number("slope", slope, above=0)
    check_number("quiet", quiet, above=0)
    if check_number("loud", loud, above=0) < quiet:
        raise InputError(f"loud must be at least quiet ({quiet}), got {loud}")
    law = {"n_classes": n_classes, "dim": dim, "slope": slope, "quiet": quiet, "loud": loud}
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    x = rng.uniform(-REACH, REACH, (n, dim)).astype(np.float32)
    utilities = _utilities(law, x)
    whole = Split(
        x=x,
        y=(utilities.mean + utilities.scale * rng.standard_normal((n, n_classes))).argmax(1),
        class_names=utilities.class_names,
        name="utilities",
        kind="table",
        label_probs=argmax_probs(utilities),
        truth=law | _numbers(law),
        preprocessing=plain_table([f"x{i + 1}" for i in range(dim)]),
    )
    return train_and_test(whole, test_fraction, seed=seed)


@takes_records
def true_utilities(split: Split, x: ArrayLike | None = None) -> LogitLaw:
    """Return mu(x) and sigma(x) that the labels of a utilities split were drawn from.

    Parameters
    ----------
    split : from `load_data("utilities")`
    x : (N, dim) inputs; default those of the split

    Returns
    -------
    LogitLaw
        Its `argmax_probs` are the true p(y|x).

    Raises
    ------
    InputError
        If the split does not carry its law, or `x` has other dimensions.

    Examples
    --------
    >>> _, test = vcviz.load_data("utilities", n=300)
    >>> law = vcviz.data.true_utilities(test)
    >>> p = vcviz.metrics.argmax_probs(law)  # a label is the class of largest utility
    >>> bool(np.allclose(p, test.label_probs, atol=1e-4))
    True
    """
    if not {"slope", "quiet", "loud"} <= set(split.truth):
        raise InputError(
            f"{split.name!r} does not say what noise its labels have; only 'utilities' data does"
        )
    x = as_float("x", split.x if x is None else x, 2, np.float64)
    if x.shape[1] != split.truth["dim"]:
        raise InputError(f"x must have {split.truth['dim']} columns, got {x.shape[1]}")
    return _utilities(split.truth, x)


def _utilities(truth: Mapping[str, Any], x: NDArray[Any]) -> LogitLaw:
    angle = 2 * np.pi * np.arange(truth["n_classes"]) / truth["n_classes"]
    w = np.stack([np.cos(angle), np.sin(angle)])
    v = np.stack([-np.sin(angle), np.cos(angle)])
    plane = x[:, :2].astype(np.float64)
    ratio = truth["loud"] / truth["quiet"]
    return LogitLaw(
        mean=truth["slope"] * plane @ w,
        scale=truth["quiet"] * ratio ** expit(3 * plane @ v),
        class_names=tuple(str(k) for k in range(truth["n_classes"])),
        name="true utilities",
    )


def _numbers(law: Mapping[str, Any]) -> dict[str, Any]:
    middles = REACH * (2 * (np.arange(_SIDE) + 0.5) / _SIDE - 1)
    plane = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    probs = argmax_probs(_utilities(law, plane))
    entropy = float(entr(probs.mean(0)).sum())
    return {
        "bayes_error": float(1 - probs.max(1).mean()),
        "mutual_information": entropy - float(entr(probs).sum(1).mean()),
        "label_entropy": entropy,
        "method": "quadrature",
    }
