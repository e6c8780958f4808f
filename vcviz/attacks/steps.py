"""The steps of an attack on a batch, each with what the model says there."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import torch
from torch import Tensor

from vcviz.attacks.ball import per_row
from vcviz.attacks.objectives import Objective
from vcviz.attacks.options import Plan
from vcviz.attacks.victim import Batch, Victim, noise
from vcviz.latents.adapter import Reader


class Step(NamedTuple):
    """A batch on its way.

    Attributes
    ----------
    x : (B, …) inputs
    z, log_probs : (B, D) latents and (B, C) log-probabilities
    distance : (B,) from the clean inputs, in the norm of the attack
    value : (B,) objective that the attack raises
    done : (B,) whether a row is where the attack wants it
    """

    x: Tensor
    z: Tensor
    log_probs: Tensor
    distance: Tensor
    value: Tensor
    done: Tensor

    def take(self, rows: Tensor) -> Step:
        """Return some rows."""
        return Step(*(part[rows] for part in self))


def walk(victim: Victim, plan: Plan, batch: Batch) -> Generator[Step, Tensor | None, None]:
    """Yield the clean batch and then every step of the attack on it.

    What is sent back is a (B,) mask of the rows to go on with; None goes on with all.
    """
    read, objective, attack = victim.read, plan.objective, plan.attack()
    stochastic, seed = victim.noise > 0, plan.options.seed
    draws, fresh = plan.options.draws if stochastic else 1, noise(read, seed + 1)
    x, goal, label, start = batch
    ball, worst = plan.ball(x), None
    for t in range(plan.steps + 1):
        last = t == plan.steps
        x = x.detach().requires_grad_()
        with torch.set_grad_enabled(not last):
            # A copy: a model may work in place on its input.
            z, log_probs, _ = read(x.clone(), noise(read, seed))
        said = log_probs.detach()
        now = Step(
            x.detach(), z, said, ball.distance(x.detach()), objective(said, goal, label),
            objective.reached(said, goal),
        )  # fmt: skip
        if attack.ends_at_worst:
            worst = now if worst is None else worse(worst, now)
        kept = yield (worst if worst is not None and last else now)
        if last:
            return
        # The graph of the pass that was recorded serves, unless the gradient is of other noise.
        retaken = stochastic or (t == 0 and start is not None)
        ready = None if retaken else objective.slope(log_probs, x, goal, label)
        at = x.detach() if t or start is None else start
        if kept is not None:
            attack.keep(kept)
            ball = ball.take(kept)
            goal, label, at = goal[kept], label[kept], at[kept]
            ready = None if ready is None else (ready[0][kept], ready[1][kept])
            worst = None if worst is None else worst.take(kept)
        if ready is None:
            ready = _averaged(read, objective, at.requires_grad_(), goal, label, fresh, draws)
        x = attack.step(at.detach(), ball, *ready)


def worse(one: Step, other: Step) -> Step:
    """Return of each row the point that is worse for the model: misread first, then the loss."""
    swap = (other.done & ~one.done) | ((other.done == one.done) & (other.value > one.value))
    return Step(*(torch.where(per_row(swap, b), b, a) for a, b in zip(one, other, strict=True)))


def _averaged(
    read: Reader,
    objective: Objective,
    x: Tensor,
    goal: Tensor,
    label: Tensor,
    fresh: torch.Generator,
    draws: int,
) -> tuple[Tensor, Tensor]:
    """Return objective and gradient at `x`, averaged over draws of a stochastic model's noise."""
    total, gradient = torch.zeros(len(x), device=x.device), torch.zeros_like(x)
    for _ in range(draws):
        with torch.enable_grad():
            log_probs = read(x.clone(), fresh).log_probs
        value, found = objective.slope(log_probs, x, goal, label)
        total, gradient = total + value, gradient + found
    return total / draws, gradient / draws
