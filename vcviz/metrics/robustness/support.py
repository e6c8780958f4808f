"""Where an attack's paths leave the support of their class, and what they read as there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_fraction
from vcviz.records import LatentPrior, Trajectory
from vcviz.records.trajectory import first_step

#: draws of each class for its threshold; its error is then about 0.003 of the mass
_DRAWS = 10_000


@dataclass(frozen=True, eq=False)
class Crossing:
    """When inputs under attack leave the support of their class, and when they are misread.

    Attributes
    ----------
    leaves : (N,) first step outside the support of the true class; -1 if it never leaves
    flips : (N,) first step at which the prediction is not the label; -1 if it never is
    log_density : (T+1, N) log p(z|y) of the true class, nats
    log_marginal : (T+1, N) log p(z) = log sum_y pi_y p(z|y), nats
    threshold : (C,) log density at the edge of each class's support, nats
    mass : share of each class that its support holds

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = run.attack(rows=50, epsilon=2.0, steps=10, progress=False)
    >>> found = vcviz.metrics.crossings(path, run.prior())
    >>> i = int(np.argmax(found.flips))
    >>> print(found.words(i))
    leaves the 90 % support of its class at step 2, flips at step 4
    """

    leaves: NDArray[np.int64]
    flips: NDArray[np.int64]
    log_density: NDArray[np.float64]
    log_marginal: NDArray[np.float64]
    threshold: NDArray[np.float64]
    mass: float

    def words(self, i: int) -> str:
        """Return in words what happens to input `i`, and in which order."""
        left, flip = int(self.leaves[i]), int(self.flips[i])
        share = f"the {100 * self.mass:g} % support of its class"
        if left == 0:
            leaves = f"is outside {share} from the start"
        else:
            leaves = f"leaves {share} at step {left}" if left > 0 else f"never leaves {share}"
        if flip == 0:
            flips = "is misread from the start"
        else:
            flips = f"flips at step {flip}" if flip > 0 else "never flips"
        return f"{leaves}, {flips}"

    @property
    def summary(self) -> str:
        """What happens in the median, and how many leave before they flip, in words.

        Of the inputs that are read rightly and inside the support before the attack.
        """
        begun = (self.leaves != 0) & (self.flips != 0)
        n = int(begun.sum())
        if n == 0:
            return "no input is read rightly and inside the support of its class at the start"
        left, flip = self.leaves[begun], self.flips[begun]
        both = (left > 0) & (flip > 0)
        text = f"{_median(left, 'leave')}, {_median(flip, 'flip')} (of {n:,})"
        if not both.any():
            return text
        order = (
            f"of the {int(both.sum())} that do both, {int((left < flip)[both].sum())} leave first, "
            f"{int((left == flip)[both].sum())} in the same step, "
            f"{int((left > flip)[both].sum())} flip first"
        )
        return f"{text}; {order}"


@takes_records
def crossings(path: Trajectory, prior: LatentPrior, mass: float = 0.9) -> Crossing:
    """Return when each path leaves the support of its class, and when it is misread.

    The support of a class is the smallest region that holds `mass` of p(z|y): where the log
    density is above its ``1 - mass`` quantile among draws of the class.

    Parameters
    ----------
    path : an attack, every step kept
    prior : p(z|y) of the attacked model
    mass : share of each class that its support holds

    Returns
    -------
    Crossing

    Raises
    ------
    InputError
        If the law has other classes or dimensions than the attacked model.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = run.attack(rows=50, epsilon=2.0, steps=10, progress=False)
    >>> found = vcviz.metrics.crossings(path, run.prior())
    >>> both = (found.leaves >= 0) & (found.flips >= 0)
    >>> bool((found.leaves[both] <= found.flips[both]).all())  # they leave before they are misread
    True
    """
    check_fraction("mass", mass)
    if prior.n_classes != len(path.class_names):
        raise InputError(
            f"the law must have the {len(path.class_names)} classes of the path, "
            f"got {prior.n_classes}"
        )
    n_steps, n, dim = path.z.shape
    joint = prior.log_prob(path.z.reshape(-1, dim)).reshape(n_steps, n, -1)
    own = joint[:, np.arange(n), path.y]
    threshold = support_threshold(prior, mass)
    outside = own < threshold[path.y]
    marginal = np.logaddexp.reduce(joint + prior.log_weight, axis=2)
    return Crossing(first_step(outside), path.first_flip, own, marginal, threshold, mass)


def support_threshold(prior: LatentPrior, mass: float) -> NDArray[np.float64]:
    """Return (C,) log densities that `mass` of each class exceeds, in nats.

    In closed form where the density falls along a straight line from the mean, otherwise the
    quantile of draws with a fixed seed.
    """
    classes = np.arange(prior.n_classes)
    if prior.family in ("gaussian", "student_t", "laplace"):
        if prior.scale is None:
            first = prior.scale_tril[:, :, 0]
        else:
            first = prior.scale * (np.arange(prior.latent_dim) == 0)
        edge = prior.mean + prior.mass_radius(mass)[:, None] * first
        return prior.log_prob(edge)[classes, classes]
    rng = np.random.default_rng(0)
    drawn = [prior.sample(np.full(_DRAWS, k), rng)[0] for k in classes]
    density = [prior.log_prob(z)[:, k] for k, z in enumerate(drawn)]
    return np.quantile(density, 1 - mass, axis=1)


def _median(steps: NDArray[np.int64], what: str) -> str:
    """Return the median step in words; those that never come count as later than all."""
    share = float((steps > 0).mean())
    if share < 0.5:
        return f"{100 * share:.0f} % {what}"
    late = np.where(steps > 0, steps, np.iinfo(np.int64).max)
    return f"half {what} by step {int(np.sort(late)[(len(late) - 1) // 2])}"
