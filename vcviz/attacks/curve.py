"""Accuracy and calibration of a classifier against the radius of an attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from vcviz.attacks.options import AttackOptions, Plan
from vcviz.attacks.search import Search
from vcviz.attacks.victim import scope_of, under_attack
from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_flag
from vcviz.latents.modules import label_prior_of
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.robustness import wilson
from vcviz.metrics.robustness.gates import checked
from vcviz.records import RobustnessCurve, Split, Trained, as_array, label_note

#: radii of images in [0, 1] and standardised tables where nobody names others
EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)


@dataclass(frozen=True, kw_only=True)
class CurveOptions(AttackOptions):
    """What `robustness_curve` takes besides, as keyword arguments: those of attacks, and these.

    Attributes
    ----------
    n_bins, resamples : of the calibration error, see `vcviz.reliability_curve`
    level : mass of the intervals
    name : shown in legends; default that of the run or the split
    """

    n_bins: int = 15
    resamples: int = 200
    level: float = 0.95
    name: str | None = None


@takes_records
def robustness_curve(
    model: nn.Module | Trained,
    split: Split | str | None = None,
    epsilons: Sequence[float] = EPSILONS,
    *,
    rows: int | ArrayLike | None = None,
    method: str = "pgd",
    norm: str = "linf",
    loss: str = "ce",
    steps: int = 40,
    calibration: bool = True,
    descend: bool = False,
    **options: Any,
) -> RobustnessCurve:
    """Return accuracy and calibration error against the radius of an attack.

    A ball holds every smaller one, so whatever was found at a smaller radius counts at a larger
    one too: of each input the worst point found so far is kept (misread before rightly read, then
    by the loss, over all steps of all attacks), and accuracy and calibration error at a radius
    are those of these points. Accuracy is thus exactly the share of inputs that none of the
    attacks broke, which never rises with the radius, and bounds the true robust accuracy from
    above.

    Parameters
    ----------
    model, split, rows : a classifier and its inputs, or a run, as for `vcviz.attack`
    epsilons : radii above 0 in any order; 0, the clean inputs, is always added
    method, norm, loss, steps : of each attack, as for `vcviz.attack`
    calibration : follow the calibration error too, for which every input is attacked at every
        radius for all steps. If False an input is left alone as soon as it is misread, at this
        and all larger radii: the same accuracies, two to five times faster.
    descend : with calibration=False, begin at the largest radius instead, and take an input that
        holds in a ball to hold in those inside of it, which is so if the attack does not find in a
        small ball what it misses in a large one (the gate "a larger ε never helps" of a curve with
        calibration); faster still
    **options
        Those of `vcviz.attack`, and ``n_bins``, ``resamples``, ``level`` and ``name``: see
        `vcviz.attacks.curve.CurveOptions`.

    Returns
    -------
    RobustnessCurve
        One entry per radius, the clean inputs first, and the gates of the attacks.

    Raises
    ------
    InputError
        As `vcviz.attack` does.

    Notes
    -----
    For a model whose output varies every input is attacked at every radius, so that each keeps its
    noise, and the points chosen are read once more with noise that played no part in the choice:
    otherwise the luckiest of many draws would count as a success of the attack.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> curve = vcviz.robustness_curve(run, rows=100, epsilons=[0.5, 1.0], steps=10, progress=False)
    >>> for radius, accuracy in zip(curve.epsilon, curve.accuracy):
    ...     print(f"radius {radius}: accuracy {accuracy:.1f}")
    ...
    radius 0.0: accuracy 1.0
    radius 0.5: accuracy 0.9
    radius 1.0: accuracy 0.7
    """
    settings = CurveOptions.of(options)
    check_flag("calibration", calibration)
    if check_flag("descend", descend) and calibration:
        raise InputError("descend leaves inputs out; it goes with calibration=False")
    who = scope_of(model, split, rows, settings.device)
    plan = Plan(
        kind=who.split.kind, method=method, norm=norm, loss=loss, steps=steps, options=settings
    )
    plans = _at(plan, epsilons)
    with under_attack(who, plan, len(plans)) as (victim, tick):
        search = Search(victim, settings.seed)
        everyone = calibration or victim.noise > 0
        down = descend and not everyone
        answers = [search.log_probs]
        each = len(victim.batches) * plan.steps
        for k, at in enumerate(reversed(plans) if down else plans):

            def told_of(part: float, k: int = k) -> None:
                tick((k + part) * each)

            search.attack(at, None if everyone else search.open(at, down), told_of)
            answers.append(search.log_probs)
        identity = search.identity(plans[-1])
    radii = np.array([0.0, *(at.epsilon for at in plans)])
    y = who.split.y
    if down:
        search.settle(radii)
        # What was found at a larger radius says nothing of the worst points at a smaller.
        answers = answers[:1] * len(radii)
        accuracy = (search.fell_at > radii[:, None]).mean(1)
    else:
        accuracy = np.array([(p.argmax(1) == y).mean() for p in answers])
    alone = np.array([accuracy[0], *search.alone]) if everyone else np.full(len(radii), np.nan)
    gates = checked(
        identity=identity,
        ball=search.farthest,
        reach=search.reach if plan.kind == "image" else None,
        still=float((~search.moved)[search.tried].mean()) if search.tried.any() else None,
        fell=float((~search.rose)[search.tried].mean()) if search.tried.any() else None,
        steps=max(search.lost) if everyone else None,
        larger=float(np.diff(alone).max()) if everyone else None,
        noise=victim.noise,
        draws=settings.draws * victim.read.draws,
        output=max(_off(log_probs) for log_probs in answers),
        n=len(y),
    )
    return RobustnessCurve(
        epsilon=radii,
        accuracy=accuracy,
        accuracy_interval=wilson(accuracy, len(y), settings.level),
        **_calibration(answers, y, settings, measured=calibration),
        alone=alone,
        fell_at=search.fell_at,
        gates=gates,
        norm=norm,
        method=method,
        loss=loss,
        steps=plan.steps,
        name=who.title or who.split.name if settings.name is None else settings.name,
        level=settings.level,
        n_bins=settings.n_bins,
        label_note=label_note(label_prior_of(who.model), y),
    )


# ---------------------------------------------------------------- parts


def _at(plan: Plan, epsilons: Sequence[float]) -> list[Plan]:
    """Return the attack at each radius above 0, ascending."""
    radii = as_array("epsilons", epsilons)
    if radii.ndim != 1 or radii.dtype.kind not in "fiu":
        raise InputError(f"epsilons must be a list of radii, got {clip(epsilons)}")
    plans = {e: plan.at(e) for e in sorted(radii.tolist())}
    found = [plan for plan in plans.values() if plan.epsilon > 0]
    if not found:
        raise InputError("epsilons must hold at least one radius above 0; 0 is always added")
    return found


def _calibration(
    answers: Sequence[NDArray[np.float32]],
    y: NDArray[np.int64],
    options: CurveOptions,
    *,
    measured: bool,
) -> dict[str, NDArray[np.float64]]:
    """Return the calibration errors of a curve at each radius; NaN if they are not measured."""
    if not measured:
        blank = np.full(len(answers), np.nan)
        none = {"ece": blank, "ece_if_calibrated": blank}
        return none | {"ece_interval": np.stack([blank, blank], axis=1)}
    found = [
        reliability_curve(
            log_probs,
            y,
            n_bins=options.n_bins,
            resamples=options.resamples,
            level=options.level,
            seed=options.seed,
        )
        for log_probs in answers
    ]
    names = ("ece", "ece_interval", "ece_if_calibrated")
    return {name: np.array([getattr(curve, name) for curve in found]) for name in names}


def _off(log_probs: NDArray[np.float32]) -> float:
    """Return how far probabilities are from summing to one."""
    return float(np.abs(np.exp(log_probs.astype(np.float64)).sum(1) - 1).max())
