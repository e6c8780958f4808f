"""Attacks on the input that keep every step of the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from vcviz.attacks.ball import NORMS as NORMS
from vcviz.attacks.methods import ATTACKS as ATTACKS
from vcviz.attacks.methods import Attack as Attack
from vcviz.attacks.objectives import LOSSES as LOSSES
from vcviz.attacks.options import AttackOptions, Plan, goals
from vcviz.attacks.steps import Step, walk
from vcviz.attacks.victim import Scope, scope_of, under_attack
from vcviz.base.arguments import takes_records
from vcviz.base.options import check_count
from vcviz.latents.extraction import to_numpy
from vcviz.latents.modules import label_prior_of
from vcviz.records import Split, Trained, Trajectory, as_labels


@takes_records
def attack(
    model: nn.Module | Trained,
    split: Split | str | None = None,
    *,
    rows: int | ArrayLike | None = None,
    method: str = "pgd",
    norm: Literal["linf", "l2"] = "linf",
    loss: Literal["ce", "dlr"] = "ce",
    epsilon: float = 0.1,
    steps: int = 40,
    step_size: float | None = None,
    targeted: ArrayLike | str | None = None,
    keep_inputs: bool = False,
    checks: int = 0,
    **options: Any,
) -> Trajectory:
    r"""Return the path of an attack that increases the model's own loss, every step kept.

    With :math:`g = \nabla_x f(x_t)`, f the loss, a step of PGD goes to

    .. math:: x_{t+1} = \Pi(x_t + \alpha\,\mathrm{sign}\,g) \ (L_\infty), \qquad
              x_{t+1} = \Pi(x_t + \alpha\,g / \lVert g\rVert_2) \ (L_2),

    where :math:`\Pi` projects on the ball of radius epsilon around the clean input, and images
    also on [0, 1]. The other attacks of `vcviz.attacks.ATTACKS` choose their steps otherwise.
    Rounding goes towards the clean input, so no step leaves the ball. A sample whose gradient is
    zero at first stays where it is. The model runs in evaluation mode; afterwards it is as it was,
    its parameters' gradients included.

    Parameters
    ----------
    model : a `Classifier`, any classifier that `extract_latents` takes, or a `Run`
    split : images, as [0, 1] (uint8 is divided by 255), or a table; of a run the name of one of
        its splits, by default "test"
    rows : rows of the split: the first so many, or their numbers; default all that are passed, and
        200 of a run's own
    method : a name of `vcviz.attacks.ATTACKS`; their docstrings say what they do
    norm : "linf" or "l2"
    loss : "ce", the cross-entropy; or "dlr", the difference of logits ratio, which does not
        saturate (3 classes or more, with a target 4)
    epsilon : radius in `norm`; for tables in the columns' own units, which `load_data`
        standardises, and without bounds
    steps : T
    step_size : of attacks that let it be chosen; default that of the attack, epsilon / 4 for PGD
    targeted : class, or one per row, whose probability is raised instead; "least_likely" for the
        class that each clean input is least likely to have
    keep_inputs : keep the inputs of every step too, as `Trajectory.change`, 2 bytes a value
    checks : so many of the first rows are attacked at radii 0 and 2 epsilon too, so that
        `attack_gates` can say whether these make sense
    **options
        Any of `vcviz.attacks.options.AttackOptions`: ``random_start``, ``draws``, ``seed``,
        ``batch_size``, ``layer``, ``device``, ``progress``, ``report``.

    Returns
    -------
    Trajectory
        T + 1 steps, in memory: 4 (T + 1) N (D + C) bytes.

    Raises
    ------
    InputError
        For text, options out of range, labels that the model does not know, or a model whose
        output does not depend on its input in a differentiable way.

    References
    ----------
    Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018 (PGD);
    those of the other attacks; Athalye et al., Synthesizing Robust Adversarial Examples, ICML 2018
    (averaged gradients).

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = vcviz.attack(run, rows=100, epsilon=2.0, steps=10, progress=False)
    >>> path.z.shape  # 10 steps after the clean input, 100 rows, 2 dimensions
    (11, 100, 2)
    >>> print(f"accuracy {path.accuracy[0]:.1f} clean, {path.accuracy[-1]:.1f} attacked")
    accuracy 1.0 clean, 0.1 attacked
    """
    settings = AttackOptions.of(options)
    who = scope_of(model, split, rows, settings.device)
    plan = Plan(
        kind=who.split.kind,
        method=method,
        norm=norm,
        loss=loss,
        epsilon=epsilon,
        steps=steps,
        step=step_size,
        targeted=targeted is not None,
        options=settings,
    )
    few = np.arange(min(check_count("checks", checks, minimum=0), len(who.split)))
    path = _follow(who, plan, goals(targeted, who.split), keep_inputs)
    others: list[Trajectory] = []
    if len(few):
        goal = path.y if path.target is None else path.target
        part = who._replace(split=who.split.take(few), rows=who.rows[few])
        others = [_follow(part, other, goal[few]) for other in plan.others()]
    return replace(path, checks=tuple(others)) if others else path


# ---------------------------------------------------------------- parts


def _follow(
    who: Scope,
    plan: Plan,
    goal: NDArray[np.int64] | None,
    keep_inputs: bool = False,
) -> Trajectory:
    """Return the path of every input, batch by batch; without a goal to its least likely class."""
    with under_attack(who, plan) as (victim, tick):
        if goal is None:
            goal = victim.log_probs(victim.x, plan.options.seed).argmin(1)
        as_labels("targeted", goal, len(who.split), len(victim.class_names))
        path = _Path(plan.steps, victim.x, keep_inputs)
        starts = victim.starts(plan)
        for number, rows in enumerate(victim.batches):
            for t, step in enumerate(walk(victim, plan, victim.batch(rows, goal, starts))):
                path.keep(t, rows, step)
                if t:
                    tick(number * plan.steps + t)
    title = f"{who.title}, " if who.title else ""
    return Trajectory(
        z=path.z,
        log_probs=path.log_probs,
        distance=path.distance,
        x=victim.x,
        x_adv=path.x_adv,
        y=who.split.y,
        epsilon=plan.epsilon,
        norm=plan.norm,  # type: ignore[arg-type]
        method=f"targeted {plan.method}" if plan.targeted else plan.method,
        index=who.rows,
        class_names=victim.class_names,
        name=f"{title}{who.split.name}, {plan.method} {plan.norm} ε={plan.epsilon:g}",
        loss=plan.loss,
        target=goal if plan.targeted else None,
        noise=victim.noise,
        draws=plan.options.draws * victim.read.draws,
        change=path.change,
        label_prior=label_prior_of(who.model),
    )


class _Path:
    """The arrays of a trajectory, filled batch by batch."""

    def __init__(self, steps: int, x: NDArray[np.float32], keep_inputs: bool) -> None:
        n = len(x)
        self._clean = x
        self.x_adv = np.empty_like(x)
        self.distance = np.empty((steps + 1, n), np.float32)
        self.z = self.log_probs = np.empty((steps + 1, n, 0), np.float32)
        self.change = np.empty((steps + 1, *x.shape), np.float16) if keep_inputs else None

    def keep(self, t: int, rows: slice, step: Step) -> None:
        if self.z.shape[2] == 0:
            shape = self.distance.shape
            self.z = np.empty((*shape, step.z.shape[1]), np.float32)
            self.log_probs = np.empty((*shape, step.log_probs.shape[1]), np.float32)
        self.z[t, rows] = to_numpy(step.z)
        self.log_probs[t, rows] = to_numpy(step.log_probs)
        self.distance[t, rows] = to_numpy(step.distance)
        last = t == len(self.z) - 1
        if last or self.change is not None:
            moved = to_numpy(step.x)
            if last:
                self.x_adv[rows] = moved
            if self.change is not None:
                self.change[t, rows] = moved - self._clean[rows]
